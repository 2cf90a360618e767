//! Why a participant votes no, in words for the caller.
//!
//! The protocol carries votes, not reasons. So a reason travels beside it, in a group of its own: it is sent before the
//! vote on the same connection, and is there when the coordinator tells its caller. One that is lost is not missed.

use crate::proto;
use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;
use quorate::transport::{Inbound, Transport};
use quorate::{GroupId, Malformed, NodeId};
use quorate_commit::TxnId;
use std::collections::{HashMap, VecDeque};

/// The longest reason, in bytes; more is cut off.
const REASON_BYTES_MAX: usize = 512;
/// Reasons that are kept for transactions whose end has not come yet.
const REASONS_MAX: usize = 4096;

/// The reasons that this member has heard, and its way to tell its own.
pub(crate) struct Reasons {
    transport: Transport,
    group: GroupId,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    reasons: HashMap<(TxnId, NodeId), String>,
    /// The oldest first.
    order: VecDeque<(TxnId, NodeId)>,
}

impl Reasons {
    pub(crate) fn new(transport: Transport, group: GroupId) -> Self {
        Reasons {
            transport,
            group,
            heard: Mutex::default(),
        }
    }

    /// Tells the coordinator why this member votes no.
    pub(crate) fn tell(&self, txn: TxnId, reason: &str) {
        let reason = shortened(reason).to_owned();
        let me = self.transport.me();
        if txn.coordinator == me {
            return self.heard.lock().note(txn, me, reason);
        }
        let refusal = proto::Refusal {
            txn: Some(txn.into()),
            reason,
        };
        let payload = refusal.encode_to_vec().into();
        self.transport.send(txn.coordinator, self.group, payload);
    }

    /// Why `member` has refused, if it has said so.
    pub(crate) fn take(&self, txn: TxnId, member: NodeId) -> Option<String> {
        self.heard.lock().reasons.remove(&(txn, member))
    }
}

impl Heard {
    fn note(&mut self, txn: TxnId, from: NodeId, reason: String) {
        if self.order.len() >= REASONS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.reasons.remove(&oldest);
        }
        if self.reasons.insert((txn, from), reason).is_none() {
            self.order.push_back((txn, from));
        }
    }
}

impl Inbound for Reasons {
    fn receive(&self, from: NodeId, payload: Bytes) -> Result<(), Malformed> {
        let refusal = proto::Refusal::decode(payload);
        let refusal = refusal.map_err(|why| Malformed::new(why.to_string()))?;
        let txn = refusal
            .txn
            .ok_or(Malformed::new("a transaction's identity is missing"))?;
        let txn = TxnId::from(txn);
        if txn.coordinator == self.transport.me() {
            let reason = shortened(&refusal.reason).to_owned();
            self.heard.lock().note(txn, from, reason);
        }
        Ok(())
    }
}

fn shortened(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txn(number: u64) -> TxnId {
        TxnId {
            coordinator: NodeId(1),
            epoch: 1,
            number,
        }
    }

    #[test]
    fn each_member_has_its_reason_and_the_oldest_go() {
        let mut heard = Heard::default();
        heard.note(txn(1), NodeId(2), "no money".to_owned());
        heard.note(txn(1), NodeId(3), "no mind to".to_owned());
        assert_eq!(heard.reasons[&(txn(1), NodeId(2))], "no money");
        assert_eq!(heard.reasons[&(txn(1), NodeId(3))], "no mind to");
        for number in 2..=REASONS_MAX as u64 {
            heard.note(txn(number), NodeId(2), String::new());
        }
        assert!(!heard.reasons.contains_key(&(txn(1), NodeId(2))));
        assert_eq!(heard.reasons.len(), REASONS_MAX);
        assert_eq!(heard.order.len(), REASONS_MAX);
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let long = "é".repeat(REASON_BYTES_MAX);
        assert_eq!(shortened(&long).len(), REASON_BYTES_MAX);
        assert_eq!(shortened(&format!("x{long}")).len(), REASON_BYTES_MAX - 1);
    }
}
