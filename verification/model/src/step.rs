//! One transition of the system: the node's side of the world, as the production driver plays it.

use crate::cached::fixed_hash;
use crate::pool::Parts;
use crate::state::{Envelope, Node, State, Up};
use crate::{Cached, Protocol, Request};
use quorate_machine::{Effects, Event, Gate, Machine, NodeId, Promise, TimerEffect};
use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Messages that a node may send to itself within one transition. A machine that needs more would
/// keep a production node busy for ever.
const SELF_MESSAGES_MAX: usize = 256;

/// What may happen next. Nodes are given by their index in [`Protocol::nodes`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action<M: Machine> {
    /// A client asks.
    Request(Request<M>),
    /// A message arrives.
    Deliver(Cached<Envelope<M>>),
    /// A message arrives and stays in the network.
    Duplicate(Cached<Envelope<M>>),
    /// The network, over its bound, loses a message.
    Lose(Cached<Envelope<M>>),
    /// An armed timer fires.
    Timeout(usize, M::Timer),
    /// The records of the oldest unsynced step become durable.
    Sync(usize),
    /// The node loses everything but its disk.
    Crash(usize),
    /// The node starts again from its disk.
    Recover(usize),
}

/// Is told what happens within a transition, to draw counterexamples. The search itself passes `()`.
pub(crate) trait Observer<M: Machine> {
    fn received_own(&mut self, _message: &M::Message) {}
    fn persisted(&mut self, _record: &M::Record) {}
    fn armed(&mut self, _timer: &M::Timer) {}
    fn sent(&mut self, _to: NodeId, _message: &M::Message) {}
    fn told(&mut self, _output: &M::Output) {}
    fn durable(&mut self, _record: &M::Record) {}
    fn failed(&mut self, _reason: &str) {}
}

impl<M: Machine> Observer<M> for () {}

/// The initial state: every node started on its disk.
pub(crate) fn initial<P: Protocol>(protocol: &P, parts: &Parts<P>) -> State<P> {
    let disks = protocol.nodes().iter();
    let disks: Vec<_> = disks
        .map(|node| parts.durables.share(protocol.disk(*node)))
        .collect();
    let down = disks.iter().map(|durable| {
        parts.nodes.share(Node::Down {
            durable: durable.clone(),
        })
    });
    let mut state = State {
        nodes: down.collect(),
        network: Vec::new(),
        clients: parts.clients.share(protocol.clients()),
        spent: Default::default(),
    };
    for (node, disk) in disks.into_iter().enumerate() {
        if !protocol.is_up(node_id(protocol, node)) {
            continue;
        }
        let mut unobserved = ();
        let mut turn = Turn::new(protocol, parts, &state, node, &mut unobserved);
        let started = turn.start(disk);
        let (network, clients) = (turn.sent, turn.clients);
        state.nodes[node] = parts.nodes.share(started);
        send(parts, &mut state, node_id(protocol, node), network);
        if let Some(clients) = clients {
            state.clients = parts.clients.share(clients);
        }
    }
    state
}

/// The state after `action`; `None` if nothing worth exploring changes.
pub(crate) fn successor<P: Protocol>(
    protocol: &P,
    parts: &Parts<P>,
    before: &State<P>,
    action: &Action<P::Machine>,
    observer: &mut impl Observer<P::Machine>,
) -> Option<State<P>> {
    let mut spent = before.spent;
    let mut removed = None;
    let node = match action {
        Action::Request(request) => node_index(protocol, request.node)?,
        Action::Deliver(envelope) => {
            removed = Some(envelope);
            node_index(protocol, envelope.to)?
        }
        Action::Duplicate(envelope) => {
            spent.duplications += 1;
            node_index(protocol, envelope.to)?
        }
        Action::Lose(envelope) => {
            let mut after = before.clone();
            take(&mut after.network, envelope);
            return Some(after);
        }
        Action::Crash(node) => {
            spent.crashes += 1;
            *node
        }
        Action::Timeout(node, _) | Action::Sync(node) | Action::Recover(node) => *node,
    };
    let mut turn = Turn::new(protocol, parts, before, node, observer);
    let after = turn.play(&before.nodes[node], action)?;
    let after = turn.judge(&before.nodes[node], after);
    let (sent, clients) = (turn.sent, turn.clients);
    let after = parts.nodes.share(after);
    let clients = clients.map_or_else(
        || before.clients.clone(),
        |clients| parts.clients.share(clients),
    );

    // A message whose delivery changes nothing stays in the network, instead of making a state that
    // differs only by its absence. Whatever that state can do, this one can do too: its network is
    // larger by one message, which may stay undelivered for ever, and which the network may lose
    // when it is full. Only `backed` reads the network, and wants every message there.
    if sent.is_empty() && after == before.nodes[node] && clients == before.clients {
        return None;
    }

    let mut nodes = before.nodes.clone();
    nodes[node] = after;
    let mut network = Vec::with_capacity(before.network.len() + sent.len());
    let alive = before.network.iter().filter(|envelope| {
        let receiver = node_index(protocol, envelope.to);
        receiver.is_some_and(|node| !protocol.is_dead(&envelope.message, nodes[node].durable()))
    });
    network.extend(alive.cloned());
    if let Some(envelope) = removed {
        take(&mut network, envelope);
    }
    let mut state = State {
        nodes,
        network,
        clients,
        spent,
    };
    send(parts, &mut state, node_id(protocol, node), sent);
    Some(state)
}

