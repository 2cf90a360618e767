//! The task that drives one machine.

use crate::edge::{DrivenMachine, Inbox, Log, Network, Waiting};
use crate::event_log::Recorder;
use crate::handle::DriverConfig;
use crate::timers::Timers;
use bytes::{Bytes, BytesMut};
use quorate_handoff::{Signals, Syncs};
use quorate_machine::{Effects, Event, Gate, NodeId, Promise, TimerEffect};
use quorate_transport::Wire;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::{Instant, Sleep, sleep_until};

/// How often messages to itself and timers of zero ticks take turns within one turn. A machine that
/// batches needs one round; what a machine does beyond these, it does in the next turn.
const ROUNDS: usize = 8;

/// Messages and records are encoded into blocks of this size and are slices of them, so that most
/// need no allocation of their own.
const BLOCK_BYTES: usize = 64 << 10;

/// Records are given to the log before the end of the turn once they have this many bytes: a batch
/// must stay within what a log takes at once.
const BATCH_BYTES: u64 = 4 << 20;

/// Promises that may wait for a disk that has stalled: a peer that asks again and again adds one each
/// time, without a record.
const PROMISES_MAX: usize = 64 << 10;

/// What a record costs in memory besides its bytes, roughly.
const RECORD_OVERHEAD_BYTES: u64 = 64;

/// What a driver has done, for its statistics.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) turns: AtomicU64,
    pub(crate) steps: AtomicU64,
    pub(crate) dropped_full: AtomicU64,
    pub(crate) sent: AtomicU64,
}

/// A machine and everything around it.
pub(crate) struct Driver<M: DrivenMachine, L, N, O> {
    config: DriverConfig,
    me: NodeId,
    machine_config: M::Config,
    machine: M,
    log: L,
    network: N,
    outputs: O,
    inbox: Inbox<M>,
    signals: Arc<Signals>,
    counters: Arc<Counters>,
    recorder: Option<Recorder>,

    /// The time of the current turn.
    now: Instant,
    gate: Gate<M>,
    timers: Timers<M::Timer>,
    /// Due messages of the machine to itself.
    loopback: VecDeque<Event<M>>,
    /// What the log has been given and the gate knows to be durable.
    syncs: Syncs,

    // What the current turn has collected; buffers that are reused, so that a turn allocates little.
    events: Vec<Waiting<M>>,
    fx: Effects<M>,
    records: Vec<Bytes>,
    record_bytes: u64,
    messages: Vec<(NodeId, Bytes)>,
    told: Vec<M::Output>,
    block: BytesMut,
}

