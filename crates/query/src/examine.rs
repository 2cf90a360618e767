//! What the analysis says of a trace now. A trace is examined when it is asked for, so that patterns and
//! histories are today's; the store has what was found when it was sealed.

use quorate_analysis::{
    Causality, Edge, Fault, Graph, GraphReport, Problem, RootCause, Segment, Timeline, TraceFaults,
    critical_path, detect, edges, linked_traces, root_causes,
};
use quorate_trace::Verdict;
use quorate_trace::wire::Span;

use crate::jaeger::Warnings;
use crate::load::{Loaded, load};
use crate::source::{Limits, Source};

/// Missing parents that a sentence names.
const NAMED_MAX: usize = 5;

/// What was found.
pub(crate) struct Examined {
    pub(crate) structure: Structure,
    pub(crate) critical_path: Vec<Segment>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) root_causes: Vec<RootCause>,
    contradictions: Vec<Problem>,
}

/// Structure and times of a trace, which say whether it can be trusted.
pub(crate) struct Structure {
    pub(crate) graph: GraphReport,
    pub(crate) timeline: Timeline,
}

/// Structure and times only.
pub(crate) fn structure(spans: &[Span<'_>]) -> Structure {
    let graph = Graph::new(spans);
    Structure {
        graph: GraphReport::new(&graph),
        timeline: Timeline::new(&graph),
    }
}

impl Examined {
    pub(crate) fn problems(&self) -> impl Iterator<Item = &Problem> {
        let Structure { graph, timeline } = &self.structure;
        let parts = [&graph.problems, &timeline.problems, &self.contradictions];
        parts.into_iter().flatten()
    }
}

/// Everything. Traces that the spans have links to are loaded too, a bounded number of them, because the
/// cause of a fault may be there; those that cannot be loaded are passed over.
pub(crate) fn examine(source: &dyn Source, limits: &Limits, spans: &[Span<'_>]) -> Examined {
    let linked = linked_traces(spans, limits.linked_traces);
    let linked = linked
        .into_iter()
        .filter_map(|id| load(source, limits, id).ok());
    let linked: Vec<Loaded> = linked.collect();
    let others: Vec<Vec<Span<'_>>> = linked.iter().map(Loaded::spans).collect();
    let all = std::iter::once(spans).chain(others.iter().map(Vec::as_slice));
    let graphs: Vec<_> = all.map(Graph::new).collect();
    let (patterns, history) = (source.patterns(), source.history());
    let parts: Vec<_> = graphs
        .iter()
        .map(|graph| {
            let timeline = Timeline::new(graph);
            let path = critical_path(graph, &timeline);
            (timeline, path, detect(graph, &patterns, &history))
        })
        .collect();
    let mut builder = Causality::builder();
    graphs.iter().for_each(|graph| builder.add(graph));
    let causality = builder.build();
    let traces: Vec<_> = graphs
        .iter()
        .zip(&parts)
        .map(|(graph, (timeline, critical_path, faults))| TraceFaults {
            graph,
            timeline,
            critical_path,
            faults,
        })
        .collect();
    let root_causes = root_causes(&traces, &causality);
    let graph = &graphs[0];
    let (report, edges) = (GraphReport::new(graph), edges(graph));
    let (timeline, critical_path, faults) = parts.into_iter().next().unwrap_or_default();
    Examined {
        structure: Structure {
            graph: report,
            timeline,
        },
        critical_path,
        edges,
        faults,
        root_causes,
        contradictions: causality.problems(),
    }
}

/// The verdict on a trace, what is missing, and how clocks differ, in sentences for those whose form has
/// no other place for them. A trace without any is complete.
pub(crate) fn warnings(loaded: &Loaded, spans: &[Span<'_>]) -> Warnings {
    let Structure { graph, timeline } = structure(spans);
    let mut warnings = Warnings::default();
    warnings.trace.extend(verdict(loaded, &graph));
    for skew in &timeline.skew {
        let (seconds, direction) = match skew.offset_ns {
            ahead @ ..0 => (ahead.unsigned_abs() as f64 / 1e9, "ahead"),
            behind => (behind as f64 / 1e9, "behind"),
        };
        warnings.trace.push(format!(
            "The clock of {} seems to be {seconds:.6} s {direction}; times are shown as they were recorded.",
            skew.service
        ));
    }
    let mut at_span = std::collections::HashMap::new();
    for problem in graph.problems.iter().chain(&timeline.problems) {
        match problem.span_id {
            Some(span) => at_span
                .entry(span)
                .or_insert_with(Vec::new)
                .push(problem.message.clone()),
            None if !warnings.trace.contains(&problem.message) => {
                warnings.trace.push(problem.message.clone());
            }
            None => {}
        }
    }
    // A parent that is missing is said where its children are: it has no place of its own.
    for missing in &graph.missing {
        for child in &missing.children {
            at_span
                .entry(*child)
                .or_default()
                .push(missing.message.clone());
        }
    }
    for (at, span) in spans.iter().enumerate() {
        if let Some(said) = at_span.remove(&span.span_id) {
            warnings.spans.insert(at, said);
        }
    }
    warnings
}

fn verdict(loaded: &Loaded, graph: &GraphReport) -> Option<String> {
    let named = graph
        .missing
        .iter()
        .take(NAMED_MAX)
        .map(|missing| missing.span_id.to_string());
    let mut missing = named.collect::<Vec<_>>().join(", ");
    if graph.missing_count > NAMED_MAX {
        missing.push_str(" and others");
    }
    let missing = match graph.missing_count {
        0 => String::new(),
        count => format!(
            " Spans that others name as their parent and that are not here: {count} ({missing})."
        ),
    };
    if loaded.age_ms.is_some() {
        let phase = loaded.phase;
        return Some(format!(
            "Not sealed yet ({phase}): more of it may arrive.{missing}"
        ));
    }
    match loaded.summary.as_ref()?.completeness.verdict {
        Verdict::Complete => None,
        Verdict::Incomplete if !missing.is_empty() => Some(format!("Incomplete.{missing}")),
        Verdict::Incomplete if graph.root_count == 0 => {
            Some("Incomplete: it has no root.".to_owned())
        }
        Verdict::Incomplete => Some("Incomplete: its time was up before it was quiet.".to_owned()),
        Verdict::Evicted => Some(format!(
            "Sealed early, to stay within the memory for open traces; more of it may follow.{missing}"
        )),
    }
}
