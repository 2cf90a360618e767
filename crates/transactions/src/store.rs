//! The embedded store: keys and values that transactions change, in a member's own record log and files.
//!
//! ```text
//! prepare ─► locks, record ─┐                                      ┌─► vote, with the vote's own record: one sync
//!                           ├─► node's record log, shared by all ──┤
//! commit ──► change, record ┘                                      └─► done, whenever it is durable
//!                   │
//!                   └─ in memory ─► files, every few MiB ─► the log is released up to there
//! ```
//!
//! **The log is the store.** What the store knows is a fold of its records. A record is appended *lazily*: it makes no
//! sync of its own, but goes with the next batch that anybody on the node appends. The vote's record follows the
//! store's within microseconds, so preparing costs no sync of its own. A commit's record waits for whatever comes
//! next, a few milliseconds at most: nobody waits for it but the coordinator, who wants to forget.
//!
//! **The files are a checkpoint.** Committed changes gather in memory. When there is enough of them they are written to
//! the files (`fjall`) in one atomic batch, with the number of the last batch of the log that is in them and with what
//! is prepared at that moment; what comes before it in the log is released. A restart folds the log after the
//! checkpoint. The files are never ahead of the log: a checkpoint is written when the log is durable up to it.
//!
//! **Locks.** A transaction locks each key that it names until its outcome is known here. One that finds a key locked
//! waits for a moment, long enough for a transaction whose caller has just been told, and is then refused with the
//! other one's id: nobody waits for a transaction in doubt, and two that wait for each other do not for long. Reads
//! take no locks and see what was committed last; they wait for the same moment.

mod state;

use crate::participant::{Done, Participant, ParticipantError, Voter};
use crate::{TransactionId, Work, proto};
use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use parking_lot::{Mutex, MutexGuard};
use prost::Message;
use quorate::storage::{AppendError, ReadError, RecordLog};
use quorate::{GroupId, Malformed, Node};
use quorate_commit::{Decision, TxnId};
use state::{Changes, Prepared, Record, Refused, State};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::timeout_at;

/// Records are handed to the log at the latest when there are so many bytes of them.
const BATCH_BYTES: usize = 4 << 20;
/// A checkpoint is due when so many bytes of changes are in memory only.
const CHECKPOINT_BYTES: usize = 4 << 20;
/// How long a record waits for another one to share a sync with.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long a transaction waits for the locks of another one: a few syncs.
pub(crate) const LOCK_PATIENCE: Duration = Duration::from_millis(100);
/// Transactions that may wait for locks; more are refused at once.
const PARKED_MAX: usize = 1024;
/// In memory of what the files hold; fjall's own default is 32 MiB.
const CACHE_BYTES: u64 = 8 << 20;
/// The most items of one [`Store::list`], and roughly the most bytes.
pub(crate) const LIST_ITEMS_MAX: usize = 1000;
const LIST_BYTES_MAX: usize = 1 << 20;

/// Where the checkpoint's own data is.
const CHECKPOINT: &str = "checkpoint";

/// Why the embedded store does not open.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Its files.
    #[error("the store's files: {0}")]
    Files(#[from] fjall::Error),
    /// Its records cannot be read.
    #[error("the store's records: {0}")]
    Log(#[from] ReadError),
    /// Its records cannot be written.
    #[error("the store's records: {0}")]
    Append(#[from] AppendError),
    /// A checkpoint that no store has written.
    #[error("the store's checkpoint cannot be read")]
    Checkpoint,
}

/// The embedded store, for reading. Cheap to clone; the clones are one store.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Told whenever locks are given up.
    unlocked: Notify,
}

/// A value, and who is about to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// What was committed last, as far as this member knows: a crash of its own may take what it had just heard from
    /// a coordinator. The key is locked then, until it has heard it again.
    pub value: Option<Bytes>,
    /// The transaction that has locked the key, if one has.
    pub locked_by: Option<TransactionId>,
}

/// A transaction that waits for its outcome here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InDoubt {
    /// The caller's name for it.
    pub id: TransactionId,
    /// What it has locked.
    pub keys: Vec<Bytes>,
}

