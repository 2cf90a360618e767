//! Who lacks what, and how it gets it.
//!
//! Nothing is retransmitted in the dark: [`Message::Offer`] says what there is, the receiver asks for what
//! it lacks, and is supplied with so much as a message may carry, again and again. So a batch that was lost
//! travels once more, and not once from each member that has it; a member that was down for long is
//! supplied as fast as it takes.

use crate::{Batch, Broadcast, Clock, Config, Message, Output, Payload, Timer};
use quorate_clocks::Causality;
use quorate_machine::{Effects, NodeId};
use std::sync::Arc;

impl<P: Payload> Broadcast<P> {
    /// Whether a peer that follows the protocol may say that it holds this.
    pub(crate) fn is_credible(&self, config: &Config, from: NodeId, holds: &Clock) -> bool {
        let mut members = holds.iter();
        // Own messages are durable here before anybody has them.
        config.slot(from).is_some()
            && holds.get(config.id) <= self.ledger.holds().get(config.id)
            && members.all(|(member, _)| config.slot(member).is_some())
    }

    /// Notes what a peer has on its disk.
    pub(crate) fn learn(
        &mut self,
        config: &Config,
        from: NodeId,
        holds: &Clock,
        fx: &mut Effects<Self>,
    ) {
        let slot = config.slot(from);
        if let Some(row) = slot.and_then(|slot| self.rows.get_mut(slot)) {
            if matches!(holds.compare(row), Causality::Before | Causality::Equal) {
                return; // no news
            }
            row.merge(holds);
            self.collect(config, fx);
        }
    }

    /// Lets go of what every member has on its disk.
    pub(crate) fn collect(&mut self, config: &Config, fx: &mut Effects<Self>) {
        let mut floor = Clock::new();
        for (sender, held) in self.ledger.holds().iter() {
            let rows = config.members.iter().zip(&self.rows);
            let others = rows.filter(|(member, _)| **member != config.id);
            // Whether the own disk has it does not matter here: until it does, the others are not told
            // that this member has it, and keep it.
            let least = others.map(|(_, row)| row.get(sender)).fold(held, u64::min);
            floor.set(sender, least);
        }
        let before = self.ledger.floor();
        let stable = floor.get(config.id);
        if stable > before.get(config.id) {
            fx.output(Output::Stable { sequence: stable });
        }
        if floor
            .iter()
            .any(|(sender, number)| number > before.get(sender))
        {
            self.ledger.collect(&floor);
            self.unrecorded = true;
        }
    }

    /// Whether somebody who holds this has something that could be taken.
    fn lacks(&self, config: &Config, holds: &Clock) -> bool {
        let mut theirs = holds.iter();
        theirs.any(|(sender, number)| {
            number > self.ledger.holds().get(sender) && self.has_room(config, sender)
        })
    }

    /// Asks, unless an answer is awaited already: else every message behind a gap would ask for all of it.
    pub(crate) fn ask(&mut self, whom: NodeId, fx: &mut Effects<Self>) {
        if !self.asking {
            self.asking = true;
            let holds = self.ledger.holds().clone();
            fx.send(whom, Message::Ask { holds });
        }
    }

    pub(crate) fn on_offer(
        &mut self,
        config: &Config,
        from: NodeId,
        holds: &Clock,
        fx: &mut Effects<Self>,
    ) {
        if self.lacks(config, holds) {
            return self.ask(from, fx);
        }
        // The sender has not heard what this member holds.
        let holds = self.ledger.holds().clone();
        fx.send(from, Message::Update { holds, news: None });
    }

    pub(crate) fn on_ask(
        &mut self,
        config: &Config,
        from: NodeId,
        holds: &Clock,
        fx: &mut Effects<Self>,
    ) {
        let batches = self.supply(config, holds);
        if !batches.is_empty() {
            let holds = self.ledger.holds().clone();
            fx.send(from, Message::Supply { holds, batches });
        }
    }

    pub(crate) fn on_supply(
        &mut self,
        config: &Config,
        from: NodeId,
        holds: &Clock,
        batches: Vec<Arc<Batch<P>>>,
        fx: &mut Effects<Self>,
    ) {
        self.asking = false;
        // Without the first condition the two would go on about something that is never taken.
        if self.take(config, batches, fx) && self.lacks(config, holds) {
            self.ask(from, fx);
        }
    }

    /// What somebody who holds this lacks: a batch of each sender, then another, up to what one message
    /// may carry. One sender after the other would not do: the first may be one whose messages the asker
    /// has no room for, until it has those of another.
    fn supply(&self, config: &Config, holds: &Clock) -> Vec<Arc<Batch<P>>> {
        let mut streams: Vec<_> = config
            .members
            .iter()
            .map(|sender| self.ledger.kept_after(*sender, holds.get(*sender)))
            .collect();
        let mut batches = Vec::new();
        let (mut messages, mut bytes) = (0_usize, 0_usize);
        loop {
            let before = batches.len();
            for stream in &mut streams {
                if let Some(batch) = stream.next() {
                    messages = messages.saturating_add(batch.payloads.len());
                    bytes = bytes.saturating_add(batch.size_bytes());
                    batches.push(batch.clone());
                }
            }
            if batches.len() == before
                || messages >= config.batch_messages
                || bytes >= config.batch_bytes
            {
                return batches;
            }
        }
    }

    /// Offers what there is to whoever, by its last word, lacks some of it.
    pub(crate) fn on_repair(&mut self, config: &Config, fx: &mut Effects<Self>) {
        self.asking = false;
        if self.unrecorded {
            self.record(Vec::new(), fx);
        }
        let rows = config.members.iter().zip(&self.rows);
        for (member, row) in rows.filter(|(member, _)| **member != config.id) {
            let holds = self.ledger.holds();
            if !matches!(holds.compare(row), Causality::Before | Causality::Equal) {
                let holds = holds.clone();
                fx.send(*member, Message::Offer { holds });
            }
        }
        fx.arm(Timer::Repair, config.repair_ticks..=config.repair_ticks);
    }
}
