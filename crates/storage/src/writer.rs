//! The one thread that writes: group commit.
//!
//! While a round is being written and synced, batches queue up; the next round takes them all. Under
//! load the cost of a sync is shared by as many batches as arrived during the one before, and nothing
//! waits for a timer.
//!
//! Between rounds it deletes the files that nobody needs any more.

use crate::frame::{self, Header};
use crate::log::{Frames, OWN_GROUP, Shared};
use crate::retention::{Marks, Retention};
use crate::{AppendError, GroupId};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use protobuf2::well_known_types::BytesValue;
use raft_engine::internals::LogQueue;
use raft_engine::{Command, LogBatch};
use std::collections::VecDeque;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A round is not made longer once it has this many bytes, so that its buffer stays small and the
/// first batch in it does not wait for long.
const ROUND_BYTES: usize = 4 << 20;

/// A batch on its way to the disk.
pub(crate) struct Job {
    pub(crate) group: GroupId,
    /// Its number within the group; given when it is queued.
    pub(crate) batch: u64,
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
    /// Whether any of them is waited for: the others go with whatever comes next.
    urgent: bool,
    /// Of the jobs here and of those that the writer holds.
    bytes: usize,
    closed: bool,
    retention: Retention,
}

impl Queue {
    pub(crate) fn new(retention: Retention) -> Queue {
        let waiting = Waiting {
            retention,
            ..Waiting::default()
        };
        Queue {
            waiting: Mutex::new(waiting),
            changed: Condvar::new(),
        }
    }

