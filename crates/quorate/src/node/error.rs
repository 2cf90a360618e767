//! What can go wrong with a node and its groups.

use crate::{GroupId, NodeId};
use quorate_storage::OpenError;
use std::io;

/// Why a node did not open.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The options contradict each other.
    #[error("invalid configuration: {0} is not among the members of the cluster")]
    NotAMember(NodeId),
    /// Two members have the same address.
    #[error("invalid configuration: members {0} and {1} have the same address {2}")]
    SameAddress(NodeId, NodeId, String),
    /// This node's address cannot be listened on: it is in use, or belongs to another machine.
    #[error("cannot listen for peers on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The record log cannot be opened.
    #[error(transparent)]
    Log(#[from] OpenError),
}

/// Why a node does not take part in a group.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// Its part runs already.
    #[error("{0} runs on this node already")]
    Runs(GroupId),
    /// The node was shut down.
    #[error("the node has stopped")]
    Stopped,
    /// The group's records cannot be read, or are not this machine's; or its event log cannot be created.
    #[error(transparent)]
    Driver(#[from] quorate_driver::StartError),
}
