//! Sends traces to another OTLP backend, from a durable queue.
//!
//! [`Forwarder::offer`] writes traces to a queue in a directory of its own, and [`Durable::wait`] tells
//! when they are safe there. From then on they are sent until the backend has taken them, over gRPC or
//! HTTP, several traces in one request.
//!
//! # The promise
//!
//! - **At least once.** What is durable in the queue is sent until it is acknowledged, whatever happens
//!   to this process or to the backend. What was sent and not yet noted as done when a process ended is
//!   sent again; spans have identifiers, so a backend can tell.
//! - **Bounded.** Beyond [`Config::queue_bytes`] an offer is [`OfferError::Full`] and nothing of it is
//!   taken: whoever offers has to wait, which is how a backend's absence is felt at the door. Memory
//!   holds some megabytes of it; the rest is read back from the disk when its turn comes.
//! - **No poison.** What the backend refuses for what it is, it would refuse for ever. A request that is
//!   refused is cut in halves until the trace at fault is alone; that one is *set aside*: counted, and
//!   written to the directory `refused`, as an OTLP message in a file, with the oldest files removed
//!   beyond [`Config::refused_bytes`].
//!
//! # What an answer means
//!
//! | gRPC | HTTP | then |
//! |---|---|---|
//! | OK | 2xx | taken; spans that a partial success rejects are counted and not sent again |
//! | UNAVAILABLE, ABORTED, CANCELLED, DEADLINE_EXCEEDED, DATA_LOSS, RESOURCE_EXHAUSTED with RetryInfo | 408, 429, 502, 503, 504 | tried again, after what RetryInfo or Retry-After says at the earliest |
//! | no answer, no connection | likewise | tried again |
//! | UNAUTHENTICATED, PERMISSION_DENIED, NOT_FOUND, UNIMPLEMENTED | 401, 403, 404, 405, 407, 501, 3xx | tried again, as slowly as can be |
//! | UNKNOWN, INTERNAL | other 5xx | tried again some times, then refused |
//! | all others, RESOURCE_EXHAUSTED without RetryInfo | other 4xx | refused |
//!
//! This is the table of the OTLP specification ("Failures" and "Retryable response codes") with three
//! differences. A request that the backend does not let in, or a wrong path, says nothing about the data:
//! it waits for somebody to mend the configuration. An internal error may pass. OUT_OF_RANGE is what gRPC
//! libraries say of a message that is too long for them: that does not pass, but half of it may do.

mod answer;
mod client;
mod refused;
mod sender;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use client::Client;
use refused::Refused;
use sender::{Counters, Sender};

use crate::backoff::Backoff;
use crate::queue::Queue;
use crate::split;

pub use crate::queue::{Durable, OfferError, QueueError};

/// How a backend is talked to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    #[default]
    Grpc,
    /// OTLP over HTTP, in protobuf.
    Http,
}

/// Where traces are sent, and with what limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// `http://host:4317` for gRPC, `http://host:4318/v1/traces` for HTTP; without a path the latter's
    /// is meant.
    pub endpoint: String,
    /// gRPC or HTTP.
    pub protocol: Protocol,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// Sent with each request, such as `authorization`.
    pub headers: Vec<(String, String)>,
    /// How many bytes of traces may wait. The disk holds some files more, since a file goes only when
    /// all that is in it was sent. 2 GiB by default.
    pub queue_bytes: u64,
    /// A request is no longer than this, unless a single span is. 1 MiB by default.
    pub request_bytes: usize,
    /// Requests under way at the same time. 4 by default.
    pub requests: usize,
    /// How long an answer may take. 10 s by default.
    pub timeout: Duration,
    /// The pause after a first failure; it doubles with each further one. 200 ms by default.
    pub first_pause: Duration,
    /// The longest pause of our own accord. 30 s by default.
    pub longest_pause: Duration,
    /// How many bytes of refused traces are kept to be looked at. 64 MiB by default.
    pub refused_bytes: u64,
}

