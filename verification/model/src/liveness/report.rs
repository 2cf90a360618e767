//! What a check of liveness found.

use crate::{Bound, Stop, Trace, Verdict};
use serde::{Deserialize, Serialize};

/// What a check of liveness found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LivenessReport {
    /// The protocol.
    pub protocol: String,
    /// The bounds within which behaviours were explored.
    pub bounds: Vec<Bound>,
    /// What was assumed, in words: fairness, timing, losses.
    pub assumptions: Vec<String>,
    /// Distinct states.
    pub states: usize,
    /// Distinct steps between them.
    pub edges: usize,
    /// States on the longest of the shortest paths.
    pub depth: usize,
    /// Whether behaviours that leave the bounds were cut off. What holds then holds of those that do not;
    /// what is violated is violated all the same.
    pub cut: bool,
    /// Duration, of the judgements too.
    pub seconds: f64,
    /// The process's largest resident memory during the search; none if the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// What of it was already resident when the search began.
    pub initial_rss_bytes: Option<u64>,
    /// Why the search ended early, if it did.
    pub stopped: Option<Stop>,
    /// The properties, each as assumed and then without what it is claimed to need.
    pub properties: Vec<LivenessFinding>,
}

/// What is said of one property.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LivenessFinding {
    /// The property.
    pub name: String,
    /// Its form: *eventually*, *always eventually*, *leads to*, *eventually always*.
    pub form: String,
    /// The assumption that it was judged without, if any: it must then be violated.
    pub without: Option<String>,
    /// The verdict. Where something is missing it is [`Verdict::Refuted`] or [`Verdict::Survived`].
    pub verdict: Verdict,
    /// States of the part of the graph in which a violation could be.
    pub region: usize,
    /// Strongly connected components that were judged there.
    pub components: usize,
    /// Duration of the judgement.
    pub seconds: f64,
    /// Steps of the lasso, its cycle gone through once.
    pub length: Option<usize>,
    /// The lasso, verified.
    pub trace: Option<Trace>,
}

impl LivenessFinding {
    /// The property, with what it is judged without.
    pub fn title(&self) -> String {
        match &self.without {
            Some(without) => format!("{}, without {without}", self.name),
            None => self.name.clone(),
        }
    }
}

impl LivenessReport {
    /// Whether all that must happen does, and nothing that was assumed is superfluous.
    pub fn passed(&self) -> bool {
        let mut findings = self.properties.iter();
        findings.all(|finding| finding.verdict.is_as_it_should_be())
    }

    /// Whether the whole bounded graph was explored.
    pub fn complete(&self) -> bool {
        self.stopped.is_none()
    }

    /// What is said of a property under all assumptions.
    pub fn property(&self, name: &str) -> Option<&LivenessFinding> {
        let mut findings = self.properties.iter();
        findings.find(|finding| finding.name == name && finding.without.is_none())
    }

    /// What is said of whatever was judged without that assumption.
    pub fn without(&self, label: &str) -> Option<&LivenessFinding> {
        let mut findings = self.properties.iter();
        findings.find(|finding| finding.without.as_deref() == Some(label))
    }
}
