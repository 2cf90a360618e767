//! What a backend says, and what comes of it.

use std::time::Duration;

use bytes::Bytes;
use quorate_export::forward::{Config, ForwardError, Forwarder, Protocol};
use quorate_trace::wire::{Batch, Limits};
use tokio::runtime::Handle;

use crate::backend::{Answer, Backend, POISON, until};
use crate::support::{config, offer, open, spans_of, trace, traces};

#[tokio::test(flavor = "multi_thread")]
async fn all_arrives_over_each_protocol_with_and_without_compression() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for gzip in [false, true] {
            let (backend, dir) = (Backend::start(protocol), tempfile::tempdir().unwrap());
            let config = Config {
                gzip,
                requests: 4,
                headers: vec![("x-tenant".to_owned(), "acme".to_owned())],
                ..config(backend.endpoint(), protocol)
            };
            let forwarder = open(dir.path(), config);
            offer(&forwarder, &traces(1..=50));
            offer(&forwarder, &traces(51..=100));
            until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
            assert_eq!(
                backend.seen.spans(),
                spans_of(1..=100),
                "{protocol:?}, gzip: {gzip}"
            );
            let figures = forwarder.figures();
            assert_eq!((figures.sent_traces, figures.retries), (100, 0));
            assert!(
                figures.requests < 100,
                "several traces in a request: {figures:?}"
            );
            if protocol == Protocol::Grpc {
                assert_eq!(backend.seen.tenant().as_deref(), Some("acme"));
            }
            forwarder.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again() {
    let failing = [
        Answer::Unavailable,
        Answer::Unavailable,
        Answer::Unauthenticated,
        Answer::Internal,
        Answer::Internal,
    ];
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let backend = Backend::answering(protocol, &failing);
        let dir = tempfile::tempdir().unwrap();
        let forwarder = open(dir.path(), config(backend.endpoint(), protocol));
        offer(&forwarder, &traces(1..=1));
        until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
        assert_eq!(backend.seen.spans(), spans_of(1..=1));
        let figures = forwarder.figures();
        assert_eq!((figures.requests, figures.retries), (6, 5));
        assert_eq!((figures.refused_traces, figures.problem), (0, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backend_says_when() {
    let cases = [
        (
            Protocol::Grpc,
            Answer::Exhausted(400),
            Duration::from_millis(400),
        ),
        (Protocol::Http, Answer::TooMany, Duration::from_secs(1)),
    ];
    for (protocol, answer, wish) in cases {
        let backend = Backend::answering(protocol, &[answer]);
        let dir = tempfile::tempdir().unwrap();
        let forwarder = open(dir.path(), config(backend.endpoint(), protocol));
        offer(&forwarder, &traces(1..=1));
        until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
        let arrivals = backend.seen.arrivals();
        assert_eq!(arrivals.len(), 2);
        assert!(
            arrivals[1] - arrivals[0] >= wish,
            "not sooner than {wish:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_in_time_is_a_failure() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let backend = Backend::answering(protocol, &[Answer::Stall, Answer::Stall]);
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            timeout: Duration::from_millis(300),
            ..config(backend.endpoint(), protocol)
        };
        let forwarder = open(dir.path(), config);
        offer(&forwarder, &traces(1..=3));
        until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
        assert_eq!(backend.seen.spans(), spans_of(1..=3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_trace_is_set_aside_alone() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let (backend, dir) = (Backend::start(protocol), tempfile::tempdir().unwrap());
        let forwarder = open(dir.path(), config(backend.endpoint(), protocol));
        let mut offered = traces(1..=20);
        let poison = trace(99, 3, POISON, 0);
        offered.insert(13, poison.clone());
        offer(&forwarder, &offered);
        until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
        assert_eq!(backend.seen.spans(), spans_of(1..=20));
        let figures = forwarder.figures();
        assert_eq!((figures.sent_traces, figures.refused_traces), (20, 1));
        let files: Vec<_> = std::fs::read_dir(dir.path().join("refused"))
            .unwrap()
            .map(|entry| Bytes::from(std::fs::read(entry.unwrap().path()).unwrap()))
            .collect();
        assert_eq!(files, [poison]);
        let batch = Batch::scan(files[0].clone(), &Limits::default()).unwrap();
        assert_eq!(batch.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_internal_error_that_stays_is_a_refusal() {
    let backend = Backend::answering(Protocol::Http, &[Answer::Internal; 5]);
    let dir = tempfile::tempdir().unwrap();
    let forwarder = open(dir.path(), config(backend.endpoint(), Protocol::Http));
    offer(&forwarder, &traces(1..=1));
    until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
    assert_eq!(forwarder.figures().refused_traces, 1);
    assert_eq!(backend.seen.requests(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_spans_are_counted_and_not_sent_again() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let backend = Backend::answering(protocol, &[Answer::Partial(2)]);
        let dir = tempfile::tempdir().unwrap();
        let forwarder = open(dir.path(), config(backend.endpoint(), protocol));
        offer(&forwarder, &traces(1..=3));
        until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
        let figures = forwarder.figures();
        assert_eq!((figures.sent_traces, figures.rejected_spans), (3, 2));
        assert_eq!(backend.seen.requests(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_trace_goes_in_parts() {
    let (backend, dir) = (Backend::start(Protocol::Grpc), tempfile::tempdir().unwrap());
    let config = Config {
        request_bytes: 64 << 10,
        ..config(backend.endpoint(), Protocol::Grpc)
    };
    let forwarder = open(dir.path(), config);
    offer(&forwarder, &[trace(7, 2000, "op", 200)]);
    until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
    let expected: Vec<_> = (1..=2000).map(|span| (7, span)).collect();
    assert_eq!(backend.seen.spans(), expected);
    let longest = backend.seen.longest();
    assert!((32 << 10..72 << 10).contains(&longest), "{longest} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_must_speak_grpc() {
    let (web, dir) = (Backend::start(Protocol::Http), tempfile::tempdir().unwrap());
    let forwarder = open(dir.path(), config(web.endpoint(), Protocol::Grpc));
    offer(&forwarder, &traces(1..=1));
    until("a problem", || forwarder.figures().problem.is_some()).await;
    let problem = forwarder.figures().problem.unwrap_or_default();
    assert!(problem.contains("404"), "{problem}");
    assert_eq!(
        forwarder.figures().refused_traces,
        0,
        "nothing is wrong with the trace"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_work_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let opened = |endpoint: &str, header: (&str, &str)| {
        let headers = vec![(header.0.to_owned(), header.1.to_owned())];
        let config = Config {
            headers,
            ..config(endpoint.to_owned(), Protocol::Grpc)
        };
        Forwarder::open(dir.path(), config, &Handle::current()).map(drop)
    };
    let plain = ("x-tenant", "acme");
    for endpoint in [
        "",
        "127.0.0.1:4317",
        "https://localhost:4317",
        "ftp://localhost",
        "http://a b",
    ] {
        let error = opened(endpoint, plain).unwrap_err();
        assert!(
            matches!(error, ForwardError::Endpoint { .. }),
            "{endpoint:?}: {error}"
        );
    }
    for header in [
        ("x tenant", "acme"),
        ("x-tenant", "a\nb"),
        ("Content-Type", "text/plain"),
    ] {
        let error = opened("http://127.0.0.1:4317", header).unwrap_err();
        assert!(
            matches!(error, ForwardError::Header { .. }),
            "{header:?}: {error}"
        );
        assert!(
            !error.to_string().contains(header.1),
            "values are secrets: {error}"
        );
    }
    assert!(opened("http://127.0.0.1:4317", plain).is_ok());
}
