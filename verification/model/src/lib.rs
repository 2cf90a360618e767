//! Model checking of any [`Machine`](quorate_machine::Machine): every order of deliveries, timers,
//! syncs, crashes and client requests, within stated bounds.
//!
//! A [`Protocol`] says who runs a machine, what clients do and what must hold; [`check`] explores
//! every state of the resulting [`System`] and returns a [`Report`], with a [`Trace`] for each
//! violated property that reads as a list of steps or as a sequence diagram; [`explore`] serves
//! stateright's explorer for the same system.
//!
//! A [`Scenario`] is the short way to a protocol: nodes, scripts of clients, properties, and nothing to
//! implement. [`PROTOCOLS`] lists the protocols that are checked here, and [`specimens`] keeps designs that
//! are known to be wrong, each with the property that it must break.
//!
//! # The system
//!
//! The nodes play by the rules of the production driver: effects pass through the same
//! [`Gate`](quorate_machine::Gate), and a node's messages to itself are stepped at once. What may
//! happen, at any moment and in any order, is an [`Action`]:
//!
//! - **A client asks.** Clients are one value beside the nodes; they invoke and repeat operations,
//!   and remember what they were told.
//! - **A message arrives**, any of those in flight: the network is a set, so every reordering is
//!   explored. A duplicate arrives and stays in flight.
//! - **A message is lost** by never arriving; that needs no action, since no property but the
//!   built-in one about disks reads the network, and that one wants to see the message. Only when
//!   the network holds more than its bound must it lose something, and then every choice is
//!   explored. Nothing needs to be done either about a delivery that changes nothing: the message
//!   stays.
//! - **A timer fires**, if it is armed. Ticks mean nothing here, so more orders are explored than
//!   clocks allow, and no property may rest on durations.
//! - **A sync completes**: the records of the oldest unsynced step become durable and what waited
//!   for them is released. In production one sync may cover many steps; that is several of these
//!   with nothing in between.
//! - **A node crashes**, loses its machine, its timers and its unsynced records, and **recovers**
//!   from its disk. A crashed node *has* no machine here, so that no property can read a stale one.
//!
//! # Why not stateright's actors
//!
//! stateright's checkers, paths and explorer work for any of its models, and its `ActorModel` is one
//! of them. We implement `Model` ourselves, because what must be modelled is structural there: its
//! timer sets are hashed without their lengths, so that distinct states collide; `save` takes effect
//! together with the messages of the same handler, so that no crash falls between them; `max_crashes`
//! bounds crashes at the same time and not in total; a crashed actor keeps its state; and states are
//! heavy. Each of these is pinned by a test here that counts states.
//!
//! Three more things are avoided. `eventually` properties overlook cycles, so there are none: what must
//! happen in the end is decided by a search for fair cycles ([`liveness`]). A depth limit is not sound
//! in a depth-first search, so the bounds are part of the model. Symmetry reduction is not implemented
//! by all of stateright's searches.
//!
//! # What a result means
//!
//! [`Verdict::Holds`] means: in every state within the [`Bounds`], but for hash collisions (see
//! [`Cached`]). A `sometimes` property that is found shows that the bounds are wide enough for the
//! thing it names. [`Report::complete`] tells whether the whole bounded space was explored.
//! Whole behaviours are judged by [`check_liveness`], under the fairness that [`Liveness`] states.

pub mod assembly;
pub mod broadcast;
mod cached;
mod check;
pub mod commit;
mod configuration;
mod explore;
pub mod liveness;
pub mod paxos;
mod pool;
mod properties;
mod protocol;
pub mod raft;
mod report;
mod scenario;
mod scope;
pub mod specimens;
mod state;
mod step;
mod svg;
mod system;
mod trace;
mod xml;

pub use cached::Cached;
pub use check::{CheckError, Options, Progress, ProgressFn, Search, check};
pub use configuration::{Configuration, PROTOCOLS, Registered};
pub use explore::explore;
pub use liveness::{
    Liveness, LivenessError, LivenessFinding, LivenessReport, Pattern, check_liveness,
};
pub use properties::{BACKED, CRASH_LOSES, NO_FAILURE, RECOVERS};
pub use protocol::{Bound, Bounds, Expectation, Property, Protocol, Request};
pub use quorate_fair::Fairness;
pub use report::{PropertyReport, Report, Stop, Verdict};
pub use scenario::{History, Scenario, Seen};
pub use scope::Scope;
pub use state::{Envelope, Node, Spent, State, Up};
pub use step::Action;
pub use system::System;
pub use trace::{Cycle, Effect, Trace, TraceStep, What};
pub use xml::escape;
