//! Causal broadcast, simulated: members, their disks, and applications that broadcast, answer and consume.
//!
//! An application outlives crashes of its member. It remembers what it was told by position, broadcasts
//! several messages at once now and then, and consumes what it was told after a while, so that windows fill and
//! members deliver again. What had to come first is known from what the sender's application had been told when it
//! asked; no clock is believed.

use crate::subject::{Happened, Subject, View, Violation, Wake};
use crate::{Random, Time};
use quorate_broadcast::{Broadcast, Command, Config, Delivery, Ledger, Output, invariants};
use quorate_machine::NodeId;
use std::collections::BTreeMap;

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// Nothing.
    None,
    /// A member finds an empty disk now and then, and gives its numbers again.
    Amnesia,
}

/// A message by sender and number.
type Name = (NodeId, u64);

/// A group and its applications in one run.
pub struct BroadcastGroup {
    nodes: Vec<NodeId>,
    configs: Vec<Config>,
    applications: Vec<Application>,
    think: Time,
    canary: Canary,
    calm: bool,
    /// What its sender's application had been told when it asked for this payload: of each member, how many.
    causes: BTreeMap<u64, BTreeMap<NodeId, u64>>,
    payloads: BTreeMap<Name, u64>,
    before: Vec<Option<Broadcast<u64>>>,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    commands: u64,
    refused: u64,
    again: u64,
    stable: u64,
    pending: u64,
}

/// The application at one member.
#[derive(Clone, Debug, Default)]
struct Application {
    /// What it has yet to broadcast.
    left: u64,
    /// What it was told, by position.
    told: Vec<Name>,
    /// How many messages of each member.
    known: BTreeMap<NodeId, u64>,
    consumed: u64,
    /// What was accepted from it: the last number.
    accepted: u64,
}

impl BroadcastGroup {
    /// A group that is drawn.
    pub fn drawn(random: &mut Random, canary: Canary) -> Self {
        let size = random.within(2..=5) as u32;
        let nodes: Vec<NodeId> = (1..=size).map(NodeId).collect();
        let batch = random.within(1..=8) as usize;
        let window = batch + random.within(0..=24) as usize;
        let repair_ticks = random.within(5..=40) as u32;
        let configs = nodes.iter().map(|id| Config {
            repair_ticks,
            batch_messages: batch,
            window_messages: window,
            ..Config::new(*id, nodes.iter().copied())
        });
        let applications = nodes.iter().map(|_| Application {
            left: random.within(0..=40),
            ..Application::default()
        });
        BroadcastGroup {
            configs: configs.collect(),
            applications: applications.collect(),
            think: Time::millis(random.within(5..=300)),
            canary,
            calm: false,
            causes: BTreeMap::new(),
            payloads: BTreeMap::new(),
            before: vec![None; nodes.len()],
            counts: Counts::default(),
            nodes,
        }
    }

    fn delivered(&mut self, node: usize, delivery: &Delivery<u64>) -> Result<(), Violation> {
        for message in delivery.messages() {
            let name = (message.sender, message.sequence);
            let named = *self.payloads.entry(name).or_insert(*message.payload);
            Violation::unless(named == *message.payload, "a number is given once", || {
                format!("{name:?} is {named} and {}", message.payload)
            })?;
            let causes = self.causes.get(message.payload);
            let causes = causes.ok_or_else(|| {
                Violation::new("only what was broadcast is delivered", format!("{name:?}"))
            })?;
            let application = &mut self.applications[node];
            let at = message.position.saturating_sub(1) as usize;
            if let Some(earlier) = application.told.get(at) {
                self.counts.again += 1;
                Violation::unless(
                    *earlier == name,
                    "delivered again in the same order",
                    || format!("{earlier:?} and {name:?} at {}", message.position),
                )?;
                continue;
            }
            let next = at == application.told.len();
            Violation::unless(next, "delivered again in the same order", || {
                format!(
                    "{name:?} at {} after {}",
                    message.position,
                    application.told.len()
                )
            })?;
            let known = application.known.entry(message.sender).or_default();
            Violation::unless(
                message.sequence > *known,
                "no message is delivered twice",
                || format!("{name:?} after {known}"),
            )?;
            Violation::unless(
                message.sequence == *known + 1,
                "messages of a sender are delivered in order",
                || format!("{name:?} after {known}"),
            )?;
            *known = message.sequence;
            let known = &application.known;
            let mut causes = causes.iter();
            let missing = causes.find(|(member, number)| known.get(member) < Some(number));
            Violation::unless(missing.is_none(), "causes are delivered first", || {
                format!("{name:?} before {missing:?}")
            })?;
            application.told.push(name);
        }
        Ok(())
    }

    /// Whoever has a message can supply it to whoever lacks it; nobody takes for held by all what is not.
    fn kept(&self, view: View<'_, Broadcast<u64>>) -> Result<(), Violation> {
        let disks: Vec<(NodeId, &Ledger<u64>)> =
            self.nodes.iter().copied().zip(view.disks()).collect();
        for (id, disk) in &disks {
            let held = invariants::floor_is_held(*id, disk.floor(), disks.iter().copied());
            Violation::unless(held, "collected means held by all", || {
                format!("{id} has {:?}", disk.floor())
            })?;
            for (sender, number) in disk.holds().iter() {
                let least = disks
                    .iter()
                    .map(|(_, other)| other.holds().get(sender))
                    .min();
                let least = least.unwrap_or(number);
                let mut kept = disk.kept_after(sender, least);
                let keeps = least >= number || kept.next().is_some_and(|b| b.first == least + 1);
                let property = "whoever has a message keeps it until all have it";
                Violation::unless(keeps, property, || format!("{id}, {sender} after {least}"))?;
            }
            for sender in &self.nodes {
                let same = disks
                    .iter()
                    .all(|(_, other)| invariants::same_messages(*sender, disk, other));
                Violation::unless(same, "members hold the same messages", || {
                    format!("{id}, {sender}")
                })?;
            }
        }
        Ok(())
    }
}

