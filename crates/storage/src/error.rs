//! What can go wrong, one enum per boundary.

use quorate_machine::GroupId;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

/// Why a record log could not be opened. All of them are local: no peer and no client causes one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The path exists and is something else.
    #[error("{} is not a directory; a node keeps its records in a directory of its own", dir.display())]
    NotADirectory {
        /// The path that was asked for.
        dir: PathBuf,
    },
    /// Another process has it open. One process per data directory: two would answer for one node.
    #[error("the data directory {} is in use by {}", dir.display(), holder(*.pid))]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The process that holds it, as it said itself, if it could be read.
        pid: Option<u32>,
    },
    /// What is on the disk cannot be what was written: starting would forget acknowledged records.
    #[error(
        "the record log is damaged at byte {offset} of {}: {problem}. \
         Nothing was changed. Restore the directory from a copy, or let the node rejoin under a new id",
        file.display()
    )]
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// Where the damage begins, as near as can be told.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// The directory or a file in it could not be read, created or written.
    #[error("cannot open the record log: {action} {} failed: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}

impl OpenError {
    /// For `map_err`: says what was tried and where.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| OpenError::Io {
            action,
            path,
            source,
        }
    }
}

/// What the one who replays says to stop: the reason is handed back in [`ReadError::Refused`].
pub type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// Why records could not be replayed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A batch is missing or is not what was written.
    #[error("the records of group {group} are damaged at batch {batch}: {problem}")]
    Damaged {
        /// The group.
        group: GroupId,
        /// The number of the batch within the group, from 1.
        batch: u64,
        /// What is wrong.
        problem: String,
    },
    /// The receiver of the records refused one of them.
    #[error("a record of batch {batch} of group {group} was refused: {source}")]
    Refused {
        /// The group.
        group: GroupId,
        /// The number of the batch within the group, from 1.
        batch: u64,
        /// The receiver's reason.
        source: Refusal,
    },
}

/// Why a batch was not taken. The caller's fault, except for [`AppendError::Stopped`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A record is larger than [`Options::max_record_bytes`](crate::Options::max_record_bytes).
    #[error("a record of {bytes} bytes exceeds the limit of {limit}")]
    RecordTooLarge {
        /// The record's length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The batch is larger than [`MAX_BATCH_BYTES`](crate::MAX_BATCH_BYTES).
    #[error("a batch of {bytes} bytes exceeds the limit of {limit}")]
    BatchTooLarge {
        /// The batch's length as written.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The last group id is the log's own.
    #[error("the group id {0} is reserved")]
    ReservedGroup(GroupId),
    /// The log was closed, or the disk failed and the node is about to stop.
    #[error("the record log has stopped")]
    Stopped,
}

/// The disk failed under a running log. Final: nothing is acknowledged after it.
///
/// A sync that failed is never tried again, because the kernel may have dropped the dirty pages and
/// report success the second time (Rebello et al., "Can Applications Recover from fsync Failures?",
/// USENIX ATC 2020).
#[derive(Debug, Clone, Error)]
#[error("cannot write the record log in {}: {operation} failed: {source}", dir.display())]
pub struct StorageError {
    /// The data directory.
    pub dir: PathBuf,
    /// What failed: a write, a sync, the creation of a file.
    pub operation: &'static str,
    /// Why.
    pub source: Arc<io::Error>,
}
