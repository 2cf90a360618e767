//! Names: of transactions, of requests, and of what becomes of them.

use quorate_machine::NodeId;
use std::fmt;

/// A transaction's identity, never used twice.
///
/// A coordinator counts its transactions, in memory alone: what is begun leaves no record. So that a restarted
/// coordinator does not use a number again, each of its lives that begins a transaction has an epoch, durable
/// before any message names it. Identities of one coordinator are ordered by the time at which they were begun.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TxnId {
    /// Who coordinates it.
    pub coordinator: NodeId,
    /// In which of its lives.
    pub epoch: u64,
    /// Counted from 1 in each life.
    pub number: u64,
}

impl fmt::Display for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.coordinator, self.epoch, self.number)
    }
}

/// The same as `Display`, so that counterexamples read well.
impl fmt::Debug for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A caller's name for what it asks: who repeats a request repeats its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// The same as `Display`.
impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a participant says of its own part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vote {
    /// It can commit, whatever crashes: from now on it may not abort by itself.
    Yes,
    /// It cannot: the transaction is aborted.
    No,
}

/// What becomes of a transaction, everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Decision {
    /// All of it takes effect.
    Commit,
    /// None of it does.
    Abort,
}

/// Where a transaction is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// On the coordinator's disk: two rounds of messages and two syncs, and participants that may have to wait
    /// for the coordinator to come back.
    Blocking,
    /// By consensus of the members: as long as a majority of them is up, nobody waits for anybody in particular.
    NonBlocking,
}

/// What a caller is told of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It has committed, or will at every participant that comes back.
    Committed,
    /// It has no effect anywhere.
    Aborted(Reason),
    /// This node does not know, or does not know yet: ask later, or look at the data.
    Unknown,
}

/// Why a transaction was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// This participant voted no.
    Refused(NodeId),
    /// Not every participant voted in time.
    TimedOut,
    /// A participant lost patience with the coordinator, which then could not commit any more.
    Overtaken,
    /// Its coordinator crashed before it had decided, or what else it was has been forgotten.
    Presumed,
}

/// Why a transaction was not even begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// As many transactions as this node takes are open: try again later.
    Busy,
    /// No participants, too many, one twice, or one that is no member.
    Invalid,
}
