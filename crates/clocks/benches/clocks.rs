//! What clocks cost: `cargo bench -p quorate-clocks`. Of three, sixteen and 128 processes, numbered with 32 bits.

use divan::{Bencher, black_box};
use quorate_clocks::{DottedVersion, HybridClock, LamportClock, Siblings, VectorClock};

fn main() {
    divan::main();
}

const PROCESSES: [u32; 3] = [3, 16, 128];

/// Each process has counted some events.
fn clock(processes: u32) -> VectorClock<u32> {
    let entries = (0..processes).map(|process| (process, 1_000 + u64::from(process % 7)));
    VectorClock::from_entries(entries).expect("in order, and none is zero")
}

/// The same, and what a process in the middle did since.
fn later(processes: u32) -> VectorClock<u32> {
    let mut later = clock(processes);
    later.increment(processes / 2);
    later
}

#[divan::bench(args = PROCESSES)]
fn vector_compare_before(bencher: Bencher, processes: u32) {
    let (one, other) = (clock(processes), later(processes));
    bencher.bench(|| black_box(&one).compare(black_box(&other)));
}

/// Found out at the end only.
#[divan::bench(args = PROCESSES)]
fn vector_compare_concurrent(bencher: Bencher, processes: u32) {
    let (mut one, mut other) = (clock(processes), clock(processes));
    one.increment(processes - 2);
    other.increment(processes - 1);
    bencher.bench(|| black_box(&one).compare(black_box(&other)));
}

#[divan::bench(args = PROCESSES)]
fn vector_merge(bencher: Bencher, processes: u32) {
    let (mut one, other) = (clock(processes), later(processes));
    bencher.bench_local(|| black_box(&mut one).merge(black_box(&other)));
}

#[divan::bench(args = PROCESSES)]
fn vector_increment(bencher: Bencher, processes: u32) {
    let mut clock = clock(processes);
    bencher.bench_local(|| black_box(&mut clock).increment(black_box(processes / 2)));
}

#[divan::bench(args = PROCESSES)]
fn vector_from_entries(bencher: Bencher, processes: u32) {
    let entries: Vec<(u32, u64)> = clock(processes).iter().collect();
    bencher.bench(|| VectorClock::from_entries(black_box(&entries).iter().copied()));
}

#[divan::bench(args = PROCESSES)]
fn dotted_compare(bencher: Bencher, processes: u32) {
    let mut siblings = Siblings::new();
    let context = clock(processes);
    let mut put = || {
        let dot = siblings.put(processes / 2, &context, ());
        let context = context.clone();
        DottedVersion { dot, context }
    };
    let (one, other) = (put(), put());
    bencher.bench(|| black_box(&one).compare(black_box(&other)));
}

#[divan::bench]
fn lamport_observe(bencher: Bencher) {
    let mut clock = LamportClock::new();
    bencher.bench_local(|| black_box(&mut clock).observe(black_box(5)));
}

#[divan::bench]
fn hybrid_tick(bencher: Bencher) {
    let mut clock = HybridClock::new(500);
    let mut physical_ms = 1_000_000;
    bencher.bench_local(|| {
        physical_ms += 1;
        black_box(&mut clock).tick(black_box(physical_ms))
    });
}

#[divan::bench]
fn hybrid_observe(bencher: Bencher) {
    let mut peer = HybridClock::new(500);
    let sent = peer.tick(1_000_300).expect("within the limit");
    let mut clock = HybridClock::new(500);
    bencher.bench_local(|| black_box(&mut clock).observe(black_box(1_000_000), black_box(sent)));
}
