//! Small machines, each with one thing to get right or wrong, and a protocol to run any of them.

use quorate_machine::{Effects, Event, Machine, NodeId};
use quorate_model::{Bounds, Property, Protocol, Request, State};

/// Configuration of every toy.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) me: NodeId,
    pub(crate) all: Vec<NodeId>,
}

impl Group {
    fn others(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.all.iter().copied().filter(|id| *id != self.me)
    }
}

/// A machine, a script of commands that one client sends in order, and properties.
pub(crate) struct Toy<M: Machine<Config = Group>> {
    pub(crate) groups: Vec<Group>,
    pub(crate) ids: Vec<NodeId>,
    pub(crate) bounds: Bounds,
    pub(crate) script: Vec<(NodeId, M::Command)>,
    pub(crate) properties: fn() -> Vec<Property<Self>>,
}

/// A property of a toy.
pub(crate) type Of<M> = Property<Toy<M>>;

/// What the client has asked and was told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client<O> {
    pub(crate) asked: usize,
    pub(crate) told: Vec<(NodeId, O)>,
}

pub(crate) const N1: NodeId = NodeId(1);
pub(crate) const N2: NodeId = NodeId(2);

impl<M: Machine<Config = Group>> Toy<M> {
    pub(crate) fn new(nodes: u32) -> Self {
        let ids: Vec<_> = (1..=nodes).map(NodeId).collect();
        let group = |me: &NodeId| Group {
            me: *me,
            all: ids.clone(),
        };
        Toy {
            groups: ids.iter().map(group).collect(),
            bounds: Bounds {
                crashes: 0,
                duplications: 0,
                in_flight: 10,
                unsynced: 2,
                own: vec![],
            },
            script: vec![],
            properties: Vec::new,
            ids,
        }
    }

    pub(crate) fn crashes(mut self, crashes: u8) -> Self {
        self.bounds.crashes = crashes;
        self
    }

    pub(crate) fn duplications(mut self, duplications: u8) -> Self {
        self.bounds.duplications = duplications;
        self
    }

    pub(crate) fn in_flight(mut self, in_flight: usize) -> Self {
        self.bounds.in_flight = in_flight;
        self
    }

    pub(crate) fn script(mut self, script: Vec<(NodeId, M::Command)>) -> Self {
        self.script = script;
        self
    }

    pub(crate) fn properties(mut self, properties: fn() -> Vec<Property<Self>>) -> Self {
        self.properties = properties;
        self
    }
}

impl<M: Machine<Config = Group>> Protocol for Toy<M> {
    type Machine = M;
    type Clients = Client<M::Output>;

    fn name(&self) -> &str {
        "toy"
    }
    fn nodes(&self) -> &[NodeId] {
        &self.ids
    }
    fn config(&self, node: NodeId) -> &Group {
        &self.groups[node.0 as usize - 1]
    }
    fn bounds(&self) -> &Bounds {
        &self.bounds
    }
    fn clients(&self) -> Self::Clients {
        Client {
            asked: 0,
            told: vec![],
        }
    }
    fn requests(&self, state: &State<Self>, out: &mut Vec<Request<M>>) {
        let clients = state.clients();
        out.extend(
            self.script
                .get(clients.asked)
                .map(|(node, command)| Request {
                    client: 1,
                    node: *node,
                    command: command.clone(),
                }),
        );
    }
    fn requested(&self, clients: &mut Self::Clients, _: &Request<M>) {
        clients.asked += 1;
    }
    fn output(&self, clients: &mut Self::Clients, from: NodeId, output: &M::Output) {
        clients.told.push((from, output.clone()));
    }
    fn properties(&self) -> Vec<Property<Self>> {
        (self.properties)()
    }
}

/// The nth node's machine, if it runs.
pub(crate) fn machine<M: Machine<Config = Group>>(state: &State<Toy<M>>, id: NodeId) -> Option<&M> {
    state.nodes().nth(id.0 as usize - 1)?.machine()
}

/// Arms one timer at its start and never does anything again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Alarm;

impl Machine for Alarm {
    type Config = Group;
    type Command = ();
    type Message = ();
    type Timer = ();
    type Record = ();
    type Durable = ();
    type Output = ();

    fn apply(_: &mut (), _: &()) {}
    fn start(_: &Group, _: &(), fx: &mut Effects<Self>) -> Self {
        fx.arm((), 1..=1);
        Alarm
    }
    fn step(&mut self, _: &Group, _: Event<Self>, _: &mut Effects<Self>) {}
    fn backed(_: NodeId, _: &(), _: &()) -> bool {
        true
    }
}

/// Does nothing, ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Inert;

impl Machine for Inert {
    type Config = Group;
    type Command = ();
    type Message = ();
    type Timer = ();
    type Record = ();
    type Durable = ();
    type Output = ();

    fn apply(_: &mut (), _: &()) {}
    fn start(_: &Group, _: &(), _: &mut Effects<Self>) -> Self {
        Inert
    }
    fn step(&mut self, _: &Group, _: Event<Self>, _: &mut Effects<Self>) {}
    fn backed(_: NodeId, _: &(), _: &()) -> bool {
        true
    }
}

/// The first node greets every other at its start; they count greetings unless they are deaf.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Greeter<const DEAF: bool> {
    pub(crate) greeted: u8,
}

impl<const DEAF: bool> Machine for Greeter<DEAF> {
    type Config = Group;
    type Command = ();
    type Message = ();
    type Timer = ();
    type Record = ();
    type Durable = ();
    type Output = ();

