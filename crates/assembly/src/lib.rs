//! Assembly: from spans that arrive in any order, late, twice or never, to traces with a verdict on
//! whether they are whole.
//!
//! # When a trace is complete
//!
//! It has a root, every parent that a span names is there, and nothing new came for the quiet window
//! ([`Config::quiet_ms`]). No one of the three is enough. A trace with all its parents is not finished:
//! the next child may be on its way, and no span says how many there are. A quiet trace is not whole: a
//! parent ends, and is sent, after its children, and a slow service sends late.
//!
//! A quiet trace of which something is missing waits for more, until its deadline
//! ([`Config::deadline_ms`]); then it is sealed as incomplete, with the missing spans named. When memory
//! is short the oldest traces are sealed early, as evicted. Whatever the verdict, **a span is never
//! dropped**: one that comes late opens its trace again, and a further revision is sealed, judged over
//! all that is stored and all that is new.
//!
//! # From arrival to store
//!
//! ```text
//! log (durable) ──▶ Assembly::insert ──▶ open traces ──▶ ripe ──▶ judge ──▶ store ──▶ sealed
//!                                             ▲            what the store has ┘
//!                                             └── waits, refused, more came ◀──┘
//! ```
//!
//! The log holds what was accepted, the store holds what was sealed. A span is inserted when the log has
//! it, and leaves memory when the store has it. So a crash needs no bookkeeping: offer the whole log
//! again, and what the store has already collapses with it, at the latest when its trace is judged.
//!
//! # Parts
//!
//! - [`lifecycle`]: one open trace, as a pure state machine, and [`judge`]: the verdict. They know no
//!   clock and no threads.
//! - [`Assembly`]: the concurrent shell of production, checked with loom.
//! - [`machine`]: one node with log and store as a deterministic [`Machine`](quorate_machine::Machine)
//!   around the same lifecycle, for the model checker, and [`invariants`]: what must hold, defined
//!   without regard to how it is done.
//!
//! ```
//! use quorate_assembly::{Arrival, Assembly, Config, Judgement, Millis};
//! use quorate_trace::{SpanId, SpanKey, TraceId, Verdict};
//!
//! let assembly = Assembly::new(Config::default());
//! let trace = TraceId::new([7; 16]).unwrap();
//! let root = Arrival {
//!     trace,
//!     span: SpanKey {
//!         id: SpanId::new([1; 8]).unwrap(),
//!         content: 0x5eed, // a digest of what the span says
//!     },
//!     parent: None,
//!     bytes: 400,
//!     payload: "where its content is",
//! };
//! assembly.insert(Millis(0), vec![root]);
//! assert!(assembly.ripe(Millis(4_999), 10).is_empty());
//!
//! // After the quiet window (and a little for the accuracy of timers) it is judged.
//! for ripe in assembly.ripe(Millis(5_400), 10) {
//!     let stored = None; // what the store has of ripe.trace()
//!     let Judgement::Seal(sealing) = assembly.judge(ripe, stored) else {
//!         unreachable!("it has a root and misses nothing");
//!     };
//!     assert_eq!(sealing.completeness.verdict, Verdict::Complete);
//!     // store sealing.spans() durably, then:
//!     assembly.sealed(sealing);
//! }
//! assert!(assembly.open(&trace).is_none());
//! ```

mod config;
pub mod invariants;
pub mod judge;
pub mod lifecycle;
pub mod machine;
mod shard;
mod shards;
mod span;
mod sync;
mod wheel;

pub use config::Config;
pub use judge::Cause;
pub use lifecycle::Phase;
pub use shards::{Assembly, Figures, Inserted, Judgement, OpenTrace, Ripe, Sealing};
pub use span::{Arrival, Base, Millis, OpenSpan};
