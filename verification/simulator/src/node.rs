//! One node: machine, gate, timers, inbox, and the disk that a crash leaves.

use crate::{Random, Time};
use quorate_machine::{Event, Gate, Machine, NodeId, Promise, Ticks};
use std::collections::VecDeque;

/// Events that a node may have before it; what comes beyond is lost.
pub(crate) const INBOX_MAX: usize = 1024;
/// Steps whose records a disk may have to write; beyond it the node takes no events, as in production.
pub(crate) const UNSYNCED_MAX: usize = 256;

/// A node, up or down.
pub(crate) struct Node<M: Machine> {
    pub(crate) id: NodeId,
    /// Counts its starts: what was meant for an earlier life is void.
    pub(crate) life: u32,
    pub(crate) disk: Disk<M>,
    pub(crate) up: Option<Up<M>>,
    /// The fault through which its process stands still.
    pub(crate) paused: Option<usize>,
    /// How many reasons there are for it to be down.
    pub(crate) down: u32,
    /// How long a thousandth of a tick takes.
    pub(crate) rate: u64,
}

/// What a running node has in memory.
pub(crate) struct Up<M: Machine> {
    pub(crate) machine: M,
    pub(crate) gate: Gate<M>,
    pub(crate) timers: Timers<M::Timer>,
    pub(crate) inbox: VecDeque<Event<M>>,
    /// Due messages to itself.
    pub(crate) own: VecDeque<Event<M>>,
    /// Records that have become durable and of which the gate does not know yet.
    pub(crate) synced: u64,
    /// When its next turn is.
    pub(crate) turn_at: Option<Time>,
    /// When it is woken next to look at its timers.
    pub(crate) wake_at: Option<Time>,
    /// What leaves at the end of the turn.
    pub(crate) sent: Vec<(NodeId, M::Message)>,
    pub(crate) told: Vec<M::Output>,
}

impl<M: Machine> Up<M> {
    pub(crate) fn new(machine: M) -> Self {
        Up {
            machine,
            gate: Gate::new(),
            timers: Timers { armed: Vec::new() },
            inbox: VecDeque::new(),
            own: VecDeque::new(),
            synced: 0,
            turn_at: None,
            wake_at: None,
            sent: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Something leaves `id`, this node: at the end of the turn, or as the next event if it is to itself.
    pub(crate) fn let_go(&mut self, id: NodeId, promise: Promise<M>) {
        match promise {
            Promise::Send { to, message } if to == id => {
                self.own.push_back(Event::Receive { from: id, message });
            }
            Promise::Send { to, message } => self.sent.push((to, message)),
            Promise::Output(output) => self.told.push(output),
        }
    }

    /// Whether something waits to be stepped.
    pub(crate) fn has_work(&self) -> bool {
        !self.own.is_empty() || !self.inbox.is_empty() || self.timers.zeros() > 0
    }
}

/// A log of records: the fold of those that are durable, and those that are not yet.
pub(crate) struct Disk<M: Machine> {
    pub(crate) durable: M::Durable,
    /// The records of one step each, which become durable together or not at all.
    unsynced: VecDeque<Vec<M::Record>>,
    /// How many of them, from the first, the sync under way covers.
    pub(crate) syncing: usize,
    /// How many of them, from the first, the node was told are durable although they are not.
    pub(crate) promised: usize,
}

impl<M: Machine> Disk<M> {
    pub(crate) fn new() -> Self {
        Disk {
            durable: M::Durable::default(),
            unsynced: VecDeque::new(),
            syncing: 0,
            promised: 0,
        }
    }

    pub(crate) fn write(&mut self, records: Vec<M::Record>) {
        if !records.is_empty() {
            self.unsynced.push_back(records);
        }
    }

    /// Steps that are not durable.
    pub(crate) fn waiting(&self) -> usize {
        self.unsynced.len()
    }

    pub(crate) fn unsynced(&self) -> impl Iterator<Item = &M::Record> {
        self.unsynced.iter().flatten()
    }

    /// The oldest `steps` become durable; how many records that is.
    pub(crate) fn sync(&mut self, steps: usize) -> u64 {
        let mut records = 0;
        for written in self.unsynced.drain(..steps) {
            for record in &written {
                M::apply(&mut self.durable, record);
            }
            records += written.len() as u64;
        }
        records
    }

    /// The node is told of everything that it has not been told yet; how many records that is.
    pub(crate) fn promise(&mut self) -> u64 {
        let told = self.unsynced.iter().skip(self.promised);
        let records = told.map(|written| written.len() as u64).sum();
        self.promised = self.unsynced.len();
        records
    }

    /// A crash: the oldest `kept` of what was unsynced are there all the same, the others are gone.
    /// How many steps were lost.
    pub(crate) fn crash(&mut self, kept: usize) -> usize {
        self.sync(kept);
        let lost = self.unsynced.len();
        self.unsynced.clear();
        self.syncing = 0;
        self.promised = 0;
        lost
    }
}

/// The armed timers of a node, with the rules of the production driver.
pub(crate) struct Timers<T> {
    /// Each with the moment when it is due; `None`: once the events at hand are stepped.
    armed: Vec<(T, Option<Time>)>,
}

impl<T: Copy + Eq> Timers<T> {
    /// Arms `timer` to fire after ticks of `tick`, each stretched by `rate` thousandths.
    pub(crate) fn arm(
        &mut self,
        timer: T,
        ticks: Ticks,
        now: Time,
        tick: Time,
        rate: u64,
        random: &mut Random,
    ) {
        let (least, most) = (*ticks.start(), *ticks.end());
        let drawn = random.within(u64::from(least)..=u64::from(most.max(least)));
        let length = Time((drawn.saturating_mul(tick.0)).saturating_mul(rate) / 1000);
        let due = (drawn > 0).then(|| now + length);
        match self.armed.iter_mut().find(|(armed, _)| *armed == timer) {
            Some(entry) => entry.1 = due,
            None => self.armed.push((timer, due)),
        }
    }

    pub(crate) fn disarm(&mut self, timer: T) {
        self.armed.retain(|(armed, _)| *armed != timer);
    }

    pub(crate) fn is_armed(&self, timer: T) -> bool {
        self.armed.iter().any(|(armed, _)| *armed == timer)
    }

    pub(crate) fn len(&self) -> usize {
        self.armed.len()
    }

    pub(crate) fn zeros(&self) -> usize {
        self.armed.iter().filter(|(_, due)| due.is_none()).count()
    }

    pub(crate) fn earliest(&self) -> Option<Time> {
        self.armed.iter().filter_map(|(_, due)| *due).min()
    }

    pub(crate) fn take_due(&mut self, now: Time) -> Option<T> {
        let armed = self.armed.iter().enumerate();
        let due = armed.filter_map(|(at, (_, due))| Some(((*due)?, at)));
        let (_, at) = due.filter(|(due, _)| *due <= now).min()?;
        Some(self.armed.remove(at).0)
    }

    pub(crate) fn take_zero(&mut self) -> Option<T> {
        let at = self.armed.iter().position(|(_, due)| due.is_none())?;
        Some(self.armed.remove(at).0)
    }

    /// The clock jumps: what was due in the future is nearer, or further off.
    pub(crate) fn jump(&mut self, by: i64) {
        for due in self.armed.iter_mut().filter_map(|(_, due)| due.as_mut()) {
            *due = if by >= 0 {
                *due - Time(by.unsigned_abs())
            } else {
                *due + Time(by.unsigned_abs())
            };
        }
    }
}
