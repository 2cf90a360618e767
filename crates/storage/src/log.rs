//! The handle: opening, replaying, appending, closing.

use crate::directory::{self, Directory};
use crate::disk::LogFiles;
use crate::frame;
use crate::retention::{Progress, Retention};
use crate::scan::{self, Scan};
use crate::writer::{Job, Queue, Writer};
use crate::{
    AppendError, Disk, GroupId, MAX_BATCH_BYTES, OpenError, Options, ReadError, Refusal,
    StorageError,
};
use bytes::Bytes;
use parking_lot::Mutex;
use protobuf2::well_known_types::BytesValue;
use raft_engine::internals::FilePipeLog;
use raft_engine::{Config, MessageExt, ReadableSize, RecoveryMode};
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

/// The random identity of a log, in every frame of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogId(pub(crate) [u8; 8]);

/// The log's own group: empty batches that begin and end a run of the log.
pub(crate) const OWN_GROUP: GroupId = GroupId(u64::MAX);

/// How many batches, and about how many bytes of them, are read at once in a replay.
const REPLAY_BATCHES: u64 = 1024;
const REPLAY_BYTES: usize = 8 << 20;

pub(crate) type Engine = raft_engine::Engine<LogFiles, FilePipeLog<LogFiles>>;

/// Tells the engine that an entry is a frame.
#[derive(Clone, Debug)]
pub(crate) struct Frames;

impl MessageExt for Frames {
    type Entry = BytesValue;

    fn index(entry: &BytesValue) -> u64 {
        match entry.value.first_chunk() {
            Some(batch) => u64::from_le_bytes(*batch),
            None => 0, // no entry has this number
        }
    }
}

/// What the handles and the writer share. The engine goes before the directory's lock.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) files: LogFiles,
    pub(crate) queue: Queue,
    pub(crate) options: Options,
    pub(crate) id: LogId,
    pub(crate) directory: Directory,
    /// Written since the log was opened.
    pub(crate) rounds: AtomicU64,
}

/// The record log of a node. Clones are handles of the same log.
///
/// When the last handle is dropped, the log is closed as by [`RecordLog::close`].
#[derive(Clone)]
pub struct RecordLog(Arc<Running>);

struct Running {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl RecordLog {
    /// Opens the log in `dir`, creating both if they are missing, and starts its writer thread.
    ///
    /// # Errors
    ///
    /// If `dir` is not a directory, is in use, cannot be read or written, or if what it holds cannot be
    /// what was acknowledged ([`OpenError::Damaged`]).
    pub fn open(dir: &Path, options: Options, disk: Disk) -> Result<RecordLog, OpenError> {
        let directory = Directory::lock(dir)?;
        let known = directory.id()?;
        let scan = match known {
            Some(id) => scan::scan(&directory.segments(), id)?,
            None => empty(&directory)?,
        };
        let files = LogFiles::new(disk, scan.acknowledged.clone());
        let engine = open_engine(&directory, &options, &files)?;
        let recovered = check_recovery(&engine, &scan, &directory)?;
        let next_round = scan.last_round + u64::from(recovered);
        let retention = retention(scan, recovered, options.segment_bytes);
        let id = match known {
            Some(id) => id,
            None => {
                let id = directory::random_id();
                directory.set_id(id)?;
                id
            }
        };
        directory.sync()?;
        let shared = Arc::new(Shared {
            engine,
            files,
            queue: Queue::new(retention),
            options,
            id,
            directory,
            rounds: AtomicU64::new(0),
        });
        let mut writer = Writer::new(Arc::clone(&shared), next_round);
        // What was recovered is not in the last round any more, so no later damage can pass for a tear.
        writer
            .write_empty_round()
            .map_err(|error| io_error(dir, "writing", &error))?;
        let writer = std::thread::Builder::new()
            .name("record-log".to_owned())
            .spawn(move || writer.run())
            .map_err(OpenError::io("starting a thread for", dir))?;
        Ok(RecordLog(Arc::new(Running {
            shared,
            writer: Mutex::new(Some(writer)),
        })))
    }

