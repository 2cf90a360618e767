//! What is known about a trace, in the form in which a collector tells it. Of a trace in a file the same is
//! found out here.

use std::collections::BTreeMap;

use quorate_analysis::{Analysis, Graph, History, Patterns, Timeline, analyse_linked};
use quorate_trace::wire::{Span, StatusCode};
use quorate_trace::{SpanId, TraceId, Verdict};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::print::counted;

/// A trace and what the analysis says of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) summary: Summary,
    /// `sealed`, or the phase of its assembly; none of a trace in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phase: Option<String>,
    pub(super) problems: Vec<Problem>,
    pub(super) missing: Vec<Missing>,
    pub(super) skew: Vec<Skew>,
    pub(super) critical_path: Vec<Segment>,
    pub(super) faults: Vec<Fault>,
    pub(super) root_causes: Vec<RootCause>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) trace_id: TraceId,
    /// Empty without a root, as is the name.
    pub(super) root_service: String,
    pub(super) root_name: String,
    /// Nanoseconds since 1970, in decimal.
    pub(super) start_ns: String,
    pub(super) duration_ns: u64,
    pub(super) spans: u32,
    pub(super) errors: u32,
    pub(super) services: Vec<Service>,
    pub(super) completeness: Completeness,
    #[serde(default)]
    pub(super) root_cause: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Service {
    pub(super) service: String,
    pub(super) spans: u32,
    pub(super) errors: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Completeness {
    /// None while the trace is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) verdict: Option<Verdict>,
    pub(super) missing_count: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Problem {
    pub(super) kind: String,
    pub(super) severity: String,
    pub(super) span_id: Option<SpanId>,
    pub(super) message: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Missing {
    pub(super) span_id: SpanId,
    pub(super) message: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Skew {
    pub(super) service: String,
    pub(super) offset_ns: i64,
    pub(super) uncertainty_ns: u64,
    pub(super) samples: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Segment {
    pub(super) span_id: SpanId,
    pub(super) from_ns: String,
    pub(super) to_ns: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fault {
    pub(super) kind: String,
    pub(super) severity: String,
    pub(super) span_id: SpanId,
    pub(super) service: String,
    pub(super) operation: String,
    pub(super) message: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RootCause {
    pub(super) span_id: SpanId,
    pub(super) trace_id: TraceId,
    pub(super) service: String,
    pub(super) operation: String,
    pub(super) score: f64,
    pub(super) reasons: Vec<String>,
    pub(super) path: Vec<SpanId>,
}

impl Report {
    /// Of a trace that was read from a file, with others that it is linked with.
    pub(super) fn analysed(
        spans: &[Span<'_>],
        linked: &[&[Span<'_>]],
        patterns: &Patterns,
        history: &History,
    ) -> serde_json::Result<Self> {
        let analysis = analyse_linked(spans, linked, patterns, history);
        let mut summary = Summary::of(spans, &Graph::new(spans));
        summary.root_cause = analysis.root_causes.first().map(|cause| cause.sentence());
        let Analysis {
            graph,
            problems,
            skew,
            critical_path,
            faults,
            root_causes,
            ..
        } = analysis;
        Ok(Report {
            summary,
            phase: None,
            problems: as_told(&problems)?,
            missing: as_told(&graph.missing)?,
            skew: as_told(&skew)?,
            critical_path: as_told(&critical_path)?,
            faults: as_told(&faults)?,
            root_causes: as_told(&root_causes)?,
        })
    }
}

/// As it arrives from a collector, so that there is one form to print.
fn as_told<T: DeserializeOwned>(found: &impl Serialize) -> serde_json::Result<T> {
    serde_json::from_value(json!(found))
}

impl Summary {
    /// Of a trace that was read from a file. It is complete if it has a root and nothing is missing: more
    /// of it cannot arrive.
    pub(super) fn of(spans: &[Span<'_>], graph: &Graph<'_, '_>) -> Self {
        let timeline = Timeline::new(graph);
        let starts = timeline.adjusted.iter().map(|(start, _)| *start);
        let root = graph.roots().first().map(|at| graph.span(*at));
        let mut services: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        let mut missing: Vec<SpanId> = Vec::new();
        for at in graph.topological_order() {
            let span = graph.span(*at);
            let (count, errors) = services.entry(span.service).or_default();
            *count += 1;
            *errors += u32::from(span.status == StatusCode::Error);
        }
        missing.extend(
            graph
                .orphans()
                .iter()
                .filter_map(|at| graph.span(*at).parent),
        );
        missing.sort_unstable();
        missing.dedup();
        let is_whole = root.is_some() && missing.is_empty() && graph.cycles().is_empty();
        let services = services
            .into_iter()
            .map(|(service, (spans, errors))| Service {
                service: service.to_owned(),
                spans,
                errors,
            });
        let services: Vec<Service> = services.collect();
        Summary {
            trace_id: spans[0].trace_id,
            root_service: root.map_or_else(String::new, |root| root.service.to_owned()),
            root_name: root.map_or_else(String::new, |root| root.name.to_owned()),
            start_ns: starts
                .filter(|start| *start > 0)
                .min()
                .unwrap_or(0)
                .to_string(),
            duration_ns: timeline.extent(),
            spans: services.iter().map(|service| service.spans).sum(),
            errors: services.iter().map(|service| service.errors).sum(),
            services,
            completeness: Completeness {
                verdict: Some(match is_whole {
                    true => Verdict::Complete,
                    false => Verdict::Incomplete,
                }),
                missing_count: missing.len() as u32,
            },
            root_cause: None,
        }
    }

    /// Nanoseconds since 1970.
    pub(super) fn start(&self) -> u64 {
        self.start_ns.parse().unwrap_or(0)
    }

    /// Whether all of it is there, in a word or two.
    pub(super) fn verdict(&self) -> &'static str {
        match self.completeness.verdict {
            Some(Verdict::Complete) => "complete",
            Some(Verdict::Incomplete) => "incomplete",
            Some(Verdict::Evicted) => "sealed early",
            None => "still open",
        }
    }

    /// "5 spans of 3 services, 2 errors".
    pub(super) fn size(&self) -> String {
        let spans = counted(self.spans, "span");
        let services = counted(self.services.len() as u64, "service");
        match self.errors {
            0 => format!("{spans} of {services}"),
            errors => format!("{spans} of {services}, {}", counted(errors, "error")),
        }
    }
}
