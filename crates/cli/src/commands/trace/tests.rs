//! Traces in files and in a collector, as they are shown.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::http::{StatusCode, header};
use axum::Router;
use axum::extract::RawQuery;
use axum::routing::{get, post};
use bytes::Bytes;
use clap::Parser;
use quorate_analysis::{History, Patterns};
use quorate_trace::TraceId;
use quorate_trace::wire::{Batch, Limits, Span, encode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::collector::Collector;
use super::http::HttpClient;
use super::report::Report;
use super::tree::Style;
use super::{Trace, file, get as get_command, import, source::Selection, tree};
use crate::outcome::{Failure, Outcome};

const TRACE: &str = "5b8efff798038103d269b633813fc60c";
const BEGIN_MS: u64 = 1_700_000_000_000;

/// A span of a story: id, parent, name, service, begin and end in milliseconds, what it failed with.
type Told<'t> = (u64, u64, &'t str, &'t str, u64, u64, Option<&'t str>);

/// A checkout whose database is slow; one span was lost, and two that it caused are there.
const CHECKOUT: &[Told<'_>] = &[
    (
        1,
        0,
        "GET /checkout",
        "frontend",
        0,
        1240,
        Some("payment failed"),
    ),
    (2, 1, "POST /pay", "frontend", 12, 1212, Some("500")),
    (3, 2, "POST /pay", "payment", 20, 1205, Some("card service")),
    (
        4,
        3,
        "SELECT cards",
        "payment",
        40,
        1190,
        Some("timeout\nafter 1 s"),
    ),
    (5, 1, "GET /cart", "frontend", 2, 11, None),
    (6, 0xff, "write audit", "audit", 400, 410, None),
    (7, 0xff, "flush audit", "audit", 420, 430, None),
];

