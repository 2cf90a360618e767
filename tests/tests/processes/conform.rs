//! What members record under kills, stops and broken networks is what was specified.

use quorate_tests::cluster::{Cluster, Setup};
use quorate_tests::namespaces::Namespaces;
use quorate_tests::wait::until;
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// A writer that takes its time: what it does is replayed in a specification.
struct Writer {
    written: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Writer {
    fn start(cluster: &Cluster) -> Self {
        let (client, written) = (cluster.patient_client(), Arc::new(AtomicUsize::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let (counts, stopped) = (written.clone(), stop.clone());
        tokio::spawn(async move {
            for number in 0_u64.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let key = format!("key {}", number % 5);
                let done = match number % 4 {
                    0 => client.get(key).await.is_ok(),
                    _ => client.put(key, number.to_string()).await.is_ok(),
                };
                if done {
                    counts.fetch_add(1, Ordering::Relaxed);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Writer { written, stop }
    }

    async fn more(&self, count: usize) {
        let target = self.written.load(Ordering::Relaxed) + count;
        let what = format!("{target} requests are answered");
        until(&what, || self.written.load(Ordering::Relaxed) >= target).await;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Three members that record, in namespaces of their own if the system allows it.
fn recording_cluster() -> Cluster {
    let setup = Setup {
        event_log: true,
        ..Setup::default()
    };
    let mut cluster = match Namespaces::create() {
        Ok(network) => Cluster::create_in(setup, network),
        Err(why) => {
            eprintln!("SKIPPED: faults of the network, as namespaces are not possible here: {why}");
            Cluster::create(setup)
        }
    };
    for id in cluster.ids() {
        cluster.start_member(id);
    }
    cluster
}

fn conform(cluster: &Cluster, options: &[&str]) -> Output {
    let mut command = Cluster::quorate();
    command.arg("conform").arg(cluster.dir()).args(options);
    command.output().expect("quorate can be run")
}

fn result(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

async fn crashes_and_stops(cluster: &mut Cluster, writer: &Writer) {
    let first = cluster.leader().await;
    writer.more(20).await;
    cluster.kill(first.id);
    let second = cluster.leader_after(first.term).await;
    writer.more(20).await;
    cluster.start_member(first.id);
    writer.more(20).await;

    cluster.signal(second.id, Signal::STOP);
    cluster.leader_after(second.term).await;
    writer.more(20).await;
    cluster.signal(second.id, Signal::CONT);
    writer.more(20).await;
}

async fn network_faults(cluster: &Cluster, writer: &Writer) {
    let Some(network) = cluster.network() else {
        return;
    };
    let leader = cluster.leader().await;
    network.isolate(leader.id, true);
    let next = cluster.leader_after(leader.term).await;
    writer.more(20).await;
    network.isolate(leader.id, false);
    writer.more(20).await;

    let follower = cluster.others(next.id)[0];
    network.deafen(follower, next.id, true);
    writer.more(40).await;
    network.deafen(follower, next.id, false);

    println!("the link is spoiled by {}", network.spoil(follower, true));
    writer.more(40).await;
    network.spoil(follower, false);
    writer.more(20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_members_record_under_faults_conforms_to_the_specification() {
    let mut cluster = recording_cluster();
    let writer = Writer::start(&cluster);
    crashes_and_stops(&mut cluster, &writer).await;
    network_faults(&cluster, &writer).await;
    for id in cluster.ids() {
        cluster.kill(id);
    }
    for id in cluster.ids() {
        cluster.start_member(id);
    }
    writer.more(20).await;
    for id in cluster.ids() {
        cluster.kill(id);
    }

    let checked = conform(&cluster, &["--json"]);
    let report = result(&checked);
    println!("{report:#}");
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(0));
    for member in report["members"].as_array().expect("members") {
        assert_eq!(member["identical"], true);
        assert!(member["incarnations"].as_u64() >= Some(2));
    }
    let specification = &report["specification"];
    if let Some(why) = specification["skipped"].as_str() {
        eprintln!("SKIPPED: the specification: {why}");
        assert_eq!(checked.status.code(), Some(1), "undecided is not well");
    } else {
        let checked_steps = &specification["checked"];
        assert_eq!(checked_steps["steps"], checked_steps["validated"]);
        assert_eq!(checked.status.code(), Some(0));
    }
    assert!(report["matched"].as_u64() > Some(500) && report["committed"].as_u64() > Some(100));

    altered_logs_do_not(&cluster);
}

/// Each of these is one line of one log.
fn altered_logs_do_not(cluster: &Cluster) {
    let dir = cluster.events(2);
    let log = fs::read_dir(dir).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.contains("Append {"));
    let at = at.expect("a member that wrote something");
    let altered = lines[at].replacen("Append {", "Append{", 1);
    let change = |with: &[&str]| [&lines[..at], with, &lines[at + 1..]].concat().join("\n") + "\n";
    for changed in [change(&[&altered]), change(&[])] {
        fs::write(&log, changed).unwrap();
        let refuted = conform(cluster, &["--json", "--no-spec"]);
        assert_eq!(refuted.status.code(), Some(1));
        let report = result(&refuted);
        assert_eq!(report["findings"][0]["part"], "replay", "{report:#}");
        assert_eq!(report["findings"][0]["member"], 2);
    }
    fs::write(&log, text).unwrap();
    let restored = conform(cluster, &["--no-spec"]);
    assert_eq!(restored.status.code(), Some(0));
}
