//! The trait that every protocol of Quorate implements, and the little that is needed to drive it.
//!
//! A [`Machine`] is a deterministic state machine: it is handed an [`Event`], changes its state, and
//! writes what it wants done into [`Effects`]. It has no clock, no randomness, no I/O and no threads,
//! so the same code runs under a model checker that tries every interleaving, in a simulator, and in
//! production.
//!
//! # What you write
//!
//! Seven types, and four functions:
//!
//! | | |
//! |---|---|
//! | [`Config`](Machine::Config) | what does not change while the node runs: its id, its peers, its limits |
//! | [`Command`](Machine::Command) | what a local client asks |
//! | [`Message`](Machine::Message) | what a peer says |
//! | [`Timer`](Machine::Timer) | a closed enum; one timer is armed per value |
//! | [`Record`](Machine::Record) | one durable write |
//! | [`Durable`](Machine::Durable) | the fold of all records: what a crash leaves |
//! | [`Output`](Machine::Output) | what the application is told |
//!
//! [`Machine::apply`] folds a record into the durable state, [`Machine::start`] builds the machine from
//! it (first start and every recovery alike), [`Machine::step`] handles an event, and
//! [`Machine::backed`] tells a checker what each message claims about its sender's disk.
//!
//! # The promise
//!
//! [`Effects::send`] and [`Effects::output`] are *promises*: they leave the node only after every record
//! that was persisted before them, in this step or an earlier one, is durable. A vote that leaves
//! before it is on disk lets a restarted node vote twice; with this order it cannot be written by
//! accident. [`Effects::send_before_sync`] and [`Effects::output_before_sync`] are the exception, named so that they
//! can be searched for; they are right only for what claims nothing about the sender's disk.
//!
//! The records of one step become durable together or not at all, and in the order of the steps.
//!
//! A message that a node sends to itself is delivered to it as the next event once its promise is
//! due. That is how a machine learns that its own write is durable: it promises itself an
//! acknowledgement, and counts itself when the acknowledgement arrives.
//!
//! # Time
//!
//! Timers carry a range of *ticks* and the driver draws from it; the length of a tick is the driver's
//! configuration. A timer of zero ticks fires once the events at hand have been stepped: it is the way
//! to batch. A model checker fires an armed timer at any moment, so no property may rest on durations.
//!
//! # Rules
//!
//! - `step` must not panic, whatever a peer or a client sends: check, and ignore or answer.
//! - Equal state and equal event give equal effects: no iteration over a `HashMap`, no addresses, no
//!   globals.
//! - `Config` is never hashed: nothing in it may change.
//!
//! ```
//! use quorate_machine::{Effects, Event, Machine, NodeId};
//!
//! /// Counts durable pings of its peers.
//! #[derive(Clone, Debug, PartialEq, Eq, Hash)]
//! struct Counter {
//!     pings: u8,
//! }
//!
//! impl Machine for Counter {
//!     type Config = ();
//!     type Command = ();
//!     type Message = ();
//!     type Timer = ();
//!     type Record = ();
//!     type Durable = u8;
//!     type Output = u8;
//!
//!     fn apply(durable: &mut u8, _ping: &()) {
//!         *durable = durable.saturating_add(1);
//!     }
//!     fn start(_config: &(), durable: &u8, _fx: &mut Effects<Self>) -> Self {
//!         Counter { pings: *durable }
//!     }
//!     fn step(&mut self, _config: &(), event: Event<Self>, fx: &mut Effects<Self>) {
//!         if let Event::Receive { .. } = event {
//!             self.pings = self.pings.saturating_add(1);
//!             fx.persist(());
//!             fx.output(self.pings); // told only once the ping is on disk
//!         }
//!     }
//!     fn backed(_to: NodeId, _message: &(), _sender: &u8) -> bool {
//!         true // a ping claims nothing
//!     }
//! }
//!
//! let mut fx = Effects::new();
//! let mut counter = Counter::start(&(), &0, &mut fx);
//! counter.step(&(), Event::Receive { from: NodeId(2), message: () }, &mut fx);
//! assert_eq!(fx.records().len(), 1);
//! ```

mod effects;
mod gate;
#[cfg(test)]
mod inert;
mod node;
mod quorum;

pub use effects::{Effects, Promise, TimerEffect};
pub use gate::Gate;
pub use node::{GroupId, NodeId};
pub use quorum::{committed_by_majority, majority};

use std::fmt::Debug;
use std::hash::Hash;
use std::ops::RangeInclusive;

/// A number of timer ticks, both ends included; the driver draws one of them.
pub type Ticks = RangeInclusive<u32>;

/// What a machine's types must offer: they are copied, compared, hashed and printed by checkers.
pub trait Value: Clone + Debug + Eq + Hash + Send + Sync + 'static {}
impl<T: Clone + Debug + Eq + Hash + Send + Sync + 'static> Value for T {}

/// What happens to a machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event<M: Machine> {
    /// A local client asks.
    Command(M::Command),
    /// A message arrived. `from` is authenticated by the transport; its content is only claimed.
    Receive {
        /// The sender, possibly this node itself.
        from: NodeId,
        /// What it says.
        message: M::Message,
    },
    /// An armed timer fired; it is no longer armed.
    Timeout(M::Timer),
}

/// A deterministic state machine of one node of a protocol. See the [crate's introduction](crate).
pub trait Machine: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// What does not change while the node runs. Passed to every call, never hashed.
    type Config: Send + Sync + 'static;
    /// What a local client asks.
    type Command: Value;
    /// What a peer says: a domain type, parsed at the edge.
    type Message: Value;
    /// A closed enum of the machine's timers; one is armed per value.
    type Timer: Value + Copy;
    /// One durable write.
    type Record: Value;
    /// The fold of all records: what a crash leaves.
    type Durable: Value + Default;
    /// What the application is told.
    type Output: Value;

    /// Folds one record into the durable state.
    fn apply(durable: &mut Self::Durable, record: &Self::Record);

    /// Builds the machine from what is durable, at the first start and after every crash.
    fn start(config: &Self::Config, durable: &Self::Durable, fx: &mut Effects<Self>) -> Self;

    /// Handles one event. Must not panic on any event.
    fn step(&mut self, config: &Self::Config, event: Event<Self>, fx: &mut Effects<Self>);

    /// Whether the sender's disk supports what `message`, addressed to `to`, claims about it.
    ///
    /// Checkers evaluate it for every message on the wire; it must be false for a message that
    /// escaped before the record that it speaks of.
    fn backed(to: NodeId, message: &Self::Message, sender: &Self::Durable) -> bool;
}
