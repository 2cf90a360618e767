//! Quorate's own key-value store as a target. Each client writes through a session of its own.

use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_kv::proto::command::Kind;
use quorate_kv::proto::kv_client::KvClient as KvStub;
use quorate_kv::proto::{
    Command, GetRequest, OpenSessionRequest, Put, StatusRequest, StatusResponse, WriteRequest,
};
use tonic::transport::{Channel, Uri};

use super::etcd::{CONNECT_TIMEOUT, ELECTION_PATIENCE, ELECTION_POLL, channel, words};
use super::load::{ClientError, Connected, KvClient, KvTarget};
use crate::outcome::Failure;

/// A cluster by its client addresses.
pub(crate) struct Quorate<'a> {
    endpoints: &'a [Uri],
}

impl<'a> Quorate<'a> {
    pub(crate) fn new(endpoints: &'a [Uri]) -> Self {
        Quorate { endpoints }
    }

    /// The member that says that it leads; the end of an election is waited for.
    async fn find_leader(&self) -> Result<&'a Uri, Failure> {
        let begun = Instant::now();
        loop {
            let mut answers = Vec::new();
            for endpoint in self.endpoints {
                match status(endpoint).await {
                    Ok(status) if status.role == "leader" => return Ok(endpoint),
                    Ok(status) => answers.push(format!("{endpoint} is a {}", status.role)),
                    Err(silence) => answers.push(format!("{endpoint} {silence}")),
                }
            }
            if begun.elapsed() > ELECTION_PATIENCE {
                return Err(Failure::Cluster(format!(
                    "no leader among the endpoints: {}",
                    answers.join("; ")
                )));
            }
            tokio::time::sleep(ELECTION_POLL).await;
        }
    }
}

async fn status(endpoint: &Uri) -> Result<StatusResponse, String> {
    let mut stub = KvStub::new(channel(endpoint).await?);
    match tokio::time::timeout(CONNECT_TIMEOUT, stub.status(StatusRequest {})).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(refusal)) => Err(format!("tells no status: {}", words(&refusal))),
        Err(_) => Err(format!("tells no status within {CONNECT_TIMEOUT:?}")),
    }
}

impl KvTarget for Quorate<'_> {
    type Client = QuorateClient;

    async fn connect(
        &self,
        clients: u16,
        connections: u16,
    ) -> Result<Connected<QuorateClient>, Failure> {
        let leader = self.find_leader().await?;
        let mut stubs = Vec::with_capacity(connections.into());
        for _ in 0..connections {
            let connected = channel(leader).await;
            let channel = connected.map_err(|why| Failure::Cluster(format!("{leader} {why}")))?;
            stubs.push(KvStub::new(channel));
        }
        let mut connected = Vec::with_capacity(clients.into());
        for stub in stubs.into_iter().cycle().take(clients.into()) {
            let client = QuorateClient::open(stub).await;
            connected.push(client.map_err(|why| Failure::Cluster(format!("{leader} {why}")))?);
        }
        Ok(Connected {
            leader: leader.to_string(),
            clients: connected,
        })
    }
}

/// One client of the leader, perhaps sharing its connection.
pub(crate) struct QuorateClient {
    stub: KvStub<Channel>,
    session: u64,
    sequence: u64,
}

impl QuorateClient {
    async fn open(mut stub: KvStub<Channel>) -> Result<Self, String> {
        let begun = Instant::now();
        loop {
            match stub.open_session(OpenSessionRequest {}).await {
                Ok(opened) => {
                    let session = opened.into_inner().session;
                    return Ok(QuorateClient {
                        stub,
                        session,
                        sequence: 0,
                    });
                }
                Err(refusal) if begun.elapsed() > Duration::from_secs(1) => {
                    return Err(format!("opens no session: {}", words(&refusal)));
                }
                Err(_) => tokio::time::sleep(ELECTION_POLL).await,
            }
        }
    }
}

impl KvClient for QuorateClient {
    async fn put(&mut self, key: Bytes, value: Bytes) -> Result<(), ClientError> {
        self.sequence += 1;
        let request = WriteRequest {
            session: self.session,
            sequence: self.sequence,
            command: Some(Command {
                kind: Some(Kind::Put(Put { key, value })),
            }),
        };
        let answer = self.stub.write(request).await;
        answer
            .map(drop)
            .map_err(|refusal| ClientError(words(&refusal)))
    }

    async fn get(&mut self, key: Bytes) -> Result<Option<Bytes>, ClientError> {
        let answer = self.stub.get(GetRequest { key }).await;
        let found = answer.map_err(|refusal| ClientError(words(&refusal)))?;
        Ok(found.into_inner().item.map(|item| item.value))
    }
}
