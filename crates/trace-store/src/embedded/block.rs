//! What one put writes into a partition: chunks of spans, a table of summaries, and an entry of the
//! index.
//!
//! Traces are not stored one by one. Neighbours share most of their text, so compressed together they
//! are smaller than alone and cost less; and a block is a dozen writes into the tree instead of
//! thousands. A trace is read by decompressing the one chunk that it is in.

use fjall::{Keyspace, OwnedWriteBatch, UserValue};
use serde::{Deserialize, Serialize};

use super::head::Location;
use super::row::{Row, severity_number, verdict_number};
use crate::{Fragment, Query, StoreError};

/// A chunk is closed when it has this much before compression: enough for the compression to find what
/// repeats, little enough to be decompressed for one trace.
const CHUNK_BYTES: usize = 128 << 10;
/// What is in memory at once when a trace is read.
pub(crate) const FRAGMENT_BYTES_MAX: usize = 1 << 30;
/// The level at which zstd takes a fifth less time than lz4, and a tenth less space.
const COMPRESSION_LEVEL: i32 = -4;

/// A block in the index: which queries it cannot have an answer for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) block: u64,
    pub(crate) min_start: u64,
    pub(crate) max_start: u64,
    max_duration: u64,
    /// One bit for each service, by its hash.
    services: u128,
    /// Of the worst fault.
    severity: u8,
    /// One bit for each verdict.
    verdicts: u8,
    has_errors: bool,
    /// Rows that are the first of their trace.
    pub(crate) new_traces: u32,
    pub(crate) amendments: u32,
    pub(crate) dropped: u32,
    pub(crate) spans: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) stored_bytes: u64,
}

impl Entry {
    fn empty(block: u64) -> Entry {
        Entry {
            block,
            min_start: u64::MAX,
            max_start: 0,
            max_duration: 0,
            services: 0,
            severity: 0,
            verdicts: 0,
            has_errors: false,
            new_traces: 0,
            amendments: 0,
            dropped: 0,
            spans: 0,
            raw_bytes: 0,
            stored_bytes: 0,
        }
    }

    /// Whether a trace in the block may fit. A false yes costs time.
    pub(crate) fn may_fit(&self, query: &Query) -> bool {
        let service = query.service.as_ref().map(bit);
        query.start_ns.is_none_or(|start| self.max_start >= start)
            && query.end_ns.is_none_or(|end| self.min_start <= end)
            && query
                .min_duration_ns
                .is_none_or(|min| self.max_duration >= min)
            && query
                .has_error
                .is_none_or(|wanted| self.has_errors || !wanted)
            && query
                .verdict
                .is_none_or(|wanted| self.verdicts & 1 << verdict_number(wanted) != 0)
            && query
                .min_severity
                .is_none_or(|min| self.severity >= severity_number(min))
            && service.is_none_or(|bit| self.services & bit != 0)
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        postcard::to_stdvec(self).map_err(|error| StoreError::damaged(error.to_string()))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Entry, StoreError> {
        postcard::from_bytes(bytes)
            .map_err(|_| StoreError::damaged("an entry of the index cannot be read"))
    }

    fn count(&mut self, row: &Row<'_>, raw_bytes: usize, spans: usize, is_first: bool) {
        if is_first {
            self.new_traces += 1;
        } else {
            self.amendments += 1;
        }
        if !row.kept {
            // Not found by any query.
            self.dropped += 1;
            return;
        }
        self.min_start = self.min_start.min(row.start_ns);
        self.max_start = self.max_start.max(row.start_ns);
        self.max_duration = self.max_duration.max(row.duration_ns());
        self.services |= row.services().map(bit).fold(0, |all, bit| all | bit);
        self.severity = self.severity.max(row.severity());
        self.verdicts |= 1 << row.verdict();
        self.has_errors |= row.errors() > 0;
        self.spans += spans as u64;
        self.raw_bytes += raw_bytes as u64;
    }
}

/// The bit of a service's name: FNV-1a, which is part of the format.
fn bit(service: impl AsRef<str>) -> u128 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = service.as_ref().bytes().fold(0xcbf2_9ce4_8422_2325, step);
    1 << (hash >> 57)
}

/// A block that is being put together.
pub(crate) struct Builder<'a> {
    entry: Entry,
    rows: Vec<Row<'a>>,
    /// The chunk that is being filled.
    chunk: Vec<u8>,
    chunks: Vec<UserValue>,
}

pub(crate) const LENGTH_BYTES: usize = 4;

/// Compresses parts of blocks; keeps its tables and its buffer for the next one.
pub(crate) struct Compressor {
    zstd: zstd::bulk::Compressor<'static>,
    out: Vec<u8>,
}

impl Compressor {
    pub(crate) fn new() -> Result<Compressor, StoreError> {
        Ok(Compressor {
            zstd: zstd::bulk::Compressor::new(COMPRESSION_LEVEL)?,
            out: Vec::new(),
        })
    }

