//! How long to wait after a failure.

use std::time::Duration;

use rand::Rng;

/// Exponential, with jitter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl Backoff {
    /// The pause after so many failures. It doubles with each up to a bound, and is somewhere in its
    /// second half, so that several collectors do not come back at once.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        let doubled = 1 << failures.saturating_sub(1).min(20);
        let full = self.first.saturating_mul(doubled).min(self.longest);
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_a_bound_and_is_in_its_second_half() {
        let backoff = Backoff {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(1),
        };
        for (failures, full) in [(1, 100), (2, 200), (3, 400), (5, 1000), (u32::MAX, 1000)] {
            let millis = backoff.pause(failures).as_millis();
            assert!((full / 2..=full).contains(&millis), "{failures}: {millis}");
        }
    }
}
