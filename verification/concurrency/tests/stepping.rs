//! The task that steps a machine, the thread that syncs its records, and who stops it: the driver's
//! [`Syncs`] and [`Signals`] around the [`Gate`] that decides what may leave.
#![cfg(loom)]

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::mpsc::{Receiver, Sender, channel};
use loom::thread::{self, JoinHandle};
use quorate_concurrency::explore_up_to;
use quorate_handoff::{Bell, InFlight, Signals, Syncs};
use quorate_machine::{Effects, Event, Gate, Machine, NodeId, Promise};

/// A machine whose every step persists a record and promises its number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Counting(u64);

impl Machine for Counting {
    type Config = ();
    type Command = ();
    type Message = ();
    type Timer = ();
    type Record = u64;
    type Durable = u64;
    type Output = u64;

    fn apply(last: &mut u64, record: &u64) {
        *last = *record;
    }

    fn start(_: &(), last: &u64, _: &mut Effects<Self>) -> Self {
        Counting(*last)
    }

    fn step(&mut self, _: &(), _: Event<Self>, fx: &mut Effects<Self>) {
        self.0 += 1;
        fx.persist(self.0);
        fx.output(self.0);
    }

    fn backed(_: NodeId, _: &(), _: &u64) -> bool {
        true
    }
}

/// What has reached the disk. It orders nothing: that the stepping task sees it is what is checked.
type Disk = Arc<AtomicU64>;

/// The stepping task, as the driver has it.
struct Stepping {
    machine: Counting,
    gate: Gate<Counting>,
    syncs: Syncs,
    log: Sender<(u64, InFlight)>,
    disk: Disk,
    left: Vec<u64>,
}

impl Stepping {
    /// With a log in which `batches` wait: the thread that syncs has yet to begin.
    fn new(signals: &Arc<Signals>, batches: u64) -> (Stepping, Receiver<(u64, InFlight)>) {
        let (log, jobs) = channel();
        let mut stepping = Stepping {
            machine: Counting(0),
            gate: Gate::new(),
            syncs: Syncs::new(signals.clone()),
            log,
            disk: Disk::default(),
            left: Vec::new(),
        };
        for _ in 0..batches {
            stepping.turn();
        }
        (stepping, jobs)
    }

    /// Steps once, and gives the record to the log.
    fn turn(&mut self) {
        let mut fx = Effects::new();
        self.machine.step(&(), Event::Command(()), &mut fx);
        for record in self.gate.absorb(&mut fx) {
            if let Some(in_flight) = self.syncs.append(1, 100) {
                // A log that has ended drops it.
                let _ended = self.log.send((record, in_flight));
            }
        }
        self.release();
    }

    fn synced(&mut self, records: u64) {
        self.gate.synced(records);
        self.release();
    }

    fn release(&mut self) {
        while let Some(promise) = self.gate.release() {
            let Promise::Output(number) = promise else {
                panic!("it promises nothing else");
            };
            let durable = self.disk.load(Ordering::Relaxed);
            assert!(number <= durable, "{number} leaves, {durable} is durable");
            self.left.push(number);
        }
    }

    fn finish(&mut self) {
        while let Some(records) = block_on(self.syncs.finish()) {
            self.synced(records);
        }
    }
}

/// Syncs `rounds` batches, and drops what is left.
fn sync_thread(jobs: Receiver<(u64, InFlight)>, disk: Disk, rounds: usize) -> JoinHandle<()> {
    thread::spawn(move || {
        for _ in 0..rounds {
            let (record, in_flight) = jobs.recv().expect("a batch");
            disk.store(record, Ordering::Relaxed);
            in_flight.durable();
        }
    })
}

#[test]
fn promises_leave_when_the_disk_has_what_they_promise() {
    explore_up_to(3, || {
        let signals = Arc::new(Signals::default());
        let (mut stepping, jobs) = Stepping::new(&signals, 2);
        let syncing = sync_thread(jobs, stepping.disk.clone(), 3);
        // A turn that nobody has called for looks too.
        let records = stepping.syncs.collect();
        stepping.synced(records);
        stepping.turn();
        while stepping.left.len() < 3 {
            block_on(signals.told());
            let records = stepping.syncs.collect();
            stepping.synced(records);
        }
        assert_eq!(stepping.left, [1, 2, 3]);
        assert_eq!(stepping.syncs.bytes_in_flight(), 0);
        syncing.join().expect("no panic");
    });
}

