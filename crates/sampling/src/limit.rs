//! Rates without a clock of their own: time is told with each question, in whole milliseconds.

use std::num::NonZeroU64;

/// A token bucket: full at first, refilled at a rate, and it holds so much.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    per_second: u64,
    /// In thousandths of a token, so that a millisecond brings a whole number of them.
    capacity: u64,
    tokens: u64,
    refilled_ms: u64,
}

impl TokenBucket {
    pub(crate) fn new(per_second: NonZeroU64, burst: Option<NonZeroU64>) -> Self {
        let per_second = per_second.get();
        let burst = burst.map_or(per_second.saturating_mul(2), NonZeroU64::get);
        let capacity = burst.saturating_mul(1000);
        TokenBucket {
            per_second,
            capacity,
            tokens: capacity,
            refilled_ms: 0,
        }
    }

    /// Takes that many tokens, or none if there are not enough. A clock that goes back brings none.
    pub(crate) fn take(&mut self, now_ms: u64, count: u64) -> bool {
        let elapsed = now_ms.saturating_sub(self.refilled_ms);
        let refill = elapsed.saturating_mul(self.per_second);
        self.tokens = self.tokens.saturating_add(refill).min(self.capacity);
        self.refilled_ms = self.refilled_ms.max(now_ms);
        match self.tokens.checked_sub(count.saturating_mul(1000)) {
            Some(left) => {
                self.tokens = left;
                true
            }
            None => false,
        }
    }
}

/// Counts what was taken in each second of the clock, up to a limit.
#[derive(Debug)]
pub(crate) struct PerSecond {
    limit: u64,
    second: u64,
    taken: u64,
}

impl PerSecond {
    pub(crate) fn new(limit: u64) -> Self {
        PerSecond {
            limit,
            second: 0,
            taken: 0,
        }
    }

    /// Takes so many, or none if that would exceed the limit of this second: a smaller one may still
    /// fit then.
    pub(crate) fn take(&mut self, now_ms: u64, count: u64) -> bool {
        let second = now_ms / 1000;
        if self.second != second {
            (self.second, self.taken) = (second, 0);
        }
        let taken = self.taken.saturating_add(count);
        let fits = taken <= self.limit;
        if fits {
            self.taken = taken;
        }
        fits
    }
}
