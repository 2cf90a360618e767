//! How fast batches become durable, and what they cost: producers that each wait for their batch, as
//! the groups of a node do, and one log on a real disk.
//!
//! ```text
//! cargo bench -p quorate-storage
//! ```

#![allow(clippy::print_stdout)]

use bytes::Bytes;
use quorate_storage::{Disk, GroupId, Options, RecordLog};
use std::error::Error;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const RECORD_BYTES: usize = 300;
const GROUPS: u64 = 8;
const MEASURED: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "producers  records/batch  batches/s  records/s  CPU us/batch  p50 us  p99 us  replay MB/s"
    );
    for (producers, longest) in [(1, 1), (64, 1), (64, 64)] {
        measure(producers, longest)?;
    }
    println!("\nbodies of 233 kB, released as they go");
    println!("in flight  MB/s  CPU s/466 MB  files' MB at the end");
    for in_flight in [1, 4, 16] {
        measure_bodies(in_flight)?;
    }
    Ok(())
}

/// Requests of 500 spans of 466 bytes, as a trace collector logs them: a million spans, of which the last
/// fifty requests are needed.
fn measure_bodies(in_flight: usize) -> Result<(), Box<dyn Error>> {
    const BODIES: u64 = 2000;
    const NEEDED: u64 = 50;
    let temp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let log = RecordLog::open(temp.path(), Options::default(), Disk::real())?;
    let body = Bytes::from(
        (0..233_000u32)
            .map(|n| ((n * n) >> 7) as u8)
            .collect::<Vec<_>>(),
    );
    let group = GroupId(0);
    let (cpu, start) = (cpu_seconds(), Instant::now());
    let (tell, durable) = mpsc::sync_channel(in_flight);
    for sent in 0..BODIES {
        if sent >= in_flight as u64 {
            let batch: u64 = durable.recv()?;
            log.release(group, batch.saturating_sub(NEEDED));
        }
        let tell = tell.clone();
        let done = Box::new(move || {
            // One place for each that is in flight.
            let _ = tell.send(sent + 1);
        });
        log.append(group, vec![body.clone()], done)?;
    }
    for _ in 0..in_flight {
        durable.recv()?;
    }
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        "{in_flight:9}  {:4.0}  {cpu:12.2}  {}",
        BODIES as f64 * body.len() as f64 / 1e6 / seconds,
        log.retained_bytes() / 1_000_000,
    );
    log.close()?;
    Ok(())
}

fn measure(producers: u64, longest: u64) -> Result<(), Box<dyn Error>> {
    // Beside the build, so that it is the disk that is measured and not a file system in memory.
    let temp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let log = RecordLog::open(temp.path(), Options::default(), Disk::real())?;
    let (cpu, start) = (cpu_seconds(), Instant::now());
    let results: Vec<(Vec<Duration>, u64)> = std::thread::scope(|scope| {
        let run = |producer| {
            let log = log.clone();
            scope.spawn(move || produce(&log, producer, longest, start))
        };
        let running: Vec<_> = (0..producers).map(run).collect();
        running
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .collect()
    });
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    log.close()?;

    let records: u64 = results.iter().map(|(_, records)| records).sum();
    let mut waits: Vec<Duration> = results.into_iter().flat_map(|(waits, _)| waits).collect();
    waits.sort_unstable();
    let batches = waits.len() as f64;
    let wait = |part: usize| waits[waits.len() * part / 100].as_micros();
    println!(
        "{producers:9}  {:>13}  {:9.0}  {:9.0}  {:12.1}  {:6}  {:6}  {:11.0}",
        format!("1..={longest}"),
        batches / seconds,
        records as f64 / seconds,
        cpu * 1e6 / batches,
        wait(50),
        wait(99),
        replay(temp.path(), records)?,
    );
    Ok(())
}

/// Appends one batch after the other; returns how long each took and how many records there were.
fn produce(log: &RecordLog, producer: u64, longest: u64, start: Instant) -> (Vec<Duration>, u64) {
    let record = Bytes::from(vec![producer as u8; RECORD_BYTES]);
    let mut waits = Vec::new();
    let mut records = 0;
    while start.elapsed() < MEASURED {
        let count = (producer * 7919 + waits.len() as u64 * 31) % longest + 1;
        records += count;
        let (tell, durable) = mpsc::channel();
        let appended = Instant::now();
        let done = Box::new(move || {
            // The producer waits for it.
            let _ = tell.send(());
        });
        let group = GroupId((producer + count) % GROUPS);
        let queued = log.append(group, vec![record.clone(); count as usize], done);
        if queued.is_err() || durable.recv().is_err() {
            break;
        }
        waits.push(appended.elapsed());
    }
    (waits, records)
}

/// Opens the log again and reads it all; returns megabytes of records a second.
fn replay(dir: &Path, expected: u64) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let log = RecordLog::open(dir, Options::default(), Disk::real())?;
    let mut records = 0;
    for group in 0..GROUPS {
        records += log.replay(GroupId(group), &mut |_| Ok(()))?;
    }
    assert_eq!(records, expected, "records were lost");
    Ok(records as f64 * RECORD_BYTES as f64 / 1e6 / start.elapsed().as_secs_f64())
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
    let ticks: f64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / TICKS_PER_SECOND
}
