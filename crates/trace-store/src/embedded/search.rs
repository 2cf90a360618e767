//! Finding the newest traces that fit.
//!
//! Blocks are visited in the order of their latest trace, newest first, those left out that cannot have
//! an answer. The search ends when as many were found as are wanted and no block that is left can have
//! a newer one. Summaries decide on everything but tags, for which the spans are read.
//!
//! There are bounds on how much one search looks at. If one is reached the answer says so.

use bytes::Bytes;
use quorate_trace::TraceId;
use quorate_trace::wire::{Batch, Limits, Span, StatusCode};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

use super::block;
use super::partition::Partition;
use super::reader::Part;
use super::row::Row;
use super::{Tree, head::Head};
use crate::{Found, Query, StoreError, Summary};

/// Summaries that are looked at.
const SUMMARIES_MAX: u64 = 2_000_000;
/// Bytes of spans that are scanned for tags, decompressed.
const SCANNED_BYTES_MAX: u64 = 2 << 30;
/// What was stored is scanned as it is: limits were for whom it came from.
pub(crate) const NO_LIMITS: Limits = Limits {
    attributes: u32::MAX,
    nesting: 100,
};

pub(crate) struct Search<'s> {
    store: &'s Tree,
    query: &'s Query,
    limit: usize,
    /// The earliest is on top, to make room for a later one.
    found: BinaryHeap<Reverse<(u64, [u8; 16])>>,
    summaries: Vec<Summary>,
    examined: u64,
    scanned_bytes: u64,
    /// The chunk that was read last: neighbours share it.
    chunk: Option<((u64, u32), Bytes)>,
}

