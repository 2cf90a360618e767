//! `quorate trace` on files, as a script sees it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const TRACE: &str = "5b8efff798038103d269b633813fc60c";

fn quorate(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.arg("trace").args(arguments);
    command.env_remove("QUORATE_COLLECTOR");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    // It may end without reading.
    let _ = child.stdin.take().expect("piped").write_all(input);
    child.wait_with_output().expect("it ends")
}

/// A call that failed; its parent is there or not.
fn otlp(parent: &str) -> Vec<u8> {
    let span = |id: &str, parent: &str, status: Value| {
        json!({
            "traceId": TRACE, "spanId": id, "parentSpanId": parent, "name": "GET /", "kind": 2,
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000250000000",
            "status": status,
        })
    };
    let spans = [
        span("0000000000000001", "", json!({})),
        span("0000000000000002", parent, json!({ "code": 2 })),
    ];
    let message = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
    message.to_string().into_bytes()
}

fn lines(output: &Output) -> Vec<Value> {
    let values = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
    values.collect::<Result<_, _>>().expect("JSON")
}

#[test]
fn a_check_tells_by_its_status_whether_a_trace_is_whole() {
    for (parent, status) in [("0000000000000001", 0), ("00000000000000ff", 1)] {
        let output = quorate(&["check", "--file", "-", "--format", "json"], &otlp(parent));
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        let [checked] = &lines(&output)[..] else {
            panic!("{output:?}");
        };
        assert_eq!(checked["traceId"], TRACE);
        assert_eq!(checked["holds"], status == 0);
        let missing = checked["missing"].as_array().unwrap();
        assert_eq!(missing.len(), usize::try_from(status).unwrap());
    }
}

#[test]
fn a_trace_keeps_everything_on_its_way_through_the_forms() {
    let original = otlp("0000000000000001");
    let protobuf = quorate(&["export", "--file", "-", "--format", "otlp"], &original);
    let jaeger = quorate(
        &["export", "-f", "-", "--format", "jaeger-json"],
        &protobuf.stdout,
    );
    let back = quorate(&["export", "-f", "-"], &jaeger.stdout);
    assert_eq!(back.status.code(), Some(0), "{back:?}");
    let [got] = &lines(&quorate(
        &["get", "-f", "-", "--format", "json"],
        &back.stdout,
    ))[..] else {
        panic!("{back:?}");
    };
    assert_eq!(got["summary"]["spans"], 2);
    assert_eq!(got["summary"]["errors"], 1);
    assert_eq!(got["summary"]["durationNs"], 250_000_000);
    assert_eq!(got["otlp"], lines(&back)[0]);
    assert!(!got["faults"].as_array().unwrap().is_empty(), "{got}");
}

#[test]
fn what_cannot_be_done_has_its_own_status() {
    let file = otlp("");
    for (arguments, status) in [
        (&["get"][..], 2),
        (&["get", "no-id"], 2),
        (&["get", "--from", "https://127.0.0.1", TRACE], 2),
        (&["get", "--file", "/no/such/file"], 4),
        (&["import", "--to", "http://127.0.0.1:1", "-"], 3),
        (&["get", "--file", "-", &"a".repeat(32)], 1),
        (&["search", "--file", "-", "--service", "nobody"], 1),
        (&["root-cause", "--file", "-"], 0),
    ] {
        let output = quorate(arguments, &file);
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?}: {output:?}"
        );
        assert_eq!(
            output.stderr.is_empty(),
            status == 0,
            "{arguments:?}: {output:?}"
        );
    }
}
