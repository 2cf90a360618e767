//! What goes in and out of the machine.

use crate::{Ballot, Instance, Proposal};
use std::collections::BTreeMap;
use std::fmt;

/// What a local client asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command<K, V> {
    /// Decide, on `value` if nothing else is or is about to be decided.
    Propose {
        /// Chosen by the caller to recognise the answer; one that still waits is not taken twice.
        request: u64,
        /// Which decision.
        key: K,
        /// The proposal.
        value: V,
    },
    /// Say what is decided, or that nothing was decided yet when this was asked.
    Read {
        /// Chosen by the caller to recognise the answer; one that still waits is not taken twice.
        request: u64,
        /// Which decision.
        key: K,
    },
    /// Drop every decision whose key is lower, for good: nobody will ask for one again.
    Release {
        /// The lowest key that is kept.
        below: K,
    },
}

/// What the application is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output<K, V> {
    /// A request's answer: this is decided, and never anything else.
    Decided {
        /// Which request.
        request: u64,
        /// The decision.
        value: V,
    },
    /// A read's answer: when it was asked nothing had been decided.
    Undecided {
        /// Which request.
        request: u64,
    },
    /// A request was not taken. Its proposal, if it made one, may still come to be decided.
    Refused {
        /// Which request.
        request: u64,
        /// Why.
        refusal: Refusal,
    },
    /// This node has learned a decision: once each time that it runs, whoever asked for it.
    Learned {
        /// Which decision.
        key: K,
        /// What it is.
        value: V,
    },
}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Too much is waiting already, for this decision or at this node.
    Busy,
    /// The node remembers as many decisions as it may.
    Full,
    /// The decision has been released.
    Released,
    /// There is no higher ballot. It takes a peer that lies to come to that.
    Exhausted,
}

/// What a peer says.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Message<K, V> {
    /// Phase 1a: promise to accept nothing below this ballot, and say what you have accepted.
    Prepare {
        /// Which decision.
        key: K,
        /// The sender's ballot.
        ballot: Ballot,
    },
    /// Phase 1b: promised.
    Promised {
        /// Which decision.
        key: K,
        /// The ballot that was asked for.
        ballot: Ballot,
        /// What the sender has accepted last, under a lower ballot.
        accepted: Option<Proposal<V>>,
    },
    /// Phase 2a: accept this, unless you have promised otherwise.
    Accept {
        /// Which decision.
        key: K,
        /// The sender's ballot.
        ballot: Ballot,
        /// The value that it proposes.
        value: V,
    },
    /// Phase 2b: accepted.
    Accepted {
        /// Which decision.
        key: K,
        /// The ballot.
        ballot: Ballot,
    },
    /// The ballot comes too late: a higher one has been promised.
    Refused {
        /// Which decision.
        key: K,
        /// The ballot that comes too late.
        ballot: Ballot,
        /// The higher one.
        promised: Ballot,
    },
    /// This is decided.
    Decided {
        /// Which decision.
        key: K,
        /// What it is.
        value: V,
    },
    /// The sender has released this decision and takes no part in it any more.
    Released {
        /// Which decision.
        key: K,
    },
}

impl<K, V> Message<K, V> {
    /// The decision that the message speaks of.
    pub fn key(&self) -> &K {
        match self {
            Message::Prepare { key, .. }
            | Message::Promised { key, .. }
            | Message::Accept { key, .. }
            | Message::Accepted { key, .. }
            | Message::Refused { key, .. }
            | Message::Decided { key, .. }
            | Message::Released { key } => key,
        }
    }
}

/// Short, because counterexamples are read by people.
impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Message<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Prepare { key, ballot } => write!(f, "Prepare({key:?}, {ballot})"),
            Message::Promised {
                key,
                ballot,
                accepted,
            } => match accepted {
                Some(proposal) => write!(f, "Promised({key:?}, {ballot}, accepted {proposal:?})"),
                None => write!(f, "Promised({key:?}, {ballot}, nothing accepted)"),
            },
            Message::Accept { key, ballot, value } => {
                write!(f, "Accept({key:?}, {value:?}@{ballot})")
            }
            Message::Accepted { key, ballot } => write!(f, "Accepted({key:?}, {ballot})"),
            Message::Refused {
                key,
                ballot,
                promised,
            } => write!(f, "Refused({key:?}, {ballot}, promised {promised})"),
            Message::Decided { key, value } => write!(f, "Decided({key:?}, {value:?})"),
            Message::Released { key } => write!(f, "Released({key:?})"),
        }
    }
}

/// One durable write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record<K, V> {
    /// Nothing below this ballot will be accepted. Durable before anybody hears of it, and, of a ballot of
    /// the node's own, before it is used.
    Promised {
        /// Which decision.
        key: K,
        /// The ballot.
        ballot: Ballot,
    },
    /// A proposal was accepted; nothing below its ballot will be.
    Accepted {
        /// Which decision.
        key: K,
        /// The proposal.
        proposal: Proposal<V>,
    },
    /// A decision was learned. Nothing waits for this to be durable: the decision is, on a majority.
    Decided {
        /// Which decision.
        key: K,
        /// What it is.
        value: V,
    },
    /// Decisions below this key were dropped.
    Released {
        /// The lowest key that is kept.
        below: K,
    },
}

/// What a crash leaves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Durable<K: Ord, V> {
    /// Every decision that the node has heard of and not released.
    pub instances: BTreeMap<K, Instance<V>>,
    /// The lowest key that is kept, if any were released.
    pub released: Option<K>,
}

impl<K: Ord, V> Default for Durable<K, V> {
    fn default() -> Self {
        Durable {
            instances: BTreeMap::new(),
            released: None,
        }
    }
}

impl<K: Ord, V> Durable<K, V> {
    /// Whether `key` is released.
    pub fn is_released(&self, key: &K) -> bool {
        self.released.as_ref().is_some_and(|below| key < below)
    }

    pub(crate) fn release(&mut self, below: &K)
    where
        K: Clone,
    {
        self.instances = self.instances.split_off(below);
        self.released = Some(below.clone());
    }
}

/// The place of an attempt among those of a node: a timer's name must be small, whatever keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// The timers of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// An attempt has waited long enough: it says again what may be lost, or tries a higher ballot.
    Retry(Slot),
}
