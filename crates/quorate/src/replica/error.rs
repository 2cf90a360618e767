//! What can go wrong, one enum per boundary.

use crate::{GroupError, NodeId, Rejected};
use quorate_raft::ConfigError;

/// Why a replica did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The options cannot work.
    #[error("invalid configuration: {0}")]
    Config(#[from] ConfigError),
    /// The node does not take part in the group.
    #[error(transparent)]
    Group(#[from] GroupError),
}

/// Why a request was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// This member does not lead. The request had no effect and will have none.
    #[error("this member does not lead{}", names(*.leader))]
    NotLeader {
        /// Where to try next, if known.
        leader: Option<NodeId>,
    },
    /// Too much is waiting. The request had no effect and will have none.
    #[error("too much is waiting")]
    Busy,
    /// Leadership was lost, or the replica stopped, while the request waited: it may or may not happen.
    /// Try again with the same session and sequence to learn which.
    #[error("leadership was lost meanwhile; the request may or may not take effect")]
    Unknown,
    /// The replica has stopped. The request had no effect and will have none.
    #[error("the replica has stopped")]
    Stopped,
}

impl From<Rejected> for SubmitError {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Busy => SubmitError::Busy,
            Rejected::Stopped => SubmitError::Stopped,
        }
    }
}

fn names(leader: Option<NodeId>) -> String {
    leader.map_or_else(String::new, |leader| format!("; {leader} does"))
}

/// A subscriber was too slow: changes are missing. The subscription goes on after the gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{missed} changes were missed by a slow subscriber")]
pub struct Lagged {
    /// How many.
    pub missed: u64,
}
