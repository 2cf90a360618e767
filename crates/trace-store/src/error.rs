//! What can go wrong in a store. No client causes any of it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A fault of the store or of the disk under it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it open.
    #[error("the trace store in {} is in use by another process", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// What was read is not what was written.
    #[error("the trace store is damaged: {problem}")]
    Damaged {
        /// What is wrong.
        problem: String,
    },
    /// The disk refused a read or a write. After a write that failed the store takes no more of them
    /// until it is opened again, because what the disk kept of it is unknown; it can still be read. If there was
    /// no room, it opens itself again.
    #[error("the trace store cannot reach its files: {source}")]
    Io {
        /// Why.
        source: Arc<io::Error>,
    },
    /// An earlier write failed. Unless the disk was only full, the store has to be opened again.
    #[error("the trace store takes no more traces, because a write failed before")]
    Stopped,
    /// A fragment is longer than can be stored: 1 GiB.
    #[error("a fragment of {bytes} bytes is too long")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
}

impl StoreError {
    pub(crate) fn damaged(problem: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            problem: problem.into(),
        }
    }

    /// Whether the disk has no room left.
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match self {
            StoreError::Io { source } => {
                matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge)
            }
            _ => false,
        }
    }
}

impl From<io::Error> for StoreError {
    fn from(source: io::Error) -> Self {
        StoreError::Io {
            source: Arc::new(source),
        }
    }
}

impl From<fjall::Error> for StoreError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) => {
                source.into()
            }
            fjall::Error::Poisoned => StoreError::Stopped,
            other => StoreError::damaged(other.to_string()),
        }
    }
}
