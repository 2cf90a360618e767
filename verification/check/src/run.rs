//! What came of one task.

use quorate_model::{Bound, Stop, Trace, Verdict};
use serde::{Deserialize, Serialize};

/// A way of checking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Every state within bounds.
    Safety,
    /// Every fair behaviour within bounds.
    Liveness,
    /// Seeded runs in virtual time, with faults.
    Simulation,
    /// Bugs that are planted on purpose.
    SeededBugs,
}

impl Engine {
    /// Its name.
    pub fn text(self) -> &'static str {
        match self {
            Engine::Safety => "safety",
            Engine::Liveness => "liveness",
            Engine::Simulation => "simulation",
            Engine::SeededBugs => "seeded bugs",
        }
    }

    /// What it counts when it says how much it looked at: the name of a [`Count`].
    pub fn unit(self) -> &'static str {
        match self {
            Engine::Safety => "unique",
            Engine::Liveness => "states",
            Engine::Simulation => "runs",
            Engine::SeededBugs => "bugs",
        }
    }

    /// What it looks at.
    pub fn about(self) -> &'static str {
        match self {
            Engine::Safety => "every state within the bounds",
            Engine::Liveness => "every fair behaviour within the bounds",
            Engine::Simulation => "seeded runs in virtual time, under faults",
            Engine::SeededBugs => "bugs planted on purpose: each must be found",
        }
    }
}

/// What one task came to: one configuration of a protocol, seen by one engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The protocol.
    pub protocol: String,
    /// The engine.
    pub engine: Engine,
    /// The configuration.
    pub part: String,
    /// Within which bounds it looked.
    pub within: Vec<Bound>,
    /// What it assumed, in words: fairness and timing, where liveness is judged.
    pub assumed: Vec<String>,
    /// How much it looked at, in the engine's own units.
    pub counts: Vec<Count>,
    /// Duration.
    pub seconds: f64,
    /// The process's largest resident memory meanwhile; none if the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// What of it was already resident at the beginning.
    pub initial_rss_bytes: Option<u64>,
    /// Why it ended early, if it did.
    pub stopped: Option<Stop>,
    /// What it says of each property.
    pub findings: Vec<Finding>,
}

/// Something that was counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// What.
    pub name: String,
    /// How many.
    pub value: u64,
}

impl Count {
    pub(crate) fn new(name: &str, value: u64) -> Self {
        Count {
            name: name.to_owned(),
            value,
        }
    }
}

/// What is said of one property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The property.
    pub property: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Steps of the counterexample or example.
    pub length: Option<usize>,
    /// The counterexample or example.
    pub evidence: Option<Evidence>,
}

/// Why a verdict is what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Step by step.
    Trace(Trace),
    /// In words.
    Text(String),
}

impl Evidence {
    pub(crate) fn text(&self) -> String {
        match self {
            Evidence::Trace(trace) => trace.to_string(),
            Evidence::Text(text) => text.clone(),
        }
    }
}

impl Finding {
    /// Whether it is a failure to be told at length.
    pub(crate) fn has_failed(&self) -> bool {
        let open = self.verdict == Verdict::Undecided;
        !open && !self.verdict.is_as_it_should_be()
    }
}

impl Run {
    /// Whether every verdict is as it should be.
    pub fn passed(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.all(|finding| finding.verdict.is_as_it_should_be())
    }

    /// What is said of `property`.
    pub fn finding(&self, property: &str) -> Option<&Finding> {
        self.findings.iter().find(|one| one.property == property)
    }

    /// How many of `name` were counted.
    pub fn count(&self, name: &str) -> Option<u64> {
        let count = self.counts.iter().find(|count| count.name == name);
        count.map(|count| count.value)
    }

    /// Protocol and configuration.
    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.protocol, self.part)
    }

    /// How it ended, in a few words.
    pub(crate) fn summary(&self) -> String {
        let failed = self.findings.iter().filter(|one| one.has_failed()).count();
        match self.stopped {
            Some(stop) if stop != Stop::Violation => format!("undecided: {}", stop.text()),
            _ if failed > 0 => format!("FAILED: {failed} of {}", self.findings.len()),
            _ if !self.passed() => "undecided".to_owned(),
            _ if self
                .findings
                .iter()
                .all(|one| one.verdict == Verdict::Refuted) =>
            {
                Verdict::Refuted.text().to_owned()
            }
            _ => "passed".to_owned(),
        }
    }
}

/// Whether every verdict of every run is as it should be.
pub fn passed(runs: &[Run]) -> bool {
    runs.iter().all(Run::passed)
}
