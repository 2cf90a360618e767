//! What a member serves: each service is a group of its own, and all of them share the member's disk,
//! connections and address for clients.

use quorate::{GroupId, Node, Replica, StartError};
use quorate_kv::{KvService, Map};
use tonic::service::Routes;

use super::config::NodeConfig;
use crate::outcome::Failure;

/// The group of the key-value store.
pub(in crate::commands) const KV: GroupId = GroupId(1);

/// The services of a member, started.
pub(super) struct Services {
    kv: Replica<Map>,
}

impl Services {
    /// Starts this member's part of every group.
    pub(super) fn start(node: &Node, config: &NodeConfig) -> Result<Self, Failure> {
        let kv = Replica::start(node, KV, config.raft.clone(), Map::new());
        Ok(Services {
            kv: kv.map_err(refusal)?,
        })
    }

    /// What clients can ask.
    pub(super) fn routes(&self) -> Routes {
        Routes::new(KvService::new(self.kv.clone()).into_server())
    }

    /// Returns once one of them has stopped, with its name.
    pub(super) async fn stopped(&self) -> &'static str {
        self.kv.stopped().await;
        "key-value store"
    }
}

fn refusal(error: StartError) -> Failure {
    match error {
        StartError::Config(_) => Failure::Usage(error.to_string()),
        StartError::Group(_) => Failure::Fault(error.to_string()),
    }
}