fn otlp(trace: &str, story: &[Told<'_>]) -> Value {
    let spans = story
        .iter()
        .map(|(id, parent, name, service, from, to, error)| {
            let nanos = |ms: &u64| ((BEGIN_MS + ms) * 1_000_000).to_string();
            let parent = if *parent > 0 {
                format!("{parent:016x}")
            } else {
                String::new()
            };
            let status = error.map_or(json!({}), |why| json!({ "code": 2, "message": why }));
            json!({
                "resource": { "attributes": [
                    { "key": "service.name", "value": { "stringValue": service } },
                ] },
                "scopeSpans": [{ "spans": [{
                    "traceId": trace,
                    "spanId": format!("{id:016x}"),
                    "parentSpanId": parent,
                    "name": name,
                    "kind": 1,
                    "startTimeUnixNano": nanos(from),
                    "endTimeUnixNano": nanos(to),
                    "status": status,
                    "attributes": [{ "key": "step", "value": { "intValue": id } }],
                }] }],
            })
        });
    json!({ "resourceSpans": spans.collect::<Vec<_>>() })
}

fn batch(trace: &str, story: &[Told<'_>]) -> Batch {
    file::parse(otlp(trace, story).to_string().into_bytes()).unwrap()
}

fn report(spans: &[Span<'_>]) -> Report {
    Report::analysed(spans, &[], &Patterns::default(), &History::default()).unwrap()
}

/// The command, with its arguments parsed as a shell would give them.
fn parsed(arguments: &[&str]) -> Trace {
    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        trace: Trace,
    }
    let line = ["trace"].iter().chain(arguments);
    Line::try_parse_from(line)
        .unwrap_or_else(|error| panic!("{error}"))
        .trace
}

fn selection(arguments: &[&str]) -> Selection {
    match parsed(&[&["export"], arguments].concat()) {
        Trace::Export(export) => export.selection,
        other => panic!("{other:?}"),
    }
}

const ALL: Style = Style {
    lines: None,
    details: false,
};

#[test]
fn a_trace_is_a_tree_in_which_what_is_missing_has_its_place() {
    let batch = batch(TRACE, CHECKOUT);
    let spans: Vec<Span<'_>> = batch.spans().collect();
    let critical = [spans[0].span_id, spans[3].span_id].into();
    let mut out = String::new();
    tree::draw(&mut out, &spans, &critical, ALL);
    // The first line begins with spaces, which a continued line would lose.
    let expected = "        AT       TOOK
         0     1.24 s *!  GET /checkout  (frontend)  failed: payment failed
   2.00 ms    9.00 ms     ├─ GET /cart  (frontend)
   12.0 ms     1.20 s  !  └─ POST /pay  (frontend)  failed: 500
   20.0 ms     1.19 s  !     └─ POST /pay  (payment)  failed: card service
   40.0 ms     1.15 s *!        └─ SELECT cards  (payment)  failed: timeout after 1 s
                       ?  00000000000000ff is missing
    400 ms    10.0 ms     ├─ write audit  (audit)
    420 ms    10.0 ms     └─ flush audit  (audit)
";
    assert_eq!(out, expected);

    let mut out = String::new();
    let style = Style {
        lines: Some(2),
        details: true,
    };
    tree::draw(&mut out, &spans, &critical, style);
    let expected = "        AT       TOOK
         0     1.24 s *!  GET /checkout  (frontend)  failed: payment failed
                          │  span 0000000000000001 internal
                          │  step: 1
   2.00 ms    9.00 ms     ├─ GET /cart  (frontend)
                          │     span 0000000000000005 internal
                          │     step: 5
                          … 5 more spans
";
    assert_eq!(out, expected);
}

#[test]
fn a_very_deep_trace_is_drawn_in_narrow_lines() {
    let story: Vec<Told<'_>> = (1..=20_000)
        .map(|id| (id, id - 1, "step", "deep", 0, 1, None))
        .collect();
    let batch = batch(TRACE, &story);
    let spans: Vec<Span<'_>> = batch.spans().collect();
    let mut out = String::new();
    tree::draw(&mut out, &spans, &Default::default(), ALL);
    assert_eq!(out.lines().count(), 20_001);
    assert!(out.lines().all(|line| line.chars().count() < 140));
    assert!(out.ends_with("└─ step  (deep)\n"));
}

#[test]
fn a_trace_is_described_in_sentences() {
    let batch = batch(TRACE, CHECKOUT);
    let spans: Vec<Span<'_>> = batch.spans().collect();
    let report = report(&spans);
    let mut out = String::new();
    get_command::describe(&mut out, &spans, &report, ALL);
    let headline = format!(
        "trace {TRACE}  incomplete\n7 spans of 3 services, 4 errors, 1.24 s, from \
         2023-11-14T22:13:20.000Z\n"
    );
    assert!(out.starts_with(&headline), "{out}");
    let problems = out.split("\nProblems\n").nth(1).unwrap();
    assert!(problems.contains("  warning   00000000000000ff  "), "{out}");
    let causes = out.split("\nRoot causes\n").nth(1).unwrap();
    assert!(
        causes.contains("  1. SELECT cards of payment, span 0000000000000004 ("),
        "{out}"
    );
}

#[test]
fn files_are_read_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("traces");
    let expected = batch(TRACE, CHECKOUT);
    let expected: Vec<Span<'_>> = expected.spans().collect();
    let ids = |spans: &[Span<'_>]| {
        let mut ids: Vec<_> = spans
            .iter()
            .map(|span| (span.span_id, span.parent))
            .collect();
        ids.sort_unstable();
        ids
    };
    let message = encode(&expected);
    let (one, other) = (otlp(TRACE, &CHECKOUT[..3]), otlp(TRACE, &CHECKOUT[3..]));
    let parts = [encode(&expected[..3]), encode(&expected[3..])];
    let framed = |part: &Bytes| [&(part.len() as u32).to_be_bytes()[..], part].concat();
    let forms = [
        message.to_vec(),
        parts.concat(),
        parts.iter().flat_map(framed).collect(),
        otlp(TRACE, CHECKOUT).to_string().into_bytes(),
        format!("{one}\n{other}\n").into_bytes(),
        serde_json::to_vec_pretty(&otlp(TRACE, CHECKOUT)).unwrap(),
        quorate_query::jaeger_to_json(&expected)
            .unwrap()
            .into_bytes(),
    ];
    for content in forms {
        fs::write(&path, &content).unwrap();
        let read = file::read(&path).unwrap();
        let spans: Vec<Span<'_>> = read.spans().collect();
        assert_eq!(ids(&spans), ids(&expected), "{}", content.escape_ascii());
        let name = |span: &&Span<'_>| span.name == "SELECT cards";
        assert_eq!(spans.iter().find(name).unwrap().duration(), 1_150_000_000);
    }
    for content in [
        "{\"resourceSpans\": 1}",
        "{\"data\": [1]}",
        "[{}]",
        "no trace",
        "{\"resource",
    ] {
        fs::write(&path, content).unwrap();
        let failure = file::read(&path).map(drop).unwrap_err();
        assert_eq!(failure.outcome(), Outcome::Usage, "{content}");
        assert!(
            failure.to_string().starts_with(path.to_str().unwrap()),
            "{failure}"
        );
    }
    let absent = file::read(&folder.path().join("absent"))
        .map(drop)
        .unwrap_err();
    assert_eq!(absent.outcome(), Outcome::Local);
}

#[test]
fn traces_of_files_are_found_by_what_they_are_about() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("traces.json");
    let other = "00000000000000000000000000000abc";
    let healthy = [(1, 0, "GET /cart", "frontend", 5_000, 5_100, None)];
    let (one, two) = (otlp(TRACE, CHECKOUT), otlp(other, &healthy));
    fs::write(&path, format!("{one}\n{two}")).unwrap();
    let file = path.to_str().unwrap();
    let found = |arguments: &[&str]| {
        let Trace::Search(search) = parsed(&[&["search", "--file", file], arguments].concat())
        else {
            panic!("a search");
        };
        let found = search.in_files().unwrap();
        let ids: Vec<String> = found
            .iter()
            .map(|summary| summary.trace_id.to_string())
            .collect();
        ids.join(" ")
    };
    assert_eq!(found(&[]), format!("{other} {TRACE}"));
    assert_eq!(found(&["--limit", "1"]), other);
    assert_eq!(found(&["--service", "payment"]), TRACE);
    assert_eq!(
        found(&["--service", "payment", "--operation", "GET /cart"]),
        ""
    );
    assert_eq!(
        found(&["--operation", "GET /cart"]),
        format!("{other} {TRACE}")
    );
    assert_eq!(
        found(&["--tag", "step=7", "--tag", "service.name=audit"]),
        TRACE
    );
    assert_eq!(found(&["--tag", "step=8"]), "");
    assert_eq!(found(&["--min-duration", "101ms"]), TRACE);
    assert_eq!(found(&["--max-duration", "100ms"]), other);
    assert_eq!(found(&["--start", "2023-11-14T22:13:21Z"]), other);
    assert_eq!(found(&["--end", "2023-11-14T22:13:21Z"]), TRACE);
    assert_eq!(found(&["--verdict", "incomplete"]), TRACE);
    assert_eq!(found(&["--errors"]), TRACE);
}