    /// Hands every durable record of `group` that is not released to `each`, in order; returns how many
    /// there were.
    ///
    /// To be called before the group's first append. Records are slices of the buffer of their batch.
    ///
    /// # Errors
    ///
    /// If a batch cannot be read, or `each` refuses a record.
    pub fn replay(
        &self,
        group: GroupId,
        each: &mut dyn FnMut(Bytes) -> Result<(), Refusal>,
    ) -> Result<u64, ReadError> {
        self.replay_batches(group, &mut |_, record| each(record))
    }

    /// As [`replay`](RecordLog::replay), with the number of each record's batch, for callers that will
    /// [`release`](RecordLog::release) it.
    ///
    /// # Errors
    ///
    /// If a batch cannot be read, or `each` refuses a record.
    pub fn replay_batches(
        &self,
        group: GroupId,
        each: &mut dyn FnMut(u64, Bytes) -> Result<(), Refusal>,
    ) -> Result<u64, ReadError> {
        let engine = &self.0.shared.engine;
        let end = engine.last_index(group.0).map_or(1, |last| last + 1);
        let mut count = 0;
        let mut batch = self.first_needed(group)?;
        while batch < end {
            let to = end.min(batch + REPLAY_BATCHES);
            for entry in self.read(group, batch, to)? {
                for record in self.records(group, batch, entry)? {
                    each(batch, record).map_err(|source| ReadError::Refused {
                        group,
                        batch,
                        source,
                    })?;
                    count += 1;
                }
                batch += 1;
            }
        }
        Ok(count)
    }

    /// Some of the batches from `from` to before `to`, at least one.
    ///
    /// On a thread of its own, because the engine keeps the block that it read last by thread, and takes
    /// the same place in another log for the same block.
    fn read(&self, group: GroupId, from: u64, to: u64) -> Result<Vec<BytesValue>, ReadError> {
        let damaged = |problem: String| ReadError::Damaged {
            group,
            batch: from,
            problem,
        };
        let engine = &self.0.shared.engine;
        let fetch = || {
            let mut entries = Vec::new();
            let limit = Some(REPLAY_BYTES);
            engine.fetch_entries_to::<Frames>(group.0, from, to, limit, &mut entries)?;
            Ok::<_, raft_engine::Error>(entries)
        };
        let entries = std::thread::scope(|scope| scope.spawn(fetch).join())
            .map_err(|_| damaged("the engine panicked".to_owned()))?
            .map_err(|error| damaged(error.to_string()))?;
        if entries.is_empty() {
            return Err(damaged("it cannot be read".to_owned()));
        }
        Ok(entries)
    }

    /// The first batch that the group has not released.
    fn first_needed(&self, group: GroupId) -> Result<u64, ReadError> {
        let progress = self.0.shared.queue.retention(|all| all.progress(group));
        let batch = progress.released + 1;
        match self.0.shared.engine.first_index(group.0) {
            Some(first) if first > batch => Err(ReadError::Damaged {
                group,
                batch,
                problem: format!("the first that is there is {first}"),
            }),
            _ => Ok(batch),
        }
    }

    fn records(
        &self,
        group: GroupId,
        batch: u64,
        entry: BytesValue,
    ) -> Result<Vec<Bytes>, ReadError> {
        let frame = Bytes::from(entry.value);
        let ours = frame::decode(&frame, self.0.shared.id)
            .is_some_and(|(header, _)| header.batch == batch && header.group == group.0);
        let records = if ours { frame::records(&frame) } else { None };
        records.ok_or_else(|| ReadError::Damaged {
            group,
            batch,
            problem: "it is not the batch that was written".to_owned(),
        })
    }

    /// Queues `records` as one batch of `group`: durable together or not at all, after every batch
    /// that was queued before. Returns its number within the group; numbers begin with 1 and grow by 1.
    /// Never waits.
    ///
    /// `done` runs on the writer thread once the batch is durable, in the order of the appends; it must
    /// neither block nor panic. It is dropped unused if the log stops first.
    ///
    /// # Errors
    ///
    /// If the batch exceeds a limit or the log has stopped; nothing is queued then.
    pub fn append(
        &self,
        group: GroupId,
        records: Vec<Bytes>,
        done: Box<dyn FnOnce() + Send>,
    ) -> Result<u64, AppendError> {
        let job = self.job(group, records, done)?;
        self.0.shared.queue.push(job, true)
    }

