//! What came in, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Transport;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Its spans are durable; single ones may have been refused.
    Accepted,
    /// It was malformed, too large, too slow, or not for this server.
    Invalid,
    /// It was in order, but there was no room.
    Busy,
    /// It was in order, but the sink does not work or the server is shutting down.
    Unavailable,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 4] = [
        Outcome::Accepted,
        Outcome::Invalid,
        Outcome::Busy,
        Outcome::Unavailable,
    ];

    /// As the value of a metric's label.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::Invalid => "invalid",
            Outcome::Busy => "busy",
            Outcome::Unavailable => "unavailable",
        }
    }
}

#[derive(Debug, Default)]
struct PerTransport {
    requests: [AtomicU64; Outcome::ALL.len()],
    spans: AtomicU64,
    refused_spans: AtomicU64,
    received_bytes: AtomicU64,
    message_bytes: AtomicU64,
}

/// Counters of one or several servers, read while they run.
#[derive(Debug, Default)]
pub struct Stats {
    transports: [PerTransport; Transport::ALL.len()],
    pub(crate) connections: AtomicU64,
    pub(crate) open_connections: AtomicU64,
}

/// The counters of one transport at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Requests by what became of them, in the order of [`Outcome::ALL`].
    pub requests: [u64; Outcome::ALL.len()],
    /// Spans that were accepted.
    pub spans: u64,
    /// Spans that were refused while others of their request were accepted, or that were alone in it.
    pub refused_spans: u64,
    /// Bytes of accepted requests' messages as they were sent.
    pub received_bytes: u64,
    /// The same after decompression and, for JSON, as protobuf.
    pub message_bytes: u64,
}

impl Stats {
    /// The counters of a transport now.
    pub fn of(&self, transport: Transport) -> Snapshot {
        let counters = &self.transports[transport as usize];
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            requests: counters.requests.each_ref().map(read),
            spans: read(&counters.spans),
            refused_spans: read(&counters.refused_spans),
            received_bytes: read(&counters.received_bytes),
            message_bytes: read(&counters.message_bytes),
        }
    }

    /// Connections that were accepted.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Connections that are open.
    pub fn open_connections(&self) -> u64 {
        self.open_connections.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, transport: Transport, outcome: Outcome) {
        let counters = &self.transports[transport as usize];
        counters.requests[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn accepted(&self, transport: Transport, accepted: &crate::request::Accepted) {
        self.count(transport, Outcome::Accepted);
        let counters = &self.transports[transport as usize];
        let add = |counter: &AtomicU64, value| counter.fetch_add(value, Ordering::Relaxed);
        add(&counters.spans, accepted.spans as u64);
        add(&counters.refused_spans, u64::from(accepted.refused.total()));
        add(&counters.received_bytes, accepted.received_bytes as u64);
        add(&counters.message_bytes, accepted.message_bytes as u64);
    }
}
