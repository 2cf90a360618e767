//! A state of the whole system.

use crate::{Cached, Protocol};
use quorate_machine::{Gate, Machine, NodeId};
use std::collections::VecDeque;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The nodes, the messages in flight, the clients, and what is spent of the bounds.
///
/// Small, since a search holds many: one pointer per node and message, and everything that a step
/// leaves alone is shared with the state before.
pub struct State<P: Protocol> {
    pub(crate) nodes: Box<[Cached<Node<P::Machine>>]>,
    /// A set, sorted by sender, receiver and hash, so that equal networks are equal lists and
    /// offer equal actions in the same order. A path is kept as the indices of its actions.
    pub(crate) network: Vec<Cached<Envelope<P::Machine>>>,
    pub(crate) clients: Cached<P::Clients>,
    pub(crate) spent: Spent,
}

/// A node of the system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node<M: Machine> {
    /// It runs.
    Up(Up<M>),
    /// It has crashed: only its disk is left, so no property can read a stale machine.
    Down {
        /// What its disk holds.
        durable: Cached<M::Durable>,
    },
    /// It broke a rule of [`Machine`] or of its protocol's steps: it panicked, its messages to itself
    /// never ended, or [`Protocol::stepped`] refused what it did. A state
    /// with such a node violates a built-in property and has no successors.
    Failed {
        /// What its disk held before the step.
        durable: Cached<M::Durable>,
        /// What happened.
        reason: Arc<str>,
    },
}

/// What a running node holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Up<M: Machine> {
    /// The machine.
    pub machine: M,
    /// Its promises that wait for the disk.
    pub gate: Gate<M>,
    /// The records of its steps that are not durable yet, oldest step first.
    pub unsynced: VecDeque<Vec<M::Record>>,
    /// Its armed timers, sorted by hash (a timer has no order of its own).
    pub timers: Vec<M::Timer>,
    /// What its disk holds.
    pub durable: Cached<M::Durable>,
}

/// A message in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Envelope<M: Machine> {
    /// Who sent it.
    pub from: NodeId,
    /// To whom.
    pub to: NodeId,
    /// What it says.
    pub message: M::Message,
}

/// What a run has spent of its [bounds](crate::Bounds).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spent {
    /// Crashes so far.
    pub crashes: u8,
    /// Duplications so far.
    pub duplications: u8,
}

impl<M: Machine> Node<M> {
    /// What the node's disk holds, whether it runs or not.
    pub fn durable(&self) -> &M::Durable {
        match self {
            Node::Up(up) => &up.durable,
            Node::Down { durable } | Node::Failed { durable, .. } => durable,
        }
    }

    pub(crate) fn durable_handle(&self) -> Cached<M::Durable> {
        match self {
            Node::Up(up) => up.durable.clone(),
            Node::Down { durable } | Node::Failed { durable, .. } => durable.clone(),
        }
    }

    /// The running node.
    pub fn up(&self) -> Option<&Up<M>> {
        match self {
            Node::Up(up) => Some(up),
            Node::Down { .. } | Node::Failed { .. } => None,
        }
    }

    /// The machine of a running node; a crashed one has none.
    pub fn machine(&self) -> Option<&M> {
        self.up().map(|up| &up.machine)
    }
}

impl<P: Protocol> State<P> {
    /// The nodes, in the order of [`Protocol::nodes`].
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node<P::Machine>> {
        self.nodes.iter().map(|node| &**node)
    }

    /// The machines of the running nodes.
    pub fn machines(&self) -> impl Iterator<Item = &P::Machine> {
        self.nodes().filter_map(Node::machine)
    }

    /// The messages in flight.
    pub fn network(&self) -> impl ExactSizeIterator<Item = &Envelope<P::Machine>> {
        self.network.iter().map(|envelope| &**envelope)
    }

    /// The clients and what they saw.
    pub fn clients(&self) -> &P::Clients {
        &self.clients
    }

    /// What the run so far has spent of its bounds.
    pub fn spent(&self) -> Spent {
        self.spent
    }
}

impl<M: Machine> Cached<Envelope<M>> {
    /// The position of a message in a state's network.
    pub(crate) fn order(&self) -> (NodeId, NodeId, u64) {
        (self.from, self.to, self.cached_hash())
    }
}

// By hand, since deriving would ask the same of the protocol itself.

impl<P: Protocol> Clone for State<P> {
    fn clone(&self) -> Self {
        State {
            nodes: self.nodes.clone(),
            network: self.network.clone(),
            clients: self.clients.clone(),
            spent: self.spent,
        }
    }
}

impl<P: Protocol> PartialEq for State<P> {
    fn eq(&self, other: &Self) -> bool {
        self.spent == other.spent
            && self.nodes == other.nodes
            && self.network == other.network
            && self.clients == other.clients
    }
}

impl<P: Protocol> Eq for State<P> {}

impl<P: Protocol> Hash for State<P> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Both lists go with their lengths: an encoding that could be read in two ways would merge
        // states that differ.
        self.nodes.hash(state);
        self.network.hash(state);
        self.clients.hash(state);
        self.spent.hash(state);
    }
}

impl<P: Protocol> fmt::Debug for State<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("nodes", &self.nodes)
            .field("network", &self.network)
            .field("clients", &self.clients)
            .field("spent", &self.spent)
            .finish()
    }
}