#[test]
fn a_task_without_room_is_told_when_there_is_some() {
    explore_up_to(3, || {
        let signals = Arc::new(Signals::default());
        let (mut stepping, jobs) = Stepping::new(&signals, 2);
        let syncing = sync_thread(jobs, stepping.disk.clone(), 2);
        while stepping.syncs.bytes_in_flight() > 0 {
            block_on(signals.told());
        }
        stepping.finish();
        assert_eq!(stepping.left, [1, 2]);
        syncing.join().expect("no panic");
    });
}

#[test]
fn a_stop_waits_for_every_sync_in_flight() {
    explore_up_to(2, || {
        let signals = Arc::new(Signals::default());
        let (mut stepping, jobs) = Stepping::new(&signals, 2);
        let syncing = sync_thread(jobs, stepping.disk.clone(), 2);
        let other = signals.clone();
        let stopper = thread::spawn(move || other.stop());
        while !signals.is_stopping() {
            let records = stepping.syncs.collect();
            stepping.synced(records);
            block_on(signals.told());
        }
        stepping.finish();
        assert_eq!(stepping.left, [1, 2]);
        assert!(!signals.has_failed());
        stopper.join().expect("no panic");
        syncing.join().expect("no panic");
    });
}

#[test]
fn nothing_that_a_log_gave_up_ever_leaves() {
    explore_up_to(3, || {
        let signals = Arc::new(Signals::default());
        let (mut stepping, jobs) = Stepping::new(&signals, 2);
        // The first is synced; the second is given up.
        let syncing = sync_thread(jobs, stepping.disk.clone(), 1);
        while !signals.is_stopping() {
            let records = stepping.syncs.collect();
            stepping.synced(records);
            block_on(signals.told());
        }
        assert!(signals.has_failed(), "nobody else has stopped it");
        stepping.turn();
        stepping.finish();
        syncing.join().expect("no panic");
        assert_eq!(stepping.left, [1]);
    });
}

#[test]
fn a_stop_ends_although_the_log_gives_up() {
    explore_up_to(3, || {
        let signals = Arc::new(Signals::default());
        let (mut stepping, jobs) = Stepping::new(&signals, 1);
        signals.stop();
        let syncing = sync_thread(jobs, stepping.disk.clone(), 0);
        stepping.finish();
        assert!(stepping.left.is_empty());
        syncing.join().expect("no panic");
    });
}

/// Two batches of two logs' threads would break the log's contract; but a log that gives a batch up and
/// then goes on must not have the second counted for the first.
#[test]
fn a_log_that_goes_on_after_a_failure_is_not_believed() {
    explore_up_to(3, || {
        let signals = Arc::new(Signals::default());
        let (mut stepping, jobs) = Stepping::new(&signals, 2);
        let syncing = thread::spawn(move || {
            let (_, first) = jobs.recv().expect("a batch");
            let (_, second) = jobs.recv().expect("a batch");
            drop(first);
            second.durable();
        });
        stepping.finish();
        assert!(stepping.left.is_empty());
        syncing.join().expect("no panic");
    });
}

#[test]
fn a_bell_is_heard_after_the_last_ring_however_many_ring() {
    explore_up_to(3, || {
        let bell = Arc::new(Bell::default());
        let rung = Arc::new(AtomicU64::new(0));
        let ringers = [1, 2].map(|ringer| {
            let (bell, rung) = (bell.clone(), rung.clone());
            thread::spawn(move || {
                rung.fetch_add(ringer, Ordering::Relaxed);
                bell.ring();
            })
        });
        // A plain load may return an older value: that it does not is the bell's doing.
        while rung.load(Ordering::Relaxed) != 3 {
            block_on(bell.heard());
        }
        for ringer in ringers {
            ringer.join().expect("no panic");
        }
    });
}
