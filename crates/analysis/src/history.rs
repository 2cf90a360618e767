//! How long operations usually take.
//!
//! Of every operation (service, span name, kind) there is a histogram with logarithmic buckets, four to a
//! doubling, so that a percentile is off by 9 % at most. When a histogram has counted
//! [`DECAY_AT`] spans all its counts are halved: an operation's own recent past weighs more than the time
//! before, without any clock.
//!
//! Names come from outside, so the number of operations is limited, and so is the length of names. What
//! does not fit is counted in one histogram for all others.

use hashbrown::{Equivalent, HashMap};
use quorate_trace::wire::{Span, SpanKind};
use serde::{Deserialize, Serialize};

use crate::patterns::Unusual as Rule;

/// Operations that a [`History`] has by default at most; they take 600 bytes each.
pub const OPERATIONS_MAX: usize = 8192;
/// Spans after which a histogram halves its counts.
pub const DECAY_AT: u32 = 1 << 14;
/// Bytes of a service's name and of a span's that an operation may have.
const NAME_MAX: usize = 512;
/// From 1 µs to 73 minutes.
const BUCKETS: usize = 128;
const BUCKETS_PER_DOUBLING: f64 = 4.0;
const FIRST_BUCKET_NS: f64 = 1_000.0;
/// Observations after which the percentile is computed anew.
const REFRESH: u32 = 32;

/// How much longer than usual a span took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unusual {
    /// The operation's 99th percentile, in nanoseconds.
    pub p99: u64,
    /// The span's duration in multiples of it.
    pub ratio: f64,
}

/// How long operations usually take. See the [module](self).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub struct History {
    operations: HashMap<Operation, Histogram, ahash::RandomState>,
    others: Histogram,
    max: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
struct Operation {
    service: Box<str>,
    name: Box<str>,
    kind: u8,
}

/// An operation as a span names it.
#[derive(Hash)]
struct Named<'a> {
    service: &'a str,
    name: &'a str,
    kind: u8,
}

impl Equivalent<Operation> for Named<'_> {
    fn equivalent(&self, key: &Operation) -> bool {
        self.kind == key.kind && *self.name == *key.name && *self.service == *key.service
    }
}

/// What is stored of a history: operations in order, so that equal histories are equal bytes.
#[derive(Serialize, Deserialize)]
struct Saved {
    max: usize,
    others: Vec<u32>,
    operations: Vec<(Operation, Vec<u32>)>,
}

impl From<History> for Saved {
    fn from(history: History) -> Self {
        let operations = history.operations.into_iter();
        let mut operations: Vec<_> = operations
            .map(|(operation, histogram)| (operation, histogram.saved()))
            .collect();
        operations.sort_unstable();
        Saved {
            max: history.max,
            others: history.others.saved(),
            operations,
        }
    }
}

impl From<Saved> for History {
    fn from(saved: Saved) -> Self {
        let operations = saved.operations.into_iter().take(saved.max);
        History {
            operations: operations
                .map(|(operation, counts)| (operation, Histogram::restored(&counts)))
                .collect(),
            others: Histogram::restored(&saved.others),
            max: saved.max,
        }
    }
}

impl Default for History {
    fn default() -> Self {
        Self::new(OPERATIONS_MAX)
    }
}

impl History {
    /// With room for this many operations.
    pub fn new(max: usize) -> Self {
        History {
            operations: HashMap::default(),
            others: Histogram::default(),
            max,
        }
    }

    /// Operations that have a histogram of their own.
    pub fn operations(&self) -> usize {
        self.operations.len()
    }

    /// Counts a span. Spans are to be [judged](History::judge) before they are counted.
    pub fn observe(&mut self, span: &Span<'_>) {
        if span.end < span.start || span.start == 0 {
            return;
        }
        let named = named(span);
        let is_full = self.operations.len() >= self.max;
        let histogram = match self.operations.get_mut(&named) {
            Some(histogram) => histogram,
            None if is_full || !fits(span) => &mut self.others,
            None => {
                let operation = Operation {
                    service: named.service.into(),
                    name: named.name.into(),
                    kind: named.kind,
                };
                self.operations.entry(operation).or_default()
            }
        };
        histogram.observe(span.duration());
    }

    /// Whether a span took much longer than its operation usually does; not, as long as too few of its
    /// kind were seen. Operations without a histogram of their own are judged by that of all others.
    pub fn judge(&self, span: &Span<'_>, rule: &Rule) -> Option<Unusual> {
        let duration = span.duration();
        if duration < rule.min_duration.nanos || span.start == 0 {
            return None;
        }
        let histogram = self.operations.get(&named(span)).unwrap_or(&self.others);
        if histogram.total < rule.min_observations.max(1) {
            return None;
        }
        let ratio = duration as f64 / histogram.p99 as f64;
        (ratio > rule.factor).then_some(Unusual {
            p99: histogram.p99,
            ratio,
        })
    }

