//! The commands, one file each.

pub(crate) mod bench;

use clap::Subcommand;

use crate::outcome::{Failure, Outcome};

/// What `quorate` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure a running cluster.
    #[command(subcommand)]
    Bench(bench::Bench),
}

impl Command {
    /// Runs the command to its end; a command that needs an async runtime builds its own.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        match self {
            Command::Bench(bench) => bench.run(),
        }
    }
}
