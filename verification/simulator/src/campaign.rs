//! Many runs of a protocol, seed after seed.

use crate::Plan;
use crate::Time;
use crate::report::{Counts, RunReport};
use crate::run::Runner;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What many runs came to.
#[derive(Clone, Debug, Default)]
pub struct Campaign {
    /// Runs that came to their end or to a failure.
    pub runs: u64,
    /// Virtual time of all runs.
    pub lasted: Time,
    /// How long they took.
    pub wall: Duration,
    /// Steps of all machines.
    pub steps: u64,
    /// What happened.
    pub counts: Counts,
    /// What of interest happened, as the protocol counts it.
    pub coverage: BTreeMap<&'static str, u64>,
    /// The failures, by seed.
    pub failures: Vec<RunReport>,
}

/// How many runs, and when to give up.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// The first seed.
    pub seed: u64,
    /// How many seeds.
    pub runs: u64,
    /// How long faults are injected in each, in virtual seconds.
    pub seconds: u64,
    /// How long it may take in all; the runs under way come to their end.
    pub wall: Option<Duration>,
    /// Threads, each with a run of its own.
    pub threads: usize,
    /// Whether to go on after a failure.
    pub go_on: bool,
    /// Set from outside to end it.
    pub stop: &'a AtomicBool,
}

/// Runs seed after seed, and tells `progress` how many runs are done.
pub fn campaign(runner: &Runner, limits: Limits<'_>, progress: &(dyn Fn(u64) + Sync)) -> Campaign {
    let begun = Instant::now();
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let over = || {
        let late = limits.wall.is_some_and(|wall| begun.elapsed() >= wall);
        let enough = failed.load(Ordering::Relaxed) && !limits.go_on;
        late || enough || limits.stop.load(Ordering::Relaxed)
    };
    let worker = || {
        let mut part = Campaign::default();
        while !over() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= limits.runs {
                break;
            }
            let seed = limits.seed.wrapping_add(number);
            let report = runner(&Plan::new(seed, limits.seconds));
            failed.fetch_or(report.failure.is_some(), Ordering::Relaxed);
            part.count(report);
            progress(number + 1);
        }
        part
    };
    let mut all = Campaign::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..limits.threads.max(1))
            .map(|_| scope.spawn(worker))
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(part) => all.add(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    all.failures.sort_by_key(|report| report.seed);
    all.wall = begun.elapsed();
    all
}

impl Campaign {
    fn count(&mut self, report: RunReport) {
        self.runs += 1;
        self.lasted = self.lasted + report.lasted;
        self.steps += report.steps;
        self.counts.add(&report.counts);
        for (name, count) in &report.coverage {
            *self.coverage.entry(name).or_default() += count;
        }
        if report.failure.is_some() {
            self.failures.push(report);
        }
    }

    fn add(&mut self, part: Campaign) {
        self.runs += part.runs;
        self.lasted = self.lasted + part.lasted;
        self.steps += part.steps;
        self.counts.add(&part.counts);
        for (name, count) in part.coverage {
            *self.coverage.entry(name).or_default() += count;
        }
        self.failures.extend(part.failures);
    }

    /// Virtual seconds in a second.
    pub fn speed(&self) -> f64 {
        self.lasted.as_seconds() / self.wall.as_secs_f64().max(1e-9)
    }
}
