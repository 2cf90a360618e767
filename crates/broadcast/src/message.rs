//! What goes in and out of the machine.

use crate::{Batch, Clock, Delivery};
use quorate_machine::NodeId;
use std::fmt;
use std::sync::Arc;

/// What the application asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command<P> {
    /// Broadcast these messages, one after the other and all or none. Answered by [`Output::Accepted`] or
    /// [`Output::Refused`]; if the node crashes before, by neither, and then it is not known whether the
    /// messages are broadcast: they are if they are delivered to their own sender once it is back.
    Broadcast {
        /// Chosen by the caller to recognise the answer.
        id: u64,
        /// At least one.
        payloads: Vec<P>,
    },
    /// The application needs nothing up to this position any more: it will not be delivered again after a
    /// restart, once that is on disk, which takes no longer than [`Timer::Repair`]. A batch counts once all
    /// of it is consumed. What is never consumed fills the node, which then refuses
    /// broadcasts, its own and those of others.
    Consumed {
        /// The position of a message's delivery.
        position: u64,
    },
}

/// Why a broadcast was not taken. It had no effect and will have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The window is full: too many messages of this node are not yet held by every member.
    Full {
        /// Who holds the fewest of them: a member that is down or slow, or this node if it is its own
        /// application that does not consume.
        waiting_for: NodeId,
    },
    /// More than one batch may hold.
    TooLarge,
    /// There is nothing to broadcast.
    Empty,
}

/// What the application is told.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Output<P> {
    /// The messages are durable here and will reach every member.
    Accepted {
        /// The caller's id.
        id: u64,
        /// The sequence number of the first of them.
        first: u64,
    },
    /// The messages are not broadcast.
    Refused {
        /// The caller's id.
        id: u64,
        /// Why.
        refusal: Refusal,
    },
    /// Messages are delivered, in causal order, each at its position; own ones as well. At least once:
    /// after a restart everything is delivered again that was not [consumed](Command::Consumed), in the
    /// same order and at the same positions.
    Delivered(Arc<Delivery<P>>),
    /// Every member has this node's messages up to this number on its disk. Broadcasts that were refused
    /// may be tried again.
    Stable {
        /// The number of the last of them.
        sequence: u64,
    },
}

impl<P: fmt::Debug> fmt::Debug for Output<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Accepted { id, first } => write!(f, "Accepted({id}, from #{first})"),
            Output::Refused { id, refusal } => write!(f, "Refused({id}, {refusal:?})"),
            Output::Delivered(delivery) => write!(f, "Delivered({delivery:?})"),
            Output::Stable { sequence } => write!(f, "Stable(#{sequence})"),
        }
    }
}

/// What a peer says. Every message tells what its sender holds on its disk, and so acknowledges.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Message<P> {
    /// What the sender holds, and what it broadcast just now.
    Update {
        /// How many messages of each member.
        holds: Clock,
        /// Its own next batch.
        news: Option<Arc<Batch<P>>>,
    },
    /// The receiver may lack something of this, as far as the sender knows. Answered by [`Message::Ask`],
    /// or by [`Message::Update`] if nothing is lacking.
    Offer {
        /// How many messages of each member.
        holds: Clock,
    },
    /// The sender lacks what follows on this. Answered by [`Message::Supply`].
    Ask {
        /// How many messages of each member.
        holds: Clock,
    },
    /// What was asked for, or as much of it as one message may carry.
    Supply {
        /// How many messages of each member.
        holds: Clock,
        /// Batches of any member, those of each member in order.
        batches: Vec<Arc<Batch<P>>>,
    },
}

impl<P> Message<P> {
    /// What the sender holds on its disk.
    pub fn holds(&self) -> &Clock {
        match self {
            Message::Update { holds, .. }
            | Message::Offer { holds }
            | Message::Ask { holds }
            | Message::Supply { holds, .. } => holds,
        }
    }

    /// The batches that it carries.
    pub fn batches(&self) -> &[Arc<Batch<P>>] {
        match self {
            Message::Update { news, .. } => news.as_slice(),
            Message::Offer { .. } | Message::Ask { .. } => &[],
            Message::Supply { batches, .. } => batches,
        }
    }
}

/// Short, because counterexamples are read by people.
impl<P: fmt::Debug> fmt::Debug for Message<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Update { holds, news } => match news {
                Some(news) => write!(f, "Update(holds {holds:?}, {news:?})"),
                None => write!(f, "Update(holds {holds:?})"),
            },
            Message::Offer { holds } => write!(f, "Offer(holds {holds:?})"),
            Message::Ask { holds } => write!(f, "Ask(holds {holds:?})"),
            Message::Supply { holds, batches } => {
                write!(f, "Supply(holds {holds:?}, {batches:?})")
            }
        }
    }
}

/// One durable write: what a step took, and how far everybody else is by then.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record<P> {
    /// Batches that were taken, in this order; own ones must be durable before anybody hears of them.
    pub batches: Vec<Arc<Batch<P>>>,
    /// What every member holds: it can be forgotten.
    pub floor: Clock,
    /// The position up to which the application has consumed.
    pub consumed: u64,
}

/// The timers of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// The end of a turn: what has gathered becomes one batch and one message for each peer; of zero ticks.
    Flush,
    /// Somebody may lack something.
    Repair,
}
