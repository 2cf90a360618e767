//! Configurations that cannot work: exit status 2, and words that say what to do.

use quorate_tests::cluster::{Cluster, Setup};
use std::fs;
use std::process::Output;

/// Runs member 1 with its configuration changed by `change`.
fn run_with(change: impl Fn(&Cluster, String) -> String) -> Output {
    let cluster = Cluster::create(Setup::default());
    cluster.write_config(1, |config| {
        let changed = change(&cluster, config.clone());
        assert_ne!(changed, config);
        changed
    });
    let mut member = Cluster::quorate();
    let output = member
        .arg("node")
        .arg("--config")
        .arg(cluster.config(1))
        .output()
        .unwrap();
    assert!(!cluster.data(1).exists(), "nothing was written");
    output
}

fn refused(change: impl Fn(&Cluster, String) -> String) -> String {
    let output = run_with(change);
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn an_unknown_key_is_named() {
    let words = refused(|_, config| config.replace("heartbeat_ticks", "heartbeat"));
    assert!(words.contains("unknown field `heartbeat`"), "{words}");
    assert!(
        words.contains("heartbeat_ticks"),
        "the known ones are listed: {words}"
    );
}

#[test]
fn a_member_that_is_not_among_the_members_is_told_who_is() {
    let words = refused(|_, config| config.replace("id = 1\n", "id = 4\n"));
    assert!(
        words.contains("id: 4 is not among the members (1, 2, 3)"),
        "{words}"
    );
}

#[test]
fn an_election_timeout_is_longer_than_a_heartbeat() {
    let words = refused(|_, config| config.replace("heartbeat_ticks = 5", "heartbeat_ticks = 40"));
    assert!(
        words.contains("election timeout (40 ticks) must be longer"),
        "{words}"
    );
}

#[test]
fn two_members_have_two_addresses() {
    let words =
        refused(|cluster, config| config.replace(cluster.peer_address(2), cluster.peer_address(3)));
    assert!(words.contains("members.3: the address"), "{words}");
    assert!(words.contains("is that of members.2 already"), "{words}");
}

#[test]
fn a_duplicate_id_is_refused() {
    let words = refused(|_, config| config.replace("[members.2]", "[members.3]"));
    assert!(words.contains("duplicate key"), "{words}");
}

#[test]
fn a_port_in_use_is_named() {
    let cluster = Cluster::create(Setup::default());
    let taken = std::net::TcpListener::bind(cluster.client_address(1)).unwrap();
    let mut member = Cluster::quorate();
    let output = member
        .arg("node")
        .arg("--config")
        .arg(cluster.config(1))
        .output()
        .unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{words}");
    let address = taken.local_addr().unwrap().to_string();
    assert!(
        words.contains(&address) && words.contains("in use"),
        "{words}"
    );
}

#[test]
fn the_example_is_a_configuration() {
    let output = Cluster::quorate()
        .args(["node", "--example-config"])
        .output()
        .unwrap();
    let example = String::from_utf8(output.stdout).unwrap();
    let words = refused(move |cluster, _| {
        // Only the id is changed, so that nothing else can be what is refused.
        fs::create_dir_all(cluster.dir()).unwrap();
        example.replace("\nid = 1\n", "\nid = 9\n")
    });
    assert!(words.contains("id: 9 is not among the members"), "{words}");
}