    /// Queues the job and numbers its batch. One that is not `urgent` waits for the next that is.
    pub(crate) fn push(&self, mut job: Job, urgent: bool) -> Result<u64, AppendError> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(AppendError::Stopped);
        }
        let batch = waiting.retention.queue(job.group);
        job.batch = batch;
        let before = waiting.bytes;
        waiting.bytes += job.bytes;
        waiting.jobs.push_back(job);
        // Later ones find the writer awake already, or busy: it looks again before it sleeps. One that waits
        // for others to come is told when there is enough for a round.
        let is_enough = before < ROUND_BYTES && waiting.bytes >= ROUND_BYTES;
        let was_urgent = waiting.urgent;
        waiting.urgent |= urgent || is_enough;
        if waiting.urgent && (!was_urgent || is_enough) {
            self.changed.notify_one();
        }
        Ok(batch)
    }

    /// What waits for others to come is to wait no longer.
    pub(crate) fn hurry(&self) {
        let mut waiting = self.waiting.lock();
        if !waiting.jobs.is_empty() && !waiting.urgent {
            waiting.urgent = true;
            self.changed.notify_one();
        }
    }

    /// The group needs only what comes after `up_to`.
    pub(crate) fn release(&self, group: GroupId, up_to: u64) {
        let mut waiting = self.waiting.lock();
        waiting.retention.release(group, up_to);
        if waiting.retention.is_due() {
            self.changed.notify_one();
        }
    }

    /// What the groups need.
    pub(crate) fn retention<T>(&self, ask: impl FnOnce(&mut Retention) -> T) -> T {
        ask(&mut self.waiting.lock().retention)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.waiting.lock().bytes
    }

    /// Takes no more batches; those that wait are still written.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.changed.notify_one();
    }

    /// Moves all that waits into `jobs`, which is empty; waits until there is an urgent job, or files are to be
    /// deleted. Before `earliest` it waits for more jobs, unless there is enough for a round. False at the
    /// end.
    fn take(&self, jobs: &mut VecDeque<Job>, earliest: Option<Instant>) -> bool {
        let mut waiting = self.waiting.lock();
        while !waiting.urgent && !waiting.closed && !waiting.retention.is_due() {
            self.changed.wait(&mut waiting);
        }
        if let Some(earliest) = earliest {
            while waiting.bytes < ROUND_BYTES && !waiting.closed {
                if self.changed.wait_until(&mut waiting, earliest).timed_out() {
                    break;
                }
            }
        }
        waiting.urgent = false;
        std::mem::swap(&mut waiting.jobs, jobs);
        !jobs.is_empty() || !waiting.closed
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
    /// The last batch of the log's own group.
    own_batches: u64,
    /// The round as the engine takes it; reused.
    round: LogBatch,
    /// One frame on its way into `round`; reused.
    frame: BytesValue,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, next_round: u64) -> Writer {
        let own_batches = shared.engine.last_index(OWN_GROUP.0).unwrap_or(0);
        Writer {
            shared,
            next_round,
            own_batches,
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
        let interval = self.shared.options.commit_interval;
        let mut earliest = None;
        while self.shared.queue.take(&mut jobs, earliest) {
            earliest = (!interval.is_zero()).then(|| Instant::now() + interval);
            while !jobs.is_empty() {
                self.write_some(&mut jobs)?;
            }
            if self.shared.queue.retention(|retention| retention.is_due()) {
                self.delete_files()?;
            }
        }
        self.write_empty_round()
    }

    /// Writes a round without batches, which puts the one before it out of doubt.
    pub(crate) fn write_empty_round(&mut self) -> io::Result<()> {
        let marks = self.shared.queue.retention(Retention::take_changes);
        self.add_own(marks.as_ref(), 0, 1)?;
        self.commit(0, std::iter::empty())
    }

    /// Writes one round of the first jobs, and tells them.
    fn write_some(&mut self, jobs: &mut VecDeque<Job>) -> io::Result<()> {
        let (count, bytes) = round_of(jobs);
        let marks = self.shared.queue.retention(Retention::take_changes);
        let frames = count as u32 + u32::from(marks.is_some());
        for (position, job) in (0..).zip(jobs.range(..count)) {
            self.add(job.group, job.batch, &job.records, (position, frames))?;
        }
        if marks.is_some() {
            self.add_own(marks.as_ref(), count as u32, frames)?;
        }
        let batches = jobs.range(..count).map(|job| (job.group, job.batch));
        self.commit(bytes as u64, batches)?;
        self.shared.queue.written(bytes);
        for job in jobs.drain(..count) {
            (job.done)();
        }
        Ok(())
    }

    /// Says what is no longer needed, and deletes the files that hold nothing else.
    fn delete_files(&mut self) -> io::Result<()> {
        let round = self.next_round;
        let marks = self
            .shared
            .queue
            .retention(|retention| retention.take_all(round));
        self.add_own(Some(&marks), 0, 1)?;
        // What the log's own group said before is in this frame too.
        self.forget(OWN_GROUP.0, self.own_batches - 1);
        self.commit(0, std::iter::empty())?;
        // Unlike `purge_expired_files`, this moves nothing: it begins a new file and deletes old ones.
        let engine = &self.shared.engine;
        engine.purge_manager().must_purge_all_stale();
        self.check_disk()?;
        let (first, _) = engine.file_span(LogQueue::Append);
        self.shared
            .queue
            .retention(|retention| retention.deleted(first));
        Ok(())
    }

    /// Adds a frame of the log's own group, and has the engine forget what the marks release.
    fn add_own(&mut self, marks: Option<&Marks>, position: u32, frames: u32) -> io::Result<()> {
        self.own_batches += 1;
        let record = marks.map(Marks::encode);
        self.add(
            OWN_GROUP,
            self.own_batches,
            record.as_slice(),
            (position, frames),
        )?;
        for (group, progress) in marks.iter().flat_map(|marks| &marks.groups) {
            self.forget(*group, progress.released);
        }
        Ok(())
    }

    fn forget(&mut self, group: u64, up_to: u64) {
        let index = up_to + 1;
        self.round.add_command(group, Command::Compact { index });
    }

    fn add(
        &mut self,
        group: GroupId,
        batch: u64,
        records: &[Bytes],
        (position, frames): (u32, u32),
    ) -> io::Result<()> {
        let header = Header {
            batch,
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

    /// One write and one sync of what was added.
    fn commit(
        &mut self,
        bytes: u64,
        batches: impl Iterator<Item = (GroupId, u64)>,
    ) -> io::Result<()> {
        let shared = &self.shared;
        let written = shared.engine.write(&mut self.round, shared.options.sync);
        self.check_disk()?;
        written.map_err(io::Error::other)?;
        // The engine begins a new file before it writes, so the round is in the last one.
        let (_, file) = shared.engine.file_span(LogQueue::Append);
        let round = self.next_round;
        shared
            .queue
            .retention(|retention| retention.written(file, round, bytes, batches));
        self.next_round += 1;
        shared.rounds.fetch_add(1, Ordering::Relaxed);
        // A long record must not keep its buffer for ever.
        self.frame.value.shrink_to(ROUND_BYTES);
        Ok(())
    }

    /// The engine may report a success after a failure: see `LogFile::sync`.
    fn check_disk(&self) -> io::Result<()> {
        match self.shared.files.failure() {
            Some(failure) => {
                let source = &failure.source;
                Err(io::Error::new(source.kind(), source.to_string()))
            }
            None => Ok(()),
        }
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
