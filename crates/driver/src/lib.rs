//! Runs a [`Machine`](quorate_machine::Machine) for real: on tokio, with a disk, a network and a clock.
//!
//! A driver is one task for one group. It works in turns:
//!
//! ```text
//!          ┌──────────────────────────── one turn ─────────────────────────────┐
//! inbox ──►│ step each event into one Effects ─► Gate ─► records of the turn   │──► log.append
//! clock ──►│      ▲                               │                            │      │
//!          │      └── messages to itself ◄────────┤ due promises               │      │
//!          └──────────────────────────────────────┴────────────────────────────┘      │
//!                        ▲                         └──► network, application          │
//!                        └────────────── "durable" ───────────────────────────────────┘
//! ```
//!
//! 1. Promises whose records have become durable since the last turn are released.
//! 2. Up to [`DriverConfig::turn`] events from peers and clients are stepped, then the timers that
//!    are due. Events go first: a node that was late must not call an election because the
//!    heartbeat that it has already received was still in its inbox.
//! 3. Messages that the machine sends to itself are stepped, and timers of zero ticks fire, until
//!    there are none; but only so often, so that a machine which never stops cannot keep the turn.
//! 4. All records of the turn go to the log as one atomic batch, and what is due leaves.
//!
//! The driver then waits for the next event, not for the disk: stepping goes on while any number of
//! syncs are in flight. The [`Gate`](quorate_machine::Gate) alone decides what may leave.
//!
//! # What is bounded
//!
//! The inbox, in events and in bytes of messages; the events of a turn; the bytes that wait for the
//! disk, beyond which no event is taken.
//! A message from a peer that finds the inbox full is dropped and counted, as if the network had lost
//! it; a command is refused with [`TrySubmitError::Full`].
//!
//! # Between threads
//!
//! The thread that syncs, connections that bring messages and whoever stops the driver share four small
//! structures with its task, which are in `quorate-handoff` and checked there in every interleaving;
//! beside them there are only tokio's channels.
//!
//! # Seeing it again
//!
//! With [`DriverConfig::event_log`] a driver records every step before its effects leave the node;
//! [`replay()`] runs the record through the machine again and tells where, if anywhere, it
//! behaves differently. It needs no clock and no network: the events are all there is.

mod driver;
mod edge;
mod event_log;
mod excerpt;
mod handle;
mod replay;
mod timers;

#[cfg(test)]
mod tests;

pub use edge::{DrivenMachine, Log, LogError, Network};
pub use event_log::{Fingerprint, Recorder, event_log_node, event_logs};
pub use excerpt::{around_difference, shortened};
pub use handle::{
    Closed, DriverConfig, DriverStats, Handle, StartError, TrySubmitError, spawn, spawn_recovered,
};
pub use replay::{Divergence, Moment, ReplayReport, Replayer, replay};
