//! Reliable causal broadcast.
