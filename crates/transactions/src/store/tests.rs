//! The embedded store: what is locked, what is refused, what a restart finds.

use super::*;
use crate::id::Mark;
use crate::{Action, Operation};
use quorate::{NodeId, NodeOptions};
use std::path::Path;

const ME: NodeId = NodeId(1);
const GROUP: GroupId = GroupId(2);

fn txn(number: u64) -> TxnId {
    TxnId {
        coordinator: ME,
        epoch: 1,
        number,
    }
}

fn id(nonce: u64) -> TransactionId {
    TransactionId {
        coordinator: ME,
        since: Mark::default(),
        nonce,
    }
}

async fn node(data: &Path) -> Node {
    let alone = [(ME, "127.0.0.1:0")];
    let options = NodeOptions::new("store", ME, alone, data);
    Node::open(options).await.unwrap()
}

impl EmbeddedStore {
    /// Prepares as a participant does, without anybody who waits for a vote.
    fn try_prepare(&mut self, number: u64, operations: Vec<Operation>) -> Result<(), String> {
        let id = id(number);
        let resolved = self.store.state().resolve(&Work { id, operations });
        let prepared = resolved.map_err(|refused| refused.to_string())?;
        self.collect(Record::Prepared(txn(number), prepared));
        Ok(())
    }

    fn carry_out(&mut self, number: u64, decision: Decision) {
        if self.store.state().prepared.contains_key(&txn(number)) {
            self.settle(txn(number), decision);
        }
    }

    /// Has everything on the disk.
    fn sync(&mut self) {
        self.append_if_any();
        let (tell, told) = std::sync::mpsc::channel();
        let done = Box::new(move || tell.send(()).unwrap());
        let next = self.log.append(self.group, vec![], done).unwrap();
        told.recv().unwrap();
        self.last = next;
        self.durable.store(next, Ordering::Release);
    }

    fn append_if_any(&mut self) {
        if !self.collected.records.is_empty() {
            self.append();
        }
    }
}

fn value(store: &Store, key: &'static str) -> Option<Bytes> {
    store
        .get(&Bytes::from_static(key.as_bytes()))
        .unwrap()
        .value
}

fn all(store: &Store) -> Vec<(Bytes, Bytes)> {
    let (items, more) = store.list(&Bytes::new(), &Bytes::new(), 1000).unwrap();
    assert!(!more);
    items
}

