//! What does not change while a node runs.

use quorate_machine::{NodeId, Ticks};
use quorate_paxos as paxos;

/// The configuration of one node; all but `id` must be the same on every member.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node.
    pub id: NodeId,
    /// All nodes that coordinate or take part, this one included, each once, ascending.
    pub members: Vec<NodeId>,
    /// How long a coordinator waits for votes.
    pub vote_ticks: Ticks,
    /// After how long a participant says again what it has decided.
    pub repeat_ticks: Ticks,
    /// How long an uncertain participant waits before it asks, or has a non-blocking transaction aborted; longer
    /// than a coordinator waits for votes, since who has not voted yet gives up its vote when it is asked.
    pub patience_ticks: Ticks,
    /// Transactions that may be open at this coordinator; more are refused as busy.
    pub max_coordinated: usize,
    /// Transactions in which this node may take part at a time; in more it votes no.
    pub max_joined: usize,
    /// Participants of a transaction, at most.
    pub max_participants: usize,
    /// How many committed transactions a coordinator still knows when all is done, to answer callers that ask
    /// or repeat their request.
    pub remembered: usize,
    /// The consensus that decides what is not to block.
    pub consensus: paxos::Config,
}

impl Config {
    /// A configuration for production with ticks of some ten milliseconds.
    pub fn new(id: NodeId, members: impl IntoIterator<Item = NodeId>) -> Self {
        let mut members: Vec<NodeId> = members.into_iter().collect();
        members.sort_unstable();
        members.dedup();
        Config {
            id,
            consensus: paxos::Config::new(id, members.iter().copied()),
            members,
            vote_ticks: 100..=150,
            repeat_ticks: 50..=150,
            patience_ticks: 200..=300,
            max_coordinated: 16 * 1024,
            max_joined: 64 * 1024,
            max_participants: 64,
            remembered: 16 * 1024,
        }
    }

    pub(crate) fn is_member(&self, node: NodeId) -> bool {
        self.members.contains(&node)
    }

    /// Whether these, ascending, may be the participants of a transaction.
    pub(crate) fn admits(&self, participants: &[NodeId]) -> bool {
        !participants.is_empty()
            && participants.len() <= self.max_participants
            && participants.windows(2).all(|pair| pair[0] < pair[1])
            && participants.iter().all(|node| self.is_member(*node))
    }
}
