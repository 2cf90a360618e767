//! What a protocol supplies to be checked.

use crate::{Liveness, State};
use quorate_machine::{Machine, NodeId, Value};
use serde::{Deserialize, Serialize};

/// A protocol's model: its machine, who runs it, what its clients do, and what must hold.
///
/// Everything else (delivery in any order, loss, duplication, timers, the disk, crashes, recovery) is
/// the checker's.
pub trait Protocol: Sized + Send + Sync + 'static {
    /// The machine, the same that runs in production.
    type Machine: Machine;
    /// All clients and the history of what they saw. It is part of the state but of no node: crashes
    /// do not touch it, and properties such as linearizability read it.
    type Clients: Value;

    /// The protocol's name in reports.
    fn name(&self) -> &str;

    /// The nodes, in the order in which [`State::nodes`] holds them.
    fn nodes(&self) -> &[NodeId];

    /// The configuration of one of [`Protocol::nodes`].
    fn config(&self, node: NodeId) -> &<Self::Machine as Machine>::Config;

    /// How much is explored.
    fn bounds(&self) -> &Bounds;

    /// What the disk of `node` holds at the beginning: nothing, unless a model begins at a state that
    /// takes long to reach, and that it names.
    fn disk(&self, _node: NodeId) -> <Self::Machine as Machine>::Durable {
        Default::default()
    }

    /// Whether `node` is up at the beginning.
    fn is_up(&self, _node: NodeId) -> bool {
        true
    }

    /// Whether delivering `message` to a node with this disk has no effect, now or ever: an answer to a
    /// question of an earlier term, say. Such a message is forgotten, so that states that differ in
    /// nothing but dead messages are one. It must follow from the disk, which no crash takes back.
    fn is_dead(
        &self,
        _message: &<Self::Machine as Machine>::Message,
        _receiver: &<Self::Machine as Machine>::Durable,
    ) -> bool {
        false
    }

    /// The clients before the first request.
    fn clients(&self) -> Self::Clients;

    /// Adds to `out` what clients may do now: invoke a new operation, or send an old one again.
    ///
    /// The order must be the same for equal states. Requests to nodes that are not up are ignored.
    fn requests(&self, state: &State<Self>, out: &mut Vec<Request<Self::Machine>>);

    /// `request` is being made: a client has invoked its operation.
    fn requested(&self, clients: &mut Self::Clients, request: &Request<Self::Machine>);

    /// `from` told the application `output`.
    fn output(
        &self,
        clients: &mut Self::Clients,
        from: NodeId,
        output: &<Self::Machine as Machine>::Output,
    );

    /// Judges what an event did to a node, its own messages due meanwhile included: a property of
    /// steps, as TLA+'s `[][A]_v`, violated with the reason. May note something in the clients' value
    /// for properties that look back; `None` leaves it as it is.
    ///
    /// # Errors
    ///
    /// What the step must not do.
    fn stepped(
        &self,
        _clients: &Self::Clients,
        _node: NodeId,
        _before: &Self::Machine,
        _after: &Self::Machine,
    ) -> Result<Option<Self::Clients>, &'static str> {
        Ok(None)
    }

    /// Whether an armed timer of `node` may fire in `state`. It is a bound like any other, to be named
    /// in [`Bounds::own`].
    fn fires(
        &self,
        _state: &State<Self>,
        _node: NodeId,
        _timer: <Self::Machine as Machine>::Timer,
    ) -> bool {
        true
    }

    /// Whether `state` is to be explored: the protocol's own bounds, such as terms and log lengths.
    ///
    /// Name each of them in [`Bounds::own`], so that it is printed beside the result.
    fn within(&self, _state: &State<Self>) -> bool {
        true
    }

    /// What must hold, and what must be reachable.
    fn properties(&self) -> Vec<Property<Self>>;

    /// What must happen in the end, and what is assumed for it; nothing by default. The nodes, the clients
    /// and the bounds are the same as for the properties of states.
    fn liveness(&self) -> Liveness<Self> {
        Liveness::default()
    }

    /// `request` in a few words, for counterexamples.
    fn label(&self, request: &Request<Self::Machine>) -> String {
        format!("{:?}", request.command)
    }
}

/// A client's command to a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request<M: Machine> {
    /// Which client.
    pub client: u8,
    /// Whom it asks.
    pub node: NodeId,
    /// What it asks.
    pub command: M::Command,
}

/// The bounds within which every state is explored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Crashes in a run, of all nodes together.
    pub crashes: u8,
    /// Deliveries in a run that leave the message in the network, to be delivered again.
    pub duplications: u8,
    /// Messages in flight. Beyond it the network must lose some, and every choice is explored: it
    /// covers all runs in which, at any moment, at most so many of the messages in flight will ever
    /// be delivered.
    pub in_flight: usize,
    /// Steps of a node whose records are not durable yet. Runs with more are cut off.
    pub unsynced: usize,
    /// The bounds that [`Protocol::within`] and the clients apply, for printing.
    pub own: Vec<(&'static str, u64)>,
}

/// One bound as it is printed beside a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// What is bounded.
    pub name: String,
    /// The largest value explored.
    pub limit: u64,
}

/// One crash, no duplicates, four messages in flight, two unsynced batches a node: enough for most
/// bugs of a small protocol, and explored in seconds.
impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            crashes: 1,
            duplications: 0,
            in_flight: 4,
            unsynced: 2,
            own: Vec::new(),
        }
    }
}

impl Bounds {
    /// All bounds by name.
    pub fn list(&self, nodes: usize) -> Vec<Bound> {
        let general = [
            ("nodes", nodes as u64),
            ("crashes", self.crashes.into()),
            ("duplications", self.duplications.into()),
            ("messages in flight", self.in_flight as u64),
            ("unsynced batches a node", self.unsynced as u64),
        ];
        general
            .into_iter()
            .chain(self.own.iter().copied())
            .map(|(name, limit)| Bound {
                name: name.to_owned(),
                limit,
            })
            .collect()
    }
}

/// Whether a property must hold in every state or in at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expectation {
    /// In every state: safety.
    Always,
    /// In at least one state: evidence that the model does what it is meant to explore.
    Sometimes,
}

type Condition<P> = Box<dyn Fn(&State<P>, &P) -> bool + Send + Sync>;

/// A named condition over states.
pub struct Property<P: Protocol> {
    pub(crate) name: &'static str,
    pub(crate) expectation: Expectation,
    pub(crate) condition: Condition<P>,
}

impl<P: Protocol> Property<P> {
    /// `condition` must hold in every state.
    pub fn always(
        name: &'static str,
        condition: impl Fn(&State<P>, &P) -> bool + Send + Sync + 'static,
    ) -> Self {
        Property {
            name,
            expectation: Expectation::Always,
            condition: Box::new(condition),
        }
    }

    /// `condition` must hold in at least one state.
    pub fn sometimes(
        name: &'static str,
        condition: impl Fn(&State<P>, &P) -> bool + Send + Sync + 'static,
    ) -> Self {
        Property {
            name,
            expectation: Expectation::Sometimes,
            condition: Box::new(condition),
        }
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it must hold in every state or in one.
    pub fn expectation(&self) -> Expectation {
        self.expectation
    }
}