impl Store {
    /// Opens the store of `node`: its records in `group` of the node's log, its files in the node's data directory.
    /// The second of the two takes part in transactions.
    ///
    /// # Errors
    ///
    /// If files or records cannot be read, or are not the store's.
    pub fn open(node: &Node, group: GroupId) -> Result<(Self, EmbeddedStore), StoreError> {
        let dir = node.options().data.join(format!("store-{}", group.0));
        let db = Database::builder(dir)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .open()?;
        let files = db.keyspace("values", KeyspaceCreateOptions::default)?;
        let own = db.keyspace("own", KeyspaceCreateOptions::default)?;
        let mut state = State::new(files);
        let checkpoint = own
            .get(CHECKPOINT)?
            .map(|bytes| Bytes::copy_from_slice(&bytes));
        let done = match checkpoint {
            None => 0,
            Some(bytes) => restore(bytes, &mut state).ok_or(StoreError::Checkpoint)?,
        };
        node.log().replay_batches(group, &mut |batch, record| {
            if batch > done {
                state.fold(decode(record)?);
            }
            Ok(())
        })?;
        // An empty batch has no record that could tell its number: this one tells it.
        let last = node
            .log()
            .append_lazily(group, Vec::new(), Box::new(|| {}))?;
        let store = Store(Arc::new(Shared {
            state: Mutex::new(state),
            unlocked: Notify::new(),
        }));
        let embedded = EmbeddedStore {
            store: store.clone(),
            db,
            own,
            log: node.log().clone(),
            group,
            collected: Collected::default(),
            parked: VecDeque::new(),
            hurry_at: None,
            last,
            // That of the first batch after it.
            durable: Arc::new(AtomicU64::new(0)),
            leaving: None,
        };
        Ok((store, embedded))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }

    /// What `key` holds, once nobody has it locked, or for so long as `patience`. A caller that has been told that its
    /// transaction has committed finds here what it has written, unless a fault gets in the way.
    ///
    /// # Errors
    ///
    /// If the files cannot be read.
    pub async fn read(&self, key: &Bytes, patience: Duration) -> Result<Read, StoreError> {
        let until = tokio::time::Instant::now() + patience;
        loop {
            let unlocked = self.0.unlocked.notified();
            let read = self.get(key)?;
            let waited = match read.locked_by {
                Some(_) => timeout_at(until, unlocked).await,
                None => return Ok(read),
            };
            if waited.is_err() {
                return Ok(read);
            }
        }
    }

    /// What `key` holds now, and who is about to change it.
    ///
    /// # Errors
    ///
    /// If the files cannot be read.
    pub fn get(&self, key: &Bytes) -> Result<Read, StoreError> {
        let state = self.state();
        Ok(Read {
            value: state.get(key)?,
            locked_by: state.locked_by(key),
        })
    }

    /// Keys and values from `start` to before `end`, an empty `end` meaning to the last key; at most `limit`. And
    /// whether there are more.
    ///
    /// # Errors
    ///
    /// If the files cannot be read.
    pub fn list(
        &self,
        start: &Bytes,
        end: &Bytes,
        limit: usize,
    ) -> Result<(Vec<(Bytes, Bytes)>, bool), StoreError> {
        let state = self.state();
        let until = match end.is_empty() {
            true => Bound::Unbounded,
            false => Bound::Excluded(end.clone()),
        };
        let range = (Bound::Included(start.clone()), until);
        let mut found = Vec::new();
        if !end.is_empty() && start >= end {
            return Ok((found, false));
        }
        // Newer changes hide older ones; the files are only read as far as they are needed.
        let mut changed = state
            .leaving
            .range(range.clone())
            .collect::<BTreeMap<_, _>>();
        changed.extend(state.recent.range(range.clone()));
        let mut changed = changed.into_iter().peekable();
        let mut bytes = 0;
        let mut take = |found: &mut Vec<_>, key: Bytes, value: Bytes| {
            if found.len() >= limit || bytes > LIST_BYTES_MAX {
                return false;
            }
            bytes += key.len() + value.len();
            found.push((key, value));
            true
        };
        for item in state.files.range(range) {
            let (key, value) = item.into_inner()?;
            let key = Bytes::copy_from_slice(&key);
            while let Some((newer, value)) = changed.next_if(|(newer, _)| **newer < key) {
                if let Some(value) = value
                    && !take(&mut found, newer.clone(), value.clone())
                {
                    return Ok((found, true));
                }
            }
            let now = match changed.next_if(|(newer, _)| **newer == key) {
                Some((_, value)) => value.clone(),
                None => Some(Bytes::copy_from_slice(&value)),
            };
            if let Some(value) = now
                && !take(&mut found, key, value)
            {
                return Ok((found, true));
            }
        }
        for (key, value) in changed {
            if let Some(value) = value
                && !take(&mut found, key.clone(), value.clone())
            {
                return Ok((found, true));
            }
        }
        Ok((found, false))
    }

