//! Causal broadcast in Rust, held against `MCBroadcast.tla`.
//!
//! The specification has the grain of the machine, so the abstraction forgets little: timers, which follow from
//! the rest of a member's state; what a pending batch waits for, which follows from its causes; and of what the
//! application is told all but deliveries. A clock of the specification is total, one of Rust leaves zeros out.
//!
//! The ghosts `told` and `asked` are history: what was released to applications, gathered beside the run.

use crate::bounds::{Constants, constants};
use crate::{BoundsError, Move, Subject, Value};
use quorate_broadcast::{
    Batch, Broadcast, Clock, Command, Config, Delivery, Ledger, Message, Output, Record, Timer,
};
use quorate_machine::{NodeId, Promise};
use quorate_model::{Action, Property, Protocol, Request, State, System, Up};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What `MCBroadcast.tla` declares, by the same names.
#[derive(Clone, Debug)]
pub struct Bounds {
    members: u32,
    batch_messages: usize,
    window_messages: usize,
    senders: Vec<u32>,
    max_broadcasts: usize,
    replies: bool,
    consumers: Vec<u32>,
    max_repairs: u8,
    max_crashes: u8,
    max_unsynced: usize,
    lossy: Vec<u32>,
}

impl Bounds {
    /// The bounds in the text of a `.cfg`.
    ///
    /// # Errors
    ///
    /// If a bound is missing, or the text replaces definitions.
    pub fn parse(text: &str) -> Result<Self, BoundsError> {
        let (constants, replaced) = constants(text)?;
        if let Some((name, by)) = replaced.into_iter().next() {
            return Err(BoundsError::Replaced(name, by));
        }
        let read = Constants(constants);
        Ok(Bounds {
            members: read.number("N")?,
            batch_messages: read.number("BatchMessages")?,
            window_messages: read.number("WindowMessages")?,
            senders: members(&read, "Senders")?,
            max_broadcasts: read.number("MaxBroadcasts")?,
            replies: read.flag("Replies")?,
            consumers: members(&read, "Consumers")?,
            max_repairs: read.number("MaxRepairs")?,
            max_crashes: read.number("MaxCrashes")?,
            max_unsynced: read.number("MaxUnsynced")?,
            lossy: members(&read, "Lossy")?,
        })
    }
}

fn members(read: &Constants, name: &'static str) -> Result<Vec<u32>, BoundsError> {
    let text = read.text(name)?;
    let wrong = || BoundsError::Value(name, text.to_owned());
    let inner = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let words = inner.ok_or_else(wrong)?.split(',').map(str::trim);
    let words = words.filter(|word| !word.is_empty());
    words
        .map(|word| word.parse().map_err(|_| wrong()))
        .collect()
}

/// The members, and nothing else: what may happen is decided by [`BroadcastSubject`].
pub struct Members {
    nodes: Vec<NodeId>,
    configs: Vec<Config>,
    bounds: quorate_model::Bounds,
}

impl Members {
    fn new(bounds: &Bounds) -> Self {
        let nodes: Vec<NodeId> = (1..=bounds.members).map(NodeId).collect();
        let config = |id: &NodeId| Config {
            batch_messages: bounds.batch_messages,
            window_messages: bounds.window_messages,
            ..Config::new(*id, nodes.iter().copied())
        };
        Members {
            configs: nodes.iter().map(config).collect(),
            nodes,
            bounds: quorate_model::Bounds {
                crashes: bounds.max_crashes,
                // Every delivery is one; no path comes near.
                duplications: u8::MAX,
                in_flight: usize::MAX,
                unsynced: bounds.max_unsynced,
                own: Vec::new(),
            },
        }
    }
}

impl Protocol for Members {
    type Machine = Broadcast<u8>;
    /// What was released to applications, oldest first.
    type Clients = Vec<(NodeId, Output<u8>)>;

    fn name(&self) -> &str {
        "broadcast"
    }

    fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    fn config(&self, node: NodeId) -> &Config {
        &self.configs[node.0 as usize - 1]
    }

    fn bounds(&self) -> &quorate_model::Bounds {
        &self.bounds
    }

    fn clients(&self) -> Self::Clients {
        Vec::new()
    }

    fn requests(&self, _: &State<Self>, _: &mut Vec<Request<Broadcast<u8>>>) {}

    fn requested(&self, _: &mut Self::Clients, _: &Request<Broadcast<u8>>) {}

