//! What a node is opened with.

use crate::{NodeError, NodeId};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where its peers reach it, `host:port`. It listens there.
    pub peer: String,
    /// Where clients reach its services; empty if nowhere. The node does not use it: services tell their
    /// clients where else to try.
    pub client: String,
}

/// A member without services.
impl<T: Into<String>> From<T> for Member {
    fn from(peer: T) -> Self {
        Member {
            peer: peer.into(),
            client: String::new(),
        }
    }
}

/// Which node of which cluster to be.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The cluster's name: nodes of another cluster are refused.
    pub cluster: String,
    /// This node.
    pub id: NodeId,
    /// All members, this one included; the same on all of them.
    pub members: BTreeMap<NodeId, Member>,
    /// The directory of the record log, for this node alone. Created if it is missing.
    pub data: PathBuf,
    /// The length of a timer tick; ten milliseconds by default.
    pub tick: Duration,
    /// A directory in which to record every event of every group, for
    /// [`replay`](quorate_driver::replay()); nowhere if `None`. It costs more than the work itself.
    pub event_log: Option<PathBuf>,
}

impl NodeOptions {
    /// Node `id` of `cluster`, with its records in `data`, ten milliseconds a tick, and no event log.
    pub fn new(
        cluster: impl Into<String>,
        id: NodeId,
        members: impl IntoIterator<Item = (NodeId, impl Into<Member>)>,
        data: impl Into<PathBuf>,
    ) -> Self {
        let members = members.into_iter();
        NodeOptions {
            cluster: cluster.into(),
            id,
            members: members.map(|(id, member)| (id, member.into())).collect(),
            data: data.into(),
            tick: Duration::from_millis(10),
            event_log: None,
        }
    }

    /// This node's address for peers, if the options fit together.
    pub(crate) fn check(&self) -> Result<&str, NodeError> {
        let mut known = BTreeMap::new();
        for (id, member) in &self.members {
            if let Some(other) = known.insert(&member.peer, *id) {
                return Err(NodeError::SameAddress(other, *id, member.peer.clone()));
            }
        }
        match self.members.get(&self.id) {
            Some(member) => Ok(&member.peer),
            None => Err(NodeError::NotAMember(self.id)),
        }
    }
}
