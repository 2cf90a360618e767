//! Proposers: attempts to bring a decision about, or to learn it.
//!
//! A request opens an attempt, or joins the one that is open for its key. An attempt goes through ballots
//! until something is decided, or until nobody waits any more: phase 1 asks all acceptors to promise, and a
//! majority of promises tells what may have been decided below the ballot; phase 2 asks them to accept that,
//! or, if it is nothing, the attempt's own value.

use crate::{Ballot, Config, Instance, Message, Output, Paxos, Proposal, Record, Refusal};
use crate::{Slot, Timer};
use quorate_machine::{Effects, NodeId, Ticks, Value, majority};

/// What a node does about a decision that it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt<V> {
    pub(crate) slot: Slot,
    /// What it proposes if nothing may have been decided; nothing as long as all who wait only read.
    pub(crate) value: Option<V>,
    pub(crate) waiting: Vec<Waiting>,
    /// How often it was set back, as far as that matters.
    pub(crate) setbacks: u8,
    pub(crate) phase: Phase<V>,
}

/// How far an attempt is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase<V> {
    /// Phase 1 of a ballot.
    Preparing {
        /// The ballot.
        ballot: Ballot,
        /// Who has promised, ascending.
        promised: Vec<NodeId>,
        /// Of what they have accepted, that of the highest ballot.
        uncovered: Option<Proposal<V>>,
    },
    /// Phase 2 of a ballot.
    Accepting {
        /// The ballot and its value.
        proposal: Proposal<V>,
        /// Who has accepted it, ascending.
        accepted: Vec<NodeId>,
    },
    /// A higher ballot has come in between; the next one is to be above this round.
    SetBack {
        /// The round.
        above: u64,
    },
}

/// A request that waits for an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Waiting {
    pub(crate) request: u64,
    pub(crate) wish: Wish,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish {
    /// The decision.
    Decision,
    /// The decision, or that there was none.
    Answer {
        /// Whether the phase 1 that is under way began after the question. Promises made before it may be
        /// older than a decision that its client knows of.
        covered: bool,
    },
}

impl<V> Attempt<V> {
    /// How far it is.
    pub fn phase(&self) -> &Phase<V> {
        &self.phase
    }

    /// The ballot that it uses, unless it was set back.
    pub fn ballot(&self) -> Option<Ballot> {
        match &self.phase {
            Phase::Preparing { ballot, .. } => Some(*ballot),
            Phase::Accepting { proposal, .. } => Some(proposal.ballot),
            Phase::SetBack { .. } => None,
        }
    }

    /// What it proposes if nothing may have been decided; nothing as long as all who wait only read.
    pub fn value(&self) -> Option<&V> {
        self.value.as_ref()
    }

    /// The requests that wait for it, oldest first, and for what.
    pub fn requests(&self) -> impl Iterator<Item = (u64, Wish)> {
        self.waiting.iter().map(|one| (one.request, one.wish))
    }

    /// How many requests wait for it.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Its place among the attempts of the node, which is its timer's name.
    pub fn slot(&self) -> Slot {
        self.slot
    }
}

impl<K: Value + Ord, V: Value> Paxos<K, V> {
    /// A client wants `value` decided, or, without one, to know what is.
    pub(crate) fn on_request(
        &mut self,
        config: &Config,
        request: u64,
        key: K,
        value: Option<V>,
        fx: &mut Effects<Self>,
    ) {
        if let Some(value) = self.decided(&key) {
            let value = value.clone();
            return fx.output(Output::Decided { request, value });
        }
        let refuse = |fx: &mut Effects<Self>, refusal| {
            fx.output(Output::Refused { request, refusal });
        };
        if self.state.is_released(&key) {
            return refuse(fx, Refusal::Released);
        }
        let wish = match value {
            Some(_) => Wish::Decision,
            None => Wish::Answer { covered: false },
        };
        if let Some(attempt) = self.attempts.get_mut(&key) {
            if attempt.waiting.iter().any(|one| one.request == request) {
                return; // asked again, and still waiting
            }
            if attempt.waiting.len() >= config.waiting_max {
                return refuse(fx, Refusal::Busy);
            }
            attempt.waiting.push(Waiting { request, wish });
            attempt.value = attempt.value.take().or(value);
            return;
        }
        if !self.has_room(config, &key) {
            return refuse(fx, Refusal::Full);
        }
        let Some(slot) = self.slots.take(key.clone(), config.open_max) else {
            return refuse(fx, Refusal::Busy);
        };
        let attempt = Attempt {
            slot,
            value,
            waiting: vec![Waiting { request, wish }],
            setbacks: 0,
            phase: Phase::SetBack { above: 0 },
        };
        self.attempts.insert(key.clone(), attempt);
        self.begin(config, key, fx);
    }

