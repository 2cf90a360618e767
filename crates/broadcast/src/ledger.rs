//! What a member has: the messages of every sender, what of them is delivered, and in which order.
//!
//! The ledger is both what is in memory and what a crash leaves. Records say which batches were taken, and
//! [`Ledger::take`] is all that decides about delivery, so folding the records gives the same deliveries in
//! the same order at the same positions as the first time. No record says "delivered", and none can be
//! missing.
//!
//! ```text
//! one sender's messages          consumed ≤ delivered ≤ held
//!
//!   1 … floor … consumed … delivered … held
//!   └─ forgotten ─┘└─ delivered, ──┘└ pending ┘
//!    (held by all,    kept for who
//!     and consumed)    lacks it
//! ```
//!
//! # The check for delivery
//!
//! A sender's batches are taken in the order of their numbers, so there is one candidate per sender, the
//! first that is not delivered. It names what it waits for: the first of its causes that is missing. A
//! delivery looks at the candidates that wait for it, one per member at most, whatever is pending behind
//! them.

use crate::{Batch, Clock, Delivery, Payload};
use quorate_machine::NodeId;
use std::collections::VecDeque;
use std::sync::Arc;

/// The messages of one sender that are held.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stream<P> {
    sender: NodeId,
    /// By number, without gaps; those that are not delivered come last.
    batches: VecDeque<Arc<Batch<P>>>,
    /// How many of them are not delivered.
    pending: usize,
    /// Messages in them, and the bytes of those.
    messages: usize,
    bytes: usize,
    /// The causes of the last delivered batch.
    causes: Clock,
    /// What the first pending batch waits for: so many messages of this member.
    waits: Option<(NodeId, u64)>,
}

impl<P> Stream<P> {
    fn candidate(&self) -> Option<&Arc<Batch<P>>> {
        let delivered = self.batches.len().checked_sub(self.pending)?;
        self.batches.get(delivered)
    }
}

/// What a member has, in memory or on its disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ledger<P> {
    /// Ordered by sender; those who never broadcast are absent.
    streams: Vec<Stream<P>>,
    /// How many messages of each member were taken.
    holds: Clock,
    /// How many of them are delivered.
    delivered: Clock,
    /// How many of them the application has consumed.
    consumed: Clock,
    /// How many of them every member holds.
    floor: Clock,
    /// The position of the last delivered message.
    position: u64,
    /// What is delivered and not consumed.
    unconsumed: VecDeque<Arc<Delivery<P>>>,
}

impl<P> Default for Ledger<P> {
    fn default() -> Self {
        Ledger {
            streams: Vec::new(),
            holds: Clock::new(),
            delivered: Clock::new(),
            consumed: Clock::new(),
            floor: Clock::new(),
            position: 0,
            unconsumed: VecDeque::new(),
        }
    }
}

impl<P: Payload> Ledger<P> {
    /// How many messages of each member are held or were: all up to this number.
    pub fn holds(&self) -> &Clock {
        &self.holds
    }

    /// How many messages of each member are delivered.
    pub fn delivered(&self) -> &Clock {
        &self.delivered
    }

    /// How many messages of each member every member holds, as far as is known here.
    pub fn floor(&self) -> &Clock {
        &self.floor
    }

    /// How many messages of each member the application has consumed: all of whole batches.
    pub fn consumed_of_each(&self) -> &Clock {
        &self.consumed
    }

    /// The causes of the last delivered batch of `sender`.
    pub fn causes(&self, sender: NodeId) -> Clock {
        let stream = self.stream(sender);
        stream.map_or_else(Clock::new, |stream| stream.causes.clone())
    }

    /// The position of the last delivered message.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The position up to which the application has consumed, at the end of a batch.
    pub fn consumed(&self) -> u64 {
        let first = self.unconsumed.front();
        first.map_or(self.position, |delivery| {
            delivery.position.saturating_sub(1)
        })
    }

    /// What is delivered and not consumed, in order.
    pub fn unconsumed(&self) -> impl ExactSizeIterator<Item = &Arc<Delivery<P>>> {
        self.unconsumed.iter()
    }

