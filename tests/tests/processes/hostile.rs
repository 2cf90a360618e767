//! Nodes that do not belong here, and bytes that are no protocol.

use quorate_tests::cluster::{Cluster, Setup};
use quorate_tests::load::{Load, all_there};
use rand::RngCore;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_another_cluster_is_refused_and_the_others_serve() {
    let mut cluster = Cluster::start(Setup::default());
    let client = cluster.patient_client();
    let leader = cluster.leader().await;
    client.put("key", "value").await.unwrap();
    let stranger = cluster.others(leader.id)[0];
    cluster.kill(stranger);
    let before = cluster.applied().await;
    cluster.write_config(stranger, |config| {
        config.replace("cluster = \"test\"", "cluster = \"other\"")
    });
    cluster.start_member(stranger);

    // Both clusters are named, on the side that was refused or on the one that refuses.
    for (id, words) in [
        (stranger, "belongs to cluster"),
        (stranger, "\"test\""),
        (stranger, "\"other\""),
    ] {
        cluster.says(id, words).await;
    }
    let load = Load::start(&client, "load", 4);
    load.more(200).await;
    let acknowledged = load.stop().await;
    all_there(&client, &acknowledged).await;
    let status = cluster.status(stranger).await.unwrap();
    assert_eq!(
        (status.leader, status.role.as_str() == "leader"),
        (0, false)
    );
    assert!(status.applied <= before, "it learns of nothing new");
    cluster.finish().await;
}

/// What somebody may send who means something else, or nothing good.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut random = vec![0; 64 << 10];
    rand::rng().fill_bytes(&mut random);
    let after_preface = [PREFACE, &random].concat();
    // A frame of headers that says it is 16 MiB long, and goes on for ever.
    let long = [PREFACE, b"\xff\xff\xff\x01\x04\x00\x00\x00\x01", &random].concat();
    // Frames of settings, one after the other, none of which is waited for.
    let settings = [PREFACE, &b"\0\0\0\x04\0\0\0\0\0".repeat(10_000)].concat();
    vec![
        ("nothing", Vec::new()),
        ("random bytes", random),
        (
            "HTTP/1",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        (
            "TLS",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        ),
        ("half a preface", PREFACE[..10].to_vec()),
        ("random frames", after_preface),
        ("a lying length", long),
        ("a flood of settings", settings),
    ]
}

/// Sends `bytes`, and reads what comes until there is nothing for a moment.
async fn send(address: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The member may close the connection in the middle of it.
    let _ = stream.write_all(bytes).await;
    let mut answer = vec![0; 4096];
    let moment = Duration::from_millis(100);
    while let Ok(Ok(1..)) = timeout(moment, stream.read(&mut answer)).await {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_the_ports_changes_nothing() {
    let mut cluster = Cluster::start(Setup::default());
    let client = cluster.patient_client();
    cluster.leader().await;
    let load = Load::start(&client, "load", 4);
    for (name, bytes) in garbage() {
        for id in cluster.ids() {
            send(cluster.peer_address(id), &bytes).await;
            send(cluster.client_address(id), &bytes).await;
            assert!(cluster.runs(id), "member {id} after {name}");
        }
        load.more(20).await;
    }
    let acknowledged = load.stop().await;
    all_there(&client, &acknowledged).await;
    cluster.finish().await;
}
