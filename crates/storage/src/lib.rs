//! The record log: what a node has promised, on disk.
//!
//! A node has one log, shared by all groups that it is a member of. [`RecordLog::append`] queues a batch
//! of records of one group; one thread merges everything that is queued into one write and one sync and
//! then calls each batch's `done`. [`RecordLog::replay`] hands the records back at the next start, until
//! [`RecordLog::release`] says that they are not needed any more. The log knows nothing of what the
//! records mean.
//!
//! # The promise
//!
//! - Once `done` has run, the batch survives any crash of the process or the machine.
//! - A batch is there whole or not at all, and only with every batch that was appended before it.
//! - A failed write or sync ends the log: no `done` runs after it, nothing is tried again, and
//!   [`Options::on_failure`] is called once. By default it stops the process.
//! - A disk that has lost or changed what was acknowledged is noticed at the start, before anything is
//!   modified, or when the batch is replayed; a log is never shortened in silence. The argument, and
//!   the one case in which it cannot be told, is at the top of `scan.rs`.
//! - One process per data directory.
//!
//! ```
//! use quorate_storage::{Disk, GroupId, Options, RecordLog};
//!
//! # let temp = tempfile::tempdir()?;
//! # let dir = temp.path();
//! let log = RecordLog::open(dir, Options::default(), Disk::real())?;
//! let (tell, durable) = std::sync::mpsc::channel();
//! let records = vec!["a vote".into(), "an entry".into()];
//! log.append(GroupId(1), records, Box::new(move || tell.send(()).unwrap_or_default()))?;
//! durable.recv()?;
//! log.close()?;
//!
//! let log = RecordLog::open(dir, Options::default(), Disk::real())?;
//! let mut records = Vec::new();
//! log.replay(GroupId(1), &mut |record| {
//!     records.push(record);
//!     Ok(())
//! })?;
//! assert_eq!(records, ["a vote", "an entry"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Under it
//!
//! The files are written by `raft-engine`, chosen by measurement; the README has the figures. This
//! crate adds what it lacks: detection of damage that its recovery would cut away, a sync failure that
//! is an error and not a panic, a synced directory, a lock that names its holder, and batches that are
//! read back as slices of one buffer.
//!
//! The room, from the door inwards: `log.rs` is the handle, `writer.rs` the thread, `frame.rs` a batch as
//! bytes, `retention.rs` what is still needed, `scan.rs` what a crash may have taken, `directory.rs` lock and identity, `disk/` the files,
//! real or failing on purpose.

mod directory;
mod disk;
mod error;
mod frame;
mod log;
mod options;
mod retention;
mod scan;
mod writer;

pub use disk::{Disk, DiskError, Faults};
pub use error::{AppendError, OpenError, ReadError, Refusal, StorageError};
pub use log::RecordLog;
pub use options::{EXIT_DISK_FAILED, FailureHook, MAX_BATCH_BYTES, Options};
pub use quorate_machine::GroupId;
