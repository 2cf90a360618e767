//! The bytes that may wait in a queue which itself only counts messages.

use crate::sync::{AtomicU64, Ordering};

/// Limits the bytes of the messages that wait in a queue.
///
/// It counts and nothing more: that a message's bytes are visible to whoever takes it is the queue's
/// business, so the atomic operations here need no order of memory.
pub struct Budget {
    waiting_bytes: AtomicU64,
    limit_bytes: u64,
}

impl Budget {
    /// A budget of `limit_bytes`, all of it free.
    pub fn new(limit_bytes: u64) -> Self {
        Budget {
            waiting_bytes: AtomicU64::new(0),
            limit_bytes,
        }
    }

    /// Lets `queue` queue a message of `bytes`, unless too much waits already. Whether it was queued:
    /// `queue` may refuse, too.
    ///
    /// A message longer than the whole budget gets through when it is alone; otherwise it never would.
    pub fn admit(&self, bytes: u64, queue: impl FnOnce() -> bool) -> bool {
        let room = |waiting: u64| {
            let after = waiting.checked_add(bytes)?;
            (waiting == 0 || after <= self.limit_bytes).then_some(after)
        };
        // In one step: a message that is refused must not take, for a moment, the room of one that fits.
        let (order, waiting) = (Ordering::Relaxed, &self.waiting_bytes);
        if waiting.fetch_update(order, order, room).is_err() {
            return false;
        }
        // Counted before it is queued, as whoever takes it may do so, and give back, at once.
        let queued = queue();
        if !queued {
            self.give_back(bytes);
        }
        queued
    }

    /// Messages of `bytes` do not wait any more.
    pub fn give_back(&self, bytes: u64) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
