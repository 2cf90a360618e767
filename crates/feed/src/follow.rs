//! Reading the feed.

use crate::feed::Shared;
use crate::post::Post;
use bytes::Bytes;
use quorate::NodeId;
use quorate_broadcast::{Clock, Delivery};
use std::sync::Arc;
use tokio::sync::watch;

/// Messages that a reader takes at a time, and bytes of them; the last batch may go beyond.
const MESSAGES_AT_ONCE: usize = 4096;
const BYTES_AT_ONCE: usize = 1 << 20;

/// Where reading begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// With what is delivered from now on.
    Now,
    /// With everything that is still kept.
    Kept,
    /// With what is not among these messages: a reader that comes back, to this member or to another one, goes on
    /// where it was by the clock of what it has [seen](News::seen).
    After(Clock),
}

/// A reader was too slow, or away for too long: so many messages are not kept any more and were not told. Reading
/// goes on after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{missed} messages are not kept any more and were missed")]
pub struct Missed {
    /// How many.
    pub missed: u64,
}

/// A reader of the feed: messages in an order in which causes come first, each once.
pub struct News {
    shared: Arc<Shared>,
    told: watch::Receiver<u64>,
    /// How many messages of each member it has seen, or begun after.
    seen: Clock,
    /// How far it is in the order of this member.
    position: u64,
}

impl News {
    pub(crate) fn new(shared: Arc<Shared>, from: From) -> Self {
        let told = shared.position.clone();
        let (seen, position) = {
            let state = shared.state.lock();
            match from {
                From::Now => (state.kept.delivered().clone(), state.kept.position()),
                From::Kept => (state.kept.gone().clone(), state.kept.gone_to()),
                From::After(seen) => (seen, 0),
            }
        };
        News {
            shared,
            told,
            seen,
            position,
        }
    }

    /// How many messages of each member it has seen, or begun after.
    pub fn seen(&self) -> &Clock {
        &self.seen
    }

    /// The next messages, as soon as there are any; `None` once the group has stopped.
    ///
    /// # Errors
    ///
    /// If something was let go before it was read; reading goes on after it.
    pub async fn next(&mut self) -> Option<Result<Vec<Told>, Missed>> {
        loop {
            self.told.mark_unchanged();
            let deliveries = match self.deliveries() {
                Ok(deliveries) => deliveries,
                Err(missed) => return Some(Err(missed)),
            };
            if deliveries.is_empty() {
                self.told.changed().await.ok()?;
            }
            let unseen = deliveries.into_iter().filter_map(|delivery| {
                self.position = delivery.last();
                self.unseen(delivery)
            });
            let told: Vec<Told> = unseen.collect();
            if !told.is_empty() {
                return Some(Ok(told));
            }
        }
    }

    fn deliveries(&mut self) -> Result<Vec<Arc<Delivery<Post>>>, Missed> {
        let state = self.shared.state.lock();
        let missed = state.kept.missed(&self.seen);
        if missed > 0 {
            self.seen.merge(state.kept.gone());
            return Err(Missed { missed });
        }
        Ok(state
            .kept
            .after(self.position, MESSAGES_AT_ONCE, BYTES_AT_ONCE))
    }

    /// What of a delivery was not seen yet.
    fn unseen(&mut self, delivery: Arc<Delivery<Post>>) -> Option<Told> {
        let batch = &delivery.batch;
        let (sender, last) = (batch.sender, batch.last()?);
        let seen = self.seen.get(sender);
        if seen >= last {
            return None;
        }
        self.seen.set(sender, last);
        let first = batch.first.max(seen.saturating_add(1));
        Some(Told { delivery, first })
    }
}

/// Messages of one member, one after the other.
#[derive(Clone, Debug)]
pub struct Told {
    delivery: Arc<Delivery<Post>>,
    first: u64,
}

/// A message of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The member that it was published at.
    pub sender: NodeId,
    /// Its number among all that this member has published.
    pub sequence: u64,
    /// Its place in the order of the member that tells; another one may have another order, as far as messages do
    /// not depend on each other.
    pub position: u64,
    /// Its vector time: how many messages of each member happened before it, itself included.
    pub clock: Clock,
    /// Who says it.
    pub author: String,
    /// What is said.
    pub body: Bytes,
}

impl Told {
    /// The member that they were published at.
    pub fn sender(&self) -> NodeId {
        self.delivery.batch.sender
    }

    /// The number of the first.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// How many are left out: they were seen before.
    fn skipped(&self) -> u64 {
        self.first.saturating_sub(self.delivery.batch.first)
    }

    /// The position of the first.
    pub fn position(&self) -> u64 {
        self.delivery.position.saturating_add(self.skipped())
    }

    /// The vector time of the first.
    pub fn clock(&self) -> Clock {
        self.delivery.clock_of(self.first)
    }

    /// The messages as they were published.
    pub fn posts(&self) -> &[Post] {
        let skipped = usize::try_from(self.skipped()).unwrap_or(usize::MAX);
        self.delivery
            .batch
            .payloads
            .get(skipped..)
            .unwrap_or_default()
    }

    /// The messages.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = Message> {
        let (first, position) = (self.first, self.position());
        self.posts().iter().enumerate().map(move |(at, post)| {
            let sequence = first.saturating_add(at as u64);
            Message {
                sender: self.sender(),
                sequence,
                position: position.saturating_add(at as u64),
                clock: self.delivery.clock_of(sequence),
                author: post.author().to_owned(),
                body: post.body(),
            }
        })
    }
}
