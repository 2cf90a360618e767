//! The `quorate` command.
//!
//! This file parses the command line, sends the log to standard error and turns the outcome into an exit
//! status. Each command is a file of [`commands`]; what a command prints on standard output is its result,
//! fit for a pipe.

mod commands;
mod outcome;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{ArgAction, Parser};
use tracing_subscriber::EnvFilter;

use crate::commands::Command;
use crate::outcome::Outcome;

// Decoding small messages costs less CPU with it than with glibc's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Variable that overrides `-v` with a full `tracing` filter.
const LOG_VARIABLE: &str = "QUORATE_LOG";

/// Distributed protocols that are model-checked and then run unchanged.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Log more to standard error: -v info, -vv debug, -vvv trace. QUORATE_LOG takes a full filter instead.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
}

const AFTER_HELP: &str = "\
Exit status:
  0  done, and everything that was checked holds
  1  done, and something that was checked does not hold or is undecided: a property, an operation
  2  the command line asks for something that cannot be done
  3  a cluster cannot be reached or does not behave
  4  this machine failed: a file, a process, a port
  130  interrupted; what was known by then is told
  141  whoever reads the output has closed it

Examples:
  quorate node --config node1.toml
  quorate kv put greeting hello
  quorate paxos propose winner anna
  quorate txn transfer --from 1/alice --to 2/bob 10
  quorate broadcast join --as anna
  quorate check raft
  quorate bench kv --target etcd --endpoints 127.0.0.1:2379 --seconds 10
  quorate help bench kv";

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(cli.verbose);
    let outcome = cli.command.run().unwrap_or_else(|failure| {
        tracing::debug!(?failure);
        let outcome = failure.outcome();
        if outcome != Outcome::Unread {
            eprintln!("quorate: {failure}");
        }
        outcome
    });
    outcome.into()
}

fn start_log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        ExitCode::from(outcome as u8)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_documented_exit_status_is_the_one_given() {
        let statuses: Vec<u8> = AFTER_HELP
            .lines()
            .filter_map(|line| line.strip_prefix("  ")?.split("  ").next()?.parse().ok())
            .collect();
        let given = [
            Outcome::Holds,
            Outcome::Refuted,
            Outcome::Usage,
            Outcome::Cluster,
            Outcome::Local,
            Outcome::Interrupted,
            Outcome::Unread,
        ];
        assert_eq!(statuses, given.map(|outcome| outcome as u8));
    }

    #[test]
    fn verbosity_is_accepted_after_the_command() {
        let cli = Cli::try_parse_from([
            "quorate",
            "bench",
            "kv",
            "--target",
            "etcd",
            "--endpoints",
            "127.0.0.1:1",
            "-vv",
        ])
        .unwrap();
        assert_eq!(cli.verbose, 2);
    }

    #[test]
    fn a_command_is_required() {
        let error = Cli::try_parse_from(["quorate"]).unwrap_err();
        assert_eq!(error.exit_code(), Outcome::Usage as i32);
    }
}
