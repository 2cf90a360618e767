//! etcd as a target: the few calls of its v3 API that measuring it takes.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tonic::Status;
use tonic::transport::{Channel, Uri};

use self::proto::kv_client::KvClient as KvStub;
use self::proto::maintenance_client::MaintenanceClient;
use self::proto::{PutRequest, RangeRequest, StatusRequest, StatusResponse};
use super::load::{ClientError, Connected, KvClient, KvTarget};
use crate::outcome::Failure;

/// How long a member may take to accept a connection or to tell its status.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an election is waited for: election timeouts are a second or two, and a vote may be split.
pub(super) const ELECTION_PATIENCE: Duration = Duration::from_secs(10);

/// How often the members are asked meanwhile.
pub(super) const ELECTION_POLL: Duration = Duration::from_millis(100);

#[allow(unreachable_pub, missing_docs)]
mod proto {
    tonic::include_proto!("etcdserverpb");
}

/// An etcd cluster by its client addresses.
pub(crate) struct Etcd<'a> {
    endpoints: &'a [Uri],
}

impl<'a> Etcd<'a> {
    pub(crate) fn new(endpoints: &'a [Uri]) -> Self {
        Etcd { endpoints }
    }

    /// The member that says that it leads. While a member knows of no leader an election is going on, and
    /// its end is waited for.
    async fn find_leader(&self) -> Result<&'a Uri, Failure> {
        let begun = Instant::now();
        loop {
            let answers = self.ask_who_leads().await;
            if let Some((endpoint, _)) = answers.iter().find(|(_, role)| *role == Role::Leads) {
                return Ok(endpoint);
            }
            let electing = answers.iter().any(|(_, role)| *role == Role::Elects);
            if !electing || begun.elapsed() > ELECTION_PATIENCE {
                let answers: Vec<_> = answers
                    .iter()
                    .map(|(at, role)| format!("{at} {role}"))
                    .collect();
                return Err(Failure::Cluster(format!(
                    "no leader among the endpoints: {}",
                    answers.join("; ")
                )));
            }
            tokio::time::sleep(ELECTION_POLL).await;
        }
    }

    /// Asks one member after another until one leads. A member that is down is passed by: a cluster of
    /// three serves with two.
    async fn ask_who_leads(&self) -> Vec<(&'a Uri, Role)> {
        let mut answers = Vec::with_capacity(self.endpoints.len());
        for endpoint in self.endpoints {
            let role = match status(endpoint).await {
                Ok(status) => Role::of(&status),
                Err(silence) => Role::Silent(silence),
            };
            let found = role == Role::Leads;
            answers.push((endpoint, role));
            if found {
                break;
            }
        }
        answers
    }
}

/// What a member says about who leads.
#[derive(Debug, PartialEq, Eq)]
enum Role {
    Leads,
    Follows,
    Elects,
    Silent(String),
}

impl Role {
    fn of(status: &StatusResponse) -> Self {
        let member = status.header.as_ref().map(|header| header.member_id);
        if status.leader == 0 {
            Role::Elects
        } else if member == Some(status.leader) {
            Role::Leads
        } else {
            Role::Follows
        }
    }
}

impl Display for Role {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Role::Leads => out.write_str("leads"),
            Role::Follows => out.write_str("follows another"),
            Role::Elects => out.write_str("knows no leader"),
            Role::Silent(why) => out.write_str(why),
        }
    }
}

impl KvTarget for Etcd<'_> {
    type Client = EtcdClient;

    async fn connect(
        &self,
        clients: u16,
        connections: u16,
    ) -> Result<Connected<EtcdClient>, Failure> {
        let leader = self.find_leader().await?;
        let mut stubs = Vec::with_capacity(connections.into());
        for _ in 0..connections {
            let connected = channel(leader).await;
            let channel = connected.map_err(|why| Failure::Cluster(format!("{leader} {why}")))?;
            stubs.push(KvStub::new(channel));
        }
        let stubs = stubs.into_iter().cycle().take(clients.into());
        Ok(Connected {
            leader: leader.to_string(),
            clients: stubs.map(|stub| EtcdClient { stub }).collect(),
        })
    }
}