    /// The length of `part` in 4 bytes little-endian, and a zstd frame.
    fn compress(&mut self, part: &[u8]) -> Result<UserValue, StoreError> {
        let room = LENGTH_BYTES + zstd::zstd_safe::compress_bound(part.len());
        if self.out.len() < room {
            self.out.resize(room, 0);
        }
        let (length, frame) = self.out.split_at_mut(LENGTH_BYTES);
        length.copy_from_slice(&(part.len() as u32).to_le_bytes());
        let written = self.zstd.compress_to_buffer(part, frame)?;
        let compressed = UserValue::from(&self.out[..LENGTH_BYTES + written]);
        // A long trace must not keep its buffer for ever.
        self.out.truncate(4 * CHUNK_BYTES);
        self.out.shrink_to_fit();
        Ok(compressed)
    }
}

impl<'a> Builder<'a> {
    pub(crate) fn new(block: u64) -> Builder<'a> {
        Builder {
            entry: Entry::empty(block),
            rows: Vec::new(),
            chunk: Vec::new(),
            chunks: Vec::new(),
        }
    }

    /// Adds a fragment; says where it will be.
    pub(crate) fn add(
        &mut self,
        fragment: &'a Fragment,
        is_first: bool,
        compressor: &mut Compressor,
    ) -> Result<Location, StoreError> {
        let spans: &[u8] = if fragment.decision.is_kept() {
            &fragment.spans
        } else {
            &[]
        };
        if spans.len() > FRAGMENT_BYTES_MAX {
            let bytes = spans.len();
            return Err(StoreError::TooLarge { bytes });
        }
        if !self.chunk.is_empty() && self.chunk.len() + spans.len() > CHUNK_BYTES {
            self.close_chunk(compressor)?;
        }
        let row = Row::new(fragment);
        self.entry
            .count(&row, spans.len(), fragment.ids.len(), is_first);
        let location = Location {
            revision: fragment.revision,
            block: self.entry.block,
            row: self.rows.len() as u32,
            chunk: self.chunks.len() as u32,
            offset: self.chunk.len() as u32,
            length: spans.len() as u32,
        };
        self.rows.push(row);
        self.chunk.extend_from_slice(spans);
        Ok(location)
    }

    fn close_chunk(&mut self, compressor: &mut Compressor) -> Result<(), StoreError> {
        let compressed = compressor.compress(&self.chunk)?;
        self.entry.stored_bytes += compressed.len() as u64;
        self.chunks.push(compressed);
        self.chunk.clear();
        Ok(())
    }

    /// Adds the block to a batch of writes; returns its entry.
    pub(crate) fn finish(
        mut self,
        batch: &mut OwnedWriteBatch,
        keyspace: &Keyspace,
        compressor: &mut Compressor,
    ) -> Result<Entry, StoreError> {
        if !self.chunk.is_empty() {
            self.close_chunk(compressor)?;
        }
        let rows = postcard::to_stdvec(&self.rows)
            .map_err(|error| StoreError::damaged(error.to_string()))?;
        let rows = compressor.compress(&rows)?;
        self.entry.stored_bytes += rows.len() as u64;
        let block = self.entry.block;
        for (number, chunk) in (0..).zip(self.chunks) {
            batch.insert(keyspace, chunk_key(block, number), chunk);
        }
        batch.insert(keyspace, key(Kind::Rows, block), rows);
        batch.insert(keyspace, key(Kind::Entry, block), self.entry.encode()?);
        Ok(self.entry)
    }
}

/// What a key of a partition stands for: its first byte.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Kind {
    Chunk = b'c',
    Entry = b'i',
    Rows = b's',
}

pub(crate) fn key(kind: Kind, block: u64) -> [u8; 9] {
    let mut key = [kind as u8; 9];
    key[1..].copy_from_slice(&block.to_be_bytes());
    key
}

pub(crate) fn chunk_key(block: u64, chunk: u32) -> [u8; 13] {
    let mut whole = [0; 13];
    whole[..9].copy_from_slice(&key(Kind::Chunk, block));
    whole[9..].copy_from_slice(&chunk.to_be_bytes());
    whole
}

/// The summaries in `table`.
pub(crate) fn rows(table: &[u8]) -> Result<Vec<Row<'_>>, StoreError> {
    postcard::from_bytes(table).map_err(|_| StoreError::damaged("summaries cannot be read"))
}

/// The summary of this number in `table`.
pub(crate) fn row(table: &[u8], number: u32) -> Result<Row<'_>, StoreError> {
    let damaged = |_| StoreError::damaged("summaries cannot be read");
    let (count, mut rest) = postcard::take_from_bytes::<u32>(table).map_err(damaged)?;
    if number >= count {
        return Err(StoreError::damaged("a summary is missing"));
    }
    for _ in 0..number {
        (_, rest) = postcard::take_from_bytes::<Row<'_>>(rest).map_err(damaged)?;
    }
    let (row, _) = postcard::take_from_bytes(rest).map_err(damaged)?;
    Ok(row)
}
