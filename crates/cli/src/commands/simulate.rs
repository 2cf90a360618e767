//! `quorate simulate`: protocols in virtual time, under faults that seeds draw.
//!
//! Progress goes to standard error; the result goes to standard output, as text or as JSON. A failure is told
//! with its seed, the fewest faults that still show it, the end of its log, and the command that runs it
//! again.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use quorate_simulator::{
    Campaign, Keep, Limits, Minimal, PROTOCOLS, Plan, Registered, RunReport, Time, campaign,
    minimise,
};
use serde_json::{Value, json};

use crate::outcome::{Failure, Outcome};

/// Runs that making a failure small may take.
const MINIMISE_RUNS: usize = 400;

/// Options of `quorate simulate`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct SimulateArgs {
    /// The protocol; all of them by default, but for those that are broken on purpose.
    protocol: Option<String>,

    /// The first seed: it decides everything that happens in a run.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// How many seeds.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,

    /// How long faults are injected in each run, in virtual seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,

    /// Begin no run after so many seconds on the wall clock.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,

    /// Threads, each with a run of its own; as many as there are cores by default.
    #[arg(long)]
    threads: Option<NonZeroUsize>,

    /// Go on after a failure.
    #[arg(long)]
    keep_going: bool,

    /// One run with only these of its faults, by their numbers; "none" for none.
    #[arg(long, value_name = "N,N,...", value_parser = numbers)]
    only: Option<Numbers>,

    /// One run whose faults end at this moment, in virtual microseconds.
    #[arg(long, value_name = "MICROSECONDS")]
    until: Option<u64>,

    /// How many lines of the log of a failing run are shown.
    #[arg(long, value_name = "LINES", default_value_t = 40)]
    events: usize,

    /// One run, with its whole log on standard output.
    #[arg(long)]
    log: bool,

    /// Print the result as JSON.
    #[arg(long)]
    json: bool,

    /// List the protocols; simulate nothing.
    #[arg(long)]
    list: bool,
}

/// Numbers of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Numbers(Vec<usize>);

fn numbers(text: &str) -> Result<Numbers, String> {
    if text == "none" {
        return Ok(Numbers(Vec::new()));
    }
    let parsed = text.split(',').map(|number| number.trim().parse());
    let parsed: Result<Vec<usize>, _> = parsed.collect();
    parsed.map(Numbers).map_err(|error| error.to_string())
}

const HELP: &str = "\
Examples:
  quorate simulate
  quorate simulate raft --runs 10000 --timeout 600
  quorate simulate raft --seed 17 --runs 1 --log
  quorate simulate raft-amnesia          broken on purpose: it must be found

Exit status: 0 if everything held in every run; 1 if not.";

