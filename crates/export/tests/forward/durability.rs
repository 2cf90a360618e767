//! A queue that outlives the backend's absences and its own process, and says when it is full.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use quorate_export::forward::{Config, OfferError, Protocol};

use crate::backend::{Answer, Backend, until};
use crate::support::{config, offer, open, spans_of, trace, traces};

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_comes_back_gets_all() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let (backend, dir) = (Backend::start(protocol), tempfile::tempdir().unwrap());
        let forwarder = open(dir.path(), config(backend.endpoint(), protocol));
        offer(&forwarder, &traces(1..=10));
        until("an empty queue", || forwarder.figures().queued_bytes == 0).await;

        let away = backend.stop().await;
        for id in 11..=30 {
            offer(&forwarder, &traces(id..=id));
        }
        until("a failure", || forwarder.figures().retries > 0).await;
        assert!(forwarder.figures().problem.is_some());
        assert!(forwarder.figures().queued_bytes > 0);

        let backend = away.start();
        until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
        assert_eq!(backend.seen.spans(), spans_of(1..=30));
        assert_eq!(forwarder.figures().problem, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_sent_after_a_restart() {
    let (backend, dir) = (Backend::start(Protocol::Grpc), tempfile::tempdir().unwrap());
    let endpoint = backend.endpoint();
    let forwarder = open(dir.path(), config(endpoint.clone(), Protocol::Grpc));
    offer(&forwarder, &traces(1..=5));
    until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
    let away = backend.stop().await;
    offer(&forwarder, &traces(6..=9));
    let waiting = forwarder.figures().queued_bytes;
    forwarder.close().await;

    let forwarder = open(dir.path(), config(endpoint, Protocol::Grpc));
    assert_eq!(forwarder.figures().queued_bytes, waiting);
    offer(&forwarder, &traces(10..=12));
    let backend = away.start();
    until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
    assert_eq!(
        backend.seen.spans(),
        spans_of(1..=12),
        "each once: the queue was closed"
    );
    forwarder.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_durable_at_a_crash_is_sent() {
    let (backend, dir) = (Backend::start(Protocol::Grpc), tempfile::tempdir().unwrap());
    let away = backend.stop().await;
    let forwarder = open(dir.path(), config(away.endpoint(), Protocol::Grpc));
    offer(&forwarder, &traces(1..=40));
    // As a process that is killed leaves it: nothing is closed.
    let crashed = tempfile::tempdir().unwrap();
    copy(dir.path(), crashed.path());
    drop(forwarder);

    let backend = away.start();
    let forwarder = open(crashed.path(), config(backend.endpoint(), Protocol::Grpc));
    until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
    assert_eq!(backend.seen.spans(), spans_of(1..=40));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_says_so_until_there_is_room() {
    let (backend, dir) = (Backend::start(Protocol::Http), tempfile::tempdir().unwrap());
    let away = backend.stop().await;
    let config = Config {
        queue_bytes: 1 << 20,
        ..config(away.endpoint(), Protocol::Http)
    };
    let forwarder = open(dir.path(), config);
    let large = |id| trace(id, 2, "op", 50_000);
    let mut taken = 0;
    let full = loop {
        match forwarder.offer(&[large(taken + 1)]) {
            Ok(durable) => durable.wait().unwrap(),
            Err(error) => break error,
        }
        taken += 1;
    };
    assert_eq!(taken, 10, "of 100 kB each");
    let waiting = forwarder.figures().queued_bytes;
    let limit = 1 << 20;
    assert_eq!(full, OfferError::Full { waiting, limit });
    // All or nothing: a small one with a large one is not taken either, and alone it is.
    assert!(
        forwarder
            .offer(&[trace(77, 1, "op", 0), large(78)])
            .is_err()
    );
    assert_eq!(forwarder.figures().queued_bytes, waiting);
    offer(&forwarder, &traces(11..=11));

    let backend = away.start();
    until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
    // Longer than the whole queue: alone it is taken.
    offer(&forwarder, &[trace(12, 2, "op", 600_000)]);
    until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
    assert_eq!(backend.seen.spans(), spans_of(1..=12));
}

/// Three times as much as is held in memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_queue_is_read_back_from_the_disk() {
    let (backend, dir) = (Backend::start(Protocol::Grpc), tempfile::tempdir().unwrap());
    let away = backend.stop().await;
    let config = Config {
        requests: 4,
        ..config(away.endpoint(), Protocol::Grpc)
    };
    let forwarder = open(dir.path(), config.clone());
    for id in 1..=60 {
        offer(
            &forwarder,
            &[
                trace(2 * id - 1, 2, "op", 100_000),
                trace(2 * id, 2, "op", 100_000),
            ],
        );
    }
    forwarder.close().await;
    let forwarder = open(dir.path(), config);
    offer(&forwarder, &traces(121..=125));
    let backend = away.start();
    until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
    assert_eq!(backend.seen.spans(), spans_of(1..=125), "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_go_on_while_the_backend_is_slow() {
    let answers = [Answer::Unavailable; 40];
    let backend = Backend::answering(Protocol::Http, &answers);
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        requests: 3,
        request_bytes: 200,
        ..config(backend.endpoint(), Protocol::Http)
    };
    let forwarder = open(dir.path(), config);
    for id in (1..=200).step_by(5) {
        offer(&forwarder, &traces(id..=id + 4));
    }
    until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
    assert_eq!(
        backend.seen.spans(),
        spans_of(1..=200),
        "each once, by three at a time"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_and_stops_offers() {
    let backend = Backend::answering(Protocol::Grpc, &[Answer::Stall]);
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        timeout: Duration::from_millis(200),
        longest_pause: Duration::from_secs(3600),
        first_pause: Duration::from_secs(3600),
        ..config(backend.endpoint(), Protocol::Grpc)
    };
    let forwarder = open(dir.path(), config.clone());
    offer(&forwarder, &traces(1..=1));
    until("a request", || backend.seen.requests() == 1).await;
    forwarder.close().await;

    let nothing: [Bytes; 0] = [];
    let forwarder = open(dir.path(), config);
    assert!(forwarder.figures().queued_bytes > 0, "it was not answered");
    offer(&forwarder, &nothing);
    until("an empty queue", || forwarder.figures().queued_bytes == 0).await;
    assert_eq!(backend.seen.spans(), spans_of(1..=1));
}
