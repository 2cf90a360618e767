//! The simulated world: a queue of events in virtual time, and what each of them does.
//!
//! A node works in turns, by the rules of the production driver: it learns what has become durable, takes
//! the events before it, fires the timers that are due, then its messages to itself and timers of zero
//! ticks, hands its records to the disk, and lets go what is due. All effects pass through the same
//! [`Gate`](quorate_machine::Gate).

use crate::fault::{Fault, Injected};
use crate::journal::Journal;
use crate::node::{Disk, INBOX_MAX, Node, UNSYNCED_MAX, Up};
use crate::report::Counts;
use crate::subject::{Happened, Subject, View, Violation};
use crate::{Random, Time};
use quorate_machine::{Effects, Event, Machine, NodeId, TimerEffect};
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, BinaryHeap};

/// How often messages to itself and timers of zero ticks take turns within one turn of a node.
const ROUNDS: usize = 8;
/// Steps of a run, at most: a machine that talks to itself for ever is stopped here.
const STEPS_MAX: u64 = 20_000_000;
/// How often it is asked whether everything is done, once faults are over.
const PROBE: Time = Time::millis(50);

/// Something that happens at its time.
enum What<M: Machine> {
    Deliver(usize, usize, M::Message),
    Command(usize, M::Command),
    Client(usize),
    /// A node's turn, if it is still in this life.
    Turn(usize, u32),
    /// A node looks at its timers.
    Wake(usize, u32),
    /// A sync is over.
    Synced(usize, u32),
    Begin(usize),
    End(usize),
    Probe,
}

struct Scheduled<M: Machine> {
    at: Time,
    sequence: u64,
    what: What<M>,
}

impl<M: Machine> PartialEq for Scheduled<M> {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}
impl<M: Machine> Eq for Scheduled<M> {}
impl<M: Machine> PartialOrd for Scheduled<M> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
/// What is due at the same moment happens in the order in which it was scheduled.
impl<M: Machine> Ord for Scheduled<M> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// One stream of random numbers for each that draws.
pub(crate) struct Streams {
    pub(crate) network: Random,
    pub(crate) disks: Random,
    pub(crate) timers: Random,
    pub(crate) turns: Random,
    pub(crate) clients: Random,
    pub(crate) core: Random,
}

pub(crate) struct World<S: Subject> {
    pub(crate) subject: S,
    nodes: Vec<Node<S::Machine>>,
    queue: BinaryHeap<Reverse<Scheduled<S::Machine>>>,
    sequence: u64,
    pub(crate) now: Time,
    pub(crate) steps: u64,
    faults: Vec<Injected>,
    /// The faults that are on, by their place in `faults`.
    active: Vec<usize>,
    /// The failing syncs that have failed.
    failed: BTreeSet<usize>,
    /// Messages that will come again.
    kept: Vec<(usize, usize, <S::Machine as Machine>::Message)>,
    random: Streams,
    pub(crate) counts: Counts,
    pub(crate) journal: Journal,
    fx: Effects<S::Machine>,
    /// Since when there are no faults any more.
    calm: Option<Time>,
    done: bool,
}

type Step = Result<(), Violation>;

impl<S: Subject> World<S> {
    pub(crate) fn new(
        subject: S,
        faults: Vec<Injected>,
        random: Streams,
        journal: Journal,
    ) -> Self {
        let nodes = subject.nodes().iter().map(|id| Node {
            id: *id,
            life: 0,
            disk: Disk::new(),
            up: None,
            paused: None,
            down: 0,
            rate: 1000,
        });
        World {
            nodes: nodes.collect(),
            queue: BinaryHeap::new(),
            sequence: 0,
            now: Time(0),
            steps: 0,
            faults,
            active: Vec::new(),
            failed: BTreeSet::new(),
            kept: Vec::new(),
            random,
            counts: Counts::default(),
            journal,
            fx: Effects::new(),
            calm: None,
            done: false,
            subject,
        }
    }

