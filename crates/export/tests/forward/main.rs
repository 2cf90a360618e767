//! Forwarding against a backend that fails, stalls, refuses, goes away and comes back.

#![allow(clippy::unwrap_used)]

mod answers;
mod backend;
mod durability;
mod support;