fn node_id<P: Protocol>(protocol: &P, index: usize) -> NodeId {
    protocol.nodes()[index]
}

pub(crate) fn node_index<P: Protocol>(protocol: &P, id: NodeId) -> Option<usize> {
    protocol.nodes().iter().position(|node| *node == id)
}

fn take<M: Machine>(network: &mut Vec<Cached<Envelope<M>>>, envelope: &Cached<Envelope<M>>) {
    if let Some(position) = network.iter().position(|other| other == envelope) {
        network.remove(position);
    }
}

fn send<P: Protocol>(
    parts: &Parts<P>,
    state: &mut State<P>,
    from: NodeId,
    sent: Vec<(NodeId, <P::Machine as Machine>::Message)>,
) {
    for (to, message) in sent {
        let envelope = parts.envelopes.share(Envelope { from, to, message });
        let order = envelope.order();
        let position = state.network.partition_point(|other| other.order() < order);
        // Sent again while it is still in flight, a message is not a second one: that the two arrive
        // is what a duplication is for, and that one of them is lost is always possible.
        if state.network.get(position) != Some(&envelope) {
            state.network.insert(position, envelope);
        }
    }
}

/// What one node does in one transition.
struct Turn<'a, P: Protocol, O> {
    protocol: &'a P,
    parts: &'a Parts<P>,
    before: &'a State<P>,
    id: NodeId,
    observer: &'a mut O,
    sent: Vec<(NodeId, <P::Machine as Machine>::Message)>,
    /// The clients, copied only if they change.
    clients: Option<P::Clients>,
}

impl<'a, P: Protocol, O: Observer<P::Machine>> Turn<'a, P, O> {
    fn new(
        protocol: &'a P,
        parts: &'a Parts<P>,
        before: &'a State<P>,
        node: usize,
        observer: &'a mut O,
    ) -> Self {
        Turn {
            protocol,
            parts,
            before,
            id: node_id(protocol, node),
            observer,
            sent: Vec::new(),
            clients: None,
        }
    }

    /// The node after `action`; `None` if the action is not possible.
    fn play(
        &mut self,
        node: &Node<P::Machine>,
        action: &Action<P::Machine>,
    ) -> Option<Node<P::Machine>> {
        match (action, node) {
            (Action::Request(request), Node::Up(up)) => {
                let mut clients = self.before.clients().clone();
                self.protocol.requested(&mut clients, request);
                self.clients = Some(clients);
                Some(self.event(up.clone(), Event::Command(request.command.clone())))
            }
            (Action::Deliver(envelope) | Action::Duplicate(envelope), Node::Up(up)) => {
                let event = Event::Receive {
                    from: envelope.from,
                    message: envelope.message.clone(),
                };
                Some(self.event(up.clone(), event))
            }
            (Action::Timeout(_, timer), Node::Up(up)) => {
                let mut up = up.clone();
                up.timers.retain(|armed| armed != timer);
                Some(self.event(up, Event::Timeout(*timer)))
            }
            (Action::Sync(_), Node::Up(up)) => Some(self.sync(up.clone())),
            (Action::Crash(_), Node::Up(up)) => Some(Node::Down {
                durable: up.durable.clone(),
            }),
            (Action::Recover(_), Node::Down { durable }) => Some(self.start(durable.clone())),
            _ => None,
        }
    }

    /// Asks the protocol whether the transition may have done what it did.
    fn judge(&mut self, before: &Node<P::Machine>, after: Node<P::Machine>) -> Node<P::Machine> {
        let (Some(was), Some(is)) = (before.machine(), after.machine()) else {
            return after;
        };
        let clients = self.clients.as_ref();
        let clients = clients.unwrap_or_else(|| self.before.clients());
        match self.protocol.stepped(clients, self.id, was, is) {
            Ok(None) => after,
            Ok(Some(clients)) => {
                self.clients = Some(clients);
                after
            }
            Err(reason) => {
                self.observer.failed(reason);
                Node::Failed {
                    durable: before.durable_handle(),
                    reason: Arc::from(reason),
                }
            }
        }
    }

    /// Builds the machine from its disk.
    fn start(&mut self, durable: Cached<<P::Machine as Machine>::Durable>) -> Node<P::Machine> {
        self.guarded(durable.clone(), |turn| {
            let mut fx = Effects::new();
            let config = turn.protocol.config(turn.id);
            let machine = P::Machine::start(config, &durable, &mut fx);
            let mut up = Up {
                machine,
                gate: Gate::new(),
                unsynced: VecDeque::new(),
                timers: Vec::new(),
                durable,
            };
            let mut own = VecDeque::new();
            turn.settle(&mut up, &mut fx, &mut own);
            turn.run(up, own, fx)
        })
    }

