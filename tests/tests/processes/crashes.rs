//! Members that are killed, and return.

use quorate_tests::cluster::{Cluster, Setup};
use quorate_tests::load::{Load, all_there};
use std::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_takes_nothing_with_it_and_returns() {
    let mut cluster = Cluster::start(Setup::default());
    let client = cluster.patient_client();
    let first = cluster.leader().await;
    let load = Load::start(&client, "load", 8);
    load.more(300).await;
    cluster.kill(first.id);

    let second = cluster.leader_after(first.term).await;
    assert_ne!(second.id, first.id);
    load.more(300).await;
    cluster.start_member(first.id);
    load.more(300).await;
    let acknowledged = load.stop().await;

    all_there(&client, &acknowledged).await;
    cluster.caught_up(first.id, cluster.applied().await).await;
    // The member that was killed is one of a majority again: without another one everything is there.
    let third = cluster.leader().await;
    let other = cluster.others(third.id);
    let other = other
        .into_iter()
        .find(|id| *id != first.id)
        .unwrap_or(third.id);
    cluster.kill(other);
    all_there(&client, &acknowledged).await;
    client.put("after", "all").await.unwrap();
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_members_killed_at_once_have_everything_when_they_return() {
    let mut cluster = Cluster::start(Setup::default());
    let client = cluster.patient_client();
    let load = Load::start(&client, "load", 8);
    load.more(500).await;
    for id in cluster.ids() {
        cluster.kill(id);
    }
    let before = load.acknowledged();
    for id in cluster.ids() {
        cluster.start_member(id);
    }
    load.more(500).await;
    let acknowledged = load.stop().await;
    assert!(before >= 500 && acknowledged.len() >= before + 500);
    all_there(&client, &acknowledged).await;
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_far_behind_catches_up_while_writes_go_on() {
    catch_up(4_000, 16).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a hundred thousand writes take a while"]
async fn a_follower_a_hundred_thousand_entries_behind_catches_up_while_writes_go_on() {
    catch_up(100_000, 64).await;
}

/// A follower is down for `behind` writes and returns.
async fn catch_up(behind: usize, writers: usize) {
    let mut cluster = Cluster::start(Setup {
        // As by default: catching up must not cost the leader its place.
        election_ticks: [100, 200],
        ..Setup::default()
    });
    let client = cluster.patient_client();
    let leader = cluster.leader().await;
    let follower = cluster.others(leader.id)[0];
    client.put("before", "all").await.unwrap();
    cluster.caught_up(follower, cluster.applied().await).await;
    cluster.kill(follower);

    let load = Load::start(&client, "load", writers);
    // In parts, each with a deadline of its own.
    for _ in 0..behind.div_ceil(1_000) {
        load.more(1_000).await;
    }
    let target = cluster.applied().await;
    cluster.start_member(follower);
    let (before, began) = (load.acknowledged(), Instant::now());
    cluster.caught_up(follower, target).await;
    let (meanwhile, took) = (load.acknowledged() - before, began.elapsed());
    println!(
        "{behind} entries in {took:?}, from the process's start; {meanwhile} writes meanwhile"
    );
    assert!(meanwhile > 0, "writes go on meanwhile");
    assert_eq!(
        cluster.leader().await,
        leader,
        "the leader has led all the time"
    );
    let acknowledged = load.stop().await;

    // It has them all: the others are not needed.
    cluster.caught_up(follower, cluster.applied().await).await;
    cluster.kill(leader.id);
    all_there(&client, &acknowledged).await;
    cluster.finish().await;
}
