//! What clients do to Paxos in the model, and what they saw.

use super::Key;
use stateright::semantics::{LinearizabilityTester, SequentialSpec};
use std::collections::{BTreeMap, BTreeSet};

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Propose a value, and learn what is decided.
    Propose(Key, u8),
    /// Ask what is decided.
    Read(Key),
}

impl Op {
    /// What is proposed.
    pub(super) fn value(self) -> Option<u8> {
        match self {
            Op::Propose(_, value) => Some(value),
            Op::Read(_) => None,
        }
    }
}

/// What Paxos looks like from outside: registers that are written once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Decisions(BTreeMap<Key, u8>);

impl SequentialSpec for Decisions {
    type Op = Op;
    /// What is decided, if anything is.
    type Ret = Option<u8>;

    fn invoke(&mut self, op: &Op) -> Option<u8> {
        match *op {
            Op::Propose(key, value) => Some(*self.0.entry(key).or_insert(value)),
            Op::Read(key) => self.0.get(&key).copied(),
        }
    }
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client {
    /// How many operations of its script it has invoked.
    pub(super) invoked: usize,
    /// The answers so far; one less than `invoked` while an operation is outstanding.
    pub(super) answers: Vec<Option<u8>>,
    /// Whether its outstanding operation was refused.
    pub(super) ended: bool,
}

/// All clients, and what must never change once it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Clients {
    pub(super) clients: Vec<Client>,
    pub(super) retries: u8,
    pub(super) releases: u8,
    pub(super) history: LinearizabilityTester<u8, Decisions>,
    pub(super) linearizable: bool,
    /// Everything that anybody was ever told to be decided, whatever crashed or was released since.
    pub(super) decided: BTreeSet<(Key, u8)>,
}
