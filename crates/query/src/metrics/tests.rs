//! Figures of small traces, and what names without number do.

use bytes::Bytes;
use quorate_trace::json::otlp_from_json;
use quorate_trace::wire::Batch;
use serde_json::json;

use super::*;

const HOUR_NS: u64 = 3_600_000_000_000;

/// Spans as service, name, kind, own id, parent's id, duration in milliseconds and status.
fn batch(spans: &[(&str, &str, u8, u64, u64, u64, u8)], more: serde_json::Value) -> Batch {
    let spans = spans.iter().map(|(service, name, kind, id, parent, duration, status)| {
        let mut span = json!({
            "traceId": format!("{:032x}", 1), "spanId": format!("{id:016x}"), "name": name,
            "kind": kind, "startTimeUnixNano": 1_000_000_000u64,
            "endTimeUnixNano": 1_000_000_000 + duration * 1_000_000, "status": {"code": status},
        });
        if *parent > 0 {
            span["parentSpanId"] = format!("{parent:016x}").into();
        }
        if let Some(attributes) = more.get(name) {
            span["attributes"] = attributes.clone();
        }
        json!({
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
            "scopeSpans": [{"spans": [span]}],
        })
    });
    let message = json!({ "resourceSpans": spans.collect::<Vec<_>>() });
    let bytes: Bytes = otlp_from_json(message.to_string().as_bytes()).unwrap();
    Batch::scan(bytes, &Default::default()).unwrap()
}

fn calls(graph: &ServiceGraph) -> Vec<(String, String, u64, u64)> {
    let edges = graph.report().edges.into_iter();
    edges
        .map(|edge| (edge.caller, edge.callee, edge.calls, edge.errors))
        .collect()
}

