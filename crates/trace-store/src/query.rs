//! What is searched for.

use quorate_analysis::Severity;
use quorate_trace::Verdict;
use serde::{Deserialize, Serialize};

use crate::Summary;

/// Which traces are wanted. All conditions have to hold; of those that are not given, none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// A service with a span in the trace.
    pub service: Option<String>,
    /// The name of a span, of that service if one is given.
    pub operation: Option<String>,
    /// Attributes, as text, that one span has all of, of that service and operation if they are given.
    /// Attributes of its resource and scope count as its own. Some keys mean what Jaeger means by
    /// them: `error`, `span.kind`, `otel.status_code`.
    pub tags: Vec<(String, String)>,
    /// The shortest duration of the trace, in nanoseconds.
    pub min_duration_ns: Option<u64>,
    /// The longest duration of the trace, in nanoseconds.
    pub max_duration_ns: Option<u64>,
    /// The earliest begin of the trace, in nanoseconds since 1970.
    pub start_ns: Option<u64>,
    /// The latest begin of the trace, in nanoseconds since 1970.
    pub end_ns: Option<u64>,
    /// How it was sealed.
    pub verdict: Option<Verdict>,
    /// A fault of at least this severity.
    pub min_severity: Option<Severity>,
    /// Whether a span has the status of an error.
    pub has_error: Option<bool>,
    /// How many are wanted, newest first; [`Query::LIMIT_MAX`] at most.
    pub limit: usize,
}

impl Query {
    /// The longest list that is returned.
    pub const LIMIT_MAX: usize = 10_000;
}

impl Default for Query {
    fn default() -> Self {
        Query {
            service: None,
            operation: None,
            tags: Vec::new(),
            min_duration_ns: None,
            max_duration_ns: None,
            start_ns: None,
            end_ns: None,
            verdict: None,
            min_severity: None,
            has_error: None,
            limit: 20,
        }
    }
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The traces, the one that began last first.
    pub summaries: Vec<Summary>,
    /// How many traces were looked at.
    pub examined: u64,
    /// Whether these are the newest that there are. Otherwise the search ended because it had looked at
    /// as much as it may: there may be more, and older ones.
    pub complete: bool,
}

/// Keys of attributes in recent traces, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagKeys {
    /// Of resources.
    pub resource: Vec<String>,
    /// Of spans.
    pub span: Vec<String>,
}