impl<'s> Search<'s> {
    pub(crate) fn new(store: &'s Tree, query: &'s Query) -> Search<'s> {
        Search {
            store,
            query,
            limit: query.limit.min(Query::LIMIT_MAX),
            found: BinaryHeap::new(),
            summaries: Vec::new(),
            examined: 0,
            scanned_bytes: 0,
            chunk: None,
        }
    }

    pub(crate) fn run(mut self) -> Result<Found, StoreError> {
        let mut complete = true;
        for (max_start, block, partition) in self.candidates() {
            if self.is_full_up_to(max_start) {
                break;
            }
            if self.examined >= SUMMARIES_MAX || self.scanned_bytes >= SCANNED_BYTES_MAX {
                complete = false;
                break;
            }
            self.block(&partition, block)?;
        }
        let found: HashSet<[u8; 16]> = self
            .found
            .iter()
            .map(|Reverse((_, trace))| *trace)
            .collect();
        self.summaries
            .retain(|summary| found.contains(summary.trace_id.bytes()));
        self.summaries
            .sort_by_key(|summary| Reverse((summary.start_ns, *summary.trace_id.bytes())));
        Ok(Found {
            summaries: self.summaries,
            examined: self.examined,
            complete,
        })
    }

    /// The blocks that may have an answer, the one with the latest trace first.
    fn candidates(&self) -> Vec<(u64, u64, Arc<Partition>)> {
        let mut blocks = Vec::new();
        for partition in self.store.partitions.read().values() {
            let entries = partition.entries.read();
            let fitting = entries.iter().filter(|entry| entry.may_fit(self.query));
            blocks
                .extend(fitting.map(|entry| (entry.max_start, entry.block, Arc::clone(partition))));
        }
        blocks.sort_by_key(|(max_start, block, _)| Reverse((*max_start, *block)));
        blocks
    }

    /// Whether no trace that begins at `start` or before is wanted any more.
    fn is_full_up_to(&self, start: u64) -> bool {
        let earliest = self.found.peek().map(|Reverse((earliest, _))| *earliest);
        self.found.len() >= self.limit && earliest.is_none_or(|earliest| earliest >= start)
    }

    fn block(&mut self, partition: &Partition, block: u64) -> Result<(), StoreError> {
        let table = match self
            .store
            .reader
            .read_once(&partition.keyspace, Part::Rows { block })
        {
            Ok(table) => table,
            // It expired meanwhile.
            Err(_) if self.store.partition(partition.number).is_none() => return Ok(()),
            Err(error) => return Err(error),
        };
        for row in block::rows(&table)? {
            self.examined += 1;
            if row.fits(self.query) && !self.is_full_up_to(row.start_ns) {
                self.row(partition, &row)?;
            }
        }
        Ok(())
    }

    fn row(&mut self, partition: &Partition, row: &Row<'_>) -> Result<(), StoreError> {
        let summary = row.summary()?;
        let Some(head) = self.store.head(summary.trace_id)? else {
            return Ok(());
        };
        // A later revision speaks for itself.
        let latest = head.latest().map(|location| location.revision);
        if latest != Some(row.revision) || !self.has_tags(partition, &head)? {
            return Ok(());
        }
        self.found.push(Reverse((summary.start_ns, row.trace)));
        if self.found.len() > self.limit {
            self.found.pop();
        }
        self.summaries.push(summary);
        Ok(())
    }

    fn has_tags(&mut self, partition: &Partition, head: &Head) -> Result<bool, StoreError> {
        if self.query.tags.is_empty() {
            return Ok(true);
        }
        for location in head.revisions.iter().filter(|location| location.length > 0) {
            let chunk = self.chunk(partition, (location.block, location.chunk))?;
            let spans = part(&chunk, location.offset, location.length)?;
            self.scanned_bytes += spans.len() as u64;
            let batch = scan(spans)?;
            if batch.spans().any(|span| fits(self.query, &span)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn chunk(&mut self, partition: &Partition, wanted: (u64, u32)) -> Result<Bytes, StoreError> {
        if let Some((at, chunk)) = &self.chunk
            && *at == wanted
        {
            return Ok(chunk.clone());
        }
        let chunk = self.store.reader.read_once(
            &partition.keyspace,
            Part::Chunk {
                block: wanted.0,
                chunk: wanted.1,
            },
        )?;
        self.chunk = Some((wanted, chunk.clone()));
        Ok(chunk)
    }
}

/// The spans of a fragment in their chunk.
pub(crate) fn part(chunk: &Bytes, offset: u32, length: u32) -> Result<Bytes, StoreError> {
    let (from, to) = (offset as usize, offset as usize + length as usize);
    if to > chunk.len() {
        return Err(StoreError::damaged("a trace ends beyond its chunk"));
    }
    Ok(chunk.slice(from..to))
}

pub(crate) fn scan(spans: Bytes) -> Result<Batch, StoreError> {
    Batch::scan(spans, &NO_LIMITS).map_err(|error| StoreError::damaged(error.to_string()))
}

/// Whether the span is of the service and operation, and has all tags.
fn fits(query: &Query, span: &Span<'_>) -> bool {
    query
        .service
        .as_ref()
        .is_none_or(|service| service == span.service)
        && query
            .operation
            .as_ref()
            .is_none_or(|name| name == span.name)
        && query
            .tags
            .iter()
            .all(|(key, value)| has_tag(span, key, value))
}

fn has_tag(span: &Span<'_>, key: &str, value: &str) -> bool {
    match (key, value) {
        ("error", "true") if span.status == StatusCode::Error => return true,
        ("otel.status_code", "ERROR") if span.status == StatusCode::Error => return true,
        ("otel.status_code", "OK") if span.status == StatusCode::Ok => return true,
        ("span.kind", kind) if span.kind.name() == kind => return true,
        _ => {}
    }
    let attributes = span.attributes().chain(span.resource_attributes());
    let mut named = attributes
        .chain(span.scope_attributes())
        .filter(|(name, _)| *name == key);
    named.any(|(_, found)| found.to_text().is_some_and(|text| text == value))
}

impl Tree {
    /// Scans the spans of the newest kept traces, until `each` says that it is enough or the bound on
    /// bytes is reached.
    pub(crate) fn recent(
        &self,
        max_bytes: usize,
        each: &mut dyn FnMut(&Span<'_>) -> bool,
    ) -> Result<(), StoreError> {
        let mut bytes = 0;
        let partitions: Vec<_> = self.partitions.read().values().rev().cloned().collect();
        for partition in partitions {
            let blocks: Vec<u64> = partition
                .entries
                .read()
                .iter()
                .map(|entry| entry.block)
                .collect();
            for block in blocks.into_iter().rev() {
                let table = self
                    .reader
                    .read_once(&partition.keyspace, Part::Rows { block })?;
                for row in block::rows(&table)?.iter().filter(|row| row.kept) {
                    let trace = TraceId::new(row.trace);
                    let Some(stored) = trace.map(|id| self.stored(id)).transpose()?.flatten()
                    else {
                        continue;
                    };
                    bytes += stored.spans.len();
                    if !scan(stored.spans)?.spans().all(|span| each(&span)) || bytes > max_bytes {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}
