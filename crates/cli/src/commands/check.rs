//! `quorate check`: every state of every configuration of a protocol, and what must hold there.
//!
//! Configurations run one after another, each with all threads. Progress goes to standard error, as one
//! line that changes on a terminal and as a line every few seconds elsewhere; the result goes to standard
//! output. An interrupt ends the search and what is known so far is told.

mod progress;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use quorate_model::raft::Scope;
use quorate_model::{
    Configuration, Options, PROTOCOLS, Registered, Report, Search, Stop, Summary, to_junit,
    write_diagrams,
};

use self::progress::Display;
use crate::outcome::{Failure, Outcome};

/// How much is explored, as a word of the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeName {
    /// Some twenty seconds.
    #[default]
    Quick,
    /// Minutes.
    Ci,
    /// An hour.
    Deep,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Quick => Scope::Quick,
            ScopeName::Ci => Scope::Ci,
            ScopeName::Deep => Scope::Deep,
        }
    }
}

/// In which order states are visited, as a word of the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SearchName {
    /// Breadth first: short counterexamples.
    #[default]
    Bfs,
    /// Depth first.
    Dfs,
}

/// Options of `quorate check`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct CheckArgs {
    /// The protocol; all of them by default.
    protocol: Option<String>,

    /// How much is explored.
    #[arg(long, value_enum, default_value_t)]
    scope: ScopeName,

    /// Only the configurations whose name contains this.
    #[arg(long, value_name = "NAME")]
    configuration: Option<String>,

    /// List protocols, and their configurations in the scope with their bounds; check nothing.
    #[arg(long)]
    list: bool,

    /// Worker threads; as many as there are cores by default.
    #[arg(long)]
    threads: Option<NonZeroUsize>,

    /// In which order states are visited.
    #[arg(long, value_enum, default_value_t)]
    search: SearchName,

    /// Give up a configuration after so many seconds; its properties are then undecided.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    timeout: Option<u64>,

    /// Give up a configuration once the process uses so many MiB.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=16_777_216))]
    max_memory: Option<u64>,

    /// Also write the reports to this file, as a JSON array.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Also write the reports to this file, as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Where to write the sequence diagram of a counterexample.
    #[arg(long, value_name = "DIR", default_value = ".")]
    diagrams: PathBuf,
}

const HELP: &str = "\
Examples:
  quorate check
  quorate check raft --scope ci --junit check.xml
  quorate check --list --scope deep

Exit status: 0 if every property holds and everything that must be reachable was reached; 1 if not, or if a
limit left it undecided; 130 after an interrupt.";

impl CheckArgs {
    /// Runs the checks.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let chosen = protocols(self.protocol.as_deref())?;
        if self.list {
            return list(&chosen, self.scope).map(|()| Outcome::Holds);
        }
        let all = chosen
            .iter()
            .flat_map(|p| (p.configurations)(self.scope.into()));
        let configurations = named(all.collect(), self.configuration.as_deref())?;
        let interrupt = on_interrupt()?;
        let reports = self.search(configurations, &interrupt)?;
        self.tell(&reports)
    }

    fn search(
        &self,
        configurations: Vec<Box<dyn Configuration>>,
        interrupt: &Arc<AtomicBool>,
    ) -> Result<Vec<Report>, Failure> {
        let mut reports: Vec<Report> = Vec::new();
        let count = configurations.len();
        for (number, configuration) in (1..).zip(configurations) {
            let name = configuration.title().to_owned();
            let display = Display::new(format!("{number}/{count} {name}"));
            let report = configuration.check(self.options(display, interrupt));
            let report = report.map_err(|error| Failure::Fault(format!("{name}: {error}")))?;
            let stopped = report.stopped;
            reports.push(report);
            if stopped == Some(Stop::Interrupted) {
                break;
            }
        }
        Ok(reports)
    }

    fn options(&self, mut display: Display, interrupt: &Arc<AtomicBool>) -> Options {
        let defaults = Options::default();
        Options {
            threads: self.threads.map_or(defaults.threads, NonZeroUsize::get),
            search: match self.search {
                SearchName::Bfs => Search::Bfs,
                SearchName::Dfs => Search::Dfs,
            },
            timeout: self.timeout.map(Duration::from_secs),
            rss_max_bytes: self.max_memory.map(|mebibytes| mebibytes << 20),
            interrupt: Some(Arc::clone(interrupt)),
            progress: Some(Box::new(move |progress| display.show(progress))),
            ..defaults
        }
    }

    /// Prints the result, writes the files, and says how it ended.
    fn tell(&self, reports: &[Report]) -> Result<Outcome, Failure> {
        let mut out = io::stdout().lock();
        let scope = self.scope.to_possible_value();
        let scope = scope.as_ref().map_or("", |value| value.get_name());
        let print = |error| Failure::local("printing the result")(error);
        writeln!(out, "scope {scope}\n\n{}", Summary(reports)).map_err(print)?;
        let attempt = format!("writing a diagram to {}", self.diagrams.display());
        let diagrams = write_diagrams(reports, &self.diagrams).map_err(Failure::local(attempt))?;
        for diagram in diagrams {
            writeln!(out, "diagram: {}", diagram.display()).map_err(print)?;
        }
        if let Some(file) = &self.json {
            let json = serde_json::to_string_pretty(reports).map_err(io::Error::from);
            let json = json.map_err(Failure::local("encoding the reports"))?;
            save(file, &json)?;
        }
        if let Some(file) = &self.junit {
            save(file, &to_junit(reports))?;
        }
        Ok(outcome(reports))
    }
}

