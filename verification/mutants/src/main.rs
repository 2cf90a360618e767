//! Checks the configurations of a protocol that have a given title, and says in lines what it finds. Small, so
//! that it is built quickly after each of the seeded bugs in the folders beside it; `cargo xtask mutants`
//! plants them.
//!
//! ```text
//! quorate-mutants raft quick elections
//! violated <tab> the property, or why a step was refused <tab> steps of the counterexample
//! unreached <tab> a `sometimes` property
//! undecided <tab> a property
//! ```

#![allow(clippy::print_stdout, reason = "a command-line tool")]

use std::process::ExitCode;
use std::time::Duration;

use quorate_model::{Effect, Options, PROTOCOLS, PropertyReport, Report, Scope, Verdict};

/// A bug that is not found by then counts as one that survives.
const TIME_MAX: Duration = Duration::from_secs(600);
const MEMORY_MAX_BYTES: u64 = 12 << 30;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [protocol, scope, title] = arguments.as_slice() else {
        eprintln!("usage: quorate-mutants PROTOCOL SCOPE CONFIGURATION");
        return ExitCode::from(2);
    };
    let scope = match scope.as_str() {
        "quick" => Scope::Quick,
        "ci" => Scope::Ci,
        "deep" => Scope::Deep,
        other => {
            eprintln!("{other}: quick, ci or deep");
            return ExitCode::from(2);
        }
    };
    // Some bugs take a configuration that no quick check has time for.
    let registered = PROTOCOLS.iter().find(|known| known.name == protocol);
    let configurations = registered.map(|known| {
        let scopes = [scope, Scope::Ci].into_iter();
        scopes.flat_map(move |scope| (known.configurations)(scope))
    });
    let mut configurations = configurations.into_iter().flatten();
    let Some(configuration) = configurations.find(|one| one.title() == title) else {
        eprintln!("{protocol} has no configuration {title:?} in this scope");
        return ExitCode::from(2);
    };
    // One thread and breadth first: the counterexample is a shortest one.
    let options = Options {
        threads: 1,
        timeout: Some(TIME_MAX),
        rss_max_bytes: Some(MEMORY_MAX_BYTES),
        ..Options::default()
    };
    match configuration.check(options) {
        Ok(report) => {
            tell(&report);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn tell(report: &Report) {
    for property in &report.properties {
        match property.verdict {
            Verdict::Violated => {
                let steps = property.length.unwrap_or(0);
                println!("violated\t{}\t{steps}", reason(property));
            }
            Verdict::NotFound => println!("unreached\t{}", property.name),
            Verdict::Undecided => println!("undecided\t{}", property.name),
            _ => {}
        }
    }
}

/// The property's name; or why the last step was refused, for a property of steps.
fn reason(property: &PropertyReport) -> &str {
    let steps = property.trace.iter().flat_map(|trace| &trace.steps);
    let effects = steps.flat_map(|step| &step.effects);
    let mut refused = effects.filter_map(|effect| match effect {
        Effect::Failed(reason) => Some(reason.as_str()),
        _ => None,
    });
    refused.next_back().unwrap_or(&property.name)
}