    /// What was delivered after this position.
    pub(crate) fn delivered_after(
        &self,
        position: u64,
    ) -> impl Iterator<Item = &Arc<Delivery<P>>> + use<'_, P> {
        let news = self.unconsumed.iter().rev();
        let news = news.take_while(move |delivery| delivery.position > position);
        let first = self.unconsumed.len() - news.count();
        self.unconsumed.range(first..)
    }

    /// How many messages of `sender` are kept, and their bytes.
    pub fn kept(&self, sender: NodeId) -> (usize, usize) {
        let stream = self.stream(sender);
        stream.map_or((0, 0), |stream| (stream.messages, stream.bytes))
    }

    /// How many batches of `sender` wait for their causes.
    pub fn pending(&self, sender: NodeId) -> usize {
        self.stream(sender).map_or(0, |stream| stream.pending)
    }

    /// What is kept of `sender`'s messages with greater numbers than `number`.
    pub fn kept_after(
        &self,
        sender: NodeId,
        number: u64,
    ) -> impl Iterator<Item = &Arc<Batch<P>>> + use<'_, P> {
        let batches = self.stream(sender).map(|stream| &stream.batches);
        batches.into_iter().flat_map(move |batches| {
            let first = batches.partition_point(|batch| batch.first <= number);
            batches.range(first..)
        })
    }

    /// The causes that a batch of `sender` would name now: what is delivered of others since its last.
    pub(crate) fn causes_since_last(&self, sender: NodeId) -> Clock {
        let mut news = self.delivered.clone();
        news.set(sender, 0);
        if let Some(stream) = self.stream(sender) {
            for (member, count) in stream.causes.iter() {
                if news.get(member) <= count {
                    news.set(member, 0);
                }
            }
        }
        news
    }

    /// Takes a batch if it is the next of its sender, and delivers what has all its causes now. Says
    /// whether it was taken.
    pub fn take(&mut self, batch: Arc<Batch<P>>) -> bool {
        let sender = batch.sender;
        let next = self.holds.get(sender).saturating_add(1);
        let Some(last) = batch.last().filter(|_| batch.first == next) else {
            return false;
        };
        let at = self.stream_or_new(sender);
        let stream = &mut self.streams[at];
        stream.messages = stream.messages.saturating_add(batch.payloads.len());
        stream.bytes = stream.bytes.saturating_add(batch.size_bytes());
        stream.batches.push_back(batch);
        stream.pending += 1;
        self.holds.set(sender, last);
        self.deliver_ready();
        true
    }

    /// The application has consumed everything up to `position`; what is beyond the last delivery, or in
    /// the middle of a batch, does not count.
    pub fn consume(&mut self, position: u64) {
        while let Some(first) = self.unconsumed.front()
            && first.last() <= position
        {
            if let Some(last) = first.batch.last() {
                self.consumed.set(first.batch.sender, last);
            }
            self.unconsumed.pop_front();
        }
        self.forget();
    }

    /// Every member holds so many messages of each.
    pub fn collect(&mut self, floor: &Clock) {
        self.floor.merge(floor);
        self.forget();
    }

    /// Forgets what every member holds and the application has consumed.
    fn forget(&mut self) {
        for stream in &mut self.streams {
            let done = self.consumed.get(stream.sender);
            let done = self.floor.get(stream.sender).min(done);
            while let Some(first) = stream.batches.front()
                && first.last().is_some_and(|last| last <= done)
            {
                stream.messages = stream.messages.saturating_sub(first.payloads.len());
                stream.bytes = stream.bytes.saturating_sub(first.size_bytes());
                stream.batches.pop_front();
            }
        }
    }

    /// Delivers what has all its causes, the candidate of the lowest sender first, until none has.
    fn deliver_ready(&mut self) {
        let unchecked = |stream: &Stream<P>| stream.pending > 0 && stream.waits.is_none();
        while let Some(at) = self.streams.iter().position(unchecked) {
            let Some(batch) = self.streams[at].candidate().cloned() else {
                return; // not reached: something is pending
            };
            match self.missing(&batch) {
                Some(missing) => self.streams[at].waits = Some(missing),
                None => {
                    self.deliver(at, batch);
                    self.wake(at);
                }
            }
        }
    }

    /// Those that waited for a message of this stream which is delivered now are to be checked again.
    fn wake(&mut self, at: usize) {
        let sender = self.streams[at].sender;
        let count = self.delivered.get(sender);
        for stream in &mut self.streams {
            if let Some((member, number)) = stream.waits
                && member == sender
                && number <= count
            {
                stream.waits = None;
            }
        }
    }

    /// The first cause of a batch that is not delivered.
    fn missing(&self, batch: &Batch<P>) -> Option<(NodeId, u64)> {
        let mut causes = batch.after.iter();
        causes.find(|(member, number)| self.delivered.get(*member) < *number)
    }

    fn deliver(&mut self, at: usize, batch: Arc<Batch<P>>) {
        let stream = &mut self.streams[at];
        stream.pending -= 1;
        stream.causes.merge(&batch.after);
        let mut clock = stream.causes.clone();
        clock.set(batch.sender, batch.first);
        let last = batch.last().unwrap_or(batch.first);
        self.delivered.set(batch.sender, last);
        let delivery = Delivery {
            position: self.position.saturating_add(1),
            clock,
            batch,
        };
        self.position = delivery.last();
        self.unconsumed.push_back(Arc::new(delivery));
    }

    fn stream(&self, sender: NodeId) -> Option<&Stream<P>> {
        let at = self.find(sender).ok()?;
        self.streams.get(at)
    }

    fn find(&self, sender: NodeId) -> Result<usize, usize> {
        self.streams
            .binary_search_by_key(&sender, |stream| stream.sender)
    }

    fn stream_or_new(&mut self, sender: NodeId) -> usize {
        self.find(sender).unwrap_or_else(|at| {
            let stream = Stream {
                sender,
                batches: VecDeque::new(),
                pending: 0,
                messages: 0,
                bytes: 0,
                causes: Clock::new(),
                waits: None,
            };
            self.streams.insert(at, stream);
            at
        })
    }

    /// What must hold of a ledger at any time.
    pub(crate) fn consistent(&self) -> Result<(), &'static str> {
        let at_most = |less: &Clock, more: &Clock| less.iter().all(|(m, n)| n <= more.get(m));
        if !at_most(&self.delivered, &self.holds) {
            return Err("what is delivered is held");
        }
        if !at_most(&self.consumed, &self.delivered) {
            return Err("what is consumed was delivered");
        }
        if !at_most(&self.floor, &self.holds) {
            return Err("what everybody holds is held here");
        }
        for stream in &self.streams {
            if stream.candidate().is_some() != stream.waits.is_some() {
                return Err("what is pending waits for something");
            }
            if let Some((member, number)) = stream.waits
                && self.delivered.get(member) >= number
            {
                return Err("what has its causes is delivered");
            }
            let mut next = None;
            for batch in &stream.batches {
                if next.is_some_and(|next| next != batch.first) {
                    return Err("a sender's messages are held without gaps");
                }
                next = batch.last().and_then(|last| last.checked_add(1));
            }
            if next.is_some_and(|next| next - 1 != self.holds.get(stream.sender)) {
                return Err("what was taken last is held");
            }
        }
        Ok(())
    }
}
