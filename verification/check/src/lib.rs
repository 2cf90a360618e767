//! Every engine on a protocol by one call, and one table of what they say.
//!
//! A protocol is checked in different ways: every state within bounds, every fair behaviour, very many
//! random ones in virtual time, and with bugs planted on purpose. Each way is a [`Task`]; what comes of it
//! is a [`Run`], the same for all, so that one table ([`Table`]), one page ([`write_report`]), one JUnit file
//! ([`junit()`]) and one JSON tell everything.
//!
//! # A machine of your own
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
//! #     type Record = ();
//! #     type Durable = ();
//! #     type Output = u8;
//! #     fn apply(_: &mut (), _: &()) {}
//! #     fn start(_: &(), _: &(), _: &mut Effects<Self>) -> Self {
//! #         Echo
//! #     }
//! #     fn step(&mut self, _: &(), event: Event<Self>, fx: &mut Effects<Self>) {
//! #         if let Event::Command(word) = event {
//! #             fx.output(word);
//! #         }
//! #     }
//! #     fn backed(_: NodeId, _: &(), _: &()) -> bool {
//! #         true
//! #     }
//! # }
//! use quorate_check::{Checks, Settings, Table, passed};
//! use quorate_model::{Bounds, Scenario};
//! use quorate_simulator as simulator;
//!
//! let model = Scenario::<Echo>::new("two nodes", 2, |_me, _nodes| ())
//!     .bounds(Bounds { crashes: 0, ..Bounds::default() })
//!     .client([7])
//!     .sometimes("someone answers", |state| state.clients().told().count() > 0);
//! let runs = Checks::new("echo")
//!     .safety(model)
//!     .simulation("two nodes and a client", |_random| {
//!         simulator::Scenario::<Echo>::new(2, |_me, _nodes| ()).commands([7])
//!     })
//!     .run(&Settings { runs: 3, ..Settings::default() })?;
//! assert!(passed(&runs), "{}", Table(&runs));
//! # Ok::<(), quorate_check::CheckError>(())
//! ```

mod checks;
mod html;
mod junit;
mod liveness;
mod markdown;
mod matrix;
mod protocols;
mod run;
mod safety;
mod simulation;
mod table;
mod write;

pub use checks::{Beginning, Checks, Listener, Progress, Settings, Task};
pub use junit::junit;
pub use markdown::Markdown;
pub use protocols::{Registered, protocols};
pub use quorate_model::CheckError;
pub use run::{Count, Engine, Evidence, Finding, Run, passed};
pub use table::Table;
pub use write::{write_diagrams, write_report};