#[tokio::test]
async fn a_transaction_takes_effect_when_it_commits_and_its_locks_keep_others_away() {
    let temp = tempfile::tempdir().unwrap();
    let node = node(temp.path()).await;
    let (store, mut embedded) = Store::open(&node, GROUP).unwrap();
    embedded
        .try_prepare(1, vec![Operation::add("a", 5)])
        .unwrap();
    assert_eq!(value(&store, "a"), None);
    let refused = embedded.try_prepare(2, vec![Operation::put("a", "x")]);
    let expected = "a is locked by transaction 1-0.0-0000000000000001";
    assert_eq!(refused, Err(expected.to_owned()));
    // What is only looked at is locked, too.
    embedded.carry_out(1, Decision::Commit);
    embedded
        .try_prepare(3, vec![Operation::expect("a", "5")])
        .unwrap();
    assert!(
        embedded
            .try_prepare(4, vec![Operation::add("a", 1)])
            .is_err()
    );
    embedded.carry_out(3, Decision::Abort);
    embedded
        .try_prepare(5, vec![Operation::add("a", 1)])
        .unwrap();
    embedded.carry_out(5, Decision::Abort);
    assert_eq!(value(&store, "a").unwrap(), "5");
    assert_eq!(store.standing(id(1)), Some(Some(Decision::Commit)));
    assert_eq!(store.standing(id(5)), Some(Some(Decision::Abort)));
    assert_eq!(store.standing(id(6)), None);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_the_reason() {
    let temp = tempfile::tempdir().unwrap();
    let node = node(temp.path()).await;
    let (_, mut embedded) = Store::open(&node, GROUP).unwrap();
    let operations = vec![Operation::add("a", 5), Operation::put("b", "text")];
    embedded.try_prepare(1, operations).unwrap();
    embedded.carry_out(1, Decision::Commit);
    let absent = || Action::Absent;
    for (operation, reason) in [
        (
            Operation::add("a", -6),
            "a is 5, and -6 would take it below zero",
        ),
        (
            Operation::add("c", -1),
            "c is 0, and -1 would take it below zero",
        ),
        (Operation::add("b", 1), "b is not a number"),
        (
            Operation::add("a", i64::MAX),
            "a would be larger than numbers are here",
        ),
        (Operation::expect("a", "6"), "a is 5"),
        (Operation::expect("c", "6"), "c does not exist"),
        (absent().on("a"), "a is 5"),
    ] {
        assert_eq!(
            embedded.try_prepare(2, vec![operation]),
            Err(reason.to_owned())
        );
    }
    // Each sees what those before it did; what was refused has locked nothing.
    let operations = vec![
        absent().on("c"),
        Operation::add("c", 3),
        Operation::add("c", -3),
        Operation::expect("c", "0"),
        Action::Delete.on("a"),
        absent().on("a"),
    ];
    embedded.try_prepare(3, operations).unwrap();
    embedded.carry_out(3, Decision::Commit);
    assert_eq!(embedded.store.get(&"a".into()).unwrap().value, None);
    assert_eq!(embedded.store.get(&"c".into()).unwrap().value.unwrap(), "0");
    node.shutdown().await.unwrap();
}

/// Transactions with and without an outcome, checkpoints in between, and a restart after each: whatever is durable
/// comes back, with its locks, and once.
#[tokio::test]
async fn a_restart_finds_what_was_there_with_and_without_checkpoints() {
    let temp = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..6_u64 {
        let node = node(temp.path()).await;
        let (store, mut embedded) = Store::open(&node, GROUP).unwrap();
        assert_eq!(all(&store), expected, "round {round}");
        let doubts: Vec<TxnId> = embedded.in_doubt();
        let open: Vec<TxnId> = (1..=round).map(|number| txn(number * 10)).collect();
        assert_eq!(doubts, open, "round {round}");
        if round > 0 {
            let locked = embedded.try_prepare(1, vec![Operation::add("locked 1", 1)]);
            assert!(
                locked.unwrap_err().contains("is locked by"),
                "round {round}"
            );
        }

        let first = round * 10 + 1;
        embedded
            .try_prepare(first, vec![Operation::add("sum", 7)])
            .unwrap();
        embedded.carry_out(first, Decision::Commit);
        // Told twice, done once.
        embedded.carry_out(first, Decision::Commit);
        let number = (round + 1) * 10;
        let lock = Operation::add(format!("locked {}", round + 1), 1);
        embedded.try_prepare(number, vec![lock]).unwrap();
        if round % 2 == 0 {
            // The checkpoint goes up to here ...
            embedded.sync();
            embedded.store.state().recent_bytes = CHECKPOINT_BYTES;
            embedded.begin_checkpoint();
            embedded.end_checkpoint().unwrap();
            assert!(embedded.leaving.is_none());
            assert!(store.state().recent.is_empty());
            assert_eq!(all(&store).len(), 1 + expected.len().saturating_sub(1));
        }
        // ... and this comes after it.
        embedded
            .try_prepare(first + 1, vec![Operation::add("sum", 1)])
            .unwrap();
        embedded.carry_out(first + 1, Decision::Commit);
        embedded.sync();
        expected = vec![("sum".into(), ((round + 1) * 8).to_string().into())];
        assert_eq!(all(&store), expected);
        drop((store, embedded));
        node.shutdown().await.unwrap();
    }
}

/// The files never get ahead of the log: what was not durable is not in a checkpoint.
#[tokio::test]
async fn a_checkpoint_waits_for_the_log() {
    let temp = tempfile::tempdir().unwrap();
    let node = node(temp.path()).await;
    let (store, mut embedded) = Store::open(&node, GROUP).unwrap();
    embedded
        .try_prepare(1, vec![Operation::add("a", 1)])
        .unwrap();
    embedded.carry_out(1, Decision::Commit);
    embedded.append();
    store.state().recent_bytes = CHECKPOINT_BYTES;
    embedded.begin_checkpoint();
    embedded.durable.store(0, Ordering::Release);
    embedded.end_checkpoint().unwrap();
    assert!(embedded.leaving.is_some());
    assert_eq!(store.state().files.get("a").unwrap(), None);
    // Read all the same, and changed meanwhile.
    assert_eq!(value(&store, "a").unwrap(), "1");
    embedded
        .try_prepare(2, vec![Action::Delete.on("a")])
        .unwrap();
    embedded.carry_out(2, Decision::Commit);
    assert_eq!(value(&store, "a"), None);
    assert_eq!(all(&store), []);
    embedded.sync();
    embedded.end_checkpoint().unwrap();
    assert_eq!(&*store.state().files.get("a").unwrap().unwrap(), b"1");
    assert_eq!(value(&store, "a"), None);
    assert_eq!(all(&store), []);
    drop((store, embedded));
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn lists_are_in_order_and_in_pages_over_files_and_memory() {
    let temp = tempfile::tempdir().unwrap();
    let node = node(temp.path()).await;
    let (store, mut embedded) = Store::open(&node, GROUP).unwrap();
    for (number, keys) in [
        (1, ["b", "d", "f"]),
        (2, ["a", "c", "d"]),
        (3, ["e", "f", "g"]),
    ] {
        let puts = keys
            .map(|key| Operation::put(key, number.to_string()))
            .to_vec();
        embedded.try_prepare(number, puts).unwrap();
        embedded.carry_out(number, Decision::Commit);
        embedded.sync();
        if number < 3 {
            store.state().recent_bytes = CHECKPOINT_BYTES;
            embedded.begin_checkpoint();
        }
        if number < 2 {
            embedded.end_checkpoint().unwrap();
        }
    }
    let text = |items: &[(Bytes, Bytes)]| {
        let pairs = items
            .iter()
            .map(|(key, value)| [&key[..], &value[..]].concat());
        pairs
            .map(|pair| String::from_utf8(pair).unwrap())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let list = |start: &'static str, end: &'static str, limit| {
        let (items, more) = store.list(&start.into(), &end.into(), limit).unwrap();
        (text(&items), more)
    };
    assert_eq!(
        list("", "", 100),
        ("a2 b1 c2 d2 e3 f3 g3".to_owned(), false)
    );
    assert_eq!(list("", "", 3), ("a2 b1 c2".to_owned(), true));
    assert_eq!(list("c", "f", 100), ("c2 d2 e3".to_owned(), false));
    assert_eq!(list("f", "", 2), ("f3 g3".to_owned(), false));
    assert_eq!(list("f", "c", 2), (String::new(), false));
    drop(embedded);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_read_waits_for_who_has_the_key_locked_and_not_for_ever() {
    let temp = tempfile::tempdir().unwrap();
    let node = node(temp.path()).await;
    let (store, mut embedded) = Store::open(&node, GROUP).unwrap();
    let key = Bytes::from_static(b"a");
    embedded
        .try_prepare(1, vec![Operation::add("a", 1)])
        .unwrap();
    let read = store.read(&key, Duration::from_millis(20)).await.unwrap();
    assert_eq!((read.value, read.locked_by), (None, Some(id(1))));

    let reader = store.clone();
    let reading = tokio::spawn(async move { reader.read(&key, Duration::from_secs(60)).await });
    tokio::task::yield_now().await;
    assert!(!reading.is_finished());
    embedded.carry_out(1, Decision::Commit);
    let read = reading.await.unwrap().unwrap();
    assert_eq!((read.value.unwrap(), read.locked_by), ("1".into(), None));
    drop(embedded);
    node.shutdown().await.unwrap();
}
