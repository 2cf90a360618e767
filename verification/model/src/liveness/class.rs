//! Classes of actions, of which fairness is stated, and patterns that name many of them at once.

use crate::{Envelope, Protocol, State, step::Action};
use quorate_machine::{Machine, NodeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

/// A class of actions: fairness to it asks that one of its actions be taken in the end. Crashes, losses
/// and duplications belong to none, so nobody is ever owed one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A message of a kind arrives over a link.
    Deliver {
        /// The kind: the name of the message's variant.
        kind: Arc<str>,
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
    },
    /// A timer of a node fires.
    Timer {
        /// The name of the timer's variant.
        timer: Arc<str>,
        /// The node.
        node: NodeId,
    },
    /// Records of a node become durable.
    Sync {
        /// The node.
        node: NodeId,
    },
    /// A node starts again.
    Recover {
        /// The node.
        node: NodeId,
    },
    /// A client asks, whomever and whatever.
    Request {
        /// The client.
        client: u8,
    },
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Class::Deliver { kind, from, to } => {
                write!(f, "delivery of {kind} from {from} to {to}")
            }
            Class::Timer { timer, node } => write!(f, "timer {timer} of {node}"),
            Class::Sync { node } => write!(f, "syncs of {node}"),
            Class::Recover { node } => write!(f, "recovery of {node}"),
            Class::Request { client } => write!(f, "requests of client {client}"),
        }
    }
}

impl Debug for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Names classes: all deliveries, the timers of one kind, what happens at one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    what: What,
    named: Option<String>,
    from: Option<NodeId>,
    at: Option<NodeId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Delivery,
    Timer,
    Sync,
    Recovery,
    Request,
}

impl Pattern {
    const fn new(what: What) -> Self {
        Pattern {
            what,
            named: None,
            from: None,
            at: None,
        }
    }

    fn named(self, name: impl Into<String>) -> Self {
        Pattern {
            named: Some(name.into()),
            ..self
        }
    }

    /// Every delivery.
    pub const fn deliveries() -> Self {
        Pattern::new(What::Delivery)
    }

    /// The deliveries of a kind of message: the name of its variant.
    pub fn deliveries_of(kind: impl Into<String>) -> Self {
        Pattern::deliveries().named(kind)
    }

    /// Every timer.
    pub const fn timers() -> Self {
        Pattern::new(What::Timer)
    }

    /// The timers of a kind: the name of its variant.
    pub fn timers_of(kind: impl Into<String>) -> Self {
        Pattern::timers().named(kind)
    }

    /// Every sync.
    pub const fn syncs() -> Self {
        Pattern::new(What::Sync)
    }

    /// Every recovery.
    pub const fn recoveries() -> Self {
        Pattern::new(What::Recovery)
    }

    /// Every request of a client.
    pub const fn requests() -> Self {
        Pattern::new(What::Request)
    }

    /// Only what this node sent.
    #[must_use]
    pub fn from(self, node: NodeId) -> Self {
        Pattern {
            from: Some(node),
            ..self
        }
    }

    /// Only what happens at this node: it receives, its timer fires, its disk syncs, it recovers.
    #[must_use]
    pub fn at(self, node: NodeId) -> Self {
        Pattern {
            at: Some(node),
            ..self
        }
    }

