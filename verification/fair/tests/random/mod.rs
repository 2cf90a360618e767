//! Random small graphs as models.

use proptest::collection::vec;
use proptest::prelude::*;
use quorate_fair::Fairness;
use stateright::Model;

/// States of a graph; one bit each.
pub(crate) const STATES: u8 = 7;
const CLASSES: usize = 3;

/// A graph with two predicates and the fairness of its classes.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) edges: Vec<Edge>,
    pub(crate) initial: u8,
    /// The states within the boundary.
    pub(crate) inside: u8,
    pub(crate) p: u8,
    pub(crate) q: u8,
    pub(crate) fairness: Vec<Fairness>,
}

/// An edge: an action of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) from: u8,
    pub(crate) to: u8,
    pub(crate) class: Option<u8>,
}

impl Model for Graph {
    type State = u8;
    type Action = Edge;

    fn init_states(&self) -> Vec<u8> {
        (0..STATES)
            .filter(|state| self.initial >> state & 1 == 1)
            .collect()
    }

    fn actions(&self, state: &u8, actions: &mut Vec<Edge>) {
        actions.extend(self.edges.iter().filter(|edge| edge.from == *state));
    }

    // A loop is an action that changes nothing: `None`, or the same state, as the class has it.
    fn next_state(&self, state: &u8, edge: Edge) -> Option<u8> {
        (edge.to != *state || edge.class != Some(0)).then_some(edge.to)
    }

    fn within_boundary(&self, state: &u8) -> bool {
        self.inside >> state & 1 == 1
    }
}

fn edge() -> impl Strategy<Value = Edge> {
    let class = prop_oneof![1 => Just(None), 4 => (0..CLASSES as u8).prop_map(Some)];
    (0..STATES, 0..STATES, class).prop_map(|(from, to, class)| Edge { from, to, class })
}

fn fairness() -> impl Strategy<Value = Fairness> {
    prop_oneof![
        Just(Fairness::None),
        Just(Fairness::Weak),
        Just(Fairness::Strong)
    ]
}

/// Graphs of at most seven states, some of which may lie outside of the boundary.
pub(crate) fn graphs() -> impl Strategy<Value = Graph> {
    let all = u8::MAX >> (8 - STATES);
    let states = 1..=all;
    let inside = prop_oneof![3 => Just(all), 1 => states.clone()];
    (
        vec(edge(), 0..18),
        prop_oneof![Just(1), states],
        inside,
        0..=all,
        0..=all,
        vec(fairness(), CLASSES),
    )
        .prop_map(|(edges, initial, inside, p, q, fairness)| Graph {
            edges,
            initial,
            inside,
            p,
            q,
            fairness,
        })
}