/// How a check with these reports ends.
fn outcome(reports: &[Report]) -> Outcome {
    let interrupted = |report: &Report| report.stopped == Some(Stop::Interrupted);
    if reports.iter().any(interrupted) {
        Outcome::Interrupted
    } else if reports.iter().all(Report::passed) {
        Outcome::Holds
    } else {
        Outcome::Refuted
    }
}

fn save(file: &Path, content: &str) -> Result<(), Failure> {
    let attempt = format!("writing {}", file.display());
    fs::write(file, content).map_err(Failure::local(attempt))
}

/// The protocol of that name, or all.
pub(crate) fn protocols(name: Option<&str>) -> Result<Vec<&'static Registered>, Failure> {
    let chosen = PROTOCOLS.iter();
    let chosen: Vec<_> = chosen
        .filter(|p| name.is_none_or(|name| p.name == name))
        .collect();
    if let (Some(name), true) = (name, chosen.is_empty()) {
        let known: Vec<_> = PROTOCOLS.iter().map(|p| p.name).collect();
        let known = known.join(", ");
        return Err(Failure::Usage(format!(
            "no protocol is called {name:?}; known: {known}"
        )));
    }
    Ok(chosen)
}

/// Those whose name contains `part`.
pub(crate) fn named(
    all: Vec<Box<dyn Configuration>>,
    part: Option<&str>,
) -> Result<Vec<Box<dyn Configuration>>, Failure> {
    let Some(part) = part else {
        return Ok(all);
    };
    let (chosen, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|c| c.title().contains(part));
    if chosen.is_empty() {
        let known: Vec<_> = others.iter().map(|c| c.title()).collect();
        let known = known.join(", ");
        let message = format!("no configuration in this scope is called {part:?}; known: {known}");
        return Err(Failure::Usage(message));
    }
    Ok(chosen)
}

fn list(protocols: &[&Registered], scope: ScopeName) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let print = |error| Failure::local("printing the list")(error);
    for protocol in protocols {
        writeln!(out, "{}: {}", protocol.name, protocol.promise).map_err(print)?;
        for configuration in (protocol.configurations)(scope.into()) {
            writeln!(out, "  {}", configuration.title()).map_err(print)?;
            let bounds = configuration.limits();
            let bounds = bounds.iter().map(|b| format!("{}: {}", b.name, b.limit));
            let bounds: Vec<_> = bounds.collect();
            writeln!(out, "    within {}", bounds.join(", ")).map_err(print)?;
        }
    }
    let scopes = ScopeName::value_variants().iter();
    let scopes: Vec<_> = scopes.filter_map(ValueEnum::to_possible_value).collect();
    let scopes: Vec<_> = scopes.iter().map(|scope| scope.get_name()).collect();
    writeln!(out, "scopes: {}", scopes.join(", ")).map_err(print)
}

/// A flag that the first interrupt sets; the second ends the process at once.
fn on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(Failure::local("waiting for signals"))?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if set.swap(true, Ordering::Relaxed) {
                    std::process::exit(Outcome::Interrupted as i32);
                }
                if io::stderr().is_terminal() {
                    eprintln!("\nstopping; once more to stop at once");
                }
            }
        });
    });
    Ok(flag)
}