    /// Phase 1a: a new ballot, higher than any that this node knows of.
    fn begin(&mut self, config: &Config, key: K, fx: &mut Effects<Self>) {
        let Some(attempt) = self.attempts.get_mut(&key) else {
            return;
        };
        let Instance::Open(acceptor) = self.state.instances.entry(key.clone()).or_default() else {
            return;
        };
        let above = match attempt.phase {
            Phase::SetBack { above } => above,
            Phase::Preparing { .. } | Phase::Accepting { .. } => 0,
        };
        let Some(round) = above.max(acceptor.promised.round).checked_add(1) else {
            return self.give_up(&key, Refusal::Exhausted, fx);
        };
        let ballot = Ballot {
            round,
            node: config.id,
        };
        attempt.phase = Phase::Preparing {
            ballot,
            promised: Vec::new(),
            uncovered: None,
        };
        for waiting in &mut attempt.waiting {
            if let Wish::Answer { covered } = &mut waiting.wish {
                *covered = true;
            }
        }
        // The node's own promise makes the ballot durable, and everything said under the ballot waits for it:
        // a node that comes back never uses a ballot twice. Answers to the first use, still on their way,
        // would be taken for answers to the second.
        acceptor.promised = ballot;
        let accepted = acceptor.accepted.clone();
        fx.arm(Timer::Retry(attempt.slot), config.retry_ticks.clone());
        let record = Record::Promised {
            key: key.clone(),
            ballot,
        };
        fx.persist(record);
        for peer in config.peers() {
            let key = key.clone();
            fx.send(peer, Message::Prepare { key, ballot });
        }
        let own = Message::Promised {
            key,
            ballot,
            accepted,
        };
        fx.send(config.id, own);
    }

    pub(crate) fn on_promised(
        &mut self,
        config: &Config,
        from: NodeId,
        key: K,
        answered: Ballot,
        accepted: Option<Proposal<V>>,
        fx: &mut Effects<Self>,
    ) {
        let Some(attempt) = self.attempts.get_mut(&key) else {
            return;
        };
        let Phase::Preparing {
            ballot,
            promised,
            uncovered,
        } = &mut attempt.phase
        else {
            return;
        };
        if answered != *ballot {
            return; // an answer to an earlier ballot
        }
        count(promised, from);
        let higher = |proposal: &Proposal<V>| {
            let best = uncovered.as_ref().map(|best| best.ballot);
            proposal.ballot < answered && Some(proposal.ballot) > best
        };
        if let Some(proposal) = accepted.filter(higher) {
            *uncovered = Some(proposal);
        }
        if promised.len() >= majority(config.members.len()) {
            let uncovered = uncovered.take();
            self.conclude(config, key, answered, uncovered, fx);
        }
    }

    /// A majority has promised: what may have been decided below the ballot is known, and nothing else can be
    /// any more.
    fn conclude(
        &mut self,
        config: &Config,
        key: K,
        ballot: Ballot,
        uncovered: Option<Proposal<V>>,
        fx: &mut Effects<Self>,
    ) {
        let Some(attempt) = self.attempts.get_mut(&key) else {
            return;
        };
        if uncovered.is_none() {
            // Nothing was decided when phase 1 began.
            attempt.waiting.retain(|waiting| {
                let answered = waiting.wish == Wish::Answer { covered: true };
                if answered {
                    let request = waiting.request;
                    fx.output(Output::Undecided { request });
                }
                !answered
            });
        }
        let proposed = attempt.value.clone();
        match uncovered.map(|proposal| proposal.value).or(proposed) {
            Some(value) => self.propose(config, key, Proposal { ballot, value }, fx),
            None if attempt.waiting.is_empty() => drop(self.close(&key, fx)),
            None => self.begin(config, key, fx), // somebody asked meanwhile
        }
    }

    /// Phase 2a.
    fn propose(&mut self, config: &Config, key: K, proposal: Proposal<V>, fx: &mut Effects<Self>) {
        let Some(attempt) = self.attempts.get_mut(&key) else {
            return;
        };
        let Some(Instance::Open(acceptor)) = self.state.instances.get_mut(&key) else {
            return;
        };
        let ballot = proposal.ballot;
        attempt.phase = Phase::Accepting {
            proposal: proposal.clone(),
            accepted: Vec::new(),
        };
        fx.arm(Timer::Retry(attempt.slot), config.retry_ticks.clone());
        // The proposal says nothing of this disk but that it has the ballot: it need not wait for the node's
        // own acceptance, and is sent before it.
        for peer in config.peers() {
            let accept = Message::Accept {
                key: key.clone(),
                ballot,
                value: proposal.value.clone(),
            };
            fx.send(peer, accept);
        }
        acceptor.accepted = Some(proposal.clone());
        let record = Record::Accepted {
            key: key.clone(),
            proposal,
        };
        fx.persist(record);
        fx.send(config.id, Message::Accepted { key, ballot });
    }

