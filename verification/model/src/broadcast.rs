//! Causal broadcast, checked.
//!
//! The members run [`quorate_broadcast::Broadcast`] as it runs in production. Each has an application that
//! broadcasts a few messages at any moment, remembers what it was told across crashes of its member, and
//! consumes what it was told, sooner or later or never.
//!
//! What causes what is known from the applications alone: a message is caused by everything that its own
//! application had been told when it asked for it. No clock of the implementation is believed.

mod applications;
pub mod liveness;
mod properties;
mod scopes;

pub use applications::Applications;
pub use scopes::scope;

use crate::{Bounds, Liveness, Node, Property, Protocol, Request, State, Up};
use quorate_broadcast::{Broadcast, Command, Config, Ledger, Message, Output, Timer, invariants};
use quorate_machine::NodeId;

/// A model of causal broadcast: members, what their applications do, bounds.
pub struct BroadcastModel {
    name: String,
    nodes: Vec<NodeId>,
    configs: Vec<Config>,
    limits: Limits,
    bounds: Bounds,
    liveness: Liveness<BroadcastModel>,
}

/// What is particular to a configuration of the model.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many messages each member's application broadcasts; as many members as numbers.
    pub broadcasts: Vec<u8>,
    /// Which members' applications consume what they are told.
    pub consumers: Vec<u32>,
    /// Messages in a batch, and own messages that are not yet held by all, at most.
    pub batch: usize,
    /// See [`Config::window_messages`].
    pub window: usize,
    /// Whether applications broadcast only what answers something, but for the first member's.
    pub replies: bool,
    /// Whose repair timers fire, whenever their disks are idle and nothing that they sent for a repair is
    /// in flight.
    pub repairers: Vec<u32>,
    /// Whether they fire even then.
    pub repair_freely: bool,
    /// Crashes of all members together.
    pub crashes: u8,
    /// Which members crash.
    pub crashing: Vec<u32>,
    /// Messages that arrive twice.
    pub duplications: u8,
    /// Messages in flight.
    pub in_flight: usize,
    /// Steps whose records are not durable yet, per member.
    pub unsynced: usize,
    /// Promises that wait for a member's disk.
    pub waiting: usize,
}

impl BroadcastModel {
    /// A model with these limits.
    pub fn new(name: impl Into<String>, limits: Limits) -> Self {
        let nodes: Vec<NodeId> = (1..=limits.broadcasts.len() as u32).map(NodeId).collect();
        let configs = nodes.iter().map(|id| Config {
            batch_messages: limits.batch,
            window_messages: limits.window,
            ..Config::new(*id, nodes.iter().copied())
        });
        BroadcastModel {
            name: name.into(),
            configs: configs.collect(),
            bounds: bounds(&limits),
            nodes,
            limits,
            liveness: Liveness::default(),
        }
    }

    /// The same, and what must happen in it in the end.
    pub(crate) fn promising(self, liveness: Liveness<BroadcastModel>) -> Self {
        BroadcastModel { liveness, ..self }
    }

    /// The messages that `slot`'s application may still broadcast, by payload.
    fn next_payload(&self, slot: usize, applications: &Applications) -> Option<u8> {
        let asked = applications.asked(slot);
        let before: u8 = self.limits.broadcasts[..slot].iter().sum();
        let answers = slot == 0 || !self.limits.replies || applications.was_told(slot);
        (asked < self.limits.broadcasts[slot] && answers).then_some(before + asked)
    }

    /// Whose message a payload is, and which of his.
    fn owner(&self, payload: u8) -> Option<(usize, u8)> {
        let mut rest = payload;
        for (slot, count) in self.limits.broadcasts.iter().enumerate() {
            match rest.checked_sub(*count) {
                None => return Some((slot, rest)),
                Some(more) => rest = more,
            }
        }
        None
    }
}

fn bounds(limits: &Limits) -> Bounds {
    let broadcasts = limits.broadcasts.iter().map(|count| u64::from(*count));
    Bounds {
        crashes: limits.crashes,
        duplications: limits.duplications,
        in_flight: limits.in_flight,
        unsynced: limits.unsynced,
        own: vec![
            ("broadcasts", broadcasts.sum()),
            ("messages in a batch", limits.batch as u64),
            ("messages in a window", limits.window as u64),
            ("applications that consume", limits.consumers.len() as u64),
            (
                "broadcasts that answer nothing forbidden",
                limits.replies.into(),
            ),
            (
                "members that repair, when their disks are idle",
                limits.repairers.len() as u64,
            ),
            ("promises waiting a member", limits.waiting as u64),
        ],
    }
}

