//! Deterministic simulation of any [`Machine`](quorate_machine::Machine): thousands of virtual seconds in a
//! second, with everything going wrong that a seed can think of.
//!
//! The model checker sees every interleaving of a few events; this sees a few interleavings of very many.
//! It runs the machine that production runs, through the same [`Gate`](quorate_machine::Gate), in turns by
//! the rules of the production driver, in one thread and in virtual time. All chance comes from one seed:
//! the same seed gives the same run, event by event.
//!
//! # A run
//!
//! Like the simulator of TigerBeetle (VOPR), a run has two phases.
//!
//! 1. **Safety under fire.** Clients work, and faults of [`fault`] are injected: a network that loses,
//!    repeats, delays, splits; disks that are slow, stall, fail; processes that crash and lose what they had
//!    not synced, or stand still; clocks that drift and jump. Every invariant is checked after every step.
//! 2. **Liveness of a healed core.** Faults end, and some nodes, enough for progress, are up for good; the
//!    others stay down. What clients have asked must be answered, and the nodes of the core must agree,
//!    within a stated virtual time.
//!
//! Faults are a list drawn from the seed before the run begins, so that a failing run can be made small:
//! [`minimise()`] leaves out faults while it still fails, and [`Plan::only`] runs what is left.
//!
//! # A machine of your own
//!
//! Implement [`Subject`]: who runs the machine, what clients do, what must hold, when everything is done.
//! [`Scenario`] does it for nodes whose clients work off commands, without a line of implementation:
//!
//! ```
//! # use quorate_machine::{Effects, Event, Machine, NodeId};
//! # #[derive(Clone, Debug, PartialEq, Eq, Hash)]
//! # struct Echo;
//! # impl Machine for Echo {
//! #     type Config = ();
//! #     type Command = u8;
//! #     type Message = ();
//! #     type Timer = ();
//! #     type Record = u8;
//! #     type Durable = u8;
//! #     type Output = u8;
//! #     fn apply(durable: &mut u8, record: &u8) {
//! #         *durable = *record;
//! #     }
//! #     fn start(_: &(), _: &u8, _: &mut Effects<Self>) -> Self {
//! #         Echo
//! #     }
//! #     fn step(&mut self, _: &(), event: Event<Self>, fx: &mut Effects<Self>) {
//! #         if let Event::Command(word) = event {
//! #             fx.persist(word);
//! #             fx.output(word);
//! #         }
//! #     }
//! #     fn backed(_: NodeId, _: &(), _: &u8) -> bool {
//! #         true
//! #     }
//! # }
//! use quorate_simulator::{Plan, Scenario, run};
//!
//! // Two nodes that write down what they are asked, and then repeat it.
//! for seed in 0..10 {
//!     let report = run(&Plan::new(seed, 10), |_| {
//!         Scenario::<Echo>::new(2, |_me, _nodes| ())
//!             .commands([1, 2, 3])
//!             .always("what was said is on a disk", |view, told| {
//!                 told.iter().all(|(node, _)| view.durable(*node).is_some_and(|word| *word > 0))
//!             })
//!     });
//!     assert_eq!(report.failure, None);
//! }
//! ```
//!
//! # What it does not do
//!
//! Machines have no clock to read, so clocks show in timers alone. A torn write is a lost one: the record
//! log finds it by its checksum, and so it is for corrupted messages. A disk that is wiped or damaged
//! in the middle is refused by the record log, and its node does not come back.

pub mod assembly;
pub mod broadcast;
mod campaign;
pub mod commit;
pub mod fault;
mod journal;
mod minimise;
mod node;
pub mod paxos;
mod protocols;
pub mod raft;
mod random;
mod report;
mod run;
mod scenario;
mod subject;
mod time;
mod world;

pub use campaign::{Campaign, Limits, campaign};
pub use journal::Keep;
pub use minimise::{Minimal, minimise};
pub use protocols::{PROTOCOLS, Registered};
pub use random::Random;
pub use report::{Counts, Failure, RunReport};
pub use run::{Plan, Runner, run};
pub use scenario::Scenario;
pub use subject::{Happened, Subject, View, Violation, Wake};
pub use time::Time;
