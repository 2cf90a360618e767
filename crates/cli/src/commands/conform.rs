//! `quorate conform`: the recorded lives of all members, held against the machine and its specification.
//!
//! What `quorate replay` does for one member by itself, and then what only all of them together can tell:
//! whether there is an order of everything that happened, whether the protocol's properties hold of it, and
//! whether each step is a step of the TLA+ specification. See `verification/conform`.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use quorate::NodeId;
use quorate::driver::event_log_node;
use quorate::raft::Raft;
use quorate_conform::{ConformError, Life, Options, Tools, conform};
use quorate_kv::Map;

use super::node::{KV, NodeConfig};
use super::replay::Recording;
use crate::outcome::{Failure, Outcome};

/// Options of `quorate conform`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ConformArgs {
    /// A member's configuration, as it was when the logs were recorded; once for each member. One is
    /// enough if logs are named: but for their ids, members are configured alike.
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,

    /// Event logs of all members, those that the configurations name by default. Without --config: a
    /// directory with the configurations of all members.
    #[arg(value_name = "LOG|DIR", required_unless_present = "config")]
    logs: Vec<PathBuf>,

    /// The file tla2tools.jar, to check the specification with; by default what TLC_JAR names, or where
    /// specs/check of the checkout around the current directory keeps it.
    #[arg(long, value_name = "PATH")]
    tla_tools: Option<PathBuf>,

    /// Do not ask the specification, which needs a Java runtime.
    #[arg(long, conflicts_with_all = ["tla_tools", "window", "heap", "timeout"])]
    no_spec: bool,

    /// Steps that TLC takes from one state before it goes on from the next recorded one.
    #[arg(long, value_name = "STEPS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,

    /// The most memory that TLC may use.
    #[arg(long, value_name = "MiB", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(256..))]
    heap: u32,

    /// The longest that TLC may take for some thousand steps.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,

    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Asks four questions of a run, each of all its steps:
  replay         does each machine, handed its events again, want what it wanted then?
  order          was everything that was received sent before? Vector clocks decide, no host's time.
  invariants     do the protocol's properties hold of the whole history, in that order?
  specification  is each step one of specs/raft/Raft.tla? TLC decides; messages may have been lost.

The logs must begin with each member's first start. Exit status 0 means that all four were asked of all
steps, or the first three with --no-spec, and that nothing was found; 1 that something was, or was not asked.

The specification is asked with TLC: a Java runtime, and tla2tools.jar from the releases of
github.com/tlaplus/tlaplus, or as specs/check of a checkout fetches it.

Examples:
  quorate conform cluster-directory
  quorate conform --config node1.toml --config node2.toml --config node3.toml
  quorate conform --config node1.toml logs/*.jsonl --tla-tools tla2tools.jar
  quorate conform cluster-directory --no-spec --json";

impl ConformArgs {
    /// Validates the run and prints what was found.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let lives = self.lives()?;
        let bar = if io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{pos} of {len} steps, {elapsed}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style)
        } else {
            ProgressBar::hidden()
        };
        let mut progress = |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        };
        let report = conform(&lives, &self.options(), &mut progress).map_err(failure)?;
        bar.finish_and_clear();
        let text = if self.json {
            let json = serde_json::to_string_pretty(&report);
            json.map_err(|error| Failure::Fault(error.to_string()))? + "\n"
        } else {
            report.to_string()
        };
        let written = io::stdout().lock().write_all(text.as_bytes());
        written.map_err(Failure::local("printing the result"))?;
        let fine = if self.no_spec {
            report.holds()
        } else {
            report.conforms()
        };
        Ok(if fine {
            Outcome::Holds
        } else {
            Outcome::Refuted
        })
    }

    fn options(&self) -> Options {
        let mut tools = if self.no_spec {
            Err("--no-spec".to_owned())
        } else {
            Tools::find(self.tla_tools.as_deref()).map_err(|missing| missing.to_string())
        };
        if let Ok(tools) = &mut tools {
            tools.heap_mib = self.heap;
            tools.timeout = Duration::from_secs(self.timeout);
        }
        Options {
            window: self.window as usize,
            ..Options::new(tools)
        }
    }

    /// Each member's configuration and logs.
    fn lives(&self) -> Result<Vec<Life<Raft<Map>>>, Failure> {
        let recordings = match (&self.config[..], &self.logs[..]) {
            ([], [dir]) if dir.is_dir() => Recording::all_in(dir)?,
            ([], _) => {
                return Err(Failure::Usage(
                    "--config is needed, or one directory with the configurations of all members"
                        .into(),
                ));
            }
            (configs, []) => {
                let recordings = configs.iter().map(|config| Recording::of(config));
                recordings.collect::<Result<_, _>>()?
            }
            (configs, logs) => {
                let members = configs.iter().map(|config| NodeConfig::read(config));
                return assigned(&members.collect::<Result<Vec<_>, _>>()?, logs);
            }
        };
        recordings.into_iter().map(life).collect()
    }
}

/// What a member has recorded of the key-value store.
fn life(recording: Recording) -> Result<Life<Raft<Map>>, Failure> {
    let id = recording.member.node.id;
    let logs = recording.logs(KV).to_vec();
    if logs.is_empty() {
        return Err(Failure::Usage(format!(
            "no event logs of the key-value store on member {}",
            id.0
        )));
    }
    let config = recording.member.kv(id);
    Ok(Life { config, logs })
}

/// The logs by the members whose they are, in the order of the starts.
fn assigned(configs: &[NodeConfig], logs: &[PathBuf]) -> Result<Vec<Life<Raft<Map>>>, Failure> {
    let mut of_members: BTreeMap<NodeId, BTreeMap<u64, PathBuf>> = BTreeMap::new();
    for log in logs {
        let shown = log.display();
        let said = event_log_node(log).map_err(Failure::local(format!("reading {shown}")))?;
        let Some((node, group, number)) = said else {
            return Err(Failure::Usage(format!("{shown}: not an event log")));
        };
        if group != KV {
            return Err(Failure::Usage(format!(
                "{shown}: of another group, {group}"
            )));
        }
        let starts = of_members.entry(node).or_default();
        if let Some(other) = starts.insert(number, log.clone()) {
            let other = other.display();
            return Err(Failure::Usage(format!(
                "{shown} and {other}: both of start {number} of member {}",
                node.0
            )));
        }
    }
    let life = |(id, starts): (NodeId, BTreeMap<u64, PathBuf>)| {
        let own = configs.iter().find(|config| config.node.id == id);
        let Some(config) = own.or(configs.first()) else {
            return Err(Failure::Usage("--config is needed".into()));
        };
        if !config.node.members.contains_key(&id) {
            let id = id.0;
            return Err(Failure::Usage(format!(
                "there is a log of {id}, which is no member"
            )));
        }
        let config = config.kv(id);
        let logs = starts.into_values().collect();
        Ok(Life { config, logs })
    };
    of_members.into_iter().map(life).collect()
}

pub(super) fn failure(error: ConformError) -> Failure {
    match error {
        ConformError::Usage(why) => Failure::Usage(why),
        ConformError::Local { attempt, source } => Failure::Local { attempt, source },
        ConformError::Tlc { .. } | ConformError::Replay(_) => Failure::Fault(error.to_string()),
    }
}