    /// Whether the pattern names the class.
    pub fn matches(&self, class: &Class) -> bool {
        let (what, name, from, at) = match class {
            Class::Deliver { kind, from, to } => {
                (What::Delivery, Some(kind), Some(*from), Some(*to))
            }
            Class::Timer { timer, node } => (What::Timer, Some(timer), None, Some(*node)),
            Class::Sync { node } => (What::Sync, None, None, Some(*node)),
            Class::Recover { node } => (What::Recovery, None, None, Some(*node)),
            Class::Request { .. } => (What::Request, None, None, None),
        };
        self.what == what
            && (self.named.as_deref()).is_none_or(|wanted| name.is_some_and(|n| **n == *wanted))
            && self.from.is_none_or(|wanted| from == Some(wanted))
            && self.at.is_none_or(|wanted| at == Some(wanted))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.what, &self.named) {
            (What::Delivery, None) => f.write_str("deliveries")?,
            (What::Delivery, Some(kind)) => write!(f, "deliveries of {kind}")?,
            (What::Timer, None) => f.write_str("timers")?,
            (What::Timer, Some(timer)) => write!(f, "{timer} timers")?,
            (What::Sync, _) => f.write_str("syncs")?,
            (What::Recovery, _) => f.write_str("recoveries")?,
            (What::Request, _) => f.write_str("requests")?,
        }
        if let Some(node) = self.from {
            write!(f, " from {node}")?;
        }
        if let Some(node) = self.at {
            write!(f, " at {node}")?;
        }
        Ok(())
    }
}

/// Tells the class of an action. The kind of a message is read off its debug text, once for each message.
pub(super) struct Classes<M: Machine> {
    nodes: Vec<NodeId>,
    kinds: RefCell<HashMap<u64, Arc<str>>>,
    timers: RefCell<HashMap<M::Timer, Arc<str>>>,
}

impl<M: Machine> Classes<M> {
    pub(super) fn new(nodes: &[NodeId]) -> Self {
        Classes {
            nodes: nodes.to_vec(),
            kinds: RefCell::default(),
            timers: RefCell::default(),
        }
    }

    pub(super) fn of<P: Protocol<Machine = M>>(
        &self,
        _: &State<P>,
        action: &Action<M>,
    ) -> Option<Class> {
        Some(match action {
            Action::Request(request) => Class::Request {
                client: request.client,
            },
            Action::Deliver(envelope) => Class::Deliver {
                kind: self.kind(envelope),
                from: envelope.from,
                to: envelope.to,
            },
            Action::Timeout(node, timer) => Class::Timer {
                timer: self.timer(*timer),
                node: self.nodes[*node],
            },
            Action::Sync(node) => Class::Sync {
                node: self.nodes[*node],
            },
            Action::Recover(node) => Class::Recover {
                node: self.nodes[*node],
            },
            Action::Duplicate(_) | Action::Lose(_) | Action::Crash(_) => return None,
        })
    }

    pub(super) fn kind(&self, envelope: &crate::Cached<Envelope<M>>) -> Arc<str> {
        let mut kinds = self.kinds.borrow_mut();
        let kind = kinds.entry(envelope.cached_hash());
        kind.or_insert_with(|| name(&envelope.message)).clone()
    }

    fn timer(&self, timer: M::Timer) -> Arc<str> {
        let mut timers = self.timers.borrow_mut();
        timers.entry(timer).or_insert_with(|| name(&timer)).clone()
    }
}

/// The name of a value's variant: its debug text up to the first punctuation. What has no name is of one
/// class, whatever its value.
fn name(value: &impl Debug) -> Arc<str> {
    let text = format!("{value:?}");
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    let word = &text[..end.unwrap_or(text.len())];
    let named = word.starts_with(char::is_alphabetic);
    Arc::from(if named { word } else { "it" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_classes() {
        let voted = Class::Deliver {
            kind: Arc::from("Voted"),
            from: NodeId(1),
            to: NodeId(2),
        };
        assert!(Pattern::deliveries().matches(&voted));
        assert!(Pattern::deliveries_of("Voted").matches(&voted));
        assert!(
            Pattern::deliveries()
                .from(NodeId(1))
                .at(NodeId(2))
                .matches(&voted)
        );
        assert!(!Pattern::deliveries_of("Vote").matches(&voted));
        assert!(!Pattern::deliveries().from(NodeId(2)).matches(&voted));
        assert!(!Pattern::syncs().matches(&voted));
        assert!(!Pattern::timers_of("Voted").matches(&voted));
    }

    #[test]
    fn variants_have_names_and_numbers_have_none() {
        assert_eq!(&*name(&Some(1)), "Some");
        assert_eq!(&*name(&17), "it");
        assert_eq!(&*name(&()), "it");
    }
}
