//! Running a check, and watching it.

use crate::protocol::Expectation;
use crate::report::{PropertyReport, Report, Stop, Verdict};
use crate::step::panic_text;
use crate::trace::PathStep;
use crate::{LivenessError, Protocol, System, Trace};
use stateright::{Checker, HasDiscoveries, Model, Path};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a search is looked at: short, so that a small one ends at once.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
/// The longest example of a `sometimes` property that a report holds; counterexamples have no limit.
const EXAMPLE_STEPS_MAX: usize = 200;

/// In which order states are visited. Both orders visit all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// Breadth first, the default: with one thread, every counterexample and example is a shortest
    /// one; with more, nearly so.
    #[default]
    Bfs,
    /// Depth first: holds few states at a time if no path is long. But stateright keeps a path with
    /// each of them, and a protocol that can go in circles (timers that only move messages about)
    /// has paths as long as its states are many: memory then grows with their square.
    Dfs,
}

/// How to check.
pub struct Options {
    /// Worker threads.
    pub threads: usize,
    /// In which order.
    pub search: Search,
    /// Stop after generating so many states.
    pub states_max: Option<usize>,
    /// Stop after so long.
    pub timeout: Option<Duration>,
    /// Stop when the process has so much resident memory.
    pub rss_max_bytes: Option<u64>,
    /// States that a second, breadth-first search may generate to shorten a counterexample.
    pub shorten_states_max: usize,
    /// Set to stop, by a signal handler for example.
    pub interrupt: Option<Arc<AtomicBool>>,
    /// Told how it goes, some five times a second and once at the end of each search.
    pub progress: Option<ProgressFn>,
}

/// A listener to [`Progress`].
pub type ProgressFn = Box<dyn FnMut(&Progress) + Send>;

impl Default for Options {
    fn default() -> Self {
        Options {
            threads: thread::available_parallelism().map_or(1, |n| n.get()),
            search: Search::default(),
            states_max: None,
            timeout: None,
            rss_max_bytes: None,
            shorten_states_max: 3_000_000,
            interrupt: None,
            progress: None,
        }
    }
}

/// How a search goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Whether a counterexample is being shortened.
    pub shortening: bool,
    /// States generated, repetitions included.
    pub states: usize,
    /// Distinct states.
    pub unique: usize,
    /// States generated a second since the progress before.
    pub rate: f64,
    /// Steps on the longest path explored.
    pub depth: usize,
    /// Resident memory of the process.
    pub rss_bytes: Option<u64>,
    /// Time since the search began.
    pub elapsed: Duration,
}

/// Why a check gave no result.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CheckError {
    /// A property, or another of the protocol's functions that judge states, panicked.
    #[error("a worker of the search panicked: {0}")]
    Worker(String),
    /// The bounds exclude the initial state.
    #[error("the initial state is not within the bounds, so nothing was checked")]
    NothingExplored,
    /// There are no worker threads to search with.
    #[error("a search needs at least one thread")]
    NoThreads,
    /// Liveness could not be decided.
    #[error(transparent)]
    Liveness(#[from] LivenessError),
}

/// Explores every state of `protocol` within its bounds.
///
/// A violation ends the search. If it was found depth first, a second search, breadth first and on
/// one thread, looks for a shortest counterexample, and gives up after
/// [`shorten_states_max`](Options::shorten_states_max).
///
/// # Errors
///
/// See [`CheckError`]. A violated property is no error.
///
/// # Panics
///
/// As [`System::new`].
pub fn check<P: Protocol>(protocol: P, mut options: Options) -> Result<Report, CheckError> {
    if options.threads == 0 {
        return Err(CheckError::NoThreads);
    }
    let protocol = Arc::new(protocol);
    let first = Plan {
        search: options.search,
        threads: options.threads,
        states_max: options.states_max,
        timeout: options.timeout,
        shortening: false,
    };
    let mut found = first.run(&protocol, &mut options)?;
    let shortest = options.search == Search::Bfs && options.threads == 1;
    if found.stopped == Some(Stop::Violation) && !shortest && options.shorten_states_max > 0 {
        let second = Plan {
            search: Search::Bfs,
            threads: 1,
            states_max: Some(options.shorten_states_max),
            timeout: options.timeout,
            shortening: true,
        };
        found.shorten(second.run(&protocol, &mut options)?);
    }
    Ok(found.report(&*protocol, options.threads))
}

/// What one search found.
struct Found<P: Protocol> {
    states: usize,
    unique: usize,
    depth: usize,
    elapsed: Duration,
    peak_rss_bytes: Option<u64>,
    initial_rss_bytes: Option<u64>,
    stopped: Option<Stop>,
    properties: Vec<(&'static str, Expectation)>,
    paths: HashMap<&'static str, Vec<PathStep<P>>>,
}

/// One search.
struct Plan {
    search: Search,
    threads: usize,
    states_max: Option<usize>,
    timeout: Option<Duration>,
    shortening: bool,
}

impl Plan {
    fn run<P: Protocol>(
        &self,
        protocol: &Arc<P>,
        options: &mut Options,
    ) -> Result<Found<P>, CheckError> {
        let checker = System::new(Arc::clone(protocol))
            .stopping_at_violation()
            .checker()
            .threads(self.threads)
            .finish_when(HasDiscoveries::AnyFailures);
        match self.search {
            Search::Dfs => self.watch(checker.spawn_dfs(), options),
            Search::Bfs => self.watch(checker.spawn_bfs(), options),
        }
    }

