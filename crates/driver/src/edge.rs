//! What a driver is connected to: the log, the network, and the bytes of the machine's types.

use crate::driver::Signals;
use bytes::Bytes;
use quorate_machine::{Event, GroupId, Machine, NodeId};
use quorate_storage::RecordLog;
use quorate_transport::{Inbound, Malformed, Transport, Wire};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::mpsc::Sender;

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

impl Log for RecordLog {
    fn append(
        &self,
        group: GroupId,
        records: Vec<Bytes>,
        done: Box<dyn FnOnce() + Send>,
    ) -> Result<(), LogError> {
        RecordLog::append(self, group, records, done)?;
        Ok(())
    }

    fn replay(
        &self,
        group: GroupId,
        each: &mut dyn FnMut(Bytes) -> Result<(), Malformed>,
    ) -> Result<(), LogError> {
        RecordLog::replay(self, group, &mut |record| Ok(each(record)?))?;
        Ok(())
    }

    fn is_congested(&self) -> bool {
        RecordLog::is_congested(self)
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

/// What waits in the inbox.
pub(crate) struct Waiting<M: Machine> {
    pub(crate) event: Event<M>,
    /// The length of a message; commands are limited by number only.
    pub(crate) bytes: u64,
}

/// Parses what peers send, on the connection's task, so that the driver's task only steps.
pub(crate) struct Edge<M: Machine> {
    pub(crate) inbox: Sender<Waiting<M>>,
    pub(crate) signals: Arc<Signals>,
    /// How many bytes of messages may wait.
    pub(crate) limit_bytes: u64,
}

impl<M: DrivenMachine> Inbound for Edge<M> {
    fn receive(&self, from: NodeId, payload: Bytes) -> Result<(), Malformed> {
        let bytes = payload.len() as u64;
        let message = M::Message::decode(payload)?;
        let event = Event::Receive { from, message };
        // Counted before it is queued, as the driver may take it at once.
        let before = self.signals.inbox_bytes.fetch_add(bytes, Ordering::Relaxed);
        // A message longer than the limit still has to get through when it is alone.
        let full = before > 0 && before + bytes > self.limit_bytes;
        if full || self.inbox.try_send(Waiting { event, bytes }).is_err() {
            self.signals.inbox_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.signals.dropped_full.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
