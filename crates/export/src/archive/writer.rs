//! Makes files of what is in the queue, and puts them where they belong.
//!
//! # Once
//!
//! A file is in its place when its batches are released from the queue; a crash between the two lets them
//! be read again. So that the file is then made again, and not one that has some of its traces and some
//! others, the end of each file is noted in the queue before the file is put. Read again, batches are cut
//! at the same places, and the same file goes to the same name.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use parking_lot::Mutex;
use parquet::errors::ParquetError;
use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::file::{Finished, OpenFile};
use super::record::Entry;
use super::{Config, Figures};
use crate::backoff::Backoff;
use crate::queue::{OfferError, Queue, Record};

/// How much is taken from the queue at once.
const TAKE_BYTES: usize = 1 << 20;

/// A longer file is put in parts of this length; S3 takes ten thousand of them.
const PART_BYTES: usize = 8 << 20;

/// How many parts are under way at the same time.
const PARTS: usize = 4;

/// Between attempts when the local disk fails.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// What has happened so far.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    files: AtomicU64,
    spans: AtomicU64,
    bytes: AtomicU64,
    failures: AtomicU64,
    problem: Mutex<Option<String>>,
}

impl Counters {
    pub(crate) fn figures(&self, queued_bytes: u64) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            queued_bytes,
            files: read(&self.files),
            spans: read(&self.spans),
            bytes: read(&self.bytes),
            failures: read(&self.failures),
            problem: self.problem.lock().clone(),
        }
    }
}

pub(crate) struct Writer {
    pub(crate) queue: Arc<Queue>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Within the store.
    pub(crate) prefix: Path,
    /// For the file that is open.
    pub(crate) spool: PathBuf,
    pub(crate) config: Config,
    pub(crate) backoff: Backoff,
    pub(crate) stopped: watch::Receiver<bool>,
    pub(crate) runtime: Handle,
    /// Where files ended that may not be in their places.
    pub(crate) cuts: BTreeSet<u64>,
}