impl SimulateArgs {
    /// Runs the simulations.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let chosen = protocols(self.protocol.as_deref())?;
        if self.list {
            return print(&list()).map(|()| Outcome::Holds);
        }
        if self.only.is_some() || self.until.is_some() || self.log {
            let [protocol] = chosen[..] else {
                let message = "--only, --until and --log are of one run: name its protocol";
                return Err(Failure::Usage(message.to_owned()));
            };
            return self.one(protocol);
        }
        let results: Vec<_> = chosen.iter().map(|protocol| self.many(protocol)).collect();
        let text = if self.json {
            let all: Vec<Value> = results.iter().map(|found| self.to_json(found)).collect();
            format!("{:#}\n", Value::Array(all))
        } else {
            results.iter().map(|found| self.to_text(found)).collect()
        };
        print(&text)?;
        let failed = results
            .iter()
            .any(|found| !found.campaign.failures.is_empty());
        Ok(if failed {
            Outcome::Refuted
        } else {
            Outcome::Holds
        })
    }

    fn plan(&self) -> Plan {
        Plan {
            only: self.only.clone().map(|Numbers(numbers)| numbers),
            until: self.until.map(Time),
            keep: if self.log {
                Keep::All
            } else {
                Keep::Last(self.events)
            },
            ..Plan::new(self.seed, self.seconds)
        }
    }

    /// One run, as it is told to be.
    fn one(&self, protocol: &Registered) -> Result<Outcome, Failure> {
        let plan = self.plan();
        let report = (protocol.run)(&plan);
        let failed = report.failure.is_some();
        let text = if self.json {
            format!("{:#}\n", run_json(protocol, &plan, &report))
        } else {
            run_text(protocol, &plan, &report)
        };
        print(&text)?;
        Ok(if failed {
            Outcome::Refuted
        } else {
            Outcome::Holds
        })
    }

    fn many(&self, protocol: &'static Registered) -> Found {
        let bar = if io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{prefix}: {pos} of {len} runs, {elapsed}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(self.runs).with_style(style)
        } else {
            ProgressBar::hidden()
        };
        bar.set_prefix(protocol.name);
        let stop = AtomicBool::new(false);
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let limits = Limits {
            seed: self.seed,
            runs: self.runs,
            seconds: self.seconds,
            wall: self.timeout.map(Duration::from_secs),
            threads: self.threads.map_or(cores, NonZeroUsize::get),
            go_on: self.keep_going,
            stop: &stop,
        };
        let campaign = campaign(&protocol.run, limits, &|_| bar.inc(1));
        bar.finish_and_clear();
        let first = campaign.failures.first();
        let small = first.and_then(|report| {
            let plan = Plan::new(report.seed, self.seconds);
            minimise(&protocol.run, &plan, MINIMISE_RUNS, self.events)
        });
        Found {
            protocol,
            campaign,
            small,
        }
    }

    fn to_text(&self, found: &Found) -> String {
        let Found {
            protocol,
            campaign,
            small,
        } = found;
        let mut text = format!("{}: {}\n\n", protocol.name, protocol.about);
        for (name, value) in rows(campaign) {
            text += &format!("  {name:<28} {value}\n");
        }
        text += "\n";
        for report in &campaign.failures {
            let plan = Plan::new(report.seed, self.seconds);
            text += &format!("FAILED: {}\n", report.outcome());
            text += &format!("  again: {}\n", command(protocol, &plan));
        }
        if let Some(small) = small {
            text += &format!(
                "\nThe first of them, made small in {} runs:\n\n",
                small.runs
            );
            text += &run_text(protocol, &small.plan, &small.report);
        }
        text
    }

    fn to_json(&self, found: &Found) -> Value {
        let Found {
            protocol,
            campaign,
            small,
        } = found;
        let failures = campaign.failures.iter();
        let failures = failures
            .map(|report| run_json(protocol, &Plan::new(report.seed, self.seconds), report));
        json!({
            "protocol": protocol.name,
            "runs": campaign.runs,
            "virtual_seconds": campaign.lasted.as_seconds(),
            "wall_seconds": campaign.wall.as_secs_f64(),
            "steps": campaign.steps,
            "messages": campaign.counts.messages,
            "crashes": campaign.counts.crashes,
            "faults": campaign.counts.faults.iter().map(|(kind, count)| (kind.name(), count)).collect::<std::collections::BTreeMap<_, _>>(),
            "coverage": campaign.coverage,
            "longest_recovery_seconds": campaign.counts.settled.as_seconds(),
            "failures": failures.collect::<Vec<_>>(),
            "minimal": small.as_ref().map(|small| run_json(protocol, &small.plan, &small.report)),
        })
    }
}

/// What many runs of a protocol came to.
struct Found {
    protocol: &'static Registered,
    campaign: Campaign,
    small: Option<Minimal>,
}

fn protocols(name: Option<&str>) -> Result<Vec<&'static Registered>, Failure> {
    let chosen = PROTOCOLS.iter();
    let chosen: Vec<_> = chosen
        .filter(|protocol| name.map_or(!protocol.canary, |name| protocol.name == name))
        .collect();
    if chosen.is_empty() {
        let known: Vec<_> = PROTOCOLS.iter().map(|protocol| protocol.name).collect();
        let message = format!("no such protocol is simulated; known: {}", known.join(", "));
        return Err(Failure::Usage(message));
    }
    Ok(chosen)
}

