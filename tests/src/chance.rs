//! What tests leave to chance, and how much they do.
//!
//! Which member is killed and when, and what clients ask, comes from a seed that a failing test prints. Processes
//! and their disks are not deterministic, so the same seed makes the same things happen but not at quite the same
//! moments.

use std::env;
use std::fmt::Display;
use std::str::FromStr;

/// Names the seed of a test's dice in place of a random one.
const SEED: &str = "QUORATE_TEST_SEED";

/// How many times as much as by default a test is to do.
const SCALE: &str = "QUORATE_TEST_SCALE";

/// The seed of a test, printed so that a failure shows it.
///
/// # Panics
///
/// If the environment names one that is no number.
pub fn seed() -> u64 {
    let seed = variable(SEED).unwrap_or_else(rand::random);
    eprintln!("{SEED}={seed}");
    seed
}

/// How many times as much as by default a test is to do: 1 unless the environment says otherwise.
///
/// # Panics
///
/// If it says what is no number.
pub fn scale() -> usize {
    variable(SCALE).unwrap_or(1)
}

fn variable<T: FromStr<Err: Display>>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    match text.parse() {
        Ok(value) => Some(value),
        Err(error) => panic!("{name}={text}: {error}"),
    }
}