    /// A percentile (0 to 1) of an operation's durations, in nanoseconds.
    pub fn percentile(
        &self,
        service: &str,
        operation: &str,
        kind: SpanKind,
        percentile: f64,
    ) -> Option<u64> {
        let named = Named {
            service,
            name: operation,
            kind: kind as u8,
        };
        let histogram = self.operations.get(&named)?;
        Some(histogram.percentile(percentile))
    }

    /// Adds what another history has counted.
    pub fn merge(&mut self, other: &History) {
        let mut others: Vec<_> = other.operations.iter().collect();
        // Which operations get the last free places does not depend on the order in the map.
        others.sort_unstable_by_key(|(operation, _)| *operation);
        for (operation, histogram) in others {
            let is_full = self.operations.len() >= self.max;
            match self.operations.get_mut(operation) {
                Some(own) => own.merge(histogram),
                None if is_full => self.others.merge(histogram),
                None => {
                    self.operations.insert(operation.clone(), histogram.clone());
                }
            }
        }
        self.others.merge(&other.others);
    }
}

fn named<'a>(span: &Span<'a>) -> Named<'a> {
    Named {
        service: span.service,
        name: span.name,
        kind: span.kind as u8,
    }
}

fn fits(span: &Span<'_>) -> bool {
    span.service.len() + span.name.len() <= NAME_MAX
}

#[derive(Clone, Debug)]
struct Histogram {
    counts: Box<[u32; BUCKETS]>,
    total: u32,
    /// As of the last time that it was computed.
    p99: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            counts: Box::new([0; BUCKETS]),
            total: 0,
            p99: u64::MAX,
        }
    }
}

impl Histogram {
    fn observe(&mut self, duration: u64) {
        self.counts[bucket(duration)] += 1;
        self.total += 1;
        if self.total >= DECAY_AT {
            self.halve();
        }
        // Few observations move the percentile with each one.
        if self.total.is_multiple_of(REFRESH) || self.total < REFRESH {
            self.refresh();
        }
    }

    fn halve(&mut self) {
        self.counts.iter_mut().for_each(|count| *count /= 2);
        self.total = self.counts.iter().sum();
    }

    fn refresh(&mut self) {
        self.p99 = self.percentile(0.99);
    }

    /// The middle of the bucket in which it lies.
    fn percentile(&self, percentile: f64) -> u64 {
        let wanted = (f64::from(self.total) * percentile.clamp(0.0, 1.0)).ceil();
        let wanted = (wanted as u32).max(1);
        let mut below = 0;
        let found = self.counts.iter().position(|count| {
            below += count;
            below >= wanted
        });
        match found {
            Some(bucket) => middle(bucket),
            None => u64::MAX,
        }
    }

    fn merge(&mut self, other: &Histogram) {
        for (own, others) in self.counts.iter_mut().zip(other.counts.iter()) {
            *own += others;
        }
        self.total += other.total;
        while self.total >= DECAY_AT {
            self.halve();
        }
        self.refresh();
    }

    /// Without the zeros at the end.
    fn saved(&self) -> Vec<u32> {
        let used = self.counts.iter().rposition(|count| *count > 0);
        self.counts[..used.map_or(0, |last| last + 1)].to_vec()
    }

    fn restored(counts: &[u32]) -> Self {
        let mut histogram = Histogram::default();
        for (own, count) in histogram.counts.iter_mut().zip(counts) {
            *own = (*count).min(DECAY_AT);
        }
        histogram.total = histogram.counts.iter().sum();
        while histogram.total >= DECAY_AT {
            histogram.halve();
        }
        histogram.refresh();
        histogram
    }
}

fn bucket(duration: u64) -> usize {
    let doublings = (duration as f64 / FIRST_BUCKET_NS).log2();
    let bucket = doublings * BUCKETS_PER_DOUBLING;
    (bucket.max(0.0) as usize).min(BUCKETS - 1)
}

fn middle(bucket: usize) -> u64 {
    let doublings = (bucket as f64 + 0.5) / BUCKETS_PER_DOUBLING;
    (FIRST_BUCKET_NS * doublings.exp2()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_nine_percent() {
        let mut histogram = Histogram::default();
        for duration in 1..=10_000 {
            histogram.observe(duration * 10_000);
        }
        for (percentile, exact) in [(0.5, 50e6), (0.99, 99e6), (1.0, 100e6)] {
            let off = histogram.percentile(percentile) as f64 / exact;
            assert!((0.91..=1.1).contains(&off), "{percentile}: {off}");
        }
    }

    #[test]
    fn the_past_fades() {
        let mut histogram = Histogram::default();
        (0..DECAY_AT).for_each(|_| histogram.observe(1_000_000_000));
        assert!(histogram.p99 > 900_000_000);
        // Ten halvings later the slow past is less than one in a hundred.
        (0..10 * DECAY_AT).for_each(|_| histogram.observe(1_000_000));
        assert!(histogram.p99 < 1_100_000, "{}", histogram.p99);
        assert!(histogram.total < DECAY_AT);
    }

    #[test]
    fn every_duration_has_a_bucket() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        for at in 0..BUCKETS {
            assert_eq!(bucket(middle(at)), at);
        }
    }
}
