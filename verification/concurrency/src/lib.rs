//! What threads share in production, under loom: the interleavings of a few threads at their locks, atomics
//! and wakers, with every order of memory that the language allows.
//!
//! The protocols' machines are checked elsewhere, one event after another. What is around them in
//! production is shared between threads, and is checked here: the same source, compiled with `cfg(loom)`
//! so that its `sync` module takes loom's locks and atomics instead of the real ones.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p quorate-concurrency --target-dir target/loom
//! ```
//!
//! Without that flag there is nothing here to test. The tests are in `tests/`:
//!
//! | file | source | what meets |
//! |---|---|---|
//! | `assembly.rs` | `crates/assembly`, its shards | threads that insert, seal, evict and read |
//! | `inbox.rs` | `crates/handoff`, `Budget` | connections that bring messages, the driver's task |
//! | `stepping.rs` | `crates/handoff`, `Syncs`, `Signals`, `Bell`; `crates/machine`, `Gate` | the driver's task, the thread that syncs, a shutdown |
//! | `outbox.rs` | `crates/handoff`, `Outbox` | drivers that send, an old and a new connection, a shutdown |
//!
//! Each of them must be able to fail: `mutants/` has, as patches, the classical mistakes, and each says
//! which test finds it.

#[cfg(loom)]
use loom::model::Builder;

/// Runs `test` in every interleaving.
#[cfg(loom)]
pub fn explore(test: impl Fn() + Send + Sync + 'static) {
    Builder::new().check(test);
}

/// Runs `test` in every interleaving of up to `preemptions` preemptions, beside those where a thread has to
/// wait anyway: seconds where all would be hours. Two are enough for every mistake in
/// `mutants/`.
#[cfg(loom)]
pub fn explore_up_to(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}
