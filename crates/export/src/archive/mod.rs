//! Writes traces to Parquet files, in a local directory or on an object store.
//!
//! DuckDB, DataFusion, Spark and ClickHouse read them without anything of ours:
//!
//! ```sql
//! SELECT service, name, count(*), quantile_cont(duration_ns, 0.99) / 1e6 AS p99_ms
//! FROM read_parquet('archive/*/*/*.parquet', hive_partitioning = true)
//! WHERE date = '2026-11-21' AND attributes['http.route'] = '/cart'
//! GROUP BY ALL;
//! ```
//!
//! # Files
//!
//! ```text
//! date=2026-11-21/hour=13/0000000017-0000000042-4bf92f3577b34da6a3ce929d0e0e4736.parquet
//! ```
//!
//! Partitions are by the hour (UTC) in which the spans of a file were *sealed*, all of them; begin and end
//! of a span are columns. A file ends when it is long or old enough, with the hour, or before it takes up
//! the whole queue. It appears when it is whole: stores put files atomically, and the local one writes
//! under another name first. The rest of the name is the range of batches of the queue and the first
//! trace.
//!
//! # Columns
//!
//! One row for each span; [`SCHEMA`] has the types as Parquet writes them.
//!
//! | column | type | |
//! |---|---|---|
//! | `trace_id`, `span_id` | text | lowercase hexadecimal digits |
//! | `parent_span_id` | text or null | null for a root |
//! | `trace_state` | text | as received |
//! | `flags` | 32-bit integer | W3C trace flags, and OTLP's bits above them |
//! | `service` | text | `service.name` of the resource, or `unknown_service` |
//! | `name` | text | the operation |
//! | `kind` | text | `unspecified`, `internal`, `server`, `client`, `producer`, `consumer` |
//! | `start`, `end` | timestamp (ns, UTC) | by the clock of the span's host |
//! | `duration_ns` | 64-bit integer | zero if it ends before it begins |
//! | `status` | text | `unset`, `ok`, `error` |
//! | `status_message` | text | |
//! | `attributes`, `resource_attributes` | map of text to text | arrays and maps in JSON, bytes in hexadecimal digits; of equal keys the last |
//! | `scope_name`, `scope_version` | text | the instrumentation |
//! | `events` | list of (`time`, `name`, `attributes`) | |
//! | `links` | list of (`trace_id`, `span_id`, `trace_state`, `attributes`) | |
//! | `verdict` | text | `complete`, `incomplete`, `evicted`: of the revision that brought the span |
//! | `revision` | 64-bit integer | the revision of its trace that brought the span |
//! | `sealed_at` | timestamp (ns, UTC) | when that was sealed, by the collector's clock |
//!
//! # The promise
//!
//! As with [forwarding](crate::forward), what is durable in the queue waits there until it is archived,
//! and an offer to a full queue is refused. What was offered once is archived once, through crashes at any
//! moment and failures of the store: a file that may have been put before a crash is made again with the
//! same rows and put under the same name. An offer that is made twice is archived twice; its rows have
//! the same `trace_id`, `span_id` and `revision`.

mod columns;
mod file;
mod record;
mod rows;
mod schema;
mod writer;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use quorate_trace::Verdict;
use tokio::runtime::Handle;
use tokio::sync::watch;
use url::Url;

use crate::backoff::Backoff;
use crate::queue::Queue;
use crate::split;
use record::{Entry, millis};
use rows::Sealing;
use writer::{Counters, Writer};

pub use crate::queue::{Durable, OfferError, QueueError};
pub use schema::SCHEMA;

/// Parts of a trace that are longer are several records of the queue.
const PART_BYTES: usize = 1 << 20;

/// When files end, and what may wait.
#[derive(Clone, Debug)]
pub struct Config {
    /// A file is finished at about this size. 128 MiB by default.
    pub file_bytes: u64,
    /// A file is finished at this age. 5 minutes by default.
    pub file_age: Duration,
    /// How many bytes of traces may wait to be archived, those of the unfinished file included: it
    /// should be many times `file_bytes`, since files are compressed. 4 GiB by default.
    pub queue_bytes: u64,
    /// The pause after a first failure of the store; it doubles with each further one. 200 ms by default.
    pub first_pause: Duration,
    /// The longest pause. 30 s by default.
    pub longest_pause: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            file_bytes: 128 << 20,
            file_age: Duration::from_secs(300),
            queue_bytes: 4 << 30,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(30),
        }
    }
}

/// A trace, or what a revision added to it.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// An OTLP `TracesData`.
    pub spans: Bytes,
    /// Whether the trace was whole then.
    pub verdict: Verdict,
    /// Which revision it is.
    pub revision: u64,
    /// When it was sealed.
    pub sealed_at: SystemTime,
}

/// Why an archive could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The configured place cannot be used.
    #[error("cannot archive to {url:?}: {problem}")]
    Place {
        /// What was configured.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The queue cannot be opened.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The directory for the unfinished file cannot be made, or no thread started.
    #[error("cannot write Parquet files: {0}")]
    Local(#[from] std::io::Error),
}

/// What an archive has done since it was opened, and what it has before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes of traces that are in no finished file.
    pub queued_bytes: u64,
    /// Files that are in their places.
    pub files: u64,
    /// Spans in them.
    pub spans: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Failures of the store or the local disk; all are tried again.
    pub failures: u64,
    /// Why nothing is archived, if the latest attempt failed.
    pub problem: Option<String>,
}

