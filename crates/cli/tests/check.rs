//! `quorate check` and `quorate explore`, as a script sees them.

use std::fs;
use std::process::{Command, Output};

fn quorate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.args(arguments).output().expect("the binary runs")
}

#[test]
fn an_unknown_protocol_is_refused_with_the_known_ones() {
    for command in ["check", "explore"] {
        let output = quorate(&[command, "no-such-protocol"]);
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("known: raft"), "{told}");
    }
}

#[test]
fn the_list_names_configurations_with_bounds() {
    let output = quorate(&["check", "--list"]);
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.starts_with("raft: "), "{told}");
    assert!(told.contains("within nodes: "), "{told}");
}

/// However far a second gets: the status, the table and the files agree.
#[test]
fn a_check_with_a_limit_reports_what_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let (json, junit) = (folder.path().join("r.json"), folder.path().join("r.xml"));
    let [json_name, junit_name] = [&json, &junit].map(|path| path.to_str().unwrap());
    let output = quorate(&[
        "check",
        "raft",
        "--timeout",
        "1",
        "--json",
        json_name,
        "--junit",
        junit_name,
    ]);
    let reports: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let decided = reports.iter().all(|report| report["stopped"].is_null());
    assert_eq!(output.status.code(), Some(if decided { 0 } else { 1 }));
    let told = String::from_utf8(output.stdout).unwrap();
    for report in &reports {
        assert!(
            told.contains(report["protocol"].as_str().unwrap()),
            "{told}"
        );
    }
    assert!(told.contains("election safety"), "{told}");
    let xml = fs::read_to_string(junit).unwrap();
    let xml = roxmltree::Document::parse(&xml).unwrap();
    let suites = xml
        .descendants()
        .filter(|node| node.has_tag_name("testsuite"));
    assert_eq!(suites.count(), reports.len());
}
