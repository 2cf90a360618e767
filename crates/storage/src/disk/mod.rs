//! The files of the log, real or failing on purpose.
//!
//! The engine does its file work through [`LogFiles`], which adds what the engine lacks: the first
//! failure is remembered and final, a failed sync does not panic, and recovery may not cut away what
//! was acknowledged.

mod faults;

pub use faults::{DiskError, Faults};

use parking_lot::Mutex;
use raft_engine::env::{FileSystem, Handle, Permission, WriteExt};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The disk under a record log.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    faults: Option<Faults>,
}

impl Disk {
    /// The operating system's.
    pub fn real() -> Disk {
        Disk { faults: None }
    }

    /// The operating system's, failing as `faults` says. For tests of whatever stands on the log.
    pub fn faulty(faults: &Faults) -> Disk {
        Disk {
            faults: Some(faults.clone()),
        }
    }
}

/// The first failure: what was done, and why it failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) operation: &'static str,
    pub(crate) source: Arc<io::Error>,
}

/// A cut that recovery wanted to make and must not.
#[derive(Clone, Debug)]
pub(crate) struct RefusedCut {
    pub(crate) file: PathBuf,
    pub(crate) offset: u64,
}

#[derive(Debug, Default)]
struct State {
    faults: Option<Faults>,
    failure: Mutex<Option<Failure>>,
    /// While recovering: how much of each file is known to be acknowledged.
    acknowledged: HashMap<PathBuf, u64>,
    refused: Mutex<Option<RefusedCut>>,
}

impl State {
    fn has_failed(&self) -> bool {
        self.failure.lock().is_some()
    }

    /// Runs a write unless an earlier operation failed; remembers the first failure.
    fn attempt<T>(
        &self,
        operation: &'static str,
        run: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        if self.has_failed() {
            return Err(io::Error::other("the disk has failed before"));
        }
        run().inspect_err(|error| {
            // The standard library's loops try an interrupted call again: it is no failure.
            if error.kind() != io::ErrorKind::Interrupted {
                let source = match error.raw_os_error() {
                    Some(code) => io::Error::from_raw_os_error(code),
                    None => io::Error::new(error.kind(), error.to_string()),
                };
                *self.failure.lock() = Some(Failure {
                    operation,
                    source: Arc::new(source),
                });
            }
        })
    }
}

/// The engine's door to the disk.
#[derive(Clone, Debug)]
pub(crate) struct LogFiles(Arc<State>);

impl LogFiles {
    /// `acknowledged` says how much of each file recovery has to leave alone.
    pub(crate) fn new(disk: Disk, acknowledged: HashMap<PathBuf, u64>) -> LogFiles {
        LogFiles(Arc::new(State {
            faults: disk.faults,
            acknowledged,
            ..State::default()
        }))
    }

    /// The first failure, if there was one.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.0.failure.lock().clone()
    }

    /// The first failure, which is `error` if there was none before.
    pub(crate) fn fail(&self, operation: &'static str, error: io::Error) -> Failure {
        let first = || Failure {
            operation,
            source: Arc::new(error),
        };
        self.0.failure.lock().get_or_insert_with(first).clone()
    }

    /// The cut that recovery was refused, if it wanted one.
    pub(crate) fn refused_cut(&self) -> Option<RefusedCut> {
        self.0.refused.lock().clone()
    }

    fn file(&self, file: File, path: &Path) -> io::Result<LogFile> {
        if let Some(faults) = &self.0.faults {
            faults.opened(path, file.metadata()?.len());
        }
        Ok(LogFile {
            file,
            path: path.to_owned(),
            state: Arc::clone(&self.0),
        })
    }
}

impl FileSystem for LogFiles {
    type Handle = LogFile;
    type Reader = Cursor;
    type Writer = Cursor;

    fn create<P: AsRef<Path>>(&self, path: P) -> io::Result<LogFile> {
        let path = path.as_ref();
        let file = self.0.attempt("creating a file", || {
            File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(path)
        })?;
        self.file(file, path)
    }

