//! Single-decree Paxos as one deterministic [`Machine`]: write-once decisions, any number of them.
//!
//! A *decision* has a key and, once it is made, one value for ever. Nodes may propose different values for
//! it at the same time, crash and come back, and hear messages late, twice or never: at most one value is
//! decided, it is one that was proposed, and whoever learns it learns the same. Progress needs a majority of
//! the members up and connected. This is the Synod protocol of Lamport, "The Part-Time Parliament" (1998),
//! as told in "Paxos Made Simple" (2001). Every node has all roles; how it goes, from top to bottom:
//!
//! **Ballots** (`ballot.rs`). An attempt to decide is numbered by a [`Ballot`], a round and the node that
//! proposes: no two nodes share one, and any two compare. A node makes a ballot of its own durable before it
//! uses it, so it shares none with its own past either.
//!
//! **Phase 1** (`proposer.rs`, `acceptor.rs`). A proposer asks all acceptors to *promise* to accept nothing
//! below its ballot ([`Message::Prepare`]). Each that promises says what it has accepted last
//! ([`Message::Promised`]). A majority of promises closes the past: of the values proposed below the ballot,
//! only that of the highest ballot among those uncovered may have been decided, and if there is none,
//! nothing was and nothing will be.
//!
//! **Phase 2.** The proposer proposes the uncovered value, or its own if there is none
//! ([`Message::Accept`]). An acceptor that has not promised otherwise accepts it, and thereby promises as
//! well ([`Message::Accepted`]). What a majority has accepted under one ballot is decided.
//!
//! **Learning** (`learner.rs`). The proposer that counts a majority tells everybody
//! ([`Message::Decided`]), once. A node that did not hear it learns the decision when it asks; whoever knows it
//! answers any question about it with it. So a node that knows a decision answers by itself.
//!
//! **Reads.** A read is phase 1 without a value of its own. If the promises uncover nothing, then
//! nothing had been decided when it began: *undecided* is the answer, and true. If they uncover something, it
//! may have been decided, so it is brought to a decision first. A read that comes while phase 1 is under way
//! waits for the next: promises made before it was asked may be older than a decision that its client knows of.
//!
//! **Duels.** Two proposers can prevent each other for ever (Fischer, Lynch and Paterson, 1985: something
//! must). A proposer that hears of a higher ballot steps back, for a time drawn at random from a range that
//! doubles with each setback.
//!
//! **Durability.** [`Effects::send`] lets a promise or an acceptance leave only once its record is durable. A
//! decision costs three syncs one after the other: the ballot at the proposer, the promises, the acceptances.
//! The record of a learned decision is waited for by nobody.
//!
//! **Releasing.** An acceptor that forgot what it accepted could help to decide something else. It may be
//! silent, though, as if it had crashed. So [`Command::Release`] drops the decisions below a key *and* remembers
//! the key, durably: for what is below it the node promises, accepts and learns nothing any more. Agreement
//! therefore holds whenever and wherever it is used; what is lost is the answer, so release what nobody will
//! ask for again. Keys should grow: what is used first is released first.
//!
//! # Within another machine
//!
//! A protocol that needs a decision no crash can block holds a `Paxos` as a part of its own: it keeps
//! [`Durable`] within its own durable state, wraps messages, records and timers in variants of its own, steps the
//! part with an [`Effects`] of its own kind, and takes these over with [`Effects::embed`]. An idle part has no
//! timers and says nothing.
//!
//! Properties that must hold are in [`invariants`]; the model checker, the simulator and the tests share them.
//!
//! Caveats: members are fixed. A decision that was told only to members that crashed is learned when somebody
//! asks for it, not before. There is no stable leader that skips phase 1: that is Multi-Paxos.

mod acceptor;
mod ballot;
mod config;
pub mod invariants;
mod learner;
mod message;
mod proposer;
mod slots;

pub use ballot::{Acceptor, Ballot, Instance, Proposal};
pub use config::{Config, ConfigError};
pub use message::{Command, Durable, Message, Output, Record, Refusal, Slot, Timer};
pub use proposer::{Attempt, Phase, Waiting, Wish};

use quorate_machine::{Effects, Event, Machine, NodeId, Value};
use slots::Slots;
use std::collections::BTreeMap;

/// One node of a group that decides. See the [crate's introduction](crate).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Paxos<K: Ord, V> {
    /// What the disk will have once it is synced.
    state: Durable<K, V>,
    attempts: BTreeMap<K, Attempt<V>>,
    slots: Slots<K>,
}

impl<K: Value + Ord, V: Value> Paxos<K, V> {
    /// What this node knows to be decided for `key`.
    pub fn decided(&self, key: &K) -> Option<&V> {
        self.state.instances.get(key)?.decided()
    }