    fn output(&self, clients: &mut Self::Clients, from: NodeId, output: &Output<u8>) {
        clients.push((from, output.clone()));
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Vec::new()
    }
}

/// A message that an application was told: position, sender, number, payload.
type Told = (u64, NodeId, u64, u8);

/// What has happened: the specification's ghosts, for each member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct History {
    told: Vec<BTreeSet<Told>>,
    /// For each of its broadcasts, the messages that it had been told, by sender and payload.
    asked: Vec<Vec<BTreeSet<(NodeId, u8)>>>,
    repairs: u8,
}

/// Causal broadcast, to be compared with `MCBroadcast.tla`.
pub struct BroadcastSubject {
    bounds: Bounds,
    system: System<Members>,
}

impl BroadcastSubject {
    /// Causal broadcast within these bounds.
    pub fn new(bounds: Bounds) -> Self {
        BroadcastSubject {
            system: System::new(Arc::new(Members::new(&bounds))),
            bounds,
        }
    }

    /// The specification's name of what happens; `None` if it is out of bounds.
    fn name(&self, history: &History, action: &Action<Broadcast<u8>>) -> Option<&'static str> {
        match action {
            Action::Duplicate(envelope) => {
                let news = !envelope.message.batches().is_empty();
                let update = matches!(envelope.message, Message::Update { .. });
                let lost = self.bounds.lossy.contains(&envelope.to.0) && update && news;
                (!lost).then(|| receives(&envelope.message))
            }
            // The same without the message afterwards.
            Action::Deliver(_) | Action::Lose(_) => None,
            Action::Timeout(_, Timer::Flush) => Some("Flushes"),
            Action::Timeout(_, Timer::Repair) => {
                (history.repairs < self.bounds.max_repairs).then_some("Repairs")
            }
            Action::Sync(_) => Some("Syncs"),
            Action::Crash(_) => Some("Crashes"),
            Action::Recover(_) => Some("Recovers"),
            Action::Request(request) => Some(match request.command {
                Command::Broadcast { .. } => "Submits",
                Command::Consumed { .. } => "Consuming",
            }),
        }
    }

    /// What the application of a member may ask.
    fn commands(
        &self,
        slot: usize,
        machine: &Broadcast<u8>,
        history: &History,
    ) -> Vec<Command<u8>> {
        let id = slot as u32 + 1;
        let bounds = &self.bounds;
        let asked = history.asked[slot].len();
        let waiting = machine.ledger().kept(NodeId(id)).0 + machine.gathered();
        let submits = bounds.senders.contains(&id)
            && asked < bounds.max_broadcasts
            && waiting < bounds.window_messages
            && (id == 1 || !bounds.replies || !history.told[slot].is_empty());
        let payload = u8::try_from(asked + 1).unwrap_or(u8::MAX);
        let submit = submits.then(|| Command::Broadcast {
            id: u64::from(payload),
            payloads: vec![payload],
        });
        let position = history.told[slot].len() as u64;
        let mut ledger = machine.ledger().clone();
        ledger.consume(position);
        let consumes = bounds.consumers.contains(&id);
        let news = ledger.consumed() > machine.ledger().consumed();
        let consume = (consumes && news).then_some(Command::Consumed { position });
        submit.into_iter().chain(consume).collect()
    }

    fn each(&self, value: impl Fn(NodeId) -> Value) -> Value {
        let members = (1..=self.bounds.members).map(NodeId);
        Value::sequence(members.map(value))
    }

    fn clock(&self, clock: &Clock) -> Value {
        self.each(|member| Value::number(clock.get(member)))
    }

    fn batch(&self, batch: &Batch<u8>) -> Value {
        let payloads = batch.payloads.iter();
        Value::record([
            ("sender", Value::number(batch.sender.0.into())),
            ("first", Value::number(batch.first)),
            ("after", self.clock(&batch.after)),
            (
                "payloads",
                Value::sequence(payloads.map(|p| Value::number((*p).into()))),
            ),
        ])
    }

    fn batches<'a>(&self, batches: impl IntoIterator<Item = &'a Arc<Batch<u8>>>) -> Value {
        Value::sequence(batches.into_iter().map(|batch| self.batch(batch)))
    }

    fn delivery(&self, delivery: &Delivery<u8>) -> Value {
        Value::record([
            ("position", Value::number(delivery.position)),
            ("clock", self.clock(&delivery.clock)),
            ("batch", self.batch(&delivery.batch)),
        ])
    }

    fn ledger(&self, ledger: &Ledger<u8>) -> Value {
        let unconsumed = ledger.unconsumed().map(|delivery| self.delivery(delivery));
        Value::record([
            ("holds", self.clock(ledger.holds())),
            ("delivered", self.clock(ledger.delivered())),
            ("consumed", self.clock(ledger.consumed_of_each())),
            ("floor", self.clock(ledger.floor())),
            (
                "kept",
                self.each(|sender| self.batches(ledger.kept_after(sender, 0))),
            ),
            (
                "pending",
                self.each(|sender| Value::number(ledger.pending(sender) as u64)),
            ),
            (
                "causes",
                self.each(|sender| self.clock(&ledger.causes(sender))),
            ),
            ("position", Value::number(ledger.position())),
            ("unconsumed", Value::sequence(unconsumed)),
        ])
    }

    fn machine(&self, machine: &Broadcast<u8>) -> Value {
        let rows = machine.rows().iter().map(|row| self.clock(row));
        let outbox = machine
            .outbox()
            .map(|payload| Value::number((*payload).into()));
        Value::record([
            ("up", true.into()),
            ("ledger", self.ledger(machine.ledger())),
            ("rows", Value::sequence(rows)),
            ("outbox", Value::sequence(outbox)),
            ("untold", machine.is_untold().into()),
            ("asking", machine.is_asking().into()),
            ("unrecorded", machine.is_unrecorded().into()),
        ])
    }

    fn record(&self, record: &Record<u8>) -> Value {
        Value::record([
            ("batches", self.batches(&record.batches)),
            ("floor", self.clock(&record.floor)),
            ("consumed", Value::number(record.consumed)),
        ])
    }

    fn message(&self, from: NodeId, to: NodeId, message: &Message<u8>) -> Value {
        let kind = match message {
            Message::Update { .. } => "Update",
            Message::Offer { .. } => "Offer",
            Message::Ask { .. } => "Ask",
            Message::Supply { .. } => "Supply",
        };
        Value::record([
            ("kind", Value::string(kind)),
            ("from", Value::number(from.0.into())),
            ("to", Value::number(to.0.into())),
            ("holds", self.clock(message.holds())),
            ("batches", self.batches(message.batches())),
        ])
    }

    /// The gate's promises, grouped by how many records they wait for.
    fn promised(&self, node: NodeId, up: &Up<Broadcast<u8>>) -> Value {
        // A gate does not say what a promise waits for, but lets go of it as soon as that is durable.
        let mut gate = up.gate.clone();
        let mut promises = Vec::new();
        for (needs, records) in
            (0..).zip(std::iter::once(0).chain(up.unsynced.iter().map(Vec::len)))
        {
            gate.synced(records as u64);
            let (mut messages, mut tells) = (BTreeSet::new(), BTreeSet::new());
            while let Some(promise) = gate.release() {
                match promise {
                    Promise::Send { to, message } => {
                        messages.insert(self.message(node, to, &message));
                    }
                    Promise::Output(Output::Delivered(delivery)) => {
                        tells.insert(self.delivery(&delivery));
                    }
                    Promise::Output(_) => {}
                }
            }
            if !messages.is_empty() || !tells.is_empty() {
                promises.push(Value::record([
                    ("needs", Value::number(needs)),
                    ("messages", Value::Set(messages)),
                    ("tells", Value::Set(tells)),
                ]));
            }
        }
        Value::sequence(promises)
    }

    fn ghosts(&self, state: &State<Members>, history: &History) -> [(&'static str, Value); 3] {
        let told = |told: &Told| {
            let (position, sender, number, payload) = *told;
            Value::record([
                ("position", Value::number(position)),
                ("sender", Value::number(sender.0.into())),
                ("number", Value::number(number)),
                ("payload", Value::number(payload.into())),
            ])
        };
        let what = |(sender, payload): &(NodeId, u8)| {
            Value::record([
                ("sender", Value::number(sender.0.into())),
                ("payload", Value::number((*payload).into())),
            ])
        };
        let asked = |causes: &Vec<BTreeSet<(NodeId, u8)>>| {
            let causes = causes.iter();
            Value::sequence(causes.map(|causes| Value::set(causes.iter().map(what))))
        };
        let each = history.told.iter();
        let told = each.map(|each| Value::set(each.iter().map(told)));
        let spent = [
            ("repairs", history.repairs),
            ("crashes", state.spent().crashes),
        ];
        let spent = spent.map(|(what, times)| (what, Value::number(times.into())));
        [
            ("told", Value::sequence(told)),
            ("asked", Value::sequence(history.asked.iter().map(asked))),
            ("spent", Value::record(spent)),
        ]
    }
}

