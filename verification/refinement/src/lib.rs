//! Holds the whole graph of a Rust model against TLC's graph of the specification.

pub mod abstraction;
mod value;

pub use value::Value;