    /// Faults until `end`, then calm until everything is done.
    pub(crate) fn run(&mut self, end: Time) -> Step {
        for fault in 0..self.faults.len() {
            self.push(self.faults[fault].from, What::Begin(fault));
            self.push(self.faults[fault].until, What::End(fault));
        }
        for client in 0..self.subject.clients() {
            self.push(Time(0), What::Client(client));
        }
        for node in 0..self.nodes.len() {
            self.start(node)?;
        }
        while !self.done {
            let next = self.queue.peek().map(|Reverse(next)| next.at);
            if self.calm.is_none() && next.is_none_or(|at| at > end) {
                self.now = end;
                self.heal()?;
                continue;
            }
            let Some(Reverse(next)) = self.queue.pop() else {
                break;
            };
            self.now = next.at;
            self.happen(next.what)?;
            Violation::unless(self.steps < STEPS_MAX, "no step goes on for ever", || {
                format!("{STEPS_MAX} steps, and no end")
            })?;
        }
        Ok(())
    }

    fn push(&mut self, at: Time, what: What<S::Machine>) {
        self.sequence += 1;
        self.queue.push(Reverse(Scheduled {
            at,
            sequence: self.sequence,
            what,
        }));
    }

    fn happen(&mut self, what: What<S::Machine>) -> Step {
        match what {
            What::Deliver(from, to, message) => {
                let from = self.nodes[from].id;
                self.arrive(to, Event::Receive { from, message });
            }
            What::Command(to, command) => self.arrive(to, Event::Command(command)),
            What::Client(client) => self.client(client),
            What::Turn(node, life) if self.nodes[node].life == life => return self.turn(node),
            What::Wake(node, life) if self.nodes[node].life == life => self.wake(node),
            What::Synced(node, life) if self.nodes[node].life == life => return self.synced(node),
            What::Turn(..) | What::Wake(..) | What::Synced(..) => {}
            What::Begin(fault) if self.calm.is_none() => return self.begin(fault),
            What::End(fault) => return self.end(fault),
            What::Begin(_) => {}
            What::Probe => return self.probe(),
        }
        Ok(())
    }

    // Nodes: starts, turns, crashes.

    fn start(&mut self, node: usize) -> Step {
        let id = self.nodes[node].id;
        self.journal.note(self.now, || format!("{id} starts"));
        let durable = self
            .subject
            .recovered(self.nodes[node].disk.durable.clone());
        self.nodes[node].life += 1;
        self.nodes[node].paused = None;
        let machine = S::Machine::start(self.subject.config(node), &durable, &mut self.fx);
        self.nodes[node].up = Some(Up::new(machine));
        self.settle(node);
        self.schedule_turn(node);
        self.check(node, Happened::Started)
    }

    /// The node loses everything but its disk, and of what was not synced `kept` parts of a hundred stay.
    fn crash(&mut self, node: usize, kept: u64) -> Step {
        let state = &mut self.nodes[node];
        if state.up.take().is_none() {
            return Ok(());
        }
        let waiting = state.disk.waiting() as u64;
        let lost = state.disk.crash((waiting * kept / 100) as usize);
        let id = state.id;
        self.counts.crashes += 1;
        self.counts.lost_writes += lost as u64;
        self.journal.note(self.now, || {
            format!("{id} crashes: of {waiting} unsynced steps {lost} are lost")
        });
        self.check(node, Happened::Crashed)
    }

    fn arrive(&mut self, node: usize, event: Event<S::Machine>) {
        let Some(up) = &mut self.nodes[node].up else {
            self.counts.undelivered += 1;
            return;
        };
        if up.inbox.len() >= INBOX_MAX {
            self.counts.undelivered += 1;
            return;
        }
        up.inbox.push_back(event);
        self.schedule_turn(node);
    }

    /// Lets the node have a turn soon, unless it has one anyway or stands still.
    fn schedule_turn(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        let (life, paused) = (state.life, state.paused.is_some());
        let Some(up) = &mut state.up else { return };
        if up.turn_at.is_none() && !paused {
            let at = self.now + Time(self.random.turns.within(1..=30));
            up.turn_at = Some(at);
            self.push(at, What::Turn(node, life));
        }
    }

    fn wake(&mut self, node: usize) {
        if let Some(up) = &mut self.nodes[node].up {
            up.wake_at = None;
            if up.timers.earliest().is_some_and(|at| at <= self.now) {
                self.schedule_turn(node);
            } else {
                self.schedule_wake(node);
            }
        }
    }

    fn schedule_wake(&mut self, node: usize) {
        let life = self.nodes[node].life;
        let Some(up) = &mut self.nodes[node].up else {
            return;
        };
        let Some(at) = up.timers.earliest() else {
            return;
        };
        // A deadline that moved away costs one look that finds nothing.
        if up.wake_at.is_none_or(|earlier| at < earlier) {
            let at = at.max(self.now);
            up.wake_at = Some(at);
            self.push(at, What::Wake(node, life));
        }
    }