    /// Waits for a search to end, and ends it when a limit is reached.
    ///
    /// Limits are ours and not stateright's: its timeout has no effect on a single thread, and keeps
    /// a thread of its own until it is over.
    fn watch<P: Protocol>(
        &self,
        mut checker: impl Checker<System<P>>,
        options: &mut Options,
    ) -> Result<Found<P>, CheckError> {
        let began = Instant::now();
        let initial_rss_bytes = rss_bytes();
        let workers = checker.handles();
        let mut peak_rss_bytes = initial_rss_bytes;
        let mut stopped = None;
        let mut told = (Duration::ZERO, 0);
        while !workers.iter().all(JoinHandle::is_finished) {
            thread::sleep(POLL_INTERVAL);
            let rss = rss_bytes();
            peak_rss_bytes = peak_rss_bytes.max(rss);
            let progress = self.progress(&checker, began, told, rss);
            stopped = stopped.or_else(|| self.limit(&progress, options));
            if stopped.is_some() {
                checker.model().stop();
            }
            if progress.elapsed - told.0 >= PROGRESS_INTERVAL {
                told = (progress.elapsed, progress.states);
                tell(options, &progress);
            }
        }
        for worker in workers {
            worker
                .join()
                .map_err(|payload| CheckError::Worker(panic_text(&*payload)))?;
        }
        let last = self.progress(&checker, began, told, rss_bytes());
        tell(options, &last);
        if last.unique == 0 {
            return Err(CheckError::NothingExplored);
        }
        // Paths are found again by following actions, which a stopped system does not have.
        checker.model().resume();
        let paths = checker.discoveries();
        let properties = checker.model().listed();
        let violated = properties
            .iter()
            .any(|(name, kind)| *kind == Expectation::Always && paths.contains_key(name));
        Ok(Found {
            states: last.states,
            unique: last.unique,
            depth: last.depth,
            elapsed: last.elapsed,
            peak_rss_bytes,
            initial_rss_bytes,
            stopped: if violated {
                Some(Stop::Violation)
            } else {
                stopped
            },
            properties,
            paths: paths
                .into_iter()
                .map(|(name, path)| (name, Path::into_vec(path)))
                .collect(),
        })
    }

    fn progress<P: Protocol>(
        &self,
        checker: &impl Checker<System<P>>,
        began: Instant,
        (told_at, told_states): (Duration, usize),
        rss_bytes: Option<u64>,
    ) -> Progress {
        let elapsed = began.elapsed();
        let states = checker.state_count();
        let seconds = (elapsed - told_at).as_secs_f64().max(1e-6);
        Progress {
            shortening: self.shortening,
            states,
            unique: checker.unique_state_count(),
            rate: states.saturating_sub(told_states) as f64 / seconds,
            depth: checker.max_depth(),
            rss_bytes,
            elapsed,
        }
    }

    fn limit(&self, progress: &Progress, options: &Options) -> Option<Stop> {
        let reached = |value: Option<u64>, limit: Option<u64>| match (value, limit) {
            (Some(value), Some(limit)) => value >= limit,
            _ => false,
        };
        let interrupt = options.interrupt.as_ref();
        if interrupt.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            Some(Stop::Interrupted)
        } else if self.states_max.is_some_and(|max| progress.states >= max) {
            Some(Stop::States)
        } else if self.timeout.is_some_and(|max| progress.elapsed >= max) {
            Some(Stop::Time)
        } else if reached(progress.rss_bytes, options.rss_max_bytes) {
            Some(Stop::Memory)
        } else {
            None
        }
    }
}

fn tell(options: &mut Options, progress: &Progress) {
    if let Some(listener) = &mut options.progress {
        listener(progress);
    }
}

impl<P: Protocol> Found<P> {
    /// Takes over the paths of a search that found shorter ones.
    fn shorten(&mut self, other: Found<P>) {
        for (name, path) in other.paths {
            let kept = self.paths.entry(name).or_insert_with(|| path.clone());
            if path.len() < kept.len() {
                *kept = path;
            }
        }
    }

    fn report(mut self, protocol: &P, threads: usize) -> Report {
        let properties = std::mem::take(&mut self.properties);
        let properties = properties
            .into_iter()
            .map(|(name, expectation)| self.verdict(protocol, name, expectation))
            .collect();
        Report {
            protocol: protocol.name().to_owned(),
            bounds: protocol.bounds().list(protocol.nodes().len()),
            threads,
            states: self.states,
            unique: self.unique,
            depth: self.depth,
            seconds: self.elapsed.as_secs_f64(),
            peak_rss_bytes: self.peak_rss_bytes,
            initial_rss_bytes: self.initial_rss_bytes,
            stopped: self.stopped,
            properties,
        }
    }

    fn verdict(
        &self,
        protocol: &P,
        name: &'static str,
        expectation: Expectation,
    ) -> PropertyReport {
        let path = self.paths.get(name);
        let verdict = match (expectation, path, self.stopped) {
            (Expectation::Always, Some(_), _) => Verdict::Violated,
            (Expectation::Sometimes, Some(_), _) => Verdict::Found,
            (_, None, Some(_)) => Verdict::Undecided,
            (Expectation::Always, None, None) => Verdict::Holds,
            (Expectation::Sometimes, None, None) => Verdict::NotFound,
        };
        let length = path.map(|path| path.len() - 1);
        let told =
            path.filter(|path| verdict == Verdict::Violated || path.len() <= EXAMPLE_STEPS_MAX);
        PropertyReport {
            name: name.to_owned(),
            expectation,
            verdict,
            length,
            trace: told.map(|path| Trace::new(protocol, path)),
        }
    }
}

/// Resident memory of this process, where the system tells.
pub(crate) fn rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
