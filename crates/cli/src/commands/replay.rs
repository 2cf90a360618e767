//! `quorate replay`: the recorded life of a member, run through its machine again.
//!
//! A member with `event_log` in its configuration records every event and what the machine wanted done
//! about it. The machine is deterministic and is the one that the model checker explores, so a replay
//! shows that what ran is what was checked: the same events give the same effects, and every restart found
//! what the disk was allowed to hold.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use quorate::NodeId;
use quorate::driver::{Divergence, ReplayReport, around_difference, event_logs, replay, shortened};
use quorate::raft::Raft;
use quorate_kv::Map;

use super::node::{KV, NodeConfig};
use crate::outcome::{Failure, Outcome};

/// Options of `quorate replay`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ReplayArgs {
    /// The member's configuration, as it was when the logs were recorded.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Event logs of the member in the order of its starts, all that its configuration names by default.
    /// Without --config: a directory with the configurations of members, each of which is replayed.
    #[arg(value_name = "LOG|DIR", required_unless_present = "config")]
    logs: Vec<PathBuf>,
}

const HELP: &str = "\
The first log must be that of the member's first start. Exit status 1 means that a replay differs from its
log, or that a log is not what a member writes.

Examples:
  quorate replay --config node1.toml
  quorate replay --config node1.toml events/n1-g1-000001.jsonl events/n1-g1-000002.jsonl
  quorate replay demo-directory";

impl ReplayArgs {
    /// Replays every member and prints a line about each.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let recordings = match (&self.config, &self.logs[..]) {
            (Some(config), []) => vec![Recording::of(config)?],
            (Some(config), logs) => vec![Recording {
                member: NodeConfig::read(config)?,
                logs: logs.to_vec(),
            }],
            (None, [dir]) if dir.is_dir() => Recording::all_in(dir)?,
            (None, _) => {
                return Err(Failure::Usage(
                    "--config is needed, or one directory with the configurations of members"
                        .into(),
                ));
            }
        };
        let mut outcome = Outcome::Holds;
        for recording in recordings {
            let verdict = recording.replay()?;
            writeln!(io::stdout(), "{verdict}")
                .map_err(Failure::local("writing to standard output"))?;
            if verdict.replayed.is_err() {
                outcome = Outcome::Refuted;
            }
        }
        Ok(outcome)
    }
}

/// What a member has recorded.
pub(super) struct Recording {
    pub(super) member: NodeConfig,
    /// Its event logs, in the order of its starts.
    pub(super) logs: Vec<PathBuf>,
}

impl Recording {
    /// All that the member with the configuration at `path` has recorded.
    pub(super) fn of(path: &Path) -> Result<Self, Failure> {
        let member = NodeConfig::read(path)?;
        let Some(folder) = &member.node.event_log else {
            let path = path.display();
            return Err(Failure::Usage(format!(
                "{path}: the member records no events; set event_log, or name the logs"
            )));
        };
        let logs = event_logs(folder, member.node.id, KV)
            .map_err(Failure::local(format!("reading {}", folder.display())))?;
        if logs.is_empty() {
            let folder = folder.display();
            return Err(Failure::Usage(format!(
                "{folder}: no event logs of the member"
            )));
        }
        Ok(Recording { member, logs })
    }

    /// All that the members with configurations in `dir` have recorded.
    pub(super) fn all_in(dir: &Path) -> Result<Vec<Self>, Failure> {
        let attempt = format!("reading {}", dir.display());
        let mut configs = Vec::new();
        for entry in fs::read_dir(dir).map_err(Failure::local(&attempt))? {
            let path = entry.map_err(Failure::local(&attempt))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                configs.push(path);
            }
        }
        configs.sort_unstable();
        if configs.is_empty() {
            let dir = dir.display();
            return Err(Failure::Usage(format!(
                "{dir}: no configuration of a member (*.toml)"
            )));
        }
        configs.iter().map(|config| Self::of(config)).collect()
    }

    /// Replays it. A log that cannot be read is a failure, one that differs a verdict.
    pub(super) fn replay(&self) -> Result<Verdict, Failure> {
        let config = self.member.kv(self.member.node.id);
        let replayed = replay::<Raft<Map>>(&config, &self.logs);
        if let Err(Divergence::Unreadable { file, error }) = replayed {
            return Err(Failure::local(format!("reading {}", file.display()))(error));
        }
        Ok(Verdict {
            member: self.member.node.id,
            replayed,
        })
    }
}

/// What a replay found.
pub(super) struct Verdict {
    member: NodeId,
    pub(super) replayed: Result<ReplayReport, Divergence>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {}: ", self.member.0)?;
        match &self.replayed {
            Ok(report) => write!(f, "{report}; every effect is the same"),
            Err(Divergence::Effects {
                file,
                step,
                event,
                expected,
                got,
            }) => {
                let (recorded, replayed) = around_difference(expected, got, SHOWN);
                writeln!(f, "step {step} of {} differs", file.display())?;
                writeln!(f, "  event:    {}", shortened(event, SHOWN))?;
                writeln!(f, "  recorded: {recorded}")?;
                write!(f, "  replayed: {replayed}")
            }
            Err(other) => write!(f, "{other}"),
        }
    }
}

/// Characters of a text that fit a few lines of a terminal.
const SHOWN: usize = 240;
