//! What is wrong with the structure of a trace, in words.

use quorate_trace::SpanId;
use quorate_trace::wire::{Span, SpanKind};
use serde::Serialize;

use crate::Graph;
use crate::report::{Listed, Problem, ProblemKind, Severity, counted, quoted};

/// Spans that each list of a [`GraphReport`] names at most.
pub const LISTED_MAX: usize = 1000;
/// Children that a [`Missing`] names at most.
pub const MISSING_CHILDREN_MAX: usize = 16;
/// Services that a [`Missing`] names at most.
const SERVICES_MAX: usize = 8;
/// Bit of OTLP's span flags: the next bit is meaningful.
const HAS_IS_REMOTE: u32 = 0x100;
/// Bit of OTLP's span flags: the parent is of another process.
const IS_REMOTE: u32 = 0x200;

/// The structure of a trace. Each list is limited to [`LISTED_MAX`]; the numbers are of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphReport {
    /// Distinct spans.
    pub spans: usize,
    /// Spans without a parent, in the order of the trace.
    pub roots: Vec<SpanId>,
    /// Roots, listed or not.
    pub root_count: usize,
    /// Spans whose parent is not there, in the order of the trace.
    pub orphans: Vec<SpanId>,
    /// Orphans, listed or not.
    pub orphan_count: usize,
    /// Parents that are not there, by id.
    pub missing: Vec<Missing>,
    /// Missing parents, listed or not.
    pub missing_count: usize,
    /// Spans that are each other's parents; each begins with its earliest span and goes up from there.
    pub cycles: Vec<Vec<SpanId>>,
    /// Cycles, listed or not.
    pub cycle_count: usize,
    /// Ids that more than one span has.
    pub duplicates: Vec<Duplicate>,
    /// Spans that were set aside because of their id, listed or not.
    pub duplicate_count: usize,
    /// All of this as sentences.
    pub problems: Vec<Problem>,
}

/// A span that others name as their parent and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// Its id.
    pub span_id: SpanId,
    /// Those that name it; [`MISSING_CHILDREN_MAX`] at most.
    pub children: Vec<SpanId>,
    /// Those that name it, listed or not.
    pub child_count: usize,
    /// Services of those that name it.
    pub named_by: Vec<String>,
    /// The service that it must be of, where that follows from those that name it.
    pub service: Option<String>,
    /// One sentence for a person.
    pub message: String,
}

/// An id that more than one span has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Duplicate {
    /// The id.
    pub span_id: SpanId,
    /// Spans that were set aside.
    pub copies: usize,
    /// Whether they are what the first is; if not, different spans have one id.
    pub identical: bool,
}

impl GraphReport {
    /// Of this trace.
    pub fn new(graph: &Graph<'_, '_>) -> Self {
        let id = |at: &u32| graph.span(*at).span_id;
        let ids = |list: &[u32]| list.iter().take(LISTED_MAX).map(id).collect();
        let (missing, missing_count) = missing(graph);
        let cycles = graph.cycles().iter().take(LISTED_MAX);
        let mut report = GraphReport {
            spans: graph.topological_order().len(),
            roots: ids(graph.roots()),
            root_count: graph.roots().len(),
            orphans: ids(graph.orphans()),
            orphan_count: graph.orphans().len(),
            missing,
            missing_count,
            cycles: cycles.map(|cycle| ids(cycle)).collect(),
            cycle_count: graph.cycles().len(),
            duplicates: duplicates(graph),
            duplicate_count: graph.duplicates().len(),
            problems: Vec::new(),
        };
        report.describe(graph);
        report
    }

    fn describe(&mut self, graph: &Graph<'_, '_>) {
        let mut problems = Vec::new();
        self.describe_roots(graph, &mut problems);
        let mut listed = Listed::new(&mut problems, ProblemKind::MissingParent);
        for missing in &self.missing {
            listed.add(Severity::Warning, missing.span_id, || {
                missing.message.clone()
            });
        }
        drop(listed);
        let mut listed = Listed::new(&mut problems, ProblemKind::Cycle);
        for cycle in graph.cycles() {
            listed.add(Severity::Critical, graph.span(cycle[0]).span_id, || {
                cycle_message(graph, cycle)
            });
        }
        drop(listed);
        let mut listed = Listed::new(&mut problems, ProblemKind::Duplicate);
        for duplicate in self.duplicates.iter().filter(|one| one.identical) {
            listed.add(Severity::Info, duplicate.span_id, || {
                let times = duplicate.copies + 1;
                format!("The span arrived {times} times; one copy is kept.")
            });
        }
        drop(listed);
        describe_shared_ids(graph, &mut problems);
        self.problems = problems;
    }

    fn describe_roots(&self, graph: &Graph<'_, '_>, problems: &mut Vec<Problem>) {
        let (kind, message) = match graph.roots() {
            [_] => return,
            [] if self.spans == 0 => return,
            [] => (
                ProblemKind::NoRoot,
                "No span is the root: every span names a parent.".to_owned(),
            ),
            [first, second, rest @ ..] => (
                ProblemKind::SeveralRoots,
                format!(
                    "{} are without a parent: {}, {}{}.",
                    counted(self.root_count, "span"),
                    named(graph.span(*first)),
                    named(graph.span(*second)),
                    if rest.is_empty() { "" } else { ", …" }
                ),
            ),
        };
        problems.push(Problem {
            kind,
            severity: Severity::Warning,
            span_id: None,
            message,
        });
    }
}

