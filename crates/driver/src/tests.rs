//! Drivers of a toy machine, on a disk and a network that the test controls.

mod network;
mod replaying;
mod storing;
mod toy;
mod turns;

use crate::{DriverConfig, Handle, Log, LogError, Network, spawn, spawn_recovered};
use bytes::{Bytes, BytesMut};
use quorate_machine::{GroupId, NodeId};
use quorate_transport::{Inbound, Malformed, Wire};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;
use toy::{Message, Output, Toy};

const GROUP: GroupId = GroupId(1);
const ME: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);

type Batch = (Vec<Bytes>, Box<dyn FnOnce() + Send>);

/// A log in memory, which syncs when the test says so, or always.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<Platters>>);

#[derive(Default)]
struct Platters {
    durable: Vec<Bytes>,
    in_flight: VecDeque<Batch>,
    automatic: bool,
    refuses: bool,
}

impl Disk {
    fn automatic() -> Self {
        let disk = Disk::default();
        disk.0.lock().unwrap().automatic = true;
        disk
    }

    /// What a crash leaves of `self`.
    fn after_crash(&self) -> Self {
        let disk = Disk::default();
        disk.0.lock().unwrap().durable = self.0.lock().unwrap().durable.clone();
        disk
    }

    /// Makes the oldest batch durable.
    fn sync(&self) {
        let mut platters = self.0.lock().unwrap();
        let (records, done) = platters.in_flight.pop_front().expect("a batch in flight");
        platters.durable.extend(records);
        drop(platters);
        done();
    }

    /// Makes the oldest batch durable without saying so.
    fn sync_silently(&self) {
        let mut platters = self.0.lock().unwrap();
        let (records, done) = platters.in_flight.pop_front().expect("a batch in flight");
        platters.durable.extend(records);
        std::mem::forget(done);
    }

    /// Loses what is in flight.
    fn fail(&self) {
        let lost = std::mem::take(&mut self.0.lock().unwrap().in_flight);
        drop(lost);
    }

    /// The number of records in each batch in flight.
    fn in_flight(&self) -> Vec<usize> {
        let platters = self.0.lock().unwrap();
        platters
            .in_flight
            .iter()
            .map(|(records, _)| records.len())
            .collect()
    }
}

impl Log for Disk {
    fn append(
        &self,
        _group: GroupId,
        records: Vec<Bytes>,
        done: Box<dyn FnOnce() + Send>,
    ) -> Result<(), LogError> {
        let mut platters = self.0.lock().unwrap();
        if platters.refuses {
            return Err("refused".into());
        }
        if platters.automatic {
            platters.durable.extend(records);
            drop(platters);
            done();
        } else {
            platters.in_flight.push_back((records, done));
        }
        Ok(())
    }

    fn replay(
        &self,
        _group: GroupId,
        each: &mut dyn FnMut(Bytes) -> Result<(), Malformed>,
    ) -> Result<(), LogError> {
        let durable = self.0.lock().unwrap().durable.clone();
        durable.into_iter().try_for_each(each)?;
        Ok(())
    }
}

/// A network that keeps what is sent for the test.
#[derive(Clone, Default)]
struct Wiretap(Arc<Mutex<Tapped>>);

#[derive(Default)]
struct Tapped {
    sent: Vec<(NodeId, Message)>,
    groups: BTreeMap<GroupId, Arc<dyn Inbound>>,
}

impl Wiretap {
    fn sent(&self) -> Vec<(NodeId, Message)> {
        std::mem::take(&mut self.0.lock().unwrap().sent)
    }

    /// Delivers a message from a peer.
    fn deliver(&self, message: Message) -> Result<(), Malformed> {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes);
        self.deliver_bytes(bytes.freeze())
    }

    fn deliver_bytes(&self, bytes: Bytes) -> Result<(), Malformed> {
        let inbound = self.0.lock().unwrap().groups[&GROUP].clone();
        inbound.receive(PEER, bytes)
    }
}

impl Network for Wiretap {
    fn me(&self) -> NodeId {
        ME
    }
    fn send(&self, to: NodeId, _group: GroupId, payload: Bytes) {
        let message = Message::decode(payload).unwrap();
        self.0.lock().unwrap().sent.push((to, message));
    }
    fn register(&self, group: GroupId, inbound: Arc<dyn Inbound>) {
        self.0.lock().unwrap().groups.insert(group, inbound);
    }
    fn unregister(&self, group: GroupId) {
        self.0.lock().unwrap().groups.remove(&group);
    }
}

/// A driven toy.
struct Node {
    handle: Handle<Toy>,
    disk: Disk,
    network: Wiretap,
    outputs: UnboundedReceiver<Output>,
}

impl Node {
    fn start(disk: Disk, config: DriverConfig) -> Self {
        let network = Wiretap::default();
        let (sender, outputs) = unbounded_channel();
        let told = move |output| drop(sender.send(output));
        let handle = spawn(config, ME, disk.clone(), network.clone(), told).unwrap();
        Node {
            handle,
            disk,
            network,
            outputs,
        }
    }

    async fn submit(&self, commands: impl IntoIterator<Item = toy::Command>) {
        for command in commands {
            self.handle.try_submit(command).unwrap();
        }
        settle().await;
    }

    /// The outputs so far.
    fn told(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.outputs.try_recv().ok()).collect()
    }
}

/// Lets the driver, which runs on the same thread, do what it can do now.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Fails a test that hangs.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), future)
        .await
        .expect("soon")
}

fn config() -> DriverConfig {
    DriverConfig {
        seed: Some(1),
        ..DriverConfig::new(GROUP)
    }
}