fn receives(message: &Message<u8>) -> &'static str {
    match message {
        Message::Update { .. } => "ReceivesUpdate",
        Message::Offer { .. } => "ReceivesOffer",
        Message::Ask { .. } => "ReceivesAsk",
        Message::Supply { .. } => "ReceivesSupply",
    }
}

impl Subject for BroadcastSubject {
    type Protocol = Members;
    type History = History;
    type Error = Infallible;

    fn system(&self) -> &System<Members> {
        &self.system
    }

    fn history(&self) -> History {
        let members = self.bounds.members as usize;
        History {
            told: vec![BTreeSet::new(); members],
            asked: vec![Vec::new(); members],
            repairs: 0,
        }
    }

    fn actions(&self, state: &State<Members>, history: &History, out: &mut Vec<Move<Members>>) {
        let mut actions = Vec::new();
        stateright::Model::actions(&self.system, state, &mut actions);
        let members = self.system.protocol().nodes.iter().zip(state.nodes());
        for (slot, (node, member)) in members.enumerate() {
            let machine = member.machine().into_iter();
            let commands = machine.flat_map(|machine| self.commands(slot, machine, history));
            actions.extend(commands.map(|command| {
                Action::Request(Request {
                    client: 0,
                    node: *node,
                    command,
                })
            }));
        }
        out.extend(actions.into_iter().filter_map(|action| {
            let name = self.name(history, &action)?;
            Some(Move { action, name })
        }));
    }

