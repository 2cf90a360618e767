//! Holds the whole graph of a Rust model against TLC's graph of the specification.

pub mod abstraction;
mod bounds;
mod compare;
mod difference;
mod graph;
mod parse;
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
pub use run::{RunError, run};
pub use subject::{Move, Subject};
pub use tlc::{Tlc, TlcError};
pub use value::Value;
