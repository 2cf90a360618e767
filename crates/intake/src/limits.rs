//! What clients may use at most, and the memory that they share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quorate_trace::wire;

/// What clients may use at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's message as it is sent, compressed or not.
    pub message_bytes: usize,
    /// Bytes of a message after decompression.
    pub decompressed_bytes: usize,
    /// Bytes in memory of all requests that have not been answered, before and after decompression. When
    /// they are used up, requests are refused as busy.
    pub buffered_bytes: usize,
    /// What a span may have.
    pub wire: wire::Limits,
    /// Connections at the same time; more wait in the operating system's queue.
    pub connections: usize,
    /// Requests at the same time on one HTTP/2 connection.
    pub streams: u32,
    /// Bytes of a request's headers.
    pub header_bytes: u32,
    /// How long the first bytes of a connection, or the headers of a request over HTTP/1.1, may take to
    /// arrive; a connection that is kept alive is closed when no request comes for so long.
    pub header_timeout: Duration,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// How long requests under way may take to end when the server shuts down.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message_bytes: 16 << 20,
            decompressed_bytes: 64 << 20,
            buffered_bytes: 256 << 20,
            wire: wire::Limits::default(),
            connections: 1024,
            streams: 256,
            header_bytes: 16 << 10,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// The memory that all requests share.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        let used = AtomicUsize::new(0);
        Arc::new(Budget { used, limit })
    }

    /// Bytes taken by now.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// A share without bytes yet.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share {
            budget: self.clone(),
            bytes: 0,
        }
    }
}

/// What one request has taken of the budget; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    /// Takes more; says whether it was there.
    #[must_use]
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let used = self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        used.saturating_add(bytes) <= self.budget.limit
    }

    /// Gives back all but `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let given_back = self.bytes.saturating_sub(bytes);
        self.bytes -= given_back;
        self.budget.used.fetch_sub(given_back, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_given_back() {
        let budget = Budget::new(100);
        let mut one = budget.share();
        let mut other = budget.share();
        assert!(one.grow(60));
        assert!(!other.grow(60));
        drop(other);
        assert_eq!(budget.used(), 60);
        one.shrink_to(10);
        assert!(budget.share().grow(90));
        drop(one);
        assert_eq!(budget.used(), 0);
    }
}