#[test]
fn a_search_asks_a_collector_for_the_same() {
    let Trace::Search(search) = parsed(&[
        "search",
        "--service",
        "a&b",
        "--tag",
        "k=v",
        "--min-duration",
        "1.5s",
        "--errors",
        "--verdict",
        "evicted",
        "--end",
        "2023-11-14T22:13:21+01:00",
    ]) else {
        panic!("a search");
    };
    let expected = "limit=20&service=a%26b&tag=k%3Dv&minDuration=1500000000ns\
                    &end=2023-11-14T21%3A13%3A21Z&verdict=evicted&errors=true";
    assert_eq!(search.query(), expected);
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A collector with one trace, and with faults at other addresses.
async fn collector() -> String {
    let batch = batch(TRACE, CHECKOUT);
    let spans: Vec<Span<'_>> = batch.spans().collect();
    let (message, mut report) = (encode(&spans), report(&spans));
    report.phase = Some("collecting".to_owned());
    report.summary.completeness.verdict = None;
    let summary = json!({ "traces": [report.summary], "examined": 1, "complete": true });
    let told = json!(report).to_string();
    let nothing = || async {
        let error = json!({ "error": { "code": 404, "message": "trace not found" } });
        (StatusCode::NOT_FOUND, error.to_string())
    };
    let search = |RawQuery(query): RawQuery| async move {
        match query.as_deref() {
            Some("service=frontend") => (StatusCode::OK, summary.to_string()),
            _ => {
                let error = json!({ "error": { "code": 400, "message": "limit: 0" } });
                (StatusCode::BAD_REQUEST, error.to_string())
            }
        }
    };
    let traces = "/base/api/quorate/traces/";
    let router = Router::new()
        .route(&format!("{traces}{TRACE}"), get(|| async { told }))
        .route(&format!("{traces}{TRACE}/otlp"), get(|| async { message }))
        .route(&format!("{traces}{{id}}"), get(nothing))
        .route("/base/api/quorate/search", get(search));
    format!("http://{}/base/", serve(router).await)
}

#[tokio::test]
async fn a_collector_is_asked_for_traces() {
    let url = collector().await;
    let absent = "a".repeat(32);
    let mut seen = Vec::new();
    let outcome = selection(&[&absent, TRACE, "--from", &url])
        .examine(&Default::default(), |spans, report| {
            let mut out = String::new();
            get_command::headline(&mut out, report);
            seen.push((spans.len(), out.lines().next().unwrap().to_owned()));
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(outcome, Outcome::Refuted);
    assert_eq!(
        seen,
        [(7, format!("trace {TRACE}  still open (collecting)"))]
    );

    let collector = Collector::new(&url.parse().unwrap()).unwrap();
    let found = collector.search("service=frontend").await.unwrap();
    assert_eq!(found.traces[0].size(), "7 spans of 3 services, 4 errors");
    let refused = collector.search("limit=0").await.unwrap_err();
    assert!(
        matches!(&refused, Failure::Usage(why) if why == "limit: 0"),
        "{refused}"
    );
}

#[tokio::test]
async fn who_is_no_collector_is_told_apart() {
    let fail = |url: String| async move {
        let collector = Collector::new(&url.parse().unwrap())?;
        let id: TraceId = TRACE.parse().unwrap();
        collector
            .trace(id)
            .await
            .map(|found| assert!(found.is_none()))
    };
    let other = serve(Router::new()).await;
    let failure = fail(format!("http://{other}")).await.unwrap_err();
    assert!(
        failure
            .to_string()
            .contains("does not answer as a collector does"),
        "{failure}"
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let failure = fail(format!("http://{nobody}")).await.unwrap_err();
    assert_eq!(failure.outcome(), Outcome::Cluster);
    for address in ["https://example.org", "/path", "http://127.0.0.1/?query"] {
        let failure = fail(address.to_owned()).await.unwrap_err();
        assert_eq!(failure.outcome(), Outcome::Usage, "{address}");
    }
}

#[tokio::test]
async fn an_import_waits_for_a_busy_collector_and_counts_what_it_refuses() {
    let taken = Arc::new(AtomicUsize::new(0));
    let (calls, spans) = (Arc::new(AtomicUsize::new(0)), taken.clone());
    let receive = move |body: Bytes| async move {
        if calls.fetch_add(1, Ordering::Relaxed) == 0 {
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                [(header::RETRY_AFTER, "0")],
                vec![],
            );
        }
        let batch = Batch::scan(body, &Limits::default()).unwrap();
        spans.fetch_add(batch.len(), Ordering::Relaxed);
        // Partial success: two spans refused.
        (
            StatusCode::OK,
            [(header::RETRY_AFTER, "")],
            vec![0x0a, 2, 8, 2],
        )
    };
    let router = Router::new().route("/v1/traces", post(receive));
    let url = format!("http://{}/v1/traces", serve(router).await);
    let client = HttpClient::new(Duration::from_secs(10));
    let batch = batch(TRACE, CHECKOUT);
    let spans: Vec<Span<'_>> = batch.spans().collect();
    assert_eq!(
        import::send(&client, &url, encode(&spans)).await.unwrap(),
        2
    );
    assert_eq!(taken.load(Ordering::Relaxed), spans.len());
    let wrong = url.replace("/v1/traces", "/v2");
    let failure = import::send(&client, &wrong, encode(&spans))
        .await
        .unwrap_err();
    assert!(failure.to_string().contains("404"), "{failure}");
}

#[test]
fn requests_of_an_import_are_limited_and_leave_nothing_out() {
    let name = "n".repeat(100_000);
    let story: Vec<Told<'_>> = (1..=25)
        .map(|id| (id, 0, &*name, "big", 0, 1, None))
        .collect();
    let batch = batch(TRACE, &story);
    let spans: Vec<Span<'_>> = batch.spans().collect();
    let sizes: Vec<usize> = import::parts(&spans).map(<[_]>::len).collect();
    assert_eq!(sizes.iter().sum::<usize>(), spans.len());
    assert!(sizes.len() > 2, "{sizes:?}");
    for part in import::parts(&spans) {
        assert!(encode(part).len() < import::REQUEST_BYTES + 2 * name.len());
    }
}

#[test]
fn ids_of_64_bits_are_padded() {
    let selection = selection(&["d269b633813fc60c", TRACE]);
    assert_eq!(
        selection.ids[0].to_string(),
        "0000000000000000d269b633813fc60c"
    );
    assert_eq!(selection.ids[1].to_string(), TRACE);
}
