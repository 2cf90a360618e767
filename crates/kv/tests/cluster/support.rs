//! A cluster in one process.

use quorate::{
    GroupId, Member, Node, NodeId, NodeOptions, Replica, RoleName, Tuning, serve_clients,
};
use quorate_kv::{Client, KvService, Map};
use std::collections::BTreeMap;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::service::Routes;

/// A member that runs.
pub(crate) struct Running {
    /// Where clients reach it.
    pub(crate) address: String,
    pub(crate) replica: Replica<Map>,
    stop: oneshot::Sender<()>,
    service: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        let node = self.replica.node().clone();
        node.shutdown().await.unwrap();
        let _ = self.stop.send(());
        // Clients of the test keep their connections; they are cut.
        let mut service = self.service;
        if tokio::time::timeout(Duration::from_millis(200), &mut service)
            .await
            .is_err()
        {
            service.abort();
        }
    }
}

pub(crate) struct Cluster {
    /// One data directory a member.
    data: Vec<TempDir>,
    running: BTreeMap<NodeId, Running>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let data = (0..3).map(|_| TempDir::new().unwrap()).collect();
        Self::start_on(data).await
    }

    async fn start_on(data: Vec<TempDir>) -> Self {
        // All listen before anybody is told the addresses, so ports cannot be taken in between.
        let mut listeners = Vec::new();
        let mut members = BTreeMap::new();
        for id in (1..).map(NodeId).take(data.len()) {
            let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let member = Member {
                peer: peer.local_addr().unwrap().to_string(),
                client: client.local_addr().unwrap().to_string(),
            };
            members.insert(id, member);
            listeners.push((id, peer, client));
        }
        let mut running = BTreeMap::new();
        for ((id, peer, client), data) in listeners.into_iter().zip(&data) {
            let data = data.path().join("data");
            let options = NodeOptions::new("test", id, members.clone(), data);
            let node = Node::open_on(peer, options).unwrap();
            let replica = Replica::start(&node, GroupId(1), tuning(), Map::new()).unwrap();
            node.connect();
            let (stop, stopped) = oneshot::channel();
            let service = tokio::spawn({
                let services = Routes::new(KvService::new(replica.clone()).into_server());
                async move {
                    let stopped = async { drop(stopped.await) };
                    serve_clients(services, client, stopped).await.unwrap();
                }
            });
            let address = members[&id].client.clone();
            running.insert(
                id,
                Running {
                    address,
                    replica,
                    stop,
                    service,
                },
            );
        }
        Cluster { data, running }
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Running> {
        self.running.values()
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.members()
            .map(|member| member.address.clone())
            .collect()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.addresses()).await.unwrap()
    }

    /// The leader, once all members agree on who it is.
    pub(crate) async fn leader(&self) -> &Running {
        loop {
            let mut leaders = Vec::new();
            for member in self.members() {
                assert!(member.replica.knows_leader().await);
                leaders.extend(member.replica.status().leader);
            }
            if let [first, rest @ ..] = &leaders[..]
                && rest.iter().all(|leader| leader == first)
                && let Some(leader) = self.running.get(first)
                && leader.replica.status().role == RoleName::Leader
                && leaders.len() == self.running.len()
            {
                return leader;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn stop_member(&mut self, id: NodeId) {
        self.running.remove(&id).unwrap().stop().await;
    }

    /// Stops everybody and starts all members on the same data.
    pub(crate) async fn restart(mut self) -> Self {
        let data = std::mem::take(&mut self.data);
        self.stop().await;
        Self::start_on(data).await
    }

    pub(crate) async fn stop(self) {
        for member in self.running.into_values() {
            member.stop().await;
        }
    }
}

fn tuning() -> Tuning {
    Tuning {
        // Patient enough for a machine that is busy, and no longer than a test likes to wait.
        election_ticks: 40..=80,
        heartbeat_ticks: 5,
        ..Tuning::default()
    }
}
