//! The result of a check, for people and for machines.

use crate::Trace;
use crate::protocol::{Bound, Expectation};
use serde::{Deserialize, Serialize};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The protocol.
    pub protocol: String,
    /// The bounds within which states were explored.
    pub bounds: Vec<Bound>,
    /// The worker threads.
    pub threads: usize,
    /// States generated, repetitions included.
    pub states: usize,
    /// Distinct states.
    pub unique: usize,
    /// Steps on the longest path explored, the initial state counted as one. A depth-first search
    /// goes much deeper than the shortest way to the same states.
    pub depth: usize,
    /// Duration of the search.
    pub seconds: f64,
    /// The process's largest resident memory during the search; none if the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// What of it was already resident when the search began.
    pub initial_rss_bytes: Option<u64>,
    /// Why the search ended before the whole bounded space was explored, if it did.
    pub stopped: Option<Stop>,
    /// The properties, in the order in which they were given.
    pub properties: Vec<PropertyReport>,
}

/// Why a search ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stop {
    /// A property that must always hold was violated.
    Violation,
    /// The limit of states was reached.
    States,
    /// The limit of time was reached.
    Time,
    /// The limit of memory was reached.
    Memory,
    /// It was told to stop.
    Interrupted,
}

impl Stop {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Stop::Violation => "a property is violated",
            Stop::States => "the limit of states was reached",
            Stop::Time => "the limit of time was reached",
            Stop::Memory => "the limit of memory was reached",
            Stop::Interrupted => "interrupted",
        }
    }
}

/// The verdict on one property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertyReport {
    /// The property's name.
    pub name: String,
    /// Whether it must hold always or sometimes.
    pub expectation: Expectation,
    /// The verdict.
    pub verdict: Verdict,
    /// Steps to the counterexample or example.
    pub length: Option<usize>,
    /// The counterexample or example. A long example, of a depth-first search, is left out.
    pub trace: Option<Trace>,
}

/// What a search says of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds in every state within the bounds.
    Holds,
    /// There is a counterexample.
    Violated,
    /// There is an example.
    Found,
    /// There is no example within the bounds: the model does not do what it was made to explore.
    NotFound,
    /// The search ended before it could tell.
    Undecided,
    /// There is a counterexample, and there must be one: the protocol is a specimen.
    Refuted,
    /// There is no counterexample where there must be one.
    Survived,
}

impl Verdict {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Violated => "violated",
            Verdict::Found => "found",
            Verdict::NotFound => "not found",
            Verdict::Undecided => "undecided",
            Verdict::Refuted => "refuted as expected",
            Verdict::Survived => "not refuted",
        }
    }
}

impl Verdict {
    /// Whether it is the verdict that a property should get.
    pub fn is_as_it_should_be(self) -> bool {
        matches!(self, Verdict::Holds | Verdict::Found | Verdict::Refuted)
    }
}

impl Report {
    /// Whether the whole bounded space was explored.
    pub fn complete(&self) -> bool {
        self.stopped.is_none()
    }

    /// Whether everything that must hold holds, everything that must be reachable was reached, and a
    /// specimen was refuted.
    pub fn passed(&self) -> bool {
        self.properties
            .iter()
            .all(|property| property.verdict.is_as_it_should_be())
    }

    /// The violated properties.
    pub fn violations(&self) -> impl Iterator<Item = &PropertyReport> {
        self.properties
            .iter()
            .filter(|property| property.verdict == Verdict::Violated)
    }

    /// The property of that name.
    pub fn property(&self, name: &str) -> Option<&PropertyReport> {
        self.properties.iter().find(|p| p.name == name)
    }

    /// States generated a second.
    pub fn rate(&self) -> f64 {
        self.states as f64 / self.seconds.max(1e-6)
    }

    /// Memory that the search added at its peak, for each distinct state.
    pub fn bytes_per_unique_state(&self) -> Option<f64> {
        let added = self.peak_rss_bytes?.checked_sub(self.initial_rss_bytes?)?;
        (self.unique > 0).then(|| added as f64 / self.unique as f64)
    }

    /// The report as JSON.
    ///
    /// # Errors
    ///
    /// None that is known: the report holds nothing that JSON cannot.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}
