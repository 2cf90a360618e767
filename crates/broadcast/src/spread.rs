//! From a command to a batch at every member.

use crate::{Batch, Broadcast, Config, Message, Output, Payload, Refusal, Timer};
use quorate_machine::{Effects, NodeId};
use std::collections::VecDeque;
use std::sync::Arc;

/// What gathers for the next batches: each command with its payloads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Outbox<P> {
    commands: VecDeque<(u64, Vec<P>)>,
    pub(crate) messages: usize,
    bytes: usize,
}

impl<P> Default for Outbox<P> {
    fn default() -> Self {
        Outbox {
            commands: VecDeque::new(),
            messages: 0,
            bytes: 0,
        }
    }
}

fn size_bytes<P: Payload>(payloads: &[P]) -> usize {
    let sizes = payloads.iter().map(Payload::size_bytes);
    sizes.fold(0, usize::saturating_add)
}

impl<P: Payload> Outbox<P> {
    fn push(&mut self, id: u64, payloads: Vec<P>) {
        self.messages = self.messages.saturating_add(payloads.len());
        self.bytes = self.bytes.saturating_add(size_bytes(&payloads));
        self.commands.push_back((id, payloads));
    }

    pub(crate) fn payloads(&self) -> impl Iterator<Item = &P> {
        self.commands.iter().flat_map(|(_, payloads)| payloads)
    }

    /// Takes as many commands as fit into one batch: their payloads, and each id with the place of its
    /// first payload.
    fn cut(&mut self, config: &Config) -> (Vec<P>, Vec<(u64, usize)>) {
        let (mut payloads, mut ids) = (Vec::new(), Vec::new());
        let mut bytes = 0_usize;
        while let Some((_, next)) = self.commands.front() {
            let more = size_bytes(next);
            let messages = payloads.len() + next.len();
            let fits = messages <= config.batch_messages
                && bytes.saturating_add(more) <= config.batch_bytes;
            if !fits && !payloads.is_empty() {
                break;
            }
            if let Some((id, next)) = self.commands.pop_front() {
                bytes = bytes.saturating_add(more);
                self.messages = self.messages.saturating_sub(next.len());
                self.bytes = self.bytes.saturating_sub(more);
                ids.push((id, payloads.len()));
                payloads.extend(next);
            }
        }
        (payloads, ids)
    }
}

impl<P: Payload> Broadcast<P> {
    pub(crate) fn on_broadcast(
        &mut self,
        config: &Config,
        id: u64,
        payloads: Vec<P>,
        fx: &mut Effects<Self>,
    ) {
        match self.refusal(config, &payloads) {
            Some(refusal) => fx.output(Output::Refused { id, refusal }),
            None => {
                self.outbox.push(id, payloads);
                fx.arm(Timer::Flush, 0..=0);
            }
        }
    }

    fn refusal(&self, config: &Config, payloads: &[P]) -> Option<Refusal> {
        let (messages, bytes) = (payloads.len(), size_bytes(payloads));
        if messages == 0 {
            return Some(Refusal::Empty);
        }
        if messages > config.batch_messages || bytes > config.batch_bytes {
            return Some(Refusal::TooLarge);
        }
        let (kept, kept_bytes) = self.ledger.kept(config.id);
        let waiting = kept.saturating_add(self.outbox.messages);
        let waiting_bytes = kept_bytes.saturating_add(self.outbox.bytes);
        let full = waiting.saturating_add(messages) > config.window_messages
            || waiting_bytes.saturating_add(bytes) > config.window_bytes;
        full.then(|| Refusal::Full {
            waiting_for: self.slowest(config),
        })
    }

    /// Who keeps the window from moving on.
    fn slowest(&self, config: &Config) -> NodeId {
        let mine = self.ledger.floor().get(config.id);
        let lacks = |(_, row): &(&NodeId, &crate::Clock)| row.get(config.id) <= mine;
        let others = config.members.iter().zip(&self.rows);
        let mut others = others.filter(|(member, _)| **member != config.id);
        // If all others have everything, it is the own application that has not consumed.
        let behind = mine < self.ledger.holds().get(config.id);
        let slowest = others.find(lacks).filter(|_| behind);
        slowest.map_or(config.id, |(member, _)| *member)
    }

