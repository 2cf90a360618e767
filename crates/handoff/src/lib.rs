//! What threads hand to each other in production: the places where the driver and the transport are shared
//! between threads, and nothing else.
//!
//! A driver's task steps a machine while a thread syncs its records, connections bring it messages, and
//! somebody may stop it at any moment. A connection's task takes frames while drivers queue messages for
//! it, and a newer connection may replace it at any moment. All of that meets in four structures:
//!
//! | structure | who meets | what must hold |
//! |---|---|---|
//! | [`Bell`] | any thread rings, one task listens | no ring is lost, however close to falling asleep |
//! | [`Syncs`], [`InFlight`], [`Signals`] | the thread that syncs, the task that steps, who stops it | what counts as durable is; a stop waits for what is in flight; after a failure nothing counts |
//! | [`Budget`] | connections that bring messages, the task that takes them | waiting bytes are limited, and given back whatever becomes of the message |
//! | [`Outbox`] | drivers that send, the tasks of an old and a new connection | order, no message on two connections, an end for whoever waits |
//!
//! They know nothing of sockets, disks or tokio: they wake whoever waits through its
//! [`Waker`](std::task::Waker). So they compile with `--cfg loom`, which replaces their locks and atomics
//! by ones that try every interleaving and every order of memory that the language allows; the tests are
//! in `verification/concurrency`. Queues between tasks that need no more than a queue are tokio's own
//! channels, which its authors check in the same way.

mod bell;
mod budget;
mod outbox;
mod sync;
mod syncs;

pub use bell::Bell;
pub use budget::Budget;
pub use outbox::{Connection, Outbox, OutboxLimits, Refused, StopReader};
pub use syncs::{InFlight, Signals, Syncs};
