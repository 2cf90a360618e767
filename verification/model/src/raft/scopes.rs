//! The bounds within which Raft is checked.

use super::{Limits, Op, RaftModel};
use crate::Scope;
use quorate_machine::NodeId;
use quorate_raft::{Durable, Entry, Index, Log, Payload, SessionId, Term};

impl Default for Limits {
    /// Three nodes, two terms, one command, and a network and disks that do nothing bad.
    fn default() -> Self {
        Limits {
            nodes: 3,
            terms: 2,
            entries: 3,
            retries: 0,
            crashes: 0,
            duplications: 0,
            in_flight: 3,
            unsynced: 1,
            waiting: 6,
            candidates: 2,
            batch: 2,
            disks: Vec::new(),
            committed: Vec::new(),
            pre_vote: false,
            check_quorum: false,
            late_answers: false,
            heartbeats: false,
            open_sessions: false,
            scripts: vec![vec![Op::Append(1)]],
        }
    }
}

/// The configurations of a scope. Each looks at one thing, widely enough for it to go wrong: bounds that
/// are wide everywhere at once would be out of reach.
///
/// Messages are reordered and lost in all of them; crash, duplication and retries are on where the name
/// says so.
pub fn scope(scope: Scope) -> Vec<RaftModel> {
    let configurations = match scope {
        Scope::Quick => quick(),
        Scope::Ci => [quick(), ci()].concat(),
        Scope::Deep => deep(),
    };
    let models = configurations.into_iter();
    models
        .map(|(name, limits)| RaftModel::new(name, limits))
        .collect()
}

fn base() -> Limits {
    Limits {
        in_flight: 2,
        ..Limits::default()
    }
}

fn no_clients() -> Limits {
    Limits {
        entries: 2,
        scripts: Vec::new(),
        ..base()
    }
}

fn quick() -> Vec<(&'static str, Limits)> {
    let (disks, committed) = figure_8();
    let longer_but_older = longer_but_older();
    vec![
        (
            "elections",
            Limits {
                in_flight: 3,
                ..no_clients()
            },
        ),
        (
            "elections with a crash",
            Limits {
                crashes: 1,
                ..no_clients()
            },
        ),
        (
            "pre-vote and check-quorum",
            Limits {
                in_flight: 1,
                pre_vote: true,
                check_quorum: true,
                ..no_clients()
            },
        ),
        (
            "answers that come too late, and a crash",
            Limits {
                crashes: 1,
                late_answers: true,
                entries: 1,
                ..no_clients()
            },
        ),
        (
            "two nodes",
            Limits {
                nodes: 2,
                terms: 1,
                crashes: 1,
                ..base()
            },
        ),
        (
            "four nodes, duplicated votes",
            Limits {
                nodes: 4,
                terms: 1,
                entries: 1,
                duplications: 2,
                ..no_clients()
            },
        ),
        ("a command and two leaders", base()),
        (
            "a read and two leaders",
            Limits {
                scripts: vec![vec![Op::Append(1), Op::Read]],
                ..base()
            },
        ),
        (
            "Figure 8",
            Limits {
                terms: 4,
                batch: 1,
                disks,
                committed,
                scripts: Vec::new(),
                ..base()
            },
        ),
        (
            "a longer log of an older term",
            Limits {
                terms: 4,
                entries: 4,
                batch: 1,
                disks: longer_but_older.0,
                committed: longer_but_older.1,
                scripts: Vec::new(),
                ..base()
            },
        ),
        (
            "duplicated appends",
            Limits {
                terms: 1,
                batch: 1,
                duplications: 1,
                // Two clients, so that two appends are on their way at once.
                candidates: 1,
                scripts: vec![vec![Op::Append(1)], vec![Op::Append(2)]],
                ..base()
            },
        ),
        (
            "a retry",
            Limits {
                terms: 1,
                retries: 1,
                ..base()
            },
        ),
        (
            "sessions that expire",
            Limits {
                terms: 1,
                entries: 5,
                in_flight: 1,
                retries: 1,
                open_sessions: true,
                scripts: vec![vec![Op::Open, Op::Append(1)], vec![Op::Open, Op::Append(2)]],
                ..base()
            },
        ),
    ]
}

