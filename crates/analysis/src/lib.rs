//! What is wrong with a trace, and why.
//!
//! Everything here reads the spans of one trace (`&[Span]`, views of the bytes that were received) and is a
//! pure function of them: no clock, no I/O, no threads, and the same answer every time. Traces come from
//! outside, so nothing recurses, every list of a report is limited, and all of it takes linear time
//! but for sorting.
//!
//! - [`Graph`] makes a forest of whatever arrived; [`GraphReport`] says what did not fit: missing
//!   parents, cycles, several roots, duplicates.
//! - [`Timeline`] estimates how far the clocks of the services are apart and has corrected times beside
//!   the raw ones.
//! - [`critical_path`] is what the duration of the trace consists of.
//! - [`Causality`] answers which span could have influenced which, across traces too.
//! - [`detect`] finds faults by the configured [`Patterns`] and each operation's [`History`].
//! - [`root_causes`] ranks the spans that explain the faults.
//!
//! [`analyse`] does all of that for somebody who looks at a trace. [`faults_of`] does what every trace
//! needs when it is sealed, and next to nothing for a healthy one.
//!
//! ```
//! use quorate_analysis::{History, Patterns, analyse};
//! use quorate_trace::wire::{Batch, Limits};
//!
//! let stored = bytes::Bytes::new(); // an OTLP `TracesData` message
//! let batch = Batch::scan(stored, &Limits::default())?;
//! let spans: Vec<_> = batch.spans().collect();
//! let analysis = analyse(&spans, &Patterns::default(), &History::default());
//! assert!(analysis.faults.is_empty());
//! # Ok::<_, quorate_trace::wire::Malformed>(())
//! ```

mod blame;
pub mod causality;
mod clock;
mod critical_path;
mod faults;
mod graph;
mod graph_report;
pub mod history;
pub mod matching;
pub mod patterns;
mod reach;
mod report;
mod root_cause;
mod timeline;
mod vector_clock;

pub use causality::{
    Causality, CausalityBuilder, Causes, Edge, EdgeKind, Relation, SpanRef, edges, link_kind,
    linked_traces,
};
pub use critical_path::{Segment, critical_path};
pub use faults::{Evidence, FAULTS_MAX, Fault, FaultKind, detect};
pub use graph::Graph;
pub use graph_report::{Duplicate, GraphReport, LISTED_MAX, MISSING_CHILDREN_MAX, Missing};
pub use history::{DECAY_AT, History, OPERATIONS_MAX, Unusual};
pub use patterns::Patterns;
pub use report::{PROBLEMS_PER_KIND_MAX, Problem, ProblemKind, Severity};
pub use root_cause::{PATH_MAX, ROOT_CAUSES_MAX, RootCause, TraceFaults, root_causes};
pub use timeline::{SKEW_MAX, ServiceSkew, Timeline};
pub use vector_clock::vector_clock;

use faults::Suspicions;
use quorate_trace::wire::Span;
use serde::Serialize;

/// Everything that is known about one trace.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// Its structure. Its problems are among [`Analysis::problems`].
    pub graph: GraphReport,
    /// What is wrong with structure, times and causes.
    pub problems: Vec<Problem>,
    /// Clocks that are wrong.
    pub skew: Vec<ServiceSkew>,
    /// Corrected begin and end of every span, in the order of the trace.
    #[serde(skip)]
    pub adjusted: Vec<(u64, u64)>,
    /// What its duration consists of.
    pub critical_path: Vec<Segment>,
    /// What went wrong, the worst first.
    pub faults: Vec<Fault>,
    /// What explains that, the best explanation first.
    pub root_causes: Vec<RootCause>,
    /// Causes and effects.
    pub edges: Vec<Edge>,
}

