//! What waits to be exported: on disk, and the part of it that is in memory.
//!
//! Each append to the [record log](RecordLog) is a batch of some traces. Batches are numbered, and go to
//! the *window* in memory in that order: straight from the offer while the window has room, and from the
//! disk when it has run empty. A batch is released from the log when all its traces are settled, and
//! all batches before it.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use bytes::Bytes;
use parking_lot::Mutex;
use quorate_storage::{
    AppendError, Disk, GroupId, MAX_BATCH_BYTES, OpenError, Options, ReadError, RecordLog,
};
use tokio::sync::Notify;

/// The log has no other.
const GROUP: GroupId = GroupId(1);

/// How much is held in memory to be sent next.
const WINDOW_BYTES: usize = 8 << 20;

/// A batch is not made longer than this, so that the window is filled in small steps.
const BATCH_BYTES: usize = 1 << 20;

/// Why traces were not taken into a queue; nothing of the offer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// There is no room. Offer again later.
    #[error("{waiting} of at most {limit} bytes wait to be exported")]
    Full {
        /// Bytes that wait.
        waiting: u64,
        /// Bytes that may.
        limit: u64,
    },
    /// A span is longer than the queue could ever hold. It will not fit later either.
    #[error("a span of {bytes} bytes is too long to be exported")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The export was closed, or its disk has failed.
    #[error("the export has stopped")]
    Stopped,
}

/// Why a queue could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Its log cannot be opened.
    #[error("the queue of traces to be exported: {0}")]
    Open(#[from] OpenError),
    /// What is in it cannot be read.
    #[error("the queue of traces to be exported: {0}")]
    Read(#[from] ReadError),
}

/// A trace, or a part of one, and the batch that it came in.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) batch: u64,
    pub(crate) bytes: Bytes,
}

#[derive(Debug)]
pub(crate) struct Queue {
    log: Mutex<Option<RecordLog>>,
    state: Arc<Mutex<State>>,
    news: Arc<Notify>,
    limit_bytes: u64,
}

#[derive(Debug, Default)]
struct State {
    /// Batches that are not durable yet, in the order of the log.
    appended: VecDeque<Batch>,
    /// What is to be sent next.
    window: VecDeque<Record>,
    window_bytes: usize,
    /// The last batch that went to the window.
    loaded: u64,
    /// The last batch that is durable.
    durable: u64,
    /// What is not settled yet of batches that went to the window.
    unsettled: BTreeMap<u64, Unsettled>,
    /// All bytes that are not released, in memory or not.
    waiting_bytes: u64,
}

#[derive(Debug)]
struct Batch {
    number: u64,
    records: Vec<Bytes>,
    /// Told when it is durable, if somebody asked.
    tell: Option<mpsc::Sender<()>>,
}

#[derive(Debug)]
struct Unsettled {
    records: usize,
    bytes: u64,
}

/// An offer on its way to the disk.
#[derive(Debug)]
#[must_use = "traces are safe only when they are durable"]
pub struct Durable(Option<mpsc::Receiver<()>>);

impl Durable {
    /// Blocks until the traces survive a crash.
    ///
    /// # Errors
    ///
    /// [`OfferError::Stopped`] if the disk failed first or the forwarder was closed.
    pub fn wait(self) -> Result<(), OfferError> {
        match self.0 {
            Some(durable) => durable.recv().map_err(|_| OfferError::Stopped),
            None => Ok(()),
        }
    }
}

