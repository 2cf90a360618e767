//! A log with a memory of what was acknowledged.

use bytes::Bytes;
use parking_lot::Mutex;
use quorate_storage::{Disk, Faults, GroupId, OpenError, Options, RecordLog, StorageError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

/// A batch as it was appended: its group and its records.
pub(crate) type Batch = (u64, Vec<Vec<u8>>);

/// A batch of one record.
pub(crate) fn batch(group: u64, record: &str) -> Batch {
    (group, vec![record.as_bytes().to_vec()])
}

/// A log that tells of its failures and acknowledgements instead of stopping the process.
pub(crate) struct Probe {
    pub(crate) log: RecordLog,
    pub(crate) faults: Faults,
    pub(crate) failures: Receiver<StorageError>,
    /// The numbers of acknowledged batches, in the order of the acknowledgements.
    pub(crate) acknowledged: Arc<Mutex<Vec<usize>>>,
    appended: usize,
}

impl Probe {
    pub(crate) fn open(dir: &Path) -> Probe {
        Probe::open_with(dir, Options::default())
    }

    pub(crate) fn open_with(dir: &Path, options: Options) -> Probe {
        let faults = Faults::new();
        let (tell, failures) = mpsc::channel();
        let options = Options {
            on_failure: Arc::new(move |error| tell.send(error).unwrap()),
            ..options
        };
        Probe {
            log: RecordLog::open(dir, options, Disk::faulty(&faults)).unwrap(),
            faults,
            failures,
            acknowledged: Arc::default(),
            appended: 0,
        }
    }

    /// Appends without waiting; the receiver hears of the acknowledgement, or is disconnected.
    pub(crate) fn append(&mut self, (group, records): &Batch) -> Receiver<()> {
        let (tell, done) = mpsc::channel();
        let number = self.appended;
        self.appended += 1;
        let acknowledged = Arc::clone(&self.acknowledged);
        let records = records.iter().cloned().map(Bytes::from).collect();
        let done_hook = Box::new(move || {
            acknowledged.lock().push(number);
            // Nobody need be listening.
            let _ = tell.send(());
        });
        // After a failure the log refuses: then nobody is told either.
        let _ = self.log.append(GroupId(*group), records, done_hook);
        done
    }

    /// Appends batches one after another, each durable before the next.
    pub(crate) fn append_all(&mut self, batches: &[Batch]) {
        for batch in batches {
            self.append(batch).recv().unwrap();
        }
    }

    /// Ends as a crash does, keeping so many bytes of what was not synced.
    pub(crate) fn lose_power(self, keep: u64) {
        self.faults.lose_power(keep).unwrap();
    }
}

/// All records of a group.
pub(crate) fn replay(log: &RecordLog, group: u64) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let count = log
        .replay(GroupId(group), &mut |record| {
            found.push(record.to_vec());
            Ok(())
        })
        .unwrap();
    assert_eq!(count, found.len() as u64);
    found
}

/// The records of `group` in `batches`.
pub(crate) fn records_of(batches: &[Batch], group: u64) -> Vec<Vec<u8>> {
    let of_group = batches.iter().filter(|batch| batch.0 == group);
    of_group.flat_map(|batch| batch.1.clone()).collect()
}

/// Whether the log holds exactly these batches, in groups 0 to 3.
pub(crate) fn holds(log: &RecordLog, batches: &[Batch]) -> bool {
    (0..4).all(|group| replay(log, group) == records_of(batches, group))
}

pub(crate) fn reopen(dir: &Path) -> Result<RecordLog, OpenError> {
    RecordLog::open(dir, Options::default(), Disk::real())
}

/// The newest file of the log.
pub(crate) fn newest_segment(dir: &Path) -> PathBuf {
    segments(dir).pop().unwrap()
}

/// The files of the log, oldest first.
pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("segments")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|name| name == "raftlog"));
    paths.sort();
    paths
}

/// Copies a data directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
