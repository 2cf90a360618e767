//! Everything about one trace: its spans, and what the analysis says of it now, with what is known now.

use std::collections::HashSet;

use quorate_analysis::{Edge, Fault, Problem, RootCause, Segment, ServiceSkew};
use quorate_trace::wire::Span;
use quorate_trace::{SpanId, TraceId};
use serde::Serialize;

use super::search::SummaryView;
use crate::error::Error;
use crate::examine::{Examined, examine};
use crate::load::load;
use crate::source::{Limits, Source};
use crate::view::SpanView;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TraceView<'a> {
    summary: SummaryView<'a>,
    phase: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u64>,
    spans: Vec<SpanView<'a>>,
    problems: Vec<&'a Problem>,
    missing: Vec<MissingView<'a>>,
    skew: &'a [ServiceSkew],
    critical_path: &'a [Segment],
    edges: &'a [Edge],
    faults: &'a [Fault],
    root_causes: &'a [RootCause],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MissingView<'a> {
    span_id: SpanId,
    children: &'a [SpanId],
    message: &'a str,
}

/// The JSON of a trace.
pub(super) fn answer(source: &dyn Source, limits: &Limits, id: TraceId) -> Result<String, Error> {
    let loaded = load(source, limits, id)?;
    let spans = loaded.spans();
    let found = examine(source, limits, &spans);
    let summary = match &loaded.summary {
        Some(summary) => SummaryView::from(summary),
        None => SummaryView::provisional(id, &spans, &found),
    };
    let missing = found
        .structure
        .graph
        .missing
        .iter()
        .map(|missing| MissingView {
            span_id: missing.span_id,
            children: &missing.children,
            message: &missing.message,
        });
    let view = TraceView {
        summary,
        phase: loaded.phase,
        age_ms: loaded.age_ms,
        spans: span_views(&spans, &found),
        problems: found.problems().collect(),
        missing: missing.collect(),
        skew: &found.structure.timeline.skew,
        critical_path: &found.critical_path,
        edges: &found.edges,
        faults: &found.faults,
        root_causes: &found.root_causes,
    };
    Ok(serde_json::to_string(&view)?)
}

fn span_views<'a>(spans: &[Span<'a>], found: &Examined) -> Vec<SpanView<'a>> {
    let critical: HashSet<u32> = found.critical_path.iter().map(|part| part.span).collect();
    let times = found.structure.timeline.adjusted.iter();
    let spans = (0u32..).zip(spans).zip(times);
    let view = |((at, span), adjusted): ((u32, &Span<'a>), &(u64, u64))| {
        SpanView::new(span, *adjusted, critical.contains(&at))
    };
    spans.map(view).collect()
}
