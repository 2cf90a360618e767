//! What it costs to look at a trace: `cargo bench -p quorate-analysis`.
//!
//! The usual trace has 14 spans with ten attributes each; the largest 100 000, each the child of the one
//! before, or all of them children of the first. `seal` is what every trace costs when it is sealed,
//! `page` what it costs to show one.

#[path = "../tests/kit/mod.rs"]
mod kit;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use kit::{Trace, checkout};
use quorate_analysis::{History, Patterns, analyse, faults_of};
use quorate_trace::wire::{Batch, SpanKind};

fn main() {
    divan::main();
}

const CASES: [&str; 5] = ["usual", "usual failed", "deep", "wide", "deep failed"];
const LARGE: u64 = 100_000;

fn trace(case: &str) -> Trace {
    let mut trace = checkout(1);
    match case {
        "usual" => {}
        "usual failed" => trace.fail(&[1, 2, 3, 8, 9, 10], "no such account"),
        _ => {
            trace = Trace::new(1);
            for number in 1..=LARGE {
                let parent = match case {
                    "wide" => u64::from(number > 1),
                    _ => number - 1,
                };
                let service = ["frontend", "checkout", "cart"][number as usize % 3];
                let kind = [SpanKind::Server, SpanKind::Client][number as usize % 2];
                let time = (number, 2 * LARGE - number);
                let span = trace.span(service, (number, parent), kind, "GET /", time);
                span.attributes = kit::usual_attributes();
                if case == "deep failed" {
                    span.status = Some(opentelemetry_proto::tonic::trace::v1::Status {
                        code: 2,
                        ..Default::default()
                    });
                }
            }
        }
    }
    trace
}

/// A history that knows every operation of the batch.
fn history(batch: &Batch) -> History {
    let mut history = History::default();
    for span in (0..200).flat_map(|_| batch.spans().take(1000)) {
        history.observe(&span);
    }
    history
}

#[divan::bench(args = CASES)]
fn seal(bencher: Bencher<'_, '_>, case: &str) {
    let batch = trace(case).batch();
    let (history, patterns) = (history(&batch), Patterns::default());
    bencher
        .counter(ItemsCount::new(batch.len()))
        .bench_local(|| {
            let spans = kit::views(&batch);
            faults_of(black_box(&spans), &patterns, &history)
        });
}

#[divan::bench(args = CASES)]
fn page(bencher: Bencher<'_, '_>, case: &str) {
    let batch = trace(case).batch();
    let (history, patterns) = (history(&batch), Patterns::default());
    bencher
        .counter(ItemsCount::new(batch.len()))
        .bench_local(|| {
            let spans = kit::views(&batch);
            analyse(black_box(&spans), &patterns, &history)
        });
}

#[divan::bench]
fn observe(bencher: Bencher<'_, '_>) {
    let batch = trace("usual").batch();
    let mut history = history(&batch);
    bencher
        .counter(ItemsCount::new(batch.len()))
        .bench_local(|| {
            for span in batch.spans() {
                history.observe(black_box(&span));
            }
        });
}
