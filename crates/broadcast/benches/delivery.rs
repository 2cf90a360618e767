//! What the machine itself costs: members that broadcast batches to each other, their disks and network perfect.
//!
//! `cargo bench -p quorate-broadcast`: the figures are deliveries a second of all members together, with the records
//! folded into durable state as well.

use divan::Bencher;
use divan::counter::ItemsCount;
use quorate_broadcast::{Batch, Broadcast, Clock, Command, Config, Ledger, Message, Output, Timer};
use quorate_machine::{Effects, Event, Gate, Machine, NodeId, Promise};
use std::collections::VecDeque;
use std::sync::Arc;

type Payload = Arc<[u8]>;

fn main() {
    divan::main();
}

struct Member {
    config: Config,
    machine: Broadcast<Payload>,
    disk: Ledger<Payload>,
    gate: Gate<Broadcast<Payload>>,
    fx: Effects<Broadcast<Payload>>,
}

struct Group {
    members: Vec<Member>,
    network: VecDeque<(NodeId, NodeId, Message<Payload>)>,
    delivered: usize,
}

impl Group {
    fn new(size: u32) -> Self {
        let ids = (1..=size).map(NodeId);
        let members = ids.clone().map(|id| {
            let config = Config::new(id, ids.clone());
            let (disk, mut fx) = (Ledger::default(), Effects::new());
            Member {
                machine: Broadcast::start(&config, &disk, &mut fx),
                config,
                disk,
                gate: Gate::new(),
                fx: Effects::new(),
            }
        });
        Group {
            members: members.collect(),
            network: VecDeque::new(),
            delivered: 0,
        }
    }

    fn step(&mut self, at: usize, event: Event<Broadcast<Payload>>) {
        let member = &mut self.members[at];
        member.machine.step(&member.config, event, &mut member.fx);
        let records: Vec<_> = member.gate.absorb(&mut member.fx).collect();
        for record in &records {
            Broadcast::apply(&mut member.disk, record);
        }
        member.gate.synced(records.len() as u64);
        member.fx = Effects::new();
        let mut consumed = None;
        while let Some(promise) = member.gate.release() {
            match promise {
                Promise::Send { to, message } => {
                    self.network.push_back((member.config.id, to, message));
                }
                Promise::Output(Output::Delivered(delivery)) => {
                    self.delivered += delivery.batch.payloads.len();
                    consumed = Some(delivery.last());
                }
                Promise::Output(_) => {}
            }
        }
        if let Some(position) = consumed {
            self.step(at, Event::Command(Command::Consumed { position }));
        }
    }

    /// Each member broadcasts so many messages in a turn, and everything arrives.
    fn round(&mut self, messages: usize, payload: &Payload) {
        for at in 0..self.members.len() {
            let payloads = vec![payload.clone(); messages];
            self.step(at, Event::Command(Command::Broadcast { id: 0, payloads }));
            self.step(at, Event::Timeout(Timer::Flush));
        }
        while !self.network.is_empty() {
            while let Some((from, to, message)) = self.network.pop_front() {
                self.step(to.0 as usize - 1, Event::Receive { from, message });
            }
            for at in 0..self.members.len() {
                self.step(at, Event::Timeout(Timer::Flush));
            }
        }
    }
}

/// Batches of so many 64-byte messages, in groups of three and of sixteen.
#[divan::bench(args = [(3, 1), (3, 10), (3, 100), (16, 1), (16, 100)])]
fn deliveries(bencher: Bencher<'_, '_>, (size, messages): (u32, usize)) {
    let payload: Payload = vec![7_u8; 64].into();
    let mut group = Group::new(size);
    let deliveries = size as usize * size as usize * messages;
    bencher
        .counter(ItemsCount::new(deliveries))
        .bench_local(|| group.round(messages, &payload));
    assert!(group.delivered > 0, "nothing was measured");
}

/// A message is taken while so many others wait for a cause: they must not cost anything.
#[divan::bench(args = [0, 100, 10_000])]
fn beside_pending(bencher: Bencher<'_, '_>, pending: u64) {
    let batch = |sender: u32, first: u64, after: &[(u32, u64)]| {
        let after = after
            .iter()
            .map(|(member, count)| (NodeId(*member), *count));
        Arc::new(Batch {
            sender: NodeId(sender),
            first,
            after: Clock::from_entries(after).unwrap_or_default(),
            payloads: vec![Payload::from([7_u8; 64])].into(),
        })
    };
    let mut ledger = Ledger::default();
    for first in 1..=pending {
        // A cause that never comes.
        ledger.take(batch(2, first, &[(3, 1)]));
    }
    let mut first = 0;
    bencher.bench_local(|| {
        first += 1;
        let taken = ledger.take(batch(1, first, &[]));
        ledger.consume(first);
        assert!(taken, "the next message is taken");
    });
}