impl<M, L, N, O> Driver<M, L, N, O>
where
    M: DrivenMachine,
    L: Log,
    N: Network,
    O: FnMut(M::Output) + Send + 'static,
{
    /// Starts the machine; its first effects leave in the first turn.
    #[allow(clippy::too_many_arguments)] // Each is one end of a connection; called from one place.
    pub(crate) fn start(
        config: DriverConfig,
        machine_config: M::Config,
        durable: &M::Durable,
        log: L,
        network: N,
        outputs: O,
        inbox: Inbox<M>,
        signals: Arc<Signals>,
        counters: Arc<Counters>,
        recorder: Option<Recorder>,
    ) -> Self {
        let random = config
            .seed
            .map_or_else(StdRng::from_os_rng, StdRng::seed_from_u64);
        let mut fx = Effects::new();
        let machine = M::start(&machine_config, durable, &mut fx);
        let mut driver = Driver {
            me: network.me(),
            machine_config,
            machine,
            log,
            network,
            outputs,
            inbox,
            syncs: Syncs::new(signals.clone()),
            signals,
            counters,
            recorder,
            now: Instant::now(),
            gate: Gate::new(),
            timers: Timers::new(config.tick, random),
            loopback: VecDeque::new(),
            events: Vec::new(),
            fx,
            records: Vec::new(),
            record_bytes: 0,
            messages: Vec::new(),
            told: Vec::new(),
            block: BytesMut::with_capacity(BLOCK_BYTES),
            config,
        };
        driver.absorb();
        driver
    }

    /// Turn after turn, until the driver is stopped.
    pub(crate) async fn run(mut self) {
        let mut sleep = pin!(sleep_until(Instant::now()));
        while !self.signals.is_stopping() {
            self.turn();
            self.wait(sleep.as_mut()).await;
        }
        self.network.unregister(self.config.group);
        self.inbox.close();
        while let Some(records) = self.syncs.finish().await {
            self.synced(records);
        }
        self.leave();
        tracing::debug!(group = %self.config.group, "stopped");
    }

    /// Waits until there is something to do, and collects events.
    async fn wait(&mut self, mut sleep: Pin<&mut Sleep>) {
        if !self.loopback.is_empty() || self.timers.zeros() > 0 {
            // The machine still has to do with itself; let others have the thread before.
            return tokio::task::yield_now().await;
        }
        let earliest = self.timers.earliest();
        // A deadline that moved away is left alone: it costs a turn without events once in a while,
        // and saves moving it on every message that arms an election timer anew.
        if let Some(at) = earliest
            && (sleep.is_elapsed() || at < sleep.deadline())
        {
            sleep.as_mut().reset(at);
        }
        let room = self.has_room();
        tokio::select! {
            biased;
            () = self.signals.told() => {}
            count = self.inbox.take(&mut self.events, self.config.turn), if room => {
                if count == 0 {
                    self.signals.stop(); // nobody is left who could send anything
                }
            }
            () = sleep, if earliest.is_some() => {}
        }
    }

    /// Whether the disk keeps up, so that events may be taken.
    fn has_room(&self) -> bool {
        if self.gate.unsynced() == 0 {
            return true;
        }
        if self.log.is_congested() || self.gate.waiting().len() > PROMISES_MAX {
            return false;
        }
        self.syncs.bytes_in_flight() <= self.config.unsynced_bytes
    }

    fn turn(&mut self) {
        self.now = Instant::now();
        self.counters.turns.fetch_add(1, Ordering::Relaxed);
        let records = self.syncs.collect();
        self.synced(records);

        // Whatever woke the driver, the events that wait are part of this turn.
        if self.has_room() {
            self.inbox.take_more(&mut self.events, self.config.turn);
        }
        let mut events = std::mem::take(&mut self.events);
        for waiting in events.drain(..) {
            match waiting {
                Waiting::Event { event, .. } => self.step(event),
                Waiting::Look(look) => look(&self.machine),
            }
        }
        self.events = events;

        // Each timer at most once, even if ticks had no length.
        for _ in 0..self.timers.len() {
            let Some(timer) = self.timers.take_due(self.now) else {
                break;
            };
            self.step(Event::Timeout(timer));
        }
        for _ in 0..ROUNDS {
            for _ in 0..self.loopback.len() {
                if let Some(event) = self.loopback.pop_front() {
                    self.step(event);
                }
            }
            if self.loopback.is_empty() {
                for _ in 0..self.timers.zeros() {
                    if let Some(timer) = self.timers.take_zero() {
                        self.step(Event::Timeout(timer));
                    }
                }
            }
            if self.loopback.is_empty() && self.timers.zeros() == 0 {
                break;
            }
        }
        self.leave();
    }

    /// The oldest `records` in flight have become durable: releases what was waiting for them.
    fn synced(&mut self, records: u64) {
        if records == 0 {
            return;
        }
        self.gate.synced(records);
        if let Some(recorder) = &mut self.recorder {
            recorder.durable(self.syncs.collected());
        }
        self.release();
    }

    fn step(&mut self, event: Event<M>) {
        self.counters.steps.fetch_add(1, Ordering::Relaxed);
        if let Some(recorder) = &mut self.recorder {
            recorder.event(&event);
        }
        self.machine.step(&self.machine_config, event, &mut self.fx);
        self.absorb();
    }

    /// Takes the effects of a step apart. Nothing leaves the node here.
    fn absorb(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.effects(&self.fx);
        }
        if self.fx.is_empty() {
            return;
        }
        let mut fx = std::mem::take(&mut self.fx);
        for timer in fx.drain_timers() {
            match timer {
                TimerEffect::Arm(timer, ticks) => self.timers.arm(timer, ticks, self.now),
                TimerEffect::Disarm(timer) => self.timers.disarm(timer),
            }
        }
        for immediate in fx.drain_immediate() {
            self.let_go(immediate);
        }
        for record in self.gate.absorb(&mut fx) {
            record.encode(&mut self.block);
            let record = self.block.split().freeze();
            self.record_bytes += record.len() as u64 + RECORD_OVERHEAD_BYTES;
            self.records.push(record);
        }
        self.fx = fx;
        self.release();
        if self.record_bytes >= BATCH_BYTES {
            self.append();
        }
    }

    fn release(&mut self) {
        while let Some(promise) = self.gate.release() {
            self.let_go(promise);
        }
    }

    fn let_go(&mut self, promise: Promise<M>) {
        match promise {
            Promise::Send { to, message } => self.send(to, message),
            Promise::Output(output) => self.told.push(output),
        }
    }

    fn send(&mut self, to: NodeId, message: M::Message) {
        if to == self.me {
            self.loopback
                .push_back(Event::Receive { from: to, message });
        } else {
            message.encode(&mut self.block);
            self.messages.push((to, self.block.split().freeze()));
        }
    }

    /// Lets out what the turn has collected.
    fn leave(&mut self) {
        self.append();
        let sent = self.messages.len() as u64;
        self.counters.sent.fetch_add(sent, Ordering::Relaxed);
        for (to, payload) in self.messages.drain(..) {
            self.network.send(to, self.config.group, payload);
        }
        for output in self.told.drain(..) {
            (self.outputs)(output);
        }
    }

    /// Gives the log the records that it does not have yet, the event log before it: whatever others
    /// see of a turn, its events survive the process.
    fn append(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.flush();
        }
        if self.records.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.record_bytes);
        let Some(in_flight) = self.syncs.append(self.records.len() as u64, bytes) else {
            return; // The log has failed, and the driver is about to end.
        };
        // The next turn is probably like this one.
        let next = Vec::with_capacity(self.records.len());
        let records = std::mem::replace(&mut self.records, next);
        let done = Box::new(move || in_flight.durable());
        if let Err(error) = self.log.append(self.config.group, records, done) {
            tracing::error!(group = %self.config.group, "stopping, the log takes no more: {error}");
        }
    }
}
