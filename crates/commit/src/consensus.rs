//! The consensus that decides what is not to block: one more machine, a part of this one.

use crate::durable::Consensus;
use crate::{Commit, Config, Decision, Durable, Message, Phase, Record, Timer, TxnId, Work};
use quorate_machine::{Effects, Event, Machine, NodeId};
use quorate_paxos as paxos;

type Fx<W> = Effects<Commit<W>>;

/// A name is needed only to tell apart several requests for one decision.
const REQUEST: u64 = 0;

impl<W: Work> Commit<W> {
    /// The consensus on the transactions of each coordinator.
    pub fn consensus(&self) -> impl Iterator<Item = (NodeId, &paxos::Paxos<TxnId, Decision>)> {
        self.consensus.iter().map(|(node, part)| (*node, part))
    }

    pub(crate) fn recover_consensus(&mut self, config: &Config, durable: &Durable, fx: &mut Fx<W>) {
        for (coordinator, known) in &durable.consensus {
            let mut part = Effects::new();
            let started = Consensus::start(&config.consensus, known, &mut part);
            self.consensus.insert(*coordinator, started);
            embed(*coordinator, &mut part, fx);
        }
    }

    /// Hands the consensus on the transactions of a coordinator an event.
    fn advance(
        &mut self,
        config: &Config,
        coordinator: NodeId,
        event: Event<Consensus>,
        fx: &mut Fx<W>,
    ) {
        let mut part = Effects::new();
        let consensus = self.consensus.entry(coordinator).or_insert_with(|| {
            Consensus::start(&config.consensus, &paxos::Durable::default(), &mut part)
        });
        consensus.step(&config.consensus, event, &mut part);
        embed(coordinator, &mut part, fx);
    }

    /// Proposes a decision; one that is made already is learned at once.
    pub(crate) fn propose(
        &mut self,
        config: &Config,
        txn: TxnId,
        decision: Decision,
        fx: &mut Fx<W>,
    ) {
        let command = paxos::Command::Propose {
            request: REQUEST,
            key: txn,
            value: decision,
        };
        self.advance(config, txn.coordinator, Event::Command(command), fx);
        let known = self.consensus.get(&txn.coordinator);
        if known.is_some_and(|part| part.state().is_released(&txn)) {
            self.on_not_open(txn, fx);
        }
        self.learn(txn, fx);
    }

    pub(crate) fn on_consensus(
        &mut self,
        config: &Config,
        from: NodeId,
        message: paxos::Message<TxnId, Decision>,
        fx: &mut Fx<W>,
    ) {
        let txn = *message.key();
        if !config.is_member(txn.coordinator) {
            return;
        }
        let is_released = matches!(message, paxos::Message::Released { .. });
        let event = Event::Receive { from, message };
        self.advance(config, txn.coordinator, event, fx);
        if is_released {
            self.on_not_open(txn, fx);
        }
        self.learn(txn, fx);
    }

    pub(crate) fn on_consensus_timeout(
        &mut self,
        config: &Config,
        coordinator: NodeId,
        timer: paxos::Timer,
        fx: &mut Fx<W>,
    ) {
        if self.consensus.contains_key(&coordinator) {
            self.advance(config, coordinator, Event::Timeout(timer), fx);
        }
    }

    /// Does what was decided, if it is known. A majority of disks has it, whether this one does or not.
    fn learn(&mut self, txn: TxnId, fx: &mut Fx<W>) {
        let known = self.consensus.get(&txn.coordinator);
        if let Some(decision) = known.and_then(|part| part.decided(&txn).copied()) {
            self.on_learned(txn, decision, fx);
            self.on_decided(txn, decision, fx);
        }
    }

    /// None of the coordinator's earlier transactions is open.
    pub(crate) fn on_release(&mut self, config: &Config, below: TxnId, fx: &mut Fx<W>) {
        let known = self.consensus.get(&below.coordinator);
        if known.is_some_and(|part| part.state().instances.range(..below).next().is_some()) {
            let release = Event::Command(paxos::Command::Release { below });
            self.advance(config, below.coordinator, release, fx);
        }
        let earlier = self.participant.joined();
        let earlier = earlier.filter(|(txn, part)| {
            txn.coordinator == below.coordinator && *txn < below && part.phase == Phase::Uncertain
        });
        let uncertain: Vec<TxnId> = earlier.map(|(txn, _)| txn).collect();
        for txn in uncertain {
            self.on_not_open(txn, fx);
        }
    }
}

fn embed<W: Work>(coordinator: NodeId, part: &mut Effects<Consensus>, fx: &mut Fx<W>) {
    fx.embed(
        part,
        Record::Consensus,
        Message::Consensus,
        |timer| Timer::Consensus { coordinator, timer },
        // What was decided is looked up.
        drop,
    );
}
