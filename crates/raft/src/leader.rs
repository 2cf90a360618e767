//! What a leader knows.

use crate::{Config, Index, Payload, StateMachine};
use quorate_machine::{NodeId, committed_by_majority, majority};
use std::collections::VecDeque;

/// How a follower is sent entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flow {
    /// Where the logs agree is not known: one append at a time, `awaiting` its answer or not.
    Probe {
        /// Whether one is on its way.
        awaiting: bool,
    },
    /// The logs agree: appends follow each other without waiting.
    Stream,
}

/// What a leader knows of one member, itself included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Progress {
    /// The member's log equals the leader's up to here, durably.
    pub matched: Index,
    /// The next entry to send.
    pub next: Index,
    /// How.
    pub flow: Flow,
    /// The latest read round that the member has acknowledged.
    pub round: u64,
    /// Whether it has been heard since the last check of the quorum.
    pub active: bool,
}

/// A read that waits for its round.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PendingRead<Q> {
    pub(crate) id: u64,
    pub(crate) query: Q,
    /// A majority must have acknowledged this round, which began after the read arrived.
    pub(crate) round: u64,
    /// The state must reflect at least this entry: what was committed when the read arrived, and
    /// an entry of the leader's own term, before which it cannot know what is committed.
    pub(crate) index: Index,
}

/// The volatile state of a leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leader<S: StateMachine> {
    /// One per member, in the order of [`Config::members`].
    pub(crate) progress: Vec<Progress>,
    /// What will be appended at the end of the turn.
    pub(crate) proposals: Vec<Payload<S::Command>>,
    /// Their bytes: together they become one record.
    pub(crate) proposed_bytes: usize,
    pub(crate) reads: VecDeque<PendingRead<S::Query>>,
    /// The latest read round that was sent.
    pub(crate) round: u64,
    /// The first entry of this leader's term.
    pub(crate) first: Index,
}

impl<S: StateMachine> Leader<S> {
    pub(crate) fn new(config: &Config<S>, last: Index) -> Self {
        let progress = config.members.iter().map(|_| Progress {
            matched: Index(0),
            next: last.next(),
            flow: Flow::Probe { awaiting: false },
            round: 0,
            active: true,
        });
        Leader {
            progress: progress.collect(),
            proposals: vec![Payload::Noop],
            proposed_bytes: 0,
            reads: VecDeque::new(),
            round: 0,
            first: last.next(),
        }
    }

    /// What is known of each member, in the order of [`Config::members`].
    pub fn progress(&self) -> &[Progress] {
        &self.progress
    }

    /// The latest read round that was sent.
    pub fn round(&self) -> u64 {
        self.round
    }

    pub(crate) fn of(&mut self, config: &Config<S>, member: NodeId) -> Option<&mut Progress> {
        let slot = config.members.binary_search(&member).ok()?;
        self.progress.get_mut(slot)
    }

    /// Takes a proposal unless too much is waiting.
    pub(crate) fn propose(&mut self, config: &Config<S>, payload: Payload<S::Command>) -> bool {
        let bytes = match &payload {
            Payload::Write { command, .. } => S::size_bytes(command),
            Payload::Noop | Payload::Open { .. } => 0,
        };
        let bytes = self.proposed_bytes.saturating_add(bytes);
        let full = self.proposals.len() >= config.max_waiting
            || (bytes > config.max_waiting_bytes && !self.proposals.is_empty());
        if !full {
            self.proposals.push(payload);
            self.proposed_bytes = bytes;
        }
        !full
    }

    /// The last index that a majority has on disk.
    pub(crate) fn durable_on_majority(&self) -> Index {
        let mut matched: Vec<Index> = self.progress.iter().map(|p| p.matched).collect();
        committed_by_majority(&mut matched).unwrap_or_default()
    }

    /// The last read round that a majority has acknowledged.
    pub(crate) fn confirmed_round(&self) -> u64 {
        let mut rounds: Vec<u64> = self.progress.iter().map(|p| p.round).collect();
        committed_by_majority(&mut rounds).unwrap_or_default()
    }

    /// Whether a majority has been heard since the last time that this was asked.
    pub(crate) fn check_quorum(&mut self, config: &Config<S>) -> bool {
        let mut heard = 0;
        for (member, progress) in config.members.iter().zip(&mut self.progress) {
            heard += usize::from(progress.active || *member == config.id);
            progress.active = false;
        }
        heard >= majority(config.members.len())
    }
}
