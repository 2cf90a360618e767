//! What is known about whether a trace is whole.

use serde::{Deserialize, Serialize};

use crate::SpanId;

/// Why a trace was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It has a root, every parent that a span names is there, and it was quiet for the window.
    Complete,
    /// Its time was up and something was still missing.
    Incomplete,
    /// It was sealed early, to stay within the memory for open traces. A later revision follows when
    /// more of it arrives.
    Evicted,
}

/// The verdict on a trace, with what speaks for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Completeness {
    /// Whether it is whole.
    pub verdict: Verdict,
    /// Distinct spans.
    pub spans: u32,
    /// Spans without a parent.
    pub roots: u32,
    /// Parents that spans name and that are not there, sorted; [`Completeness::MISSING_MAX`] at most.
    pub missing: Vec<SpanId>,
    /// All missing parents, listed or not.
    pub missing_count: u32,
}

impl Completeness {
    /// Missing parents that are listed.
    pub const MISSING_MAX: usize = 1000;
}