/// "`GET /cart` of frontend".
pub(crate) fn named(span: &Span<'_>) -> String {
    format!("`{}` of {}", quoted(span.name), quoted(span.service))
}

fn missing(graph: &Graph<'_, '_>) -> (Vec<Missing>, usize) {
    let mut named: Vec<(SpanId, u32)> = graph
        .orphans()
        .iter()
        .filter_map(|at| Some((graph.span(*at).parent?, *at)))
        .collect();
    named.sort_unstable();
    let groups = named.chunk_by(|one, other| one.0 == other.0);
    let count = groups.clone().count();
    let missing = groups.take(LISTED_MAX);
    (missing.map(|group| describe(graph, group)).collect(), count)
}

fn describe(graph: &Graph<'_, '_>, group: &[(SpanId, u32)]) -> Missing {
    let span_id = group[0].0;
    let children = || group.iter().map(|(_, at)| graph.span(*at));
    let mut named_by: Vec<&str> = Vec::new();
    for child in children().take(LISTED_MAX) {
        if !named_by.contains(&child.service) && named_by.len() < SERVICES_MAX {
            named_by.push(child.service);
        }
    }
    let service = children().find_map(service_of_parent);
    let first = named(graph.span(group[0].1));
    let others = match group.len() - 1 {
        0 => String::new(),
        others => format!(" and {}", counted(others, "other")),
    };
    let verb = if group.len() == 1 { "names" } else { "name" };
    let whose = match (service, is_called(graph.span(group[0].1))) {
        (Some(service), _) => format!("; it is a span of {} too", quoted(service)),
        (None, true) => "; it is a span of the caller".to_owned(),
        (None, false) => String::new(),
    };
    Missing {
        span_id,
        children: children()
            .take(MISSING_CHILDREN_MAX)
            .map(|child| child.span_id)
            .collect(),
        child_count: group.len(),
        message: format!(
            "Span {span_id}, which {first}{others} {verb} as parent, never arrived{whose}."
        ),
        named_by: named_by.into_iter().map(str::to_owned).collect(),
        service: service.map(str::to_owned),
    }
}

/// The service that the parent of a span is of, if the span tells: what is no entry to a service has its
/// parent in the same process, unless its flags say otherwise.
fn service_of_parent<'s>(span: &Span<'s>) -> Option<&'s str> {
    let local = match span.flags & (HAS_IS_REMOTE | IS_REMOTE) {
        HAS_IS_REMOTE => true,
        flags if flags & HAS_IS_REMOTE != 0 => false,
        _ => matches!(
            span.kind,
            SpanKind::Internal | SpanKind::Client | SpanKind::Producer
        ),
    };
    local.then_some(span.service)
}

fn is_called(span: &Span<'_>) -> bool {
    matches!(span.kind, SpanKind::Server | SpanKind::Consumer)
}

fn cycle_message(graph: &Graph<'_, '_>, cycle: &[u32]) -> String {
    let first = named(graph.span(cycle[0]));
    match cycle {
        [_] => format!("{first} names itself as its parent."),
        [_, second] => format!(
            "{first} and {} name each other as parents.",
            named(graph.span(*second))
        ),
        _ => format!(
            "{} name each other as parents in a circle, from {first} up to {}.",
            counted(cycle.len(), "span"),
            named(graph.span(cycle[1]))
        ),
    }
}

/// A copy is the same span if all of it is the same, its service included.
fn is_copy(graph: &Graph<'_, '_>, (duplicate, first): (u32, u32)) -> bool {
    let (duplicate, first) = (graph.span(duplicate), graph.span(first));
    duplicate.bytes() == first.bytes() && duplicate.service == first.service
}

fn duplicates(graph: &Graph<'_, '_>) -> Vec<Duplicate> {
    let mut pairs = graph.duplicates().to_vec();
    pairs.sort_unstable_by_key(|(duplicate, first)| (*first, *duplicate));
    let groups = pairs.chunk_by(|one, other| one.1 == other.1);
    let described = groups.take(LISTED_MAX).map(|group| Duplicate {
        span_id: graph.span(group[0].1).span_id,
        copies: group.len(),
        identical: group.iter().all(|pair| is_copy(graph, *pair)),
    });
    described.collect()
}

fn describe_shared_ids(graph: &Graph<'_, '_>, problems: &mut Vec<Problem>) {
    let mut listed = Listed::new(problems, ProblemKind::DuplicateId);
    for pair in graph.duplicates() {
        if is_copy(graph, *pair) {
            continue;
        }
        let (other, first) = (graph.span(pair.0), graph.span(pair.1));
        listed.add(Severity::Warning, first.span_id, || {
            // Zipkin lets both sides of a call share one span id.
            let hint = if (first.kind == SpanKind::Client && other.kind == SpanKind::Server)
                || (first.kind == SpanKind::Server && other.kind == SpanKind::Client)
            {
                "; caller and callee share one id, as Zipkin has it"
            } else {
                ""
            };
            let (first, other) = (named(first), named(other));
            format!("{other} has the same id as {first}{hint}; it is left out of the structure.")
        });
    }
}
