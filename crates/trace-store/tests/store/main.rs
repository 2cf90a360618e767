//! The embedded store from outside: what is put is there, once, after any crash, until it expires.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod crashes;
mod expiring;
mod searching;
mod storing;
mod support;
