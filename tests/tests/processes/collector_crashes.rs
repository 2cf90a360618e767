//! A collector is killed at random moments: what it acknowledged is there, once, and sealed as it should be.

use quorate_tests::collector::Collector;
use quorate_tests::spans::{self, TraceNumber};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often the process is killed.
const KILLS: usize = 50;

/// Clients that send at the same time.
const CLIENTS: u64 = 4;

/// Of so many traces one lacks a span.
const INCOMPLETE_EVERY: u64 = 8;

/// A trace that was acknowledged whole.
struct Sent {
    trace: TraceNumber,
    spans: BTreeSet<String>,
    /// A parent that is named and never sent.
    missing: Option<u64>,
}

/// Sends one request until it is acknowledged; nothing if the test is over before.
fn send(address: &str, agent: &ureq::Agent, body: &[u8], over: &AtomicBool) -> Option<()> {
    while !over.load(Ordering::Relaxed) {
        let answer = agent
            .post(format!("http://{address}/v1/traces"))
            .content_type("application/x-protobuf")
            .send(body);
        match answer {
            Ok(answer) if answer.status() == 200 => return Some(()),
            // Down, starting, or the answer was lost: the spans may be there or not. Send them again.
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    None
}

/// Sends traces, each cut into several requests that are interleaved with those of the next.
fn client(number: u64, address: &str, over: &AtomicBool, sent: &Mutex<Vec<Sent>>) {
    let mut dice = SmallRng::seed_from_u64(number);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(2)))
        .build()
        .into();
    for round in 1u64.. {
        let trace = TraceNumber::from(number) << 64 | TraceNumber::from(round);
        let count = dice.random_range(3..16);
        let missing = (round % INCOMPLETE_EVERY == 0).then_some(1);
        let all: Vec<spans::Span> = (1..=count)
            .map(|span| {
                spans::span(
                    trace,
                    span,
                    if span == 1 {
                        0
                    } else {
                        dice.random_range(1..span)
                    },
                )
            })
            .collect();
        let ids = |span: &spans::Span| u64::from_be_bytes(span.span_id[..].try_into().unwrap());
        // The root is what is never sent, and every span below it waits for it in vain.
        let mut left: Vec<spans::Span> = all
            .into_iter()
            .filter(|span| Some(ids(span)) != missing)
            .collect();
        let spans = left
            .iter()
            .map(|span| format!("{:016x}", ids(span)))
            .collect();
        while !left.is_empty() {
            let part = left.split_off(left.len().saturating_sub(dice.random_range(1..6)));
            if send(address, &agent, &spans::request("crashes", part), over).is_none() {
                return;
            }
        }
        sent.lock().unwrap().push(Sent {
            trace,
            spans,
            missing,
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_fifty_kills_is_there_once_and_sealed() {
    let mut collector = Collector::start().await;
    let over = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(Mutex::new(Vec::new()));
    let clients: Vec<_> = (1..=CLIENTS)
        .map(|number| {
            let (over, sent) = (Arc::clone(&over), Arc::clone(&sent));
            let address = collector.http.clone();
            std::thread::spawn(move || client(number, &address, &over, &sent))
        })
        .collect();
    let mut dice = SmallRng::seed_from_u64(0);
    for _ in 0..KILLS {
        // Sometimes before it has read back what it had.
        tokio::time::sleep(Duration::from_millis(dice.random_range(20..900))).await;
        collector.kill();
        collector.launch();
    }
    collector.ready().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }

    let sent = std::mem::take(&mut *sent.lock().unwrap());
    assert!(
        sent.len() > 100,
        "only {} traces were acknowledged",
        sent.len()
    );
    let mut incomplete = 0;
    for Sent {
        trace,
        spans,
        missing,
    } in sent.iter()
    {
        let found = collector.sealed(&spans::hex(*trace)).await;
        let ids: Vec<String> = found["spans"]
            .as_array()
            .unwrap()
            .iter()
            .map(|span| span["spanId"].as_str().unwrap().to_owned())
            .collect();
        let distinct: BTreeSet<String> = ids.iter().cloned().collect();
        assert_eq!(&distinct, spans, "trace {}", spans::hex(*trace));
        assert_eq!(
            ids.len(),
            spans.len(),
            "a span of {} is there twice",
            spans::hex(*trace)
        );
        let completeness = &found["summary"]["completeness"];
        match missing {
            None => assert_eq!(completeness["verdict"], "complete", "{completeness}"),
            Some(parent) => {
                incomplete += 1;
                assert_eq!(completeness["verdict"], "incomplete", "{completeness}");
                assert_eq!(completeness["missing"][0], format!("{parent:016x}"));
            }
        }
    }
    assert!(
        incomplete > 10,
        "only {incomplete} traces lacked their root"
    );
    println!("{} traces, {incomplete} of them incomplete", sent.len());
}