#[test]
fn operations_are_counted_by_kind_and_status() {
    let metrics = SpanMetrics::default();
    let spans = [
        ("a", "get", 2, 1, 0, 10, 0),
        ("a", "get", 2, 2, 0, 10, 2),
        ("a", "get", 3, 3, 0, 40, 1),
    ];
    metrics.observe(&batch(&spans, json!({})).spans().collect::<Vec<_>>());
    let report = metrics.report();
    let figures: Vec<_> = report.iter().map(|m| (m.kind, m.calls, m.errors)).collect();
    assert_eq!(figures, [("server", 2, 1), ("client", 1, 0)]);
    assert!(
        (8.0..=12.0).contains(&report[0].p99_ms),
        "{}",
        report[0].p99_ms
    );
    let text = metrics.prometheus();
    let labels = "service=\"a\",span_name=\"get\",span_kind=\"SPAN_KIND_SERVER\"";
    for line in [
        format!("traces_spanmetrics_calls_total{{{labels},status_code=\"STATUS_CODE_ERROR\"}} 1\n"),
        format!("traces_spanmetrics_latency_bucket{{{labels},le=\"0.008388608\"}} 0\n"),
        format!("traces_spanmetrics_latency_bucket{{{labels},le=\"0.016777216\"}} 2\n"),
        format!("traces_spanmetrics_latency_bucket{{{labels},le=\"+Inf\"}} 2\n"),
        format!("traces_spanmetrics_latency_sum{{{labels}}} 0.02\n"),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
}

#[test]
fn names_without_number_cost_a_bounded_amount() {
    let metrics = SpanMetrics::new(3);
    for name in ["one", "two", "three", "four", "five"] {
        let spans = [("a", name, 2, 1, 0, 1, 0), (name, "x", 2, 2, 0, 1, 0)];
        metrics.observe(&batch(&spans, json!({})).spans().collect::<Vec<_>>());
    }
    let report = metrics.report();
    let find = |service: &str, operation: &str| {
        let found = report
            .iter()
            .find(|m| (&*m.service, &*m.operation) == (service, operation));
        found.map(|metrics| metrics.calls)
    };
    assert_eq!(find("a", "one"), Some(1));
    assert_eq!(find("a", OTHER), Some(3));
    assert_eq!(find(OTHER, OTHER), Some(4));
    assert_eq!(report.len(), 5);
    assert_eq!(report.iter().map(|metrics| metrics.calls).sum::<u64>(), 10);
}

#[test]
fn names_of_any_length_cost_a_bounded_amount() {
    let metrics = SpanMetrics::new(10);
    let graph = ServiceGraph::new(10);
    let long = "x".repeat(513);
    let spans = [("a", &*long, 2, 1, 0, 1, 0), (&*long, "b", 2, 2, 1, 1, 0)];
    let batch = batch(&spans, json!({}));
    let spans: Vec<_> = batch.spans().collect();
    metrics.observe(&spans);
    graph.observe(&spans, 0);
    let names = metrics.report().into_iter();
    let mut names: Vec<_> = names.map(|m| (m.service, m.operation)).collect();
    names.sort();
    let owned = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(names, [owned(OTHER, "b"), owned("a", OTHER)]);
    assert_eq!(graph.report().edges[0].callee, OTHER);
}

#[test]
fn calls_go_from_service_to_service() {
    let graph = ServiceGraph::default();
    let spans = [
        ("web", "GET", 2, 1, 0, 100, 0),
        ("web", "call", 3, 2, 1, 80, 0),
        ("cart", "serve", 2, 3, 2, 60, 2),
        ("cart", "within", 1, 4, 3, 10, 0),
        ("cart", "select", 3, 5, 4, 5, 0),
        ("cart", "external", 3, 6, 4, 5, 0),
        ("lost", "orphan", 2, 7, 99, 5, 0),
    ];
    let attributes = json!({
        "select": [{"key": "server.address", "value": {"stringValue": "10.0.0.1"}},
            {"key": "db.system", "value": {"stringValue": "mysql"}},
            {"key": "db.namespace", "value": {"stringValue": "carts"}}],
        // It has a child of another service, so what it names is not counted.
        "call": [{"key": "peer.service", "value": {"stringValue": "the-cart"}}],
    });
    graph.observe(&batch(&spans, attributes).spans().collect::<Vec<_>>(), 0);
    let expected = [
        ("cart".to_owned(), "carts".to_owned(), 1, 0),
        ("web".to_owned(), "cart".to_owned(), 1, 1),
    ];
    assert_eq!(calls(&graph), expected);
    let report = graph.report();
    let kinds: Vec<_> = report
        .nodes
        .iter()
        .map(|node| (&*node.service, node.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            ("cart", "service"),
            ("carts", "database"),
            ("web", "service")
        ]
    );
    // As the caller saw it.
    assert!(
        (67.0..=84.0).contains(&report.edges[1].p50_ms),
        "{}",
        report.edges[1].p50_ms
    );
    let text = graph.prometheus();
    for line in [
        "traces_service_graph_request_total{client=\"web\",server=\"cart\"} 1\n",
        "traces_service_graph_request_failed_total{client=\"web\",server=\"cart\"} 1\n",
        "traces_service_graph_request_client_seconds_count{client=\"cart\",server=\"carts\"} 1\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn windows_count_their_hours_only() {
    let graph = ServiceGraph::new(1);
    let spans = [("a", "x", 3, 1, 0, 1, 0), ("b", "y", 2, 2, 1, 1, 0)];
    let batch = batch(&spans, json!({}));
    let spans: Vec<_> = batch.spans().collect();
    for hour in [1, 2, 2, 100] {
        graph.observe(&spans, hour * HOUR_NS);
    }
    let count = |from: u64, to: u64| {
        let links = graph.links(from * HOUR_NS, to * HOUR_NS);
        links.first().map(|link| link.call_count)
    };
    assert_eq!(count(1, 1), Some(1));
    assert_eq!(count(1, 2), Some(3));
    assert_eq!(count(3, 99), None);
    assert_eq!(count(0, u64::MAX / HOUR_NS), Some(4));
}

#[test]
fn edges_without_number_cost_a_bounded_amount() {
    let graph = ServiceGraph::new(2);
    for callee in ["b", "c", "d", "e"] {
        let spans = [("a", "x", 3, 1, 0, 1, 0), (callee, "y", 2, 2, 1, 1, 0)];
        graph.observe(&batch(&spans, json!({})).spans().collect::<Vec<_>>(), 0);
    }
    let expected = [(OTHER, OTHER, 2), ("a", "b", 1), ("a", "c", 1)];
    let found = calls(&graph).into_iter();
    let found: Vec<_> = found
        .map(|(caller, callee, calls, _)| (caller, callee, calls))
        .collect();
    let expected =
        expected.map(|(caller, callee, calls)| (caller.to_owned(), callee.to_owned(), calls));
    assert_eq!(found, expected);
}

#[test]
fn labels_are_escaped() {
    assert_eq!(Label("a\"b\\c\nd").to_string(), "a\\\"b\\\\c\\nd");
}
