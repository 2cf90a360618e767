//! Limits, and what happens when the disk fails.

use crate::StorageError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The longest batch, as written: a quarter of what the format could hold.
pub const MAX_BATCH_BYTES: usize = 64 << 20;

/// The exit status after a disk failure: `EX_IOERR` of `sysexits.h`.
pub const EXIT_DISK_FAILED: i32 = 74;

/// What to do once when the disk has failed. It runs on the log's writer thread.
pub type FailureHook = Arc<dyn Fn(StorageError) + Send + Sync>;

/// How a record log behaves.
#[derive(Clone)]
pub struct Options {
    /// A file that has reached this size is followed by a new one. 64 MiB by default.
    pub segment_bytes: u64,
    /// The longest record. 16 MiB by default.
    pub max_record_bytes: usize,
    /// The log is [congested](crate::RecordLog::is_congested) beyond this. 32 MiB by default.
    pub queue_bytes: usize,
    /// The least time between the beginnings of two rounds, unless there is enough for one. Batches that
    /// come during a sync share the next one in any case, so none by default; a few milliseconds save syncs
    /// at low rates.
    pub commit_interval: Duration,
    /// Whether an acknowledged batch has reached the disk. Without it a crash of the machine, not of
    /// the process, loses acknowledged records: for measuring what the disk costs.
    pub sync: bool,
    /// Called once when the disk has failed; by default the process says so and exits with
    /// [`EXIT_DISK_FAILED`], because a node that cannot write must not go on promising.
    pub on_failure: FailureHook,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            segment_bytes: 64 << 20,
            max_record_bytes: 16 << 20,
            queue_bytes: 32 << 20,
            commit_interval: Duration::ZERO,
            sync: true,
            on_failure: Arc::new(stop_the_process),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("segment_bytes", &self.segment_bytes)
            .field("max_record_bytes", &self.max_record_bytes)
            .field("queue_bytes", &self.queue_bytes)
            .field("commit_interval", &self.commit_interval)
            .field("sync", &self.sync)
            .finish_non_exhaustive()
    }
}

fn stop_the_process(error: StorageError) {
    eprintln!("quorate: {error}; the node stops so that nothing acknowledged is lost");
    std::process::exit(EXIT_DISK_FAILED);
}
