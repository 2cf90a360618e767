//! Registers of a cluster in one process.

#![allow(clippy::unwrap_used)]

use quorate::{GroupId, Member, Node, NodeId, NodeOptions, serve_clients};
use quorate_register::proto::registers_client::RegistersClient;
use quorate_register::proto::{ProposeRequest, ReadRequest};
use quorate_register::{
    Client, ClientError, ClientOptions, Held, KEY_BYTES_MAX, RegisterError, RegisterService,
    Registers, VALUE_BYTES_MAX,
};
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::{Code, Status};

/// A member that runs.
struct Running {
    node: Node,
    registers: Registers,
    address: String,
    _data: TempDir,
}

impl Running {
    fn client(&self, timeout: Duration) -> Client {
        let options = ClientOptions {
            timeout,
            ..ClientOptions::default()
        };
        Client::new([self.address.clone()], options).unwrap()
    }
}

/// The first `run` of three members.
async fn cluster(run: usize) -> Vec<Running> {
    // All listen before anybody is told the addresses, so ports cannot be taken in between.
    let mut listeners = Vec::new();
    let mut members = BTreeMap::new();
    for id in [1, 2, 3].map(NodeId) {
        let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let member = Member {
            peer: peer.local_addr().unwrap().to_string(),
            client: client.local_addr().unwrap().to_string(),
        };
        members.insert(id, member);
        listeners.push((id, peer, client));
    }
    let mut running = Vec::new();
    for (id, peer, client) in listeners.into_iter().take(run) {
        let data = TempDir::new().unwrap();
        let address = client.local_addr().unwrap().to_string();
        let options = NodeOptions::new("test", id, members.clone(), data.path());
        let node = Node::open_on(peer, options).unwrap();
        let registers = Registers::start(&node, GroupId(7)).unwrap();
        node.connect();
        let service = RegisterService::new(registers.clone()).into_server();
        tokio::spawn(serve_clients(
            Routes::new(service),
            client,
            std::future::pending(),
        ));
        running.push(Running {
            node,
            registers,
            address,
            _data: data,
        });
    }
    running
}

#[tokio::test]
async fn all_who_propose_at_the_same_time_are_told_the_same() {
    let cluster = cluster(3).await;
    let clients = [0, 1, 2].map(|member: usize| cluster[member].client(Duration::from_secs(60)));
    for register in 0..20 {
        let key = format!("register {register}");
        assert_eq!(clients[register % 3].read(&key).await.unwrap(), None);
        let [one, two, three] = &clients;
        let proposals = tokio::join!(
            one.propose(&key, "one"),
            two.propose(&key, "two"),
            three.propose(&key, "three")
        );
        let held = one.read(&key).await.unwrap().unwrap();
        for (own, told) in [
            ("one", proposals.0),
            ("two", proposals.1),
            ("three", proposals.2),
        ] {
            let expected = match held == own {
                true => Held::Proposed,
                false => Held::Other(held.clone()),
            };
            assert_eq!(told.unwrap(), expected, "{own} for {key}");
        }
        for client in &clients {
            assert_eq!(client.read(&key).await.unwrap().as_ref(), Some(&held));
        }
    }
    for member in cluster {
        assert_eq!(member.registers.status().known, 20);
        member.node.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_empty_is_a_value_and_what_is_too_long_is_refused() {
    let cluster = cluster(3).await;
    let client = cluster[0].client(Duration::from_secs(60));
    assert_eq!(client.propose("", "").await.unwrap(), Held::Proposed);
    assert_eq!(client.read("").await.unwrap(), Some("".into()));
    let longest = vec![7; VALUE_BYTES_MAX];
    let held = client.propose([1; KEY_BYTES_MAX], &longest).await.unwrap();
    assert_eq!(held, Held::Proposed);
    assert_eq!(
        client.read([1; KEY_BYTES_MAX]).await.unwrap().unwrap(),
        longest
    );

    let refused = client.propose("key", vec![0; VALUE_BYTES_MAX + 1]).await;
    assert!(
        matches!(refused, Err(ClientError::Invalid(_))),
        "{refused:?}"
    );
    // A client that does not look itself.
    let address = format!("http://{}", cluster[0].address);
    let mut stub = RegistersClient::connect(address).await.unwrap();
    let code = |status: Status| status.code();
    let key = vec![0; KEY_BYTES_MAX + 1].into();
    let refused = stub.read(ReadRequest { key }).await.unwrap_err();
    assert_eq!(code(refused), Code::InvalidArgument);
    let value = vec![0; VALUE_BYTES_MAX + 1].into();
    let key = "key".into();
    let refused = stub.propose(ProposeRequest { key, value }).await;
    assert_eq!(code(refused.unwrap_err()), Code::InvalidArgument);
    // What is longer than any message is not even read.
    let value = vec![0; 1 << 20].into();
    let key = "key".into();
    let refused = stub.propose(ProposeRequest { key, value }).await;
    assert_eq!(code(refused.unwrap_err()), Code::OutOfRange);
    assert_eq!(client.read("key").await.unwrap(), None);
}

#[tokio::test]
async fn without_a_majority_nothing_is_answered_and_nothing_is_promised() {
    let alone = cluster(1).await.pop().unwrap();
    let client = alone.client(Duration::from_millis(100));
    let unknown = client.propose("key", "value").await;
    assert!(
        matches!(unknown, Err(ClientError::Unknown { .. })),
        "{unknown:?}"
    );
    let silent = client.read("key").await;
    assert!(
        matches!(silent, Err(ClientError::Unavailable { .. })),
        "{silent:?}"
    );
    // The member goes on trying for both.
    assert_eq!(alone.registers.status().waiting, 2);

    let waiting = alone.registers.clone();
    let waiting = tokio::spawn(async move { waiting.propose("key", "other").await });
    while alone.registers.status().waiting < 3 {
        tokio::task::yield_now().await;
    }
    alone.node.shutdown().await.unwrap();
    assert_eq!(waiting.await.unwrap(), Err(RegisterError::Unknown));
    let late = alone.registers.propose("key", "late").await;
    assert_eq!(late, Err(RegisterError::Stopped));
    let elsewhere = client.read("key").await.unwrap_err();
    assert!(
        elsewhere.to_string().contains("the member has stopped"),
        "{elsewhere}"
    );
}
