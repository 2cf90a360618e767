//! How long assembly waits, and how much it holds.

/// What assembly waits for and what it may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long nothing new may come before a trace is judged, in milliseconds.
    pub quiet_ms: u64,
    /// How long a trace may be open, in milliseconds from the first span of the revision. After it the
    /// trace is sealed as it is.
    pub deadline_ms: u64,
    /// Memory for the spans of all open traces. Beyond three quarters of it the oldest traces are sealed
    /// early; the last quarter is for those on their way to the store. See
    /// [`Assembly::bytes`](crate::Assembly::bytes).
    pub memory_bytes: u64,
    /// Memory for the spans of one trace. Beyond it that trace is sealed early, so that the others are
    /// not.
    pub trace_bytes: u64,
    /// Shards, rounded up to a power of two: threads that insert at the same time hardly ever meet if
    /// there are some times more shards than threads.
    pub shards: usize,
}

/// Five seconds of quiet, half a minute at most, 512 MiB, 64 of them for one trace.
impl Default for Config {
    fn default() -> Self {
        Config {
            quiet_ms: 5_000,
            deadline_ms: 30_000,
            memory_bytes: 512 << 20,
            trace_bytes: 64 << 20,
            shards: 64,
        }
    }
}

impl Config {
    /// Memory beyond which the oldest traces are sealed early.
    pub(crate) fn evict_above_bytes(&self) -> u64 {
        self.memory_bytes / 4 * 3
    }
}
