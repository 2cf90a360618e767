//! Three members as processes of the real binary, on real disks and loopback ports, and what happens to
//! them.

// What helpers of tests unwrap fails the test, as it should; what they print is shown if it fails.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod collector;
mod collector_crashes;
mod collector_page;
mod commands;
mod configuration;
mod conform;
mod crashes;
mod disks;
mod feed;
mod histories;
mod hostile;
mod registers;
mod sdks;
mod signals;
mod transactions;
