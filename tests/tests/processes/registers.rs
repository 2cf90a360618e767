//! Write-once registers under contention, while members are killed and return.

use quorate::driver::{event_logs, replay};
use quorate::{GroupId, NodeId};
use quorate_register::{Client, ClientOptions, Machine, config};
use quorate_tests::chance;
use quorate_tests::cluster::{Cluster, Setup};
use quorate_tests::registers::Recording;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use std::time::Duration;
use tokio::time::sleep;

/// How often members are killed, at a scale of one.
const KILLS: usize = 15;

/// Operations between two of these.
const OPERATIONS: usize = 200;

/// The group of the registers on every member.
const GROUP: GroupId = GroupId(2);

/// Clients at all members. Those of one member know no other; those that know all have little patience, and leave
/// proposals behind of which nobody knows what becomes.
fn clients(cluster: &Cluster) -> Vec<Client> {
    let endpoints = cluster.endpoints();
    let loyal = ClientOptions {
        timeout: Duration::from_secs(2),
        attempt_timeout: Duration::from_millis(500),
    };
    let hasty = ClientOptions {
        timeout: Duration::from_millis(60),
        attempt_timeout: Duration::from_millis(20),
    };
    let mut clients = Vec::new();
    for first in 0..endpoints.len() {
        let mut all = endpoints.clone();
        all.rotate_left(first);
        let own = || [endpoints[first].clone()];
        clients.push(Client::new(own(), loyal).unwrap());
        clients.push(Client::new(own(), loyal).unwrap());
        clients.push(Client::new(all, hasty).unwrap());
    }
    clients
}

/// Kills one member, and sometimes two or all; lets them return.
async fn kill_some(cluster: &mut Cluster, recording: &Recording, dice: &mut SmallRng) {
    let mut ids = cluster.ids();
    ids.shuffle(dice);
    let count = match dice.random_range(0..10) {
        0..7 => 1,
        7..9 => 2,
        _ => 3,
    };
    ids.truncate(count);
    for id in &ids {
        cluster.kill(*id);
    }
    match count {
        1 => recording.more(dice.random_range(0..=OPERATIONS)).await,
        // Nothing is decided without a majority.
        _ => sleep(Duration::from_millis(dice.random_range(0..=200))).await,
    }
    for id in &ids {
        cluster.start_member(*id);
        // One may be killed while another one still recovers.
        sleep(Duration::from_millis(dice.random_range(0..=100))).await;
    }
}

/// What each member says by itself, once it runs.
fn each(cluster: &Cluster) -> Vec<Client> {
    let patient = ClientOptions {
        timeout: Duration::from_secs(30),
        ..ClientOptions::default()
    };
    let endpoints = cluster.endpoints().into_iter();
    endpoints
        .map(|endpoint| Client::new([endpoint], patient).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_register_never_changes_whoever_is_killed() {
    let mut dice = SmallRng::seed_from_u64(chance::seed());
    let mut cluster = Cluster::start(Setup {
        event_log: true,
        ..Setup::default()
    });
    let recording = Recording::start(clients(&cluster), dice.random());
    for _ in 0..KILLS * chance::scale() {
        recording.more(dice.random_range(1..=OPERATIONS)).await;
        kill_some(&mut cluster, &recording, &mut dice).await;
    }
    recording.more(OPERATIONS).await;
    let mut history = recording.stop().await;
    for member in each(&cluster) {
        history.read_all(&member).await;
    }
    for id in cluster.ids() {
        cluster.kill(id);
    }
    for id in cluster.ids() {
        cluster.start_member(id);
    }
    for member in each(&cluster) {
        history.read_all(&member).await;
    }

    let answers = || history.recorded.iter().map(|recorded| recorded.answered);
    let unknown = answers().filter(Option::is_none).count();
    let nothing = answers().flatten().filter(|(_, value)| value.is_none());
    let nothing = nothing.count();
    eprintln!(
        "{} operations on {} registers, {unknown} of them never answered, {nothing} answered with nothing",
        history.recorded.len(),
        history.registers()
    );
    history.check().unwrap_or_else(|why| panic!("{why}"));
    // Otherwise nothing was tested.
    assert!(unknown > 0 && nothing > 0 && history.registers() >= KILLS);

    for id in cluster.ids() {
        let logs = event_logs(&cluster.events(id), NodeId(id), GROUP).unwrap();
        let config = config(NodeId(id), cluster.ids().into_iter().map(NodeId));
        let report =
            replay::<Machine>(&config, &logs).unwrap_or_else(|differs| panic!("{differs}"));
        eprintln!("member {id}: {report}");
    }
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_says_what_a_register_holds() {
    let cluster = Cluster::start(Setup::default());
    let paxos = |words: &[&str]| {
        let output = Cluster::quorate()
            .arg("paxos")
            .args(words)
            .env("QUORATE_ENDPOINTS", cluster.endpoints().join(","))
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    };
    let (code, said) = paxos(&["read", "winner"]);
    assert_eq!(
        (code, said.trim()),
        (Some(1), "quorate: nothing is decided yet")
    );
    let (code, said) = paxos(&["propose", "winner", "anna"]);
    assert_eq!(
        (code, said.trim()),
        (Some(0), "it holds what you proposed: anna")
    );
    let other = cluster.client_address(2);
    let (code, said) = paxos(&["propose", "winner", "berta", "--endpoints", other]);
    assert_eq!(
        (code, said.trim()),
        (Some(1), "it holds what somebody else proposed: anna")
    );
    let (code, said) = paxos(&["propose", "winner", "anna", "--json"]);
    assert_eq!(
        (code, said.trim()),
        (Some(0), r#"{"value":"anna","yours":true}"#)
    );
    assert_eq!(
        paxos(&["read", "winner", "--raw"]),
        (Some(0), "anna".into())
    );
    let (code, said) = paxos(&["status"]);
    assert_eq!((code, said.lines().count()), (Some(0), 3), "{said}");

    let long = "x".repeat(2_000);
    assert_eq!(paxos(&["read", &long]).0, Some(2));
    let nobody = [
        "read",
        "winner",
        "--timeout",
        "0.2",
        "--endpoints",
        "127.0.0.1:1",
    ];
    assert_eq!(paxos(&nobody).0, Some(3));
    cluster.finish().await;
}
