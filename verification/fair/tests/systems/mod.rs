//! The systems of `specs/fair`, action by action.

pub(crate) mod alternating_bit;
pub(crate) mod peterson;
pub(crate) mod philosophers;
pub(crate) mod ring;
pub(crate) mod spinlock;

use quorate_fair::{Explorer, Fairness, Property, Report};
use stateright::Model;
use std::fmt::Debug;
use std::hash::Hash;

/// What the engine says of a system.
pub(crate) struct Outcome {
    pub(crate) holds: bool,
    pub(crate) states: usize,
    pub(crate) depth: usize,
    pub(crate) text: String,
}

/// Decides the properties, which are one conjunction, and verifies every lasso.
pub(crate) fn decide<M, C>(
    model: &M,
    class: impl Fn(&M::State, &M::Action) -> Option<C>,
    fairness: impl Fn(&C) -> Fairness,
    properties: impl Fn() -> Vec<Property<M>>,
) -> Outcome
where
    M: Model,
    M::State: Hash + PartialEq + Debug,
    M::Action: PartialEq + Debug,
    C: Clone + Ord + Hash + Debug,
{
    let explorer = Explorer::new(model, &class).properties(properties());
    let explored = explorer.explore().expect("few classes");
    let report: Report<_, _, C> = explored.check(&fairness).expect("a deterministic model");
    for (property, found) in properties().iter().zip(&report.properties) {
        if let Some(lasso) = found.verdict.lasso() {
            let flaw = lasso.check(model, &class, &fairness, property);
            assert_eq!(flaw, Ok(()), "{lasso}");
        }
    }
    Outcome {
        holds: report.holds(),
        states: report.size.states,
        depth: report.size.depth,
        text: report.to_string(),
    }
}
