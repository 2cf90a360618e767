//! What the command line accepts, and what it says when it does not.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: KvArgs,
}

fn parse(words: &str) -> Result<KvArgs, String> {
    Line::try_parse_from(["kv"].into_iter().chain(words.split_whitespace()))
        .map(|line| line.args)
        .map_err(|error| error.to_string())
}

/// The message for a line that is right but for these words.
fn complaint(words: &str) -> String {
    let line = format!("--target etcd --endpoints 127.0.0.1:2379 {words}");
    parse(&line).unwrap_err()
}

#[test]
fn the_defaults_are_the_published_measurement() {
    let args = parse("--target etcd --endpoints 127.0.0.1:2379").unwrap();
    assert_eq!(args.target, Target::Etcd);
    let load = args.load;
    assert_eq!(load.clients, [1, 16, 64, 256]);
    assert_eq!(load.value_bytes, 256);
    assert!(matches!(load.limit(), Limit::Time(length) if length == Duration::from_secs(10)));
}

#[test]
fn lists_are_separated_by_commas() {
    let args = parse(
        "--target etcd --endpoints 127.0.0.1:1,http://localhost:2 --clients 1,8 --pids 10,11,12 --operations 5",
    )
    .unwrap();
    let args = args.load;
    let endpoints: Vec<_> = args.endpoints.iter().map(ToString::to_string).collect();
    assert_eq!(endpoints, ["http://127.0.0.1:1/", "http://localhost:2/"]);
    assert_eq!(args.clients, [1, 8]);
    assert_eq!(args.pids, [10, 11, 12]);
    assert!(matches!(args.limit(), Limit::Operations(5)));
}

#[test]
fn target_and_endpoints_are_required() {
    let message = parse("").unwrap_err();
    assert!(message.contains("--target <TARGET>"), "{message}");
    assert!(message.contains("--endpoints <ENDPOINTS>"), "{message}");
}

#[test]
fn an_unknown_target_is_answered_with_the_known_ones() {
    let message = parse("--target zookeeper --endpoints 127.0.0.1:1").unwrap_err();
    assert!(message.contains("invalid value 'zookeeper'"), "{message}");
    assert!(
        message.contains("possible values: quorate, etcd"),
        "{message}"
    );
}

#[test]
fn a_wrong_endpoint_is_told_what_is_wrong() {
    for (endpoint, complaint) in [
        ("127.0.0.1", "a port is missing; write host:port"),
        ("https://127.0.0.1:2379", "only plain http:// is supported"),
        (
            "127.0.0.1:2379/v3",
            "an address has no path; write host:port",
        ),
        ("127.0.0.1:port", "a port is missing; write host:port"),
        ("127.0.0.1:1,,127.0.0.1:2", "not an address:"),
    ] {
        let message = parse(&format!("--target etcd --endpoints {endpoint}")).unwrap_err();
        assert!(message.contains(complaint), "{endpoint}: {message}");
    }
}

#[test]
fn numbers_out_of_range_are_refused_with_the_range() {
    for (words, range) in [
        ("--clients 1,0", "0 is not in 1..=4096"),
        ("--clients 5000", "5000 is not in 1..=4096"),
        ("--connections 0", "0 is not in 1..=4096"),
        ("--value-bytes 1048577", "1048577 is not in 0..=1048576"),
        ("--keys 0", "0 is not in 1..=1000000000000"),
        ("--operations 0", "0 is not in 1..=1000000000"),
        ("--seconds 0", "0 is not in 1..=86400"),
        ("--pids 0", "0 is not in 1..=4194304"),
    ] {
        let message = complaint(words);
        assert!(message.contains(range), "{words}: {message}");
    }
}

#[test]
fn a_run_is_limited_by_time_or_by_operations_but_not_both() {
    let message = complaint("--seconds 5 --operations 100");
    assert!(
        message.contains("'--seconds <SECONDS>' cannot be used with '--operations <OPERATIONS>'"),
        "{message}"
    );
}

#[test]
fn the_report_is_written_as_json() {
    let args = parse("--target etcd --endpoints 127.0.0.1:2379 --keys 7").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    Report::new(args.target, &args.load)
        .write_json(&path)
        .unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["target"], "etcd");
    assert_eq!(json["endpoints"][0], "http://127.0.0.1:2379/");
    assert_eq!(json["keys"], 7);
    assert_eq!(json["levels"], serde_json::json!([]));
}

#[test]
fn a_report_that_cannot_be_written_names_its_file() {
    let args = parse("--target etcd --endpoints 127.0.0.1:2379").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/report.json");
    let failure = Report::new(args.target, &args.load)
        .write_json(&path)
        .unwrap_err();
    let beginning = format!("writing {}: ", path.display());
    assert!(failure.to_string().starts_with(&beginning), "{failure}");
    assert_eq!(failure.outcome(), Outcome::Local);
}
