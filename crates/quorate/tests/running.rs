//! Three nodes of the tutorial's protocol, run for real on loopback.

#[path = "../examples/primary_backup/register.rs"]
#[allow(missing_docs, unreachable_pub)]
mod register;

use quorate::{
    GroupError, GroupId, Index, Node, NodeError, NodeId, NodeOptions, Outcome, Replica, Running,
    StateMachine, Tuning,
};
use register::{Command, Config, Output, Register};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

type Peers = BTreeMap<NodeId, String>;

/// Addresses that were free a moment ago.
fn peers() -> Peers {
    let listeners = NODES.map(|id| (id, TcpListener::bind("127.0.0.1:0").expect("a free port")));
    let address = |(id, listener): &(NodeId, TcpListener)| {
        (*id, listener.local_addr().expect("an address").to_string())
    };
    listeners.iter().map(address).collect()
}

const GROUP: GroupId = GroupId(1);

async fn open(me: NodeId, peers: &Peers, data: &Path) -> Result<Node, NodeError> {
    let data = data.join(me.to_string());
    Node::open(NodeOptions::new("test", me, peers.clone(), data)).await
}

fn config(me: NodeId) -> Config {
    Config {
        me,
        nodes: NODES.to_vec(),
        copies: NODES.len(),
    }
}

/// A node that runs the protocol.
async fn start(me: NodeId, peers: &Peers, data: &Path) -> (Node, Running<Register>) {
    let node = open(me, peers, data).await.expect("a node");
    let running = node.run(GROUP, config(me), 1 << 10).expect("a group");
    node.connect();
    (node, running)
}

async fn next(node: &mut Running<Register>) -> Output {
    let next = timeout(Duration::from_secs(20), node.next()).await;
    next.expect("an output soon").expect("a running node")
}

#[tokio::test]
async fn a_write_survives_its_primary_and_every_process() {
    let folder = tempfile::tempdir().unwrap();
    let peers = peers();
    let mut nodes = Vec::new();
    for id in NODES {
        nodes.push(start(id, &peers, folder.path()).await);
    }
    let (_, first) = &mut nodes[0];
    first.submit(Command::Write(5)).await.unwrap();
    assert!(matches!(next(first).await, Output::Written(held) if held.value == 5));
    for (node, _) in nodes {
        node.shutdown().await.unwrap();
    }

    let (node, mut third) = start(NODES[2], &peers, folder.path()).await;
    third.submit(Command::Read).await.unwrap();
    assert_eq!(next(&mut third).await, Output::NotPrimary);
    third.submit(Command::Promote).await.unwrap();
    third.submit(Command::Read).await.unwrap();
    assert!(matches!(next(&mut third).await, Output::Value(held) if held.value == 5));
    node.shutdown().await.unwrap();
}

/// Two groups of one protocol and a third of another share logs, connections and processes; each has its own
/// records after a restart.
#[tokio::test]
async fn groups_share_a_node_and_nothing_else() {
    const OTHER: GroupId = GroupId(2);
    const SUM: GroupId = GroupId(3);
    let folder = tempfile::tempdir().unwrap();
    let peers = peers();
    let mut nodes = Vec::new();
    for id in NODES {
        let node = open(id, &peers, folder.path()).await.unwrap();
        let first = node.run::<Register>(GROUP, config(id), 16).unwrap();
        let other = node.run::<Register>(OTHER, config(id), 16).unwrap();
        let sum = Replica::start(&node, SUM, tuning(), Sum(0)).unwrap();
        assert!(matches!(
            node.run::<Register>(OTHER, config(id), 16).err(),
            Some(GroupError::Runs(OTHER))
        ));
        node.connect();
        nodes.push((node, first, other, sum));
    }
    let (_, first, other, _) = &mut nodes[0];
    first.submit(Command::Write(5)).await.unwrap();
    other.submit(Command::Write(6)).await.unwrap();
    assert!(matches!(next(first).await, Output::Written(held) if held.value == 5));
    assert!(matches!(next(other).await, Output::Written(held) if held.value == 6));
    assert_eq!(add(&nodes, 7).await, 7);
    for (node, ..) in nodes {
        node.clone().shutdown().await.unwrap();
        assert!(matches!(
            node.run::<Register>(GroupId(4), config(NODES[0]), 16).err(),
            Some(GroupError::Stopped)
        ));
    }

    let node = open(NODES[0], &peers, folder.path()).await.unwrap();
    for (group, value) in [(OTHER, 6), (GROUP, 5)] {
        let mut running = node.run::<Register>(group, config(NODES[0]), 16).unwrap();
        running.submit(Command::Read).await.unwrap();
        assert!(matches!(next(&mut running).await, Output::Value(held) if held.value == value));
    }
    node.shutdown().await.unwrap();
}

fn tuning() -> Tuning {
    Tuning {
        election_ticks: 20..=60,
        heartbeat_ticks: 5,
        ..Tuning::default()
    }
}

/// Asks whoever leads.
async fn add<A, B>(nodes: &[(Node, A, B, Replica<Sum>)], number: u64) -> u64 {
    for (_, _, _, sum) in nodes.iter().cycle() {
        sum.knows_leader().await;
        if let Ok(session) = sum.open_session().await
            && let Ok(Outcome::Applied(total)) = sum.write(session, 1, number).await
        {
            return total;
        }
    }
    unreachable!("the nodes are asked again and again")
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sum(u64);

impl StateMachine for Sum {
    type Command = u64;
    type Query = ();
    type Response = u64;
    fn apply(&mut self, _: Index, add: &u64) -> u64 {
        self.0 += add;
        self.0
    }
    fn query(&self, (): &()) -> u64 {
        self.0
    }
}

#[tokio::test]
async fn a_group_whose_application_does_not_listen_stops() {
    let folder = tempfile::tempdir().unwrap();
    let peers = peers();
    let node = open(NODES[1], &peers, folder.path()).await.unwrap();
    let mut running = node.run::<Register>(GROUP, config(NODES[1]), 1).unwrap();
    let handle = running.handle();
    for _ in 0..3 {
        // Refused once the group has stopped.
        let _ = handle.submit(Command::Read).await;
    }
    let stopped = timeout(Duration::from_secs(20), handle.stopped()).await;
    assert!(stopped.is_ok(), "the group goes on");
    assert_eq!(running.next().await, Some(Output::NotPrimary));
    assert_eq!(running.next().await, None);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_stranger_and_a_taken_port_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut peers = peers();
    let stranger = open(NodeId(4), &peers, folder.path()).await.err();
    assert!(matches!(stranger, Some(NodeError::NotAMember(NodeId(4)))));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    peers.insert(NODES[0], taken.local_addr().unwrap().to_string());
    let refused = open(NODES[0], &peers, folder.path()).await.err();
    assert!(matches!(refused, Some(NodeError::Listen { .. })));
    peers.insert(NODES[1], peers[&NODES[0]].clone());
    let refused = open(NODES[0], &peers, folder.path()).await.err();
    assert!(matches!(refused, Some(NodeError::SameAddress(..))));
}
