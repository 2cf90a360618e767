//! What the comparisons of all protocols have in common.
//!
//! Every specification has the grain of the machines: what a node is in memory, what its disk has, the batches on
//! their way there, what is promised until they are, and the network. A protocol says how its own types are
//! called ([`Terms`]); [`variables`] makes the five variables of it. [`Members`] are the nodes, with clients
//! that only listen.

use crate::Value;
use quorate_machine::{Gate, Machine, NodeId, Promise};
use quorate_model::{Action, Bounds, Node, Property, Protocol, Request, State, Up};
use std::collections::BTreeSet;

/// Nodes that run a machine within the bounds of a specification: a network in which every message stays, and
/// clients that note what they are told.
pub struct Members<M: Machine> {
    name: &'static str,
    nodes: Vec<NodeId>,
    configs: Vec<M::Config>,
    bounds: Bounds,
    within: Option<Within<M>>,
}

type Within<M> = Box<dyn Fn(&State<Members<M>>) -> bool + Send + Sync>;

impl<M: Machine> Members<M> {
    /// Nodes 1, 2 and so on, one for each configuration.
    pub fn new(
        name: &'static str,
        configs: Vec<M::Config>,
        max_crashes: u8,
        max_unsynced: usize,
    ) -> Self {
        Members {
            name,
            nodes: (1..=configs.len() as u32).map(NodeId).collect(),
            configs,
            bounds: Bounds {
                crashes: max_crashes,
                // Every delivery is one; no path comes near.
                duplications: u8::MAX,
                in_flight: usize::MAX,
                unsynced: max_unsynced,
                own: Vec::new(),
            },
            within: None,
        }
    }

    /// Steps to other states are not taken.
    #[must_use]
    pub fn within(self, within: impl Fn(&State<Self>) -> bool + Send + Sync + 'static) -> Self {
        Members {
            within: Some(Box::new(within)),
            ..self
        }
    }
}

impl<M: Machine> Protocol for Members<M> {
    type Machine = M;
    /// What was released to the application, oldest first.
    type Clients = Vec<M::Output>;

    fn name(&self) -> &str {
        self.name
    }

    fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    fn config(&self, node: NodeId) -> &M::Config {
        &self.configs[node.0 as usize - 1]
    }

    fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    fn clients(&self) -> Self::Clients {
        Vec::new()
    }

    fn requests(&self, _: &State<Self>, _: &mut Vec<Request<M>>) {}

    fn requested(&self, _: &mut Self::Clients, _: &Request<M>) {}

    fn output(&self, clients: &mut Self::Clients, _: NodeId, output: &M::Output) {
        clients.push(output.clone());
    }

    fn within(&self, state: &State<Self>) -> bool {
        self.within.as_ref().is_none_or(|within| within(state))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Vec::new()
    }
}

/// How a protocol's types are called in its specification.
pub trait Terms {
    /// The machine.
    type Machine: Machine;
    /// Why a machine has no counterpart.
    type Error;

    /// An element of `Server`.
    fn server(&self, node: NodeId) -> Value;

    /// `node[s]` of a server that is up.
    ///
    /// # Errors
    ///
    /// If there is none.
    fn machine(&self, node: NodeId, machine: &Self::Machine) -> Result<Value, Self::Error>;

    /// `node[s]` of a server that is down.
    fn down(&self) -> Value;

    /// `disk[s]`.
    fn durable(&self, durable: &<Self::Machine as Machine>::Durable) -> Value;

    /// An element of a batch.
    fn record(&self, record: &<Self::Machine as Machine>::Record) -> Value;

    /// An element of `net`.
    fn message(
        &self,
        from: NodeId,
        to: NodeId,
        message: &<Self::Machine as Machine>::Message,
    ) -> Value;

    /// What is promised to the application, if the specification has it: then it waits among the messages.
    fn output(&self, _output: &<Self::Machine as Machine>::Output) -> Option<Value> {
        None
    }
}