impl Protocol for BroadcastModel {
    type Machine = Broadcast<u8>;
    type Clients = Applications;

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

    fn clients(&self) -> Applications {
        Applications::new(self.nodes.len())
    }

    fn requests(&self, state: &State<Self>, out: &mut Vec<Request<Broadcast<u8>>>) {
        let applications = state.clients();
        for (slot, (&node, member)) in self.nodes.iter().zip(state.nodes()).enumerate() {
            let Some(machine) = member.machine() else {
                continue;
            };
            let broadcast = self.next_payload(slot, applications).map(|payload| {
                let (id, payloads) = (u64::from(payload), vec![payload]);
                Command::Broadcast { id, payloads }
            });
            let position = applications.told(slot).len() as u64;
            let consumes = self.limits.consumers.contains(&node.0);
            let consumed = consumes && machine.ledger().consumed() < position;
            let consumed = consumed.then_some(Command::Consumed { position });
            let commands = broadcast.into_iter().chain(consumed);
            out.extend(commands.map(|command| Request {
                client: slot as u8,
                node,
                command,
            }));
        }
    }

    fn requested(&self, applications: &mut Applications, request: &Request<Broadcast<u8>>) {
        if let Command::Broadcast { .. } = request.command {
            applications.ask(usize::from(request.client));
        }
    }

    fn output(&self, applications: &mut Applications, from: NodeId, output: &Output<u8>) {
        let slot = from.0 as usize - 1;
        match output {
            Output::Accepted { id, first } => applications.accepted(slot, *first, *id as u8),
            Output::Refused { .. } => applications.refused(slot),
            Output::Stable { sequence } => applications.stable(slot, *sequence),
            Output::Delivered(delivery) => {
                for message in delivery.messages() {
                    let owner = self.owner(*message.payload);
                    applications.delivered(slot, &message, owner);
                }
            }
        }
    }

    fn stepped(
        &self,
        _: &Applications,
        node: NodeId,
        before: &Broadcast<u8>,
        after: &Broadcast<u8>,
    ) -> Result<Option<Applications>, &'static str> {
        invariants::step(before, after)?;
        invariants::node(self.config(node), after)?;
        Ok(None)
    }

    fn fires(&self, state: &State<Self>, node: NodeId, timer: Timer) -> bool {
        let member = state.nodes().nth(node.0 as usize - 1);
        match timer {
            Timer::Flush => true,
            Timer::Repair => {
                let up = member.and_then(Node::up);
                let repairs = |message: &Message<u8>| !matches!(message, Message::Update { .. });
                let mut sent = state.network().filter(|envelope| envelope.from == node);
                self.limits.repairers.contains(&node.0)
                    && (self.limits.repair_freely
                        || up.is_some_and(|up| up.unsynced.is_empty())
                            && !sent.any(|envelope| repairs(&envelope.message)))
            }
        }
    }

    fn within(&self, state: &State<Self>) -> bool {
        let mut running = state.nodes().filter_map(Node::up);
        let mut nodes = self.nodes.iter().zip(state.nodes());
        running.all(|up: &Up<_>| up.gate.waiting().len() <= self.limits.waiting)
            && nodes.all(|(id, node)| {
                self.limits.crashing.contains(&id.0) || !matches!(node, Node::Down { .. })
            })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = properties::safety();
        all.extend(properties::reachable(&self.limits));
        all
    }

    fn liveness(&self) -> Liveness<Self> {
        self.liveness.clone()
    }

    fn label(&self, request: &Request<Broadcast<u8>>) -> String {
        match &request.command {
            Command::Broadcast { payloads, .. } => format!("broadcasts {payloads:?}"),
            Command::Consumed { position } => format!("has consumed up to @{position}"),
        }
    }
}

/// Every member's disk, with whose it is.
fn disks(
    state: &State<BroadcastModel>,
) -> impl Iterator<Item = (NodeId, &Ledger<u8>)> + Clone + use<'_> {
    let slots = 0..state.nodes().len();
    slots.filter_map(|slot| {
        let node = state.nodes().nth(slot)?;
        Some((NodeId(slot as u32 + 1), node.durable()))
    })
}
