//! Concurrent shells, under loom: every interleaving of a few threads at their locks and atomics, with
//! every order of memory that the language allows.
//!
//! The protocols' machines are checked elsewhere, one event after another. What is around them in
//! production is shared between threads, and is checked here: the same source, compiled with `cfg(loom)`
//! so that its `sync` module takes loom's locks and atomics instead of the real ones.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p quorate-concurrency --target-dir target/loom
//! ```
//!
//! Without that flag there is nothing here to test. The tests are in `tests/`, one file for each shell.
//! Each keeps a specimen: the classical mistake, put to the same test, which must catch it.
