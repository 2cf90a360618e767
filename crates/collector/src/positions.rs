//! Which part of the log is still needed.
//!
//! A request is one batch of the log. Every span of it that waits in memory holds the request's
//! [`Ticket`]; when the last is gone, because all of its spans are in the store, the batch is settled. What is
//! settled without a gap from the beginning may be released.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// The log's batches that are settled.
#[derive(Debug)]
pub(crate) struct Positions(Mutex<Settled>);

#[derive(Debug)]
struct Settled {
    /// All batches up to this one.
    up_to: u64,
    /// Further ones.
    beyond: BTreeSet<u64>,
}

impl Positions {
    /// Nothing is known of the log yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Positions(Mutex::new(Settled {
            up_to: 0,
            beyond: BTreeSet::new(),
        })))
    }

    /// All batches before `first` are settled. To be called before the first ticket.
    pub(crate) fn begin(&self, first: u64) {
        self.0.lock().up_to = first.saturating_sub(1);
    }

    /// Keeps the batch `number` until the ticket is dropped.
    pub(crate) fn ticket(self: &Arc<Self>, number: u64) -> Ticket {
        Ticket {
            number,
            positions: Arc::clone(self),
        }
    }

    /// The last batch up to which all are settled.
    pub(crate) fn settled(&self) -> u64 {
        self.0.lock().up_to
    }

    fn settle(&self, number: u64) {
        let mut settled = self.0.lock();
        settled.beyond.insert(number);
        while settled.beyond.first() == Some(&(settled.up_to + 1)) {
            settled.beyond.pop_first();
            settled.up_to += 1;
        }
    }
}

/// Keeps a batch in the log.
#[derive(Debug)]
pub(crate) struct Ticket {
    number: u64,
    positions: Arc<Positions>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.positions.settle(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_no_gap_before_it_is_settled() {
        let positions = Positions::new();
        positions.begin(5);
        assert_eq!(positions.settled(), 4);
        let [fifth, sixth, seventh] = [5, 6, 7].map(|number| positions.ticket(number));
        drop(sixth);
        assert_eq!(positions.settled(), 4);
        drop(fifth);
        assert_eq!(positions.settled(), 6);
        drop(seventh);
        assert_eq!(positions.settled(), 7);
    }
}
