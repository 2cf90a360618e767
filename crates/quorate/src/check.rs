//! The model checker's names, as a protocol's author needs them.
//!
//! A production build without the `check` feature has none of them, and does not compile the checker.

pub use quorate_model as model;
pub use quorate_model::{
    Bounds, CheckError, History, Options, Property, Protocol, Report, Request, Scenario, Search,
    Seen, State, Summary, Verdict, check, explore, write_diagrams,
};
