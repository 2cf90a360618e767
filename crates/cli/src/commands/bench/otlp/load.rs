//! Who sends what when.
//!
//! Workers take the next request from one schedule, so that the spans of a trace leave in the order of the
//! corpus, over whatever connection is free. Without a rate each worker sends as fast as it is answered;
//! with a rate requests have times at which they are due, and latency counts from there, so that a server that
//! stalls is charged for the requests that waited, too.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Protocol;
use super::client::{Answer, Broken, Client};
use super::corpus::{Corpus, Template};

/// Latencies are kept from 1 µs to ten minutes, with three digits.
const LATENCY_RANGE_NS: (u64, u64) = (1_000, 600_000_000_000);

/// Pauses before a request is sent again, when the server does not say how long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A request that is not accepted for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the requests are sent.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) authority: String,
    pub(super) protocol: Protocol,
    /// Spans a second; as fast as possible if there is none.
    pub(super) rate: Option<f64>,
    /// How long after its cycle's other spans a late span is sent.
    pub(super) late_by: Duration,
    /// An answer that takes longer counts as a broken connection.
    pub(super) timeout: Duration,
    /// Cycles to send; no end if there is none.
    pub(super) cycles: Option<u64>,
    /// The first half of the first cycle's trace ids.
    pub(super) first_cycle: u64,
}

/// What became of the requests.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) latencies_ns: Histogram<u64>,
    pub(super) requests: u64,
    pub(super) spans: u64,
    pub(super) bytes: u64,
    pub(super) refused_spans: u64,
    pub(super) backed_off: u64,
    pub(super) reconnected: u64,
    pub(super) failed: u64,
    pub(super) first_error: Option<String>,
}

impl Tally {
    fn new() -> Self {
        let (low, high) = LATENCY_RANGE_NS;
        Tally {
            latencies_ns: Histogram::new_with_bounds(low, high, 3)
                .expect("the bounds are constants that the histogram accepts"),
            requests: 0,
            spans: 0,
            bytes: 0,
            refused_spans: 0,
            backed_off: 0,
            reconnected: 0,
            failed: 0,
            first_error: None,
        }
    }

    fn fail(&mut self, error: String) {
        self.failed += 1;
        self.first_error.get_or_insert(error);
    }
}

/// A request that is due.
struct Job {
    /// Its place in [`Corpus::requests`] or, if it is late, in [`Corpus::late`].
    index: usize,
    is_late: bool,
    cycle: u64,
    /// When its cycle began, in nanoseconds since 1970.
    base_ns: u64,
    due: Instant,
}

struct Schedule {
    begun: Instant,
    /// Spans that have been given out.
    spans: u64,
    next: usize,
    cycle: u64,
    base_ns: u64,
    late: VecDeque<Job>,
    is_stopped: bool,
}

/// Workers' common state.
pub(super) struct Load {
    corpus: Corpus,
    plan: Plan,
    schedule: Mutex<Schedule>,
    tally: Mutex<Tally>,
}

impl Load {
    pub(super) fn new(corpus: Corpus, plan: Plan) -> Arc<Self> {
        Arc::new(Load {
            schedule: Mutex::new(Schedule {
                begun: Instant::now(),
                spans: 0,
                next: 0,
                cycle: 0,
                base_ns: 0,
                late: VecDeque::new(),
                is_stopped: false,
            }),
            tally: Mutex::new(Tally::new()),
            corpus,
            plan,
        })
    }

    /// What was counted since the last time.
    pub(super) fn take_tally(&self) -> Tally {
        std::mem::replace(&mut *lock(&self.tally), Tally::new())
    }

    /// No request is begun any more, except for late ones.
    pub(super) fn stop(&self) {
        lock(&self.schedule).is_stopped = true;
    }

    /// Cycles that were begun.
    pub(super) fn cycles(&self) -> u64 {
        let schedule = lock(&self.schedule);
        schedule.cycle + u64::from(schedule.next > 0)
    }

