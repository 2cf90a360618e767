//! The store in one directory, on an LSM tree.
//!
//! # What is where
//!
//! ```text
//! keyspace "traces"       trace id                  → partition, and where each revision is
//! keyspace "partition-N"  c, block number, chunk    → spans of some traces, compressed together
//!                         s, block number           → the summaries of the block, compressed together
//!                         i, block number           → its entry in the index: which queries may fit
//!                         b                         → when the partition was begun
//! keyspace "names"        service, kind, operation  → the partition that last used it
//! ```
//!
//! One put is one block (one in each partition that it amends), written in one batch with one sync: the
//! tree's journal holds all of it before put returns. Looking for a trace that is not there, which the
//! collector does for every trace that it seals, asks the tree's filters and mostly ends there.
//!
//! Search has no index by service or tag. A dozen index entries a trace would cost more than all the
//! rest, and Tempo shows that summaries that are small and together are read fast enough: an entry of
//! the index, in memory, says for two hundred traces at once whether reading their summaries can be
//! worth it.
//!
//! # What the tree does with it
//!
//! Spans and summaries are long values, which the tree writes to its journal and, later, to a file of
//! values, and then never again: compactions move only keys. Keys of a partition are removed with all of
//! its files; keys in "traces" are forgotten when they are compacted anyway. So no deletion is ever
//! written, and no expiry makes intake wait.
//!
//! A revision goes into the partition of its trace's first one, so that a trace expires whole.

mod block;
mod handle;
mod head;
mod names;
mod partition;
mod reader;
mod row;
mod search;

