//! Three members in memory, which write the event logs that a driver would: random turns, lost and late
//! messages, slow disks and crashes, all from one seed.

use bytes::BytesMut;
use quorate_conform::{Life, RaftLike};
use quorate_driver::{Fingerprint, Recorder, event_logs};
use quorate_machine::{Effects, Event, Gate, GroupId, NodeId, Promise, TimerEffect};
use quorate_raft::{Command, Config, Index, SessionId, StateMachine};
use quorate_transport::Wire;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use tempfile::TempDir;

const GROUP: GroupId = GroupId(7);

/// Adds numbers up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sum(u64);

impl StateMachine for Sum {
    type Command = u64;
    type Query = ();
    type Response = u64;

    fn apply(&mut self, _: Index, command: &u64) -> u64 {
        self.0 += command;
        self.0
    }

    fn query(&self, (): &()) -> u64 {
        self.0
    }
}

struct Node<M: RaftLike> {
    config: Config<Sum>,
    machine: Option<M>,
    gate: Gate<M>,
    unsynced: VecDeque<Vec<M::Record>>,
    /// Durable since the start of the process.
    synced: u64,
    records: Vec<M::Record>,
    recorder: Option<Recorder>,
    armed: BTreeSet<M::Timer>,
    zero: BTreeSet<M::Timer>,
    own: VecDeque<M::Message>,
    leaving: Vec<(NodeId, M::Message)>,
}

impl<M: RaftLike<State = Sum>> Node<M> {
    fn start(&mut self, folder: &Path) {
        let (mut durable, mut found) = (M::Durable::default(), Fingerprint::default());
        for record in &self.records {
            M::apply(&mut durable, record);
            let mut bytes = BytesMut::new();
            record.encode(&mut bytes);
            found.add(&bytes);
        }
        let recorder = Recorder::create(folder, self.config.id, GROUP, found);
        self.recorder = Some(recorder.expect("an event log"));
        let mut fx = Effects::new();
        self.machine = Some(M::start(&self.config, &durable, &mut fx));
        self.absorb(fx);
        self.leave();
    }

    fn crash(&mut self) {
        self.machine = None;
        self.gate = Gate::new();
        self.unsynced.clear();
        self.synced = 0;
        self.recorder = None;
        self.armed.clear();
        self.zero.clear();
        self.own.clear();
    }

    /// A turn as the driver's: what has become durable, the events, then what the machine tells itself.
    fn turn(&mut self, batches: usize, events: Vec<Event<M>>) {
        let mut durable = 0;
        for batch in self.unsynced.drain(..batches.min(self.unsynced.len())) {
            durable += batch.len() as u64;
            self.records.extend(batch);
        }
        if durable > 0 {
            self.synced += durable;
            self.gate.synced(durable);
            self.recorder
                .as_mut()
                .expect("a start")
                .durable(self.synced);
            self.release();
        }
        for event in events {
            self.step(event);
        }
        while !self.own.is_empty() || !self.zero.is_empty() {
            while let Some(message) = self.own.pop_front() {
                let from = self.config.id;
                self.step(Event::Receive { from, message });
            }
            while let Some(timer) = self.zero.pop_first() {
                self.step(Event::Timeout(timer));
            }
        }
        self.leave();
    }

    fn step(&mut self, event: Event<M>) {
        let Some(machine) = &mut self.machine else {
            return;
        };
        if let Event::Timeout(timer) = &event {
            self.armed.remove(timer);
        }
        self.recorder.as_mut().expect("a start").event(&event);
        let mut fx = Effects::new();
        machine.step(&self.config, event, &mut fx);
        self.absorb(fx);
    }

