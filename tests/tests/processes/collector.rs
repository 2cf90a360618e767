//! What a collector does with traces: whole, late, incomplete, too many; and when it stops.

use quorate_tests::collector::Collector;
use quorate_tests::spans::{self, TraceNumber};
use quorate_tests::wait::{eventually, until};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;

/// The identifiers of the spans in an answer about a trace.
fn span_ids(found: &serde_json::Value) -> Vec<String> {
    let spans = found["spans"].as_array().unwrap();
    let id = |span: &serde_json::Value| span["spanId"].as_str().unwrap().to_owned();
    spans.iter().map(id).collect()
}

/// Sends until there is room for it.
fn send_patiently(collector: &Collector, request: &[u8]) {
    loop {
        match collector.send(request).unwrap() {
            200 => return,
            429 | 503 => std::thread::sleep(std::time::Duration::from_millis(50)),
            status => panic!("status {status}"),
        }
    }
}

#[tokio::test]
async fn a_trace_whose_spans_come_in_any_order_and_twice_is_complete() {
    let collector = Collector::start().await;
    let trace: TraceNumber = 0xabc;
    let child = spans::request(
        "cart",
        vec![spans::span(trace, 2, 1), spans::span(trace, 3, 2)],
    );
    let root = spans::request("frontend", vec![spans::span(trace, 1, 0)]);
    for request in [&child, &child, &root] {
        assert_eq!(collector.send(request).unwrap(), 200);
    }
    let found = collector.sealed(&spans::hex(trace)).await;
    assert_eq!(span_ids(&found).len(), 3);
    let summary = &found["summary"];
    assert_eq!(summary["completeness"]["verdict"], "complete", "{summary}");
    assert_eq!(summary["rootService"], "frontend");
    assert_eq!(summary["revision"], 1);
    let jaeger = collector.json(&format!("/api/traces/{}", spans::hex(trace)));
    assert_eq!(
        jaeger.unwrap()["data"][0]["spans"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let services = collector.json("/api/services").unwrap();
    assert_eq!(services["data"], serde_json::json!(["cart", "frontend"]));
}

#[tokio::test]
async fn a_missing_parent_is_named_and_a_late_span_amends_the_verdict() {
    let collector = Collector::start().await;
    let trace: TraceNumber = 0xdef;
    let early = vec![spans::span(trace, 1, 0), spans::span(trace, 3, 2)];
    assert_eq!(collector.send(&spans::request("shop", early)).unwrap(), 200);
    let found = collector.sealed(&spans::hex(trace)).await;
    let completeness = &found["summary"]["completeness"];
    assert_eq!(completeness["verdict"], "incomplete");
    assert_eq!(
        completeness["missing"],
        serde_json::json!(["0000000000000002"])
    );

    let late = spans::request("shop", vec![spans::span(trace, 2, 1)]);
    assert_eq!(collector.send(&late).unwrap(), 200);
    let amended = eventually("the trace is amended", || async {
        let found = collector.sealed(&spans::hex(trace)).await;
        (found["summary"]["revision"] == 2).then_some(found)
    })
    .await;
    assert_eq!(amended["summary"]["completeness"]["verdict"], "complete");
    assert_eq!(span_ids(&amended).len(), 3);
    let metrics = collector.get("/metrics").unwrap().1;
    assert!(metrics.contains("quorate_spans_late_total 1"), "{metrics}");
    assert!(
        metrics.contains("quorate_traces_amended_total 1"),
        "{metrics}"
    );
}

/// As Zipkin's instrumentation does: the two sides of a call share an identifier.
#[tokio::test]
async fn spans_that_share_an_identifier_are_both_kept() {
    let collector = Collector::start().await;
    let trace: TraceNumber = 0x5a;
    let client = spans::span(trace, 2, 1);
    let server = spans::Span {
        name: "the other side".to_owned(),
        kind: 2,
        ..client.clone()
    };
    let calls = spans::request("shop", vec![spans::span(trace, 1, 0), client]);
    let served = spans::request("stock", vec![server]);
    for request in [&calls, &served] {
        assert_eq!(collector.send(request).unwrap(), 200);
    }
    let found = collector.sealed(&spans::hex(trace)).await;
    assert_eq!(found["summary"]["completeness"]["verdict"], "complete");
    assert_eq!(span_ids(&found).len(), 3);

    // Sent again after they were stored, each collapses with its own copy.
    for request in [&calls, &served] {
        assert_eq!(collector.send(request).unwrap(), 200);
    }
    eventually("the copies are counted", || async {
        let metrics = collector.get("/metrics").unwrap().1;
        metrics
            .contains("quorate_spans_duplicate_total 3")
            .then_some(())
    })
    .await;
    let found = collector.sealed(&spans::hex(trace)).await;
    assert_eq!(span_ids(&found).len(), 3);
    assert_eq!(found["summary"]["revision"], 1);
}

#[tokio::test]
async fn what_is_open_when_it_stops_is_assembled_on_after_the_next_start() {
    let windows = "[assembly]\nquiet = \"1s\"\ndeadline = \"30s\"\n";
    let mut collector = Collector::with(windows).await;
    let trace: TraceNumber = 0x123;
    let leaf = spans::request("shop", vec![spans::span(trace, 2, 1)]);
    assert_eq!(collector.send(&leaf).unwrap(), 200);
    collector.signal(Signal::TERM);
    assert_eq!(collector.ended().await.code, Some(0));
    let words = collector.words().unwrap();
    assert!(
        words.contains("1 open traces go on after the next start"),
        "{words}"
    );

    collector.run().await;
    let root = spans::request("shop", vec![spans::span(trace, 1, 0)]);
    assert_eq!(collector.send(&root).unwrap(), 200);
    let found = collector.sealed(&spans::hex(trace)).await;
    assert_eq!(found["summary"]["completeness"]["verdict"], "complete");
    assert_eq!(span_ids(&found).len(), 2);
}

#[tokio::test]
async fn spans_are_refused_before_the_disk_is_full_and_queries_are_not() {
    let mut collector = Collector::start().await;
    let request = spans::request("shop", vec![spans::span(1, 1, 0)]);
    assert_eq!(collector.send(&request).unwrap(), 200);
    collector.sealed(&spans::hex(1)).await;
    collector.kill();
    let config = collector.dir().join("collector.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        text.replace("[data]", "[data]\nreserve = \"1024 PiB\""),
    )
    .unwrap();
    collector.launch();
    until("it answers", || collector.get("/healthz").is_ok()).await;
    assert_eq!(
        collector.sealed(&spans::hex(1)).await["spans"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(collector.send(&request).unwrap(), 503);
    let (status, why) = collector.get("/readyz").unwrap();
    assert_eq!(status, 503);
    assert!(why.contains("disk"), "{why}");
}

#[tokio::test]
async fn memory_for_open_traces_is_bounded_and_nothing_is_lost_by_it() {
    const TRACES: u64 = 3_000;
    const SPANS: u64 = 60;
    let sections = "[assembly]\nquiet = \"10s\"\ndeadline = \"600s\"\nmemory = \"32 MiB\"\n\
                    trace_memory = \"8 MiB\"\n\
                    [intake]\nmessage = \"4 MiB\"\ndecompressed = \"4 MiB\"\n";
    let collector = Collector::with(sections).await;
    // No root, so that they would all wait for their deadline; three times what there is memory for.
    let mut highest = 0;
    for part in 0..TRACES / 10 {
        let some = part * 10..part * 10 + 10;
        let all = some.flat_map(|trace| {
            (2..SPANS + 2).map(move |span| {
                let mut span = spans::span(TraceNumber::from(trace) + 1, span, span - 1);
                span.attributes
                    .push(spans::attribute("filler", &"x".repeat(400)));
                span
            })
        });
        send_patiently(&collector, &spans::request("bulk", all.collect()));
        let live = collector.json("/api/quorate/live").unwrap();
        highest = highest.max(live["openBytes"].as_u64().unwrap());
    }
    assert!(highest <= 32 << 20, "{highest} bytes of open spans");
    for trace in [1, TRACES / 2, TRACES] {
        let path = format!("/api/quorate/traces/{}", spans::hex(trace.into()));
        eventually("every span is there", || async {
            let found = collector.json(&path)?;
            let ids: BTreeSet<String> = span_ids(&found).into_iter().collect();
            (ids.len() == SPANS as usize).then_some(())
        })
        .await;
    }
    let metrics = collector.get("/metrics").unwrap().1;
    assert!(
        metrics.contains("quorate_traces_sealed_total{kind=\"evicted\"}"),
        "{metrics}"
    );
}

/// A batch job's trace of fifty thousand spans, among short ones that come before, between and after them.
#[tokio::test]
async fn one_large_trace_is_whole_and_holds_up_no_other() {
    const SPANS: u64 = 50_000;
    const REQUESTS: u64 = 100;
    let collector = Collector::start().await;
    let large: TraceNumber = 0xb16;
    for part in 0..REQUESTS {
        let some = 1 + part * (SPANS / REQUESTS)..=(part + 1) * (SPANS / REQUESTS);
        let some = some.map(|number| spans::span(large, number, number / 2));
        send_patiently(&collector, &spans::request("batch", some.collect()));
        let short = TraceNumber::from(part + 1);
        let short = vec![spans::span(short, 1, 0), spans::span(short, 2, 1)];
        send_patiently(&collector, &spans::request("shop", short));
    }
    for short in 1..=REQUESTS {
        let found = collector.sealed(&spans::hex(short.into())).await;
        assert_eq!(found["summary"]["completeness"]["verdict"], "complete");
    }
    let found = eventually("the large trace is whole", || async {
        let found = collector.sealed(&spans::hex(large)).await;
        let completeness = &found["summary"]["completeness"];
        (completeness["verdict"] == "complete").then_some(found)
    })
    .await;
    let ids: BTreeSet<String> = span_ids(&found).into_iter().collect();
    assert_eq!(ids.len() as u64, SPANS);
}

#[tokio::test]
async fn a_second_collector_on_the_same_data_is_refused() {
    let collector = Collector::start().await;
    let second = std::process::Command::new(quorate_tests::binary::quorate())
        .args([
            "collector",
            "--grpc",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
        ])
        .args(["--query", "127.0.0.1:0", "--data"])
        .arg(collector.data())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(4));
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(words.contains("in use"), "{words}");
}

#[tokio::test]
async fn a_configuration_is_printed_checked_and_refused_with_its_line() {
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(quorate_tests::binary::quorate());
        command.arg("collector").args(arguments).output().unwrap()
    };
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("collector.toml");
    let path = file.to_str().unwrap();
    let printed = run(&["config", "print"]).stdout;
    fs::write(&file, &printed).unwrap();
    assert!(run(&["config", "check", path]).status.success());
    fs::write(&file, "[assembly]\nquite = \"3s\"\n").unwrap();
    let refused = run(&["config", "check", path]);
    assert_eq!(refused.status.code(), Some(2));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        words.contains("line 2") && words.contains("quite"),
        "{words}"
    );
}