impl Config {
    /// Sends to `endpoint`, with the defaults.
    pub fn new(endpoint: impl Into<String>, protocol: Protocol) -> Self {
        Config {
            endpoint: endpoint.into(),
            protocol,
            gzip: false,
            headers: Vec::new(),
            queue_bytes: 2 << 30,
            request_bytes: 1 << 20,
            requests: 4,
            timeout: Duration::from_secs(10),
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(30),
            refused_bytes: 64 << 20,
        }
    }
}

/// Why a forwarder could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// The configuration's endpoint cannot be used.
    #[error("the endpoint {endpoint:?} cannot be forwarded to: {problem}")]
    Endpoint {
        /// What was configured.
        endpoint: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A header of the configuration cannot be sent.
    #[error("the header {name:?} cannot be sent: {problem}")]
    Header {
        /// Its name; values may be secret.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The queue cannot be opened.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The directory for what the backend refuses cannot be made or read.
    #[error("the directory of traces that the backend refused: {0}")]
    Refused(std::io::Error),
}

/// What a forwarder has done since it was opened, and what it has before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes of traces that wait or are under way.
    pub queued_bytes: u64,
    /// Traces that the backend took; parts of a large one count each.
    pub sent_traces: u64,
    /// Bytes of them, before compression.
    pub sent_bytes: u64,
    /// Requests that were answered in any way, or failed.
    pub requests: u64,
    /// Those of them that will be tried again.
    pub retries: u64,
    /// Traces that were refused and set aside.
    pub refused_traces: u64,
    /// Spans that the backend rejected of requests that it took.
    pub rejected_spans: u64,
    /// Why nothing gets through, if the latest request failed.
    pub problem: Option<String>,
}

/// Sends traces to another OTLP backend. See the [module](self).
///
/// When it is dropped, sending stops at once; [`Forwarder::close`] lets requests under way end first.
#[derive(Debug)]
pub struct Forwarder {
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    request_bytes: usize,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Forwarder {
    /// Opens the queue in `dir`, which is made if it is missing, and begins to send on `runtime`. Reads
    /// what was left in the queue, so it blocks.
    ///
    /// # Errors
    ///
    /// If the configuration cannot be used, or the queue cannot be read.
    pub fn open(dir: &Path, config: Config, runtime: &Handle) -> Result<Self, ForwardError> {
        let client = {
            // The client's pool and timers belong to a runtime.
            let _entered = runtime.enter();
            Client::new(&config)?
        };
        let refused = Refused::open(dir.join("refused"), config.refused_bytes);
        let refused = refused.map_err(ForwardError::Refused)?;
        let queue = Arc::new(Queue::open(
            &dir.join("queue"),
            config.queue_bytes,
            |_, _| (),
        )?);
        let counters = Arc::new(Counters::default());
        let (stop, stopped) = watch::channel(false);
        let request_bytes = config.request_bytes;
        let sender = Sender {
            queue: Arc::clone(&queue),
            counters: Arc::clone(&counters),
            client,
            refused,
            backoff: Backoff {
                first: config.first_pause,
                longest: config.longest_pause,
            },
            config,
            stopped,
        };
        Ok(Forwarder {
            queue,
            counters,
            request_bytes,
            stop,
            task: runtime.spawn(Arc::new(sender).run()),
        })
    }

    /// Takes traces, each an OTLP `TracesData`, all or none. Does not wait for the disk: only when
    /// [`Durable::wait`] returns are they safe.
    ///
    /// # Errors
    ///
    /// If there is no room for them, or the forwarder has stopped.
    pub fn offer(&self, traces: &[Bytes]) -> Result<Durable, OfferError> {
        let parts = traces
            .iter()
            .flat_map(|trace| split::parts(trace, self.request_bytes));
        self.queue.offer(parts.collect())
    }

    /// What it has done, for metrics.
    pub fn figures(&self) -> Figures {
        self.counters.figures(self.queue.waiting_bytes())
    }

    /// Begins no request any more, waits for those under way, and closes the queue. What was not
    /// taken is sent after the next start.
    pub async fn close(mut self) {
        self.stop.send_replace(true);
        // It ends after the timeout of a request at the latest. An error is a panic, reported by then.
        let _ = (&mut self.task).await;
        self.queue.close();
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.task.abort();
        // The task ends some time later, and the queue with it: too late for whoever opens it again.
        self.queue.close();
    }
}