    fn absorb(&mut self, mut fx: Effects<M>) {
        self.recorder.as_mut().expect("a start").effects(&fx);
        for timer in fx.drain_timers() {
            match timer {
                TimerEffect::Arm(timer, ticks) if *ticks.end() == 0 => self.zero.insert(timer),
                TimerEffect::Arm(timer, _) => self.armed.insert(timer),
                TimerEffect::Disarm(timer) => self.zero.remove(&timer) | self.armed.remove(&timer),
            };
        }
        fx.drain_immediate()
            .for_each(|immediate| self.let_go(immediate));
        let batch: Vec<_> = self.gate.absorb(&mut fx).collect();
        if !batch.is_empty() {
            self.unsynced.push_back(batch);
        }
        self.release();
    }

    fn release(&mut self) {
        while let Some(promise) = self.gate.release() {
            self.let_go(promise);
        }
    }

    fn let_go(&mut self, promise: Promise<M>) {
        match promise {
            Promise::Send { to, message } if to == self.config.id => self.own.push_back(message),
            Promise::Send { to, message } => self.leaving.push((to, message)),
            Promise::Output(_) => {}
        }
    }

    fn leave(&mut self) {
        self.recorder.as_mut().expect("a start").flush();
    }
}

/// What a run leaves.
pub(crate) struct Run<M: RaftLike> {
    pub(crate) lives: Vec<Life<M>>,
    /// The logs' directory, removed with the run.
    _dir: TempDir,
}

/// A run of `turns` turns from a seed; `change` the configuration of all.
pub(crate) fn run<M: RaftLike<State = Sum>>(
    seed: u64,
    turns: usize,
    change: impl Fn(&mut Config<Sum>),
) -> Run<M> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let ids = [1, 2, 3].map(NodeId);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut nodes: Vec<Node<M>> = ids
        .iter()
        .map(|id| {
            let mut config = Config::new(*id, ids, Sum(0));
            change(&mut config);
            Node {
                config,
                machine: None,
                gate: Gate::new(),
                unsynced: VecDeque::new(),
                synced: 0,
                records: Vec::new(),
                recorder: None,
                armed: BTreeSet::new(),
                zero: BTreeSet::new(),
                own: VecDeque::new(),
                leaving: Vec::new(),
            }
        })
        .collect();
    let mut network: Vec<(NodeId, NodeId, M::Message)> = Vec::new();
    for number in 0..turns {
        let slot = random.random_range(0..nodes.len());
        let node = &mut nodes[slot];
        let id = node.config.id;
        if node.machine.is_none() {
            node.start(dir.path());
        } else if random.random_ratio(1, 150) {
            node.crash();
            continue;
        }
        let mut events = Vec::new();
        // Rarely, or nobody would ever lead.
        if random.random_ratio(1, 12) {
            let armed: Vec<_> = node.armed.iter().copied().collect();
            if let Some(timer) = armed.get(random.random_range(0..armed.len().max(1))) {
                events.push(Event::Timeout(*timer));
            }
        }
        for _ in 0..random.random_range(0..4) {
            let mine = network.iter().position(|(_, to, _)| *to == id);
            let Some(mine) = mine else { break };
            let (from, _, message) = network.remove(mine);
            if random.random_ratio(9, 10) {
                events.push(Event::Receive { from, message });
            }
        }
        if random.random_ratio(1, 3) {
            events.push(Event::Command(command(&mut random, number as u64)));
        }
        let batches = random.random_range(0..3);
        node.turn(batches, events);
        let leaving = node.leaving.drain(..);
        network.extend(leaving.map(|(to, message)| (id, to, message)));
    }
    let life = |node: Node<M>| {
        let logs = event_logs(dir.path(), node.config.id, GROUP).expect("event logs");
        let config = node.config.clone();
        Life { config, logs }
    };
    Run {
        lives: nodes.into_iter().map(life).collect(),
        _dir: dir,
    }
}

fn command<S: StateMachine<Command = u64, Query = ()>>(
    random: &mut ChaCha8Rng,
    number: u64,
) -> Command<S> {
    match random.random_range(0..10) {
        0 => Command::Open { nonce: number },
        1..4 => Command::Read {
            id: number,
            query: (),
        },
        _ => Command::Write {
            session: SessionId(random.random_range(2..6)),
            sequence: number / 3 + 1,
            command: number,
        },
    }
}
