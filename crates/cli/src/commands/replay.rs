//! `quorate replay`: the recorded life of a member, run through its machines again.
//!
//! A member with `event_log` in its configuration records, for each of its groups, every event and what the
//! machine wanted done about it. A machine is deterministic and is the one that the model checker explores, so a replay
//! shows that what ran is what was checked: the same events give the same effects, and every restart found
//! what the disk was allowed to hold.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use quorate::driver::{
    Divergence, ReplayReport, around_difference, event_log_node, event_logs, shortened,
};
use quorate::{GroupId, NodeId};

use super::node::{GROUPS, Group, NodeConfig};
use crate::outcome::{Failure, Outcome};

/// Options of `quorate replay`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ReplayArgs {
    /// The member's configuration, as it was when the logs were recorded.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Event logs of the member, those of a group in the order of its starts; by default all that its
    /// configuration names. Without --config: a directory with the configurations of members, each of which is replayed.
    #[arg(value_name = "LOG|DIR", required_unless_present = "config")]
    logs: Vec<PathBuf>,
}

const HELP: &str = "\
A member has a part in several groups, one for each thing that it serves; each has logs and a machine of its own.
The first log must be that of the member's first start. Exit status 1 means that a replay differs from its
log, or that a log is not what a member writes.

Examples:
  quorate replay --config node1.toml
  quorate replay --config node1.toml events/n1-g1-000001.jsonl events/n1-g1-000002.jsonl
  quorate replay demo-directory";

impl ReplayArgs {
    /// Replays every member and prints a line about each of its groups.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let recordings = match (&self.config, &self.logs[..]) {
            (Some(config), []) => vec![Recording::of(config)?],
            (Some(config), logs) => vec![Recording::named(config, logs)?],
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
            for verdict in recording.replay()? {
                writeln!(io::stdout(), "{verdict}")
                    .map_err(Failure::local("writing to standard output"))?;
                if verdict.replayed.is_err() {
                    outcome = Outcome::Refuted;
                }
            }
        }
        Ok(outcome)
    }
}

/// What a member has recorded.
pub(super) struct Recording {
    pub(super) member: NodeConfig,
    /// The event logs of its groups, in the order of its starts.
    logs: BTreeMap<GroupId, Vec<PathBuf>>,
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
        let mut logs = BTreeMap::new();
        for group in GROUPS {
            let found = event_logs(folder, member.node.id, group.id)
                .map_err(Failure::local(format!("reading {}", folder.display())))?;
            if !found.is_empty() {
                logs.insert(group.id, found);
            }
        }
        if logs.is_empty() {
            let folder = folder.display();
            return Err(Failure::Usage(format!(
                "{folder}: no event logs of the member"
            )));
        }
        Ok(Recording { member, logs })
    }

    /// The event logs `named`, each of a group of the member with the configuration at `path`.
    fn named(path: &Path, named: &[PathBuf]) -> Result<Self, Failure> {
        let member = NodeConfig::read(path)?;
        let mut logs = BTreeMap::<GroupId, Vec<PathBuf>>::new();
        for log in named {
            let shown = log.display();
            let said = event_log_node(log).map_err(Failure::local(format!("reading {shown}")))?;
            let Some((node, group, _)) = said else {
                return Err(Failure::Usage(format!("{shown}: not an event log")));
            };
            if node != member.node.id || GROUPS.iter().all(|known| known.id != group) {
                let id = member.node.id;
                return Err(Failure::Usage(format!(
                    "{shown}: of {node} and {group}, which is no group of {id}"
                )));
            }
            logs.entry(group).or_default().push(log.clone());
        }
        Ok(Recording { member, logs })
    }

    /// The event logs of a group, in the order of the starts.
    pub(super) fn logs(&self, group: GroupId) -> &[PathBuf] {
        self.logs.get(&group).map_or(&[], Vec::as_slice)
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

    /// Replays its groups. A log that cannot be read is a failure, one that differs a verdict.
    pub(super) fn replay(&self) -> Result<Vec<Verdict>, Failure> {
        let recorded = GROUPS
            .iter()
            .filter(|group| !self.logs(group.id).is_empty());
        recorded.map(|group| self.replay_group(group)).collect()
    }

    fn replay_group(&self, group: &Group) -> Result<Verdict, Failure> {
        let replayed = (group.replay)(&self.member, self.logs(group.id));
        if let Err(Divergence::Unreadable { file, error }) = replayed {
            return Err(Failure::local(format!("reading {}", file.display()))(error));
        }
        Ok(Verdict {
            member: self.member.node.id,
            group: group.id,
            name: group.name,
            replayed,
        })
    }
}

/// What the replay of one group of a member found.
pub(super) struct Verdict {
    member: NodeId,
    pub(super) group: GroupId,
    name: &'static str,
    pub(super) replayed: Result<ReplayReport, Divergence>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {}, {}: ", self.member.0, self.name)?;
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
