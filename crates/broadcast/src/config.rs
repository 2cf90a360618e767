//! What does not change while a node runs.

use quorate_machine::NodeId;
use std::fmt;

/// The configuration of one node; all but `id` must be the same on every member.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node.
    pub id: NodeId,
    /// All members, this node included, each once, ascending. Fixed for the life of the group.
    pub members: Vec<NodeId>,
    /// The time between two looks at who lacks what, in ticks.
    pub repair_ticks: u32,
    /// Messages in one batch, at most: what one command broadcasts must fit.
    pub batch_messages: usize,
    /// Bytes of payloads in one batch, at most.
    pub batch_bytes: usize,
    /// Own messages that some member does not have yet, or that the own application has not consumed,
    /// at most. Beyond it broadcasts are refused.
    pub window_messages: usize,
    /// Bytes of them, at most.
    pub window_bytes: usize,
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
            repair_ticks: 20,
            batch_messages: 4 * 1024,
            batch_bytes: 1 << 20,
            window_messages: 64 * 1024,
            window_bytes: 16 << 20,
        }
    }

    /// Every member but this node.
    pub fn peers(&self) -> impl Iterator<Item = NodeId> + use<'_> {
        let id = self.id;
        self.members.iter().copied().filter(move |peer| *peer != id)
    }

    /// The place of a node among the members.
    pub(crate) fn slot(&self, node: NodeId) -> Option<usize> {
        self.members.binary_search(&node).ok()
    }

    /// Messages of one sender that a node holds, at most. A sender may learn earlier than others that a
    /// message is held everywhere, and go on by a window; so this is two of them.
    pub fn hold_messages(&self) -> usize {
        self.window_messages.saturating_mul(2)
    }

    /// Bytes of them, at most.
    pub fn hold_bytes(&self) -> usize {
        self.window_bytes.saturating_mul(2)
    }

    /// Checks what a node cannot run with.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !self.members.contains(&self.id) {
            return Err(ConfigError::NotAMember(self.id));
        }
        if !self.members.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(ConfigError::MembersNotAscending);
        }
        let limits = [
            ("repair_ticks", self.repair_ticks as usize),
            ("batch_messages", self.batch_messages),
            ("batch_bytes", self.batch_bytes),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, limit)| *limit == 0) {
            return Err(ConfigError::ZeroLimit(name));
        }
        if self.window_messages < self.batch_messages || self.window_bytes < self.batch_bytes {
            return Err(ConfigError::BatchBeyondWindow);
        }
        Ok(())
    }
}

/// Why a configuration cannot be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The node is not among the members.
    NotAMember(NodeId),
    /// A member is listed twice or out of order.
    MembersNotAscending,
    /// A limit of zero would stop everything.
    ZeroLimit(&'static str),
    /// A batch would not fit into the window.
    BatchBeyondWindow,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NotAMember(id) => write!(f, "node {id} is not among the members"),
            ConfigError::MembersNotAscending => {
                f.write_str("members must be listed once each, in ascending order")
            }
            ConfigError::ZeroLimit(name) => write!(f, "{name} must be at least 1"),
            ConfigError::BatchBeyondWindow => f.write_str(
                "the window must have room for a whole batch: window_messages at least \
                 batch_messages, window_bytes at least batch_bytes",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict on a configuration that is good but for `change`.
    fn verdict(change: impl FnOnce(&mut Config)) -> Result<(), ConfigError> {
        let mut config = Config::new(NodeId(2), [3, 1, 2, 2].map(NodeId));
        change(&mut config);
        config.validate()
    }

    #[test]
    fn members_are_each_listed_once_in_order_and_with_the_node_itself() {
        assert_eq!(verdict(|_| ()), Ok(()));
        let refused = verdict(|config| config.id = NodeId(4));
        assert_eq!(refused, Err(ConfigError::NotAMember(NodeId(4))));
        for members in [vec![1, 2, 2], vec![2, 1, 3]] {
            let members = members.into_iter().map(NodeId).collect();
            let refused = verdict(|config| config.members = members);
            assert_eq!(refused, Err(ConfigError::MembersNotAscending));
        }
    }

    #[test]
    fn limits_that_would_stop_everything_are_refused_by_name() {
        let zero = |name| Err(ConfigError::ZeroLimit(name));
        assert_eq!(
            verdict(|config| config.repair_ticks = 0),
            zero("repair_ticks")
        );
        assert_eq!(
            verdict(|config| config.batch_messages = 0),
            zero("batch_messages")
        );
        assert_eq!(
            verdict(|config| config.batch_bytes = 0),
            zero("batch_bytes")
        );
        let small = verdict(|config| config.window_messages = config.batch_messages - 1);
        assert_eq!(small, Err(ConfigError::BatchBeyondWindow));
        let small = verdict(|config| config.window_bytes = config.batch_bytes - 1);
        assert_eq!(small, Err(ConfigError::BatchBeyondWindow));
    }
}
