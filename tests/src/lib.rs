//! Tests over real processes.

pub mod linearizability;
