//! What a replica is started with.

use crate::replica::StartError;
use crate::{GroupId, NodeId, StateMachine};
use quorate_driver::DriverConfig;
use quorate_raft::Config;
use quorate_transport::PeerConfig;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where its peers reach it, `host:port`. It listens there.
    pub peer: String,
    /// Where clients reach the service that is built on the replica. The replica does not use it; it is
    /// for telling clients where the leader is.
    pub client: String,
}

/// How to take part in a cluster.
#[derive(Clone, Debug)]
pub struct ReplicaOptions {
    /// The cluster's name: nodes of another cluster are refused.
    pub cluster: String,
    /// This member.
    pub id: NodeId,
    /// All members, this one included; the same on all of them.
    pub members: BTreeMap<NodeId, Member>,
    /// The directory of the record log, for this member alone. Created if it is missing.
    pub data: PathBuf,
    /// The length of a timer tick.
    pub tick: Duration,
    /// Raft's own options.
    pub raft: Tuning,
    /// Where to record every event for replay; nowhere if `None`. It costs more than the work itself.
    pub event_log: Option<PathBuf>,
    /// The group's number, on the network and in the record log; the same on all members.
    pub group: GroupId,
}

impl ReplicaOptions {
    /// Options with ten milliseconds a tick and Raft's defaults.
    pub fn new(
        cluster: impl Into<String>,
        id: NodeId,
        members: BTreeMap<NodeId, Member>,
        data: impl Into<PathBuf>,
    ) -> Self {
        ReplicaOptions {
            cluster: cluster.into(),
            id,
            members,
            data: data.into(),
            tick: Duration::from_millis(10),
            raft: Tuning::default(),
            event_log: None,
            group: GroupId(1),
        }
    }
}

/// Raft's options. See [`Config`] for what each means; durations are in ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// A follower forgets a leader that is silent for the shortest of these, and stands for election
    /// after another random part of the range.
    pub election_ticks: std::ops::RangeInclusive<u32>,
    /// The time between two heartbeats.
    pub heartbeat_ticks: u32,
    /// Entries in one message, at most.
    pub batch_entries: usize,
    /// Bytes of commands in one message, at most.
    pub batch_bytes: usize,
    /// Entries that a follower may be sent before it acknowledges any.
    pub window_entries: usize,
    /// Requests that may wait to be answered.
    pub max_waiting: usize,
    /// Bytes of commands that may wait to be answered. All of them may become one record, so it stays
    /// below what the record log takes as one.
    pub max_waiting_bytes: usize,
    /// Open sessions; beyond it the least recently used expire.
    pub max_sessions: u32,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            election_ticks: 100..=200,
            heartbeat_ticks: 10,
            batch_entries: 1024,
            batch_bytes: 1 << 20,
            window_entries: 16 * 1024,
            max_waiting: 16 * 1024,
            max_waiting_bytes: 8 << 20,
            max_sessions: 64 * 1024,
        }
    }
}

/// Options that were checked, in the words of those who use them.
pub(crate) struct Prepared<S: StateMachine> {
    pub(crate) raft: Config<S>,
    pub(crate) driver: DriverConfig,
    pub(crate) peers: PeerConfig,
    pub(crate) peer_address: String,
}

impl ReplicaOptions {
    pub(crate) fn check<S: StateMachine>(&self, genesis: S) -> Result<Prepared<S>, StartError> {
        let raft = self.raft_config(genesis);
        raft.validate()?;
        let peers: BTreeMap<NodeId, String> = self
            .members
            .iter()
            .map(|(id, member)| (*id, member.peer.clone()))
            .collect();
        let mut known = BTreeMap::new();
        for (id, address) in &peers {
            if let Some(other) = known.insert(address, *id) {
                return Err(StartError::SameAddress(other, *id, address.clone()));
            }
        }
        let mut driver = DriverConfig::new(self.group);
        driver.tick = self.tick;
        driver.event_log = self.event_log.clone();
        let peer_address = peers.get(&self.id).cloned().unwrap_or_default();
        Ok(Prepared {
            raft,
            driver,
            peers: PeerConfig::new(self.cluster.clone(), self.id, peers),
            peer_address,
        })
    }

    /// The machine's configuration, with `genesis` as the state before the first command: what a
    /// [replay](quorate_driver::replay()) of this member's event log needs.
    pub fn raft_config<S: StateMachine>(&self, genesis: S) -> Config<S> {
        let Tuning {
            election_ticks,
            heartbeat_ticks,
            batch_entries,
            batch_bytes,
            window_entries,
            max_waiting,
            max_waiting_bytes: _, // the replica's own
            max_sessions,
        } = self.raft.clone();
        Config {
            election_ticks,
            heartbeat_ticks,
            batch_entries,
            batch_bytes,
            window_entries,
            max_waiting,
            max_sessions,
            ..Config::new(self.id, self.members.keys().copied(), genesis)
        }
    }
}
