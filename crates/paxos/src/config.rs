//! What does not change while a node runs.

use quorate_machine::{NodeId, Ticks};
use std::fmt;

/// The configuration of one node; the members must be the same on every one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This node.
    pub id: NodeId,
    /// All members, this node included, each once, ascending.
    pub members: Vec<NodeId>,
    /// How long a proposer waits for answers before it asks again those who have not answered.
    pub retry_ticks: Ticks,
    /// How long a proposer that lost to a higher ballot waits before it tries again: drawn at random, so
    /// that of two that duel one comes first.
    pub backoff_ticks: Ticks,
    /// How often `backoff_ticks` doubles, at most, for an attempt that is set back again and again.
    pub doublings_max: u8,
    /// Decisions that this node tries to bring about or to learn at once; requests for more are refused.
    pub open_max: u32,
    /// Requests that wait for one decision; more are refused.
    pub waiting_max: usize,
    /// Decisions that the node remembers. Beyond it the node refuses requests for others, and is silent
    /// towards peers, until some are released.
    pub keys_max: usize,
}

impl Config {
    /// A configuration for production with ticks of some ten milliseconds.
    pub fn new(id: NodeId, members: impl IntoIterator<Item = NodeId>) -> Self {
        let mut members: Vec<NodeId> = members.into_iter().collect();
        members.sort_unstable();
        members.dedup();
        Config {
            id,
            members,
            retry_ticks: 20..=30,
            backoff_ticks: 2..=20,
            doublings_max: 4,
            open_max: 16 * 1024,
            waiting_max: 1024,
            keys_max: 1 << 20,
        }
    }

    /// Every member but this node.
    pub fn peers(&self) -> impl Iterator<Item = NodeId> + use<'_> {
        let id = self.id;
        self.members.iter().copied().filter(move |peer| *peer != id)
    }

    /// Checks what a node cannot run with.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !self.members.contains(&self.id) {
            return Err(ConfigError::NotAMember(self.id));
        }
        if !self.members.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(ConfigError::MembersNotAscending);
        }
        let ranges = [
            ("retry_ticks", &self.retry_ticks),
            ("backoff_ticks", &self.backoff_ticks),
        ];
        for (name, ticks) in ranges {
            if ticks.is_empty() || *ticks.start() == 0 {
                return Err(ConfigError::Ticks(name));
            }
        }
        let limits = [
            ("open_max", self.open_max as usize),
            ("waiting_max", self.waiting_max),
            ("keys_max", self.keys_max),
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
    /// A range of ticks is empty, or begins at zero: a timer would fire before anybody could answer.
    Ticks(&'static str),
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
            ConfigError::Ticks(name) => {
                write!(f, "{name} must be a range that begins at 1 or later")
            }
            ConfigError::ZeroLimit(name) => write!(f, "{name} must be at least 1"),
        }
    }
}
