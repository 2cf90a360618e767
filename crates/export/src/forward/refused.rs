//! What the backend refuses, in files to be looked at.
//!
//! Each is an OTLP `TracesData` message that OTLP tools read, named by the time and a number.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// The directory, with the oldest files removed beyond a size.
#[derive(Debug)]
pub(crate) struct Refused {
    dir: PathBuf,
    limit_bytes: u64,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    /// Oldest first: names begin with the time.
    names: VecDeque<(PathBuf, u64)>,
    bytes: u64,
    written: u64,
}

impl Refused {
    pub(crate) fn open(dir: PathBuf, limit_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            names.push((entry.path(), entry.metadata()?.len()));
        }
        names.sort();
        let files = Files {
            bytes: names.iter().map(|(_, bytes)| bytes).sum(),
            names: names.into(),
            written: 0,
        };
        Ok(Refused {
            dir,
            limit_bytes,
            files: Mutex::new(files),
        })
    }

    /// Writes a message, durably. Blocks.
    pub(crate) fn put(&self, message: &[u8]) -> io::Result<PathBuf> {
        let mut files = self.files.lock();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = now.map_or(0, |now| now.as_millis());
        files.written += 1;
        let name = format!("{millis:015}-{:06}.binpb", files.written);
        let path = self.dir.join(name);
        let mut file = fs::File::create(&path)?;
        file.write_all(message)?;
        file.sync_all()?;
        files.bytes += message.len() as u64;
        files.names.push_back((path.clone(), message.len() as u64));
        while files.bytes > self.limit_bytes
            && files.names.len() > 1
            && let Some((oldest, bytes)) = files.names.pop_front()
        {
            fs::remove_file(oldest)?;
            files.bytes -= bytes;
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_files_go_beyond_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Refused::open(dir.path().join("refused"), 25).unwrap();
        let paths: Vec<_> = (0..4).map(|n| refused.put(&[n; 10]).unwrap()).collect();
        let there = |path: &PathBuf| path.exists();
        assert_eq!(
            paths.iter().map(there).collect::<Vec<_>>(),
            [false, false, true, true]
        );
        assert_eq!(fs::read(&paths[3]).unwrap(), [3; 10]);

        let refused = Refused::open(dir.path().join("refused"), 25).unwrap();
        let last = refused.put(&[9; 60]).unwrap();
        assert!(last.exists(), "one is kept, however long");
        assert!(!paths[2].exists() && !paths[3].exists());
    }
}
