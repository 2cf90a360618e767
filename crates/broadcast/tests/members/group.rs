//! Three members, their disks, a network that does as a random number says, and applications that remember
//! what they have seen. What happens is written down, for scripts.

use quorate_broadcast::{Broadcast, Command, Config, Ledger, Message, Output, Record, Timer};
use quorate_clocks::{Causality, VectorClock};
use quorate_machine::{Effects, Event, Gate, Machine, NodeId, Promise, TimerEffect};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(crate) const MEMBERS: usize = 3;

/// A message by sender and number.
type Name = (NodeId, u64);

/// What an application knows; it survives crashes of its node.
#[derive(Default)]
struct Application {
    /// By position, from 1.
    seen: Vec<Name>,
}

struct Member {
    config: Config,
    disk: Ledger<u64>,
    /// Absent while it is down.
    machine: Option<Broadcast<u64>>,
    gate: Gate<Broadcast<u64>>,
    unsynced: VecDeque<Vec<Record<u64>>>,
    timers: BTreeSet<Timer>,
    application: Application,
}

pub(crate) struct Group {
    members: Vec<Member>,
    network: Vec<(NodeId, NodeId, Message<u64>)>,
    commands: u64,
    /// What the sender's application had seen when it asked for this payload.
    causes: BTreeMap<u64, Vec<Name>>,
    payloads: BTreeMap<Name, u64>,
    clocks: BTreeMap<Name, VectorClock<NodeId>>,
    /// What was written, sent and told since it was last taken.
    pub(crate) happened: Vec<String>,
}

impl Group {
    pub(crate) fn new(batch: usize, window: usize) -> Self {
        let ids = (1..=MEMBERS as u32).map(NodeId);
        let members = ids.clone().map(|id| Member {
            config: Config {
                batch_messages: batch,
                window_messages: window,
                ..Config::new(id, ids.clone())
            },
            disk: Ledger::default(),
            machine: None,
            gate: Gate::new(),
            unsynced: VecDeque::new(),
            timers: BTreeSet::new(),
            application: Application::default(),
        });
        let mut group = Group {
            members: members.collect(),
            network: Vec::new(),
            commands: 0,
            causes: BTreeMap::new(),
            payloads: BTreeMap::new(),
            clocks: BTreeMap::new(),
            happened: Vec::new(),
        };
        (0..MEMBERS).for_each(|member| group.start(member));
        group
    }

    pub(crate) fn random_step(&mut self, choice: u32) {
        let member = choice as usize / 16 % MEMBERS;
        let rest = choice as usize / 64;
        match choice % 16 {
            0..=2 => {
                let first = self.commands * 8;
                self.broadcast(member, (first..=first + rest as u64 % 3).collect());
            }
            3..=7 => self.deliver(rest, false),
            8 => self.deliver(rest, true),
            9 if !self.network.is_empty() => {
                self.network.swap_remove(rest % self.network.len());
            }
            10 | 11 => self.fire(member, Timer::Flush),
            12 => self.fire(member, Timer::Repair),
            13 => self.sync(member),
            14 => self.consume(member, rest),
            _ if rest.is_multiple_of(4) => self.crash_or_start(member),
            _ => self.sync(member),
        }
    }

    /// Everybody is up, nothing is lost any more, and applications consume.
    pub(crate) fn heal(&mut self) {
        for member in 0..MEMBERS {
            if self.members[member].machine.is_none() {
                self.start(member);
            }
        }
        for _ in 0..200 {
            for member in 0..MEMBERS {
                self.fire(member, Timer::Repair);
            }
            while !self.network.is_empty() {
                self.deliver(0, false);
                for member in 0..MEMBERS {
                    self.fire(member, Timer::Flush);
                    self.sync(member);
                }
            }
            for member in 0..MEMBERS {
                self.sync(member);
                self.consume(member, usize::MAX);
            }
        }
    }

