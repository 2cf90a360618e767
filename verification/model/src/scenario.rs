//! The short way to a [`Protocol`]: nodes, what their clients ask, what must hold.

use crate::{Bounds, Expectation, Fairness, Liveness, Node, Pattern, Property, Protocol};
use crate::{Request, State};
use quorate_machine::{Machine, NodeId};
use std::sync::Arc;

/// Promises of one node that wait for its disk. Runs with more are cut off: a node that answers the same
/// question again and again while its disk is busy would have no end of states.
const PROMISES_MAX: usize = 2;

/// Nodes that run a machine, clients that work off scripts, and properties of what they see.
///
/// Every client makes its requests in order, each to any node and at any moment; all choices are
/// explored. A protocol whose clients wait for answers, retry, or are tested for linearizability
/// implements [`Protocol`] itself.
///
/// What must hold in every state ([`always`](Scenario::always)) and in the end
/// ([`leads_to`](Scenario::leads_to)) is said side by side; [`check`](crate::check()) decides the one,
/// [`check_liveness`](crate::check_liveness) the other. Clients remember everything that they were told, so
/// a machine that tells something for ever needs a [`bound`](Scenario::bound) on it.
///
/// ```
/// # use quorate_machine::{Effects, Event, Machine, NodeId};
/// # #[derive(Clone, Debug, PartialEq, Eq, Hash)]
/// # struct Echo;
/// # impl Machine for Echo {
/// #     type Config = ();
/// #     type Command = u8;
/// #     type Message = ();
/// #     type Timer = ();
/// #     type Record = ();
/// #     type Durable = ();
/// #     type Output = u8;
/// #     fn apply(_: &mut (), _: &()) {}
/// #     fn start(_: &(), _: &(), _: &mut Effects<Self>) -> Self {
/// #         Echo
/// #     }
/// #     fn step(&mut self, _: &(), event: Event<Self>, fx: &mut Effects<Self>) {
/// #         if let Event::Command(word) = event {
/// #             fx.output(word);
/// #         }
/// #     }
/// #     fn backed(_: NodeId, _: &(), _: &()) -> bool {
/// #         true
/// #     }
/// # }
/// use quorate_model::{Bounds, Options, Scenario, Seen, check};
///
/// // Two nodes that answer with what they are asked.
/// let echo = Scenario::<Echo>::new("echo", 2, |_me, _nodes| ())
///     .bounds(Bounds { crashes: 0, ..Bounds::default() })
///     .client([7])
///     .always("an answer has a question", |state| match state.clients().seen() {
///         [Seen::Told { .. }, ..] => false,
///         _ => true,
///     })
///     .sometimes("someone answers", |state| state.clients().told().count() > 0);
/// assert!(check(echo, Options::default())?.passed());
/// # Ok::<(), quorate_model::CheckError>(())
/// ```
pub struct Scenario<M: Machine> {
    name: String,
    nodes: Vec<NodeId>,
    configs: Vec<M::Config>,
    bounds: Bounds,
    within: Vec<Condition<M>>,
    scripts: Vec<Vec<M::Command>>,
    properties: Vec<Named<M>>,
    liveness: Liveness<Scenario<M>>,
}

type Condition<M> = Arc<dyn Fn(&State<Scenario<M>>) -> bool + Send + Sync>;

/// A property before the checker asks for it; it may ask more than once.
struct Named<M: Machine> {
    name: &'static str,
    expectation: Expectation,
    condition: Condition<M>,
}

/// What the clients of a [`Scenario`] have asked and were told, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct History<M: Machine> {
    /// How many requests each client has made.
    made: Vec<usize>,
    seen: Vec<Seen<M>>,
}

/// Something that a client asked or was told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Seen<M: Machine> {
    /// A client asked a node.
    Asked {
        /// The client, numbered from 0.
        client: u8,
        /// The node.
        node: NodeId,
        /// What it asked.
        command: M::Command,
    },
    /// A node told its application something.
    Told {
        /// The node.
        node: NodeId,
        /// What it told.
        output: M::Output,
    },
}

impl<M: Machine> History<M> {
    /// Everything, oldest first.
    pub fn seen(&self) -> &[Seen<M>] {
        &self.seen
    }

    /// What was told, oldest first.
    pub fn told(&self) -> impl Iterator<Item = &M::Output> {
        self.seen.iter().filter_map(|seen| match seen {
            Seen::Told { output, .. } => Some(output),
            Seen::Asked { .. } => None,
        })
    }
}

impl<M: Machine> Scenario<M> {
    /// Nodes 1 to `nodes`, each with what `config` makes of its id and all ids; within
    /// [`Bounds::default`], without clients and without properties but the built-in ones.
    pub fn new(
        name: impl Into<String>,
        nodes: u32,
        config: impl Fn(NodeId, &[NodeId]) -> M::Config,
    ) -> Self {
        let nodes: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
        Scenario {
            name: name.into(),
            configs: nodes.iter().map(|me| config(*me, &nodes)).collect(),
            nodes,
            bounds: Bounds {
                own: vec![("waiting promises a node", PROMISES_MAX as u64)],
                ..Bounds::default()
            },
            within: Vec::new(),
            scripts: Vec::new(),
            properties: Vec::new(),
            liveness: Liveness::default(),
        }
    }

