//! What a driver is connected to: the log, the network, and the bytes of the machine's types.

use bytes::Bytes;
use quorate_machine::{Event, GroupId, Machine, NodeId};
use quorate_transport::{Inbound, Malformed, Transport, Wire};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::{Sender, error::TrySendError};

/// A machine that can be driven: its messages and records have bytes, and so have its commands and
/// timers, for the event log.
pub trait DrivenMachine: Machine<Command: Wire, Message: Wire, Record: Wire, Timer: Wire> {}
impl<M: Machine<Command: Wire, Message: Wire, Record: Wire, Timer: Wire>> DrivenMachine for M {}

/// What a log says is wrong with it.
pub type LogError = Box<dyn Error + Send + Sync>;

/// Where records become durable.
pub trait Log: Send + 'static {
    /// Makes `records` durable together or not at all, after those of earlier calls for the same
    /// group, and calls `done` once they are, in the order of the calls. Must not block.
    ///
    /// An error, and a `done` that is dropped without having been called, stop the driver: nobody
    /// knows then what is on the disk, so nothing that waits for it may ever leave.
    fn append(
        &self,
        group: GroupId,
        records: Vec<Bytes>,
        done: Box<dyn FnOnce() + Send>,
    ) -> Result<(), LogError>;

    /// Hands out the durable records of `group` in order, until `each` refuses one.
    fn replay(
        &self,
        group: GroupId,
        each: &mut dyn FnMut(Bytes) -> Result<(), Malformed>,
    ) -> Result<(), LogError>;

    /// Whether so much waits for the disk, of all groups together, that a group with records in
    /// flight should take no events until some of them are durable.
    fn is_congested(&self) -> bool {
        false
    }
}

/// How messages get to other nodes.
pub trait Network: Clone + Send + 'static {
    /// This node.
    fn me(&self) -> NodeId;
    /// Sends without waiting; may lose the message.
    fn send(&self, to: NodeId, group: GroupId, payload: Bytes);
    /// Hands the messages of `group` to `inbound` from now on.
    fn register(&self, group: GroupId, inbound: Arc<dyn Inbound>);
    /// Drops the messages of `group` from now on.
    fn unregister(&self, group: GroupId);
}

impl Network for Transport {
    fn me(&self) -> NodeId {
        Transport::me(self)
    }
    fn send(&self, to: NodeId, group: GroupId, payload: Bytes) {
        Transport::send(self, to, group, payload);
    }
    fn register(&self, group: GroupId, inbound: Arc<dyn Inbound>) {
        Transport::register(self, group, inbound);
    }
    fn unregister(&self, group: GroupId) {
        Transport::unregister(self, group);
    }
}

/// Parses what peers send, on the connection's task, so that the driver's task only steps.
pub(crate) struct Edge<M: Machine> {
    pub(crate) inbox: Sender<Event<M>>,
    pub(crate) dropped: Arc<AtomicU64>,
}

impl<M: DrivenMachine> Inbound for Edge<M> {
    fn receive(&self, from: NodeId, payload: Bytes) -> Result<(), Malformed> {
        let message = M::Message::decode(payload)?;
        if let Err(TrySendError::Full(_)) = self.inbox.try_send(Event::Receive { from, message }) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