    fn turn(&mut self, node: usize) -> Step {
        let room = self.nodes[node].disk.waiting() < UNSYNCED_MAX;
        let paused = self.nodes[node].paused.is_some();
        let Some(up) = &mut self.nodes[node].up else {
            return Ok(());
        };
        up.turn_at = None;
        if paused {
            return Ok(());
        }
        let synced = std::mem::take(&mut up.synced);
        if synced > 0 {
            up.gate.synced(synced);
            self.release(node);
        }
        let events = if room {
            self.count(node, |up| up.inbox.len())
        } else {
            0
        };
        for _ in 0..events {
            let event = self.take(node, |up| up.inbox.pop_front());
            self.step(node, event)?;
        }
        let now = self.now;
        for _ in 0..self.count(node, |up| up.timers.len()) {
            let due = self.take(node, |up| up.timers.take_due(now));
            self.step(node, due.map(Event::Timeout))?;
        }
        for _ in 0..ROUNDS {
            for _ in 0..self.count(node, |up| up.own.len()) {
                let event = self.take(node, |up| up.own.pop_front());
                self.step(node, event)?;
            }
            if self.count(node, |up| up.own.len()) == 0 {
                for _ in 0..self.count(node, |up| up.timers.zeros()) {
                    let timer = self.take(node, |up| up.timers.take_zero());
                    self.step(node, timer.map(Event::Timeout))?;
                }
            }
        }
        self.leave(node)
    }

    fn count(&self, node: usize, of: impl Fn(&Up<S::Machine>) -> usize) -> usize {
        self.nodes[node].up.as_ref().map_or(0, of)
    }

    fn take<T>(
        &mut self,
        node: usize,
        from: impl FnOnce(&mut Up<S::Machine>) -> Option<T>,
    ) -> Option<T> {
        self.nodes[node].up.as_mut().and_then(from)
    }

    fn step(&mut self, node: usize, event: Option<Event<S::Machine>>) -> Step {
        let state = &mut self.nodes[node];
        let (Some(event), Some(up)) = (event, state.up.as_mut()) else {
            return Ok(());
        };
        self.steps += 1;
        let id = state.id;
        self.journal.note(self.now, || match &event {
            Event::Command(command) => format!("{id} is asked {command:?}"),
            Event::Receive { from, message } => format!("{id} hears from {from}: {message:?}"),
            Event::Timeout(timer) => format!("{id}: timer {timer:?}"),
        });
        let config = self.subject.config(node);
        up.machine.step(config, event, &mut self.fx);
        self.settle(node);
        self.check(node, Happened::Stepped)
    }

    /// Takes the effects of a step apart. Nothing leaves the node here.
    fn settle(&mut self, node: usize) {
        let tick = self.subject.tick();
        let state = &mut self.nodes[node];
        let Some(up) = &mut state.up else { return };
        for effect in self.fx.drain_timers() {
            match effect {
                TimerEffect::Arm(timer, ticks) => {
                    let random = &mut self.random.timers;
                    up.timers
                        .arm(timer, ticks, self.now, tick, state.rate, random);
                }
                TimerEffect::Disarm(timer) => up.timers.disarm(timer),
            }
        }
        let id = state.id;
        for immediate in self.fx.drain_immediate() {
            up.let_go(id, immediate);
        }
        let records: Vec<_> = up.gate.absorb(&mut self.fx).collect();
        for record in &records {
            self.journal
                .note(self.now, || format!("{id} persists {record:?}"));
        }
        state.disk.write(records);
        self.release(node);
    }

    /// Takes the promises that are due.
    fn release(&mut self, node: usize) {
        let id = self.nodes[node].id;
        let Some(up) = &mut self.nodes[node].up else {
            return;
        };
        while let Some(promise) = up.gate.release() {
            up.let_go(id, promise);
        }
    }

