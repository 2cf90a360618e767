//! What does not change while a node runs.

use crate::{Replicated, StateMachine};
use quorate_machine::{NodeId, Ticks};
use std::fmt;

/// The configuration of one node; all but `id` must be the same on every member.
#[derive(Clone, Debug)]
pub struct Config<S: StateMachine> {
    /// This node.
    pub id: NodeId,
    /// All members, this node included, each once, ascending.
    pub members: Vec<NodeId>,
    /// How long a follower waits for its leader, in ticks: the start of the range to forget it, the
    /// rest, drawn at random, to stand for election.
    pub election_ticks: Ticks,
    /// The time between two heartbeats, in ticks; well below the election timeout.
    pub heartbeat_ticks: u32,
    /// Whether a candidate first asks whether it could win.
    pub pre_vote: bool,
    /// Whether a leader steps down that does not hear a majority.
    pub check_quorum: bool,
    /// Entries in one append message, at most.
    pub batch_entries: usize,
    /// Bytes of commands in one append message, at most (one entry always fits).
    pub batch_bytes: usize,
    /// Entries sent to a follower and not acknowledged, at most.
    pub window_entries: usize,
    /// Commands, and likewise reads, that may wait at the leader; more are refused as busy.
    pub max_waiting: usize,
    /// Bytes of commands that may wait at the leader, at most (one command always may).
    pub max_waiting_bytes: usize,
    /// Open sessions; beyond it the least recently used expire.
    pub max_sessions: u32,
    /// The replicated state before the first entry.
    pub genesis: Replicated<S>,
}

impl<S: StateMachine> Config<S> {
    /// A configuration for production with ticks of some ten milliseconds.
    pub fn new(id: NodeId, members: impl IntoIterator<Item = NodeId>, genesis: S) -> Self {
        let mut members: Vec<NodeId> = members.into_iter().collect();
        members.sort_unstable();
        members.dedup();
        Config {
            id,
            members,
            election_ticks: 100..=200,
            heartbeat_ticks: 10,
            pre_vote: true,
            check_quorum: true,
            batch_entries: 1024,
            batch_bytes: 1 << 20,
            window_entries: 16 * 1024,
            max_waiting: 16 * 1024,
            max_waiting_bytes: 8 << 20,
            max_sessions: 64 * 1024,
            genesis: Replicated::new(genesis),
        }
    }

    /// Every member but this node.
    pub fn peers(&self) -> impl Iterator<Item = NodeId> + use<'_, S> {
        let id = self.id;
        self.members.iter().copied().filter(move |peer| *peer != id)
    }

    /// Checks what a node cannot run with.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !self.members.contains(&self.id) {
            return Err(ConfigError::NotAMember(self.id));
        }
        if !self.members.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(ConfigError::MembersNotAscending);
        }
        if self.heartbeat_ticks == 0 || *self.election_ticks.start() <= self.heartbeat_ticks {
            return Err(ConfigError::ElectionBeforeHeartbeat {
                election_ticks: *self.election_ticks.start(),
                heartbeat_ticks: self.heartbeat_ticks,
            });
        }
        if self.election_ticks.is_empty() {
            return Err(ConfigError::EmptyElectionRange);
        }
        let limits = [
            ("batch_entries", self.batch_entries),
            ("window_entries", self.window_entries),
            ("max_waiting", self.max_waiting),
            ("max_sessions", self.max_sessions as usize),
        ];
        match limits.iter().find(|(_, limit)| *limit == 0) {
            Some((name, _)) => Err(ConfigError::ZeroLimit(name)),
            None => Ok(()),
        }
    }
}

/// Why a configuration cannot be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The node is not among the members.
    NotAMember(NodeId),
    /// A member is listed twice or out of order.
    MembersNotAscending,
    /// Followers would stand for election between two heartbeats.
    ElectionBeforeHeartbeat {
        /// The shortest election timeout.
        election_ticks: u32,
        /// The heartbeat interval.
        heartbeat_ticks: u32,
    },
    /// The range of election timeouts is empty.
    EmptyElectionRange,
    /// A limit of zero would stop everything.
    ZeroLimit(&'static str),
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NotAMember(id) => write!(f, "node {id} is not among the members"),
            ConfigError::MembersNotAscending => {
                f.write_str("members must be listed once each, in ascending order")
            }
            ConfigError::ElectionBeforeHeartbeat {
                election_ticks,
                heartbeat_ticks,
            } => write!(
                f,
                "the election timeout ({election_ticks} ticks) must be longer than the heartbeat \
                 interval ({heartbeat_ticks} ticks, at least 1)"
            ),
            ConfigError::EmptyElectionRange => {
                f.write_str("the range of election timeouts is empty")
            }
            ConfigError::ZeroLimit(name) => write!(f, "{name} must be at least 1"),
        }
    }
}
