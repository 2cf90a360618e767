//! Holds the whole graph of a Rust model against TLC's graph of the specification.
//!
//! Model checking shows that the properties hold of the Rust machine, and TLC shows that they hold of the
//! specification. Neither shows that the two are the same protocol. Here that is checked within bounds, state by
//! state and step by step: TLC writes down the graph of the specification, the model checker's own
//! [`System`](quorate_model::System) plays the machine that runs in production, and through an abstraction
//! function
//!
//! - **every step of Rust is a step of the specification**, one for one and by the action of the same name, or
//!   changes nothing: Rust refines the specification;
//! - **every state and step of the specification that Rust never takes is counted**, by action: if there is none,
//!   the specification allows nothing that Rust does not do, and its graph *is* Rust's.
//!
//! A step that is none of the specification is a [`Disagreement`]: the way to it, which is a shortest one, what
//! Rust changes, what the specification's action of that name would change instead, and both states. Either side
//! may be the one that is wrong.
//!
//! # How
//!
//! [`Tlc`] runs TLC with `-dump dot,actionlabels`; [`Graph`] reads the states and steps, line by line, into a
//! [`Pool`] that has every value once. [`compare()`] walks over the Rust model breadth first. Each Rust state
//! is abstracted once, to a [`Value`] of TLA+; equal values have one number in the pool, so that no two states are
//! taken for one because of a hash.
//!
//! What is compared is a [`Subject`]; [`raft`] is the one for Raft, [`abstraction`] its abstraction function,
//! which trace validation of real nodes uses as well; [`broadcast`] is the one for causal broadcast, [`paxos`] the
//! one for Paxos, [`commit`] the one for two-phase commit. A further protocol adds a subject, and a line in
//! `run.rs`; [`grain`] has what those whose specifications have the machine's grain share.
//!
//! # What it does not show
//!
//! It is about the bounds of the configurations in `specs/*/MC*Refine*.cfg`, which Rust and TLC read from
//! one file. Rust states are told apart by 128 bits of hash, and TLC's by 64. What the abstraction forgets is said
//! in [`abstraction`].

pub mod abstraction;
mod bounds;
pub mod broadcast;
pub mod commit;
mod compare;
mod difference;
pub mod grain;
mod graph;
mod parse;
pub mod paxos;
mod pool;
pub mod raft;
mod report;
mod run;
mod subject;
mod tlc;
mod value;

pub use bounds::{Bounds, BoundsError};
pub use compare::{CompareError, compare};
pub use difference::{Difference, differences};
pub use graph::{Graph, GraphError, Step};
pub use parse::{ParseError, assignments};
pub use pool::{Pool, ValueId};
pub use report::{ActionCount, Choice, Disagreement, Report, Wrong};
pub use run::{RunError, Source, run};
pub use subject::{Move, Subject};
pub use tlc::{Tlc, TlcError};
pub use value::Value;