    /// As [`append`](RecordLog::append), without a round of its own: the batch becomes durable with the next one
    /// that is appended, of whichever group, and at the latest after [`hurry`](RecordLog::hurry). For records
    /// that nobody waits for, or that another one follows at once.
    ///
    /// # Errors
    ///
    /// As [`append`](RecordLog::append).
    pub fn append_lazily(
        &self,
        group: GroupId,
        records: Vec<Bytes>,
        done: Box<dyn FnOnce() + Send>,
    ) -> Result<u64, AppendError> {
        let job = self.job(group, records, done)?;
        self.0.shared.queue.push(job, false)
    }

    /// Writes what was appended lazily, if it still waits. Never waits itself.
    pub fn hurry(&self) {
        self.0.shared.queue.hurry();
    }

    /// How many rounds were written since the log was opened, each with one sync.
    pub fn rounds(&self) -> u64 {
        self.0.shared.rounds.load(Ordering::Relaxed)
    }

    fn job(
        &self,
        group: GroupId,
        records: Vec<Bytes>,
        done: Box<dyn FnOnce() + Send>,
    ) -> Result<Job, AppendError> {
        if group == OWN_GROUP {
            return Err(AppendError::ReservedGroup(group));
        }
        let limit = self.0.shared.options.max_record_bytes;
        let longest = records.iter().map(Bytes::len).max().unwrap_or(0);
        if longest > limit {
            return Err(AppendError::RecordTooLarge {
                bytes: longest,
                limit,
            });
        }
        let bytes = frame::frame_bytes(&records);
        if bytes > MAX_BATCH_BYTES {
            return Err(AppendError::BatchTooLarge {
                bytes,
                limit: MAX_BATCH_BYTES,
            });
        }
        Ok(Job {
            group,
            batch: 0,
            records,
            bytes,
            done,
        })
    }

    /// The batches of `group` up to number `up_to` are not needed any more: they are not replayed, and
    /// their space is freed once all groups have released what shares a file with them. Those that are
    /// not durable yet are needed all the same. Never waits, and writes nothing by itself.
    ///
    /// After a crash released batches may be replayed again, because the release reaches the disk with
    /// a later round, with the deletion of files or with [`close`](RecordLog::close). Whoever replays
    /// has to bear it. What was not released is there in any case.
    pub fn release(&self, group: GroupId, up_to: u64) {
        self.0.shared.queue.release(group, up_to);
    }

    /// About how many bytes of batches are on the disk, released or not, until their files are deleted.
    pub fn retained_bytes(&self) -> u64 {
        self.0.shared.queue.retention(|retention| retention.bytes())
    }

    /// Whether more than [`Options::queue_bytes`] wait for the disk.
    ///
    /// A group that has a batch in flight must not produce another one then; it asks again when a
    /// batch of its own is done. A group with nothing in flight may append all the same. So the queue
    /// holds at most `queue_bytes` and one batch of each group, and no group is ever stuck.
    pub fn is_congested(&self) -> bool {
        self.0.shared.queue.bytes() > self.0.shared.options.queue_bytes
    }