    /// The end of a turn: the disk gets the records, others what is due.
    fn leave(&mut self, node: usize) -> Step {
        self.start_sync(node);
        let Some(up) = &mut self.nodes[node].up else {
            return Ok(());
        };
        let sent = std::mem::take(&mut up.sent);
        let told = std::mem::take(&mut up.told);
        let more = up.has_work() && (!up.own.is_empty() || up.timers.zeros() > 0);
        let id = self.nodes[node].id;
        for (to, message) in sent {
            self.journal
                .note(self.now, || format!("{id} sends {to}: {message:?}"));
            let disk = &self.nodes[node].disk.durable;
            let lie = self.subject.disks_lie();
            let backed = lie || S::Machine::backed(to, &message, disk);
            Violation::unless(backed, "a message is backed by its sender's disk", || {
                format!("{id} to {to}: {message:?}")
            })?;
            self.send(node, to, message);
        }
        for output in told {
            self.journal
                .note(self.now, || format!("{id} tells {output:?}"));
            self.subject.told(node, self.now, &output)?;
        }
        if more {
            self.schedule_turn(node);
        }
        self.schedule_wake(node);
        Ok(())
    }

    fn check(&mut self, node: usize, what: Happened) -> Step {
        self.subject.check(View(&self.nodes), node, what)
    }

    // The disk.

    fn start_sync(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        if state.disk.syncing > 0 || state.disk.waiting() == 0 {
            return;
        }
        state.disk.syncing = state.disk.waiting();
        let life = state.life;
        let mut takes = Time(100 + self.random.disks.heavy_tail(400));
        for fault in &self.active {
            if let Fault::SlowDisk(at, least) = self.faults[*fault].fault
                && at == node
            {
                takes = takes + least;
            }
        }
        self.push(self.now + takes, What::Synced(node, life));
        if self.subject.disks_lie() {
            let state = &mut self.nodes[node];
            let records = state.disk.promise();
            if let Some(up) = &mut state.up {
                up.synced += records;
            }
            self.schedule_turn(node);
        }
    }

    fn synced(&mut self, node: usize) -> Step {
        if self.nodes[node].up.is_none() {
            return Ok(()); // the crash has decided what the disk has
        }
        let life = self.nodes[node].life;
        for place in 0..self.active.len() {
            let at = self.active[place];
            match self.faults[at].fault {
                Fault::StalledDisk(stalled) if stalled == node => {
                    let until = self.faults[at].until + Time(1);
                    self.push(until, What::Synced(node, life));
                    return Ok(());
                }
                Fault::SyncError(failing) if failing == node && self.failed.insert(at) => {
                    // The process stops and does not try again: what the disk has, nobody knows.
                    self.nodes[node].down += 1;
                    let kept = self.random.disks.below(101);
                    return self.crash(node, kept);
                }
                _ => {}
            }
        }
        let lie = self.subject.disks_lie();
        let state = &mut self.nodes[node];
        let steps = std::mem::take(&mut state.disk.syncing);
        let records = state.disk.sync(steps);
        let id = state.id;
        self.journal
            .note(self.now, || format!("{id} has synced {records} records"));
        if lie {
            state.disk.promised = state.disk.promised.saturating_sub(steps);
        } else if let Some(up) = &mut state.up {
            up.synced += records;
        }
        self.schedule_turn(node);
        self.start_sync(node);
        self.check(node, Happened::Synced)
    }

    // The network.

    fn send(&mut self, from: usize, to: NodeId, message: <S::Machine as Machine>::Message) {
        let Some(to) = self.nodes.iter().position(|node| node.id == to) else {
            return;
        };
        self.counts.messages += 1;
        let random = &mut self.random.network;
        let mut arrival = self.now + Time(random.within(100..=500));
        let mut again = None;
        for &fault in &self.active {
            let injected = &self.faults[fault];
            match injected.fault {
                Fault::Loss(percent) if random.percent(percent) => {
                    self.counts.lost += 1;
                    return;
                }
                Fault::Duplication(percent) if random.percent(percent) => {
                    again = Some(random.heavy_tail(1_000));
                }
                Fault::Delay(scale) => arrival = arrival + Time(random.heavy_tail(scale.0)),
                Fault::SlowLink(a, b, by) if (a, b) == (from, to) => arrival = arrival + by,
                Fault::Clog(a, b) if (a, b) == (from, to) => {
                    arrival = arrival.max(injected.until + Time(random.below(50)));
                }
                Fault::Replay if random.percent(1) && self.kept.len() < INBOX_MAX => {
                    self.kept.push((from, to, message.clone()));
                }
                _ if injected.fault.cuts(from, to) => {
                    self.counts.cut += 1;
                    return;
                }
                _ => {}
            }
        }
        if let Some(later) = again {
            self.counts.duplicated += 1;
            let copy = What::Deliver(from, to, message.clone());
            self.push(arrival + Time(later), copy);
        }
        self.push(arrival, What::Deliver(from, to, message));
    }