/// Why a file could not be made; its batches are read from the queue again.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("a Parquet file cannot be written: {0}")]
    Local(#[from] ParquetError),
    #[error("a Parquet file cannot be written or read: {0}")]
    Io(#[from] std::io::Error),
    #[error("the queue cannot be written: {0}")]
    Queue(#[from] OfferError),
    #[error("{0}")]
    Store(#[from] object_store::Error),
    #[error("stopped")]
    Stopped,
}

impl Writer {
    /// Until it is stopped; for a thread of its own, since compression takes its time.
    pub(crate) fn run(mut self) {
        let mut open = None;
        while !self.is_stopped() {
            let step = match self.queue.take(TAKE_BYTES) {
                Some(records) => self.write(&mut open, records),
                None if self.queue.must_load() => {
                    if let Err(error) = self.queue.load() {
                        self.failed(format!("the queue cannot be read: {error}"));
                        self.rest(DISK_PAUSE);
                    }
                    Ok(())
                }
                None => {
                    self.wait(&open);
                    Ok(())
                }
            };
            let step = step.and_then(|()| self.cut_if_old(&mut open));
            match step {
                Ok(()) | Err(Failure::Stopped) => {}
                Err(error) => {
                    self.failed(error.to_string());
                    open = None;
                    self.queue.rewind();
                    self.rest(DISK_PAUSE);
                }
            }
        }
    }

    fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Waits for an offer, for the open file to become old, or for the end.
    fn wait(&mut self, open: &Option<OpenFile>) {
        let age = open.as_ref().map(|file| file.opened.elapsed());
        let left = age.map(|age| self.config.file_age.saturating_sub(age));
        let mut stopped = self.stopped.clone();
        self.runtime.block_on(async {
            let old = async {
                match left {
                    Some(left) => tokio::time::sleep(left).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.queue.news() => {}
                () = old => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        });
    }

    fn rest(&self, pause: Duration) {
        let mut stopped = self.stopped.clone();
        self.runtime.block_on(async {
            let stop = stopped.wait_for(|stopped| *stopped);
            // The time is over, or it is stopped: the caller looks.
            let _ = tokio::time::timeout(pause, stop).await;
        });
    }

    fn write(&mut self, open: &mut Option<OpenFile>, records: Vec<Record>) -> Result<(), Failure> {
        for Record { batch, bytes } in records {
            match Entry::decode(bytes) {
                Some(Entry::Trace(sealing, message)) => {
                    if let Some(file) = open
                        && self.ends(file, batch, sealing.sealed_at_ms)
                    {
                        self.cut(open)?;
                    }
                    let file = match open {
                        Some(file) => file,
                        None => open.insert(OpenFile::new(&self.spool, sealing.sealed_at_ms)?),
                    };
                    file.push(batch, sealing, message)?;
                }
                // Known since the queue was opened, or made since.
                Some(Entry::Cut(_)) => self.queue.settle([batch]),
                None => {
                    tracing::error!(batch, "a record in the queue of the archive cannot be read");
                    self.queue.settle([batch]);
                }
            }
        }
        Ok(())
    }

    /// Whether the file ends before this batch. Batches are not divided.
    fn ends(&self, file: &mut OpenFile, batch: u64, sealed_at_ms: u64) -> bool {
        let last = file.last_batch();
        if batch == last {
            return false;
        }
        // A file that is made again ends where it ended before.
        if let Some(cut) = self.cuts.range(last..).next() {
            return *cut == last;
        }
        // A file may not wait in the queue for more than the queue can hold.
        let fills_queue = file.queue_bytes >= self.config.queue_bytes / 2;
        fills_queue || !file.is_hour_of(sealed_at_ms) || file.bytes() >= self.config.file_bytes
    }

    fn cut_if_old(&mut self, open: &mut Option<OpenFile>) -> Result<(), Failure> {
        let Some(file) = open else { return Ok(()) };
        let is_old = file.opened.elapsed() >= self.config.file_age;
        let last = file.last_batch();
        // More of the last batch may come: then it is cut when that has.
        let is_whole = !self.queue.has_more_of(last);
        match self.cuts.range(last..).next() {
            Some(cut) if *cut == last && is_whole => self.cut(open),
            None if is_old && is_whole => self.cut(open),
            _ => Ok(()),
        }
    }

    /// Ends the open file, and puts it in its place.
    fn cut(&mut self, open: &mut Option<OpenFile>) -> Result<(), Failure> {
        let Some(file) = open.take() else {
            return Ok(());
        };
        let last = file.last_batch();
        if !self.cuts.contains(&last) {
            self.queue.note(Entry::cut(last))?.wait()?;
            self.cuts.insert(last);
        }
        let finished = file.finish()?;
        if finished.spans > 0 {
            self.put(&finished)?;
        }
        self.queue.settle(finished.batches);
        self.cuts.remove(&last);
        fs::remove_file(&finished.spool)?;
        Ok(())
    }

    /// Puts a file as often as it takes.
    fn put(&self, finished: &Finished) -> Result<(), Failure> {
        let name = Path::from(finished.path.as_str());
        let location: Path = self.prefix.parts().chain(name.parts()).collect();
        let mut failures = 0;
        let mut stopped = self.stopped.clone();
        while !self.is_stopped() {
            let put = self.runtime.block_on(async {
                tokio::select! {
                    put = upload(&self.store, &location, finished) => put,
                    _ = stopped.wait_for(|stopped| *stopped) => Err(Failure::Stopped),
                }
            });
            match put {
                Ok(()) => {
                    self.done(finished, &location);
                    return Ok(());
                }
                Err(Failure::Stopped) => break,
                Err(error) => {
                    failures += 1;
                    self.failed(format!("{location} cannot be put: {error}"));
                    self.rest(self.backoff.pause(failures));
                }
            }
        }
        Err(Failure::Stopped)
    }

    fn done(&self, finished: &Finished, location: &Path) {
        let counters = &self.counters;
        counters.files.fetch_add(1, Ordering::Relaxed);
        counters.spans.fetch_add(finished.spans, Ordering::Relaxed);
        counters.bytes.fetch_add(finished.bytes, Ordering::Relaxed);
        let (spans, bytes) = (finished.spans, finished.bytes);
        tracing::info!(%location, spans, bytes, "archived");
        *counters.problem.lock() = None;
    }

    /// The same problem again and again is worth one line.
    fn failed(&self, reason: String) {
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        let mut problem = self.counters.problem.lock();
        if problem.as_ref() != Some(&reason) {
            tracing::warn!(reason, "traces are not archived; they wait in the queue");
            *problem = Some(reason);
        }
    }
}

/// In parts if it is long; it appears when it is whole.
async fn upload(
    store: &Arc<dyn ObjectStore>,
    location: &Path,
    finished: &Finished,
) -> Result<(), Failure> {
    let mut file = tokio::fs::File::open(&finished.spool).await?;
    if finished.bytes <= PART_BYTES as u64 {
        let mut whole = Vec::new();
        file.read_to_end(&mut whole).await?;
        store.put(location, whole.into()).await?;
    } else {
        let upload = store.put_multipart(location).await?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        loop {
            let mut part = BytesMut::with_capacity(PART_BYTES);
            if file.read_buf(&mut part).await? == 0 {
                break;
            }
            upload.wait_for_capacity(PARTS).await?;
            upload.put(part.freeze());
        }
        upload.finish().await?;
    }
    // A store that says so and has not is not to be trusted with the only copy.
    let there = store.head(location).await?.size;
    if there != finished.bytes {
        let problem = format!("{there} of {} bytes are there", finished.bytes);
        return Err(Failure::Io(std::io::Error::other(problem)));
    }
    Ok(())
}
