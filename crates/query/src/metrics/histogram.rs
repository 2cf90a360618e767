//! Durations in buckets of a quarter of a power of two: quantiles are off by a quarter at most, and by a
//! tenth on average.

use std::fmt;

/// Buckets of each power of two.
const STEPS: u32 = 4;
/// Below 2^10 ns, a microsecond, everything is one bucket.
const LOWEST: u32 = 10;
/// From 2^44 ns, almost five hours, everything is one bucket.
const HIGHEST: u32 = 44;
const BUCKETS: usize = ((HIGHEST - LOWEST) * STEPS) as usize + 2;

/// The powers of two, in nanoseconds, whose counts Prometheus is told: 1 ms to 17 s, as near as they come
/// to the boundaries that Tempo has.
const TOLD: std::ops::RangeInclusive<u32> = 20..=34;

/// A histogram of durations.
#[derive(Clone)]
pub(super) struct Histogram {
    counts: Box<[u32; BUCKETS]>,
    count: u64,
    sum_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            counts: Box::new([0; BUCKETS]),
            count: 0,
            sum_ns: 0,
        }
    }
}

fn bucket(ns: u64) -> usize {
    if ns < 1 << LOWEST {
        return 0;
    }
    let power = ns.ilog2();
    if power >= HIGHEST {
        return BUCKETS - 1;
    }
    // The two bits below the highest one say which quarter it is.
    let quarter = (ns >> (power - 2)) as u32 & 3;
    ((power - LOWEST) * STEPS + quarter) as usize + 1
}

/// Where a bucket ends; it begins where the one before it ends.
fn end(bucket: usize) -> f64 {
    let power = LOWEST as usize + bucket / STEPS as usize;
    let quarter = bucket % STEPS as usize;
    2f64.powi(power as i32) * (1.0 + quarter as f64 / f64::from(STEPS))
}

impl Histogram {
    pub(super) fn record(&mut self, ns: u64) {
        let count = &mut self.counts[bucket(ns)];
        *count = count.saturating_add(1);
        self.count += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
    }

    /// Milliseconds that so great a part of the durations does not exceed, interpolated in its bucket.
    pub(super) fn quantile_ms(&self, part: f64) -> f64 {
        let wanted = part * self.count as f64;
        let mut before = 0.0;
        for (at, count) in self
            .counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
        {
            let count = f64::from(*count);
            if before + count >= wanted {
                let start = if at == 0 { 0.0 } else { end(at - 1) };
                let within = (wanted - before) / count;
                return (start + (end(at) - start) * within) / 1e6;
            }
            before += count;
        }
        0.0
    }

    /// Its series in Prometheus's text format: buckets, sum and count, with these labels.
    pub(super) fn render(&self, out: &mut dyn fmt::Write, name: &str, labels: &str) -> fmt::Result {
        for power in TOLD {
            let below = ((power - LOWEST) * STEPS) as usize + 1;
            let count: u64 = self.counts[..below].iter().map(|c| u64::from(*c)).sum();
            let seconds = 2f64.powi(power as i32) / 1e9;
            writeln!(out, "{name}_bucket{{{labels},le=\"{seconds}\"}} {count}")?;
        }
        writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", self.count)?;
        writeln!(out, "{name}_sum{{{labels}}} {}", self.sum_ns as f64 / 1e9)?;
        writeln!(out, "{name}_count{{{labels}}} {}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quantiles_are_off_by_a_bucket_at_most(
            mut durations in proptest::collection::vec(1_024u64..1 << 43, 1..300),
            part in 0.01f64..1.0,
        ) {
            let mut histogram = Histogram::default();
            durations.iter().for_each(|ns| histogram.record(*ns));
            durations.sort_unstable();
            let rank = (part * durations.len() as f64).ceil() as usize;
            let exact = durations[rank.max(1) - 1] as f64 / 1e6;
            let found = histogram.quantile_ms(part);
            prop_assert!((found / exact - 1.0).abs() <= 0.25, "{found} for {exact}");
        }

        #[test]
        fn a_duration_is_before_the_end_of_its_bucket(ns in 0u64..1 << HIGHEST) {
            let at = bucket(ns);
            prop_assert!((ns as f64) < end(at));
            prop_assert!(at == 0 || end(at - 1) <= ns as f64);
        }
    }

    #[test]
    fn extremes_have_buckets() {
        let mut histogram = Histogram::default();
        histogram.record(0);
        histogram.record(u64::MAX);
        assert_eq!(histogram.counts[0], 1);
        assert_eq!(histogram.counts[BUCKETS - 1], 1);
        assert_eq!(Histogram::default().quantile_ms(0.5), 0.0);
    }
}