/// The variables `node`, `disk`, `unsynced`, `promised` and `net`.
///
/// # Errors
///
/// If a machine has no counterpart.
pub fn variables<T: Terms>(
    terms: &T,
    protocol: &Members<T::Machine>,
    state: &State<Members<T::Machine>>,
) -> Result<Vec<(&'static str, Value)>, T::Error> {
    let (mut nodes, mut disks, mut unsynced, mut promises) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (id, node) in protocol.nodes.iter().zip(state.nodes()) {
        let server = terms.server(*id);
        disks.push((server.clone(), terms.durable(node.durable())));
        let nothing = || Value::sequence([]);
        let (machine, batches, waiting) = match node.up() {
            Some(up) => {
                let sizes = up.unsynced.iter().map(Vec::len);
                let batch =
                    |records: &Vec<_>| Value::sequence(records.iter().map(|one| terms.record(one)));
                (
                    terms.machine(*id, &up.machine)?,
                    Value::sequence(up.unsynced.iter().map(batch)),
                    waiting(terms, *id, &up.gate, sizes),
                )
            }
            None => (terms.down(), nothing(), nothing()),
        };
        nodes.push((server.clone(), machine));
        unsynced.push((server.clone(), batches));
        promises.push((server, waiting));
    }
    let net = state
        .network()
        .map(|sent| terms.message(sent.from, sent.to, &sent.message));
    Ok(vec![
        ("node", Value::function(nodes)),
        ("disk", Value::function(disks)),
        ("unsynced", Value::function(unsynced)),
        ("promised", Value::function(promises)),
        ("net", Value::set(net)),
    ])
}

/// `promised[s]`, from the gate and the number of records in each step that is not durable yet, oldest first.
/// What is promised to the application is left out.
pub fn promised<M: Machine>(
    gate: &Gate<M>,
    batches: impl IntoIterator<Item = usize>,
    message: impl Fn(NodeId, &M::Message) -> Value,
) -> Value {
    grouped(gate, batches, |promise| match promise {
        Promise::Send { to, message: told } => Some(message(*to, told)),
        Promise::Output(_) => None,
    })
}

/// The same, with what is promised to the application as far as the specification has it.
pub fn waiting<T: Terms>(
    terms: &T,
    node: NodeId,
    gate: &Gate<T::Machine>,
    batches: impl IntoIterator<Item = usize>,
) -> Value {
    grouped(gate, batches, |promise| match promise {
        Promise::Send { to, message } => Some(terms.message(node, *to, message)),
        Promise::Output(output) => terms.output(output),
    })
}

/// Promises, by the number of batches that they wait for.
fn grouped<M: Machine>(
    gate: &Gate<M>,
    batches: impl IntoIterator<Item = usize>,
    thing: impl Fn(&Promise<M>) -> Option<Value>,
) -> Value {
    if gate.waiting().len() == 0 {
        return Value::sequence([]);
    }
    // A gate does not say what a promise waits for, but lets go of it as soon as that is durable.
    let mut gate = gate.clone();
    let mut due = |records: usize| {
        gate.synced(records as u64);
        let released = std::iter::from_fn(|| gate.release());
        let sent = released.filter_map(|promise| thing(&promise));
        sent.collect::<BTreeSet<_>>()
    };
    let waits = std::iter::once(0).chain(batches).zip(0..);
    let promises = waits.map(|(records, needs)| (needs, due(records)));
    let promises = promises.filter(|(_, messages)| !messages.is_empty());
    Value::sequence(promises.map(|(needs, messages)| {
        Value::record([
            ("needs", Value::number(needs)),
            ("messages", Value::Set(messages)),
        ])
    }))
}

/// What a node has newly promised to the application in a step: promises are kept in their order, so it is
/// what comes after those that waited before.
pub fn told<M: Machine>(
    before: &State<Members<M>>,
    after: &State<Members<M>>,
    node: usize,
) -> Vec<M::Output> {
    let (Some(was), Some(is)) = (up(before, node), up(after, node)) else {
        return Vec::new(); // a crash or a recovery
    };
    let waiting = |up: &Up<M>| {
        let promises = up.gate.waiting();
        let outputs = promises.filter_map(|promise| match promise {
            Promise::Output(output) => Some(output.clone()),
            Promise::Send { .. } => None,
        });
        outputs.collect::<Vec<_>>()
    };
    let released = after.clients()[before.clients().len()..].iter().cloned();
    let all = released.chain(waiting(is));
    all.skip(waiting(was).len()).collect()
}

/// A node that is up, by its position.
pub fn up<M: Machine>(state: &State<Members<M>>, node: usize) -> Option<&Up<M>> {
    state.nodes().nth(node).and_then(Node::up)
}

/// The position of the node to which something happens.
pub fn position<M: Machine>(action: &Action<M>) -> usize {
    let position = |id: NodeId| id.0 as usize - 1;
    match action {
        Action::Request(request) => position(request.node),
        Action::Deliver(envelope) | Action::Duplicate(envelope) | Action::Lose(envelope) => {
            position(envelope.to)
        }
        Action::Timeout(node, _)
        | Action::Sync(node)
        | Action::Crash(node)
        | Action::Recover(node) => *node,
    }
}
