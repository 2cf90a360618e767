//! How a command ended, as a script sees it.
//!
//! Whoever runs `quorate check` in a pipeline must tell "your protocol is wrong" from "the port was taken",
//! so the two never share an exit status.

use std::fmt::Display;
use std::io;

/// Exit status of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Outcome {
    /// Done, and everything that was checked holds.
    Holds = 0,
    /// Done, and something that was checked does not hold.
    Refuted = 1,
    /// The command line asks for something that cannot be done; clap's own status as well.
    Usage = 2,
    /// A cluster cannot be reached or does not behave.
    Cluster = 3,
    /// This machine failed.
    Local = 4,
    /// Interrupted before it was done; what a shell reports of a process that an interrupt ended.
    Interrupted = 130,
    /// Whoever reads standard output has seen enough, as `head` does; what a shell reports of a process that is told so
    /// by a signal. Nothing is wrong, and nothing is said.
    Unread = 141,
}

/// Why a command did not come to a result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A request that can be seen to be wrong only when it is carried out.
    #[error("{0}")]
    Usage(String),
    /// The other side of a connection.
    #[error("{0}")]
    Cluster(String),
    /// A fault of this machine: what was attempted, and the system's answer.
    #[error("{attempt}: {source}")]
    Local {
        /// What was attempted, such as "writing report.json".
        attempt: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A fault of this machine that the system has no words for.
    #[error("{0}")]
    Fault(String),
}

impl Failure {
    /// The exit status that this failure ends the process with.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Failure::Usage(_) => Outcome::Usage,
            Failure::Cluster(_) => Outcome::Cluster,
            // No file breaks this way, and of connections the client library tells.
            Failure::Local { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => {
                Outcome::Unread
            }
            Failure::Local { .. } | Failure::Fault(_) => Outcome::Local,
        }
    }

    /// A fault of this machine while attempting something; for `map_err`.
    pub(crate) fn local(attempt: impl Display) -> impl FnOnce(io::Error) -> Self {
        let attempt = attempt.to_string();
        move |source| Failure::Local { attempt, source }
    }
}
