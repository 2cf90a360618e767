//! Members that are told to stop, or are stopped without being told.

use quorate_kv::proto::GetRequest;
use quorate_kv::proto::kv_client::KvClient;
use quorate_kv::{Client, ClientOptions};
use quorate_tests::cluster::{Cluster, Setup};
use quorate_tests::history::{Recording, key, value};
use quorate_tests::linearizability::{Answer, Operation, Recorded, check};
use quorate_tests::load::{Load, all_there};
use rustix::process::Signal;
use std::time::Duration;
use tonic::transport::Channel;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_terminated_under_load_ends_in_good_order() {
    let mut cluster = Cluster::start(Setup::default());
    let client = cluster.patient_client();
    let leader = cluster.leader().await;
    let load = Load::start(&client, "load", 8);
    load.more(300).await;
    cluster.signal(leader.id, Signal::TERM);
    assert_eq!(cluster.ended(leader.id).await.code, Some(0));
    load.more(300).await;
    cluster.start_member(leader.id);
    load.more(100).await;
    let acknowledged = load.stop().await;
    all_there(&client, &acknowledged).await;
    cluster.finish().await;
}

/// Clients that give an attempt up soon, as the leader may not answer for a while.
fn clients(cluster: &Cluster, count: usize) -> Vec<Client> {
    let options = ClientOptions {
        timeout: Duration::from_secs(30),
        attempt_timeout: Duration::from_millis(300),
        ..ClientOptions::default()
    };
    (0..count).map(|_| cluster.client(options)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_stopped_for_long_serves_no_stale_read() {
    let cluster = Cluster::start(Setup::default());
    let mut leader = cluster.leader().await;
    let recording = Recording::start(clients(&cluster, 5), 3);
    let writer = cluster.patient_client();
    // The number of a client that is none of the others, and a key of its own.
    let (client, at) = (99, 3);
    let mut history = Vec::new();
    for round in 1..=3 {
        recording.more(200).await;
        // Connected before, so that nothing but the request is left to be done.
        let address = format!("http://{}", cluster.client_address(leader.id));
        let stub = KvClient::connect(address).await.unwrap();
        cluster.signal(leader.id, Signal::STOP);
        let next = cluster.leader_after(leader.term).await;
        assert_ne!(next.id, leader.id, "who is stopped is not elected");
        recording.more(200).await;

        let called = recording.clock.now();
        writer.put(key(at), round.to_string()).await.unwrap();
        let returned = Some((recording.clock.now(), Answer::Written));
        let operation = Operation::Put(round);
        history.push(Recorded {
            client,
            key: at,
            operation,
            called,
            returned,
        });

        // The read lies in the stopped leader's inbox when it goes on, as the first it hears of.
        let called = recording.clock.now();
        let read = tokio::spawn(read(stub, at));
        tokio::time::sleep(Duration::from_millis(50)).await;
        cluster.signal(leader.id, Signal::CONT);
        if let Some(got) = read.await.unwrap() {
            let returned = Some((recording.clock.now(), Answer::Got(got)));
            let operation = Operation::Get;
            history.push(Recorded {
                client,
                key: at,
                operation,
                called,
                returned,
            });
        }
        leader = next;
    }
    recording.more(200).await;
    history.extend(recording.stop().await);
    check(&history).unwrap_or_else(|refused| panic!("{refused}"));
    cluster.finish().await;
}

/// Asks this member, and no other; nothing if it refuses.
async fn read(mut stub: KvClient<Channel>, at: usize) -> Option<Option<u64>> {
    let answer = stub.get(GetRequest { key: key(at) }).await.ok()?;
    let item = answer.into_inner().item.map(Into::into);
    Some(value(item.as_ref()))
}