    /// What has not reached everybody.
    pub(crate) fn unsettled(&self) -> Vec<String> {
        let holds = |member: &Member| member.disk.holds().clone();
        let first = holds(&self.members[0]);
        let mut wrong = Vec::new();
        for member in &self.members {
            let id = member.config.id;
            if holds(member) != first {
                wrong.push(format!("{id} holds {:?}, not {first:?}", holds(member)));
            }
            if *member.disk.delivered() != first {
                wrong.push(format!("{id} has delivered {:?}", member.disk.delivered()));
            }
            let total: u64 = first.iter().map(|(_, count)| count).sum();
            if member.application.seen.len() as u64 != total {
                wrong.push(format!(
                    "{id} has told {} of {total}",
                    member.application.seen.len()
                ));
            }
        }
        wrong
    }

    /// How many messages the disk of a member keeps.
    pub(crate) fn kept(&self, member: usize) -> usize {
        let disk = &self.members[member].disk;
        let ids = self.members.iter().map(|member| member.config.id);
        ids.map(|id| disk.kept(id).0).sum()
    }

    /// One message happened before another if it was delivered to the other's sender before that one was
    /// broadcast: as its sender's own order has it, which is part of what is compared elsewhere.
    pub(crate) fn compare_clocks(&self) {
        for (one, clock) in &self.clocks {
            for (other, later) in &self.clocks {
                let before = |first: &Name, second: &Name| {
                    let sender = self.members.iter().find(|m| m.config.id == second.0);
                    let seen = sender.map(|member| &member.application.seen);
                    let place = |name| seen.and_then(|seen| seen.iter().position(|n| n == name));
                    place(first) < place(second)
                };
                let expected = match (before(one, other), before(other, one)) {
                    _ if one == other => Causality::Equal,
                    (true, true) => unreachable!("each before the other"),
                    (true, false) => Causality::Before,
                    (false, true) => Causality::After,
                    (false, false) => Causality::Concurrent,
                };
                assert_eq!(clock.compare(later), expected, "{one:?} and {other:?}");
            }
        }
    }

    pub(crate) fn broadcast(&mut self, member: usize, payloads: Vec<u64>) {
        let seen = self.members[member].application.seen.clone();
        for payload in &payloads {
            self.causes.insert(*payload, seen.clone());
        }
        let id = self.commands;
        self.commands += 1;
        self.step(member, Event::Command(Command::Broadcast { id, payloads }));
    }

    /// The place in the network of the oldest message between two members.
    pub(crate) fn oldest(&self, from: u32, to: u32) -> Option<usize> {
        let mut network = self.network.iter();
        network.position(|(a, b, _)| (a.0, b.0) == (from, to))
    }

    pub(crate) fn lose(&mut self, at: usize) {
        self.network.remove(at);
    }

    /// What the application of a member has seen, in words.
    pub(crate) fn seen(&self, member: usize) -> String {
        let seen = self.members[member].application.seen.iter();
        let seen: Vec<String> = seen
            .map(|(sender, number)| format!("{sender}#{number}"))
            .collect();
        seen.join(" ")
    }

    pub(crate) fn deliver(&mut self, at: usize, again: bool) {
        if self.network.is_empty() {
            return;
        }
        let at = at % self.network.len();
        let (from, to, message) = match again {
            true => self.network[at].clone(),
            false => self.network.remove(at),
        };
        let to = to.0 as usize - 1;
        self.step(to, Event::Receive { from, message });
    }

    pub(crate) fn fire(&mut self, member: usize, timer: Timer) {
        if self.members[member].timers.remove(&timer) {
            self.step(member, Event::Timeout(timer));
        }
    }

    pub(crate) fn consume(&mut self, member: usize, position: usize) {
        let seen = self.members[member].application.seen.len();
        let position = position.min(seen) as u64;
        self.step(member, Event::Command(Command::Consumed { position }));
    }

