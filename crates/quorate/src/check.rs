//! The engines' names, as a protocol's author needs them.
//!
//! A production build without the `check` feature has none of them, and does not compile the engines.

pub use quorate_check::{
    CheckError, Checks, Engine, Evidence, Finding, Markdown, Run, Settings, Table, Task, junit,
    passed, write_diagrams, write_report,
};
pub use quorate_model as model;
pub use quorate_model::{
    Bounds, Fairness, History, Options, Pattern, Property, Protocol, Report, Request, Scenario,
    Search, Seen, State, Verdict, check, explore,
};
pub use quorate_simulator as simulator;
