//! What storing a million spans costs: CPU, bytes, and how long reads take beside it.
//!
//! ```text
//! cargo run --release -p quorate-trace-store --example figures [DIRECTORY]
//! ```

#![allow(clippy::print_stdout)]

#[allow(dead_code, missing_docs, unreachable_pub)]
#[path = "../tests/store/support.rs"]
mod support;

use quorate_trace_store::{EmbeddedStore, Fragment, Query, TraceStore};
use std::error::Error;
use std::time::{Duration, Instant};
use support::{Trace, random, trace_id};

const TRACES: u64 = 71_400;
const SPANS: usize = 14;
const AT_ONCE: u64 = 200;
const START_NS: u64 = 1_700_000_000_000_000_000;
/// Made once and stored again under other names would be unfair to the compression: so they are made
/// in parts, outside of the time that is measured.
const PART: u64 = 10_200;

fn main() -> Result<(), Box<dyn Error>> {
    let temp = tempfile::tempdir_in(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()))?;
    let store = EmbeddedStore::open(temp.path())?;
    let (mut cpu, mut wall, mut slowest) = (0.0, Duration::ZERO, Duration::ZERO);
    let mut bases = 0.0;
    for part in 0..TRACES / PART {
        let fragments: Vec<Fragment> = (part * PART..(part + 1) * PART)
            .map(|number| Trace::new(number, SPANS, START_NS + number * 1_000_000).fragment(1))
            .collect();
        let before = cpu_seconds();
        for fragment in &fragments {
            assert_eq!(store.base(fragment.trace_id)?, None);
        }
        bases += cpu_seconds() - before;
        let (before, begun) = (cpu_seconds(), Instant::now());
        for batch in fragments.chunks(AT_ONCE as usize) {
            let put = Instant::now();
            store.put(batch)?;
            slowest = slowest.max(put.elapsed());
        }
        wall += begun.elapsed();
        // What the tree does in the background belongs to it.
        std::thread::sleep(Duration::from_secs(2));
        cpu += cpu_seconds() - before;
    }
    let figures = store.figures();
    println!("{figures:#?}");
    println!("bytes a span as put: {}", figures.raw_bytes / figures.spans);
    println!("CPU s per million spans: put {cpu:.2}, base {bases:.2}");
    println!("put: {wall:.2?} in all, the slowest {slowest:.2?}");
    reads(&store)?;
    let open = Instant::now();
    drop(store);
    println!("close: {:.2?}", open.elapsed());
    let open = Instant::now();
    let store = EmbeddedStore::open(temp.path())?;
    println!("open: {:.2?}", open.elapsed());
    reads(&store)?;
    Ok(())
}

fn reads(store: &EmbeddedStore) -> Result<(), Box<dyn Error>> {
    let mut state = 1;
    timed("get", 2000, || {
        let trace = trace_id(random(&mut state) % TRACES);
        assert!(
            store
                .get(trace)?
                .is_some_and(|stored| !stored.spans.is_empty())
        );
        Ok(())
    })?;
    let service = Query {
        service: Some("payment".to_owned()),
        ..Query::default()
    };
    timed("search by service", 200, || {
        assert_eq!(store.search(&service)?.summaries.len(), 20);
        Ok(())
    })?;
    let mut state = 2;
    timed("search by service in a minute of the past", 200, || {
        let start = START_NS + random(&mut state) % TRACES * 1_000_000;
        let query = Query {
            start_ns: Some(start),
            end_ns: Some(start + 60_000_000_000),
            ..service.clone()
        };
        store.search(&query)?;
        Ok(())
    })?;
    let nothing = Query {
        min_duration_ns: Some(1),
        max_duration_ns: Some(2),
        ..service.clone()
    };
    timed("search of all summaries in vain", 10, || {
        let found = store.search(&nothing)?;
        assert!(found.complete && found.examined == TRACES);
        Ok(())
    })?;
    let tags = Query {
        tags: vec![("enduser.id".to_owned(), "nobody".to_owned())],
        ..Query::default()
    };
    timed("search of all spans for a tag in vain", 2, || {
        let found = store.search(&tags)?;
        assert!(found.summaries.is_empty() && found.complete);
        Ok(())
    })?;
    timed("tag keys", 20, || {
        assert!(store.tag_keys()?.span.len() >= 10);
        Ok(())
    })
}

fn timed(
    what: &str,
    times: usize,
    mut run: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut took = Vec::new();
    for _ in 0..times {
        let begun = Instant::now();
        run()?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!("{what}: p50 {:.2?}, p99 {:.2?}", at(50), at(99));
    Ok(())
}

/// What this process has used so far, from `/proc`; 0 where there is none.
fn cpu_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0; // fixed in Linux's interface
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in parentheses, may hold spaces; user and system time are fields 14 and 15.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}
