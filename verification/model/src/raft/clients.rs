//! What clients do to Raft in the model, and what they saw.

use quorate_machine::NodeId;
use quorate_raft::{Entry, Index, Position, SessionId, StateMachine, Term};
use stateright::semantics::{LinearizabilityTester, SequentialSpec};

/// The replicated object: a list of digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digits(pub(super) u64);

impl Digits {
    fn with(&self, digit: u8) -> u64 {
        self.0.wrapping_mul(10).wrapping_add(u64::from(digit))
    }
}

impl StateMachine for Digits {
    type Command = u8;
    type Query = ();
    type Response = u64;

    fn apply(&mut self, _: Index, digit: &u8) -> u64 {
        self.0 = self.with(*digit);
        self.0
    }

    fn query(&self, (): &()) -> u64 {
        self.0
    }
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Open a session.
    Open,
    /// Append a digit.
    Append(u8),
    /// Read all digits.
    Read,
}

impl SequentialSpec for Digits {
    type Op = Op;
    type Ret = u64;

    fn invoke(&mut self, op: &Op) -> u64 {
        if let Op::Append(digit) = op {
            self.0 = self.with(*digit);
        }
        self.0
    }
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client {
    pub(super) session: Option<SessionId>,
    /// How many operations of its script it has invoked.
    pub(super) invoked: usize,
    /// The answers so far; one less than `invoked` while an operation is outstanding.
    pub(super) answers: Vec<u64>,
    /// Whether its outstanding operation has come to nothing: its session expired.
    pub(super) ended: bool,
}

/// All clients, and what must never change once it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Clients {
    pub(super) clients: Vec<Client>,
    pub(super) retries: u8,
    pub(super) history: LinearizabilityTester<u8, Digits>,
    pub(super) linearizable: bool,
    /// Whether a command that was sent again was answered as before.
    pub(super) repeated: bool,
    /// Whether every answer to the same request was the same.
    pub(super) steady: bool,
    pub(super) expired: bool,
    /// Every entry that any node has ever known to be committed, whatever crashed since.
    pub(super) committed: Vec<Entry<u8>>,
    /// The term of the leader that committed each of them.
    pub(super) committed_in: Vec<Term>,
    /// The leader of each term so far, by term.
    pub(super) leaders: Vec<Option<NodeId>>,
}

impl Clients {
    pub(super) fn positions(&self) -> Vec<Position> {
        let positions = self.committed.iter().zip(1..);
        let positions = positions.map(|(entry, index)| Position {
            term: entry.term,
            index: Index(index),
        });
        positions.collect()
    }
}
