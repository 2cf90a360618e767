//! What a driver is connected to: the log, the network, and the bytes of the machine's types.

use crate::driver::Counters;
use bytes::Bytes;
use quorate_handoff::Budget;
use quorate_machine::{Event, GroupId, Machine, NodeId};
use quorate_storage::RecordLog;
use quorate_transport::{Inbound, Malformed, Transport, Wire};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::mpsc::{Receiver, Sender};

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

/// Something on its way to the machine.
pub(crate) enum Waiting<M: Machine> {
    Event {
        event: Event<M>,
        /// The length of a message; commands are limited by number only.
        bytes: u64,
    },
    /// Somebody wants to see the machine as it is then.
    Look(Box<dyn FnOnce(&M) + Send>),
}

impl<M: Machine> Waiting<M> {
    fn bytes(&self) -> u64 {
        match self {
            Waiting::Event { bytes, .. } => *bytes,
            Waiting::Look(_) => 0,
        }
    }
}

/// What waits to be stepped: the driver's end.
pub(crate) struct Inbox<M: Machine> {
    pub(crate) events: Receiver<Waiting<M>>,
    /// The bytes of messages that may wait.
    pub(crate) budget: Arc<Budget>,
}

impl<M: Machine> Inbox<M> {
    /// Waits for events and takes up to `most`, at least one; returns how many. None if nobody is left
    /// who could send any.
    pub(crate) async fn take(&mut self, into: &mut Vec<Waiting<M>>, most: usize) -> usize {
        let count = self.events.recv_many(into, most.max(1)).await;
        self.took(&into[into.len() - count..]);
        count
    }

    /// Takes what waits now, until there are `most` altogether.
    pub(crate) fn take_more(&mut self, into: &mut Vec<Waiting<M>>, most: usize) {
        let before = into.len();
        while into.len() < most
            && let Ok(event) = self.events.try_recv()
        {
            into.push(event);
        }
        self.took(&into[before..]);
    }

    /// Takes no more; who waits for room is told.
    pub(crate) fn close(&mut self) {
        self.events.close();
    }

    fn took(&self, events: &[Waiting<M>]) {
        let bytes = events.iter().map(Waiting::bytes).sum();
        if bytes > 0 {
            self.budget.give_back(bytes);
        }
    }
}

/// Parses what peers send, on the connection's task, so that the driver's task only steps.
pub(crate) struct Edge<M: Machine> {
    pub(crate) inbox: Sender<Waiting<M>>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) counters: Arc<Counters>,
}

impl<M: DrivenMachine> Inbound for Edge<M> {
    fn receive(&self, from: NodeId, payload: Bytes) -> Result<(), Malformed> {
        let bytes = payload.len() as u64;
        let message = M::Message::decode(payload)?;
        let event = Event::Receive { from, message };
        let queue = || self.inbox.try_send(Waiting::Event { event, bytes }).is_ok();
        if !self.budget.admit(bytes, queue) {
            self.counters.dropped_full.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