    /// How much is explored.
    pub fn bounds(mut self, mut bounds: Bounds) -> Self {
        bounds.own.append(&mut self.bounds.own);
        self.bounds = bounds;
        self
    }

    /// One more bound, printed as `name` and `limit`: only states of which `within` is true are
    /// explored.
    pub fn bound(
        mut self,
        name: &'static str,
        limit: u64,
        within: impl Fn(&State<Self>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.bounds.own.push((name, limit));
        self.within.push(Arc::new(within));
        self
    }

    /// One more client, which makes these requests in order.
    pub fn client(mut self, script: impl IntoIterator<Item = M::Command>) -> Self {
        self.scripts.push(script.into_iter().collect());
        self
    }

    /// `condition` must hold in every state.
    pub fn always(
        self,
        name: &'static str,
        condition: impl Fn(&State<Self>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.property(name, Expectation::Always, Arc::new(condition))
    }

    /// `condition` must hold in at least one state.
    pub fn sometimes(
        self,
        name: &'static str,
        condition: impl Fn(&State<Self>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.property(name, Expectation::Sometimes, Arc::new(condition))
    }

    /// Every behaviour must come to a state of which `condition` is true; see [`Liveness`] for this and
    /// what follows. [`check_liveness`](crate::check_liveness) decides it.
    pub fn eventually(
        self,
        name: &'static str,
        condition: impl Fn(&State<Self>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.lively(|liveness| liveness.eventually(name, move |state, _| condition(state)))
    }

    /// Every behaviour must come to such states again and again.
    pub fn always_eventually(
        self,
        name: &'static str,
        condition: impl Fn(&State<Self>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.lively(|liveness| liveness.always_eventually(name, move |state, _| condition(state)))
    }

    /// Every behaviour must at last stay in such states.
    pub fn eventually_always(
        self,
        name: &'static str,
        condition: impl Fn(&State<Self>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.lively(|liveness| liveness.eventually_always(name, move |state, _| condition(state)))
    }

    /// After every state of which `cause` is true, or in it, must come one of which `effect` is.
    pub fn leads_to(
        self,
        name: &'static str,
        cause: impl Fn(&State<Self>) -> bool + Send + Sync + 'static,
        effect: impl Fn(&State<Self>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.lively(|liveness| {
            liveness.leads_to(
                name,
                move |state, _| cause(state),
                move |state, _| effect(state),
            )
        })
    }

    /// Assumes this fairness of what the pattern names; [`Liveness`] lists what is assumed anyway.
    pub fn fair(self, pattern: Pattern, fairness: Fairness) -> Self {
        self.lively(|liveness| liveness.fair(pattern, fairness))
    }

    /// Up to so many messages may be lost in a run of which liveness is asked.
    pub fn losses(self, losses: u8) -> Self {
        self.lively(|liveness| liveness.losses(losses))
    }

    /// Changes what is asked of whole behaviours in any other way.
    pub fn lively(self, change: impl FnOnce(Liveness<Self>) -> Liveness<Self>) -> Self {
        Scenario {
            liveness: change(self.liveness),
            ..self
        }
    }

    fn property(
        mut self,
        name: &'static str,
        expectation: Expectation,
        condition: Condition<M>,
    ) -> Self {
        self.properties.push(Named {
            name,
            expectation,
            condition,
        });
        self
    }
}

impl<M: Machine> Protocol for Scenario<M> {
    type Machine = M;
    type Clients = History<M>;

    fn name(&self) -> &str {
        &self.name
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

    fn clients(&self) -> History<M> {
        History {
            made: vec![0; self.scripts.len()],
            seen: Vec::new(),
        }
    }

    fn requests(&self, state: &State<Self>, out: &mut Vec<Request<M>>) {
        let next = self.scripts.iter().zip(&state.clients().made);
        for (client, (script, made)) in (0..).zip(next) {
            let Some(command) = script.get(*made) else {
                continue;
            };
            out.extend(self.nodes.iter().map(|node| Request {
                client,
                node: *node,
                command: command.clone(),
            }));
        }
    }

    fn requested(&self, clients: &mut History<M>, request: &Request<M>) {
        clients.made[usize::from(request.client)] += 1;
        clients.seen.push(Seen::Asked {
            client: request.client,
            node: request.node,
            command: request.command.clone(),
        });
    }

    fn output(&self, clients: &mut History<M>, from: NodeId, output: &M::Output) {
        clients.seen.push(Seen::Told {
            node: from,
            output: output.clone(),
        });
    }

    fn within(&self, state: &State<Self>) -> bool {
        let few = |node: &Node<M>| {
            let up = node.up();
            up.is_none_or(|up| up.gate.waiting().len() <= PROMISES_MAX)
        };
        state.nodes().all(few) && self.within.iter().all(|within| within(state))
    }

    fn liveness(&self) -> Liveness<Self> {
        self.liveness.clone()
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let properties = self.properties.iter().map(|named| {
            let condition = Arc::clone(&named.condition);
            let condition = move |state: &State<Self>, _: &Self| condition(state);
            match named.expectation {
                Expectation::Always => Property::always(named.name, condition),
                Expectation::Sometimes => Property::sometimes(named.name, condition),
            }
        });
        properties.collect()
    }
}
