//! The one thread that writes: group commit.
//!
//! While a round is being written and synced, batches queue up; the next round takes them all. Under
//! load the cost of a sync is shared by as many batches as arrived during the one before, and nothing
//! waits for a timer.

use crate::frame::{self, Header};
use crate::log::{Frames, OWN_GROUP, Shared};
use crate::{AppendError, GroupId};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use protobuf2::well_known_types::BytesValue;
use raft_engine::LogBatch;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

/// A round is not made longer once it has this many bytes, so that its buffer stays small and the
/// first batch in it does not wait for long.
const ROUND_BYTES: usize = 4 << 20;

/// A batch on its way to the disk.
pub(crate) struct Job {
    pub(crate) group: GroupId,
    pub(crate) records: Vec<Bytes>,
    /// Its length as a frame.
    pub(crate) bytes: usize,
    pub(crate) done: Box<dyn FnOnce() + Send>,
}

/// The batches that wait for the writer.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Of the jobs here and of those that the writer holds.
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub(crate) fn push(&self, job: Job) -> Result<(), AppendError> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(AppendError::Stopped);
        }
        waiting.bytes += job.bytes;
        waiting.jobs.push_back(job);
        // Later ones find the writer awake already, or busy: it looks again before it sleeps.
        if waiting.jobs.len() == 1 {
            self.changed.notify_one();
        }
        Ok(())
    }

    pub(crate) fn bytes(&self) -> usize {
        self.waiting.lock().bytes
    }

    /// Takes no more batches; those that wait are still written.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.changed.notify_one();
    }

    /// Moves all that waits into `jobs`, which is empty; waits for it to come. False at the end.
    fn take(&self, jobs: &mut VecDeque<Job>) -> bool {
        let mut waiting = self.waiting.lock();
        while waiting.jobs.is_empty() && !waiting.closed {
            self.changed.wait(&mut waiting);
        }
        std::mem::swap(&mut waiting.jobs, jobs);
        !jobs.is_empty()
    }

    fn written(&self, bytes: usize) {
        self.waiting.lock().bytes -= bytes;
    }

    /// Closes, and forgets what waits.
    fn abandon(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        let jobs = std::mem::take(&mut waiting.jobs);
        // Dropping a `done` may drop a handle of this log, which closes the queue.
        drop(waiting);
        drop(jobs);
    }
}

pub(crate) struct Writer {
    shared: Arc<Shared>,
    next_round: u64,
    /// The last batch of each group that has been written.
    batches: HashMap<GroupId, u64>,
    /// The round as the engine takes it; reused.
    round: LogBatch,
    /// One frame on its way into `round`; reused.
    frame: BytesValue,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, next_round: u64) -> Writer {
        Writer {
            shared,
            next_round,
            batches: HashMap::new(),
            round: LogBatch::default(),
            frame: BytesValue::new(),
        }
    }

    /// Writes rounds until the log is closed or the disk fails.
    pub(crate) fn run(mut self) {
        // The engine panics where it cannot sync a directory. A log without a writer would let the
        // node wait for ever, so a panic is a failure like any other.
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| self.write_rounds()));
        let error = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => io::Error::other("the writer panicked"),
        };
        self.shared.queue.abandon();
        let failure = self.shared.storage_failure(error);
        (self.shared.options.on_failure)(failure);
    }

    fn write_rounds(&mut self) -> io::Result<()> {
        let mut jobs = VecDeque::new();
        while self.shared.queue.take(&mut jobs) {
            while !jobs.is_empty() {
                self.write_some(&mut jobs)?;
            }
        }
        self.write_empty_round()
    }

    /// Writes a round without records, which puts the one before it out of doubt.
    pub(crate) fn write_empty_round(&mut self) -> io::Result<()> {
        self.add(OWN_GROUP, &[], 0, 1)?;
        self.commit()
    }

    /// Writes one round of the first jobs, and tells them.
    fn write_some(&mut self, jobs: &mut VecDeque<Job>) -> io::Result<()> {
        let (frames, bytes) = round_of(jobs);
        for (position, job) in (0..).zip(jobs.range(..frames)) {
            self.add(job.group, &job.records, position, frames as u32)?;
        }
        self.commit()?;
        self.shared.queue.written(bytes);
        for job in jobs.drain(..frames) {
            (job.done)();
        }
        Ok(())
    }

    fn add(
        &mut self,
        group: GroupId,
        records: &[Bytes],
        position: u32,
        frames: u32,
    ) -> io::Result<()> {
        let engine = &self.shared.engine;
        let last = self
            .batches
            .entry(group)
            .or_insert_with(|| engine.last_index(group.0).unwrap_or(0));
        *last += 1;
        let header = Header {
            batch: *last,
            round: self.next_round,
            position,
            frames,
            group: group.0,
        };
        frame::encode(&mut self.frame.value, self.shared.id, header, records);
        self.round
            .add_entries::<Frames>(group.0, std::slice::from_ref(&self.frame))
            .map_err(io::Error::other)
    }

    /// One write and one sync.
    fn commit(&mut self) -> io::Result<()> {
        let shared = &self.shared;
        let written = shared.engine.write(&mut self.round, shared.options.sync);
        // The engine may report a success after a failure: see `LogFile::sync`.
        if let Some(failure) = shared.files.failure() {
            let source = &failure.source;
            return Err(io::Error::new(source.kind(), source.to_string()));
        }
        written.map_err(io::Error::other)?;
        self.next_round += 1;
        // A long record must not keep its buffer for ever.
        self.frame.value.shrink_to(ROUND_BYTES);
        Ok(())
    }
}

/// How many of `jobs` make the next round, and their bytes: at least one.
fn round_of(jobs: &VecDeque<Job>) -> (usize, usize) {
    let mut bytes = 0;
    for (count, job) in jobs.iter().enumerate() {
        if count > 0 && bytes + job.bytes > ROUND_BYTES {
            return (count, bytes);
        }
        bytes += job.bytes;
    }
    (jobs.len(), bytes)
}
