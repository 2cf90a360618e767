//! One node: the machine while it runs, and the disk that outlives it.

use super::{Member, Op, Register, Result, render};
use quorate_machine::{Effects, Event, Gate, Machine, NodeId, Promise, TimerEffect};
use quorate_raft::{Config, Durable, Message, Record, Timer};
use std::collections::{BTreeSet, VecDeque};

/// A node of the group.
pub(crate) struct Node {
    config: Config<Register>,
    durable: Durable<Op>,
    /// The machine; `None` while the node is down.
    raft: Option<Member>,
    gate: Gate<Member>,
    /// Written and not durable, by step: a step's records become durable together.
    unsynced: VecDeque<Vec<Record<Op>>>,
    for_self: VecDeque<Message<Op>>,
    timers: BTreeSet<Timer>,
}

impl Node {
    /// A node that is down and has an empty disk.
    pub(crate) fn new(config: Config<Register>) -> Self {
        Node {
            config,
            durable: Durable::default(),
            raft: None,
            gate: Gate::new(),
            unsynced: VecDeque::new(),
            for_self: VecDeque::new(),
            timers: BTreeSet::new(),
        }
    }

    pub(crate) fn raft(&self) -> Option<&Member> {
        self.raft.as_ref()
    }

    pub(crate) fn durable(&self) -> &Durable<Op> {
        &self.durable
    }

    pub(crate) fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    pub(super) fn disarm(&mut self, timer: Timer) -> bool {
        self.timers.remove(&timer)
    }

    pub(super) fn start(&mut self, fx: &mut Effects<Member>) {
        self.crash(0);
        self.raft = Some(Member::start(&self.config, &self.durable, fx));
    }

    pub(super) fn crash(&mut self, survive: usize) -> usize {
        for _ in 0..survive {
            self.write_one();
        }
        self.raft = None;
        self.gate = Gate::new();
        self.for_self.clear();
        self.timers.clear();
        self.unsynced.drain(..).count()
    }

    pub(super) fn replace_disk(&mut self, durable: Durable<Op>) {
        self.crash(0);
        self.durable = durable;
    }

    pub(super) fn step(
        &mut self,
        event: Event<Member>,
        fx: &mut Effects<Member>,
    ) -> Result<&Member> {
        let id = self.config.id;
        let raft = self.raft.as_mut().ok_or_else(|| format!("{id} is down"))?;
        raft.step(&self.config, event, fx);
        Ok(raft)
    }

    /// Takes timers, records and promises; returns the records.
    pub(super) fn absorb(&mut self, fx: &mut Effects<Member>) -> &[Record<Op>] {
        for timer in fx.drain_timers() {
            match timer {
                TimerEffect::Arm(timer, _) => drop(self.timers.insert(timer)),
                TimerEffect::Disarm(timer) => drop(self.timers.remove(&timer)),
            }
        }
        let records: Vec<Record<Op>> = self.gate.absorb(fx).collect();
        if records.is_empty() {
            return &[];
        }
        self.unsynced.push_back(records);
        &self.unsynced[self.unsynced.len() - 1]
    }

    /// Makes the oldest unsynced write durable and says so.
    pub(super) fn sync_one(&mut self) -> Option<Vec<Record<Op>>> {
        let records = self.write_one()?;
        self.gate.synced(records.len() as u64);
        Some(records)
    }

    fn write_one(&mut self) -> Option<Vec<Record<Op>>> {
        let records = self.unsynced.pop_front()?;
        for record in &records {
            Member::apply(&mut self.durable, record);
        }
        Some(records)
    }

    pub(super) fn release(&mut self) -> Option<Promise<Member>> {
        self.gate.release()
    }

    /// The latest `promised` promises, as far as they are held back.
    pub(super) fn held(&self, promised: usize) -> Vec<String> {
        let waiting = self.gate.waiting();
        let earlier = waiting.len().saturating_sub(promised);
        let held = waiting.skip(earlier);
        held.map(|promise| render::promise(self.id(), promise))
            .collect()
    }

    pub(super) fn keep_for_self(&mut self, message: Message<Op>) {
        self.for_self.push_back(message);
    }

    pub(super) fn next_for_self(&mut self) -> Option<Message<Op>> {
        self.for_self.pop_front()
    }

    fn id(&self) -> NodeId {
        self.config.id
    }
}
