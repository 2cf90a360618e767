//! Transports that talk over loopback.
//!
//! All run on one thread, so a burst of sends without an await is a burst.

use crate::proto::peer_client::PeerClient;
use crate::proto::{self, Packet};
use crate::{Backoff, Inbound, Limits, Malformed, PeerConfig, PeerStats, Transport};
use bytes::Bytes;
use quorate_machine::{GroupId, NodeId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

const GROUP: GroupId = GroupId(7);
const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);

/// Hands messages to the test; takes "bad" for one that does not parse.
struct Mailbox(UnboundedSender<(NodeId, Bytes)>);

impl Inbound for Mailbox {
    fn receive(&self, from: NodeId, payload: Bytes) -> Result<(), Malformed> {
        if payload == "bad" {
            return Err(Malformed::new("it is bad"));
        }
        let _ = self.0.send((from, payload));
        Ok(())
    }
}

/// A running node.
struct Node {
    config: PeerConfig,
    transport: Transport,
    mail: UnboundedReceiver<(NodeId, Bytes)>,
    server: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Node {
    fn start(config: PeerConfig, listener: TcpListener) -> Node {
        let transport = Transport::new(config.clone());
        let (sender, mail) = unbounded_channel();
        transport.register(GROUP, Arc::new(Mailbox(sender)));
        let (stop, stopped) = oneshot::channel();
        let serving = crate::server()
            .add_service(transport.service())
            .serve_with_incoming_shutdown(crate::incoming(listener), async {
                let _ = stopped.await;
            });
        let server = tokio::spawn(async move { serving.await.unwrap() });
        transport.dial();
        Node {
            config,
            transport,
            mail,
            server,
            stop,
        }
    }

    /// Ends as a killed process does: its sockets are closed.
    async fn kill(self) {
        self.transport.shutdown();
        self.server.abort();
        let _ = self.server.await;
    }

    fn send(&self, to: NodeId, text: &str) {
        let payload = Bytes::copy_from_slice(text.as_bytes());
        self.transport.send(to, GROUP, payload);
    }

    async fn receive(&mut self) -> (NodeId, String) {
        let (from, payload) = soon(self.mail.recv()).await.unwrap();
        (from, String::from_utf8(payload.to_vec()).unwrap())
    }

    fn stats(&self, peer: NodeId) -> PeerStats {
        self.transport.stats()[&peer]
    }

    async fn until(&self, peer: NodeId, holds: impl Fn(&PeerStats) -> bool) {
        soon(async {
            while !holds(&self.stats(peer)) {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    async fn connected(&self, peer: NodeId) {
        self.until(peer, |stats| stats.connected).await;
    }
}

/// Fails a test that hangs.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future)
        .await
        .expect("soon")
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn config(me: NodeId, peers: &BTreeMap<NodeId, String>) -> PeerConfig {
    PeerConfig {
        backoff: Backoff {
            first: Duration::from_millis(5),
            longest: Duration::from_millis(50),
        },
        ..PeerConfig::new("test", me, peers.clone())
    }
}

/// Nodes 1, 2, … of one cluster, connected, with configurations altered by `alter`.
async fn cluster<const N: usize>(alter: impl Fn(&mut PeerConfig)) -> [Node; N] {
    let mut listeners = Vec::new();
    let mut peers = BTreeMap::new();
    for id in (1..).map(NodeId).take(N) {
        let (listener, address) = listener().await;
        listeners.push((id, listener));
        peers.insert(id, address);
    }
    let nodes = listeners.into_iter().map(|(id, listener)| {
        let mut config = config(id, &peers);
        alter(&mut config);
        Node::start(config, listener)
    });
    let nodes: Vec<Node> = nodes.collect();
    for node in &nodes {
        for &peer in node.transport.stats().keys() {
            node.connected(peer).await;
        }
    }
    nodes.try_into().map_err(|_| ()).unwrap()
}

#[tokio::test]
async fn messages_arrive_in_order_both_ways_between_all() {
    let mut nodes: [Node; 3] = cluster(|_| ()).await;
    for from in &nodes {
        for number in 0..1000 {
            for &to in from.transport.stats().keys() {
                from.send(to, &format!("{} {number}", from.transport.me()));
            }
        }
    }
    for node in &mut nodes {
        let mut next = BTreeMap::from_iter(node.transport.stats().keys().map(|&peer| (peer, 0)));
        for _ in 0..2000 {
            let (from, text) = node.receive().await;
            let number = next.get_mut(&from).unwrap();
            assert_eq!(text, format!("{from} {number}"));
            *number += 1;
        }
    }
    assert_eq!(nodes[0].stats(N2).sent, 1000);
    assert_eq!(nodes[0].stats(N2).received, 1000);
}

#[tokio::test]
async fn a_restarted_peer_is_connected_again_and_old_messages_are_not_resent() {
    for restarted in [0, 1] {
        let [n1, n2] = cluster(|_| ()).await;
        let (stays, goes) = if restarted == 0 { (n2, n1) } else { (n1, n2) };
        let (mut stays, peer) = (stays, goes.transport.me());
        let config = goes.config.clone();
        let address = config.peers[&peer].clone();
        goes.kill().await;
        stays.until(peer, |stats| !stats.connected).await;
        stays.send(peer, "lost");
        assert_eq!(stays.stats(peer).dropped_disconnected, 1);

        let listener = TcpListener::bind(&address).await.unwrap();
        let mut back = Node::start(config, listener);
        stays.connected(peer).await;
        back.connected(stays.transport.me()).await;
        stays.send(peer, "fresh");
        back.send(stays.transport.me(), "hello again");
        assert_eq!(back.receive().await.1, "fresh");
        assert_eq!(stays.receive().await.1, "hello again");
        assert_eq!(stays.stats(peer).reconnects, 1);
    }
}

/// A node with id 2 that knows n1, and what it answers to a hello.
async fn answer_to(hello: proto::Hello) -> Status {
    let (listener, address) = listener().await;
    let peers = BTreeMap::from([(N1, "127.0.0.1:1".to_string())]);
    let node = Node::start(config(N2, &peers), listener);
    let mut client = PeerClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    let frame = proto::Frame {
        hello: Some(hello),
        packets: Vec::new(),
    };
    let status = soon(client.exchange(tokio_stream::once(frame)))
        .await
        .unwrap_err();
    assert!(!node.stats(N1).connected);
    status
}

fn n1_to_n2() -> proto::Hello {
    proto::Hello {
        cluster: "test".into(),
        from: 1,
        to: 2,
        oldest_version: 1,
        newest_version: 1,
    }
}

#[tokio::test]
async fn hellos_that_do_not_fit_are_refused_with_both_values() {
    let cases = [
        (
            proto::Hello {
                cluster: "other".into(),
                ..n1_to_n2()
            },
            r#"n1 belongs to cluster "other", n2 to "test""#,
        ),
        (
            proto::Hello {
                oldest_version: 8,
                newest_version: 9,
                ..n1_to_n2()
            },
            "n1 speaks protocol versions 8..=9, n2 speaks 1..=1",
        ),
        (
            proto::Hello {
                to: 3,
                ..n1_to_n2()
            },
            "n1 takes its peer for n3, but it is n2",
        ),
        (
            proto::Hello {
                from: 9,
                ..n1_to_n2()
            },
            "n9 is no peer of n2",
        ),
    ];
    for (hello, expected) in cases {
        let status = answer_to(hello).await;
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(status.message(), expected);
    }
    let backwards = proto::Hello {
        newest_version: 0,
        ..n1_to_n2()
    };
    assert_eq!(answer_to(backwards).await.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn packets_before_a_hello_are_refused() {
    let [_n1, n2] = cluster(|_| ()).await;
    let address = n2.config.peers[&N2].clone();
    let mut client = PeerClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    let frame = proto::Frame {
        hello: None,
        packets: vec![Packet::default()],
    };
    let status = client
        .exchange(tokio_stream::once(frame))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(n2.stats(N1).received, 0);
}

#[tokio::test]
async fn an_address_reused_by_another_node_gets_no_messages() {
    let (listener, address) = listener().await;
    let peers = BTreeMap::from([(N1, "127.0.0.1:1".into()), (N2, address.clone())]);
    let n3 = Node::start(config(N3, &peers), listener);
    let (unused, _) = self::listener().await;
    let n1 = Node::start(config(N1, &peers), unused);
    n1.until(N2, |stats| stats.failures >= 2).await; // refused, and refused again
    n1.send(N2, "not for n3");
    assert!(!n1.stats(N2).connected);
    assert_eq!(n1.stats(N2).dropped_disconnected, 1);
    assert_eq!(n3.stats(N1).received, 0);
}

#[tokio::test]
async fn garbage_on_the_port_disturbs_nobody() {
    let [n1, mut n2] = cluster(|_| ()).await;
    let address = n2.config.peers[&N2].clone();
    for garbage in [
        &b"\0\xff\xfe garbage"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16; 4096],
    ] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        // The node may have hung up already.
        let _ = stream.write_all(garbage).await;
    }
    n1.send(N2, "still here");
    assert_eq!(n2.receive().await, (N1, "still here".into()));
    assert_eq!(n2.stats(N1).reconnects, 0);
}

#[tokio::test]
async fn a_full_queue_drops_and_counts() {
    let [n1, mut n2] = cluster(|config| config.limits.queue_messages = 4).await;
    for number in 0..10 {
        n1.send(N2, &number.to_string());
    }
    assert_eq!(n1.stats(N2).dropped_full, 6);
    for number in 0..4 {
        assert_eq!(n2.receive().await.1, number.to_string());
    }
}

#[tokio::test]
async fn oversize_messages_are_not_sent_and_not_accepted() {
    // n1 may send more than n2 takes.
    let [n1, mut n2] = cluster(|config| {
        config.limits = Limits {
            message_bytes: if config.me == N1 { 3000 } else { 1000 },
            frame_bytes: 1000,
            ..config.limits
        };
    })
    .await;
    n1.send(N2, &"x".repeat(3001));
    assert_eq!(n1.stats(N2).dropped_oversize, 1);
    n1.send(N2, &"x".repeat(1010)); // fits n2's frame, not its message
    n2.until(N1, |stats| stats.malformed == 1).await;
    n1.send(N2, &"x".repeat(3000)); // not even its frame: the connection ends
    n2.until(N1, |stats| stats.malformed == 2).await;
    n1.until(N2, |stats| stats.reconnects == 1).await;
    n1.send(N2, "small");
    assert_eq!(n2.receive().await.1, "small");
}

#[tokio::test]
async fn malformed_messages_and_unknown_groups_are_counted_and_harm_nothing() {
    let [n1, mut n2] = cluster(|_| ()).await;
    n1.send(N2, "bad");
    n1.transport.send(N2, GroupId(99), Bytes::new());
    n1.send(N2, "good");
    assert_eq!(n2.receive().await, (N1, "good".into()));
    assert_eq!(n2.stats(N1).malformed, 1);
    assert_eq!(n2.stats(N1).unknown_group, 1);
    n2.transport.unregister(GROUP);
    n1.send(N2, "nobody home");
    n2.until(N1, |stats| stats.unknown_group == 2).await;
}

#[tokio::test]
async fn a_second_connection_of_a_peer_replaces_the_first() {
    let [mut n1, n2] = cluster(|_| ()).await;
    let address = n2.config.peers[&N2].clone();
    let mut client = PeerClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    let frame = proto::Frame {
        hello: Some(n1_to_n2()),
        packets: Vec::new(),
    };
    let stream = tokio_stream::StreamExt::chain(
        tokio_stream::once(frame),
        tokio_stream::pending::<proto::Frame>(),
    );
    let response = client.exchange(stream).await.unwrap();
    // n1 notices that it was replaced, and returns.
    n1.until(N2, |stats| stats.reconnects == 1).await;
    drop(response);
    n2.connected(N1).await;
    n2.send(N1, "welcome back");
    assert_eq!(n1.receive().await.1, "welcome back");
}

#[tokio::test]
async fn shutdown_ends_the_connections_and_lets_the_server_stop() {
    let [n1, n2] = cluster(|_| ()).await;
    n2.transport.shutdown();
    n2.stop.send(()).unwrap();
    soon(n2.server).await.unwrap(); // it waits for its streams
    n1.until(N2, |stats| !stats.connected && stats.failures > 0)
        .await;
    n2.transport.send(N1, GROUP, Bytes::new());
    assert_eq!(n2.transport.stats()[&N1].dropped_disconnected, 1);
}