    fn apply(_: &mut (), _: &()) {}
    fn start(group: &Group, _: &(), fx: &mut Effects<Self>) -> Self {
        if group.me == N1 {
            group.others().for_each(|other| fx.send(other, ()));
        }
        Greeter { greeted: 0 }
    }
    fn step(&mut self, _: &Group, event: Event<Self>, _: &mut Effects<Self>) {
        if matches!(event, Event::Receive { .. }) && !DEAF {
            self.greeted += 1;
        }
    }
    fn backed(_: NodeId, _: &(), _: &()) -> bool {
        true
    }
}

/// Calls the first node when its timer fires; nobody answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Caller;

impl Machine for Caller {
    type Config = Group;
    type Command = ();
    type Message = ();
    type Timer = ();
    type Record = ();
    type Durable = ();
    type Output = ();

    fn apply(_: &mut (), _: &()) {}
    fn start(group: &Group, _: &(), fx: &mut Effects<Self>) -> Self {
        if group.me != N1 {
            fx.arm((), 1..=1);
        }
        Caller
    }
    fn step(&mut self, _: &Group, event: Event<Self>, fx: &mut Effects<Self>) {
        if matches!(event, Event::Timeout(())) {
            fx.send(N1, ());
        }
    }
    fn backed(_: NodeId, _: &(), _: &()) -> bool {
        true
    }
}

/// Stores what it is told, tells itself and the others, and answers. An eager one tells the others
/// before its disk has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Register<const EAGER: bool> {
    pub(crate) value: u8,
    /// What its own message says is on its disk.
    pub(crate) durable: u8,
}

impl<const EAGER: bool> Machine for Register<EAGER> {
    type Config = Group;
    type Command = u8;
    type Message = u8;
    type Timer = ();
    type Record = u8;
    type Durable = u8;
    type Output = u8;

    fn apply(durable: &mut u8, record: &u8) {
        *durable = *record;
    }
    fn start(_: &Group, durable: &u8, _: &mut Effects<Self>) -> Self {
        Register {
            value: *durable,
            durable: *durable,
        }
    }
    fn step(&mut self, group: &Group, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Command(value) if value > self.value => {
                self.value = value;
                fx.persist(value);
                fx.send(group.me, value);
                for other in group.others() {
                    if EAGER {
                        fx.send_before_sync(other, value);
                    } else {
                        fx.send(other, value);
                    }
                }
                fx.output(value);
            }
            Event::Receive { from, message } if from == group.me => self.durable = message,
            Event::Receive { message, .. } if message > self.value => {
                self.value = message;
                fx.persist(message);
                fx.send(group.me, message);
            }
            _ => {}
        }
    }
    fn backed(_: NodeId, message: &u8, sender: &u8) -> bool {
        sender >= message
    }
}

/// A primary (the first node) and a backup, which takes over when its timer fires. A hasty primary
/// answers before the backup has the value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PrimaryBackup<const HASTY: bool> {
    pub(crate) value: u8,
    pub(crate) took_over: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Copy {
    Replicate { value: u8 },
    Stored { value: u8 },
}

impl<const HASTY: bool> Machine for PrimaryBackup<HASTY> {
    type Config = Group;
    type Command = u8;
    type Message = Copy;
    type Timer = ();
    type Record = u8;
    type Durable = u8;
    type Output = u8;

    fn apply(durable: &mut u8, record: &u8) {
        *durable = *record;
    }
    fn start(group: &Group, durable: &u8, fx: &mut Effects<Self>) -> Self {
        if group.me == N2 {
            fx.arm((), 10..=20);
        }
        PrimaryBackup {
            value: *durable,
            took_over: false,
        }
    }
    fn step(&mut self, group: &Group, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Command(value) if group.me == N1 => {
                self.value = value;
                fx.persist(value);
                fx.send(N2, Copy::Replicate { value });
                if HASTY {
                    fx.output(value);
                }
            }
            Event::Receive {
                message: Copy::Replicate { value },
                ..
            } if !self.took_over && value > self.value => {
                self.value = value;
                fx.persist(value);
                fx.send(N1, Copy::Stored { value });
            }
            Event::Receive {
                message: Copy::Stored { value },
                ..
            } if !HASTY => fx.output(value),
            Event::Timeout(()) => self.took_over = true,
            _ => {}
        }
    }
    fn backed(_: NodeId, message: &Copy, sender: &u8) -> bool {
        match message {
            Copy::Replicate { value } | Copy::Stored { value } => sender >= value,
        }
    }
}

/// Breaks the rules on command: `true` panics, `false` sends itself messages for ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Unruly;

impl Machine for Unruly {
    type Config = Group;
    type Command = bool;
    type Message = ();
    type Timer = ();
    type Record = ();
    type Durable = ();
    type Output = ();

    fn apply(_: &mut (), _: &()) {}
    fn start(_: &Group, _: &(), _: &mut Effects<Self>) -> Self {
        Unruly
    }
    fn step(&mut self, group: &Group, event: Event<Self>, fx: &mut Effects<Self>) {
        assert!(event != Event::Command(true), "unruly");
        fx.send(group.me, ());
    }
    fn backed(_: NodeId, _: &(), _: &()) -> bool {
        true
    }
}

/// Counts its timer without end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Endless(pub(crate) u64);

impl Machine for Endless {
    type Config = Group;
    type Command = ();
    type Message = ();
    type Timer = ();
    type Record = ();
    type Durable = ();
    type Output = ();

    fn apply(_: &mut (), _: &()) {}
    fn start(_: &Group, _: &(), fx: &mut Effects<Self>) -> Self {
        fx.arm((), 1..=1);
        Endless(0)
    }
    fn step(&mut self, _: &Group, _: Event<Self>, fx: &mut Effects<Self>) {
        self.0 += 1;
        fx.arm((), 1..=1);
    }
    fn backed(_: NodeId, _: &(), _: &()) -> bool {
        true
    }
}
