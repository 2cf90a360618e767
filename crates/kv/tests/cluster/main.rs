//! Three members in one process, over real sockets and real disks.

#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use quorate::RoleName;
use quorate_kv::proto::{self, kv_client::KvClient};
use quorate_kv::{Client, ClientError, ClientOptions, Expected, VALUE_BYTES_MAX};
use std::time::Duration;
use support::Cluster;
use tonic::Code;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn put(key: &str, value: &str) -> Option<proto::Command> {
    let (key, value) = (bytes(key), bytes(value));
    let kind = Some(proto::command::Kind::Put(proto::Put { key, value }));
    Some(proto::Command { kind })
}

#[tokio::test]
async fn what_is_written_is_read() {
    let cluster = Cluster::start().await;
    let client = cluster.client().await;
    assert_eq!(client.get("a").await.unwrap(), None);

    let first = client.put("a", "1").await.unwrap();
    assert!(!first.existed);
    let second = client.put("a", "2").await.unwrap();
    assert!(second.existed && second.revision > first.revision);
    let item = client.get("a").await.unwrap().unwrap();
    assert_eq!((item.value, item.revision), (bytes("2"), second.revision));

    let refused = client
        .compare_and_swap("a", Expected::Value(bytes("1")), "3")
        .await
        .unwrap();
    assert_eq!(refused.revision, None);
    assert_eq!(refused.current.unwrap().value, bytes("2"));
    let swapped = client
        .compare_and_swap("a", Expected::Revision(second.revision), "3")
        .await
        .unwrap();
    assert!(swapped.revision.unwrap() > second.revision);
    let created = client.compare_and_swap("b", Expected::Absent, "").await;
    assert!(created.unwrap().revision.is_some());

    let found = client.range("a", "", 1).await.unwrap();
    assert_eq!((found.items[0].key.clone(), found.more), (bytes("a"), true));
    assert!(client.delete("a").await.unwrap().existed);
    assert!(!client.delete("a").await.unwrap().existed);
    let found = client.range("", "", 0).await.unwrap();
    let keys: Vec<_> = found.items.into_iter().map(|item| item.key).collect();
    assert_eq!((keys, found.more), (vec![bytes("b")], false));
    cluster.stop().await;
}

#[tokio::test]
async fn every_member_tells_the_changes_in_the_order_of_the_log() {
    let cluster = Cluster::start().await;
    let client = cluster.client().await;
    let mut watches = Vec::new();
    for member in cluster.members() {
        let endpoints = [member.address.clone()];
        let client = Client::new(endpoints, ClientOptions::default()).unwrap();
        watches.push(client.watch("a", "b").await.unwrap());
    }
    let first = client.put("a", "1").await.unwrap().revision;
    client.put("b", "not watched").await.unwrap();
    let second = client.put("a1", "2").await.unwrap().revision;
    let third = client.delete("a").await.unwrap().revision;
    for watch in &mut watches {
        let expected = [
            (first, "a", Some("1")),
            (second, "a1", Some("2")),
            (third, "a", None),
        ];
        for (revision, key, value) in expected {
            let event = watch.next().await.unwrap();
            assert_eq!((event.revision, event.key), (revision, bytes(key)));
            assert_eq!(event.value, value.map(bytes));
        }
    }
    cluster.stop().await;
    for watch in &mut watches {
        assert!(matches!(watch.next().await, Err(ClientError::Ended(_))));
    }
}