    /// Some of the transactions that wait for their outcome here, the first `limit`, and how many there are.
    pub fn in_doubt(&self, limit: usize) -> (Vec<InDoubt>, usize) {
        let state = self.state();
        let some = state.prepared.values().take(limit);
        let some = some.map(|Prepared { id, locks }| InDoubt {
            id: *id,
            keys: locks.keys().cloned().collect(),
        });
        (some.collect(), state.prepared.len())
    }

    /// What the store knows of a transaction: nothing, that it is open, or its outcome here.
    pub(crate) fn standing(&self, id: TransactionId) -> Option<Option<Decision>> {
        self.state().standing(id)
    }
}

fn decode(record: Bytes) -> Result<Record, Malformed> {
    let record = proto::Record::decode(record).map_err(|why| Malformed::new(why.to_string()))?;
    Record::from_proto(record).ok_or(Malformed::new("a part of a record is missing"))
}

/// Takes what is prepared from a checkpoint; returns up to which batch it goes.
fn restore(bytes: Bytes, state: &mut State) -> Option<u64> {
    let checkpoint = proto::Checkpoint::decode(bytes).ok()?;
    for record in checkpoint.prepared {
        state.fold(Record::from_proto(record)?);
    }
    Some(checkpoint.batch)
}

/// The embedded store as a [`Participant`].
pub struct EmbeddedStore {
    store: Store,
    db: Database,
    own: Keyspace,
    log: RecordLog,
    group: GroupId,
    collected: Collected,
    /// Transactions that wait for locks, the oldest first.
    parked: VecDeque<Parked>,
    /// When what was appended is to be written although nothing else came.
    hurry_at: Option<Instant>,
    /// The last batch that was appended ...
    last: u64,
    /// ... and that is durable.
    durable: Arc<AtomicU64>,
    /// The checkpoint under way.
    leaving: Option<proto::Checkpoint>,
}

/// A transaction that waits for locks.
struct Parked {
    txn: TxnId,
    work: Work,
    vote: Voter,
    until: Instant,
}

/// What is to become the next batch, and who waits for it.
#[derive(Default)]
struct Collected {
    records: Vec<Bytes>,
    bytes: usize,
    /// They vote when it is appended.
    voters: Vec<Voter>,
    /// They are done when it is durable.
    done: Vec<Done>,
}

impl EmbeddedStore {
    fn collect(&mut self, record: Record) {
        let bytes = Bytes::from(proto::Record::from(&record).encode_to_vec());
        self.store.state().fold(record);
        self.collected.bytes += bytes.len();
        self.collected.records.push(bytes);
    }

    /// Prepares, or waits, or refuses.
    fn attempt(&mut self, parked: Parked) {
        let resolved = self.store.state().resolve(&parked.work);
        match resolved {
            Ok(prepared) => {
                self.collect(Record::Prepared(parked.txn, prepared));
                self.collected.voters.push(parked.vote);
            }
            Err(Refused::Locked { .. })
                if Instant::now() < parked.until && self.parked.len() < PARKED_MAX =>
            {
                self.parked.push_back(parked);
            }
            Err(refused) => parked.vote.no(&refused.to_string()),
        }
        if self.collected.bytes >= BATCH_BYTES {
            self.append();
        }
    }

    /// Those who wait try again; the oldest first.
    fn unpark(&mut self) {
        for parked in std::mem::take(&mut self.parked) {
            self.attempt(parked);
        }
    }

    /// Gives up the locks of a transaction, with its changes or without.
    fn settle(&mut self, txn: TxnId, decision: Decision) {
        self.collect(Record::Decided(txn, decision));
        self.store.0.unlocked.notify_waiters();
        self.unpark();
    }

