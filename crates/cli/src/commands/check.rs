//! `quorate check`: every engine on every protocol, and one table of what they say.
//!
//! Tasks run one after another, each with all threads. Progress goes to standard error, as one line that
//! changes on a terminal and as a line every few seconds elsewhere; the result goes to standard output. An
//! interrupt ends the task that runs and what is known so far is told.

mod bugs;
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
use quorate_check::{
    Checks, Engine, Registered, Run, Settings, Table, Task, junit, passed, write_diagrams,
    write_report,
};
use quorate_model::{Configuration, Scope, Search, Stop};

use self::bugs::SeededBugs;
use self::progress::Display;
use crate::outcome::{Failure, Outcome};

/// How much is explored, as a word of the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeName {
    /// About a minute.
    #[default]
    Quick,
    /// Minutes; plants seeded bugs too.
    Ci,
    /// Hours.
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

impl ScopeName {
    /// Runs of each simulation.
    fn runs(self) -> u64 {
        match self {
            ScopeName::Quick => 500,
            ScopeName::Ci => 5_000,
            ScopeName::Deep => 500_000,
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

/// A way of checking, as a word of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    /// Every state within bounds.
    Safety,
    /// Every fair behaviour within bounds.
    Liveness,
    /// Seeded runs in virtual time, under faults.
    Simulation,
    /// Bugs planted in a copy of the source tree: each must be found.
    SeededBugs,
}

impl From<EngineName> for Engine {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Safety => Engine::Safety,
            EngineName::Liveness => Engine::Liveness,
            EngineName::Simulation => Engine::Simulation,
            EngineName::SeededBugs => Engine::SeededBugs,
        }
    }
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

    /// Only these ways of checking; all of the scope by default.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME,...")]
    engine: Vec<EngineName>,

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

    /// Also write everything to this directory: index.html with a diagram of every counterexample and
    /// example, report.json, junit.xml, table.md.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,

    /// Also write the results to this file, as a JSON array.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Also write the results to this file, as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Where to write the sequence diagram of a counterexample.
    #[arg(long, value_name = "DIR", default_value = ".")]
    diagrams: PathBuf,
}

const HELP: &str = "\
Examples:
  quorate check
  quorate check raft --scope ci --report report
  quorate check raft --engine liveness
  quorate check --list --scope deep

Exit status: 0 if every property holds and everything that must be reachable was reached; 1 if not, or if a
limit left it undecided; 130 after an interrupt.";

