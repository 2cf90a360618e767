//! AC5: everybody decides in the end. What has to be assumed for it, and what two-phase commit cannot do.
//!
//! Assumed is that the network is fair, that disks sync, timers fire, and that **whoever has crashed comes back**.
//! Without the last, plain two-phase commit blocks; with consensus in the coordinator's place it does not. That is
//! looked at from the votes on, with disks that hold them: what comes before is the same in both modes.

use super::scopes::base;
use super::{Begun, CommitModel, Limits};
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
    let mut all = vec![recovering("coordinator and participant", two()), blocking()];
    if scope != Scope::Quick {
        all.extend([
            recovering("two participants", three()),
            non_blocking("has proposed nothing", Begun::Voted),
            non_blocking("has proposed to commit", Begun::Proposed),
        ]);
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

/// The coordinator never comes back. So many messages are lost, and so many timers fire too early.
fn abandoned(name: String, limits: Limits, bad: u8) -> (CommitModel, Liveness<CommitModel>) {
    let limits = Limits {
        impatience: false,
        in_flight: ROOM,
        unsynced: 1,
        promises: 9,
        ..limits
    };
    // Timers take their time: no decision is reached by consensus as long as proposers come too early, again and
    // again.
    let liveness = Liveness::default()
        .fair(Pattern::requests(), Fairness::Weak)
        .fair(Pattern::recoveries().at(NodeId(1)), Fairness::None)
        .timely(
            "timers fire when nothing else is on its way",
            bad,
            |moment| moment.is_quiet(),
        )
        .losses(bad)
        .leads_to(
            DECIDES_ALONE,
            |s, _| someone_is_uncertain(s),
            |s, _| !someone_is_uncertain(s),
        );
    (CommitModel::new(name, limits), liveness)
}

fn blocking() -> CommitModel {
    let limits = Limits {
        crashes: 1,
        steady: vec![2, 3],
        ..base()
    };
    let name = "a coordinator that never comes back, blocking".to_owned();
    let (model, liveness) = abandoned(name, limits, 0);
    model.lively(liveness.must_fail(1_000_000))
}

/// From the votes on.
fn non_blocking(what: &str, begun: Begun) -> CommitModel {
    let limits = Limits {
        mode: Mode::NonBlocking,
        rounds: 8,
        begun,
        away: vec![1],
        ..base()
    };
    let name = format!("a coordinator that {what}, and never comes back");
    let (model, liveness) = abandoned(name, limits, 2);
    let consensus = Pattern::deliveries_of("Consensus");
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
            consensus,
            Fairness::None,
        );
    model.lively(liveness)
}
