//! The result of a check, for people and for machines.

use crate::protocol::{Bound, Expectation};
use crate::{Trace, xml};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

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

/// Reports as one JUnit XML file: a suite for each protocol, a case for each property.
///
/// A counterexample is the text of its failure; a property that the search could not decide is
/// skipped, so that a limit of states or time does not read as a pass.
pub fn to_junit(reports: &[Report]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for report in reports {
        suite(&mut out, report);
    }
    out.push_str("</testsuites>\n");
    out
}

fn suite(out: &mut String, report: &Report) {
    let count = |verdicts: &[Verdict]| {
        let properties = report.properties.iter();
        properties
            .filter(|property| verdicts.contains(&property.verdict))
            .count()
    };
    let name = xml::escape(&report.protocol);
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{:.3}\">",
        report.properties.len(),
        count(&[Verdict::Violated, Verdict::NotFound, Verdict::Survived]),
        count(&[Verdict::Undecided]),
        report.seconds,
    );
    out.push_str("    <properties>\n");
    let counts = [("states", report.states), ("unique", report.unique)];
    let counts = counts.map(|(name, value)| (name.to_owned(), value as u64));
    let bounds = report.bounds.iter().map(|b| (b.name.clone(), b.limit));
    for (name, value) in counts.into_iter().chain(bounds) {
        let name = xml::escape(&name);
        let _ = writeln!(out, "      <property name=\"{name}\" value=\"{value}\"/>");
    }
    out.push_str("    </properties>\n");
    for property in &report.properties {
        case(out, &name, property);
    }
    out.push_str("  </testsuite>\n");
}

fn case(out: &mut String, suite: &str, property: &PropertyReport) {
    let name = xml::escape(&property.name);
    let _ = write!(
        out,
        "    <testcase classname=\"{suite}\" name=\"{name}\" time=\"0\""
    );
    let text = property.verdict.text();
    let _ = match property.verdict {
        Verdict::Holds | Verdict::Found | Verdict::Refuted => writeln!(out, "/>"),
        Verdict::Undecided => writeln!(out, "><skipped message=\"{text}\"/></testcase>"),
        Verdict::Violated | Verdict::NotFound | Verdict::Survived => {
            let trace = property.trace.as_ref().map(Trace::to_string);
            let trace = trace.unwrap_or_default();
            let trace = xml::escape(&trace);
            writeln!(
                out,
                "><failure message=\"{text}\">\n{trace}</failure></testcase>"
            )
        }
    };
}
