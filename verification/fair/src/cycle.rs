//! A cycle through a component that is fair to all, as short as comes easily.
//!
//! The walk begins where the stem ends. It owes something to the fair classes: to a weakly fair one, to
//! take it or to pass a state where it is not enabled; to a strongly fair one that is enabled on the way,
//! to take it. It always goes to the nearest place where it can pay some of that, then home, and is done
//! when it is home and owes nothing. If that is so at once, the cycle is to stay for ever.

use crate::bad::Bad;
use crate::components::Components;
use crate::fairness::Fairness;
use crate::graph::Edge;
use ahash::RandomState;
use hashbrown::{HashMap, HashSet};
use std::collections::VecDeque;

/// Makes cycles.
pub(crate) struct Cycles<'a> {
    pub(crate) bad: &'a Bad<'a>,
    pub(crate) components: &'a Components,
    pub(crate) fairness: &'a [Fairness],
}

/// A walk, and what it owes.
struct Walk {
    at: u32,
    steps: Vec<Edge>,
    /// Weakly fair labels that were enabled all the way, and not taken.
    weak: Vec<u16>,
    /// Strongly fair labels that were enabled on the way, and not taken yet.
    strong: Vec<u16>,
    taken: HashSet<u16, RandomState>,
    /// A sought state is still to be visited.
    seeking: bool,
}

impl Cycles<'_> {
    /// A fair cycle from `home` back to it, empty for staying there. Nothing only if the state's
    /// component allows no fair cycle.
    pub(crate) fn through(&self, home: u32) -> Option<Vec<Edge>> {
        let component = self.components.fair(home)?;
        let labels = 0..self.fairness.len() as u16;
        let weak = labels.filter(|label| self.of(*label) == Fairness::Weak);
        let mut walk = Walk {
            at: home,
            steps: Vec::new(),
            weak: weak.collect(),
            strong: Vec::new(),
            taken: HashSet::default(),
            seeking: self.bad.seeks(),
        };
        self.visit(&mut walk, home);
        loop {
            let path = if walk.owes() {
                self.path(component, walk.at, |state, edge| match edge {
                    None => self.pays_there(&walk, state),
                    Some(edge) => {
                        walk.weak.contains(&edge.label) || walk.strong.contains(&edge.label)
                    }
                })?
            } else if walk.at == home {
                return Some(walk.steps);
            } else {
                self.path(component, walk.at, |state, edge| {
                    edge.is_none() && state == home
                })?
            };
            for edge in path {
                self.take(&mut walk, edge);
            }
        }
    }

    /// Whether nothing that is fair is enabled in the state, so that a fair behaviour may end there.
    pub(crate) fn may_stay(&self, state: u32) -> bool {
        let mut edges = self.bad.graph.edges(state);
        edges.all(|edge| self.of(edge.label) == Fairness::None)
            && (!self.bad.seeks() || self.bad.sought(state))
    }

    fn of(&self, label: u16) -> Fairness {
        self.fairness[usize::from(label)]
    }

    fn pays_there(&self, walk: &Walk, state: u32) -> bool {
        let enables = |label: &u16| self.bad.graph.enables(state, *label);
        walk.seeking && self.bad.sought(state) || !walk.weak.iter().all(enables)
    }

    fn take(&self, walk: &mut Walk, edge: Edge) {
        walk.taken.insert(edge.label);
        walk.weak.retain(|label| *label != edge.label);
        walk.strong.retain(|label| *label != edge.label);
        walk.steps.push(edge);
        self.visit(walk, edge.target);
    }

    fn visit(&self, walk: &mut Walk, state: u32) {
        walk.at = state;
        walk.seeking &= !self.bad.sought(state);
        walk.weak
            .retain(|label| self.bad.graph.enables(state, *label));
        for edge in self.bad.graph.edges(state) {
            let owed = self.of(edge.label) == Fairness::Strong
                && !walk.taken.contains(&edge.label)
                && !walk.strong.contains(&edge.label);
            if owed {
                walk.strong.push(edge.label);
            }
        }
    }

    /// A shortest path within the component from a state to what `found` says: a state, or an edge.
    fn path(
        &self,
        component: u32,
        from: u32,
        found: impl Fn(u32, Option<Edge>) -> bool,
    ) -> Option<Vec<Edge>> {
        let mut reached: HashMap<u32, (u32, u16), RandomState> = HashMap::default();
        let mut queue = VecDeque::from([from]);
        let back = |reached: &HashMap<u32, (u32, u16), RandomState>, mut at: u32| {
            let mut path = Vec::new();
            while at != from {
                let (before, label) = reached[&at];
                path.push(Edge { target: at, label });
                at = before;
            }
            path.reverse();
            path
        };
        while let Some(state) = queue.pop_front() {
            if found(state, None) {
                return Some(back(&reached, state));
            }
            let edges = self.bad.graph.inner_edges(state);
            let within = edges.filter(|edge| self.components.fair(edge.target) == Some(component));
            for edge in within {
                if found(state, Some(edge)) {
                    let mut path = back(&reached, state);
                    path.push(edge);
                    return Some(path);
                }
                if edge.target != from && !reached.contains_key(&edge.target) {
                    reached.insert(edge.target, (state, edge.label));
                    queue.push_back(edge.target);
                }
            }
        }
        None
    }
}

impl Walk {
    fn owes(&self) -> bool {
        self.seeking || !self.weak.is_empty() || !self.strong.is_empty()
    }
}