impl CheckArgs {
    /// Runs the checks.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let chosen = protocols(self.protocol.as_deref())?;
        let all: Vec<(Registered, Checks)> = chosen
            .into_iter()
            .map(|protocol| (protocol, self.checks(&protocol)))
            .filter(|(_, checks)| !checks.tasks().is_empty())
            .collect();
        if all.is_empty() {
            return Err(self.nothing());
        }
        if self.list {
            return list(&all).map(|()| Outcome::Holds);
        }
        let interrupt = on_interrupt()?;
        let all = all.into_iter().map(|(_, checks)| checks).collect();
        let runs = self.look(all, &interrupt)?;
        self.tell(&runs)
    }

    /// What is to be checked of a protocol.
    fn checks(&self, protocol: &Registered) -> Checks {
        let wanted = |task: &dyn Task| self.wants(task);
        let checks = protocol.checks(self.scope.into(), wanted);
        let bugs = SeededBugs::of(protocol.name, self.scope);
        match bugs.filter(|bugs| self.wants(bugs)) {
            Some(bugs) => checks.task(bugs),
            None => checks,
        }
    }

    fn wants(&self, task: &dyn Task) -> bool {
        let mut engines = self.engine.iter();
        let part = self.configuration.as_ref();
        (self.engine.is_empty() || engines.any(|name| Engine::from(*name) == task.engine()))
            && part.is_none_or(|part| task.part().contains(part.as_str()))
    }

    /// Why there is nothing to do.
    fn nothing(&self) -> Failure {
        let known = protocols(self.protocol.as_deref()).unwrap_or_default();
        let known = known.iter();
        let known: Vec<Checks> = known
            .map(|one| one.checks(self.scope.into(), |_| true))
            .collect();
        let known = known.iter().flat_map(Checks::tasks);
        let known: Vec<&str> = known.map(|task| task.part()).collect();
        Failure::Usage(format!(
            "nothing in this scope is meant by that; configurations are: {}",
            known.join(", ")
        ))
    }

    fn look(&self, all: Vec<Checks>, interrupt: &Arc<AtomicBool>) -> Result<Vec<Run>, Failure> {
        let count = all.iter().map(|checks| checks.tasks().len()).sum();
        let display = Arc::new(Display::new(count));
        let (begun, shown) = (Arc::clone(&display), display);
        let defaults = Settings::default();
        let settings = Settings {
            threads: self.threads.map_or(defaults.threads, NonZeroUsize::get),
            search: match self.search {
                SearchName::Bfs => Search::Bfs,
                SearchName::Dfs => Search::Dfs,
            },
            timeout: self.timeout.map(Duration::from_secs),
            rss_max_bytes: self.max_memory.map(|mebibytes| mebibytes << 20),
            runs: self.scope.runs(),
            interrupt: Arc::clone(interrupt),
            begins: Some(Arc::new(move |task| begun.begin(task))),
            progress: Some(Arc::new(move |progress| shown.show(progress))),
            ..defaults
        };
        let mut runs = Vec::new();
        for checks in all {
            if settings.is_interrupted() {
                break;
            }
            let found = checks.run(&settings);
            runs.extend(found.map_err(|error| Failure::Fault(error.to_string()))?);
        }
        Ok(runs)
    }

    /// Prints the result, writes the files, and says how it ended.
    fn tell(&self, runs: &[Run]) -> Result<Outcome, Failure> {
        let mut out = io::stdout().lock();
        let scope = self.scope.to_possible_value();
        let scope = scope.as_ref().map_or("", |value| value.get_name());
        let print = |error| Failure::local("printing the result")(error);
        writeln!(out, "scope {scope}\n\n{}", Table(runs)).map_err(print)?;
        let attempt = format!("writing a diagram to {}", self.diagrams.display());
        let diagrams = write_diagrams(runs, &self.diagrams).map_err(Failure::local(attempt))?;
        for diagram in diagrams {
            writeln!(out, "diagram: {}", diagram.display()).map_err(print)?;
        }
        if let Some(directory) = &self.report {
            let attempt = format!("writing the report to {}", directory.display());
            let title = format!("quorate check, scope {scope}");
            let page = write_report(&title, runs, directory).map_err(Failure::local(attempt))?;
            writeln!(out, "report: {}", page.display()).map_err(print)?;
        }
        if let Some(file) = &self.json {
            let json = serde_json::to_string_pretty(runs).map_err(io::Error::from);
            let json = json.map_err(Failure::local("encoding the results"))?;
            save(file, &json)?;
        }
        if let Some(file) = &self.junit {
            save(file, &junit(runs))?;
        }
        Ok(outcome(runs))
    }
}

/// How a check with these runs ends.
fn outcome(runs: &[Run]) -> Outcome {
    let interrupted = |run: &Run| run.stopped == Some(Stop::Interrupted);
    if runs.iter().any(interrupted) {
        Outcome::Interrupted
    } else if passed(runs) {
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
pub(crate) fn protocols(name: Option<&str>) -> Result<Vec<Registered>, Failure> {
    let all = quorate_check::protocols();
    let known: Vec<_> = all.iter().map(|protocol| protocol.name).collect();
    let known = known.join(", ");
    let of_name = |protocol: &Registered| name.is_none_or(|name| protocol.name == name);
    let chosen: Vec<_> = all.into_iter().filter(of_name).collect();
    if let (Some(name), true) = (name, chosen.is_empty()) {
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

fn list(all: &[(Registered, Checks)]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let print = |error| Failure::local("printing the list")(error);
    for (protocol, checks) in all {
        writeln!(out, "{}: {}", protocol.name, protocol.promise).map_err(print)?;
        for task in checks.tasks() {
            writeln!(out, "  {}: {}", task.engine().text(), task.part()).map_err(print)?;
            let bounds = task.within();
            let bounds = bounds.iter().map(|b| format!("{}: {}", b.name, b.limit));
            let bounds: Vec<_> = bounds.collect();
            if !bounds.is_empty() {
                writeln!(out, "    within {}", bounds.join(", ")).map_err(print)?;
            }
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
