//! A file that is being written, on the local disk: object stores take whole files only.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use chrono::DateTime;
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use quorate_trace::TraceId;
use quorate_trace::wire::{Batch, Limits};

use super::rows::{Rows, Sealing};
use super::schema::{properties, schema};

/// Rows that are held in memory before they are written as a group, at most.
const GROUP_BYTES: u64 = 32 << 20;

/// What is in memory is about so many times as long as it will be in the file.
const COMPRESSION: u64 = 8;

/// What was accepted once has no limits here.
const LIMITS: Limits = Limits {
    attributes: u32::MAX,
    nesting: 100,
};

const HOUR_MS: u64 = 3_600_000;

/// An unfinished file.
pub(crate) struct OpenFile {
    writer: SerializedFileWriter<File>,
    rows: Rows,
    spool: PathBuf,
    spans: u64,
    first_trace: Option<TraceId>,
    sealed_at_ms: u64,
    /// The batch of each record in it, in order.
    pub(crate) batches: Vec<u64>,
    /// Bytes of the queue that are in it.
    pub(crate) queue_bytes: u64,
    pub(crate) opened: Instant,
}

/// A finished file, still on the local disk.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) spool: PathBuf,
    /// Where it belongs: partition and name.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) spans: u64,
    pub(crate) batches: Vec<u64>,
}

impl OpenFile {
    /// An empty file. `sealed_at_ms` says in which hour's partition it goes.
    pub(crate) fn new(dir: &Path, sealed_at_ms: u64) -> Result<Self, ParquetError> {
        let spool = dir.join("open.parquet");
        let file = File::create(&spool)?;
        Ok(OpenFile {
            writer: SerializedFileWriter::new(file, schema()?, Arc::new(properties()?))?,
            rows: Rows::default(),
            spool,
            spans: 0,
            first_trace: None,
            sealed_at_ms,
            batches: Vec::new(),
            queue_bytes: 0,
            opened: Instant::now(),
        })
    }

    /// Adds a record of the queue.
    pub(crate) fn push(
        &mut self,
        batch: u64,
        sealing: Sealing,
        message: Bytes,
    ) -> Result<(), ParquetError> {
        self.batches.push(batch);
        self.queue_bytes += message.len() as u64;
        let Ok(spans) = Batch::scan(message, &LIMITS) else {
            // What was offered as a trace and is none has no spans.
            tracing::error!(
                batch,
                "a message in the queue of the archive cannot be read"
            );
            return Ok(());
        };
        for span in (0..spans.len()).map(|index| spans.span(index)) {
            self.first_trace.get_or_insert(span.trace_id);
            self.rows.push(&span, sealing);
        }
        if self.rows.bytes() as u64 > GROUP_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        if self.rows.len() > 0 {
            self.spans += self.rows.len() as u64;
            self.rows.write(&mut self.writer)?;
        }
        Ok(())
    }

    /// The last batch in it.
    pub(crate) fn last_batch(&self) -> u64 {
        self.batches.last().copied().unwrap_or(0)
    }

    /// About how long it would be if it ended here.
    pub(crate) fn bytes(&mut self) -> u64 {
        self.writer.bytes_written() as u64 + self.rows.bytes() as u64 / COMPRESSION
    }

    /// Whether what was sealed then belongs to the same partition.
    pub(crate) fn is_hour_of(&self, sealed_at_ms: u64) -> bool {
        self.sealed_at_ms / HOUR_MS == sealed_at_ms / HOUR_MS
    }

    /// Ends the file; it is complete on the local disk then.
    pub(crate) fn finish(mut self) -> Result<Finished, ParquetError> {
        self.flush()?;
        let path = self.path();
        self.writer.finish()?;
        Ok(Finished {
            bytes: fs::metadata(&self.spool)?.len(),
            path,
            spool: self.spool,
            spans: self.spans,
            batches: self.batches,
        })
    }

    /// The partition by hour, as Hive has it, and a name that tells what is in the file: the batches of
    /// this queue and the first trace. Written again it is written to the same place.
    fn path(&self) -> String {
        let hour = i64::try_from(self.sealed_at_ms)
            .ok()
            .and_then(DateTime::from_timestamp_millis)
            .unwrap_or_default();
        let partition = hour.format("date=%Y-%m-%d/hour=%H");
        let first = self.batches.first().copied().unwrap_or(0);
        let trace = self
            .first_trace
            .map(|id| id.to_string())
            .unwrap_or_default();
        format!(
            "{partition}/{first:010}-{:010}-{trace}.parquet",
            self.last_batch()
        )
    }
}
