//! The endpoints as clients meet them: what SDKs send, what hostile clients send, and what they are answered.

// What helpers of tests unwrap fails the test, as it should.
#![allow(clippy::unwrap_used)]

mod accepting;
mod connections;
mod hostile;
mod refusing;
mod support;
