//! Tail sampling from configuration to decision.

mod configuration;
mod decisions;
mod policies;
mod properties;
mod support;
