//! Logical clocks: what happened before what, without asking what time it is.
//!
//! Of two events of a distributed system the first *happens before* the second if one process saw both in
//! that order, if the second is the receipt of a message whose sending is the first, or by any chain of
//! these. Events of which neither happens before the other are *concurrent*: nothing in the system could
//! have carried word from one to the other (Lamport 1978).
//!
//! | clock | what it says of two events | what it costs |
//! |---|---|---|
//! | [`LamportClock`] | who happens before has the smaller number | one number |
//! | [`HybridClock`] | the same, and when it was, within a limit | one number, and physical time within the limit |
//! | [`VectorClock`] | exactly whether one happens before the other | a count for each process |
//! | [`DottedVersion`] | the same of two writes of a store, however many clients it has | a count for each replica |
//!
//! [`offset`] is about physical clocks: how far this machine's is off, from what time servers say.
//!
//! # Numbers from outside
//!
//! A clock that learns from messages is as good as the messages. What nobody reaches by counting
//! ([`COUNT_MAX`]) and what is too far in the future ([`HybridClock`]) is refused, and the clock stays as it
//! was. So a peer that is mistaken can neither stop a clock at the end of its numbers nor drag it along.
//!
//! The crate depends on the standard library alone, reads no clock and does no I/O: physical time is an
//! argument.

mod causality;
mod dotted;
mod hybrid;
mod lamport;
pub mod offset;
mod vector;

pub use causality::Causality;
pub use dotted::{Dot, DottedVersion, InvalidSiblings, Siblings};
pub use hybrid::{HybridClock, HybridClockError, HybridTime};
pub use lamport::{ImplausibleTime, LamportClock};
pub use vector::{COUNT_MAX, InvalidClock, VectorClock, compare_entries};