impl Subject for BroadcastGroup {
    type Machine = Broadcast<u64>;

    fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    fn config(&self, node: usize) -> &Config {
        &self.configs[node]
    }

    fn clients(&self) -> usize {
        self.applications.len()
    }

    fn wake(&mut self, client: usize, _: Time, random: &mut Random) -> Wake<Broadcast<u64>> {
        let batch = self.configs[client].batch_messages as u64;
        let application = &mut self.applications[client];
        let told = application.told.len() as u64;
        let consumes = told > application.consumed && (self.calm || random.percent(40));
        let command = if consumes {
            // What is consumed need not be on disk when its member crashes: said again below.
            let position = told - random.below(if self.calm { 1 } else { 3.min(told) });
            application.consumed = position;
            Some(Command::Consumed { position })
        } else if application.left > 0 {
            let count = random.within(1..=application.left.min(batch));
            let first = self.counts.commands * 100;
            let payloads: Vec<u64> = (first..first + count).collect();
            self.counts.commands += 1;
            for payload in &payloads {
                self.causes.insert(*payload, application.known.clone());
            }
            application.left -= count;
            Some(Command::Broadcast {
                id: count,
                payloads,
            })
        } else {
            // An application says now and then how far it is.
            let position = application.consumed;
            Some(Command::Consumed { position })
        };
        let think = if self.calm {
            Time::millis(20)
        } else {
            self.think
        };
        Wake {
            ask: command.map(|command| (client, command)),
            again: Some(Time(1 + random.below(2 * think.0))),
        }
    }

    fn told(&mut self, node: usize, _: Time, output: &Output<u64>) -> Result<(), Violation> {
        match output {
            Output::Accepted { id, first } => {
                self.applications[node].accepted = first + id - 1;
                Ok(())
            }
            Output::Refused { id, .. } => {
                self.counts.refused += 1;
                if !self.calm {
                    self.applications[node].left += id;
                }
                Ok(())
            }
            Output::Stable { .. } => {
                self.counts.stable += 1;
                Ok(())
            }
            Output::Delivered(delivery) => self.delivered(node, delivery),
        }
    }

    fn check(
        &mut self,
        view: View<'_, Broadcast<u64>>,
        node: usize,
        what: Happened,
    ) -> Result<(), Violation> {
        let machine = view.machine(node);
        if let (Some(before), Some(after)) = (&self.before[node], machine) {
            let step = invariants::step(before, after);
            let step = step.and_then(|()| invariants::node(&self.configs[node], after));
            step.map_err(|reason| Violation::new(reason, format!("{what:?}")))?;
            let mut senders = self.nodes.iter();
            let waits = senders.any(|sender| after.ledger().pending(*sender) > 0);
            self.counts.pending += u64::from(waits);
        }
        self.before[node] = machine.cloned();
        if what == Happened::Synced {
            let id = self.nodes[node];
            let accepted = self.applications[node].accepted;
            let durable = view.durable(node).map(|disk| disk.holds().get(id));
            let property = "what is known is on its sender's disk";
            Violation::unless(durable >= Some(accepted), property, || {
                format!("{accepted}")
            })?;
            self.kept(view)?;
        }
        Ok(())
    }

    fn calm(&mut self, _: Time) {
        self.calm = true;
    }

    /// A window takes some repairs, each a few ticks and round trips; there are some forty messages a member.
    fn patience(&self) -> Time {
        let repair = u64::from(self.configs[0].repair_ticks);
        Time::seconds(60) + Time(400 * repair * self.tick().0)
    }

    fn settled(&self, view: View<'_, Broadcast<u64>>) -> Result<(), String> {
        let mut disks = view.disks();
        let Some(first) = disks.next() else {
            return Err("there are no disks".to_owned());
        };
        if !disks.all(|disk| disk.holds() == first.holds()) {
            return Err("members hold different messages".to_owned());
        }
        if self
            .applications
            .iter()
            .any(|application| application.left > 0)
        {
            return Err("messages are left to broadcast".to_owned());
        }
        let total: u64 = first.holds().iter().map(|(_, number)| number).sum();
        for (id, application) in self.nodes.iter().zip(&self.applications) {
            if application.told.len() as u64 != total {
                return Err(format!(
                    "{id} was told {} of {total}",
                    application.told.len()
                ));
            }
        }
        Ok(())
    }

    fn coverage(&self) -> Vec<(&'static str, u64)> {
        let told = self
            .applications
            .iter()
            .map(|application| application.told.len() as u64);
        vec![
            ("messages broadcast", self.payloads.len() as u64),
            ("messages delivered", told.sum()),
            ("delivered again", self.counts.again),
            ("broadcasts refused", self.counts.refused),
            ("times held by all", self.counts.stable),
            ("steps with something pending", self.counts.pending),
        ]
    }

    fn recovered(&self, durable: Ledger<u64>) -> Ledger<u64> {
        match self.canary {
            Canary::None => durable,
            Canary::Amnesia => Ledger::default(),
        }
    }
}
