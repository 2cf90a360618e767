//! A part of the store that expires as a whole.
//!
//! Traces expire by the thousand: deleting them one by one would cost a tombstone each, and compactions
//! that write what is left once more. A partition is a keyspace of its own, and expiry removes its files.

use fjall::config::CompressionPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions};
use parking_lot::RwLock;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::block::{Entry, Kind, key};
use crate::{Figures, StoreError};

const NAME_PREFIX: &str = "partition-";
/// The key of the time at which the partition was begun.
const BEGUN: [u8; 1] = [b'b'];
/// Longer values are written once and never by a compaction: spans and summaries.
const SEPARATED_BYTES: u32 = 1024;
/// What is in memory before it is written to files; while it is written, as much again.
const MEMTABLE_BYTES: u64 = 16 << 20;

/// A keyspace, and its index in memory.
pub(crate) struct Partition {
    pub(crate) number: u32,
    pub(crate) keyspace: Keyspace,
    pub(crate) begun: SystemTime,
    /// In the order of their numbers.
    pub(crate) entries: RwLock<Vec<Entry>>,
}

impl Partition {
    /// Begins a new one, durably.
    pub(crate) fn create(db: &Database, number: u32) -> Result<Partition, StoreError> {
        let keyspace = db.keyspace(&name(number), options)?;
        let begun = SystemTime::now();
        let since_1970 = begun.duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since_1970.unwrap_or_default().as_secs();
        let mut batch = db.batch().durability(Some(fjall::PersistMode::SyncAll));
        batch.insert(&keyspace, BEGUN, seconds.to_be_bytes());
        batch.commit()?;
        Ok(Partition {
            number,
            keyspace,
            begun,
            entries: RwLock::default(),
        })
    }

    /// Opens all that are there, oldest first.
    pub(crate) fn open_all(db: &Database) -> Result<Vec<Partition>, StoreError> {
        let mut found = Vec::new();
        for name in db.list_keyspace_names() {
            let number = name.strip_prefix(NAME_PREFIX);
            if let Some(number) = number.and_then(|number| number.parse().ok()) {
                found.push(Partition::open(db, number)?);
            }
        }
        found.sort_by_key(|partition| partition.number);
        Ok(found)
    }

    fn open(db: &Database, number: u32) -> Result<Partition, StoreError> {
        let keyspace = db.keyspace(&name(number), options)?;
        let seconds = keyspace.get(BEGUN)?;
        let seconds = seconds.and_then(|bytes| Some(u64::from_be_bytes(*bytes.first_chunk()?)));
        let mut entries = Vec::new();
        for item in keyspace.range(key(Kind::Entry, 0)..=key(Kind::Entry, u64::MAX)) {
            entries.push(Entry::decode(&item.value()?)?);
        }
        Ok(Partition {
            number,
            keyspace,
            // A crash between creation and the first write leaves none.
            begun: seconds.map_or_else(SystemTime::now, |seconds| {
                SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
            }),
            entries: RwLock::new(entries),
        })
    }

    /// Has what is in memory only written to files, in the background. When hardly anything more is to come, it
    /// would stay in memory, and its journals on the disk, until the journals are too many.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        self.keyspace.rotate_memtable()?;
        Ok(())
    }

    /// Removes its files, as soon as no query reads them any more.
    pub(crate) fn remove(self: Arc<Self>, db: &Database) -> Result<(), StoreError> {
        Ok(db.delete_keyspace(self.keyspace.clone())?)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.read().is_empty()
    }

    pub(crate) fn stored_bytes(&self) -> u64 {
        self.entries
            .read()
            .iter()
            .map(|entry| entry.stored_bytes)
            .sum()
    }

    pub(crate) fn last_block(&self) -> u64 {
        self.entries.read().last().map_or(0, |entry| entry.block)
    }

    pub(crate) fn add_figures(&self, figures: &mut Figures) {
        figures.partitions += 1;
        for entry in self.entries.read().iter() {
            figures.traces += u64::from(entry.new_traces);
            figures.amendments += u64::from(entry.amendments);
            figures.dropped += u64::from(entry.dropped);
            figures.spans += entry.spans;
            figures.raw_bytes += entry.raw_bytes;
            figures.stored_bytes += entry.stored_bytes;
            if entry.min_start <= entry.max_start {
                let oldest = figures.oldest_ns.unwrap_or(u64::MAX);
                figures.oldest_ns = Some(oldest.min(entry.min_start));
                figures.newest_ns = figures.newest_ns.max(Some(entry.max_start));
            }
        }
    }
}

fn name(number: u32) -> String {
    format!("{NAME_PREFIX}{number:010}")
}

fn options() -> KeyspaceCreateOptions {
    let separation = KvSeparationOptions::default().separation_threshold(SEPARATED_BYTES);
    KeyspaceCreateOptions::default()
        .max_memtable_size(MEMTABLE_BYTES)
        .data_block_compression_policy(CompressionPolicy::disabled())
        .with_kv_separation(Some(separation))
}
