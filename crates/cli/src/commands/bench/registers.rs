//! Write-once registers as a target: each put proposes a value for a register that nobody has named before. There is
//! no leader, so the clients are spread over all members.

use bytes::Bytes;
use quorate_register::proto::registers_client::RegistersClient;
use quorate_register::proto::{ProposeRequest, ReadRequest};
use tonic::transport::{Channel, Uri};

use super::etcd::{channel, words};
use super::load::{ClientError, Connected, KvClient, KvTarget};
use crate::outcome::Failure;

/// A cluster by its client addresses.
pub(crate) struct Registers<'a> {
    endpoints: &'a [Uri],
    /// In front of every key: no earlier run has named the same registers.
    run: u64,
}

impl<'a> Registers<'a> {
    pub(crate) fn new(endpoints: &'a [Uri]) -> Self {
        let run = rand::random();
        Registers { endpoints, run }
    }
}

impl KvTarget for Registers<'_> {
    type Client = RegisterClient;

    async fn connect(
        &self,
        clients: u16,
        connections: u16,
    ) -> Result<Connected<RegisterClient>, Failure> {
        // Each member gets a connection, and its share of the others.
        let members = self.endpoints.len();
        let connections = usize::from(connections).max(members.min(clients.into()));
        let mut stubs = Vec::with_capacity(connections);
        for endpoint in self.endpoints.iter().cycle().take(connections) {
            let connected = channel(endpoint).await;
            let channel = connected.map_err(|why| Failure::Cluster(format!("{endpoint} {why}")))?;
            stubs.push(RegistersClient::new(channel));
        }
        let client = |(stub, number): (RegistersClient<Channel>, u64)| RegisterClient {
            stub,
            // Levels of one run differ by their numbers of clients.
            prefix: format!("{:016x}/{clients}/{number}/", self.run),
            proposals: 0,
        };
        let stubs = stubs.into_iter().cycle().take(clients.into());
        Ok(Connected {
            leader: "all members".to_owned(),
            clients: stubs.zip(0..).map(client).collect(),
        })
    }
}

/// One client of one member, perhaps sharing its connection.
pub(crate) struct RegisterClient {
    stub: RegistersClient<Channel>,
    prefix: String,
    proposals: u64,
}

impl RegisterClient {
    /// The key in this client's own room.
    fn own(&self, key: &[u8]) -> Bytes {
        let proposals = self.proposals;
        let mut own = format!("{}{proposals}/", self.prefix).into_bytes();
        own.extend_from_slice(key);
        own.into()
    }
}

impl KvClient for RegisterClient {
    async fn put(&mut self, key: Bytes, value: Bytes) -> Result<(), ClientError> {
        self.proposals += 1;
        let key = self.own(&key);
        let answer = self.stub.propose(ProposeRequest { key, value }).await;
        let answer = answer.map_err(|refusal| ClientError(words(&refusal)))?;
        match answer.into_inner().other {
            None => Ok(()),
            Some(_) => Err(ClientError(
                "a register that nobody else has named holds another value".into(),
            )),
        }
    }

    /// Of what was put last.
    async fn get(&mut self, key: Bytes) -> Result<Option<Bytes>, ClientError> {
        let key = self.own(&key);
        let answer = self.stub.read(ReadRequest { key }).await;
        let answer = answer.map_err(|refusal| ClientError(words(&refusal)))?;
        Ok(answer.into_inner().value)
    }
}
