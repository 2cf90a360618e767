//! What a faulty disk does wrong, decided by the test while it runs.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// `EIO`.
    Io,
    /// `ENOSPC`.
    NoSpace,
}

impl DiskError {
    fn into_io(self) -> io::Error {
        // Linux and the BSDs agree on both numbers.
        io::Error::from_raw_os_error(match self {
            DiskError::Io => 5,
            DiskError::NoSpace => 28,
        })
    }
}

/// The faults of one disk. Clones share them: keep one, give another to
/// [`Disk::faulty`](crate::Disk::faulty).
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    writes: u64,
    syncs: u64,
    /// At which write, after how many of its bytes, with which error.
    write_failure: Option<(u64, usize, DiskError)>,
    sync_failure: Option<(u64, DiskError)>,
    sync_delay: Duration,
    without_power: bool,
    /// How much of each file has been synced.
    synced: BTreeMap<PathBuf, u64>,
}

impl Faults {
    /// None yet.
    pub fn new() -> Faults {
        Faults::default()
    }

    /// The `nth` write from now, from 1, puts down `prefix` bytes and fails.
    pub fn fail_write(&self, nth: u64, prefix: usize, error: DiskError) {
        let mut plan = self.0.lock();
        plan.write_failure = Some((plan.writes + nth, prefix, error));
    }

    /// The `nth` sync from now, from 1, fails.
    pub fn fail_sync(&self, nth: u64, error: DiskError) {
        let mut plan = self.0.lock();
        plan.sync_failure = Some((plan.syncs + nth, error));
    }

    /// Every sync from now on takes at least `delay`.
    pub fn delay_syncs(&self, delay: Duration) {
        self.0.lock().sync_delay = delay;
    }

    /// The power goes: of the bytes that no sync has covered, in the order of the files, the first
    /// `keep` stay and the rest are gone. Whatever the node still tries fails.
    ///
    /// # Errors
    ///
    /// If a file cannot be shortened.
    pub fn lose_power(&self, mut keep: u64) -> io::Result<()> {
        let mut plan = self.0.lock();
        plan.without_power = true;
        for (path, synced) in &plan.synced {
            let file = File::options().write(true).open(path)?;
            let unsynced = file.metadata()?.len().saturating_sub(*synced);
            let kept = unsynced.min(keep);
            file.set_len(synced + kept)?;
            keep -= kept;
        }
        Ok(())
    }

    /// How many bytes at the end of `file` no sync has covered.
    ///
    /// # Errors
    ///
    /// If the file is not there.
    pub fn unsynced_bytes(&self, file: &Path) -> io::Result<u64> {
        let bytes = file.metadata()?.len();
        let synced = self.0.lock().synced.get(file).copied();
        Ok(bytes.saturating_sub(synced.unwrap_or(bytes)))
    }

    /// Writes tried so far.
    pub fn writes(&self) -> u64 {
        self.0.lock().writes
    }

    /// Syncs tried so far.
    pub fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// Flips one bit of a file, as a dying disk does.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written, or is shorter.
    pub fn flip_bit(file: &Path, bit: u64) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        let file = File::options().read(true).write(true).open(file)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, bit / 8)?;
        byte[0] ^= 1 << (bit % 8);
        file.write_all_at(&byte, bit / 8)
    }

    pub(super) fn opened(&self, path: &Path, bytes: u64) {
        self.0.lock().synced.insert(path.to_owned(), bytes);
    }

    pub(super) fn truncated(&self, path: &Path, bytes: u64) {
        if let Some(synced) = self.0.lock().synced.get_mut(path) {
            *synced = bytes.min(*synced);
        }
    }

    pub(super) fn deleted(&self, path: &Path) {
        self.0.lock().synced.remove(path);
    }

    pub(super) fn synced(&self, path: &Path, bytes: u64) {
        self.0.lock().synced.insert(path.to_owned(), bytes);
    }

    /// If the write is to fail: how much of it reaches the file, and the error.
    pub(super) fn before_write(&self) -> Option<(usize, io::Error)> {
        let mut plan = self.0.lock();
        if plan.without_power {
            return Some((0, DiskError::Io.into_io()));
        }
        plan.writes += 1;
        match plan.write_failure {
            Some((nth, prefix, error)) if nth == plan.writes => Some((prefix, error.into_io())),
            _ => None,
        }
    }

    pub(super) fn before_sync(&self) -> io::Result<()> {
        let delay = {
            let mut plan = self.0.lock();
            if plan.without_power {
                return Err(DiskError::Io.into_io());
            }
            plan.syncs += 1;
            if let Some((nth, error)) = plan.sync_failure
                && nth == plan.syncs
            {
                return Err(error.into_io());
            }
            plan.sync_delay
        };
        // Not under the lock: the test goes on counting and planning while the disk is slow.
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        Ok(())
    }
}
