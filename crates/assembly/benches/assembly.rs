//! What a span costs: batches of 500 spans over 50 traces, with few and with many traces open, and the
//! whole way from arrival to seal.
//!
//!     cargo bench -p quorate-assembly

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use quorate_assembly::{Arrival, Assembly, Config, Judgement, Millis};
use quorate_trace::{SpanId, TraceId};

const BATCH: u64 = 500;
const TRACES: u64 = 50;

/// As in production: the batch that holds the span, and its place there.
type Payload = (Arc<[u8]>, u32);

fn main() {
    divan::main();
}

fn config() -> Config {
    Config {
        memory_bytes: u64::MAX / 4,
        trace_bytes: u64::MAX / 4,
        ..Config::default()
    }
}

fn scramble(number: u64) -> u64 {
    (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Batch `number` of ten spans a trace, interleaved; each span is its predecessor's child.
fn batch(number: u64) -> Vec<Arrival<Payload>> {
    let body: Arc<[u8]> = Arc::from([0; 8]);
    let spans = (0..BATCH).map(|at| {
        let trace = number * TRACES + at % TRACES;
        let trace = u128::from(scramble(trace)) << 64 | u128::from(trace);
        let position = at / TRACES;
        let id = |position: u64| SpanId::new(scramble(number << 8 | position).to_be_bytes());
        Arrival {
            trace: TraceId::new(trace.to_be_bytes()).expect("not zero"),
            span: id(position).expect("not zero").into(),
            parent: position.checked_sub(1).and_then(id),
            bytes: 466,
            payload: (Arc::clone(&body), at as u32),
        }
    });
    spans.collect()
}

/// An assembly with so many open traces of ten spans.
fn with_open(traces: u64) -> Assembly<Payload> {
    let assembly = Assembly::new(config());
    for number in 0..traces / TRACES {
        assembly.insert(Millis(0), batch(number));
    }
    assembly
}

/// New traces, which stay open: the state grows by what is inserted.
#[divan::bench(args = [1_000, 10_000, 100_000, 1_000_000], sample_count = 200, sample_size = 1)]
fn insert_with_open_traces(bencher: Bencher<'_, '_>, open: u64) {
    let assembly = with_open(open);
    let mut next = open / TRACES;
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| {
            next += 1;
            batch(next)
        })
        .bench_local_values(|batch| assembly.insert(Millis(1), batch));
}

/// Spans of open traces, anywhere among them.
#[divan::bench(args = [1_000, 10_000, 100_000, 1_000_000], sample_count = 200, sample_size = 1)]
fn insert_into_open_traces(bencher: Bencher<'_, '_>, open: u64) {
    let assembly = with_open(open);
    let mut at = 0;
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| {
            at += 1;
            let mut batch = batch(scramble(at) % (open / TRACES));
            for arrival in &mut batch {
                let span = u64::from_be_bytes(*arrival.span.id.bytes()) ^ scramble(at);
                arrival.span.id = SpanId::new(span.to_be_bytes()).expect("not zero");
            }
            batch
        })
        .bench_local_values(|batch| assembly.insert(Millis(1), batch));
}

/// Arrival, ripe, judged, sealed: a batch comes, and one that came a window ago goes.
#[divan::bench(args = [1_000, 100_000], sample_count = 200, sample_size = 1)]
fn insert_and_seal_with_open_traces(bencher: Bencher<'_, '_>, open: u64) {
    let assembly = Assembly::new(config());
    let quiet_ms = config().quiet_ms;
    let batches = open / TRACES;
    let time = |number: u64| Millis(number * (quiet_ms + quiet_ms / 16) / batches);
    let mut next = 0;
    let cycle = |number: u64, batch: Vec<Arrival<Payload>>| {
        let now = time(number);
        assembly.insert(now, batch);
        for ripe in assembly.ripe(now, usize::MAX) {
            match assembly.judge(ripe, None) {
                Judgement::Seal(sealing) => assembly.sealed(sealing),
                Judgement::Waits | Judgement::Nothing { .. } => unreachable!("all are whole"),
            }
        }
    };
    while next < 2 * batches {
        cycle(next, batch(next));
        next += 1;
    }
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| {
            next += 1;
            (next, batch(next))
        })
        .bench_local_values(|(number, batch)| cycle(number, batch));
}

/// The judgement on a trace of so many spans.
#[divan::bench(args = [10, 1_000, 100_000])]
fn judge(bencher: Bencher<'_, '_>, spans: u64) {
    let assembly = Assembly::new(config());
    let chain = (0..spans).map(|at| Arrival {
        trace: TraceId::new([1; 16]).expect("not zero"),
        span: SpanId::new(scramble(at).to_be_bytes())
            .expect("not zero")
            .into(),
        parent: at
            .checked_sub(1)
            .and_then(|at| SpanId::new(scramble(at).to_be_bytes())),
        bytes: 466,
        payload: (),
    });
    assembly.insert(Millis(0), chain.collect());
    let ripe = assembly.ripe(Millis(100_000), 1).remove(0);
    bencher.counter(ItemsCount::new(spans)).bench_local(|| {
        let (spans, cause) = (ripe.spans(), ripe.cause());
        quorate_assembly::judge::decide(spans, None, cause, true)
    });
}