    fn client(&mut self, client: usize) {
        let random = &mut self.random.clients;
        let wake = self.subject.wake(client, self.now, random);
        if let Some((node, command)) = wake.ask {
            let takes = Time(random.within(50..=500));
            let lossy = |fault: &usize| match self.faults[*fault].fault {
                Fault::Loss(percent) => random.percent(percent),
                _ => false,
            };
            if self.active.iter().any(lossy) {
                self.counts.lost += 1;
            } else {
                self.push(self.now + takes, What::Command(node, command));
            }
        }
        if let Some(again) = wake.again {
            self.push(self.now + again, What::Client(client));
        }
    }

    // Faults.

    fn begin(&mut self, fault: usize) -> Step {
        let injected = &self.faults[fault];
        self.journal
            .note(self.now, || format!("--- begins {injected}"));
        *self.counts.faults.entry(injected.fault.kind()).or_default() += 1;
        self.active.push(fault);
        match injected.fault {
            Fault::Crash(node, kept) => {
                self.nodes[node].down += 1;
                return self.crash(node, kept);
            }
            Fault::Pause(node) => self.nodes[node].paused = Some(fault),
            Fault::Drift(node, rate) => self.nodes[node].rate = rate,
            Fault::Jump(node, by) => {
                if let Some(up) = &mut self.nodes[node].up {
                    up.timers.jump(by);
                    self.schedule_wake(node);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, fault: usize) -> Step {
        let Some(place) = self.active.iter().position(|active| *active == fault) else {
            return Ok(());
        };
        self.active.remove(place);
        let injected = &self.faults[fault];
        self.journal
            .note(self.now, || format!("--- ends #{}", injected.number));
        match injected.fault {
            Fault::Crash(node, _) => self.rise(node)?,
            Fault::SyncError(node) if self.failed.contains(&fault) => self.rise(node)?,
            Fault::Pause(node) if self.nodes[node].paused == Some(fault) => {
                self.nodes[node].paused = None;
                self.schedule_turn(node);
            }
            Fault::Drift(node, _) => self.nodes[node].rate = 1000,
            Fault::Replay => {
                for (from, to, message) in std::mem::take(&mut self.kept) {
                    self.counts.replayed += 1;
                    self.push(self.now + Time(1), What::Deliver(from, to, message));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// One reason less to be down.
    fn rise(&mut self, node: usize) -> Step {
        let state = &mut self.nodes[node];
        state.down = state.down.saturating_sub(1);
        if state.down == 0 && state.up.is_none() && self.calm.is_none() {
            return self.start(node);
        }
        Ok(())
    }

    /// Faults are over. A core of nodes is up from now on; the others stay down for ever.
    fn heal(&mut self) -> Step {
        self.calm = Some(self.now);
        let mut core = self.subject.core(&mut self.random.core);
        core.sort_unstable();
        let names: Vec<_> = core.iter().map(|node| self.nodes[*node].id).collect();
        self.journal
            .note(self.now, || format!("--- calm, with {names:?}"));
        for fault in std::mem::take(&mut self.active) {
            self.active = vec![fault];
            self.end(fault)?;
        }
        self.active.clear();
        for node in 0..self.nodes.len() {
            let (inside, up) = (core.contains(&node), self.nodes[node].up.is_some());
            match (inside, up) {
                (true, false) => self.start(node)?,
                (false, true) => self.crash(node, 50)?,
                _ => {}
            }
        }
        self.subject.calm(self.now);
        self.push(self.now + PROBE, What::Probe);
        Ok(())
    }

    fn probe(&mut self) -> Step {
        let since = self.now - self.calm.unwrap_or_default();
        match self.subject.settled(View(&self.nodes)) {
            Ok(()) => {
                self.done = true;
                self.counts.settled = since;
                Ok(())
            }
            Err(missing) if since > self.subject.patience() => {
                let reason = format!("{since:?} after the last fault: {missing}");
                Err(Violation::new("a healed core makes progress", reason))
            }
            Err(_) => {
                self.push(self.now + PROBE, What::Probe);
                Ok(())
            }
        }
    }
}
