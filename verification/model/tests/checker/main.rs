//! The checker against machines small enough to count their states by hand.

mod explorer;
mod hazards;
mod liveness;
mod results;
mod toys;

use quorate_machine::Machine;
use quorate_model::{Options, Report, check};
use toys::{Group, Toy};

/// Checks on one thread, breadth first: every path is a shortest one.
fn checked<M: Machine<Config = Group>>(toy: Toy<M>) -> Report {
    let options = Options {
        threads: 1,
        ..Options::default()
    };
    check(toy, options).expect("a toy can be checked")
}
