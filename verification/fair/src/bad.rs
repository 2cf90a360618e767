//! The part of the graph in which a property can be violated.

use crate::bits::Bits;
use crate::graph::Graph;
use crate::property::Form;

/// A property's negation: where its lassos are.
///
/// A violation is a path from an initial state to an *entry*, from there through *allowed* states only
/// to a cycle of allowed states, which contains one that is *sought* if any is.
pub(crate) struct Bad<'a> {
    pub(crate) graph: &'a Graph,
    form: Form,
    p: &'a Bits,
    /// Q of *P leads to Q*, otherwise P again.
    q: &'a Bits,
}

impl<'a> Bad<'a> {
    /// Nothing if there are no predicates, which no property lacks.
    pub(crate) fn new(graph: &'a Graph, form: Form, truths: &'a [Bits]) -> Option<Self> {
        let p = truths.first()?;
        let q = truths.get(1).unwrap_or(p);
        Some(Bad { graph, form, p, q })
    }

    pub(crate) fn allowed(&self, state: u32) -> bool {
        match self.form {
            Form::Eventually | Form::AlwaysEventually => !self.p.get(state),
            Form::LeadsTo => !self.q.get(state),
            Form::EventuallyAlways => true,
        }
    }

    /// Whether a cycle must contain a sought state.
    pub(crate) fn seeks(&self) -> bool {
        self.form == Form::EventuallyAlways
    }

    pub(crate) fn sought(&self, state: u32) -> bool {
        self.seeks() && !self.p.get(state)
    }

    /// Whether the violation can begin in the state.
    pub(crate) fn entry(&self, state: u32) -> bool {
        self.allowed(state)
            && match self.form {
                Form::Eventually => state < self.graph.initial,
                Form::LeadsTo => self.p.get(state),
                Form::AlwaysEventually | Form::EventuallyAlways => true,
            }
    }

    /// Whether every allowed state is an entry.
    fn entered_anywhere(&self) -> bool {
        matches!(self.form, Form::AlwaysEventually | Form::EventuallyAlways)
    }

    /// The states of the bad region; `marks` gets `mark` for each.
    pub(crate) fn region(&self, marks: &mut [u32], mark: u32) -> Vec<u32> {
        let entries = (0..self.graph.states()).filter(|state| self.entry(*state));
        let mut region: Vec<u32> = entries.collect();
        for &state in &region {
            marks[state as usize] = mark;
        }
        if self.entered_anywhere() {
            return region;
        }
        let mut next = 0;
        while next < region.len() {
            for edge in self.graph.inner_edges(region[next]) {
                let seen = &mut marks[edge.target as usize];
                if *seen != mark && self.allowed(edge.target) {
                    *seen = mark;
                    region.push(edge.target);
                }
            }
            next += 1;
        }
        region
    }
}
