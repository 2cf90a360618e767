//! What is put into a store, and what comes out.

use bytes::Bytes;
use quorate_trace::{Completeness, SpanId, SpanKey, TraceId};
use serde::{Deserialize, Serialize};

use crate::Summary;

/// What sampling made of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Decision {
    /// Its spans are kept.
    Kept {
        /// The name of the policy that wanted it.
        policy: String,
    },
    /// Only the decision is kept, so that spans that come late meet the same one.
    Dropped {
        /// The name of the policy that did not want it.
        policy: String,
    },
}

impl Decision {
    /// Whether the spans are kept.
    pub fn is_kept(&self) -> bool {
        matches!(self, Decision::Kept { .. })
    }

    /// The policy that decided.
    pub fn policy(&self) -> &str {
        match self {
            Decision::Kept { policy } | Decision::Dropped { policy } => policy,
        }
    }
}

/// One revision of a trace: the spans that are new, and what is known of all of them.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// The trace.
    pub trace_id: TraceId,
    /// From 1. A revision that is there already is ignored.
    pub revision: u32,
    /// The verdict on all revisions together.
    pub completeness: Completeness,
    /// What sampling decided.
    pub decision: Decision,
    /// About all revisions together. Its trace, revision, completeness and decision are taken from
    /// above.
    pub summary: Summary,
    /// The new spans, with their parents.
    pub ids: Vec<(SpanKey, Option<SpanId>)>,
    /// The new spans as an OTLP `TracesData` message; empty if they are dropped.
    pub spans: Bytes,
}

/// What a store has of a trace, as far as the next revision has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The latest revision.
    pub revision: u32,
    /// All spans of all revisions, with their parents, whether they were kept or dropped.
    pub ids: Vec<(SpanKey, Option<SpanId>)>,
    /// What sampling decided for the latest revision.
    pub decision: Decision,
}

/// A trace as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Of its latest revision.
    pub summary: Summary,
    /// The spans of all revisions: an OTLP `TracesData` message. Empty if the trace was dropped.
    pub spans: Bytes,
}
