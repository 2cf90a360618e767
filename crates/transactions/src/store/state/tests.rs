//! The state of the store against a plain model of it.

use super::*;
use crate::id::Mark;
use proptest::prelude::*;
use quorate::NodeId;

fn ids() -> impl Strategy<Value = TransactionId> {
    (any::<u32>(), any::<u64>()).prop_map(|(node, nonce)| TransactionId {
        coordinator: NodeId(node),
        since: Mark::default(),
        nonce,
    })
}

fn keys() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..4).prop_map(Bytes::from)
}

fn records() -> impl Strategy<Value = Record> {
    let txns = (any::<u32>(), any::<u64>(), any::<u64>()).prop_map(|(node, epoch, number)| TxnId {
        coordinator: NodeId(node),
        epoch,
        number,
    });
    let fates = prop_oneof![
        Just(Fate::Kept),
        proptest::option::of(keys()).prop_map(Fate::Written),
    ];
    let locks = proptest::collection::btree_map(keys(), fates, 0..4);
    let kinds = prop_oneof![
        Just(Err(Decision::Commit)),
        Just(Err(Decision::Abort)),
        (ids(), locks).prop_map(|(id, locks)| Ok(Prepared { id, locks })),
    ];
    (txns, kinds).prop_map(|(txn, kind)| match kind {
        Ok(prepared) => Record::Prepared(txn, prepared),
        Err(decision) => Record::Decided(txn, decision),
    })
}

proptest! {
    #[test]
    fn records_come_back(record in records()) {
        let bytes = prost::Message::encode_to_vec(&proto::Record::from(&record));
        let parsed = prost::Message::decode(&bytes[..]).unwrap();
        prop_assert_eq!(Record::from_proto(parsed), Some(record));
    }
}

#[test]
fn the_oldest_outcomes_are_forgotten_and_a_commit_is_not_taken_back() {
    let id = |nonce| TransactionId {
        coordinator: NodeId(1),
        since: Mark::default(),
        nonce,
    };
    let mut outcomes = Outcomes::default();
    outcomes.note(id(0), Decision::Abort);
    outcomes.note(id(0), Decision::Commit);
    outcomes.note(id(0), Decision::Abort);
    assert_eq!(outcomes.by_id[&id(0)], Decision::Commit);
    for nonce in 1..=OUTCOMES_MAX as u64 {
        outcomes.note(id(nonce), Decision::Abort);
    }
    assert_eq!(outcomes.by_id.len(), OUTCOMES_MAX);
    assert_eq!(outcomes.order.len(), OUTCOMES_MAX);
    assert!(!outcomes.by_id.contains_key(&id(0)));
}