fn ci() -> Vec<(&'static str, Limits)> {
    vec![
        (
            "three candidates",
            Limits {
                candidates: 3,
                ..no_clients()
            },
        ),
        (
            "a retry, two leaders",
            Limits {
                entries: 4,
                retries: 1,
                ..base()
            },
        ),
        (
            "a command, two leaders and a crash",
            Limits {
                crashes: 1,
                ..base()
            },
        ),
        (
            "two clients of one leader",
            Limits {
                terms: 1,
                in_flight: 3,
                scripts: vec![vec![Op::Append(1)], vec![Op::Append(2)]],
                ..base()
            },
        ),
        (
            "a reader beside a writer",
            Limits {
                terms: 1,
                entries: 2,
                in_flight: 3,
                scripts: vec![vec![Op::Append(1)], vec![Op::Read]],
                ..base()
            },
        ),
        (
            "pre-vote, more in flight",
            Limits {
                pre_vote: true,
                ..no_clients()
            },
        ),
        (
            "a command and heartbeats",
            Limits {
                terms: 1,
                entries: 2,
                candidates: 1,
                heartbeats: true,
                batch: 1,
                ..base()
            },
        ),
    ]
}

fn deep() -> Vec<(&'static str, Limits)> {
    let (disks, committed) = figure_8();
    vec![
        (
            "three candidates, a crash",
            Limits {
                candidates: 3,
                crashes: 1,
                ..no_clients()
            },
        ),
        (
            "a retry, two leaders, a crash",
            Limits {
                entries: 4,
                retries: 1,
                crashes: 1,
                ..base()
            },
        ),
        (
            "Figure 8 with a crash and a command",
            Limits {
                terms: 4,
                batch: 1,
                crashes: 1,
                disks,
                committed,
                scripts: Vec::new(),
                ..base()
            },
        ),
        (
            "a reader beside a writer, two leaders",
            Limits {
                scripts: vec![vec![Op::Append(1)], vec![Op::Read]],
                ..base()
            },
        ),
        (
            "a reader beside a writer, two leaders, a crash",
            Limits {
                scripts: vec![vec![Op::Append(1)], vec![Op::Read]],
                crashes: 1,
                ..base()
            },
        ),
        (
            "pre-vote, check-quorum and a crash",
            Limits {
                crashes: 1,
                pre_vote: true,
                check_quorum: true,
                in_flight: 1,
                ..no_clients()
            },
        ),
        (
            "a command, heartbeats and a duplicate",
            Limits {
                terms: 1,
                entries: 2,
                duplications: 1,
                candidates: 1,
                heartbeats: true,
                batch: 1,
                ..base()
            },
        ),
        (
            "five nodes",
            Limits {
                nodes: 5,
                ..no_clients()
            },
        ),
    ]
}

/// The leader of term 1 got two entries to nobody before the others went on without it.
fn longer_but_older() -> (Vec<Durable<u8>>, Vec<Term>) {
    let second = Some(NodeId(2));
    let disks = vec![
        disk(Term(1), Some(NodeId(1)), &[noop(1), noop(1), noop(1)]),
        disk(Term(2), second, &[noop(1), noop(2)]),
        disk(Term(2), second, &[noop(1), noop(2)]),
    ];
    (disks, vec![Term(1), Term(2)])
}

/// The disks of Figure 8 (b): the leader of term 1 got a command to nobody, a second node has led term
/// 2 by itself, and all have crashed.
fn figure_8() -> (Vec<Durable<u8>>, Vec<Term>) {
    let command = Entry {
        term: Term(1),
        payload: Payload::Write {
            session: SessionId(1000),
            sequence: 0,
            command: 1,
        },
    };
    let second = Some(NodeId(2));
    let disks = vec![
        disk(Term(2), None, &[noop(1), command]),
        disk(Term(2), second, &[noop(1), noop(2)]),
        disk(Term(2), second, &[noop(1)]),
    ];
    (disks, vec![Term(1)])
}

fn noop(term: u64) -> Entry<u8> {
    Entry {
        term: Term(term),
        payload: Payload::Noop,
    }
}

fn disk(term: Term, vote: Option<NodeId>, entries: &[Entry<u8>]) -> Durable<u8> {
    let mut log = Log::default();
    log.splice(Index(0), entries.iter().cloned());
    Durable { term, vote, log }
}