    fn decide(&mut self, txn: TxnId, decision: Decision, done: Done) {
        // What waits for locks has not been voted on: it can only be aborted.
        self.parked.retain(|parked| parked.txn != txn);
        let is_news = self.store.state().prepared.contains_key(&txn);
        if is_news {
            self.settle(txn, decision);
        }
        // Also of one that was decided before: its record is in this batch or an earlier one.
        self.collected.done.push(done);
    }

    /// Hands over what was collected.
    fn append(&mut self) {
        let Collected {
            records,
            voters,
            done,
            ..
        } = std::mem::take(&mut self.collected);
        if records.is_empty() && done.is_empty() {
            return;
        }
        let durable = self.durable.clone();
        let number = self.last + 1;
        let told = Box::new(move || {
            durable.store(number, Ordering::Release);
            done.into_iter().for_each(Done::say);
        });
        match self.log.append_lazily(self.group, records, told) {
            Ok(batch) => {
                debug_assert_eq!(batch, number);
                self.last = batch;
                voters.into_iter().for_each(Voter::yes);
                self.hurry_at
                    .get_or_insert_with(|| Instant::now() + PATIENCE);
            }
            // The node is stopping, in order or not: nothing that is said now would be durable.
            Err(error) => tracing::error!(%error, "the store can write no more"),
        }
    }

    /// Begins a checkpoint if there is enough to write.
    fn begin_checkpoint(&mut self) {
        let mut state = self.store.state();
        if self.leaving.is_some() || state.recent_bytes < CHECKPOINT_BYTES {
            return;
        }
        state.leaving = std::mem::take(&mut state.recent);
        state.recent_bytes = 0;
        let prepared = state.prepared.iter();
        let prepared = prepared.map(|(txn, one)| Record::Prepared(*txn, one.clone()));
        self.leaving = Some(proto::Checkpoint {
            batch: self.last,
            prepared: prepared.map(|record| (&record).into()).collect(),
        });
    }

    /// Ends the checkpoint under way if the log has everything that is in it.
    fn end_checkpoint(&mut self) -> Result<(), fjall::Error> {
        let durable = self.durable.load(Ordering::Acquire);
        let Some(checkpoint) = self.leaving.take_if(|one| one.batch <= durable) else {
            return Ok(());
        };
        let leaving = self.store.state().leaving.clone();
        let files = self.store.state().files.clone();
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncAll));
        for (key, value) in leaving {
            match value {
                Some(value) => batch.insert(&files, &key[..], &value[..]),
                None => batch.remove(&files, &key[..]),
            }
        }
        batch.insert(&self.own, CHECKPOINT, checkpoint.encode_to_vec());
        batch.commit()?;
        self.store.state().leaving = Changes::new();
        self.log.release(self.group, checkpoint.batch);
        Ok(())
    }
}

impl Participant for EmbeddedStore {
    fn in_doubt(&mut self) -> Vec<TxnId> {
        self.store.state().prepared.keys().copied().collect()
    }

    fn prepare(&mut self, txn: TxnId, work: Bytes, vote: Voter) {
        match Work::decode(work) {
            Ok(work) => self.attempt(Parked {
                txn,
                work,
                vote,
                until: Instant::now() + LOCK_PATIENCE,
            }),
            Err(malformed) => vote.no(&malformed.to_string()),
        }
    }

    fn commit(&mut self, txn: TxnId, done: Done) {
        self.decide(txn, Decision::Commit, done);
    }

    fn abort(&mut self, txn: TxnId, done: Done) {
        self.decide(txn, Decision::Abort, done);
    }

    fn idle(&mut self) -> Result<Option<Duration>, ParticipantError> {
        let now = Instant::now();
        if self
            .parked
            .front()
            .is_some_and(|oldest| oldest.until <= now)
        {
            self.unpark();
        }
        self.append();
        self.begin_checkpoint();
        self.end_checkpoint()?;
        if self.hurry_at.is_some_and(|at| at <= now) {
            self.log.hurry();
            self.hurry_at = None;
        }
        let next = self.parked.front().map(|oldest| oldest.until);
        let next = next.into_iter().chain(self.hurry_at).min();
        Ok(next.map(|at| at.saturating_duration_since(now)))
    }
}

#[cfg(test)]
mod tests;