    fn step(&mut self, member: usize, event: Event<Broadcast<u64>>) {
        let this = &mut self.members[member];
        let Some(machine) = &mut this.machine else {
            return;
        };
        let before = machine.clone();
        let mut fx = Effects::new();
        machine.step(&this.config, event, &mut fx);
        quorate_broadcast::invariants::step(&before, machine).expect("nothing is taken back");
        self.settle(member, fx);
    }

    fn settle(&mut self, member: usize, mut fx: Effects<Broadcast<u64>>) {
        let this = &mut self.members[member];
        for timer in fx.drain_timers() {
            match timer {
                TimerEffect::Arm(timer, _) => this.timers.insert(timer),
                TimerEffect::Disarm(timer) => this.timers.remove(&timer),
            };
        }
        let records: Vec<_> = this.gate.absorb(&mut fx).collect();
        if !records.is_empty() {
            let written = records.iter().map(|record| format!("writes {record:?}"));
            self.happened.extend(written);
            this.unsynced.push_back(records);
        }
        self.release(member);
    }

    pub(crate) fn sync(&mut self, member: usize) {
        let this = &mut self.members[member];
        while let Some(records) = this.unsynced.pop_front() {
            for record in &records {
                Broadcast::apply(&mut this.disk, record);
            }
            this.gate.synced(records.len() as u64);
        }
        self.release(member);
    }

    fn release(&mut self, member: usize) {
        let from = self.members[member].config.id;
        while let Some(promise) = self.members[member].gate.release() {
            match promise {
                Promise::Send { to, message } => {
                    assert!(Broadcast::backed(to, &message, &self.members[member].disk));
                    self.happened.push(format!("to {to}: {message:?}"));
                    self.network.push((from, to, message));
                }
                Promise::Output(output) => {
                    self.happened.push(format!("tells {output:?}"));
                    self.told(member, output);
                }
            }
        }
    }

    /// The properties, as an application sees them.
    fn told(&mut self, member: usize, output: Output<u64>) {
        match output {
            Output::Delivered(delivery) => {
                for message in delivery.messages() {
                    let name = (message.sender, message.sequence);
                    let payload = *self.payloads.entry(name).or_insert(*message.payload);
                    assert_eq!(
                        payload, *message.payload,
                        "two messages have the number {name:?}"
                    );
                    self.clocks
                        .insert(name, delivery.clock_of(message.sequence));
                    self.delivered(member, message.position, name, payload);
                }
            }
            Output::Stable { sequence } => {
                let id = self.members[member].config.id;
                let disks = self.members.iter().map(|member| &member.disk);
                assert!(
                    disks
                        .into_iter()
                        .all(|disk| disk.holds().get(id) >= sequence)
                );
            }
            Output::Accepted { .. } | Output::Refused { .. } => {}
        }
    }

    fn delivered(&mut self, member: usize, position: u64, name: Name, payload: u64) {
        let seen = &mut self.members[member].application.seen;
        let at = position as usize - 1;
        if let Some(earlier) = seen.get(at) {
            return assert_eq!(*earlier, name, "delivered again, in the same order");
        }
        assert_eq!(at, seen.len(), "positions have no gaps");
        assert!(!seen.contains(&name), "{name:?} twice");
        let causes = &self.causes[&payload];
        assert!(
            causes.iter().all(|cause| seen.contains(cause)),
            "causes come first"
        );
        let earlier = (1..name.1).all(|number| seen.contains(&(name.0, number)));
        assert!(earlier, "in the order of the sender");
        seen.push(name);
    }

    pub(crate) fn crash_or_start(&mut self, member: usize) {
        let this = &mut self.members[member];
        if this.machine.is_none() {
            return self.start(member);
        }
        this.machine = None;
        this.gate = Gate::new();
        this.unsynced.clear();
        this.timers.clear();
    }

    fn start(&mut self, member: usize) {
        let this = &mut self.members[member];
        let mut fx = Effects::new();
        this.machine = Some(Broadcast::start(&this.config, &this.disk, &mut fx));
        self.settle(member, fx);
    }
}
