//! Three nodes of the tutorial's protocol, run for real on loopback.

#[path = "../examples/primary_backup/register.rs"]
#[allow(missing_docs, unreachable_pub)]
mod register;

use quorate::{NodeId, RunError, RunOptions, Running, run};
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

async fn start(me: NodeId, peers: &Peers, data: &Path) -> Result<Running<Register>, RunError> {
    let options = RunOptions::new("test", me, peers.clone(), data.join(me.to_string()));
    let config = Config {
        me,
        nodes: NODES.to_vec(),
        copies: NODES.len(),
    };
    run(options, config).await
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
        nodes.push(start(id, &peers, folder.path()).await.unwrap());
    }
    nodes[0].submit(Command::Write(5)).await.unwrap();
    assert!(matches!(next(&mut nodes[0]).await, Output::Written(held) if held.value == 5));
    for node in nodes {
        node.shutdown().await.unwrap();
    }

    let mut third = start(NODES[2], &peers, folder.path()).await.unwrap();
    third.submit(Command::Read).await.unwrap();
    assert_eq!(next(&mut third).await, Output::NotPrimary);
    third.submit(Command::Promote).await.unwrap();
    third.submit(Command::Read).await.unwrap();
    assert!(matches!(next(&mut third).await, Output::Value(held) if held.value == 5));
    third.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_node_whose_application_does_not_listen_stops() {
    let folder = tempfile::tempdir().unwrap();
    let peers = peers();
    let mut options = RunOptions::new("test", NODES[1], peers, folder.path());
    options.outputs = 1;
    let config = Config {
        me: NODES[1],
        nodes: NODES.to_vec(),
        copies: NODES.len(),
    };
    let mut node = run::<Register>(options, config).await.unwrap();
    let handle = node.handle();
    for _ in 0..3 {
        // Refused once the node has stopped.
        let _ = handle.submit(Command::Read).await;
    }
    let stopped = timeout(Duration::from_secs(20), handle.stopped()).await;
    assert!(stopped.is_ok(), "the node goes on");
    assert_eq!(node.next().await, Some(Output::NotPrimary));
    assert_eq!(node.next().await, None);
}

#[tokio::test]
async fn a_stranger_and_a_taken_port_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut peers = peers();
    let stranger = start(NodeId(4), &peers, folder.path()).await.err();
    assert!(matches!(stranger, Some(RunError::NotAMember(NodeId(4)))));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    peers.insert(NODES[0], taken.local_addr().unwrap().to_string());
    let refused = start(NODES[0], &peers, folder.path()).await.err();
    assert!(matches!(refused, Some(RunError::Listen { .. })));
}