    /// Hands the node an event.
    fn event(&mut self, up: Up<P::Machine>, event: Event<P::Machine>) -> Node<P::Machine> {
        self.guarded(up.durable.clone(), |turn| {
            turn.run(up, VecDeque::from([event]), Effects::new())
        })
    }

    /// Makes the oldest unsynced step durable, and releases what waited for it.
    fn sync(&mut self, mut up: Up<P::Machine>) -> Node<P::Machine> {
        self.guarded(up.durable.clone(), |turn| {
            let records = up.unsynced.pop_front().unwrap_or_default();
            let mut durable = (*up.durable).clone();
            for record in &records {
                P::Machine::apply(&mut durable, record);
                turn.observer.durable(record);
            }
            up.durable = turn.parts.durables.share(durable);
            up.gate.synced(records.len() as u64);
            let mut own = VecDeque::new();
            turn.release(&mut up, &mut own);
            turn.run(up, own, Effects::new())
        })
    }

    /// Turns a panic into a failed node, so that it has a counterexample like any other violation.
    fn guarded(
        &mut self,
        durable: Cached<<P::Machine as Machine>::Durable>,
        play: impl FnOnce(&mut Self) -> Result<Up<P::Machine>, String>,
    ) -> Node<P::Machine> {
        let outcome = catch_unwind(AssertUnwindSafe(|| play(self)));
        let reason = match outcome {
            Ok(Ok(up)) => return Node::Up(up),
            Ok(Err(reason)) => reason,
            Err(payload) => format!("panicked: {}", panic_text(&*payload)),
        };
        self.observer.failed(&reason);
        // Nothing that it left half done is to be judged.
        self.sent.clear();
        self.clients = None;
        Node::Failed {
            durable,
            reason: Arc::from(reason),
        }
    }

    /// Steps the machine through `events` and through its own messages that are due meanwhile.
    ///
    /// Its own messages come first, within the same transition, as they do in production: no other
    /// node can tell the difference, and no state in between needs to be kept.
    fn run(
        &mut self,
        mut up: Up<P::Machine>,
        mut events: VecDeque<Event<P::Machine>>,
        mut fx: Effects<P::Machine>,
    ) -> Result<Up<P::Machine>, String> {
        let config = self.protocol.config(self.id);
        let mut steps = 0;
        while let Some(event) = events.pop_front() {
            steps += 1;
            if steps > SELF_MESSAGES_MAX {
                return Err(format!(
                    "sent itself more than {SELF_MESSAGES_MAX} messages without coming to rest"
                ));
            }
            if let Event::Receive { from, message } = &event
                && *from == self.id
            {
                self.observer.received_own(message);
            }
            up.machine.step(config, event, &mut fx);
            self.settle(&mut up, &mut fx, &mut events);
        }
        Ok(up)
    }

    /// Carries out the effects of one step.
    fn settle(
        &mut self,
        up: &mut Up<P::Machine>,
        fx: &mut Effects<P::Machine>,
        own: &mut VecDeque<Event<P::Machine>>,
    ) {
        for effect in fx.drain_timers() {
            match effect {
                TimerEffect::Arm(timer, _) => {
                    self.observer.armed(&timer);
                    if !up.timers.contains(&timer) {
                        up.timers.push(timer);
                        up.timers.sort_by_cached_key(fixed_hash);
                    }
                }
                TimerEffect::Disarm(timer) => up.timers.retain(|armed| *armed != timer),
            }
        }
        for immediate in fx.drain_immediate() {
            self.let_go(immediate, own);
        }
        let records: Vec<_> = up.gate.absorb(fx).collect();
        if !records.is_empty() {
            for record in &records {
                self.observer.persisted(record);
            }
            up.unsynced.push_back(records);
        }
        self.release(up, own);
    }

    /// Lets go of the promises that are due.
    fn release(&mut self, up: &mut Up<P::Machine>, own: &mut VecDeque<Event<P::Machine>>) {
        while let Some(promise) = up.gate.release() {
            self.let_go(promise, own);
        }
    }

    fn let_go(&mut self, promise: Promise<P::Machine>, own: &mut VecDeque<Event<P::Machine>>) {
        match promise {
            Promise::Send { to, message } => self.send(to, message, own),
            Promise::Output(output) => {
                self.observer.told(&output);
                let clients = self
                    .clients
                    .get_or_insert_with(|| self.before.clients().clone());
                self.protocol.output(clients, self.id, &output);
            }
        }
    }

    fn send(
        &mut self,
        to: NodeId,
        message: <P::Machine as Machine>::Message,
        own: &mut VecDeque<Event<P::Machine>>,
    ) {
        if to == self.id {
            own.push_back(Event::Receive {
                from: self.id,
                message,
            });
        } else {
            self.observer.sent(to, &message);
            self.sent.push((to, message));
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}