/// Writes traces to Parquet files. See the [module](self).
///
/// When it is dropped or [closed](Archive::close), the unfinished file is given up; it is made again from
/// the queue after the next start. Its runtime has to outlive it.
#[derive(Debug)]
pub struct Archive {
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    stop: watch::Sender<bool>,
    writer: Option<JoinHandle<()>>,
}

impl Archive {
    /// Opens the queue in `dir`, which is made if it is missing, and begins to write to `url`:
    /// `file:///path` or `s3://bucket/prefix`. Credentials, endpoint and region of S3 come from the
    /// variables of the environment that begin with `AWS_`; other services that speak its protocol need
    /// `AWS_ENDPOINT`, and `AWS_ALLOW_HTTP` if they are not encrypted. Reads what was left in the queue,
    /// so it blocks.
    ///
    /// # Errors
    ///
    /// If the place cannot be used, or the queue cannot be read. Whether the store answers shows later.
    pub fn open(
        dir: &Path,
        url: &str,
        config: Config,
        runtime: &Handle,
    ) -> Result<Self, ArchiveError> {
        let (store, prefix) = store(url).map_err(|problem| ArchiveError::Place {
            url: url.to_owned(),
            problem,
        })?;
        Archive::open_on(dir, store, prefix, config, runtime)
    }

    /// As [`Archive::open`], on any object store.
    ///
    /// # Errors
    ///
    /// If the queue cannot be read.
    pub fn open_on(
        dir: &Path,
        store: Arc<dyn ObjectStore>,
        prefix: object_store::path::Path,
        config: Config,
        runtime: &Handle,
    ) -> Result<Self, ArchiveError> {
        let spool = dir.join("open");
        std::fs::create_dir_all(&spool)?;
        let mut cuts = BTreeSet::new();
        let queue = Queue::open(&dir.join("queue"), config.queue_bytes, |_, record| {
            if let Some(Entry::Cut(batch)) = Entry::decode(record.clone()) {
                cuts.insert(batch);
            }
        })?;
        let queue = Arc::new(queue);
        let counters = Arc::new(Counters::default());
        let (stop, stopped) = watch::channel(false);
        let writer = Writer {
            queue: Arc::clone(&queue),
            counters: Arc::clone(&counters),
            store,
            prefix,
            spool,
            backoff: Backoff {
                first: config.first_pause,
                longest: config.longest_pause,
            },
            config,
            stopped,
            runtime: runtime.clone(),
            cuts,
        };
        let thread = std::thread::Builder::new().name("archive".to_owned());
        Ok(Archive {
            queue,
            counters,
            stop,
            writer: Some(thread.spawn(move || writer.run())?),
        })
    }

    /// Takes traces, all or none. Does not wait for the disk: only when [`Durable::wait`] returns are they
    /// safe.
    ///
    /// # Errors
    ///
    /// If there is no room for them, or the archive was closed.
    pub fn offer(&self, traces: &[Sealed]) -> Result<Durable, OfferError> {
        let records = traces.iter().flat_map(|trace| {
            let sealing = Sealing {
                verdict: trace.verdict,
                revision: trace.revision,
                sealed_at_ms: millis(trace.sealed_at),
            };
            let parts = split::parts(&trace.spans, PART_BYTES).into_iter();
            parts.map(move |part| Entry::trace(sealing, &part))
        });
        self.queue.offer(records.collect())
    }

    /// What it has done, for metrics.
    pub fn figures(&self) -> Figures {
        self.counters.figures(self.queue.waiting_bytes())
    }

    /// Stops writing, also in the middle of a file. What is in no finished file is archived after the next
    /// start.
    pub async fn close(self) {
        // The thread may be compressing.
        let closed = tokio::task::spawn_blocking(move || drop(self)).await;
        if let Err(error) = closed {
            tracing::error!(%error, "the archive");
        }
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(writer) = self.writer.take() {
            // An error is a panic, which was reported where it happened.
            let _ = writer.join();
        }
        self.queue.close();
    }
}

/// The store of a URL, and the place within it.
fn store(url: &str) -> Result<(Arc<dyn ObjectStore>, object_store::path::Path), String> {
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    match url.scheme() {
        "file" => {
            let dir = url.to_file_path();
            let dir = dir.map_err(|()| "it is not a path of this host".to_owned())?;
            std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
            let store = LocalFileSystem::new_with_prefix(dir).map_err(|error| error.to_string())?;
            // Once a file is there it leaves the queue, so it has to survive a loss of power.
            Ok((Arc::new(store.with_fsync(true)), "".into()))
        }
        "s3" => {
            let variables = std::env::vars_os().filter_map(|(name, value)| {
                let name = name.into_string().ok()?.to_ascii_lowercase();
                let value = value.into_string().ok()?;
                name.starts_with("aws_").then_some((name, value))
            });
            let parsed = object_store::parse_url_opts(&url, variables);
            let (store, prefix) = parsed.map_err(|error| error.to_string())?;
            Ok((store.into(), prefix))
        }
        other => Err(format!("{other} is neither file nor s3")),
    }
}