    /// Writes what is queued and stops the writer. Appends through other handles fail from now on; the
    /// directory is released when the last handle is gone.
    ///
    /// # Errors
    ///
    /// The failure of the disk, if it failed now or before.
    pub fn close(self) -> Result<(), StorageError> {
        self.0.stop();
        match self.0.shared.storage_error() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for RecordLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RecordLog")
            .field(&self.0.shared.directory.path())
            .finish()
    }
}

impl Running {
    fn stop(&self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.lock().take() {
            // The last handle may be dropped by a `done`, on the writer's own thread: it ends by itself.
            if writer.thread().id() != std::thread::current().id() {
                // An error means that a `done` panicked: it was reported where it happened.
                let _ = writer.join();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// The failure that stopped the log, in the words of this crate's boundary.
    fn storage_error(&self) -> Option<StorageError> {
        self.files.failure().map(|failure| StorageError {
            dir: self.directory.path().to_owned(),
            operation: failure.operation,
            source: failure.source,
        })
    }

    /// The failure that stopped the log: the disk's first one, or else `error`.
    pub(crate) fn storage_failure(&self, error: io::Error) -> StorageError {
        let failure = self.files.fail("writing", error);
        StorageError {
            dir: self.directory.path().to_owned(),
            operation: failure.operation,
            source: failure.source,
        }
    }
}

/// A directory without an id holds no record: at most files of a creation that was interrupted.
fn empty(directory: &Directory) -> Result<Scan, OpenError> {
    const FILE_HEADERS_BYTES: u64 = 256;
    let segments = directory.segments();
    if scan::segment_bytes(&segments)? > FILE_HEADERS_BYTES {
        let problem = "there are records, but the file log-id that belongs to them is missing";
        return Err(scan::damaged(directory.path(), 0, problem.to_owned()));
    }
    Ok(Scan::default())
}

fn open_engine(
    directory: &Directory,
    options: &Options,
    files: &LogFiles,
) -> Result<Engine, OpenError> {
    let segments = directory.segments();
    let Some(dir) = segments.to_str() else {
        let error = io::Error::other("the path is not valid UTF-8");
        return Err(OpenError::io("reading", &segments)(error));
    };
    let config = Config {
        dir: dir.to_owned(),
        recovery_mode: RecoveryMode::TolerateTailCorruption,
        recovery_threads: 1,
        // Frames are searched for in the files, and most records do not shrink.
        batch_compression_threshold: ReadableSize(0),
        target_file_size: ReadableSize(options.segment_bytes),
        purge_threshold: ReadableSize(u64::MAX),
        // A file that is used again has old frames behind its end.
        enable_log_recycle: false,
        ..Config::default()
    };
    let opened = Engine::open_with_file_system(config, Arc::new(files.clone()));
    if let Some(cut) = files.refused_cut() {
        let problem = "a write that was acknowledged cannot be read".to_owned();
        return Err(scan::damaged(&cut.file, cut.offset, problem));
    }
    if let Some(failure) = files.failure() {
        return Err(io_error(&segments, failure.operation, &failure.source));
    }
    opened.map_err(|error| match error {
        raft_engine::Error::Io(source) => OpenError::io("reading", &segments)(source),
        other => scan::damaged(&segments, 0, other.to_string()),
    })
}

/// Compares what the engine recovered with what the files hold; returns whether the last round is there.
fn check_recovery(engine: &Engine, scan: &Scan, directory: &Directory) -> Result<bool, OpenError> {
    // The engine has forgotten what was released.
    let released = |group: &u64| scan.marks.get(group).map_or(0, |marked| marked.released);
    let last = |group: &u64| engine.last_index(*group).unwrap_or(released(group));
    let recovered = scan
        .last_batches
        .iter()
        .all(|(group, batch)| last(group) == *batch);
    let mut expected = scan.batches.clone();
    if recovered {
        expected.extend(&scan.last_batches);
    }
    for (group, batch) in expected {
        let found = last(&group);
        if found != batch.max(released(&group)) {
            let problem =
                format!("group {group} has {batch} batches, of which {found} can be read");
            return Err(scan::damaged(&directory.segments(), 0, problem));
        }
    }
    Ok(recovered)
}

/// What the groups of a log that was opened need.
fn retention(scan: Scan, recovered: bool, segment_bytes: u64) -> Retention {
    let mut groups = scan.marks;
    let last = if recovered {
        scan.last_batches
    } else {
        Default::default()
    };
    let found: HashMap<u64, u64> = scan.batches.into_iter().chain(last).collect();
    for (group, batch) in found {
        if group != OWN_GROUP.0 {
            let progress = groups.entry(group).or_default();
            *progress = Progress::found(batch, *progress);
        }
    }
    Retention::new(groups, scan.segments, scan.floor, segment_bytes / 2)
}

fn io_error(path: &Path, action: &'static str, error: &io::Error) -> OpenError {
    OpenError::io(action, path)(io::Error::new(error.kind(), error.to_string()))
}
