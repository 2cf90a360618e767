//! The record log from outside: opening, failing disks, crashes, damage, group commit.
#![allow(clippy::unwrap_used)]

mod crashes;
mod damage;
mod failures;
mod grouping;
mod opening;
mod releasing;
mod support;