    pub(super) fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    fn template(&self, job: &Job) -> &Template {
        let templates = if job.is_late {
            &self.corpus.late
        } else {
            &self.corpus.requests
        };
        &templates[job.index]
    }

    fn next(&self) -> Option<Job> {
        let now = Instant::now();
        let mut schedule = lock(&self.schedule);
        let schedule = &mut *schedule;
        let at_end = self.plan.cycles.is_some_and(|all| schedule.cycle >= all);
        let only_late = schedule.is_stopped || at_end;
        if schedule
            .late
            .front()
            .is_some_and(|job| only_late || job.due <= now)
        {
            return schedule.late.pop_front();
        }
        if only_late {
            return None;
        }
        if schedule.next == 0 {
            schedule.base_ns = nanoseconds_now();
        }
        let due = match self.plan.rate {
            Some(rate) => schedule.begun + Duration::from_secs_f64(schedule.spans as f64 / rate),
            None => now,
        };
        let job = Job {
            index: schedule.next,
            is_late: false,
            cycle: self.plan.first_cycle.wrapping_add(schedule.cycle),
            base_ns: schedule.base_ns,
            due,
        };
        schedule.spans += self.template(&job).spans();
        schedule.next += 1;
        if schedule.next == self.corpus.requests.len() {
            let late = (0..self.corpus.late.len()).map(|index| Job {
                index,
                is_late: true,
                due: due + self.plan.late_by,
                ..job
            });
            schedule.late.extend(late);
            schedule.next = 0;
            schedule.cycle += 1;
        }
        Some(job)
    }

    /// Sends requests until there are no more.
    pub(super) async fn work(self: Arc<Self>, mut client: Client) {
        while let Some(job) = self.next() {
            let begun = Instant::now().max(job.due);
            sleep_until(job.due).await;
            self.deliver(&mut client, &job, begun).await;
        }
    }

    /// Sends one request until it is acknowledged, as an SDK would.
    async fn deliver(&self, client: &mut Client, job: &Job, begun: Instant) {
        let template = self.template(job);
        let mut pause = FIRST_PAUSE;
        // With a rate, a request that could not be begun in time has waited already.
        let since = if self.plan.rate.is_some() {
            job.due
        } else {
            begun
        };
        loop {
            let prefix = Client::prefix(self.plan.protocol);
            let body = template.fill(prefix, job.cycle, job.base_ns);
            let bytes = (body.len() - prefix) as u64;
            let sent = timeout(self.plan.timeout, client.send(body)).await;
            let answer = sent.unwrap_or_else(|_| Err(Broken::new(TimedOut)));
            let wait = match answer {
                Ok(Answer::Accepted { refused }) => {
                    let latency = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    let mut tally = lock(&self.tally);
                    tally.latencies_ns.saturating_record(latency);
                    tally.requests += 1;
                    tally.spans += template.spans() - refused.min(template.spans());
                    tally.bytes += bytes;
                    tally.refused_spans += refused;
                    return;
                }
                Ok(Answer::Refused(words)) => return lock(&self.tally).fail(words),
                Ok(Answer::Later(told)) => {
                    lock(&self.tally).backed_off += 1;
                    told.unwrap_or(pause)
                }
                Err(broken) => {
                    let reconnected = Client::connect(&self.plan.authority, self.plan.protocol);
                    match reconnected.await {
                        Ok(new) => {
                            *client = new;
                            lock(&self.tally).reconnected += 1;
                        }
                        Err(_) if begun.elapsed() > PATIENCE => {
                            return lock(&self.tally).fail(broken.to_string());
                        }
                        Err(_) => {}
                    }
                    pause
                }
            };
            if begun.elapsed() > PATIENCE {
                return lock(&self.tally).fail(format!("not accepted within {PATIENCE:?}"));
            }
            sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no answer in time")]
struct TimedOut;

/// What a panicking worker leaves is still countable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn nanoseconds_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX / 2)
}
