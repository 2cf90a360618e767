//! Batches of messages, and their deliveries.

use quorate_clocks::{COUNT_MAX, VectorClock};
use quorate_machine::{NodeId, Value};
use std::fmt;
use std::sync::Arc;

/// How many messages of each member: the unit of every clock here.
pub type Clock = VectorClock<NodeId>;

/// What is broadcast: opaque, but its size counts against limits.
pub trait Payload: Value {
    /// Its bytes in memory, roughly.
    fn size_bytes(&self) -> usize {
        size_of::<Self>()
    }
}

impl Payload for u8 {}
impl Payload for u64 {}

impl Payload for String {
    fn size_bytes(&self) -> usize {
        self.len()
    }
}

impl Payload for Arc<[u8]> {
    fn size_bytes(&self) -> usize {
        self.len()
    }
}

/// Messages that one member broadcast at once. They share one set of causes, are stored together or not at
/// all, and are delivered one after the other.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Batch<P> {
    /// Who broadcast it.
    pub sender: NodeId,
    /// The sequence number of its first message. A sender's messages are numbered from 1, without gaps.
    pub first: u64,
    /// How many messages of *other* members the sender had delivered before: only those counts that have
    /// grown since its previous batch. Batches of a sender are taken in order, so the rest is known, and
    /// need not be checked again (Singhal and Kshemkalyani 1992).
    pub after: Clock,
    /// The messages; at least one.
    pub payloads: Box<[P]>,
}

impl<P> Batch<P> {
    /// The sequence number of its last message; `None` if it has no messages, or numbers that nobody gets
    /// to by counting.
    pub fn last(&self) -> Option<u64> {
        let more = (self.payloads.len() as u64).checked_sub(1)?;
        let last = self.first.checked_add(more)?;
        (self.first > 0 && last <= COUNT_MAX).then_some(last)
    }
}

impl<P: Payload> Batch<P> {
    /// The bytes of its payloads.
    pub fn size_bytes(&self) -> usize {
        let sizes = self.payloads.iter().map(Payload::size_bytes);
        sizes.fold(0, usize::saturating_add)
    }
}

/// Short, because counterexamples are read by people.
impl<P: fmt::Debug> fmt::Debug for Batch<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}{:?}", self.sender, self.first, self.payloads)?;
        match self.after.is_empty() {
            true => Ok(()),
            false => write!(f, " after {:?}", self.after),
        }
    }
}

/// A batch in the order in which this member delivers.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Delivery<P> {
    /// The place of its first message in this member's own order of all messages, counted from 1. The same
    /// message has the same position whenever it is delivered again.
    pub position: u64,
    /// The vector time of its first message: what happened before it, itself included.
    pub clock: Clock,
    /// The messages.
    pub batch: Arc<Batch<P>>,
}

/// One message of a [`Delivery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered<'a, P> {
    /// Its place in this member's order.
    pub position: u64,
    /// Who broadcast it.
    pub sender: NodeId,
    /// Its number among the sender's messages.
    pub sequence: u64,
    /// What it says.
    pub payload: &'a P,
}

impl<P> Delivery<P> {
    /// The position of its last message.
    pub fn last(&self) -> u64 {
        let messages = self.batch.payloads.len() as u64;
        self.position.saturating_add(messages).saturating_sub(1)
    }

    /// Its messages in order.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = Delivered<'_, P>> {
        let numbered = self.batch.payloads.iter().enumerate();
        numbered.map(|(at, payload)| Delivered {
            position: self.position.saturating_add(at as u64),
            sender: self.batch.sender,
            sequence: self.batch.first.saturating_add(at as u64),
            payload,
        })
    }

    /// The vector time of the message with this sequence number.
    pub fn clock_of(&self, sequence: u64) -> Clock {
        let mut clock = self.clock.clone();
        clock.set(self.batch.sender, sequence);
        clock
    }
}

/// Short, because counterexamples are read by people.
impl<P: fmt::Debug> fmt::Debug for Delivery<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{} {:?}", self.position, self.batch)
    }
}
