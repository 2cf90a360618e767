//! Quorate: distributed protocols that are model-checked and then run unchanged.
//!
//! # A state machine of your own
//!
//! [`Replica`] keeps a [`StateMachine`] the same on every member of a cluster: you write what a command
//! does to the state, Quorate brings the agreement (Raft), the disk and the network. `crates/kv` is a
//! whole service on it.
//!
//! # A protocol of your own
//!
//! A [`Machine`] is the protocol: one deterministic step function. [`check()`] explores every order of its
//! messages, timers, syncs and crashes within bounds, [`explore`] walks through them in a browser, and a
//! [`Node`] runs the same machine in a real cluster, beside others if you like: its groups share one disk
//! and one network. `TUTORIAL.md` builds one in an hour.

#[cfg(feature = "check")]
mod check;
pub mod node;
mod pending;
pub mod replica;

pub use quorate_driver as driver;
pub use quorate_machine as machine;
pub use quorate_raft as raft;
pub use quorate_storage as storage;
pub use quorate_transport as transport;

#[cfg(feature = "check")]
pub use check::*;
pub use machine::{Effects, Event, GroupId, Machine, NodeId, majority};
pub use node::{GroupError, Member, Node, NodeError, NodeOptions, Running, serve_clients};
pub use pending::{Entered, Pending, Rejected};
pub use raft::{Index, Outcome, RoleName, SessionId, StateMachine, Term};
pub use replica::{Change, Changes, Lagged, Replica, StartError, Status, SubmitError, Tuning};
pub use transport::{Bytes, BytesMut, Malformed, Wire, wire_by_serde};
