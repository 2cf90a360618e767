//! Who the peers are, and how much they may take.

use quorate_machine::NodeId;
use rand::Rng;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a [`Transport`](crate::Transport) needs to know.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// The cluster's id; nodes of another cluster are refused.
    pub cluster: String,
    /// This node.
    pub me: NodeId,
    /// The nodes with their addresses, `host:port`. An entry for this node is ignored.
    pub peers: BTreeMap<NodeId, String>,
    /// Bounds on messages and queues.
    pub limits: Limits,
    /// The pause before a connection is tried again.
    pub backoff: Backoff,
}

impl PeerConfig {
    /// The configuration of `me` with default limits.
    pub fn new(cluster: impl Into<String>, me: NodeId, peers: BTreeMap<NodeId, String>) -> Self {
        PeerConfig {
            cluster: cluster.into(),
            me,
            peers,
            limits: Limits::default(),
            backoff: Backoff::default(),
        }
    }
}

/// Bounds on what one peer can occupy. They should be the same on all nodes of a cluster: a frame
/// beyond the receiver's limits ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, in bytes.
    pub message_bytes: usize,
    /// How many bytes of packets are sent as one frame; a longer packet has a frame for itself.
    pub frame_bytes: usize,
    /// How many bytes may wait for one peer.
    pub queue_bytes: usize,
    /// How many messages may wait for one peer.
    pub queue_messages: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message_bytes: 8 << 20,
            frame_bytes: 1 << 20,
            queue_bytes: 64 << 20,
            queue_messages: 64 << 10,
        }
    }
}

impl Limits {
    /// No frame that a peer with these limits makes is longer.
    pub(crate) fn longest_frame(&self) -> usize {
        self.frame_bytes.max(self.message_bytes + PACKET_OVERHEAD)
    }
}

/// At most what protobuf adds to the payload of one packet: two tags and two lengths of up to five
/// bytes, a tag and a group of up to ten.
pub(crate) const PACKET_OVERHEAD: usize = 24;

/// A pause that doubles from `first` to `longest`, half of it random so that nodes which failed
/// together do not return together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            first: Duration::from_millis(50),
            longest: Duration::from_secs(2),
        }
    }
}

impl Backoff {
    /// The pause after `failures` failures in a row.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        let doubled = self.first.saturating_mul(
            1u32.checked_shl(failures.saturating_sub(1))
                .unwrap_or(u32::MAX),
        );
        doubled
            .min(self.longest)
            .mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_limit() {
        let backoff = Backoff {
            first: Duration::from_millis(10),
            longest: Duration::from_millis(55),
        };
        for (failures, whole) in [(1, 10), (2, 20), (3, 40), (4, 55), (40, 55), (u32::MAX, 55)] {
            let pause = backoff.pause(failures);
            let whole = Duration::from_millis(whole);
            assert!(
                (whole / 2..=whole).contains(&pause),
                "{failures}: {pause:?}"
            );
        }
    }
}
