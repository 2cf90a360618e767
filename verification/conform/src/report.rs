//! What a validation found.

use quorate_machine::NodeId;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// One of the questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Whether the machine wants the same again.
    Replay,
    /// Whether messages and causality make sense.
    Order,
    /// Whether the protocol's properties hold of the history.
    Invariants,
    /// Whether each step is one of the specification.
    Specification,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Replay => "replay",
            Part::Order => "order",
            Part::Invariants => "invariants",
            Part::Specification => "specification",
        })
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which question it answers.
    pub part: Part,
    /// Whose step it is.
    pub member: u32,
    /// Where the step is recorded.
    pub file: PathBuf,
    /// The line there, from one.
    pub line: usize,
    /// The step.
    pub event: String,
    /// Its vector clock, in the order of the members; empty if there is none yet.
    pub clock: Vec<u32>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line) = (self.file.display(), self.line);
        writeln!(f, "{}: member {}, {file}:{line}", self.part, self.member)?;
        if !self.event.is_empty() {
            writeln!(f, "  step:  {}", self.event)?;
        }
        if !self.clock.is_empty() {
            writeln!(f, "  clock: {:?}", self.clock)?;
        }
        let what = self.what.replace('\n', "\n         ");
        writeln!(f, "  found: {what}")
    }
}

/// What is known of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemberReport {
    /// The member.
    pub member: u32,
    /// Whether its logs were given.
    pub recorded: bool,
    /// Starts of its process.
    pub incarnations: u64,
    /// Steps of its machine that are recorded.
    pub events: u64,
    /// Steps in the specification's grain: with syncs and crashes.
    pub steps: u64,
    /// Records that it wrote and kept.
    pub records: u64,
    /// Records that crashes took before they were durable.
    pub lost_records: u64,
    /// Whether all of it was replayed with identical effects.
    pub identical: bool,
}

/// How far the specification was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Specification {
    /// It was.
    Checked {
        /// Steps of all members.
        steps: u64,
        /// How many of them are steps of the specification, from the first on.
        validated: u64,
        /// In so many windows.
        windows: u64,
    },
    /// It was not, for this reason.
    Skipped(String),
}

/// What a validation found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Member by member.
    pub members: Vec<MemberReport>,
    /// Receipts with their sends. None if the order was not asked for want of identical replays.
    pub matched: Option<u64>,
    /// Messages that were sent and never received.
    pub lost: Option<u64>,
    /// Steps after which the invariants were evaluated.
    pub states: u64,
    /// Entries that were committed.
    pub committed: u64,
    /// How far the specification was asked.
    pub specification: Specification,
    /// What is not as it should be, in the order of the questions.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether every question was asked to its end, and nothing was found.
    pub fn conforms(&self) -> bool {
        let asked = match &self.specification {
            Specification::Checked {
                steps, validated, ..
            } => steps == validated,
            Specification::Skipped(_) => false,
        };
        asked && self.holds()
    }

    /// Whether nothing was found by what was asked.
    pub fn holds(&self) -> bool {
        self.findings.is_empty()
    }
}

/// A table of the members, what all of them come to, and the findings.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<8} {:>12} {:>9} {:>9} {:>9} {:>13}  replayed",
            "member", "incarnations", "events", "steps", "records", "lost records"
        )?;
        for member in &self.members {
            let name = NodeId(member.member).to_string();
            if !member.recorded {
                writeln!(f, "{name:<8} no log was given")?;
                continue;
            }
            let replayed = if member.identical {
                "identical"
            } else {
                "DIFFERS"
            };
            writeln!(
                f,
                "{name:<8} {:>12} {:>9} {:>9} {:>9} {:>13}  {replayed}",
                member.incarnations,
                member.events,
                member.steps,
                member.records,
                member.lost_records
            )?;
        }
        writeln!(f)?;
        match (self.matched, self.lost) {
            (Some(matched), Some(lost)) => writeln!(
                f,
                "order          {matched} messages received, each after it was sent; {lost} lost"
            )?,
            _ => writeln!(
                f,
                "order          not asked, as not every replay is identical"
            )?,
        }
        if self.states > 0 {
            let (states, committed) = (self.states, self.committed);
            writeln!(
                f,
                "invariants     after {states} steps, with {committed} entries committed"
            )?;
        } else {
            writeln!(f, "invariants     not asked")?;
        }
        match &self.specification {
            Specification::Checked {
                steps,
                validated,
                windows,
            } => writeln!(
                f,
                "specification  {validated} of {steps} steps are steps of it, in {windows} windows"
            )?,
            Specification::Skipped(reason) => writeln!(f, "specification  not asked: {reason}")?,
        }
        for finding in &self.findings {
            write!(f, "\n{finding}")?;
        }
        Ok(())
    }
}
