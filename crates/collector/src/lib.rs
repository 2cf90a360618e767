//! The trace collector: takes spans from any OpenTelemetry SDK, assembles traces, says what is wrong with
//! them, keeps them, and answers questions about them. One process, one data directory.
//!
//! # The way of a span
//!
//! ```text
//!  OTLP ─▶ scan ─▶ log ─▶ assembly ─▶ judge ─▶ analyse ─▶ sample ─▶ exports ─▶ store ─▶ queries
//!            │      │                   │                                        │
//!      refused   answered          waits for more                     the log is released
//! ```
//!
//! - A request is scanned once, where it lies, and written to the log as it is. Its client is answered
//!   when it is durable; then its spans enter assembly. `pipeline.rs`
//! - Sealers take traces whose time has come, and bring them to the store. `seal.rs`
//! - When all spans of a request are in the store, the log may forget it. `positions.rs`
//!
//! # After a crash
//!
//! The log holds what was accepted and may not be in the store yet; all of it is offered to assembly again.
//! What the store has already collapses with it. There is nothing else to recover. `recover.rs`
//!
//! # When there is too much
//!
//! Memory for open traces has a limit. Above four fifths of it the oldest traces are sealed early; they are
//! amended when more of them comes. At all of it requests are refused, with a hint when to come back, until
//! sealing has caught up: a slow disk or backend slows clients down, it loses nothing. The same happens when
//! the file system is nearly full.

mod config;
mod disk;
mod export;
mod held;
mod memory;
mod metrics;
mod operation;
mod pipeline;
mod positions;
mod recover;
mod seal;
mod server;
mod source;
mod summary;
mod telemetry;

pub use config::{
    Acknowledge, Archive, Assembly, Config, ConfigError, DOCUMENTED, Data, Forward,
    ForwardProtocol, Intake, Listen, Sampling, Store, Telemetry,
};
pub use server::{Addresses, Collector, StartError, Starting};