    /// What this node knows of every decision, including what is not durable yet.
    pub fn state(&self) -> &Durable<K, V> {
        &self.state
    }

    /// What this node is trying to bring about or to learn.
    pub fn attempts(&self) -> &BTreeMap<K, Attempt<V>> {
        &self.attempts
    }

    /// Whether `key` may be remembered.
    fn has_room(&self, config: &Config, key: &K) -> bool {
        let instances = &self.state.instances;
        instances.len() < config.keys_max || instances.contains_key(key)
    }

    fn command(&mut self, config: &Config, command: Command<K, V>, fx: &mut Effects<Self>) {
        match command {
            Command::Propose {
                request,
                key,
                value,
            } => self.on_request(config, request, key, Some(value), fx),
            Command::Read { request, key } => self.on_request(config, request, key, None, fx),
            Command::Release { below } => self.on_release(below, fx),
        }
    }

    fn receive(
        &mut self,
        config: &Config,
        from: NodeId,
        message: Message<K, V>,
        fx: &mut Effects<Self>,
    ) {
        if !config.members.contains(&from) {
            return; // only members have a say
        }
        match message {
            Message::Prepare { key, ballot } => self.on_prepare(config, from, key, ballot, fx),
            Message::Promised {
                key,
                ballot,
                accepted,
            } => self.on_promised(config, from, key, ballot, accepted, fx),
            Message::Accept { key, ballot, value } => {
                self.on_accept(config, from, key, Proposal { ballot, value }, fx);
            }
            Message::Accepted { key, ballot } => self.on_accepted(config, from, key, ballot, fx),
            Message::Refused {
                key,
                ballot,
                promised,
            } => self.on_refused(config, &key, ballot, promised, fx),
            Message::Decided { key, value } => self.on_decided(config, key, value, fx),
            Message::Released { key } => self.give_up(&key, Refusal::Released, fx),
        }
    }
}

impl<K: Value + Ord, V: Value> Machine for Paxos<K, V> {
    type Config = Config;
    type Command = Command<K, V>;
    type Message = Message<K, V>;
    type Timer = Timer;
    type Record = Record<K, V>;
    type Durable = Durable<K, V>;
    type Output = Output<K, V>;

    fn apply(durable: &mut Self::Durable, record: &Self::Record) {
        match record {
            Record::Promised { key, ballot } => {
                let instance = durable.instances.entry(key.clone()).or_default();
                if let Instance::Open(acceptor) = instance {
                    acceptor.promised = *ballot;
                }
            }
            Record::Accepted { key, proposal } => {
                let instance = durable.instances.entry(key.clone()).or_default();
                if let Instance::Open(acceptor) = instance {
                    acceptor.promised = proposal.ballot;
                    acceptor.accepted = Some(proposal.clone());
                }
            }
            Record::Decided { key, value } => {
                let decided = Instance::Decided(value.clone());
                durable.instances.insert(key.clone(), decided);
            }
            Record::Released { below } => durable.release(below),
        }
    }

    fn start(_config: &Config, durable: &Self::Durable, _fx: &mut Effects<Self>) -> Self {
        Paxos {
            state: durable.clone(),
            attempts: BTreeMap::new(),
            slots: Slots::default(),
        }
    }

    fn step(&mut self, config: &Config, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Command(command) => self.command(config, command, fx),
            Event::Receive { from, message } => self.receive(config, from, message, fx),
            Event::Timeout(Timer::Retry(slot)) => self.on_retry(config, slot, fx),
        }
        debug_assert_eq!(invariants::node(config, self), Ok(()));
    }

    fn backed(_to: NodeId, message: &Self::Message, sender: &Self::Durable) -> bool {
        let key = message.key();
        if sender.is_released(key) {
            return true; // the disk no longer tells; it did when the message left
        }
        let none = Acceptor::default();
        let acceptor = match sender.instances.get(key) {
            Some(Instance::Decided(_)) => return true,
            Some(Instance::Open(acceptor)) => acceptor,
            None => &none,
        };
        let accepted = acceptor.accepted.as_ref();
        match message {
            Message::Prepare { ballot, .. } | Message::Accept { ballot, .. } => {
                acceptor.promised >= *ballot
            }
            // What was accepted below the ballot stands until something is accepted under it or above.
            Message::Promised {
                ballot,
                accepted: claimed,
                ..
            } => {
                let replaced = accepted.is_some_and(|proposal| proposal.ballot >= *ballot);
                acceptor.promised >= *ballot && (replaced || claimed.as_ref() == accepted)
            }
            Message::Accepted { ballot, .. } => {
                accepted.is_some_and(|proposal| proposal.ballot >= *ballot)
            }
            Message::Refused { promised, .. } => acceptor.promised >= *promised,
            // A majority of disks has it, which may do without this one.
            Message::Decided { .. } => true,
            Message::Released { .. } => false,
        }
    }
}