/// Everything about one trace.
pub fn analyse(spans: &[Span<'_>], patterns: &Patterns, history: &History) -> Analysis {
    analyse_linked(spans, &[], patterns, history)
}

/// Everything about one trace, with root causes in traces that it is linked with (see
/// [`linked_traces`]); each slice has the spans of one trace.
pub fn analyse_linked(
    spans: &[Span<'_>],
    linked: &[&[Span<'_>]],
    patterns: &Patterns,
    history: &History,
) -> Analysis {
    let graph = Graph::new(spans);
    let report = GraphReport::new(&graph);
    let timeline = Timeline::new(&graph);
    let path = critical_path(&graph, &timeline);
    let faults = detect(&graph, patterns, history);
    let mut problems = [report.problems.clone(), timeline.problems.clone()].concat();
    let mut builder = Causality::builder();
    let is_needed = !faults.is_empty() || spans.iter().any(has_causes_of_its_own);
    if is_needed {
        builder.add(&graph);
    }
    let others: Vec<Found<'_, '_>> = if faults.is_empty() {
        Vec::new()
    } else {
        linked
            .iter()
            .map(|spans| Found::of(spans, patterns, history))
            .collect()
    };
    others.iter().for_each(|other| builder.add(&other.graph));
    let causality = builder.build();
    problems.extend(causality.problems());
    let own = TraceFaults {
        graph: &graph,
        timeline: &timeline,
        critical_path: &path,
        faults: &faults,
    };
    let traces: Vec<_> = std::iter::once(own)
        .chain(others.iter().map(Found::faults))
        .collect();
    let root_causes = root_causes(&traces, &causality);
    Analysis {
        edges: edges(&graph),
        graph: report,
        problems,
        skew: timeline.skew,
        adjusted: timeline.adjusted,
        critical_path: path,
        faults,
        root_causes,
    }
}

/// A trace and what was found in it.
struct Found<'t, 's> {
    graph: Graph<'t, 's>,
    timeline: Timeline,
    path: Vec<Segment>,
    faults: Vec<Fault>,
}

impl<'t, 's> Found<'t, 's> {
    fn of(spans: &'t [Span<'s>], patterns: &Patterns, history: &History) -> Self {
        let graph = Graph::new(spans);
        let timeline = Timeline::new(&graph);
        Found {
            path: critical_path(&graph, &timeline),
            faults: detect(&graph, patterns, history),
            graph,
            timeline,
        }
    }

    fn faults(&self) -> TraceFaults<'_, 't, 's> {
        TraceFaults {
            graph: &self.graph,
            timeline: &self.timeline,
            critical_path: &self.path,
            faults: &self.faults,
        }
    }
}

/// Whether more than its parent may have caused the span: links, or a vector clock that may contradict.
fn has_causes_of_its_own(span: &Span<'_>) -> bool {
    span.links().next().is_some()
        || span
            .attributes()
            .any(|(key, value)| vector_clock::component(key, &value).is_some())
}

/// The faults of a trace and what explains them.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Faults {
    /// What went wrong, the worst first.
    pub faults: Vec<Fault>,
    /// What explains that best.
    pub root_cause: Option<RootCause>,
}

/// What went wrong in a trace. For a trace that is healthy this is one pass over its spans; only for
/// others it looks at structure and times.
pub fn faults_of(spans: &[Span<'_>], patterns: &Patterns, history: &History) -> Faults {
    let suspicions = Suspicions::scan(spans, patterns, history);
    if suspicions.is_empty() {
        return Faults::default();
    }
    let graph = Graph::new(spans);
    let faults = suspicions.examine(&graph, patterns);
    if faults.is_empty() {
        return Faults::default();
    }
    let timeline = Timeline::new(&graph);
    let path = critical_path(&graph, &timeline);
    let trace = TraceFaults {
        graph: &graph,
        timeline: &timeline,
        critical_path: &path,
        faults: &faults,
    };
    let causes = root_causes(&[trace], &Causality::of(&graph));
    Faults {
        root_cause: causes.into_iter().next(),
        faults,
    }
}
