//! AC5: everybody decides in the end. What has to be assumed for it, and what two-phase commit cannot do.
//!
//! Assumed is that the network is fair, that disks sync, timers fire, and that **whoever has crashed comes back**.
//! Without the last, plain two-phase commit blocks; with consensus in the coordinator's place it does not. The two
//! configurations with a coordinator that never comes back are the same but for the mode.

use super::scopes::base;
use super::{CommitModel, Limits};
use crate::{Fairness, Liveness, Pattern, Scope, State};
use quorate_commit::{Decision, Mode, Phase};
use quorate_machine::NodeId;

type Found = State<CommitModel>;

/// AC5, of all participants.
pub const DECIDES: &str = "AC5: every participant that has voted decides";
/// AC5, of those who are up.
pub const DECIDES_ALONE: &str = "every participant that is up decides, whoever else is down";
/// Logs can be released.
pub const ENDS: &str = "what is committed is done everywhere, and forgotten";

/// The configurations of a scope of which liveness is decided.
pub fn scope(scope: Scope) -> Vec<CommitModel> {
    let mut all = vec![
        recovering("coordinator and participant", two()),
        abandoned(Mode::Blocking),
    ];
    if scope != Scope::Quick {
        all.push(recovering("two participants", three()));
    }
    if scope == Scope::Deep {
        all.push(abandoned(Mode::NonBlocking));
    }
    all
}

/// Enough room for whatever a run without losses has in flight.
const ROOM: usize = 24;

fn two() -> Limits {
    Limits {
        nodes: 2,
        transactions: vec![(1, vec![1, 2])],
        refusals: 1,
        crashes: 1,
        in_flight: ROOM,
        ..base()
    }
}

fn three() -> Limits {
    Limits {
        crashes: 1,
        in_flight: ROOM,
        ..base()
    }
}

/// Whether a participant, up or down, has voted yes and knows no decision.
fn is_uncertain(state: &Found) -> bool {
    let disks = state.nodes().map(crate::Node::durable);
    let mut votes = disks.flat_map(|disk| disk.votes.values());
    votes.any(|joined| joined.decision.is_none()) || someone_is_uncertain(state)
}

/// Whether a participant that is up is uncertain.
fn someone_is_uncertain(state: &Found) -> bool {
    state.machines().any(|machine| {
        let mut joined = machine.participant().joined();
        joined.any(|(_, part)| part.phase == Phase::Uncertain)
    })
}

/// Whether a participant holds a transaction that it knows to be committed.
fn is_unfinished(state: &Found) -> bool {
    let disks = state.nodes().map(crate::Node::durable);
    let mut votes = disks.flat_map(|disk| disk.votes.values());
    votes.any(|joined| joined.decision == Some(Decision::Commit))
}

/// Everybody who crashes comes back.
fn recovering(name: &str, limits: Limits) -> CommitModel {
    let silent = |kind: &str| Pattern::deliveries_of(kind);
    let liveness = Liveness::default()
        .fair(Pattern::requests(), Fairness::Weak)
        .losses(1)
        .leads_to(DECIDES, |s, _| is_uncertain(s), |s, _| !is_uncertain(s))
        .leads_to(ENDS, |s, _| is_unfinished(s), |s, _| !is_unfinished(s))
        .without(
            "timers that fire",
            DECIDES,
            Pattern::timers(),
            Fairness::None,
        )
        .without("disks that sync", DECIDES, Pattern::syncs(), Fairness::None)
        .without(
            "crashed nodes that come back",
            DECIDES,
            Pattern::recoveries(),
            Fairness::None,
        )
        .without(
            "decisions that arrive",
            DECIDES,
            silent("Decided"),
            Fairness::None,
        )
        .without(
            "resources that answer",
            ENDS,
            Pattern::requests(),
            Fairness::None,
        )
        .without(
            "acknowledgements that arrive",
            ENDS,
            silent("Acknowledged"),
            Fairness::None,
        );
    CommitModel::new(format!("{name}, one crash and one loss"), limits).lively(liveness)
}

/// The coordinator never comes back. Timers take their time: no decision is reached by consensus as long as
/// proposers come too early, again and again.
fn abandoned(mode: Mode) -> CommitModel {
    let limits = Limits {
        mode,
        crashes: 1,
        steady: vec![2, 3],
        impatience: false,
        in_flight: ROOM,
        unsynced: 1,
        promises: 9,
        rounds: 2,
        ..base()
    };
    let coordinator = NodeId(1);
    let liveness = Liveness::default()
        .fair(Pattern::requests(), Fairness::Weak)
        .fair(Pattern::recoveries().at(coordinator), Fairness::None)
        .timely("timers fire when nothing else is on its way", 0, |moment| {
            moment.is_quiet()
        })
        .leads_to(
            DECIDES_ALONE,
            |s, _| someone_is_uncertain(s),
            |s, _| !someone_is_uncertain(s),
        );
    match mode {
        Mode::Blocking => {
            let name = "a coordinator that never comes back, blocking";
            CommitModel::new(name, limits).lively(liveness.must_fail(1_000_000))
        }
        Mode::NonBlocking => {
            let name = "a coordinator that never comes back, non-blocking";
            let liveness = liveness
                .without(
                    "timers that fire",
                    DECIDES_ALONE,
                    Pattern::timers(),
                    Fairness::None,
                )
                .without(
                    "disks that sync",
                    DECIDES_ALONE,
                    Pattern::syncs(),
                    Fairness::None,
                )
                .without(
                    "consensus that is heard",
                    DECIDES_ALONE,
                    Pattern::deliveries_of("Consensus"),
                    Fairness::None,
                );
            CommitModel::new(name, limits).lively(liveness)
        }
    }
}