pub(super) async fn channel(endpoint: &Uri) -> Result<Channel, String> {
    Channel::builder(endpoint.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .connect()
        .await
        .map_err(|error| format!("does not accept: {}", root_cause(&error)))
}

async fn status(endpoint: &Uri) -> Result<StatusResponse, String> {
    let mut stub = MaintenanceClient::new(channel(endpoint).await?);
    let answer = tokio::time::timeout(CONNECT_TIMEOUT, stub.status(StatusRequest {})).await;
    match answer {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(refusal)) => Err(format!("tells no status: {}", words(&refusal))),
        Err(_) => Err(format!("tells no status within {CONNECT_TIMEOUT:?}")),
    }
}

/// One client of the leader, perhaps sharing its connection.
pub(crate) struct EtcdClient {
    stub: KvStub<Channel>,
}

impl KvClient for EtcdClient {
    async fn put(&mut self, key: Bytes, value: Bytes) -> Result<(), ClientError> {
        let answer = self.stub.put(PutRequest { key, value }).await;
        answer
            .map(drop)
            .map_err(|refusal| ClientError(words(&refusal)))
    }

    async fn get(&mut self, key: Bytes) -> Result<Option<Bytes>, ClientError> {
        let answer = self.stub.range(RangeRequest { key }).await;
        let found = answer.map_err(|refusal| ClientError(words(&refusal)))?;
        Ok(found.into_inner().kvs.pop().map(|pair| pair.value))
    }
}

pub(super) fn words(refusal: &Status) -> String {
    match refusal.source() {
        Some(cause) => format!("{:?}: {}", refusal.code(), root_cause(cause)),
        None => format!("{:?}: {}", refusal.code(), refusal.message()),
    }
}

/// The innermost cause: tonic's own message for any failed connection is "transport error".
fn root_cause(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.last().unwrap_or(error).to_string()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn a_put_is_encoded_as_etcd_expects_it() {
        let put = PutRequest {
            key: Bytes::from_static(b"foo"),
            value: Bytes::from_static(b"bar"),
        };
        assert_eq!(put.encode_to_vec(), b"\x0a\x03foo\x12\x03bar");
    }

    #[test]
    fn a_range_for_one_key_carries_only_the_key() {
        let range = RangeRequest {
            key: Bytes::from_static(b"foo"),
        };
        assert_eq!(range.encode_to_vec(), b"\x0a\x03foo");
    }

    #[test]
    fn a_range_response_with_fields_left_out_of_the_subset_is_read() {
        // header {revision 5}, kvs [{key, create 2, mod 3, version 1, value}], count 1.
        let bytes =
            b"\x0a\x02\x18\x05\x12\x10\x0a\x03foo\x10\x02\x18\x03\x20\x01\x2a\x03bar\x20\x01";
        let response = proto::RangeResponse::decode(&bytes[..]).unwrap();
        assert_eq!(response.header.unwrap().revision, 5);
        assert_eq!(response.kvs[0].value, "bar");
    }

    #[test]
    fn the_member_that_names_itself_leads() {
        // header {cluster 1, member 300}, version "3.4.23", dbSize 4096, leader 300.
        let leader = b"\x0a\x05\x08\x01\x10\xac\x02\x12\x063.4.23\x18\x80\x20\x20\xac\x02";
        let status = StatusResponse::decode(&leader[..]).unwrap();
        assert_eq!(status.version, "3.4.23");
        assert_eq!(Role::of(&status), Role::Leads);
        let other = StatusResponse {
            leader: 301,
            ..status
        };
        assert_eq!(Role::of(&other), Role::Follows);
    }

    #[test]
    fn a_member_that_names_nobody_is_in_an_election() {
        let role = Role::of(&StatusResponse::default());
        assert_eq!(role, Role::Elects);
    }

    #[test]
    fn a_refusal_is_put_in_the_words_of_the_server() {
        let refusal = Status::resource_exhausted("etcdserver: mvcc: database space exceeded");
        assert_eq!(
            words(&refusal),
            "ResourceExhausted: etcdserver: mvcc: database space exceeded"
        );
    }

    #[test]
    fn a_broken_connection_is_put_in_the_words_of_its_cause() {
        let cause = std::io::Error::other("reset by peer");
        assert_eq!(
            words(&Status::from_error(cause.into())),
            "Unknown: reset by peer"
        );
    }

    #[tokio::test]
    async fn a_closed_port_is_named_with_its_cause() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let endpoints = [format!("http://{address}").parse().unwrap()];
        let failure = Etcd::new(&endpoints).find_leader().await.unwrap_err();
        let text = failure.to_string();
        assert!(
            text.starts_with("no leader among the endpoints: http://127.0.0.1:"),
            "{text}"
        );
        assert!(
            text.contains(" does not accept: Connection refused"),
            "{text}"
        );
    }
}
