//! What a protocol supplies to be simulated.

use crate::node::Node;
use crate::{Random, Time};
use quorate_machine::{Machine, NodeId};

/// A protocol in one run: its machine, who runs it, what its clients do, and what must hold.
///
/// One value lives as long as the run. It sees all nodes at once, remembers what it likes, and is no part of
/// what crashes: it is the clients, and the judge.
pub trait Subject {
    /// The machine, the same that runs in production.
    type Machine: Machine;

    /// The nodes.
    fn nodes(&self) -> &[NodeId];

    /// The configuration of one of [`Subject::nodes`], by its position.
    fn config(&self, node: usize) -> &<Self::Machine as Machine>::Config;

    /// How long a tick of the timers is.
    fn tick(&self) -> Time {
        Time::millis(10)
    }

    /// How many clients there are.
    fn clients(&self) -> usize;

    /// Client number `client` is awake.
    fn wake(&mut self, client: usize, now: Time, random: &mut Random) -> Wake<Self::Machine>;

    /// The application of node `node` is told something.
    ///
    /// # Errors
    ///
    /// What it must never be told.
    fn told(
        &mut self,
        node: usize,
        now: Time,
        output: &<Self::Machine as Machine>::Output,
    ) -> Result<(), Violation>;

    /// Something has happened to `node`: every invariant.
    ///
    /// # Errors
    ///
    /// The one that does not hold.
    fn check(
        &mut self,
        view: View<'_, Self::Machine>,
        node: usize,
        what: Happened,
    ) -> Result<(), Violation>;

    /// Faults are over, and some nodes stay down for ever: the nodes that are enough for progress, drawn
    /// anew in every run.
    fn core(&self, random: &mut Random) -> Vec<usize> {
        let _ = random;
        (0..self.nodes().len()).collect()
    }

    /// Faults are over: from now on the clients should come to an end.
    fn calm(&mut self, now: Time);

    /// Within which time after that everything must be done.
    fn patience(&self) -> Time;

    /// Whether everything is done that was asked, and the nodes of the core agree.
    ///
    /// # Errors
    ///
    /// What is still missing.
    fn settled(&self, view: View<'_, Self::Machine>) -> Result<(), String>;

    /// What of interest happened, by name, to show that the run was no idle one.
    fn coverage(&self) -> Vec<(&'static str, u64)>;

    /// What a node finds on its disk when it starts. Anything but what is there is a fault that no protocol
    /// survives: it is for proving that the simulator would notice.
    fn recovered(
        &self,
        durable: <Self::Machine as Machine>::Durable,
    ) -> <Self::Machine as Machine>::Durable {
        durable
    }

    /// Whether disks say that they have what they do not have yet; for the same purpose. What messages
    /// claim about disks is then not checked, so that the harm itself must be found.
    fn disks_lie(&self) -> bool {
        false
    }
}

/// What a client does when it is awake.
pub struct Wake<M: Machine> {
    /// What it asks of which node, by its position.
    pub ask: Option<(usize, M::Command)>,
    /// When it wakes up again.
    pub again: Option<Time>,
}

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It started from its disk.
    Started,
    /// Its machine made a step.
    Stepped,
    /// Its disk has more than before.
    Synced,
    /// It lost its memory.
    Crashed,
}

/// Something that must not happen has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The property.
    pub property: String,
    /// How it was violated.
    pub reason: String,
}

impl Violation {
    /// A violation of `property`.
    pub fn new(property: impl Into<String>, reason: impl Into<String>) -> Self {
        Violation {
            property: property.into(),
            reason: reason.into(),
        }
    }

    /// Fails unless `holds`.
    ///
    /// # Errors
    ///
    /// The violation.
    pub fn unless(
        holds: bool,
        property: &str,
        reason: impl FnOnce() -> String,
    ) -> Result<(), Self> {
        if holds {
            Ok(())
        } else {
            Err(Violation::new(property, reason()))
        }
    }
}

/// All nodes, to be looked at; by their positions.
pub struct View<'a, M: Machine>(pub(crate) &'a [Node<M>]);

impl<M: Machine> Clone for View<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Machine> Copy for View<'_, M> {}

impl<'a, M: Machine> View<'a, M> {
    /// The machine of a node that is up.
    pub fn machine(self, node: usize) -> Option<&'a M> {
        let up = self.0.get(node)?.up.as_ref()?;
        Some(&up.machine)
    }

    /// The nodes that are up.
    pub fn machines(self) -> impl Iterator<Item = (usize, &'a M)> {
        let nodes = self.0.iter().enumerate();
        nodes.filter_map(|(at, node)| Some((at, &node.up.as_ref()?.machine)))
    }

    /// What the disk of a node has.
    pub fn durable(self, node: usize) -> Option<&'a M::Durable> {
        Some(&self.0.get(node)?.disk.durable)
    }

    /// What every disk has.
    pub fn disks(self) -> impl Iterator<Item = &'a M::Durable> {
        self.0.iter().map(|node| &node.disk.durable)
    }

    /// The records that a node has written and its disk does not have yet.
    pub fn unsynced(self, node: usize) -> impl Iterator<Item = &'a M::Record> {
        let node = self.0.get(node);
        node.into_iter().flat_map(|node| node.disk.unsynced())
    }

    /// Whether a node has this timer armed.
    pub fn is_armed(self, node: usize, timer: M::Timer) -> bool {
        let up = self.0.get(node).and_then(|node| node.up.as_ref());
        up.is_some_and(|up| up.timers.is_armed(timer))
    }

    /// Whether a message of a node to itself waits, or an event that it has not stepped.
    pub fn is_busy(self, node: usize) -> bool {
        let up = self.0.get(node).and_then(|node| node.up.as_ref());
        up.is_some_and(|up| up.gate.waiting().len() > 0 || up.has_work())
    }
}
