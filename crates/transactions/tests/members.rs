//! Three members in one process. One of them keeps its books in files of its own kind.

// What helpers of tests unwrap fails the test, as it should.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use quorate::{GroupId, Node, NodeId, NodeOptions};
use quorate_transactions::{
    Action, Done, Groups, Mode, Operation, Outcome, Participant, RunError, Share, Standing, Store,
    Transactions, TxnId, Voter, Work,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;

const GROUPS: Groups = Groups {
    commit: GroupId(1),
    reasons: GroupId(3),
};
const STORE: GroupId = GroupId(2);

/// A participant of another kind: one number, in a file, and a file for each transaction that it has prepared. It
/// makes everything durable before it says a word.
struct Ledger(PathBuf);

impl Ledger {
    fn balance(dir: &Path) -> i64 {
        let text = fs::read_to_string(dir.join("balance")).unwrap_or_default();
        text.parse().unwrap_or(0)
    }

    fn prepared(&self, txn: TxnId) -> PathBuf {
        let TxnId {
            coordinator,
            epoch,
            number,
        } = txn;
        self.0
            .join(format!("{}-{epoch}-{number}.prepared", coordinator.0))
    }

    fn write(&self, path: &Path, text: &str) {
        let new = self.0.join("new");
        fs::write(&new, text).unwrap();
        fs::File::open(&new).unwrap().sync_all().unwrap();
        fs::rename(&new, path).unwrap();
        fs::File::open(&self.0).unwrap().sync_all().unwrap();
    }
}

impl Participant for Ledger {
    fn in_doubt(&mut self) -> Vec<TxnId> {
        let files = fs::read_dir(&self.0).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let prepared = names.filter_map(|name| {
            let numbers: Vec<u64> = name
                .strip_suffix(".prepared")?
                .split('-')
                .map(|number| number.parse().unwrap())
                .collect();
            Some(TxnId {
                coordinator: NodeId(numbers[0] as u32),
                epoch: numbers[1],
                number: numbers[2],
            })
        });
        prepared.collect()
    }

    fn prepare(&mut self, txn: TxnId, work: Bytes, vote: Voter) {
        let work = Work::decode(work).unwrap();
        let mut balance = Ledger::balance(&self.0);
        for operation in work.operations {
            match operation.action {
                Action::Add(amount) => balance += amount,
                _ => return vote.no("a ledger can only add"),
            }
        }
        if balance < 0 {
            return vote.no("the ledger does not lend");
        }
        if !self.in_doubt().is_empty() {
            return vote.no("the ledger does one thing at a time");
        }
        self.write(&self.prepared(txn), &balance.to_string());
        vote.yes();
    }

    fn commit(&mut self, txn: TxnId, done: Done) {
        if let Ok(balance) = fs::read_to_string(self.prepared(txn)) {
            self.write(&self.0.join("balance"), &balance);
        }
        self.abort(txn, done);
    }

    fn abort(&mut self, txn: TxnId, done: Done) {
        let _ = fs::remove_file(self.prepared(txn));
        done.say();
    }
}

/// A member that runs.
struct Member {
    node: Node,
    transactions: Transactions,
    /// Of members 1 and 2.
    store: Option<Store>,
}

struct Cluster {
    temp: TempDir,
    addresses: BTreeMap<NodeId, String>,
    members: BTreeMap<u32, Member>,
}

impl Cluster {
    async fn start() -> Self {
        let mut listeners = Vec::new();
        for _ in 0..3 {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let addresses = listeners
            .iter()
            .map(|one| one.local_addr().unwrap().to_string());
        let mut cluster = Cluster {
            temp: tempfile::tempdir().unwrap(),
            addresses: (1..).map(NodeId).zip(addresses).collect(),
            members: BTreeMap::new(),
        };
        for (id, listener) in (1..).zip(listeners) {
            cluster.start_member(id, Some(listener)).await;
        }
        cluster
    }

    fn ledger(&self) -> PathBuf {
        self.temp.path().join("ledger")
    }

    async fn start_member(&mut self, id: u32, listener: Option<TcpListener>) {
        let data = self.temp.path().join(id.to_string());
        let options = NodeOptions::new("bank", NodeId(id), self.addresses.clone(), data);
        let node = match listener {
            Some(listener) => Node::open_on(listener, options).unwrap(),
            None => Node::open(options).await.unwrap(),
        };
        let (transactions, store) = match id {
            3 => {
                fs::create_dir_all(self.ledger()).unwrap();
                let ledger = Ledger(self.ledger());
                (Transactions::start(&node, GROUPS, ledger).unwrap(), None)
            }
            _ => {
                let (store, participant) = Store::open(&node, STORE).unwrap();
                let transactions = Transactions::start(&node, GROUPS, participant).unwrap();
                (transactions, Some(store))
            }
        };
        node.connect();
        let member = Member {
            node,
            transactions,
            store,
        };
        self.members.insert(id, member);
    }

    async fn stop_member(&mut self, id: u32) {
        let member = self.members.remove(&id).unwrap();
        member.node.shutdown().await.unwrap();
        member.transactions.participant_ended().await;
    }

    fn at(&self, id: u32) -> &Transactions {
        &self.members[&id].transactions
    }

    /// Adds at each member, coordinated by the first of them; tried again while members are still connecting.
    async fn add(&self, mode: Mode, amounts: &[(u32, i64)]) -> Outcome {
        let coordinator = self.at(amounts[0].0);
        loop {
            let id = coordinator.new_id();
            let outcome = coordinator.run(id, adds(amounts), mode).await.unwrap();
            match &outcome {
                Outcome::Aborted { reason } if reason.contains("in time") => {}
                _ => return outcome,
            }
        }
    }

    /// Waits until a member's account holds so much: the coordinator's caller is told before participants are.
    async fn holds(&self, id: u32, amount: i64) {
        let value = || match &self.members[&id].store {
            Some(store) => {
                let value = store.get(&"account".into()).unwrap().value;
                value.map_or(0, |value| String::from_utf8_lossy(&value).parse().unwrap())
            }
            None => Ledger::balance(&self.ledger()),
        };
        for _ in 0..3_000 {
            if value() == amount {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("member {id} holds {} and not {amount}", value());
    }
}

fn adds(amounts: &[(u32, i64)]) -> Vec<Share> {
    let share = |(member, amount): &(u32, i64)| Share {
        member: NodeId(*member),
        operations: vec![Operation::add("account", *amount)],
    };
    amounts.iter().map(share).collect()
}

fn aborted(reason: &str) -> Outcome {
    let reason = reason.to_owned();
    Outcome::Aborted { reason }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_moves_between_stores_of_two_kinds_all_of_it_or_nothing() {
    let mut cluster = Cluster::start().await;
    for mode in [Mode::Blocking, Mode::NonBlocking] {
        let deposit = cluster.add(mode, &[(1, 100)]).await;
        assert_eq!(deposit, Outcome::Committed);
        let moved = cluster.add(mode, &[(2, 40), (1, -70), (3, 30)]).await;
        assert_eq!(moved, Outcome::Committed);
    }
    for (member, amount) in [(1, 60), (2, 80), (3, 60)] {
        cluster.holds(member, amount).await;
    }
    // Why not, in the words of the one who refuses: of another member, and of the coordinator's own.
    let refused = cluster.add(Mode::Blocking, &[(1, 61), (3, -61)]).await;
    assert_eq!(refused, aborted("member 3: the ledger does not lend"));
    let refused = cluster.add(Mode::Blocking, &[(1, -61), (2, 61)]).await;
    let reason = "member 1: account is 60, and -61 would take it below zero";
    assert_eq!(refused, aborted(reason));
    let put = vec![Share {
        member: NodeId(3),
        operations: vec![Operation::put("account", "1")],
    }];
    let first = cluster.at(1);
    let refused = first.run(first.new_id(), put, Mode::Blocking).await;
    assert_eq!(refused, Ok(aborted("member 3: a ledger can only add")));

    // Everything is there after a restart of everybody.
    for id in 1..=3 {
        cluster.stop_member(id).await;
    }
    for id in 1..=3 {
        cluster.start_member(id, None).await;
    }
    for (member, amount) in [(1, 60), (2, 80), (3, 60)] {
        cluster.holds(member, amount).await;
    }
    assert_eq!(
        cluster.add(Mode::Blocking, &[(3, -60), (2, 60)]).await,
        Outcome::Committed
    );
    cluster.holds(3, 0).await;
    cluster.holds(2, 140).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_one_transaction_across_retries_and_restarts() {
    let mut cluster = Cluster::start().await;
    cluster.add(Mode::Blocking, &[(1, 10), (2, 10)]).await;
    let first = cluster.at(1);
    let id = first.new_id();
    let shares = adds(&[(1, 5), (2, 5)]);
    // Both at the same time, and again.
    let runs = tokio::join!(
        first.run(id, shares.clone(), Mode::Blocking),
        first.run(id, shares.clone(), Mode::Blocking)
    );
    assert_eq!(runs, (Ok(Outcome::Committed), Ok(Outcome::Committed)));
    let refused = first.new_id();
    let outcome = first
        .run(refused, adds(&[(1, -100), (2, 100)]), Mode::Blocking)
        .await;
    // An aborted one stays so, although it would be possible now.
    assert!(
        matches!(&outcome, Ok(Outcome::Aborted { .. })),
        "{outcome:?}"
    );
    assert_eq!(
        first.run(refused, adds(&[(1, 1)]), Mode::Blocking).await,
        outcome
    );
    // Others do not take it.
    let elsewhere = cluster.at(2).run(id, shares.clone(), Mode::Blocking).await;
    assert_eq!(elsewhere, Err(RunError::NotMine));

    cluster.stop_member(1).await;
    cluster.start_member(1, None).await;
    let first = cluster.at(1);
    assert_eq!(first.standing(id), Standing::Ended(Outcome::Committed));
    assert_eq!(
        first.run(id, shares, Mode::Blocking).await,
        Ok(Outcome::Committed)
    );
    cluster.holds(1, 15).await;
    cluster.holds(2, 15).await;
}

/// A participant that is away makes a transaction abort, and a coordinator that is away keeps its participants
/// waiting, and no longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stays_locked_when_everybody_is_back() {
    let mut cluster = Cluster::start().await;
    cluster.add(Mode::Blocking, &[(1, 10), (2, 10)]).await;
    cluster.stop_member(3).await;
    let first = cluster.at(1);
    let outcome = first
        .run(first.new_id(), adds(&[(2, 1), (3, 1)]), Mode::Blocking)
        .await;
    assert_eq!(
        outcome,
        Ok(aborted("not every participant has voted in time"))
    );
    cluster.start_member(3, None).await;
    let mut moved = 0;
    for mode in [Mode::Blocking, Mode::NonBlocking] {
        // Nobody waits for the outcome: the coordinator stops in the middle of it, at whatever stage.
        let first = cluster.at(1).clone();
        let id = first.new_id();
        let run = tokio::spawn(async move { first.run(id, adds(&[(2, 1), (3, 1)]), mode).await });
        tokio::time::sleep(Duration::from_millis(2)).await;
        cluster.stop_member(1).await;
        let told = run.await.unwrap();
        cluster.start_member(1, None).await;
        let second = &cluster.members[&2];
        for _ in 0..3_000 {
            if second.store.as_ref().unwrap().in_doubt(1).1 == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(second.store.as_ref().unwrap().in_doubt(1).1, 0);
        // Whoever was told something was told the truth, and both stores have it or neither.
        let mut standing = cluster.at(1).standing(id);
        while standing == Standing::Open {
            tokio::time::sleep(Duration::from_millis(10)).await;
            standing = cluster.at(1).standing(id);
        }
        let committed = Standing::Ended(Outcome::Committed);
        moved += i64::from(standing == committed);
        if let Ok(outcome) = told {
            assert_eq!(outcome == Outcome::Committed, standing == committed);
        }
        cluster.holds(2, 10 + moved).await;
        cluster.holds(3, moved).await;
    }
}
