//! Tests over real processes, and what they need.
//!
//! The tests are in `tests/processes`: members of the `quorate` binary on loopback ports, with their disks
//! in temporary directories, killed, stopped, damaged and talked nonsense to. This library is what they
//! share:
//!
//! - [`cluster`]: members as processes that end with the test, whatever becomes of it, and whose logs are
//!   printed when it fails.
//! - [`load`]: writers that remember what was acknowledged, and [`history`]: clients that record
//!   what they asked and were answered.
//! - [`registers`]: the same of write-once registers, where that is easily told.
//! - [`feed`]: what readers were told, held against what publishers had read.
//! - [`chance`]: the seed of what is left to chance, and how much is done.
//! - [`linearizability`]: whether such a record has an order that explains it.
//! - [`namespaces`]: a network of the kernel's for each member, and what happens to it.
//! - [`collector`]: a trace collector as a process, and [`spans`] for it.
//! - [`wait`]: nothing sleeps and hopes; what is expected is waited for, with a deadline.

pub mod binary;
pub mod chance;
pub mod cluster;
pub mod collector;
pub mod feed;
pub mod history;
pub mod linearizability;
pub mod load;
pub mod namespaces;
mod process;
pub mod registers;
pub mod spans;
pub mod wait;
