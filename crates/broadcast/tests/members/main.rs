//! Groups of three members: random executions, and scenarios as scripts.

mod golden;
mod group;
mod random;
