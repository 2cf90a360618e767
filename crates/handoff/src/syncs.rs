//! Between the task that steps a machine, the thread that syncs its records, and whoever stops it.
//!
//! ```text
//! the stepping task                         the thread that syncs
//! Syncs::append ──► InFlight ─────────────► InFlight::durable, once it is; or dropped
//!                                                │ counts, then rings
//! Syncs::collect ◄──── Signals ◄─────────────────┘
//!                         ▲
//!                         └──── Signals::stop, by anybody
//! ```
//!
//! The records in flight are counted, not kept: a log makes them durable in the order in which it was
//! given them, so a number says which ones they are.

use crate::Bell;
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};

/// What others tell a stepping task.
#[derive(Default)]
pub struct Signals {
    /// Records that have become durable since the start, and their bytes.
    durable_records: AtomicU64,
    durable_bytes: AtomicU64,
    /// The log gave up records: what waits for them must never leave.
    failed: AtomicBool,
    stopping: AtomicBool,
    bell: Bell,
}

impl Signals {
    /// Asks the task to stop; never waits.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.bell.ring();
    }

    /// Whether the task was asked to stop, or the log has failed it.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether records were given up: nobody knows then what is on the disk.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Waits until something was told since the last time. Only for the stepping task.
    pub async fn told(&self) {
        self.bell.heard().await;
    }

    fn durable(&self, records: u64, bytes: u64) {
        // A log that goes on after it gave records up would have later ones counted in their place.
        if self.has_failed() {
            return;
        }
        self.durable_bytes.fetch_add(bytes, Ordering::Relaxed);
        // What the disk has, and the bytes above, are visible to whoever sees this number.
        self.durable_records.fetch_add(records, Ordering::Release);
        self.bell.ring();
    }

    fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.stop();
    }
}

/// The stepping task's side: what it has given to the log, and what it knows of it.
pub struct Syncs {
    signals: Arc<Signals>,
    /// Records and bytes given to the log since the start.
    appended_records: u64,
    appended_bytes: u64,
    /// How many durable records [`Syncs::collect`] has told of.
    collected: u64,
}

impl Syncs {
    /// Nothing in flight.
    pub fn new(signals: Arc<Signals>) -> Self {
        Syncs {
            signals,
            appended_records: 0,
            appended_bytes: 0,
            collected: 0,
        }
    }

    /// A batch is about to be given to the log, which has to keep what this returns until the batch is
    /// durable.
    ///
    /// `None` after a batch that failed: another would follow a gap.
    pub fn append(&mut self, records: u64, bytes: u64) -> Option<InFlight> {
        if self.signals.has_failed() {
            return None;
        }
        self.appended_records += records;
        self.appended_bytes += bytes;
        Some(InFlight {
            signals: self.signals.clone(),
            records,
            bytes,
            durable: false,
        })
    }

    /// How many records have become durable since the last call.
    pub fn collect(&mut self) -> u64 {
        let durable = self.signals.durable_records.load(Ordering::Acquire);
        durable - std::mem::replace(&mut self.collected, durable)
    }

    /// How many durable records have been collected since the start.
    pub fn collected(&self) -> u64 {
        self.collected
    }

    /// Bytes of the batches in flight.
    pub fn bytes_in_flight(&self) -> u64 {
        self.appended_bytes - self.signals.durable_bytes.load(Ordering::Relaxed)
    }

    /// For a task that takes no more events: waits for the batches in flight, and tells how many records
    /// have become durable since the last call. `None` when nothing is in flight any more, or when the
    /// log has failed.
    pub async fn finish(&mut self) -> Option<u64> {
        loop {
            match self.collect() {
                0 if self.collected == self.appended_records => return None,
                0 if self.signals.has_failed() => return None,
                0 => self.signals.told().await,
                records => return Some(records),
            }
        }
    }
}

/// A batch that a log has not made durable yet. A log that drops it has failed: the records are not
/// durable and never will be.
#[must_use = "dropping it says that the log has failed"]
pub struct InFlight {
    signals: Arc<Signals>,
    records: u64,
    bytes: u64,
    durable: bool,
}

impl InFlight {
    /// The batch survives any crash from now on, and so do all that were appended before it.
    pub fn durable(mut self) {
        self.durable = true;
        self.signals.durable(self.records, self.bytes);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.durable {
            self.signals.fail();
        }
    }
}