impl Queue {
    /// Opens the queue in `dir` and shows what waits in it to `each`, with the number of its batch.
    pub(crate) fn open(
        dir: &Path,
        limit_bytes: u64,
        mut each: impl FnMut(u64, &Bytes),
    ) -> Result<Self, QueueError> {
        let options = Options {
            // An eighth of the queue, so that the files that are not yet deleted are small beside it.
            segment_bytes: (limit_bytes / 8).clamp(1 << 20, 64 << 20),
            max_record_bytes: MAX_BATCH_BYTES,
            ..Options::default()
        };
        let log = RecordLog::open(dir, options, Disk::real())?;
        let mut state = State::default();
        log.replay_batches(GROUP, &mut |batch, record| {
            if state.durable == 0 {
                state.loaded = batch - 1;
            }
            state.durable = batch;
            state.waiting_bytes += record.len() as u64;
            each(batch, &record);
            Ok(())
        })?;
        Ok(Queue {
            log: Mutex::new(Some(log)),
            state: Arc::new(Mutex::new(state)),
            news: Arc::default(),
            limit_bytes,
        })
    }

    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.state.lock().waiting_bytes
    }

    /// Takes all of `records` or none.
    pub(crate) fn offer(&self, records: Vec<Bytes>) -> Result<Durable, OfferError> {
        let bytes: u64 = records.iter().map(|record| record.len() as u64).sum();
        let log = self.log.lock().clone().ok_or(OfferError::Stopped)?;
        let mut state = self.state.lock();
        let waiting = state.waiting_bytes;
        // What is longer than the whole queue is taken alone, or it would never be.
        if log.is_congested() || (waiting > 0 && waiting + bytes > self.limit_bytes) {
            return Err(OfferError::Full {
                waiting,
                limit: self.limit_bytes,
            });
        }
        if let Some(record) = records
            .iter()
            .find(|record| record.len() > MAX_BATCH_BYTES / 2)
        {
            return Err(OfferError::TooLarge {
                bytes: record.len(),
            });
        }
        self.append_all(&log, &mut state, records)
    }

    /// Takes a short record of our own, full or not.
    #[cfg(feature = "parquet")]
    pub(crate) fn note(&self, record: Bytes) -> Result<Durable, OfferError> {
        let log = self.log.lock().clone().ok_or(OfferError::Stopped)?;
        self.append_all(&log, &mut self.state.lock(), vec![record])
    }

    fn append_all(
        &self,
        log: &RecordLog,
        state: &mut State,
        records: Vec<Bytes>,
    ) -> Result<Durable, OfferError> {
        let (tell, durable) = mpsc::channel();
        let mut batches = batches(records);
        let Some(last) = batches.pop() else {
            return Ok(Durable(None));
        };
        for records in batches {
            self.append(log, state, records, None)?;
        }
        self.append(log, state, last, Some(tell))?;
        Ok(Durable(Some(durable)))
    }

    fn append(
        &self,
        log: &RecordLog,
        state: &mut State,
        records: Vec<Bytes>,
        tell: Option<mpsc::Sender<()>>,
    ) -> Result<(), OfferError> {
        let (shared, news) = (Arc::clone(&self.state), Arc::clone(&self.news));
        // The state is locked until the batch is entered in it, so this finds it.
        let done = move || {
            if let Some(tell) = shared.lock().durable() {
                // Nobody may wait any more.
                let _ = tell.send(());
            }
            news.notify_one();
        };
        let number =
            log.append(GROUP, records.clone(), Box::new(done))
                .map_err(|error| match error {
                    AppendError::RecordTooLarge { bytes, .. }
                    | AppendError::BatchTooLarge { bytes, .. } => OfferError::TooLarge { bytes },
                    _ => OfferError::Stopped,
                })?;
        state.waiting_bytes += records
            .iter()
            .map(|record| record.len() as u64)
            .sum::<u64>();
        state.appended.push_back(Batch {
            number,
            records,
            tell,
        });
        Ok(())
    }

    /// The next records to be sent: at least one, and not more than `limit` bytes if there are several.
    /// None if the window is empty; then [`Queue::load`] may fill it.
    pub(crate) fn take(&self, limit: usize) -> Option<Vec<Record>> {
        let mut state = self.state.lock();
        let mut taken = vec![state.pop()?];
        let mut bytes = taken[0].bytes.len();
        while let Some(next) = state.window.front() {
            bytes += next.bytes.len();
            if bytes > limit {
                break;
            }
            taken.extend(state.pop());
        }
        Some(taken)
    }

    /// Whether the window is empty and the disk has more.
    pub(crate) fn must_load(&self) -> bool {
        let state = self.state.lock();
        state.window.is_empty() && state.durable > state.loaded
    }

    /// Waits for an offer to be durable; one that came since the last wait counts.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// Fills the window from the disk. Blocks.
    ///
    /// # Errors
    ///
    /// If what was durable cannot be read any more.
    pub(crate) fn load(&self) -> Result<(), ReadError> {
        let Some(log) = self.log.lock().clone() else {
            return Ok(());
        };
        let loaded = self.state.lock().loaded;
        let mut batches: Vec<(u64, Vec<Bytes>)> = Vec::new();
        let mut bytes = 0;
        let read = log.replay_batches(GROUP, &mut |number, record| {
            if number <= loaded {
                return Ok(());
            }
            match batches.last_mut() {
                Some((last, records)) if *last == number => {
                    bytes += record.len();
                    records.push(record);
                }
                _ if bytes >= WINDOW_BYTES => return Err("the window is full".into()),
                _ => {
                    bytes += record.len();
                    batches.push((number, vec![record]));
                }
            }
            Ok(())
        });
        match read {
            // By ourselves, when there was enough.
            Ok(_) | Err(ReadError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut state = self.state.lock();
        for (number, records) in batches {
            state.load(number, records);
        }
        Ok(())
    }

    /// Records of these batches are done with, one for each time that a batch is named.
    pub(crate) fn settle(&self, batches: impl IntoIterator<Item = u64>) {
        let released = self.state.lock().settle(batches);
        if let (Some(batch), Some(log)) = (released, self.log.lock().as_ref()) {
            log.release(GROUP, batch);
        }
    }

    /// Whether the next record is of this batch.
    #[cfg(feature = "parquet")]
    pub(crate) fn has_more_of(&self, batch: u64) -> bool {
        let state = self.state.lock();
        state.window.front().is_some_and(|next| next.batch == batch)
    }

    /// Forgets what was taken and is not settled: it will be taken again.
    #[cfg(feature = "parquet")]
    pub(crate) fn rewind(&self) {
        let mut state = self.state.lock();
        if let Some((first, _)) = state.unsettled.first_key_value() {
            state.loaded = first - 1;
        }
        state.unsettled.clear();
        state.window.clear();
        state.window_bytes = 0;
    }

    /// Closes the log; what was released is noted there.
    pub(crate) fn close(&self) {
        let log = self.log.lock().take();
        if let Some(Err(error)) = log.map(RecordLog::close) {
            tracing::error!(%error, "the queue of traces to be exported");
        }
    }
}

impl State {
    /// The first of `appended` is durable. It goes to the window, if it is next and there is room.
    fn durable(&mut self) -> Option<mpsc::Sender<()>> {
        let batch = self.appended.pop_front()?;
        self.durable = self.durable.max(batch.number);
        let has_room = self.window.is_empty() || self.window_bytes < WINDOW_BYTES;
        if batch.number == self.loaded + 1 && has_room {
            self.load(batch.number, batch.records);
        }
        batch.tell
    }

    fn load(&mut self, number: u64, records: Vec<Bytes>) {
        let bytes: usize = records.iter().map(Bytes::len).sum();
        self.loaded = number;
        self.durable = self.durable.max(number);
        self.window_bytes += bytes;
        self.unsettled.insert(
            number,
            Unsettled {
                records: records.len(),
                bytes: bytes as u64,
            },
        );
        let of_batch = |bytes| Record {
            batch: number,
            bytes,
        };
        self.window.extend(records.into_iter().map(of_batch));
    }

    fn pop(&mut self) -> Option<Record> {
        let record = self.window.pop_front()?;
        self.window_bytes -= record.bytes.len();
        Some(record)
    }

    /// Returns the last batch up to which all are settled, if that has changed.
    fn settle(&mut self, batches: impl IntoIterator<Item = u64>) -> Option<u64> {
        for batch in batches {
            if let Some(batch) = self.unsettled.get_mut(&batch) {
                batch.records -= 1;
            }
        }
        let mut released = None;
        while let Some(first) = self.unsettled.first_entry()
            && first.get().records == 0
        {
            released = Some(*first.key());
            self.waiting_bytes -= first.remove().bytes;
        }
        released
    }
}

/// Records in batches of some length.
fn batches(records: Vec<Bytes>) -> Vec<Vec<Bytes>> {
    let mut batches: Vec<Vec<Bytes>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        match batches.last_mut() {
            Some(batch) if bytes + record.len() <= BATCH_BYTES => {
                bytes += record.len();
                batch.push(record);
            }
            _ => {
                bytes = record.len();
                batches.push(vec![record]);
            }
        }
    }
    batches
}
