//! etcd as a target: the few calls of its v3 API that measuring it takes.

use std::time::Duration;

use bytes::Bytes;
use tonic::Status;
use tonic::transport::{Channel, Uri};

use self::proto::kv_client::KvClient as KvStub;
use self::proto::maintenance_client::MaintenanceClient;
use self::proto::{PutRequest, RangeRequest, StatusRequest, StatusResponse};
use super::load::{ClientError, Connected, KvClient, KvTarget};
use crate::outcome::Failure;

/// How long a member may take to accept a connection or to tell its status.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

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

    /// Asks each member who leads, until one says that it does itself. A member that is down is passed by:
    /// a cluster of three serves with two.
    async fn find_leader(&self) -> Result<&'a Uri, Failure> {
        let mut answers = Vec::with_capacity(self.endpoints.len());
        for endpoint in self.endpoints {
            match status(endpoint).await {
                Ok(status) if leads(&status) => return Ok(endpoint),
                Ok(_) => answers.push(format!("{endpoint} follows")),
                Err(failure) => answers.push(failure.to_string()),
            }
        }
        let answers = answers.join("; ");
        Err(Failure::Cluster(format!(
            "no leader among the endpoints: {answers}"
        )))
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
            stubs.push(KvStub::new(channel(leader).await?));
        }
        let stubs = stubs.into_iter().cycle().take(clients.into());
        Ok(Connected {
            leader: leader.to_string(),
            clients: stubs.map(|stub| EtcdClient { stub }).collect(),
        })
    }
}

async fn channel(endpoint: &Uri) -> Result<Channel, Failure> {
    Channel::builder(endpoint.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .connect()
        .await
        .map_err(|error| {
            Failure::Cluster(format!("{endpoint} does not accept: {}", causes(&error)))
        })
}

async fn status(endpoint: &Uri) -> Result<StatusResponse, Failure> {
    let mut stub = MaintenanceClient::new(channel(endpoint).await?);
    let answer = tokio::time::timeout(CONNECT_TIMEOUT, stub.status(StatusRequest {})).await;
    match answer {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(refusal)) => Err(format!("tells no status: {}", words(&refusal))),
        Err(_) => Err(format!("tells no status within {CONNECT_TIMEOUT:?}")),
    }
    .map_err(|answer| Failure::Cluster(format!("{endpoint} {answer}")))
}

/// Whether the member that gave this status is the leader that it names; 0 stands for none.
fn leads(status: &StatusResponse) -> bool {
    let member = status.header.as_ref().map(|header| header.member_id);
    status.leader != 0 && member == Some(status.leader)
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

fn words(refusal: &Status) -> String {
    format!("{:?}: {}", refusal.code(), refusal.message())
}

/// An error with what caused it: tonic's own message for any failed connection is "transport error".
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
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
        assert!(leads(&status));
        assert!(!leads(&StatusResponse {
            leader: 301,
            ..status
        }));
    }

    #[test]
    fn a_member_without_a_leader_does_not_lead() {
        assert!(!leads(&StatusResponse::default()));
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
        assert!(text.contains("refused"), "{text}");
    }
}
