//! A data directory: who holds it, and which log it is.
//!
//! ```text
//! DIR/owner       locked while a process has the log open; holds its process id
//! DIR/log-id      format version and random id of the log, with a checksum
//! DIR/segments/   the engine's files
//! ```

use crate::OpenError;
use crate::log::LogId;
use std::collections::hash_map::RandomState;
use std::fs::{self, File, TryLockError};
use std::hash::BuildHasher;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const FORMAT: &[u8; 8] = b"quorate1";
const ID_FILE_BYTES: usize = 20;

/// A data directory that this process holds until it is dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// The lock goes with the file.
    _owner: File,
}

impl Directory {
    /// Creates the directory if it is missing, and locks it.
    pub(crate) fn lock(path: &Path) -> Result<Directory, OpenError> {
        if path.exists() && !path.is_dir() {
            return Err(OpenError::NotADirectory {
                dir: path.to_owned(),
            });
        }
        let segments = path.join("segments");
        fs::create_dir_all(path).map_err(OpenError::io("creating", path))?;
        let owner = lock_owner(path)?;
        fs::create_dir_all(&segments).map_err(OpenError::io("creating", &segments))?;
        Ok(Directory {
            path: path.to_owned(),
            _owner: owner,
        })
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the engine's files are.
    pub(crate) fn segments(&self) -> PathBuf {
        self.path.join("segments")
    }

    fn id_file(&self) -> PathBuf {
        self.path.join("log-id")
    }

    /// The log's id; `None` if no log has been completely created here.
    pub(crate) fn id(&self) -> Result<Option<LogId>, OpenError> {
        let path = self.id_file();
        if !path.exists() {
            return Ok(None);
        }
        let bytes = fs::read(&path).map_err(OpenError::io("reading", &path))?;
        match parse_id(&bytes) {
            Some(id) => Ok(Some(id)),
            None => Err(OpenError::Damaged {
                file: path,
                offset: 0,
                problem: "it is not the identity of a record log of this version".to_owned(),
            }),
        }
    }

    /// Writes the id of a new log, whole or not at all, and makes the directory's entries durable.
    pub(crate) fn set_id(&self, id: LogId) -> Result<(), OpenError> {
        let mut bytes = Vec::with_capacity(ID_FILE_BYTES);
        bytes.extend_from_slice(FORMAT);
        bytes.extend_from_slice(&id.0);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());

        let path = self.id_file();
        let temporary = path.with_extension("new");
        File::create(&temporary)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(OpenError::io("writing", &path))?;
        self.sync()
    }

    /// A file is there after a power failure only if the directory that names it was synced.
    pub(crate) fn sync(&self) -> Result<(), OpenError> {
        for path in [self.segments(), self.path.clone()] {
            File::open(&path)
                .and_then(|dir| dir.sync_all())
                .map_err(OpenError::io("syncing", &path))?;
        }
        Ok(())
    }
}

fn lock_owner(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("owner");
    let mut owner = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(OpenError::io("opening", &path))?;
    match owner.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Only for the message: what cannot be read is left out of it.
            let pid = owner.read_to_string(&mut text).ok();
            return Err(OpenError::InUse {
                dir: dir.to_owned(),
                pid: pid.and_then(|_| text.trim().parse().ok()),
            });
        }
        Err(TryLockError::Error(error)) => return Err(OpenError::io("locking", &path)(error)),
    }
    owner
        .set_len(0)
        .and_then(|()| writeln!(owner, "{}", std::process::id()))
        .map_err(OpenError::io("writing", &path))?;
    Ok(owner)
}

fn parse_id(bytes: &[u8]) -> Option<LogId> {
    let (content, crc) = bytes.split_at_checked(ID_FILE_BYTES - 4)?;
    let (format, id) = content.split_at(FORMAT.len());
    let intact = crc == crc32fast::hash(content).to_le_bytes();
    (intact && format == FORMAT).then_some(LogId(id.try_into().ok()?))
}

/// An id that nobody can guess from outside: the standard library's hash keys are random.
pub(crate) fn random_id() -> LogId {
    LogId(
        RandomState::new()
            .hash_one(std::process::id())
            .to_le_bytes(),
    )
}
