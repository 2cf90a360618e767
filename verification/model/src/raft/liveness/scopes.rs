//! The bounds within which Raft's liveness is decided, and what it is decided without.

use super::{APPLIED, ELECTED, Limits, Missing, RaftLiveness, Superfluous};
use crate::{Fairness, Pattern, Scope};
use quorate_machine::NodeId;
use quorate_raft::{Durable, Entry, Index, Log, Payload, Term};

impl Default for Limits {
    /// Three nodes on empty disks, no crash, no loss, every timer in time; elections as in the paper.
    fn default() -> Self {
        Limits {
            nodes: 3,
            commands: 0,
            crashes: 0,
            losses: 0,
            untimely: 0,
            pre_vote: false,
            check_quorum: false,
            disks: Vec::new(),
            spread: 4,
            entries: 4,
            in_flight: 12,
            unsynced: 4,
        }
    }
}

/// Elections as they are in production: candidates ask first, leaders check that they are heard.
fn as_run() -> Limits {
    Limits {
        pre_vote: true,
        check_quorum: true,
        ..Limits::default()
    }
}

/// The configurations of a scope.
pub fn scope(scope: Scope) -> Vec<RaftLiveness> {
    let configurations = match scope {
        Scope::Quick => quick(),
        Scope::Ci => [quick(), ci()].concat(),
        Scope::Deep => deep(),
    };
    let models = configurations.into_iter();
    models
        .map(|(name, limits, missing)| RaftLiveness::new(name, limits, missing))
        .collect()
}

type Named = (&'static str, Limits, Missing);

fn without(superfluous: Vec<Superfluous>) -> Missing {
    Missing::Nothing(superfluous)
}

fn quick() -> Vec<Named> {
    let election = || Pattern::timers_of("Election");
    vec![
        (
            "elections",
            Limits {
                untimely: 1,
                ..Limits::default()
            },
            without(vec![
                (
                    "votes that arrive",
                    ELECTED,
                    Pattern::deliveries_of("Voted"),
                    Fairness::None,
                ),
                (
                    "election timers that fire",
                    ELECTED,
                    election(),
                    Fairness::None,
                ),
                ("disks that sync", ELECTED, Pattern::syncs(), Fairness::None),
            ]),
        ),
        (
            "elections as run, and a lost message",
            Limits {
                losses: 1,
                ..as_run()
            },
            without(vec![]),
        ),
        (
            "a node whose log is behind",
            Limits {
                disks: one_is_behind(),
                ..Limits::default()
            },
            without(vec![(
                "every election timer coming first now and then",
                ELECTED,
                election(),
                Fairness::Weak,
            )]),
        ),
        (
            "elections and a crash",
            Limits {
                crashes: 1,
                ..Limits::default()
            },
            without(vec![]),
        ),
        (
            "a command and a lost message",
            Limits {
                commands: 1,
                losses: 1,
                ..Limits::default()
            },
            without(vec![
                (
                    "heartbeats",
                    APPLIED,
                    Pattern::timers_of("Heartbeat"),
                    Fairness::None,
                ),
                (
                    "replication",
                    APPLIED,
                    Pattern::timers_of("Replicate"),
                    Fairness::None,
                ),
            ]),
        ),
        (
            "a command, as run",
            Limits {
                commands: 1,
                ..as_run()
            },
            without(vec![(
                "appends that arrive",
                APPLIED,
                Pattern::deliveries_of("Append"),
                Fairness::None,
            )]),
        ),
        ("no timing", unbounded(), Missing::Timing),
        (
            "votes are lost without limit",
            Limits::default(),
            Missing::Losses("Voted"),
        ),
        (
            "crashes without limit",
            Limits {
                crashes: u8::MAX,
                ..unbounded()
            },
            Missing::Crashes,
        ),
        (
            "no majority comes back",
            Limits {
                crashes: 2,
                ..as_run()
            },
            Missing::Recovery,
        ),
    ]
}

/// Where something is missing runs go anywhere: the nearest lassos are looked for.
fn unbounded() -> Limits {
    Limits {
        spread: 2,
        entries: 1,
        in_flight: 4,
        unsynced: 1,
        ..Limits::default()
    }
}

fn ci() -> Vec<Named> {
    vec![
        (
            "elections, a lost message and a timer out of time",
            Limits {
                losses: 1,
                untimely: 1,
                ..Limits::default()
            },
            without(vec![]),
        ),
        (
            "a command as run, and a lost message",
            Limits {
                commands: 1,
                losses: 1,
                ..as_run()
            },
            without(vec![]),
        ),
        (
            "a command and a crash",
            Limits {
                commands: 1,
                crashes: 1,
                ..Limits::default()
            },
            without(vec![(
                "clients that try again",
                APPLIED,
                Pattern::requests(),
                Fairness::None,
            )]),
        ),
        (
            "elections as run, and a crash",
            Limits {
                crashes: 1,
                ..as_run()
            },
            without(vec![]),
        ),
    ]
}

fn deep() -> Vec<Named> {
    vec![
        (
            "a command, a crash and a lost message",
            Limits {
                commands: 1,
                crashes: 1,
                losses: 1,
                ..Limits::default()
            },
            without(vec![]),
        ),
        (
            "a command as run, and a crash",
            Limits {
                commands: 1,
                crashes: 1,
                ..as_run()
            },
            without(vec![]),
        ),
        (
            "elections as run, and a timer out of time",
            Limits {
                untimely: 1,
                ..as_run()
            },
            without(vec![]),
        ),
        (
            "two timers out of time",
            Limits {
                untimely: 2,
                ..Limits::default()
            },
            without(vec![]),
        ),
    ]
}

/// The leader of term 1 has got its first entry to the second node and to itself, not to the first.
fn one_is_behind() -> Vec<Durable<u8>> {
    let disk = |vote: Option<NodeId>, entries: usize| {
        let mut log = Log::default();
        let noop = Entry {
            term: Term(1),
            payload: Payload::Noop,
        };
        log.splice(Index(0), std::iter::repeat_n(noop, entries));
        Durable {
            term: Term(1),
            vote,
            log,
        }
    };
    let third = Some(NodeId(3));
    vec![disk(None, 0), disk(third, 1), disk(third, 1)]
}
