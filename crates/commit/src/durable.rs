//! What the disk holds.

use crate::{Decision, Mode, RequestId, TxnId};
use quorate_machine::{Machine, NodeId};
use quorate_paxos as paxos;
use std::collections::BTreeMap;

/// One durable write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// As a coordinator: this life has this epoch.
    Epoch(u64),
    /// As a coordinator: committed. This is the moment at which a transaction commits, unless consensus
    /// decides it; then it is about to be proposed.
    Committed {
        /// The transaction.
        txn: TxnId,
        /// Where it is decided.
        mode: Mode,
        /// The caller's name for it.
        request: RequestId,
        /// Who must acknowledge.
        participants: Vec<NodeId>,
    },
    /// As a coordinator: every participant has committed.
    Ended {
        /// The transaction.
        txn: TxnId,
        /// The ended transaction that is forgotten to make room, possibly this one.
        forgets: Option<TxnId>,
    },
    /// As a coordinator: consensus has decided to abort it.
    Abandoned(TxnId),
    /// As a participant: voted yes.
    Voted {
        /// The transaction.
        txn: TxnId,
        /// Where it is decided.
        mode: Mode,
        /// All who take part.
        participants: Vec<NodeId>,
    },
    /// As a participant: of this coordinator's transactions up to this one, none will be voted on that is
    /// not yet.
    Refused(TxnId),
    /// As a participant: the decision is known.
    Decided {
        /// The transaction.
        txn: TxnId,
        /// The decision.
        decision: Decision,
    },
    /// As a participant: done, and nobody will ask.
    Forgotten(TxnId),
    /// As a member: one of the consensus's own.
    Consensus(paxos::Record<TxnId, Decision>),
}

/// What a crash leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Durable {
    /// The last epoch of this coordinator; 0 before the first.
    pub epoch: u64,
    /// Committed, and not acknowledged by every participant.
    pub committed: BTreeMap<TxnId, Committed>,
    /// Committed and acknowledged, and still known for callers.
    pub ended: BTreeMap<TxnId, RequestId>,
    /// The latest transaction that was committed and is not known any more. What is later and not known was
    /// never committed.
    pub forgotten: Option<TxnId>,
    /// The transactions that this node has voted yes on and not yet forgotten.
    pub votes: BTreeMap<TxnId, Joined>,
    /// Of each coordinator, the latest transaction that this node has voted yes on or refused for good. It
    /// never goes back.
    pub latest: BTreeMap<NodeId, TxnId>,
    /// What this member knows of the consensus on the transactions of each coordinator.
    pub consensus: BTreeMap<NodeId, paxos::Durable<TxnId, Decision>>,
}

/// A transaction at its coordinator that is committed, or, if consensus decides it, may be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Committed {
    /// Where it is decided.
    pub mode: Mode,
    /// The caller's name for it.
    pub request: RequestId,
    /// Who must acknowledge.
    pub participants: Vec<NodeId>,
}

/// A transaction at a participant that has voted yes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Joined {
    /// Where it is decided.
    pub mode: Mode,
    /// All who take part.
    pub participants: Vec<NodeId>,
    /// What was decided, if it is known.
    pub decision: Option<Decision>,
}

impl Durable {
    pub(crate) fn fold(&mut self, record: &Record) {
        match record {
            Record::Epoch(epoch) => self.epoch = *epoch,
            Record::Committed {
                txn,
                mode,
                request,
                participants,
            } => {
                let committed = Committed {
                    mode: *mode,
                    request: *request,
                    participants: participants.clone(),
                };
                self.committed.insert(*txn, committed);
            }
            Record::Ended { txn, forgets } => {
                if let Some(committed) = self.committed.remove(txn) {
                    self.ended.insert(*txn, committed.request);
                }
                if let Some(forgotten) = forgets {
                    self.ended.remove(forgotten);
                    self.forgotten = self.forgotten.max(Some(*forgotten));
                }
            }
            Record::Abandoned(txn) => {
                self.committed.remove(txn);
            }
            Record::Voted {
                txn,
                mode,
                participants,
            } => {
                let joined = Joined {
                    mode: *mode,
                    participants: participants.clone(),
                    decision: None,
                };
                self.votes.insert(*txn, joined);
                raise(&mut self.latest, *txn);
            }
            Record::Refused(txn) => raise(&mut self.latest, *txn),
            Record::Decided { txn, decision } => {
                if let Some(joined) = self.votes.get_mut(txn) {
                    joined.decision = Some(*decision);
                }
            }
            Record::Forgotten(txn) => {
                self.votes.remove(txn);
            }
            Record::Consensus(record) => {
                let durable = self.consensus.entry(coordinator(record)).or_default();
                Consensus::apply(durable, record);
            }
        }
    }

    /// Whether the coordinator on this disk has committed a transaction, or may have and has forgotten it.
    pub(crate) fn has_committed(&self, txn: TxnId) -> bool {
        self.committed.contains_key(&txn)
            || self.ended.contains_key(&txn)
            || Some(txn) <= self.forgotten
    }

    /// Whether the participant on this disk will never vote yes on a transaction that it does not know.
    pub(crate) fn is_settled(&self, txn: TxnId) -> bool {
        self.latest.get(&txn.coordinator) >= Some(&txn)
    }

    /// Whether the participant on this disk has decided so, or had to and has forgotten it.
    pub(crate) fn has_decided(&self, txn: TxnId, decision: Decision) -> bool {
        match self.votes.get(&txn) {
            Some(joined) => joined.decision == Some(decision),
            None => self.is_settled(txn),
        }
    }
}

/// The consensus on the transactions of one coordinator.
pub(crate) type Consensus = paxos::Paxos<TxnId, Decision>;

/// Whose transactions a record is about.
fn coordinator(record: &paxos::Record<TxnId, Decision>) -> NodeId {
    let key = match record {
        paxos::Record::Promised { key, .. }
        | paxos::Record::Accepted { key, .. }
        | paxos::Record::Decided { key, .. } => key,
        paxos::Record::Released { below } => below,
    };
    key.coordinator
}

/// Remembers that nothing up to `txn` of its coordinator is voted on any more.
pub(crate) fn raise(latest: &mut BTreeMap<NodeId, TxnId>, txn: TxnId) {
    let last = latest.entry(txn.coordinator).or_insert(txn);
    *last = txn.max(*last);
}