use bytes::{Bytes, BytesMut};
use fjall::config::CompressionPolicy;
use fjall::{AbstractTree, Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use parking_lot::{Mutex, RwLock};
use quorate_trace::TraceId;
use quorate_trace::wire::SpanKind;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::{
    Base, Expired, Figures, Found, Fragment, Query, Retention, StoreError, Stored, TagKeys,
    TraceStore,
};
use block::{Builder, Compressor, Entry};
pub use handle::EmbeddedStore;
use head::{ExpiredHeads, Head};
use names::Names;
use partition::Partition;
use reader::Reader;
use search::{Search, part, scan};

/// Fragments of one block at most, and about how many bytes of them: what a search reads at once, and
/// what has to be in memory together.
const BLOCK_FRAGMENTS: usize = 256;
/// Partitions that the retention consists of. More of them expire more evenly, and cost files.
const PARTITIONS: u32 = 8;
/// Journals are kept until all keyspaces have written what is in them to files of their own. So this bounds what
/// the keyspaces together have in memory and in no file yet, but for one journal of 64 MiB.
const JOURNAL_BYTES: u64 = 128 << 20;
const CACHE_BYTES: u64 = 32 << 20;
/// Threads that write memory to files and compact them. Of several, one only writes, and turns round without a rest
/// while another compacts (fjall 3.1); and there is not enough to do for two.
const WORKERS: usize = 1;
/// Files that stay open for reading: connections need descriptors too, and a process often may have no more
/// than 1024.
const FILES_MAX: usize = 256;
/// How long all memory may take to be in files when the store is opened again after a failure.
const FLUSH_PATIENCE: Duration = Duration::from_secs(30);
const FLUSH_POLL: Duration = Duration::from_millis(5);
/// Spans that are read to know which tags there are.
const TAGS_BYTES: usize = 16 << 20;
const TAGS_MAX: usize = 1000;

/// The store as it is open. Once a write has failed it takes no more of them.
struct Tree {
    db: Database,
    heads: Keyspace,
    names_keyspace: Keyspace,
    /// Never empty; the last is the one that new traces go to.
    partitions: RwLock<BTreeMap<u32, Arc<Partition>>>,
    /// The number of the first of them.
    oldest: Arc<AtomicU32>,
    names: RwLock<Names>,
    reader: Reader,
    writer: Mutex<Writer>,
}

/// What whoever writes holds.
struct Writer {
    /// The number of the next block.
    next_block: u64,
    compressor: Compressor,
}

impl Tree {
    fn open(dir: &Path) -> Result<Tree, StoreError> {
        let oldest = Arc::new(AtomicU32::new(0));
        let expired = Arc::new(ExpiredHeads {
            oldest: Arc::clone(&oldest),
        });
        let filters =
            move |keyspace: &str| (keyspace == "traces").then(|| Arc::clone(&expired) as Arc<_>);
        let opened = Database::builder(dir)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(WORKERS)
            .max_cached_files(Some(FILES_MAX))
            .with_compaction_filter_factories(Arc::new(filters))
            .open();
        let db = opened.map_err(|error| match error {
            fjall::Error::Locked => StoreError::InUse {
                dir: dir.to_owned(),
            },
            error => error.into(),
        })?;
        let heads = db.keyspace("traces", small_values)?;
        let names_keyspace = db.keyspace("names", small_values)?;
        let names = Names::open(&names_keyspace)?;
        let mut partitions = Partition::open_all(&db)?;
        if partitions.is_empty() {
            partitions.push(Partition::create(&db, 1)?);
        }
        oldest.store(partitions[0].number, Ordering::Release);
        let last_block = partitions.iter().map(Partition::last_block).max();
        let numbered = partitions
            .into_iter()
            .map(|part| (part.number, Arc::new(part)));
        Ok(Tree {
            heads,
            names_keyspace,
            partitions: RwLock::new(numbered.collect()),
            oldest,
            names: RwLock::new(names),
            reader: Reader::default(),
            writer: Mutex::new(Writer {
                next_block: last_block.unwrap_or(0) + 1,
                compressor: Compressor::new()?,
            }),
            db,
        })
    }

    /// Has all that is in memory only written to new files, and waits for it, as long as the writing gets on.
    fn flush(&self) -> Result<(), StoreError> {
        let partitions: Vec<_> = self.partitions.read().values().cloned().collect();
        let keyspaces = partitions.iter().map(|partition| &partition.keyspace);
        let keyspaces: Vec<&Keyspace> = keyspaces
            .chain([&self.heads, &self.names_keyspace])
            .collect();
        for keyspace in &keyspaces {
            keyspace.rotate_memtable()?;
        }
        let end = Instant::now() + FLUSH_PATIENCE;
        for keyspace in keyspaces {
            while keyspace.tree.sealed_memtable_count() > 0 {
                // Refused if those who write the files have failed.
                self.db.persist(PersistMode::Buffer)?;
                if Instant::now() > end {
                    return Err(StoreError::Stopped);
                }
                std::thread::sleep(FLUSH_POLL);
            }
        }
        Ok(())
    }

    /// The revisions of a trace that has not expired.
    fn head(&self, trace: TraceId) -> Result<Option<Head>, StoreError> {
        let Some(bytes) = self.heads.get(trace.bytes())? else {
            return Ok(None);
        };
        let head = Head::decode(&bytes)?;
        let is_there = head.partition >= self.oldest.load(Ordering::Acquire);
        Ok(is_there.then_some(head))
    }

    fn partition(&self, number: u32) -> Option<Arc<Partition>> {
        self.partitions.read().get(&number).cloned()
    }

    fn stored(&self, trace: TraceId) -> Result<Option<Stored>, StoreError> {
        let Some(head) = self.head(trace)? else {
            return Ok(None);
        };
        let (Some(partition), Some(latest)) = (self.partition(head.partition), head.latest())
        else {
            return Ok(None);
        };
        let table = self.reader.read(&partition.keyspace, latest.rows())?;
        let row = block::row(&table, latest.row)?;
        let mut spans = Vec::new();
        for location in head.revisions.iter().filter(|location| location.length > 0) {
            let chunk = self.reader.read(&partition.keyspace, location.chunk())?;
            spans.push(part(&chunk, location.offset, location.length)?);
        }
        Ok(Some(Stored {
            summary: row.summary()?,
            spans: joined(spans),
        }))
    }

    /// Whether `result` is an error only because the trace expired while it was read.
    fn unless_expired<T>(
        &self,
        trace: TraceId,
        result: Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match result {
            Err(error) if self.head(trace)?.is_some() => Err(error),
            Err(_) => Ok(None),
            found => found,
        }
    }

    fn read_base(&self, trace: TraceId) -> Result<Option<Base>, StoreError> {
        let Some(head) = self.head(trace)? else {
            return Ok(None);
        };
        let (Some(partition), Some(latest)) = (self.partition(head.partition), head.latest())
        else {
            return Ok(None);
        };
        let mut ids = Vec::new();
        let mut decision = None;
        for location in &head.revisions {
            let table = self.reader.read(&partition.keyspace, location.rows())?;
            let row = block::row(&table, location.row)?;
            if location.revision == latest.revision {
                decision = Some(row.decision());
            }
            ids.extend(row.dropped_ids());
            if location.length > 0 {
                let chunk = self.reader.read(&partition.keyspace, location.chunk())?;
                let batch = scan(part(&chunk, location.offset, location.length)?)?;
                ids.extend(batch.spans().map(|span| (span.key(), span.parent)));
            }
        }
        let revision = latest.revision;
        Ok(decision.map(|decision| Base {
            revision,
            ids,
            decision,
        }))
    }

    /// Begins a new partition if the last is an eighth of what may stay.
    fn roll(&self, retention: &Retention) -> Result<(), StoreError> {
        let last = self.partitions.read().values().next_back().cloned();
        let Some(last) = last.filter(|last| !last.is_empty()) else {
            return Ok(());
        };
        let age = SystemTime::now()
            .duration_since(last.begun)
            .unwrap_or_default();
        let is_old = age >= retention.max_age / PARTITIONS;
        if is_old || last.stored_bytes() >= retention.max_bytes / u64::from(PARTITIONS) {
            let next = Partition::create(&self.db, last.number + 1)?;
            self.partitions.write().insert(next.number, Arc::new(next));
            last.flush()?;
        }
        Ok(())
    }

    /// Takes the partitions out that are too old or too much; the one that is written to stays.
    fn take_expired(&self, retention: &Retention) -> Vec<Arc<Partition>> {
        let mut partitions = self.partitions.write();
        let mut bytes: u64 = partitions.values().map(|part| part.stored_bytes()).sum();
        let mut expired = Vec::new();
        while partitions.len() > 1 {
            // It was written to until the next was begun.
            let ended = partitions.values().nth(1).map(|next| next.begun);
            let age = ended.and_then(|ended| SystemTime::now().duration_since(ended).ok());
            let is_old = age.is_some_and(|age| age >= retention.max_age);
            if !is_old && bytes <= retention.max_bytes {
                break;
            }
            if let Some((_, partition)) = partitions.pop_first() {
                bytes -= partition.stored_bytes();
                expired.push(partition);
            }
        }
        if let Some((oldest, _)) = partitions.first_key_value() {
            self.oldest.store(*oldest, Ordering::Release);
        }
        expired
    }
}

/// A put on its way: nothing of it is in memory before it is durable.
struct Put<'s, 'f> {
    store: &'s Tree,
    writer: &'s mut Writer,
    current: Arc<Partition>,
    heads: HashMap<TraceId, Head>,
    open: HashMap<u32, (Arc<Partition>, Builder<'f>, usize)>,
    finished: Vec<(Arc<Partition>, Entry)>,
    names: Vec<names::Used>,
    batch: fjall::OwnedWriteBatch,
}

impl<'s, 'f> Put<'s, 'f> {
    fn new(store: &'s Tree, writer: &'s mut Writer) -> Result<Put<'s, 'f>, StoreError> {
        let current = store.partitions.read().values().next_back().cloned();
        let current = current.ok_or_else(|| StoreError::damaged("there is no partition"))?;
        Ok(Put {
            store,
            current,
            writer,
            heads: HashMap::new(),
            open: HashMap::new(),
            finished: Vec::new(),
            names: Vec::new(),
            batch: store.db.batch().durability(Some(PersistMode::SyncData)),
        })
    }

    fn add(&mut self, fragment: &'f Fragment) -> Result<(), StoreError> {
        let trace = fragment.trace_id;
        let known = match self.heads.get(&trace) {
            Some(head) => Some(head.clone()),
            None => self.store.head(trace)?,
        };
        let is_first = known.is_none();
        let mut head = known.unwrap_or_else(|| Head {
            partition: self.current.number,
            revisions: Vec::new(),
        });
        // Expiry waits for the writer.
        let partition = self.store.partition(head.partition);
        let partition = partition.ok_or_else(|| StoreError::damaged("a partition is missing"))?;
        if !head.has(fragment.revision) {
            if fragment.decision.is_kept() {
                let names = self.store.names.read();
                names.news(fragment, partition.number, &mut self.names);
            }
            let (block, compressor) = self.block(partition)?;
            let location = block.add(fragment, is_first, compressor)?;
            head.revisions.push(location);
            self.heads.insert(trace, head);
        }
        Ok(())
    }

    /// The block that is open in the partition, and what compresses it.
    fn block(
        &mut self,
        partition: Arc<Partition>,
    ) -> Result<(&mut Builder<'f>, &mut Compressor), StoreError> {
        let number = partition.number;
        if self
            .open
            .get(&number)
            .is_some_and(|(_, _, count)| *count >= BLOCK_FRAGMENTS)
        {
            self.close(number)?;
        }
        let Writer {
            next_block,
            compressor,
        } = &mut *self.writer;
        let (_, builder, count) = self.open.entry(number).or_insert_with(|| {
            *next_block += 1;
            (partition, Builder::new(*next_block - 1), 0)
        });
        *count += 1;
        Ok((builder, compressor))
    }

    fn close(&mut self, number: u32) -> Result<(), StoreError> {
        if let Some((partition, builder, _)) = self.open.remove(&number) {
            let entry = builder.finish(
                &mut self.batch,
                &partition.keyspace,
                &mut self.writer.compressor,
            )?;
            self.finished.push((partition, entry));
        }
        Ok(())
    }

    /// Makes it durable, then visible.
    fn commit(mut self) -> Result<(), StoreError> {
        for number in self.open.keys().copied().collect::<Vec<_>>() {
            self.close(number)?;
        }
        for (trace, head) in &self.heads {
            self.batch
                .insert(&self.store.heads, *trace.bytes(), head.encode());
        }
        for used in &self.names {
            used.write(&mut self.batch, &self.store.names_keyspace);
        }
        self.batch.commit()?;
        for (partition, entry) in self.finished {
            partition.entries.write().push(entry);
        }
        if !self.names.is_empty() {
            let mut names = self.store.names.write();
            self.names.into_iter().for_each(|used| names.add(used));
        }
        Ok(())
    }
}

impl TraceStore for Tree {
    fn put(&self, fragments: &[Fragment]) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        let mut put = Put::new(self, &mut writer)?;
        for fragment in fragments {
            put.add(fragment)?;
        }
        put.commit()
    }

    fn base(&self, trace: TraceId) -> Result<Option<Base>, StoreError> {
        self.unless_expired(trace, self.read_base(trace))
    }

    fn get(&self, trace: TraceId) -> Result<Option<Stored>, StoreError> {
        self.unless_expired(trace, self.stored(trace))
    }

    fn search(&self, query: &Query) -> Result<Found, StoreError> {
        Search::new(self, query).run()
    }

    fn services(&self) -> Vec<String> {
        self.names.read().services()
    }

    fn operations(&self, service: &str, kind: Option<SpanKind>) -> Vec<(String, SpanKind)> {
        self.names.read().operations(service, kind)
    }

    fn tag_keys(&self) -> Result<TagKeys, StoreError> {
        let (mut resource, mut span) = (BTreeSet::new(), BTreeSet::new());
        self.recent(TAGS_BYTES, &mut |found| {
            for (key, _) in found.resource_attributes() {
                if resource.len() < TAGS_MAX && !resource.contains(key) {
                    resource.insert(key.to_owned());
                }
            }
            for (key, _) in found.attributes() {
                if span.len() < TAGS_MAX && !span.contains(key) {
                    span.insert(key.to_owned());
                }
            }
            true
        })?;
        Ok(TagKeys {
            resource: resource.into_iter().collect(),
            span: span.into_iter().collect(),
        })
    }

    fn tag_values(&self, key: &str) -> Result<Vec<String>, StoreError> {
        let mut values = BTreeSet::new();
        self.recent(TAGS_BYTES, &mut |span| {
            let attributes = span.attributes().chain(span.resource_attributes());
            for (_, value) in attributes.filter(|(name, _)| *name == key) {
                if let Some(text) = value.to_text()
                    && !values.contains(text.as_ref())
                {
                    values.insert(text.into_owned());
                }
            }
            values.len() < TAGS_MAX
        })?;
        Ok(values.into_iter().collect())
    }

    fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for partition in self.partitions.read().values() {
            partition.add_figures(&mut figures);
        }
        // Where the files cannot be asked, what was written is the best that is known.
        figures.disk_bytes = self.db.disk_space().unwrap_or(figures.stored_bytes);
        figures.buffered_bytes = self.db.write_buffer_size();
        figures.cached_bytes = self.db.cache_size() + self.reader.bytes() as u64;
        figures.names = self.names.read().len() as u64;
        figures
    }

    fn expire(&self, retention: &Retention) -> Result<Expired, StoreError> {
        let writer = self.writer.lock();
        self.roll(retention)?;
        let partitions = self.take_expired(retention);
        if partitions.is_empty() {
            return Ok(Expired::default());
        }
        let mut batch = self.db.batch();
        let oldest = self.oldest.load(Ordering::Acquire);
        let mut names = self.names.write();
        names.expire(oldest, &mut batch, &self.names_keyspace);
        batch.commit()?;
        drop(names);
        drop(writer);
        let mut expired = Expired::default();
        for partition in partitions {
            let mut figures = Figures::default();
            partition.add_figures(&mut figures);
            expired.traces += figures.traces;
            expired.bytes += figures.stored_bytes;
            partition.remove(&self.db)?;
        }
        Ok(expired)
    }
}

fn small_values() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(16 << 20)
        .data_block_compression_policy(CompressionPolicy::disabled())
}

/// Messages one after the other are one message.
fn joined(mut messages: Vec<Bytes>) -> Bytes {
    if messages.len() < 2 {
        return messages.pop().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(messages.iter().map(Bytes::len).sum());
    messages
        .iter()
        .for_each(|message| whole.extend_from_slice(message));
    whole.freeze()
}
