//! What clients saw while leaders were killed, and what the members say of it.

use quorate::driver::{Divergence, event_logs, replay};
use quorate::raft::{Config, Raft};
use quorate::{GroupId, NodeId};
use quorate_kv::{Client, ClientOptions, Map};
use quorate_tests::cluster::{Cluster, Setup};
use quorate_tests::history::Recording;
use quorate_tests::linearizability::{Recorded, check};
use std::fs;
use std::time::Duration;

const OPERATIONS: usize = 10_000;
const KILLS: usize = 4;

/// Clients that differ in patience: those with little leave operations behind of which nobody knows
/// whether they took effect.
fn clients(cluster: &Cluster) -> Vec<Client> {
    let patient = ClientOptions {
        timeout: Duration::from_secs(30),
        attempt_timeout: Duration::from_millis(500),
        ..ClientOptions::default()
    };
    let hasty = ClientOptions {
        timeout: Duration::from_millis(150),
        attempt_timeout: Duration::from_millis(100),
        ..patient
    };
    let options = [patient, patient, patient, patient, hasty, hasty];
    options.map(|options| cluster.client(options)).into()
}

/// A history during which leaders are killed and return.
async fn record(cluster: &mut Cluster) -> Vec<Recorded> {
    let mut leader = cluster.leader().await;
    let recording = Recording::start(clients(cluster), 5);
    for _ in 0..KILLS {
        recording.more(OPERATIONS / (2 * KILLS)).await;
        cluster.kill(leader.id);
        let next = cluster.leader_after(leader.term).await;
        recording.more(OPERATIONS / (4 * KILLS)).await;
        cluster.start_member(leader.id);
        recording.more(OPERATIONS / (4 * KILLS)).await;
        leader = cluster.leader_after(next.term - 1).await;
    }
    while recording.operations() < OPERATIONS {
        recording.more(100).await;
    }
    recording.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_with_killed_leaders_is_linearizable_and_replays() {
    let mut cluster = Cluster::start(Setup {
        event_log: true,
        ..Setup::default()
    });
    let history = record(&mut cluster).await;
    let unknown = history
        .iter()
        .filter(|recorded| recorded.returned.is_none());
    println!(
        "{} operations, {} of them with unknown outcome",
        history.len(),
        unknown.count()
    );
    assert!(history.len() >= OPERATIONS);
    check(&history).unwrap_or_else(|refused| panic!("{refused}"));

    // The members that run are killed, too: a replay takes what a crash leaves.
    for id in cluster.ids() {
        cluster.kill(id);
    }
    let mut starts = 0;
    for id in cluster.ids() {
        let report = replayed(&cluster, id).unwrap_or_else(|divergence| panic!("{divergence}"));
        println!("member {id}: {report}");
        assert!(report.steps > OPERATIONS as u64 / 100);
        starts += report.starts;
    }
    assert_eq!(starts as usize, cluster.ids().len() + KILLS);
    tampering_is_noticed(&cluster);
}

fn replayed(cluster: &Cluster, id: u32) -> Result<quorate::driver::ReplayReport, Divergence> {
    let members = cluster.ids().into_iter().map(NodeId);
    let config = Config::new(NodeId(id), members, Map::new());
    let config = Config {
        // As in the members' configuration.
        election_ticks: 40..=80,
        heartbeat_ticks: 5,
        ..config
    };
    let logs = event_logs(&cluster.events(id), NodeId(id), GroupId(1)).unwrap();
    replay::<Raft<Map>>(&config, &logs)
}

/// One key in one event is altered: what the machine then persists differs from what is recorded.
fn tampering_is_noticed(cluster: &Cluster) {
    // "register 2" and "register 3" in hexadecimal, as they are in events. A follower's step has the key
    // in its event and in its effects; leaders collect commands and persist them in a later step.
    let (key, other) = ("72656769737465722032", "72656769737465722033");
    let persists = |line: &&str| line.contains(key) && line.contains("register 2");
    for id in cluster.ids() {
        let logs = event_logs(&cluster.events(id), NodeId(id), GroupId(1)).unwrap();
        let text = fs::read_to_string(&logs[0]).unwrap();
        let Some(line) = text.lines().find(persists) else {
            continue;
        };
        let altered = text.replacen(line, &line.replacen(key, other, 1), 1);
        fs::write(&logs[0], altered).unwrap();
        let divergence = replayed(cluster, id).expect_err("the event was another one");
        assert!(
            matches!(divergence, Divergence::Effects { .. }),
            "{divergence}"
        );
        return;
    }
    panic!("nobody was told to write register 2");
}
