//! Search: its parameters, and summaries as JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use quorate_analysis::{Fault, Severity};
use quorate_trace::wire::{Span, StatusCode};
use quorate_trace::{SpanId, TraceId, Verdict};
use quorate_trace_store::{Decision, Found, Query, Summary};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::error::Error;
use crate::examine::Examined;
use crate::parameters::{Parameters, time_ns};
use crate::view::as_text;

/// The store's query that the parameters stand for.
pub(crate) fn query(parameters: &Parameters, default: usize, most: usize) -> Result<Query, Error> {
    let tag = |text: &str| {
        let (key, value) = text.split_once('=')?;
        (!key.is_empty()).then(|| (key.to_owned(), value.to_owned()))
    };
    let tags = parameters.all("tag").map(|text| {
        tag(text).ok_or_else(|| Error::Parameter {
            name: "tag",
            reason: format!("'{text}' is not of the form key=value"),
        })
    });
    Ok(Query {
        service: parameters.get("service").map(str::to_owned),
        operation: parameters.get("operation").map(str::to_owned),
        tags: tags.collect::<Result<_, _>>()?,
        min_duration_ns: parameters.duration("minDuration")?,
        max_duration_ns: parameters.duration("maxDuration")?,
        start_ns: parameters.read("start", time_ns)?,
        end_ns: parameters.read("end", time_ns)?,
        verdict: parameters.read("verdict", verdict)?,
        min_severity: parameters.read("severity", severity)?,
        has_error: parameters.flag("errors")?.then_some(true),
        limit: parameters.limit(default, most)?,
    })
}

/// Of its name.
pub(crate) fn verdict(name: &str) -> Result<Verdict, String> {
    named(name, "complete, incomplete and evicted")
}

/// Of its name.
pub(crate) fn severity(name: &str) -> Result<Severity, String> {
    named(name, "info, warning and critical")
}

/// A member of an enumeration by the name that it has in JSON.
fn named<T: DeserializeOwned>(name: &str, names: &str) -> Result<T, String> {
    serde_json::from_value(json!(name)).map_err(|_| format!("'{name}' is not one of {names}"))
}

/// The answer to a search.
#[derive(Serialize)]
pub(super) struct FoundView<'a> {
    traces: Vec<SummaryView<'a>>,
    examined: u64,
    /// Whether every trace that might match was looked at, or the limit was reached.
    complete: bool,
}

impl<'a> From<&'a Found> for FoundView<'a> {
    fn from(found: &'a Found) -> Self {
        FoundView {
            traces: found.summaries.iter().map(SummaryView::from).collect(),
            examined: found.examined,
            complete: found.complete,
        }
    }
}

/// The summary of a trace.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SummaryView<'a> {
    trace_id: TraceId,
    revision: u32,
    root_service: &'a str,
    root_name: &'a str,
    #[serde(serialize_with = "as_text")]
    start_ns: u64,
    duration_ns: u64,
    spans: u32,
    errors: u32,
    services: Vec<ServiceView<'a>>,
    completeness: CompletenessView<'a>,
    faults: Vec<FaultView<'a>>,
    root_cause: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionView<'a>>,
}

#[derive(Serialize)]
struct ServiceView<'a> {
    service: &'a str,
    spans: u32,
    errors: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CompletenessView<'a> {
    /// Absent while the trace is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    spans: u32,
    roots: u32,
    missing: Cow<'a, [SpanId]>,
    missing_count: u32,
}

#[derive(Serialize)]
struct FaultView<'a> {
    kind: &'a str,
    severity: &'static str,
    service: &'a str,
    operation: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum DecisionView<'a> {
    Kept { policy: &'a str },
    Dropped { policy: &'a str },
}

impl<'a> From<&'a Summary> for SummaryView<'a> {
    fn from(summary: &'a Summary) -> Self {
        let completeness = &summary.completeness;
        SummaryView {
            trace_id: summary.trace_id,
            revision: summary.revision,
            root_service: &summary.root_service,
            root_name: &summary.root_name,
            start_ns: summary.start_ns,
            duration_ns: summary.duration_ns,
            spans: summary.spans,
            errors: summary.errors,
            services: summary
                .services
                .iter()
                .map(|service| ServiceView {
                    service: &service.service,
                    spans: service.spans,
                    errors: service.errors,
                })
                .collect(),
            completeness: CompletenessView {
                verdict: Some(completeness.verdict),
                spans: completeness.spans,
                roots: completeness.roots,
                missing: Cow::Borrowed(&completeness.missing),
                missing_count: completeness.missing_count,
            },
            faults: summary
                .faults
                .iter()
                .map(|fault| FaultView {
                    kind: &fault.kind,
                    severity: fault.severity.name(),
                    service: &fault.service,
                    operation: &fault.operation,
                    message: &fault.message,
                })
                .collect(),
            root_cause: summary.root_cause.as_deref().map(Cow::Borrowed),
            decision: Some(match &summary.decision {
                Decision::Kept { policy } => DecisionView::Kept { policy },
                Decision::Dropped { policy } => DecisionView::Dropped { policy },
            }),
        }
    }
}

impl<'a> SummaryView<'a> {
    /// Of a trace of which nothing is sealed yet.
    pub(super) fn provisional(trace_id: TraceId, spans: &[Span<'a>], found: &'a Examined) -> Self {
        let graph = &found.structure.graph;
        let root = graph.roots.first();
        let root = root.and_then(|root| spans.iter().find(|span| span.span_id == *root));
        let start_ns = spans.iter().map(|span| span.start).min().unwrap_or(0);
        let end_ns = spans.iter().map(|span| span.end).max().unwrap_or(0);
        let mut services: BTreeMap<&str, ServiceView<'_>> = BTreeMap::new();
        for span in spans {
            let service = services.entry(span.service).or_insert(ServiceView {
                service: span.service,
                spans: 0,
                errors: 0,
            });
            service.spans += 1;
            service.errors += u32::from(span.status == StatusCode::Error);
        }
        let fault = |fault: &'a Fault| FaultView {
            kind: fault.kind.name(),
            severity: fault.severity.name(),
            service: &fault.service,
            operation: &fault.operation,
            message: &fault.message,
        };
        let missing = graph.missing.iter().map(|missing| missing.span_id);
        SummaryView {
            trace_id,
            revision: 0,
            root_service: root.map_or("", |root| root.service),
            root_name: root.map_or("", |root| root.name),
            start_ns,
            duration_ns: end_ns.saturating_sub(start_ns),
            spans: spans.len() as u32,
            errors: services.values().map(|service| service.errors).sum(),
            services: services.into_values().collect(),
            completeness: CompletenessView {
                verdict: None,
                spans: graph.spans as u32,
                roots: graph.root_count as u32,
                missing: missing.collect(),
                missing_count: graph.missing_count as u32,
            },
            faults: found.faults.iter().map(fault).collect(),
            root_cause: found
                .root_causes
                .first()
                .map(|cause| Cow::Owned(cause.sentence())),
            decision: None,
        }
    }
}
