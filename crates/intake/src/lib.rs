//! Takes traces from OpenTelemetry SDKs and collectors: OTLP over gRPC and over HTTP.
//!
//! [`Intake`] accepts connections and hands every request's spans, as one [`Batch`], to a [`Sink`]. A
//! request is answered when the sink has made its spans durable, so an acknowledgement means what it says.
//! What the sink refuses, and what is wrong with a request, becomes the status that the OTLP
//! specification has for it, so that an SDK retries what is worth retrying and drops the rest.
//!
//! ```text
//!            ┌ connection ┐   ┌──────────── request ────────────┐
//! TCP ─► HTTP/1.1 or HTTP/2 ─► bytes ─► decompressed ─► scanned ─► Sink ─► durable ─► answer
//!            limits: number,    bytes,   bytes,          attributes, its own queue
//!            streams, idle      time     zstd window     nesting
//! ```
//!
//! # One port, both protocols
//!
//! A port does not care which protocol it is spoken to in: the content type decides. OTLP gives gRPC the port
//! 4317 and HTTP the port 4318, and sending to the wrong one is the most frequent mistake of new users. Here it
//! works.
//!
//! # Nothing is decoded
//!
//! A request costs one copy of its bytes out of the connection and one pass over them
//! ([`Batch::scan`]); spans stay in the received bytes. Only JSON is parsed, into protobuf.
//!
//! # Limits
//!
//! Everything that a client can make larger has a limit ([`Limits`]): connections, streams, headers, bytes of
//! a message before and after decompression, memory of all requests together, and the time that a request
//! may take to arrive. A client that exceeds one gets a status; the others do not notice.

mod body;
mod compression;
mod connection;
mod cors;
mod grpc;
mod http;
mod limits;
mod problem;
mod request;
mod server;
mod stats;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use quorate_trace::wire::Batch;

pub use cors::{Cors, InvalidOrigin};
pub use limits::Limits;
pub use server::{Intake, Options};
pub use stats::{Outcome, Snapshot, Stats};

/// Where spans go.
pub trait Sink: Send + Sync + 'static {
    /// Takes the spans of one request; returns when they are durable. All of a batch is taken or nothing.
    ///
    /// The future is dropped if the client goes away. Spans may then be kept or not: nobody was told
    /// anything, and the client sends them again.
    ///
    /// # Errors
    ///
    /// If there is no room for them now, or no working place to keep them.
    fn accept(
        &self,
        batch: Batch,
        from: Transport,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// gRPC, protobuf.
    Grpc,
    /// HTTP, protobuf.
    HttpProtobuf,
    /// HTTP, JSON.
    HttpJson,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 3] = [
        Transport::Grpc,
        Transport::HttpProtobuf,
        Transport::HttpJson,
    ];

    /// As the value of a metric's label, and as `OTEL_EXPORTER_OTLP_PROTOCOL` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Grpc => "grpc",
            Transport::HttpProtobuf => "http/protobuf",
            Transport::HttpJson => "http/json",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why spans that are in order are not taken now. Clients are told to send them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Queues or memory are full: `RESOURCE_EXHAUSTED` with `RetryInfo`, or 429 with `Retry-After`.
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// Shutting down, or the disk fails: `UNAVAILABLE` with `RetryInfo`, or 503 with `Retry-After`.
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
}