    /// The end of a turn: one batch of what has gathered, one record, one message to each peer.
    pub(crate) fn on_flush(&mut self, config: &Config, fx: &mut Effects<Self>) {
        let news = self.cut_batch(config, fx);
        if news.is_some() || self.untold {
            self.untold = false;
            for peer in config.peers() {
                let message = Message::Update {
                    holds: self.ledger.holds().clone(),
                    news: news.clone(),
                };
                fx.send(peer, message);
            }
        }
        if self.outbox.messages > 0 {
            fx.arm(Timer::Flush, 0..=0);
        }
    }

    fn cut_batch(&mut self, config: &Config, fx: &mut Effects<Self>) -> Option<Arc<Batch<P>>> {
        let (payloads, ids) = self.outbox.cut(config);
        let first = self.ledger.holds().get(config.id).saturating_add(1);
        let batch = Arc::new(Batch {
            sender: config.id,
            first,
            after: self.ledger.causes_since_last(config.id),
            payloads: payloads.into(),
        });
        let position = self.ledger.position();
        if !self.ledger.take(batch.clone()) {
            return None; // nothing has gathered
        }
        self.record(vec![batch.clone()], fx);
        for (id, at) in ids {
            let first = first.saturating_add(at as u64);
            fx.output(Output::Accepted { id, first });
        }
        self.tell_deliveries(position, fx);
        self.collect(config, fx); // whoever is alone is everybody
        Some(batch)
    }

    pub(crate) fn on_consumed(&mut self, position: u64) {
        let before = self.ledger.consumed();
        self.ledger.consume(position);
        self.unrecorded |= self.ledger.consumed() > before;
    }

    /// A peer's word on what it holds, and perhaps its next batch.
    pub(crate) fn on_update(
        &mut self,
        config: &Config,
        from: NodeId,
        holds: &crate::Clock,
        news: Option<Arc<Batch<P>>>,
        fx: &mut Effects<Self>,
    ) {
        self.take(config, news, fx);
        // A gap in the sender's own messages: something was lost. What it holds of others is on its way
        // from them, probably.
        if holds.get(from) > self.ledger.holds().get(from) && self.has_room(config, from) {
            self.ask(from, fx);
        }
    }

    /// Takes what is next and fits; says whether there was any.
    pub(crate) fn take(
        &mut self,
        config: &Config,
        batches: impl IntoIterator<Item = Arc<Batch<P>>>,
        fx: &mut Effects<Self>,
    ) -> bool {
        let position = self.ledger.position();
        let mut taken = Vec::new();
        for batch in batches {
            if self.fits(config, &batch) && self.ledger.take(batch.clone()) {
                taken.push(batch);
            }
        }
        let any = !taken.is_empty();
        if any {
            self.collect(config, fx); // this member may be the last that lacked them
            self.record(taken, fx);
            self.tell_deliveries(position, fx);
            self.untold = true;
            fx.arm(Timer::Flush, 0..=0);
        }
        any
    }

    /// Whether a batch is one that a member sends, and there is room for it.
    fn fits(&self, config: &Config, batch: &Batch<P>) -> bool {
        let member = |node: NodeId| config.slot(node).is_some();
        let mut causes = batch.after.iter();
        let well_formed = batch.sender != config.id
            && member(batch.sender)
            && causes.all(|(node, _)| member(node) && node != batch.sender);
        let (kept, kept_bytes) = self.ledger.kept(batch.sender);
        let messages = kept.saturating_add(batch.payloads.len());
        let bytes = kept_bytes.saturating_add(batch.size_bytes());
        well_formed
            && (kept == 0 || (messages <= config.hold_messages() && bytes <= config.hold_bytes()))
    }

    /// Whether a batch of this sender would be taken, were it as long as batches may be.
    ///
    /// The limit is per sender, or the group could come to a stop: with one limit for all of them, a
    /// member full of messages that wait for a cause would have no room for the cause.
    pub(crate) fn has_room(&self, config: &Config, sender: NodeId) -> bool {
        let (kept, kept_bytes) = self.ledger.kept(sender);
        let messages = kept.saturating_add(config.batch_messages);
        let bytes = kept_bytes.saturating_add(config.batch_bytes);
        kept == 0 || (messages <= config.hold_messages() && bytes <= config.hold_bytes())
    }
}
