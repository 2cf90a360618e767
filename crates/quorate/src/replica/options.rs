//! How a replica behaves.

use crate::{NodeId, StateMachine};
use quorate_raft::Config;

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

impl Tuning {
    /// The machine's configuration on member `id` of `members`, with `genesis` as the state before the first
    /// command: what a [replay](quorate_driver::replay()) of this member's event log needs.
    pub fn config<S: StateMachine>(
        &self,
        id: NodeId,
        members: impl IntoIterator<Item = NodeId>,
        genesis: S,
    ) -> Config<S> {
        let Tuning {
            election_ticks,
            heartbeat_ticks,
            batch_entries,
            batch_bytes,
            window_entries,
            max_waiting,
            max_waiting_bytes: _, // the replica's own
            max_sessions,
        } = self.clone();
        Config {
            election_ticks,
            heartbeat_ticks,
            batch_entries,
            batch_bytes,
            window_entries,
            max_waiting,
            max_sessions,
            ..Config::new(id, members, genesis)
        }
    }
}