#[tokio::test]
async fn a_follower_names_the_leader() {
    let cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    for member in cluster.members() {
        let mut stub = KvClient::connect(format!("http://{}", member.address))
            .await
            .unwrap();
        let status = stub
            .status(proto::StatusRequest {})
            .await
            .unwrap()
            .into_inner();
        assert_eq!(status.leader_address, leader.address);
        assert_eq!(status.id, member.replica.id().0);
        let got = stub.get(proto::GetRequest::default()).await;
        if member.address == leader.address {
            assert_eq!(status.role, "leader");
            got.unwrap();
            continue;
        }
        let refused = got.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        let named = refused.metadata().get("quorate-leader").unwrap();
        assert_eq!(named.to_str().unwrap(), leader.address);
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_write_that_is_sent_again_is_answered_and_not_applied_again() {
    let cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let mut stub = KvClient::connect(format!("http://{}", leader.address))
        .await
        .unwrap();
    let opened = stub.open_session(proto::OpenSessionRequest {}).await;
    let session = opened.unwrap().into_inner().session;
    let request = |sequence, value| proto::WriteRequest {
        session,
        sequence,
        command: put("a", value),
    };
    let first = stub.write(request(1, "1")).await.unwrap().into_inner();
    let again = stub.write(request(1, "1")).await.unwrap().into_inner();
    assert_eq!(first, again);
    let second = stub.write(request(2, "2")).await.unwrap().into_inner();
    assert!(second.revision > first.revision);
    let late = stub.write(request(1, "1")).await.unwrap_err();
    assert_eq!(late.code(), Code::FailedPrecondition);
    let got = stub.get(proto::GetRequest { key: bytes("a") }).await;
    assert_eq!(got.unwrap().into_inner().item.unwrap().value, bytes("2"));

    let unknown = proto::WriteRequest {
        session: u64::MAX,
        ..request(1, "1")
    };
    let refused = stub.write(unknown).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    cluster.stop().await;
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_a_reason() {
    let cluster = Cluster::start().await;
    let client = cluster.client().await;
    let long = vec![0; VALUE_BYTES_MAX + 1];
    let refused = client.put("a", long).await.unwrap_err();
    assert!(
        matches!(&refused, ClientError::Invalid(why) if why.contains("1048577 bytes")),
        "{refused:?}"
    );
    // A member says the same to a client that does not look itself.
    let leader = cluster.leader().await;
    let mut stub = KvClient::connect(format!("http://{}", leader.address))
        .await
        .unwrap();
    let write = proto::WriteRequest {
        command: put("a", &"x".repeat(VALUE_BYTES_MAX + 1)),
        ..proto::WriteRequest::default()
    };
    let refused = stub.write(write).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("1048577 bytes"), "{refused}");
    let refused = stub
        .write(proto::WriteRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused.message(), "a command is missing");
    let longest = vec![7; VALUE_BYTES_MAX];
    client.put("a", longest.clone()).await.unwrap();
    assert_eq!(client.get("a").await.unwrap().unwrap().value, longest);
    cluster.stop().await;
}

#[tokio::test]
async fn more_than_a_record_can_hold_is_not_taken_at_once() {
    let cluster = Cluster::start().await;
    let client = cluster.client().await;
    let mut writes = tokio::task::JoinSet::new();
    for number in 0..40u8 {
        let client = client.clone();
        writes.spawn(async move {
            let value = vec![number; VALUE_BYTES_MAX];
            client.put(format!("{number}"), value).await
        });
    }
    for written in writes.join_all().await {
        written.unwrap();
    }
    let leader = cluster.leader().await;
    assert_eq!(leader.replica.status().role, RoleName::Leader);
    cluster.stop().await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_leader_stops_and_when_all_stop() {
    let mut cluster = Cluster::start().await;
    let client = cluster.client().await;
    let writer = tokio::spawn({
        let client = client.clone();
        async move {
            for number in 0..200u32 {
                client.put(format!("{number:03}"), "x").await?;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Ok::<_, ClientError>(())
        }
    });
    while client.get("010").await.unwrap().is_none() {}
    let leader = cluster.leader().await.replica.id();
    cluster.stop_member(leader).await;
    writer.await.unwrap().unwrap();
    assert_ne!(cluster.leader().await.replica.id(), leader);
    let found = client.range("", "", 0).await.unwrap();
    assert_eq!(found.items.len(), 200);

    let cluster = cluster.restart().await;
    let again = cluster.client().await.range("", "", 0).await.unwrap();
    assert_eq!(again, found);
    cluster.stop().await;
}

#[tokio::test]
async fn without_a_majority_it_is_told_who_was_asked() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await.replica.id();
    let endpoints = cluster.addresses();
    let others: Vec<_> = cluster
        .members()
        .map(|member| member.replica.id())
        .collect();
    for id in others {
        if id != leader {
            cluster.stop_member(id).await;
        }
    }
    let options = ClientOptions {
        timeout: Duration::from_millis(500),
        ..ClientOptions::default()
    };
    let client = Client::new(endpoints.clone(), options).unwrap();
    let Err(ClientError::Unavailable { tried }) = client.get("a").await else {
        panic!("a read needs a majority");
    };
    let mut asked: Vec<_> = tried.into_iter().map(|tried| tried.endpoint).collect();
    asked.sort();
    assert!(
        asked.iter().all(|asked| endpoints.contains(asked)),
        "{asked:?}"
    );
    assert!(!asked.is_empty());
    cluster.stop().await;
}