    fn open<P: AsRef<Path>>(&self, path: P, permission: Permission) -> io::Result<LogFile> {
        let path = path.as_ref();
        let write = permission == Permission::ReadWrite;
        self.file(File::options().read(true).write(write).open(path)?, path)
    }

    /// Removes the name. Freeing the blocks of a long file takes milliseconds, so that is left to a
    /// thread of its own: it is done when the last one who has the file open lets go of it.
    fn delete<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        let path = path.as_ref();
        let file = File::open(path);
        self.0
            .attempt("deleting a file", || std::fs::remove_file(path))?;
        if let Some(faults) = &self.0.faults {
            faults.deleted(path);
        }
        let letting_go = std::thread::Builder::new().name("record-log-free".to_owned());
        // Without a thread the file is let go of here.
        let _ = letting_go.spawn(move || drop(file));
        Ok(())
    }

    fn rename<P: AsRef<Path>>(&self, from: P, to: P) -> io::Result<()> {
        self.0
            .attempt("renaming a file", || std::fs::rename(from, to))
    }

    fn new_reader(&self, handle: Arc<LogFile>) -> io::Result<Cursor> {
        Ok(Cursor { handle, at: 0 })
    }

    fn new_writer(&self, handle: Arc<LogFile>) -> io::Result<Cursor> {
        Ok(Cursor { handle, at: 0 })
    }
}

/// An open file.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: File,
    path: PathBuf,
    state: Arc<State>,
}

impl LogFile {
    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.state
            .attempt("truncating a file", || self.file.set_len(bytes))?;
        if let Some(faults) = &self.state.faults {
            faults.truncated(&self.path, bytes);
        }
        Ok(())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<usize> {
        self.state.attempt("writing", || {
            if let Some(faults) = &self.state.faults
                && let Some((prefix, error)) = faults.before_write()
            {
                self.file
                    .write_all_at(&bytes[..prefix.min(bytes.len())], at)?;
                return Err(error);
            }
            self.file.write_at(bytes, at)
        })
    }
}

impl Handle for LogFile {
    /// The engine's recovery calls this to cut off what it cannot read.
    fn truncate(&self, offset: usize) -> io::Result<()> {
        let offset = offset as u64;
        let acknowledged = self.state.acknowledged.get(&self.path);
        if acknowledged.is_some_and(|bytes| offset < *bytes) {
            self.state.refused.lock().get_or_insert(RefusedCut {
                file: self.path.clone(),
                offset,
            });
            return Err(io::Error::other("acknowledged records would be cut off"));
        }
        self.set_len(offset)
    }

    fn file_size(&self) -> io::Result<usize> {
        let bytes = self.file.metadata()?.len();
        usize::try_from(bytes).map_err(io::Error::other)
    }

    /// Always succeeds, because the engine panics otherwise; whoever needs the truth asks
    /// [`LogFiles::failure`] before acknowledging anything.
    fn sync(&self) -> io::Result<()> {
        let synced = self.state.attempt("syncing", || {
            if let Some(faults) = &self.state.faults {
                faults.before_sync()?;
            }
            self.file.sync_data()
        });
        if synced.is_ok()
            && let Some(faults) = &self.state.faults
        {
            faults.synced(&self.path, self.file.metadata()?.len());
        }
        Ok(())
    }
}

/// A position in a file.
#[derive(Debug)]
pub(crate) struct Cursor {
    handle: Arc<LogFile>,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.handle.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Write for Cursor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.handle.write(self.at, bytes)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.handle.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl WriteExt for Cursor {
    fn truncate(&mut self, offset: usize) -> io::Result<()> {
        self.at = offset as u64;
        self.handle.set_len(self.at)
    }

    /// Files are not allocated ahead: they end where the records end, so that a tail of zeros is
    /// damage and not a habit.
    fn allocate(&mut self, _offset: usize, _size: usize) -> io::Result<()> {
        Ok(())
    }
}