fn list() -> String {
    let lines = PROTOCOLS.iter();
    let lines = lines.map(|protocol| format!("{:<18} {}\n", protocol.name, protocol.about));
    lines.collect()
}

fn print(text: &str) -> Result<(), Failure> {
    let written = io::stdout().lock().write_all(text.as_bytes());
    written.map_err(Failure::local("printing the result"))
}

/// The table of a campaign.
fn rows(campaign: &Campaign) -> Vec<(String, String)> {
    let counts = &campaign.counts;
    let wall = campaign.wall.as_secs_f64();
    let hours = campaign.lasted.as_seconds() / 3600.0;
    let mut rows = vec![
        ("runs".to_owned(), campaign.runs.to_string()),
        (
            "virtual hours".to_owned(),
            format!("{hours:.1} in {wall:.1} s"),
        ),
        (
            "virtual hours a minute".to_owned(),
            format!("{:.1}", campaign.speed() / 60.0),
        ),
        ("steps".to_owned(), campaign.steps.to_string()),
        ("messages".to_owned(), counts.messages.to_string()),
        (
            "longest recovery".to_owned(),
            format!("{:?}", counts.settled),
        ),
    ];
    let runs = campaign.runs.max(1) as f64;
    let mut of = |name: &str, count: u64| {
        rows.push((
            name.to_owned(),
            format!("{count} ({:.1} a run)", count as f64 / runs),
        ));
    };
    of("faults", counts.total_faults());
    for (kind, count) in &counts.faults {
        of(&format!("  {}", kind.name()), *count);
    }
    of(
        "messages lost",
        counts.lost + counts.cut + counts.undelivered,
    );
    of("messages repeated", counts.duplicated + counts.replayed);
    of("crashes", counts.crashes);
    of("unsynced steps lost", counts.lost_writes);
    for (name, count) in &campaign.coverage {
        of(name, *count);
    }
    rows
}

fn run_text(protocol: &Registered, plan: &Plan, report: &RunReport) -> String {
    let mut text = String::new();
    for line in &report.log {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "\nfaults:");
    for fault in &report.faults {
        let _ = writeln!(text, "  {fault}");
    }
    let _ = writeln!(text, "\n{}", report.outcome());
    if let Some(digest) = report.digest {
        let _ = writeln!(text, "digest of the log: {digest:016x}");
    }
    let _ = writeln!(text, "again: {}", command(protocol, plan));
    text
}

fn run_json(protocol: &Registered, plan: &Plan, report: &RunReport) -> Value {
    let failure = report.failure.as_ref().map(|failure| {
        json!({
            "property": failure.violation.property,
            "reason": failure.violation.reason,
            "step": failure.step,
            "at_seconds": failure.at.as_seconds(),
        })
    });
    json!({
        "seed": report.seed,
        "nodes": report.nodes,
        "steps": report.steps,
        "virtual_seconds": report.lasted.as_seconds(),
        "failure": failure,
        "faults": report.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "log": report.log,
        "digest": report.digest.map(|digest| format!("{digest:016x}")),
        "command": command(protocol, plan),
    })
}

/// The command that runs this very plan.
fn command(protocol: &Registered, plan: &Plan) -> String {
    let Plan {
        seed,
        seconds,
        only,
        until,
        ..
    } = plan;
    let mut text = format!("quorate simulate {} --seed {seed}", protocol.name);
    let _ = write!(text, " --seconds {seconds}");
    match only.as_deref() {
        Some([]) => text += " --only none",
        Some(numbers) => {
            let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            let _ = write!(text, " --only {}", numbers.join(","));
        }
        None => {}
    }
    if let Some(until) = until {
        let _ = write!(text, " --until {}", until.0);
    }
    if only.is_none() && until.is_none() {
        text += " --runs 1";
    }
    text
}
