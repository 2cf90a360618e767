//! What nodes, callers and resources say to each other.

use crate::{Decision, Mode, Outcome, Rejection, RequestId, TxnId, Vote};
use quorate_machine::{NodeId, Value};
use quorate_paxos as paxos;

/// What a peer says. `W` is a participant's share of the work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message<W> {
    /// The coordinator asks for a vote, once: a transaction whose question is lost is aborted.
    Prepare {
        /// The transaction.
        txn: TxnId,
        /// Where it is decided.
        mode: Mode,
        /// All who take part, ascending.
        participants: Vec<NodeId>,
        /// What the receiver is to do.
        work: W,
    },
    /// A participant votes. Who has voted yes and hears nothing votes again: it is how the coordinator is asked
    /// for its decision.
    Voted {
        /// The transaction.
        txn: TxnId,
        /// The vote.
        vote: Vote,
    },
    /// The coordinator tells its decision.
    Decided {
        /// The transaction.
        txn: TxnId,
        /// The decision.
        decision: Decision,
    },
    /// A participant has committed, and its resource too.
    Acknowledged {
        /// The transaction.
        txn: TxnId,
    },
    /// Every participant has committed: nobody will ask any more.
    Forget {
        /// The transaction.
        txn: TxnId,
    },
    /// A participant that is uncertain asks another one.
    Inquire {
        /// The transaction.
        txn: TxnId,
    },
    /// The answer of one who knows, or who sees to it that it is so.
    Answered {
        /// The transaction.
        txn: TxnId,
        /// The decision.
        decision: Decision,
    },
    /// Of the coordinator's transactions that are earlier, none is open: whoever is uncertain of one of them may
    /// take it for aborted.
    Release {
        /// The earliest that may be open.
        below: TxnId,
    },
    /// What the members say to decide a transaction that is not to block.
    Consensus(paxos::Message<TxnId, Decision>),
}

impl<W> Message<W> {
    /// The transaction that it is about.
    pub fn txn(&self) -> TxnId {
        match self {
            Message::Release { below } => *below,
            Message::Consensus(message) => *message.key(),
            Message::Prepare { txn, .. }
            | Message::Voted { txn, .. }
            | Message::Decided { txn, .. }
            | Message::Acknowledged { txn }
            | Message::Forget { txn }
            | Message::Inquire { txn }
            | Message::Answered { txn, .. } => *txn,
        }
    }
}

/// What a caller or this node's resource says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command<W> {
    /// A caller wants this done, all of it or nothing.
    ///
    /// A request that is repeated while its transaction is open, or committed and not yet forgotten, is the same
    /// transaction. An aborted one is tried anew.
    Begin {
        /// The caller's name for it.
        request: RequestId,
        /// Where it is decided.
        mode: Mode,
        /// What each participant is to do, in any order.
        work: Vec<(NodeId, W)>,
    },
    /// A caller asks what has become of a transaction; answered at once.
    Ask {
        /// The caller's name for the question.
        request: RequestId,
        /// The transaction.
        txn: TxnId,
    },
    /// The resource has prepared its share, durably, or refuses it. After a restart a resource says it again
    /// of all that it has prepared and knows no decision of.
    Prepared {
        /// The transaction.
        txn: TxnId,
        /// What it would vote.
        vote: Vote,
    },
    /// The resource has carried out what it was told, durably.
    Done {
        /// The transaction.
        txn: TxnId,
    },
}

/// What the application is told: a caller, or this node's resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output<W> {
    /// To the caller: its transaction has this identity, by which it can ask.
    Begun {
        /// The caller's name for it.
        request: RequestId,
        /// The transaction.
        txn: TxnId,
    },
    /// To the caller: it was not begun, and has no effect.
    Rejected {
        /// The caller's name for it.
        request: RequestId,
        /// Why.
        rejection: Rejection,
    },
    /// To the caller: what has become of its transaction.
    Finished {
        /// The caller's name for what it asked.
        request: RequestId,
        /// The transaction.
        txn: TxnId,
        /// The outcome.
        outcome: Outcome,
    },
    /// To the resource: prepare this, and answer with [`Command::Prepared`].
    Prepare {
        /// The transaction.
        txn: TxnId,
        /// The share of this node.
        work: W,
    },
    /// To the resource: commit, and answer with [`Command::Done`]. Repeated until then; after a restart too.
    Commit {
        /// The transaction.
        txn: TxnId,
    },
    /// To the resource: undo, if there is anything, and answer with [`Command::Done`]. Of what it has voted on it is
    /// repeated like [`Output::Commit`]; of anything else whenever the resource says that it has prepared it. Of a
    /// transaction that it knows nothing of there is nothing to undo.
    Abort {
        /// The transaction.
        txn: TxnId,
    },
}

/// The timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    /// The coordinator has waited long enough: for the votes of a transaction, or for consensus on it.
    Votes(TxnId),
    /// A participant has waited long enough: for a decision, for its resource, or to be allowed to forget.
    Waiting(TxnId),
    /// The consensus on transactions of a coordinator.
    Consensus {
        /// Whose transactions.
        coordinator: NodeId,
        /// Its own timer.
        timer: paxos::Timer,
    },
}

/// A share of work: opaque to the protocol.
pub trait Work: Value {}
impl<T: Value> Work for T {}
