//! What a member keeps: delivered messages for those who come late, and which requests it has carried out.

use crate::post::{Origin, Post};
use quorate::NodeId;
use quorate_broadcast::{Clock, Delivery, Ledger};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The delivered messages that are kept, in this member's order, up to a limit.
#[derive(Debug)]
pub(crate) struct Kept {
    most_messages: usize,
    most_bytes: usize,
    deliveries: VecDeque<Arc<Delivery<Post>>>,
    messages: usize,
    bytes: usize,
    /// How many messages of each member are not kept any more.
    gone: Clock,
    /// How many are delivered.
    delivered: Clock,
    /// The position of the last.
    position: u64,
}

impl Kept {
    /// What a member had kept when it stopped: it consumes what it does not keep, so its ledger has it.
    pub(crate) fn recovered(
        ledger: &Ledger<Post>,
        most_messages: usize,
        most_bytes: usize,
    ) -> Self {
        let mut gone = ledger.delivered().clone();
        for delivery in ledger.unconsumed() {
            let batch = &delivery.batch;
            let before = batch.first.saturating_sub(1);
            gone.set(batch.sender, gone.get(batch.sender).min(before));
        }
        let mut kept = Kept {
            most_messages,
            most_bytes,
            deliveries: VecDeque::new(),
            messages: 0,
            bytes: 0,
            delivered: gone.clone(),
            gone,
            position: ledger.consumed(),
        };
        for delivery in ledger.unconsumed() {
            kept.push(delivery.clone());
        }
        kept
    }

    /// Keeps a delivery, unless it comes for the second time, after a restart; says whether it is new.
    pub(crate) fn push(&mut self, delivery: Arc<Delivery<Post>>) -> bool {
        if delivery.position <= self.position {
            return false;
        }
        let batch = &delivery.batch;
        self.position = delivery.last();
        if let Some(last) = batch.last() {
            self.delivered.set(batch.sender, last);
        }
        self.messages += batch.payloads.len();
        self.bytes += batch.size_bytes();
        self.deliveries.push_back(delivery);
        self.let_go();
        true
    }

    fn let_go(&mut self) {
        while (self.messages > self.most_messages || self.bytes > self.most_bytes)
            && let Some(first) = self.deliveries.pop_front()
        {
            self.messages -= first.batch.payloads.len();
            self.bytes -= first.batch.size_bytes();
            if let Some(last) = first.batch.last() {
                self.gone.set(first.batch.sender, last);
            }
        }
    }

    /// What has greater positions than `position`: batches until there are `most` messages or `most_bytes`.
    pub(crate) fn after(
        &self,
        position: u64,
        most: usize,
        most_bytes: usize,
    ) -> Vec<Arc<Delivery<Post>>> {
        let first = self
            .deliveries
            .partition_point(|delivery| delivery.last() <= position);
        let (mut messages, mut bytes) = (0, 0);
        let news = self.deliveries.range(first..).take_while(|delivery| {
            let wanted = messages < most && bytes < most_bytes;
            messages += delivery.batch.payloads.len();
            bytes += delivery.batch.size_bytes();
            wanted
        });
        news.cloned().collect()
    }

    /// How many messages are not kept any more that somebody has not seen.
    pub(crate) fn missed(&self, seen: &Clock) -> u64 {
        let gone = self.gone.iter();
        let missed = gone.map(|(member, count)| count.saturating_sub(seen.get(member)));
        missed.fold(0, u64::saturating_add)
    }

    /// How many messages of each member are not kept any more.
    pub(crate) fn gone(&self) -> &Clock {
        &self.gone
    }

    /// How many messages of each member are delivered.
    pub(crate) fn delivered(&self) -> &Clock {
        &self.delivered
    }

    /// The position of the last delivered message.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The position before the first that is kept.
    pub(crate) fn gone_to(&self) -> u64 {
        let first = self.deliveries.front();
        first.map_or(self.position, |first| first.position.saturating_sub(1))
    }
}

/// Whether a request was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its first message has this number.
    Published(u64),
    /// It was not.
    New,
    /// It is too long ago.
    Forgotten,
}

/// The requests that a member has carried out lately: all of those whose messages have greater numbers than
/// [`Requests::horizon`].
#[derive(Debug)]
pub(crate) struct Requests {
    most: usize,
    in_order: VecDeque<(Origin, u64)>,
    first: HashMap<Origin, u64>,
    horizon: u64,
}

impl Requests {
    /// Those whose messages are in the ledger: they and their records became durable together.
    pub(crate) fn recovered(me: NodeId, ledger: &Ledger<Post>, most: usize) -> Self {
        let own = ledger.unconsumed().map(|delivery| &delivery.batch);
        let mut own = own.filter(|batch| batch.sender == me).peekable();
        let horizon = match own.peek() {
            Some(batch) => batch.first.saturating_sub(1),
            None => ledger.delivered().get(me),
        };
        let mut requests = Requests {
            most,
            in_order: VecDeque::new(),
            first: HashMap::new(),
            horizon,
        };
        for batch in own {
            for (number, post) in (batch.first..).zip(&batch.payloads) {
                if let Some(origin) = post.origin() {
                    requests.carried_out(origin, number);
                }
            }
        }
        requests
    }

