//! Logical clocks: what happened before what, without asking what time it is.
//!
//! Of two events of a distributed system the first *happens before* the second if one process saw both in
//! that order, if the second is the receipt of a message whose sending is the first, or by any chain of
//! these. Events of which neither happens before the other are *concurrent*: nothing in the system could
//! have carried word from one to the other (Lamport 1978).
//!
//! | clock | says of two events | costs |
//! |---|---|---|
//! | [`VectorClock`] | exactly whether one happens before the other | a count per process |
//!
//! The crate depends on the standard library alone, reads no clock and does no I/O.

mod causality;
mod vector;

pub use causality::Causality;
pub use vector::{COUNT_MAX, InvalidClock, VectorClock};