    pub(crate) fn on_accepted(
        &mut self,
        config: &Config,
        from: NodeId,
        key: K,
        ballot: Ballot,
        fx: &mut Effects<Self>,
    ) {
        let Some(attempt) = self.attempts.get_mut(&key) else {
            return;
        };
        let Phase::Accepting { proposal, accepted } = &mut attempt.phase else {
            return;
        };
        if proposal.ballot != ballot {
            return;
        }
        count(accepted, from);
        if accepted.len() >= majority(config.members.len()) {
            let value = proposal.value.clone();
            for peer in config.peers() {
                let (key, value) = (key.clone(), value.clone());
                fx.send(peer, Message::Decided { key, value });
            }
            self.learn(key, value, fx);
        }
    }

    /// Somebody has promised a higher ballot.
    pub(crate) fn on_refused(
        &mut self,
        config: &Config,
        key: &K,
        ballot: Ballot,
        promised: Ballot,
        fx: &mut Effects<Self>,
    ) {
        let attempt = self.attempts.get(key);
        let current = attempt.and_then(Attempt::ballot) == Some(ballot);
        if current && promised > ballot {
            self.set_back(config, key, promised.round, fx);
        }
    }

    /// This node's own acceptor has promised `ballot`: a lower one of its own has lost.
    pub(crate) fn give_way(
        &mut self,
        config: &Config,
        key: &K,
        ballot: Ballot,
        fx: &mut Effects<Self>,
    ) {
        let attempt = self.attempts.get(key);
        if attempt
            .and_then(Attempt::ballot)
            .is_some_and(|own| own < ballot)
        {
            self.set_back(config, key, 0, fx);
        }
    }

    /// Waits, so that whoever is ahead may finish, and then tries above `above`.
    fn set_back(&mut self, config: &Config, key: &K, above: u64, fx: &mut Effects<Self>) {
        let Some(attempt) = self.attempts.get_mut(key) else {
            return;
        };
        attempt.phase = Phase::SetBack { above };
        let ticks = lengthened(&config.backoff_ticks, attempt.setbacks);
        attempt.setbacks = config.doublings_max.min(attempt.setbacks.saturating_add(1));
        fx.arm(Timer::Retry(attempt.slot), ticks);
    }

    /// Asks again whoever has not answered, or tries a higher ballot.
    pub(crate) fn on_retry(&mut self, config: &Config, slot: Slot, fx: &mut Effects<Self>) {
        let Some(key) = self.slots.key(slot).cloned() else {
            return;
        };
        let Some(attempt) = self.attempts.get(&key) else {
            return;
        };
        let silent = |heard: &[NodeId]| {
            let silent = config.peers().filter(|peer| !heard.contains(peer));
            silent.collect::<Vec<_>>()
        };
        match &attempt.phase {
            Phase::SetBack { .. } => return self.begin(config, key, fx),
            Phase::Preparing {
                ballot, promised, ..
            } => {
                for peer in silent(promised) {
                    let (key, ballot) = (key.clone(), *ballot);
                    fx.send(peer, Message::Prepare { key, ballot });
                }
            }
            Phase::Accepting { proposal, accepted } => {
                for peer in silent(accepted) {
                    let accept = Message::Accept {
                        key: key.clone(),
                        ballot: proposal.ballot,
                        value: proposal.value.clone(),
                    };
                    fx.send(peer, accept);
                }
            }
        }
        fx.arm(Timer::Retry(slot), config.retry_ticks.clone());
    }

    /// Ends an attempt without a decision.
    pub(crate) fn give_up(&mut self, key: &K, refusal: Refusal, fx: &mut Effects<Self>) {
        for Waiting { request, .. } in self.close(key, fx) {
            fx.output(Output::Refused { request, refusal });
        }
    }

    /// Ends an attempt; who still waits for it is to be told.
    pub(crate) fn close(&mut self, key: &K, fx: &mut Effects<Self>) -> Vec<Waiting> {
        let Some(attempt) = self.attempts.remove(key) else {
            return Vec::new();
        };
        self.slots.give_back(attempt.slot);
        fx.disarm(Timer::Retry(attempt.slot));
        attempt.waiting
    }
}

/// Adds a node once.
fn count(nodes: &mut Vec<NodeId>, node: NodeId) {
    if let Err(place) = nodes.binary_search(&node) {
        nodes.insert(place, node);
    }
}

/// A range of ticks, its end doubled so often.
fn lengthened(ticks: &Ticks, doublings: u8) -> Ticks {
    let factor = 1_u32.checked_shl(doublings.into()).unwrap_or(u32::MAX);
    *ticks.start()..=ticks.end().saturating_mul(factor)
}
