//! `quorate demo` and `quorate replay`, as a user runs them.

use quorate_kv::ClientOptions;
use quorate_tests::cluster::{Cluster, Setup};
use quorate_tests::load::Load;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The demo with its files in `dir`.
fn demo(dir: &Path) -> Command {
    let mut demo = Cluster::quorate();
    demo.arg("demo").env("TMPDIR", dir).stdin(Stdio::null());
    demo
}

/// That no file and no process of a demo is left.
fn all_gone(dir: &Path, said: &str) {
    let left: Vec<_> = fs::read_dir(dir).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    let mut pids = Vec::new();
    for after in said.split("process ").skip(1) {
        pids.push(after.split(',').next().unwrap());
    }
    assert!(pids.len() >= 3, "{said}");
    for pid in pids {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        assert!(
            !command.contains("quorate"),
            "process {pid} is left: {command}"
        );
    }
}

/// Runs the demo of `protocol`, which must tell of `events` in this order, end well and leave nothing.
fn tells(protocol: &str, events: &[&str]) {
    let dir = TempDir::new().unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = demo(dir.path()).arg(protocol).output().unwrap();
    let (said, warned) = (
        String::from_utf8(stdout).unwrap(),
        String::from_utf8_lossy(&stderr),
    );
    assert_eq!(status.code(), Some(0), "{said}{warned}");
    let mut rest = said.as_str();
    for event in events {
        let (_, after) = rest
            .split_once(event)
            .unwrap_or_else(|| panic!("{event}: {said}"));
        rest = after;
    }
    all_gone(dir.path(), &said);
}

#[test]
fn the_demo_tells_its_story_and_cleans_up() {
    tells(
        "kv",
        &[
            "member 1 starts",
            "is elected (term ",
            "get greeting: hello",
            "kill -9 of member ",
            "has taken over after ",
            "writes are acknowledged again; for ",
            " acknowledged writes are there",
            "starts again on the disk it left",
            "has caught up to entry ",
            "every effect is the same",
            "the members are stopped",
        ],
    );
}

#[test]
fn the_demo_of_registers_tells_its_story_and_cleans_up() {
    tells(
        "paxos",
        &[
            "nobody leads",
            "it holds anna, for ever",
            "too late, it holds anna",
            "kill -9 of member 2",
            "starts again on the disk it left",
            "both were told the same",
            "all three members say the same of all ",
            "kill -9 of all three members",
            "all three members say the same of all ",
            "every effect is the same",
            "the members are stopped",
        ],
    );
}

#[test]
fn the_demo_of_transactions_tells_its_story_and_cleans_up() {
    tells(
        "txn",
        &[
            "three members, each with a store of its own",
            "committed after ",
            "aborted, member 1: anna is ",
            "BLOCKING",
            "kill -9 of member 3",
            "is open, for member 3 may have committed it or not",
            "is locked by transaction 3-",
            "starts again on the disk it left",
            "altogether, as before",
            "NON-BLOCKING",
            "kill -9 of member 3",
            "a majority has decided",
            "life goes on: ",
            "altogether, as before",
            "nothing is in doubt",
            "every effect is the same",
            "the members are stopped",
        ],
    );
}

#[test]
fn the_demo_of_a_chat_tells_its_story_and_cleans_up() {
    tells(
        "broadcast",
        &[
            "member 1 starts, for anna",
            "it sits on the roof",
            "each answers the one before",
            "kill -9 of member 2",
            "starts again on the disk it left",
            "berta has read what she missed",
            "none is missing, none came twice",
            "each after all that its author had read before",
            "every effect is the same",
            "the members are stopped",
        ],
    );
}

#[test]
fn an_interrupted_demo_cleans_up() {
    let dir = TempDir::new().unwrap();
    let mut demo = demo(dir.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(demo.stdout.take().unwrap());
    while !said.contains("clients write") {
        assert_ne!(lines.read_line(&mut said).unwrap(), 0, "{said}");
    }
    let pid = Pid::from_raw(demo.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(demo.wait().unwrap().code(), Some(130));
    all_gone(dir.path(), &said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_lives_replay_from_the_command_line() {
    let mut cluster = Cluster::start(Setup {
        event_log: true,
        ..Setup::default()
    });
    let client = cluster.client(ClientOptions::default());
    let load = Load::start(&client, "load", 4);
    load.more(100).await;
    let leader = cluster.leader().await;
    cluster.kill(leader.id);
    cluster.start_member(leader.id);
    load.more(100).await;
    load.stop().await;
    for id in cluster.ids() {
        cluster.kill(id);
    }

    let replay = |arguments: &[&Path]| {
        let output = Cluster::quorate()
            .arg("replay")
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    };
    let (code, said) = replay(&[cluster.dir()]);
    assert_eq!(code, Some(0), "{said}");
    for id in cluster.ids() {
        let starts = if id == leader.id { 2 } else { 1 };
        let line = format!("member {id}, key-value store: {starts} starts");
        assert!(said.contains(&line), "{said}");
    }
    let same = said.matches("every effect is the same").count();
    assert_eq!(same, said.lines().count(), "{said}");

    // The second start without the first.
    let config = cluster.config(leader.id);
    let config = [Path::new("--config"), &config];
    let second = cluster
        .events(leader.id)
        .join(format!("n{}-g1-000002.jsonl", leader.id));
    let (code, said) = replay(&[config[0], config[1], &second]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("durable records"), "{said}");

    let nowhere = cluster.dir().join("nowhere");
    let (code, said) = replay(&[config[0], config[1], &nowhere]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("nowhere"), "{said}");
    let stranger = cluster.config(leader.id);
    let (code, said) = replay(&[config[0], config[1], &stranger]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("not an event log"), "{said}");
    assert_eq!(replay(&[&nowhere]).0, Some(2));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut list = Cluster::quorate();
    let list = list.args(["check", "--list"]).stdout(writer);
    let ended = list.output().expect("it runs");
    assert_eq!(ended.status.code(), Some(141));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}
