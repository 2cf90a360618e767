//! How much room the file system has left.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Watches the file system of the data directory, so that spans are refused before a write fails: a
/// failed write of the log ends the process.
#[derive(Debug)]
pub(crate) struct DiskSpace {
    dir: PathBuf,
    reserve: u64,
    is_short: AtomicBool,
}

impl DiskSpace {
    pub(crate) fn new(dir: &Path, reserve: u64) -> Self {
        let space = DiskSpace {
            dir: dir.to_owned(),
            reserve,
            is_short: AtomicBool::new(false),
        };
        space.look();
        space
    }

    /// Whether less than the reserve is left, when it was last looked.
    pub(crate) fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    /// Asks the file system; to be called about once a second.
    pub(crate) fn look(&self) {
        let Ok(stat) = rustix::fs::statvfs(&self.dir) else {
            return;
        };
        let left = stat.f_bavail.saturating_mul(stat.f_frsize);
        let is_short = left < self.reserve;
        if is_short != self.is_short.swap(is_short, Ordering::Relaxed) {
            if is_short {
                tracing::warn!(left, reserve = self.reserve, dir = %self.dir.display(),
                    "the disk is nearly full: spans are refused until there is room");
            } else {
                tracing::info!(left, "the disk has room again: spans are accepted");
            }
        }
    }
}
