//! Files as Jaeger's UI saves them, and the way back from what is exported here.

use quorate_trace::wire::{Batch, Limits, SpanKind, StatusCode};
use serde_json::json;

use super::*;
use crate::jaeger::to_json;

fn scan(document: &Value) -> Batch {
    let bytes = from_json(document.to_string().as_bytes()).unwrap();
    Batch::scan(bytes, &Limits::default()).unwrap()
}

fn trace() -> Value {
    json!({
        "traceID": "abc",
        "spans": [
            {"traceID": "abc", "spanID": "1", "flags": 1, "operationName": "root", "references": [],
             "startTime": 1_700_000_000_000_000u64, "duration": 5, "logs": [], "processID": "p1",
             "warnings": null,
             "tags": [{"key": "span.kind", "type": "string", "value": "server"},
                      {"key": "otel.scope.name", "type": "string", "value": "lib"},
                      {"key": "internal.span.format", "type": "string", "value": "proto"},
                      {"key": "n", "type": "int64", "value": "9007199254740993"},
                      {"key": "x", "type": "float64", "value": 1.5},
                      {"key": "b", "type": "binary", "value": "+/8="}]},
            {"traceID": "abc", "spanID": "2", "operationName": "child",
             "references": [
                {"refType": "FOLLOWS_FROM", "traceID": "def", "spanID": "7"},
                {"refType": "CHILD_OF", "traceID": "abc", "spanID": "1"}],
             "startTime": 1_700_000_000_000_001u64, "duration": 2, "processID": "p2",
             "logs": [{"timestamp": 1_700_000_000_000_002u64, "fields": [
                {"key": "event", "type": "string", "value": "error"},
                {"key": "message", "type": "string", "value": "no"}]}],
             "tags": [{"key": "error", "type": "bool", "value": true},
                      {"key": "otel.status_description", "type": "string", "value": "why"}]}],
        "processes": {
            "p1": {"serviceName": "front", "tags": [{"key": "host", "type": "string", "value": "h"}]},
            "p2": {"serviceName": "back"}},
        "warnings": null,
    })
}

#[test]
fn a_file_of_the_ui_is_read() {
    let batch = scan(&json!({ "data": [trace()], "total": 0, "errors": null }));
    let (root, child) = (batch.span(0), batch.span(1));
    assert_eq!(
        (root.service, root.name, root.kind),
        ("front", "root", SpanKind::Server)
    );
    assert_eq!(root.span_id.to_string(), "0000000000000001");
    assert_eq!(root.duration(), 5_000);
    assert_eq!(root.scope().0, "lib");
    let number = root
        .attribute("n")
        .and_then(|value| value.to_text().map(String::from));
    assert_eq!(number.as_deref(), Some("9007199254740993"));
    assert!(root.attribute("span.kind").is_none());
    assert_eq!((child.service, child.parent), ("back", Some(root.span_id)));
    assert_eq!(
        (child.status, child.status_message()),
        (StatusCode::Error, "why")
    );
    let link = child.links().next().unwrap();
    assert_eq!(
        link.trace_id.to_string(),
        "00000000000000000000000000000def"
    );
    assert_eq!(child.events().next().unwrap().name, "error");
}

#[test]
fn other_forms_of_a_file_are_read() {
    for document in [trace(), json!([trace()]), json!({ "data": [trace()] })] {
        assert_eq!(scan(&document).len(), 2);
    }
    let old = json!({"spans": [{"traceID": "a", "spanID": "b", "parentSpanID": "c",
        "operationName": "o", "startTime": 1, "duration": 1, "process": {"serviceName": "s"}}]});
    let batch = scan(&old);
    assert_eq!(
        batch.span(0).parent.unwrap().to_string(),
        "000000000000000c"
    );
    assert_eq!(batch.span(0).service, "s");
}

#[test]
fn what_is_exported_comes_back() {
    let batch = scan(&trace());
    let exported = to_json(&batch.spans().collect::<Vec<_>>()).unwrap();
    let again = scan(&serde_json::from_str(&exported).unwrap());
    let written = |batch: &Batch| {
        let mut spans: Vec<_> = batch.spans().collect();
        spans.sort_by_key(|span| span.span_id);
        to_json(&spans).unwrap()
    };
    assert_eq!(written(&again), written(&batch));
}

#[test]
fn what_is_no_trace_is_refused() {
    let mut lost = trace();
    lost["processes"] = json!({});
    let mut late = trace();
    late["spans"][0]["startTime"] = json!("soon");
    let mut odd = trace();
    odd["spans"][0]["spanID"] = json!("not hexadecimal!");
    for document in [json!({}), json!({"data": 1}), json!("x"), lost, late, odd] {
        assert!(
            from_json(document.to_string().as_bytes()).is_err(),
            "{document}"
        );
    }
    assert!(from_json(b"{").is_err());
    assert!(from_json("[".repeat(10_000).as_bytes()).is_err());
}
