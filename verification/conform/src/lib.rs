//! Trace validation: whether what a real cluster did is what was specified.
//!
//! Members with an event log record every step of their machine before its effects leave. [`conform`] takes
//! the logs of all members of a cluster, through kills, stops and whatever its network did, and asks four
//! questions, each harder than the one before:
//!
//! 1. **Replay.** Does each member's machine, handed the recorded events again, want exactly what it wanted
//!    then? (`quorate_driver::Replayer`)
//! 2. **Order.** Was everything that was received sent before, and is there one order of all steps that
//!    agrees with that? Vector clocks decide, no host's time. (`order.rs`)
//! 3. **Invariants.** Do the properties of the protocol hold of the whole history, in that order?
//!    (`history.rs`)
//! 4. **Specification.** Is each step, in that order, a step of `specs/raft/Raft.tla`? The states of the
//!    machines are carried over by the abstraction of `quorate-refinement`, and TLC decides. Messages may
//!    be lost without anybody having logged it; nothing else is given away. (`windows.rs`,
//!    `specs/raft/TraceRaft.tla`, `tlc.rs`)
//!
//! The first two know nothing of Raft; `member.rs` tells a log in the grain that specifications have, with
//! syncs and crashes as steps of their own.
//!
//! The same logs also say what a transaction waited for: [`transactions`]. (`critical_path.rs`)
//!
//! What the specification leaves out is left out here too: what clients are told, timers, and the limit on
//! the bytes of a message. A leader that cut an append short because of it would be found to differ.

mod critical_path;
mod history;
mod member;
mod order;
mod raft;
mod report;
mod run;
mod tlc;
mod together;
mod validation;
mod windows;

pub use critical_path::{Hop, Path, TransactionPath, transactions};
pub use raft::RaftLike;
pub use report::{Finding, MemberReport, Part, Report, Specification};
pub use run::{Life, Options, conform};
pub use tlc::{Tools, ToolsError};

use quorate_driver::Divergence;
use std::path::PathBuf;

/// Why a validation came to no result.
#[derive(Debug, thiserror::Error)]
pub enum ConformError {
    /// The lives are not those of one group.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be read or written.
    #[error("{attempt}: {source}")]
    Local {
        /// What was attempted.
        attempt: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A log is not what the machine does.
    #[error(transparent)]
    Replay(Divergence),
    /// TLC did not check the trace, but failed.
    #[error("TLC failed on {module}: {reason}")]
    Tlc {
        /// The module that it was given.
        module: String,
        /// What it said.
        reason: String,
    },
}

/// Why a log cannot be told to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// It is not what the machine does.
    #[error(transparent)]
    Replay(#[from] Divergence),
    /// It is not in the grain of a node: syncs that tear a step apart, messages from nowhere.
    #[error("{}:{line}: {reason}", file.display())]
    Grain {
        file: PathBuf,
        line: usize,
        reason: String,
    },
}