    pub(crate) fn carried_out(&mut self, origin: Origin, first: u64) {
        self.in_order.push_back((origin, first));
        self.first.insert(origin, first);
        if self.in_order.len() > self.most
            && let Some((oldest, first)) = self.in_order.pop_front()
        {
            self.first.remove(&oldest);
            self.horizon = first;
        }
    }

    /// What became of a request that was made, if at all, when there were at least `since` messages.
    pub(crate) fn fate(&self, origin: Origin, since: u64) -> Fate {
        match self.first.get(&origin) {
            Some(first) => Fate::Published(*first),
            None if since < self.horizon => Fate::Forgotten,
            None => Fate::New,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use quorate_broadcast::Batch;

    const ONE: NodeId = NodeId(1);
    const TWO: NodeId = NodeId(2);

    /// A batch of `count` messages, each a request of its own.
    fn batch(sender: NodeId, first: u64, count: u64) -> Arc<Batch<Post>> {
        let posts = (first..first + count).map(|number| {
            let client = sender.0.into();
            let posts = Post::of_request(Origin { client, number }, "", &[Bytes::from("12345")]);
            posts.unwrap().remove(0)
        });
        Arc::new(Batch {
            sender,
            first,
            after: Clock::new(),
            payloads: posts.collect(),
        })
    }

    fn ledger(batches: &[Arc<Batch<Post>>], consumed: u64) -> Ledger<Post> {
        let mut ledger = Ledger::default();
        for batch in batches {
            assert!(ledger.take(batch.clone()));
        }
        ledger.consume(consumed);
        ledger
    }

    fn clock(one: u64, two: u64) -> Clock {
        let mut clock = Clock::new();
        clock.set(ONE, one);
        clock.set(TWO, two);
        clock
    }

    fn positions(kept: &Kept, after: u64, most: usize) -> Vec<u64> {
        let deliveries = kept.after(after, most, 1_000);
        deliveries
            .iter()
            .map(|delivery| delivery.position)
            .collect()
    }

    #[test]
    fn the_oldest_go_first_and_who_has_not_seen_them_has_missed_them() {
        let ledger = ledger(&[batch(ONE, 1, 2), batch(TWO, 1, 3), batch(ONE, 3, 2)], 0);
        let mut kept = Kept::recovered(&Ledger::default(), 6, 1_000);
        for delivery in ledger.unconsumed() {
            assert!(kept.push(delivery.clone()));
        }
        assert_eq!((kept.position(), kept.gone_to()), (7, 2));
        assert_eq!(positions(&kept, 0, 100), [3, 6]);
        assert_eq!(positions(&kept, 4, 100), [3, 6]); // in the middle of a batch
        assert_eq!(positions(&kept, 5, 100), [6]);
        assert_eq!(positions(&kept, 0, 1), [3]);
        assert!(positions(&kept, 7, 100).is_empty());
        assert_eq!(kept.missed(&Clock::new()), 2);
        assert_eq!(kept.missed(&clock(1, 0)), 1);
        assert_eq!(kept.missed(&clock(2, 0)), 0);
        // What was delivered before a restart comes again.
        assert!(!kept.push(ledger.unconsumed().next().unwrap().clone()));
        assert_eq!(kept.delivered(), &clock(4, 3));
    }

    #[test]
    fn what_is_kept_survives_a_restart_and_what_is_gone_stays_known() {
        let batches = [batch(ONE, 1, 2), batch(TWO, 1, 3), batch(ONE, 3, 2)];
        let kept = Kept::recovered(&ledger(&batches, 5), 100, 1_000);
        assert_eq!((kept.position(), kept.gone_to()), (7, 5));
        assert_eq!(positions(&kept, 0, 100), [6]);
        assert_eq!(
            (kept.gone(), kept.delivered()),
            (&clock(2, 3), &clock(4, 3))
        );
        assert_eq!(kept.missed(&clock(4, 1)), 2);
    }

    #[test]
    fn a_request_is_remembered_or_known_to_be_too_old() {
        let origin = |number| Origin { client: 1, number };
        let batches = [batch(ONE, 1, 2), batch(TWO, 1, 1), batch(ONE, 3, 2)];
        let requests = Requests::recovered(ONE, &ledger(&batches, 2), 100);
        assert_eq!(requests.fate(origin(4), 0), Fate::Published(4));
        assert_eq!(requests.fate(origin(9), 2), Fate::New);
        assert_eq!(requests.fate(origin(2), 1), Fate::Forgotten);
        // Nothing at all is left of them.
        let requests = Requests::recovered(ONE, &ledger(&batches, 5), 100);
        assert_eq!(requests.fate(origin(9), 4), Fate::New);
        assert_eq!(requests.fate(origin(4), 3), Fate::Forgotten);

        let mut requests = Requests::recovered(ONE, &Ledger::default(), 2);
        for number in [1, 2, 3] {
            requests.carried_out(origin(number), number * 10);
        }
        assert_eq!(requests.fate(origin(1), 9), Fate::Forgotten);
        assert_eq!(requests.fate(origin(1), 10), Fate::New); // that one was made later
        assert_eq!(requests.fate(origin(3), 0), Fate::Published(30));
    }
}
