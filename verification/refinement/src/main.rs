//! Compares protocols in Rust with their specifications, and prints the counts or the first disagreement.

#![allow(clippy::print_stdout, reason = "a command-line tool")]

use quorate_refinement::{Report, Source, Tlc, run};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const HELP: &str = "\
Usage: quorate-refinement [--graph FILE] [CONFIGURATION]...

Holds the graph of a protocol in Rust against the one that TLC finds for its specification, within the bounds
of each configuration: specs/PROTOCOL/CONFIGURATION.cfg of Raft (MCRaftRefine*, the first if none is named),
Paxos (MCPaxosRefine*), two-phase commit (MCCommitRefine*, MCCommitCrash) or causal broadcast
(MCBroadcastRefine*). Run it from the root of the repository.

  --graph FILE   the graph of the one configuration that is named, which TLC wrote before with
                 `-dump dot,actionlabels FILE`, instead of running TLC

Exit status 0 if the graphs are the same, 1 if not, 2 if they cannot be compared.

Environment: TLC_JAR (default: target/tlc/tla2tools.jar, where specs/check puts it), TLC_HEAP (default 2g),
TLC_WORKERS (default: one per core).";

/// More than that and the Rust model is not what the specification bounds.
const STATES_MAX: usize = 4_000_000;
const TLC_TIMEOUT: Duration = Duration::from_secs(3600);

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let source = match arguments.first().map(String::as_str) {
        Some("--graph") if arguments.len() == 3 => {
            let file = arguments.drain(..2).next_back();
            Source::File(file.unwrap_or_default().into())
        }
        Some("--help" | "-h") => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some(option) if option.starts_with('-') => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
        _ => Source::Tlc(tlc()),
    };
    if arguments.is_empty() {
        arguments.push("MCRaftRefine".to_owned());
    }
    let mut same = true;
    for configuration in &arguments {
        let begin = Instant::now();
        match run("specs".as_ref(), configuration, &source, STATES_MAX) {
            Ok(report) => {
                println!("{configuration}\n{report}{}", verdict(&report));
                println!("{:.0} s in all\n", begin.elapsed().as_secs_f64());
                same &= report.covers();
            }
            Err(error) => {
                eprintln!("{configuration}: {error}");
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::from(u8::from(!same))
}

fn verdict(report: &Report) -> &'static str {
    if report.covers() {
        "every step of Rust is one of the specification, and every one of the specification is Rust's"
    } else if report.refines() {
        "every step of Rust is one of the specification, but Rust does not take all of them"
    } else {
        "Rust takes a step that is none of the specification"
    }
}

fn tlc() -> Tlc {
    let variable = |name| std::env::var(name).ok();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    Tlc {
        jar: PathBuf::from(
            variable("TLC_JAR").unwrap_or_else(|| "target/tlc/tla2tools.jar".to_owned()),
        ),
        heap: variable("TLC_HEAP").unwrap_or_else(|| "2g".to_owned()),
        workers: variable("TLC_WORKERS")
            .and_then(|workers| workers.parse().ok())
            .unwrap_or(cores),
        timeout: TLC_TIMEOUT,
    }
}
