//! The application under test: one number.

use quorate_raft::{Index, StateMachine};
use std::fmt;

/// A number that is set and added to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Register(pub(crate) u64);

/// What is done to it. Adding twice is not adding once, so a command applied again shows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Put(u64),
    Add(u64),
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Put(value) => write!(f, "put={value}"),
            Op::Add(value) => write!(f, "add={value}"),
        }
    }
}

impl StateMachine for Register {
    type Command = Op;
    type Query = ();
    type Response = u64;

    fn apply(&mut self, _: Index, command: &Op) -> u64 {
        self.0 = match command {
            Op::Put(value) => *value,
            Op::Add(value) => self.0.wrapping_add(*value),
        };
        self.0
    }

    fn query(&self, (): &()) -> u64 {
        self.0
    }

    /// A round number, for the scripts that count bytes.
    fn size_bytes(_: &Op) -> usize {
        10
    }
}
