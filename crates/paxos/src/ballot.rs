//! The words of the protocol: ballots, proposals, and what an acceptor knows of one decision.

use quorate_machine::NodeId;
use std::fmt;

/// The number of an attempt to decide. Unique, since the node that made it is part of it and makes each
/// round durable before anybody hears of it; totally ordered, by round and then by node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ballot {
    /// Grows with every attempt that the node knows of.
    pub round: u64,
    /// Who proposes.
    pub node: NodeId,
}

impl Ballot {
    /// Below every ballot that is ever used.
    pub const NONE: Ballot = Ballot {
        round: 0,
        node: NodeId(0),
    };
}

/// No ballot yet.
impl Default for Ballot {
    fn default() -> Self {
        Ballot::NONE
    }
}

impl fmt::Debug for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Ballot::NONE {
            return f.write_str("b0");
        }
        write!(f, "b{}.{}", self.round, self.node.0)
    }
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A value under a ballot. Under one ballot only one value is ever proposed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proposal<V> {
    /// The ballot.
    pub ballot: Ballot,
    /// The value.
    pub value: V,
}

impl<V: fmt::Debug> fmt::Debug for Proposal<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{}", self.value, self.ballot)
    }
}

/// What a node knows of one decision, in memory and on disk.
///
/// Who knows what is decided needs nothing else: it promises and accepts nothing more, but tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Instance<V> {
    /// Not known to be decided.
    Open(Acceptor<V>),
    /// Decided, for ever.
    Decided(V),
}

/// An acceptor's memory of one decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Acceptor<V> {
    /// No proposal of a lower ballot will be accepted.
    pub promised: Ballot,
    /// What was accepted last, and hence under the highest ballot.
    pub accepted: Option<Proposal<V>>,
}

impl<V> Default for Acceptor<V> {
    fn default() -> Self {
        Acceptor {
            promised: Ballot::NONE,
            accepted: None,
        }
    }
}

impl<V> Default for Instance<V> {
    fn default() -> Self {
        Instance::Open(Acceptor::default())
    }
}

impl<V> Instance<V> {
    /// The acceptor's memory, unless the decision is known.
    pub fn acceptor(&self) -> Option<&Acceptor<V>> {
        match self {
            Instance::Open(acceptor) => Some(acceptor),
            Instance::Decided(_) => None,
        }
    }

    /// What is decided, if known.
    pub fn decided(&self) -> Option<&V> {
        match self {
            Instance::Open(_) => None,
            Instance::Decided(value) => Some(value),
        }
    }
}