    fn identify(&self, state: &State<Members>, history: &History, hasher: &mut impl Hasher) {
        for (id, node) in self.system.protocol().nodes.iter().zip(state.nodes()) {
            node.durable().hash(hasher);
            let Some(up) = node.up() else {
                false.hash(hasher);
                continue;
            };
            (true, &up.machine, &up.unsynced, &up.timers).hash(hasher);
            // Promises for the same step leave together, into a network that is a set: their order and number
            // make no difference. What is told is in the history once it is released.
            self.promised(*id, up).hash(hasher);
        }
        let network = state.network();
        network.len().hash(hasher);
        network.for_each(|envelope| envelope.hash(hasher));
        (state.spent().crashes, history).hash(hasher);
    }

    fn follow(
        &self,
        before: &State<Members>,
        history: &History,
        step: &Move<Members>,
        after: &State<Members>,
    ) -> History {
        let mut history = history.clone();
        history.repairs += u8::from(step.name == "Repairs");
        if let Action::Request(request) = &step.action
            && step.name == "Submits"
        {
            let slot = request.node.0 as usize - 1;
            let told = history.told[slot].iter();
            let causes = told
                .map(|(_, sender, _, payload)| (*sender, *payload))
                .collect();
            history.asked[slot].push(causes);
        }
        for (node, output) in &after.clients()[before.clients().len()..] {
            if let Output::Delivered(delivery) = output {
                let told = delivery.messages().map(|message| {
                    (
                        message.position,
                        message.sender,
                        message.sequence,
                        *message.payload,
                    )
                });
                history.told[node.0 as usize - 1].extend(told);
            }
        }
        history
    }

    fn abstraction(&self, state: &State<Members>, history: &History) -> Result<Value, Infallible> {
        let (mut nodes, mut disks, mut unsynced, mut promised) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (id, node) in self.system.protocol().nodes.iter().zip(state.nodes()) {
            disks.push(self.ledger(node.durable()));
            let up = node.up();
            let machine = up.map(|up| self.machine(&up.machine));
            nodes.push(machine.unwrap_or_else(|| Value::record([("up", false.into())])));
            let records = up.into_iter().flat_map(|up| up.unsynced.iter().flatten());
            unsynced.push(Value::sequence(records.map(|record| self.record(record))));
            let promises = up.map(|up| self.promised(*id, up));
            promised.push(promises.unwrap_or_else(|| Value::sequence([])));
        }
        let net = state
            .network()
            .map(|sent| self.message(sent.from, sent.to, &sent.message));
        let variables = [
            ("node", Value::sequence(nodes)),
            ("disk", Value::sequence(disks)),
            ("unsynced", Value::sequence(unsynced)),
            ("promised", Value::sequence(promised)),
            ("net", Value::set(net)),
        ];
        Ok(Value::record(
            variables.into_iter().chain(self.ghosts(state, history)),
        ))
    }
}
