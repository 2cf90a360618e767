//! Paxos, checked.
//!
//! The nodes run [`quorate_paxos::Paxos`] as it runs in production; keys and values are digits. Each client
//! works off a script of proposals and reads at one node of its own, one operation at a time, and, within
//! `retries`, asks other nodes for what is not answered yet. Invocations and answers take no time, which asks
//! most of linearizability: a slower network only allows more orders.

mod clients;
pub mod liveness;
mod properties;
mod scopes;

pub use clients::{Clients, Decisions, Op};
pub use scopes::scope;

use crate::{Bounds, Node, Property, Protocol, Request, State, Up};
use clients::Client;
use quorate_machine::NodeId;
use quorate_paxos::{
    Acceptor, Command, Config, Durable, Instance, Message, Output, Paxos, Phase, Timer, invariants,
};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};

/// The name of a decision.
pub type Key = u8;

/// The machine that is checked.
pub(crate) type Member = Paxos<Key, u8>;

/// A model of Paxos: nodes, scripts of clients, bounds.
pub struct PaxosModel {
    name: String,
    nodes: Vec<NodeId>,
    configs: Vec<Config>,
    limits: Limits,
    bounds: Bounds,
}

/// What is particular to a configuration of the model.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Nodes.
    pub nodes: u32,
    /// What each client does, in order.
    pub scripts: Vec<Vec<Op>>,
    /// The node that each client asks; the first client the first node, and so on, if nothing is said.
    pub homes: Vec<u32>,
    /// The highest round.
    pub rounds: u64,
    /// Requests asked of another node as well.
    pub retries: u8,
    /// Times that a node is told to release the first key.
    pub releases: u8,
    /// Crashes of all nodes together.
    pub crashes: u8,
    /// Messages that arrive twice.
    pub duplications: u8,
    /// Messages in flight.
    pub in_flight: usize,
    /// Steps whose records are not durable yet, per node.
    pub unsynced: usize,
    /// Whether a proposer that waits asks again. Elsewhere it only tries again once it was set back.
    pub repeats: bool,
    /// Whether answers that come too late to count still arrive. Elsewhere they are forgotten, on the
    /// word of the protocol that it ignores them: here it is put to the test.
    pub late_answers: bool,
}

impl PaxosModel {
    /// A model with these limits.
    pub fn new(name: impl Into<String>, limits: Limits) -> Self {
        let nodes: Vec<NodeId> = (1..=limits.nodes).map(NodeId).collect();
        PaxosModel {
            name: name.into(),
            configs: configs(&nodes),
            bounds: bounds(&limits),
            nodes,
            limits,
        }
    }

    fn op(&self, client: usize, number: usize) -> Option<Op> {
        self.limits.scripts.get(client)?.get(number).copied()
    }

    /// The node that `client` asks first.
    fn home(&self, client: usize) -> NodeId {
        let home = self.limits.homes.get(client);
        NodeId(home.copied().unwrap_or(client as u32 + 1))
    }

    /// What the clients of a node do.
    fn ops_at(&self, node: NodeId) -> impl Iterator<Item = Op> {
        let clients = self.limits.scripts.iter().enumerate();
        let own = clients.filter(move |(client, _)| self.home(*client) == node);
        own.flat_map(|(_, script)| script.iter().copied())
    }

    /// The command by which `client` asks for its operation `number`.
    fn command(&self, client: usize, number: usize) -> Option<Command<Key, u8>> {
        let request = token(client, number);
        Some(match self.op(client, number)? {
            Op::Propose(key, value) => Command::Propose {
                request,
                key,
                value,
            },
            Op::Read(key) => Command::Read { request, key },
        })
    }

    /// A client hears the answer to a request of its own; of two answers the first counts.
    fn answer(&self, clients: &mut Clients, request: u64, answer: Option<u8>) {
        let (client, number) = untoken(request);
        let Some(state) = clients.clients.get_mut(client) else {
            return;
        };
        if number == state.answers.len() && number < state.invoked && !state.ended {
            state.answers.push(answer);
            let returned = clients.history.on_return(client as u8, answer);
            clients.linearizable &= returned.is_ok() && clients.history.is_consistent();
        }
    }

    /// What any client ever proposes for `key`.
    fn proposals(&self, key: Key) -> impl Iterator<Item = u8> {
        let ops = self.limits.scripts.iter().flatten();
        ops.filter_map(move |op| match *op {
            Op::Propose(of, value) if of == key => Some(value),
            Op::Propose(..) | Op::Read(_) => None,
        })
    }
}

/// Ticks mean nothing to the checker, and how often an attempt was set back changes nothing but them.
pub(crate) fn configs(nodes: &[NodeId]) -> Vec<Config> {
    let config = |id: &NodeId| Config {
        doublings_max: 0,
        ..Config::new(*id, nodes.iter().copied())
    };
    nodes.iter().map(config).collect()
}

fn bounds(limits: &Limits) -> Bounds {
    let operations = limits.scripts.iter().map(Vec::len).sum::<usize>();
    Bounds {
        crashes: limits.crashes,
        duplications: limits.duplications,
        in_flight: limits.in_flight,
        unsynced: limits.unsynced,
        own: vec![
            ("rounds", limits.rounds),
            ("clients", limits.scripts.len() as u64),
            ("operations", operations as u64),
            ("retries elsewhere", limits.retries.into()),
            ("releases", limits.releases.into()),
            ("proposers ask again", limits.repeats.into()),
            ("answers kept although too late", limits.late_answers.into()),
        ],
    }
}

