//! Causal broadcast, in the end: what is broadcast is delivered by all.
//!
//! # What is promised
//!
//! Once a broadcast was accepted, or delivered by anybody, there comes a moment when every application was told of
//! it. A crash of its sender makes no difference, nor does it if the sender never comes back.
//!
//! # What for
//!
//! - **Members come back**, but for the sender: weak fairness of recoveries. A member that stays down delivers
//!   nothing.
//! - **Links are fair**: strong fairness of the deliveries of each kind on each link. Messages are lost without
//!   limit, but not always: what is sent again and again arrives in the end (Cachin, Guerraoui and Rodrigues 2011,
//!   section 2.4.2).
//! - **Repair timers fire**: weak fairness. They are what makes up for losses and crashes.
//! - **Disks work**: weak fairness of syncs. What is not on disk is neither told nor acknowledged.
//!
//! No order of arrivals is assumed, and no timing: unlike consensus, broadcast needs none. Each of the others is
//! dropped in turn, and the promise is then refuted by a lasso.

use super::{BroadcastModel, Limits};
use crate::{Fairness, Liveness, Pattern, Scope};
use quorate_machine::NodeId;

/// In so many states a lasso must be found where something is missing.
const ENOUGH: usize = 60_000;

/// The promise.
pub const DELIVERED: &str = "what is broadcast is delivered by all";

fn promise() -> Liveness<BroadcastModel> {
    Liveness::default().leads_to(
        DELIVERED,
        |state, _: &BroadcastModel| !state.clients().all_told(),
        |state, _| state.clients().all_told(),
    )
}

fn base() -> Limits {
    Limits {
        broadcasts: vec![1, 0, 0],
        repairers: vec![2],
        repair_freely: true,
        crashes: 1,
        crashing: vec![1],
        in_flight: 12,
        unsynced: 1,
        ..Limits::default()
    }
}

/// The configurations of a scope.
pub fn scope(scope: Scope) -> Vec<BroadcastModel> {
    let configurations = match scope {
        Scope::Quick => quick(),
        Scope::Ci => [quick(), ci()].into_iter().flatten().collect(),
        Scope::Deep => deep(),
    };
    let models = configurations.into_iter();
    models
        .map(|(name, limits, liveness)| BroadcastModel::new(name, limits).promising(liveness))
        .collect()
}

type Named = (&'static str, Limits, Liveness<BroadcastModel>);

fn two(crashing: u32) -> Limits {
    Limits {
        broadcasts: vec![1, 0],
        repairers: vec![1, 2],
        crashing: vec![crashing],
        ..base()
    }
}

fn quick() -> Vec<Named> {
    let none = Fairness::None;
    let arrive = Pattern::deliveries_of;
    vec![
        (
            "two members, losses without limit, a receiver that crashes",
            two(2),
            promise()
                .lossy(Pattern::deliveries())
                .without(
                    "repair timers that fire",
                    DELIVERED,
                    Pattern::timers_of("Repair"),
                    none,
                )
                .without("offers that arrive", DELIVERED, arrive("Offer"), none)
                .without("requests that arrive", DELIVERED, arrive("Ask"), none)
                .without("supplies that arrive", DELIVERED, arrive("Supply"), none)
                .without(
                    "members that come back",
                    DELIVERED,
                    Pattern::recoveries(),
                    none,
                ),
        ),
        (
            "two members, nothing lost and nobody repairs",
            Limits {
                repairers: Vec::new(),
                crashes: 0,
                crashing: Vec::new(),
                ..two(1)
            },
            promise()
                .without("disks that sync", DELIVERED, Pattern::syncs(), none)
                .without("batches that arrive", DELIVERED, arrive("Update"), none),
        ),
        (
            "what is sent again and again is lost again and again",
            two(1),
            promise()
                .lossy(Pattern::deliveries())
                .fair(Pattern::deliveries(), Fairness::Weak)
                .must_fail(ENOUGH),
        ),
    ]
}

fn ci() -> Vec<Named> {
    let sender = Pattern::recoveries().at(NodeId(1));
    let to_third = Pattern::deliveries_of("Update")
        .from(NodeId(1))
        .at(NodeId(3));
    let timers = Pattern::timers_of("Repair");
    vec![(
        "the sender crashes and never comes back, a third has nothing from it",
        base(),
        promise()
            .lossy(to_third)
            .fair(sender, Fairness::None)
            .without("repair timers that fire", DELIVERED, timers, Fairness::None),
    )]
}

fn deep() -> Vec<Named> {
    let limits = Limits {
        broadcasts: vec![1, 1],
        crashing: vec![1, 2],
        ..two(1)
    };
    vec![(
        "two members, a question and its answer, losses without limit, one that crashes",
        limits,
        promise().lossy(Pattern::deliveries()),
    )]
}