/// Whether a message to a node with this disk is an answer that comes too late to count. Who knows the
/// decision attempts nothing, and whoever attempts something does so under its own latest promise.
pub(crate) fn is_too_late(message: &Message<Key, u8>, receiver: &Durable<Key, u8>) -> bool {
    let below = Acceptor::default();
    let acceptor = match receiver.instances.get(message.key()) {
        Some(Instance::Decided(_)) => {
            return !matches!(message, Message::Prepare { .. } | Message::Accept { .. });
        }
        Some(Instance::Open(acceptor)) => acceptor,
        None => &below,
    };
    match message {
        Message::Promised { ballot, .. }
        | Message::Accepted { ballot, .. }
        | Message::Refused { ballot, .. } => *ballot < acceptor.promised,
        Message::Prepare { .. }
        | Message::Accept { .. }
        | Message::Decided { .. }
        | Message::Released { .. } => false,
    }
}

/// Names an operation; small, and unambiguous.
fn token(client: usize, number: usize) -> u64 {
    (client * 16 + number) as u64
}

fn untoken(token: u64) -> (usize, usize) {
    (token as usize / 16, token as usize % 16)
}

impl Protocol for PaxosModel {
    type Machine = Member;
    type Clients = Clients;

    fn name(&self) -> &str {
        &self.name
    }

    fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    fn config(&self, node: NodeId) -> &Config {
        &self.configs[node.0 as usize - 1]
    }

    fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    fn is_dead(&self, message: &Message<Key, u8>, receiver: &Durable<Key, u8>) -> bool {
        !self.limits.late_answers && is_too_late(message, receiver)
    }

    fn clients(&self) -> Clients {
        let client = Client {
            invoked: 0,
            answers: Vec::new(),
            ended: false,
        };
        Clients {
            clients: vec![client; self.limits.scripts.len()],
            retries: 0,
            releases: 0,
            history: LinearizabilityTester::new(Decisions::default()),
            linearizable: true,
            decided: Default::default(),
        }
    }

    fn requests(&self, state: &State<Self>, out: &mut Vec<Request<Member>>) {
        let clients = state.clients();
        for (slot, client) in clients.clients.iter().enumerate() {
            if client.ended {
                continue;
            }
            let number = client.answers.len();
            let outstanding = number < client.invoked;
            if outstanding && clients.retries >= self.limits.retries {
                continue;
            }
            let Some(command) = self.command(slot, number) else {
                continue;
            };
            let home = self.home(slot);
            let nodes = self
                .nodes
                .iter()
                .filter(|node| outstanding != (**node == home));
            out.extend(nodes.map(|node| Request {
                client: slot as u8,
                node: *node,
                command: command.clone(),
            }));
        }
        if clients.releases < self.limits.releases {
            // By a client that is none of those.
            out.extend(self.nodes.iter().map(|node| Request {
                client: self.limits.scripts.len() as u8,
                node: *node,
                command: Command::Release { below: 2 },
            }));
        }
    }

    fn requested(&self, clients: &mut Clients, request: &Request<Member>) {
        let (Command::Propose { request: token, .. } | Command::Read { request: token, .. }) =
            request.command
        else {
            clients.releases += 1;
            return;
        };
        let (slot, number) = untoken(token);
        if number < clients.clients[slot].invoked {
            clients.retries += 1;
            return;
        }
        clients.clients[slot].invoked += 1;
        if let Some(op) = self.op(slot, number) {
            let invoked = clients.history.on_invoke(slot as u8, op);
            clients.linearizable &= invoked.is_ok();
        }
    }

    fn output(&self, clients: &mut Clients, _: NodeId, output: &Output<Key, u8>) {
        match *output {
            Output::Decided { request, value } => {
                let (client, number) = untoken(request);
                if let Some(Op::Propose(key, _) | Op::Read(key)) = self.op(client, number) {
                    clients.decided.insert((key, value));
                }
                self.answer(clients, request, Some(value));
            }
            Output::Undecided { request } => self.answer(clients, request, None),
            Output::Refused { request, .. } => {
                let (client, number) = untoken(request);
                let state = &mut clients.clients[client];
                state.ended |= number == state.answers.len();
            }
            Output::Learned { key, value } => {
                clients.decided.insert((key, value));
            }
        }
    }

    fn stepped(
        &self,
        _: &Clients,
        node: NodeId,
        before: &Member,
        after: &Member,
    ) -> Result<Option<Clients>, &'static str> {
        invariants::step(before, after)?;
        invariants::node(self.config(node), after)?;
        Ok(None)
    }

    fn fires(&self, state: &State<Self>, node: NodeId, timer: Timer) -> bool {
        let Timer::Retry(slot) = timer;
        let index = node.0 as usize - 1;
        let machine = state.nodes().nth(index).and_then(Node::machine);
        let attempts = machine
            .into_iter()
            .flat_map(|paxos| paxos.attempts().values());
        let mut waits = attempts.filter(|attempt| attempt.slot() == slot);
        self.limits.repeats || waits.any(|one| matches!(one.phase(), Phase::SetBack { .. }))
    }

    fn within(&self, state: &State<Self>) -> bool {
        let promises = |up: &Up<Member>| up.gate.waiting().len() <= 6 * self.limits.unsynced;
        let rounds = |up: &Up<Member>| {
            let instances = up.machine.state().instances.values();
            let promised = instances.filter_map(Instance::acceptor);
            let mut rounds = promised.map(|acceptor| acceptor.promised.round);
            rounds.all(|round| round <= self.limits.rounds)
        };
        let mut running = state.nodes().filter_map(Node::up);
        running.all(|up| rounds(up) && promises(up))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = properties::safety();
        all.extend(properties::reachable(&self.limits));
        all
    }

    fn label(&self, request: &Request<Member>) -> String {
        match &request.command {
            Command::Propose { key, value, .. } => format!("propose {value} for {key}"),
            Command::Read { key, .. } => format!("read {key}"),
            Command::Release { below } => format!("release what is below {below}"),
        }
    }
}
