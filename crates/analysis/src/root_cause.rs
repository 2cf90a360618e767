//! Where the faults of a trace come from.
//!
//! Every fault is a symptom that is followed down to its origin:
//!
//! - an error to the child that failed last, and on from there, to the span that failed although nothing
//!   below it did. If that is a caller that gave up waiting, on to what it was waiting for;
//! - a long duration to the child that most of it was spent in, and on from there, to the span that spent
//!   the time itself;
//! - a retry storm to the error of what was called.
//!
//! Where an origin was itself set off over a link (a consumer by a message), the span that the link names is
//! looked at: if it or one above it has a fault, the origin of that fault is the cause of this one, in
//! whatever trace it is. What the origins explain makes their scores.

use quorate_trace::wire::{SpanKind, Value};
use quorate_trace::{SpanId, TraceId};
use serde::Serialize;

use crate::blame::Blame;
use crate::faults::{Evidence, Fault};
use crate::graph_report::named;
use crate::report::{Nanos, Severity, counted, quoted};
use crate::{Causality, Graph, Segment, SpanRef, Timeline};

/// Causes that are reported at most.
pub const ROOT_CAUSES_MAX: usize = 10;
/// Spans of a path that are named; of longer ones the middle is left out.
pub const PATH_MAX: usize = 64;
/// Sentences of its own faults that a cause quotes.
const OWN_FAULTS_MAX: usize = 3;
/// What is left of the score of an origin that was set off by another.
const SET_OFF: f64 = 0.5;

/// A trace and what was found in it.
#[derive(Clone, Copy, Debug)]
pub struct TraceFaults<'a, 't, 's> {
    /// Its structure.
    pub graph: &'a Graph<'t, 's>,
    /// Its times.
    pub timeline: &'a Timeline,
    /// Its critical path.
    pub critical_path: &'a [Segment],
    /// Its faults.
    pub faults: &'a [Fault],
}

/// A span that explains faults.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RootCause {
    /// The span.
    pub span_id: SpanId,
    /// Its trace.
    pub trace_id: TraceId,
    /// Its service.
    pub service: String,
    /// Its name.
    pub operation: String,
    /// From 0 to 1: how much it explains.
    pub score: f64,
    /// Sentences that say why.
    pub reasons: Vec<String>,
    /// From the outermost symptom to this span; [`PATH_MAX`] spans at most.
    pub path: Vec<SpanId>,
}

impl RootCause {
    /// All in one sentence.
    pub fn sentence(&self) -> String {
        let name = format!("`{}` of {}", self.operation, self.service);
        match self.reasons.first() {
            Some(reason) => reason.clone(),
            None => format!("{name} explains the faults of this trace."),
        }
    }
}

/// What explains the faults of the first trace, the best explanation first. The others are traces that it
/// is linked with; the index is of all of them.
pub fn root_causes(traces: &[TraceFaults<'_, '_, '_>], causality: &Causality) -> Vec<RootCause> {
    let Some(first) = traces.first().filter(|trace| !trace.faults.is_empty()) else {
        return Vec::new();
    };
    let mut search = Search::new(traces, causality);
    let mut origins = search.origins(0);
    for origin in &mut origins {
        origin.score = search.score(first, origin);
    }
    origins.sort_by(|one, other| {
        other
            .score
            .total_cmp(&one.score)
            .then(one.span.cmp(&other.span))
    });
    origins.truncate(4 * ROOT_CAUSES_MAX);
    let mut causes: Vec<RootCause> = Vec::new();
    for origin in &origins {
        let upstream = search.upstream(origin);
        let mut cause = search.describe(first, origin);
        if let Some(upstream) = upstream {
            cause.reasons.push(format!(
                "It was set off over a link by trace {}, where {} is the cause.",
                upstream.trace_id,
                quoted(&upstream.operation)
            ));
            cause.score = origin.score * SET_OFF;
            add(&mut causes, upstream);
        }
        add(&mut causes, cause);
    }
    causes.sort_by(|one, other| other.score.total_cmp(&one.score));
    causes.truncate(ROOT_CAUSES_MAX);
    for cause in &mut causes {
        cause.score = (cause.score.min(1.0) * 1000.0).round() / 1000.0;
    }
    causes
}

fn add(causes: &mut Vec<RootCause>, cause: RootCause) {
    let same =
        |known: &&mut RootCause| (known.trace_id, known.span_id) == (cause.trace_id, cause.span_id);
    match causes.iter_mut().find(same) {
        Some(known) => {
            known.score += cause.score;
            for reason in cause.reasons {
                if !known.reasons.contains(&reason) {
                    known.reasons.push(reason);
                }
            }
        }
        None => causes.push(cause),
    }
}

/// Where the faults of a trace come from, and which.
struct Origin {
    trace: usize,
    span: u32,
    /// Positions of the faults that it explains.
    explains: Vec<u32>,
    /// The outermost span that has one of them.
    top: u32,
    score: f64,
}

struct Search<'a, 't, 's> {
    traces: &'a [TraceFaults<'a, 't, 's>],
    causality: &'a Causality,
    blames: Vec<Blame<'a, 't, 's>>,
    /// Effect (trace, span) and cause (trace, span) of every link, sorted.
    links: Vec<((usize, u32), (usize, u32))>,
}

impl<'a, 't, 's> Search<'a, 't, 's> {
    fn new(traces: &'a [TraceFaults<'a, 't, 's>], causality: &'a Causality) -> Self {
        let find = |span: SpanRef| {
            traces.iter().enumerate().find_map(|(at, trace)| {
                let first = trace.graph.spans().first()?;
                let found = (first.trace_id == span.trace_id).then_some(trace.graph)?;
                Some((at, found.find(span.span_id)?))
            })
        };
        let mut links: Vec<_> = causality
            .links()
            .filter_map(|(cause, effect)| Some((find(effect)?, find(cause)?)))
            .collect();
        links.sort_unstable();
        Search {
            traces,
            causality,
            blames: traces.iter().map(Blame::new).collect(),
            links,
        }
    }

    /// The origins of all faults of a trace, by span.
    fn origins(&mut self, trace: usize) -> Vec<Origin> {
        let faults = self.traces[trace].faults;
        let mut found: Vec<(u32, u32)> = (0..)
            .zip(faults)
            .map(|(at, fault)| (self.blames[trace].origin(fault), at))
            .collect();
        found.sort_unstable();
        let groups = found.chunk_by(|one, other| one.0 == other.0);
        let origins = groups.map(|group| {
            let spans = || group.iter().map(|(_, fault)| faults[*fault as usize].span);
            let depth = |span: &u32| self.blames[trace].depth(*span);
            Origin {
                trace,
                span: group[0].0,
                explains: group.iter().map(|(_, fault)| *fault).collect(),
                top: spans().min_by_key(depth).unwrap_or(group[0].0),
                score: 0.0,
            }
        });
        origins.collect()
    }

    fn score(&self, trace: &TraceFaults<'_, '_, '_>, origin: &Origin) -> f64 {
        let weight = |fault: &Fault| match fault.severity {
            Severity::Info => 1.0,
            Severity::Warning => 3.0,
            Severity::Critical => 6.0,
        };
        let all: f64 = trace.faults.iter().map(weight).sum();
        let explained = origin.explains.iter();
        let explained: f64 = explained
            .map(|at| weight(&trace.faults[*at as usize]))
            .sum();
        let blame = &self.blames[origin.trace];
        let reaches_top = trace.graph.parent(origin.top).is_none();
        let is_faulty = trace.faults.iter().any(|fault| fault.span == origin.span);
        0.45 * explained / all
            + 0.25 * f64::from(reaches_top)
            + 0.2 * blame.share_of_path(origin.span)
            + 0.1 * f64::from(is_faulty)
    }

    fn describe(&self, trace: &TraceFaults<'_, '_, '_>, origin: &Origin) -> RootCause {
        let span = trace.graph.span(origin.span);
        let path = self.blames[origin.trace].down(origin.top, origin.span);
        RootCause {
            span_id: span.span_id,
            trace_id: span.trace_id,
            service: quoted(span.service).into_owned(),
            operation: quoted(span.name).into_owned(),
            score: origin.score,
            reasons: self.reasons(trace, origin),
            path: self.ids(path.into_iter().map(|span| (origin.trace, span))),
        }
    }

    fn ids(&self, path: impl Iterator<Item = (usize, u32)>) -> Vec<SpanId> {
        let ids = path.map(|(trace, span)| self.traces[trace].graph.span(span).span_id);
        let mut ids: Vec<SpanId> = ids.collect();
        if ids.len() > PATH_MAX {
            ids.drain(PATH_MAX / 2..ids.len() - PATH_MAX / 2);
        }
        ids
    }

    fn reasons(&self, trace: &TraceFaults<'_, '_, '_>, origin: &Origin) -> Vec<String> {
        let (graph, blame) = (trace.graph, &self.blames[origin.trace]);
        let span = graph.span(origin.span);
        let explained = || origin.explains.iter().map(|at| &trace.faults[*at as usize]);
        let own = explained().filter(|fault| {
            fault.span == origin.span && !matches!(fault.evidence, Evidence::RetryStorm { .. })
        });
        let mut reasons: Vec<String> = own
            .take(OWN_FAULTS_MAX)
            .map(|fault| fault.message.clone())
            .collect();
        let share = blame.share_of_path(origin.span);
        let own_time = blame.time_on_path(origin.span);
        if own_time > 0 && share >= 0.1 {
            reasons.push(format!(
                "{} spent {} by itself, {:.0} % of the critical path.",
                named(span),
                Nanos(own_time),
                100.0 * share
            ));
        }
        let passed_on = |fault: &&Fault| {
            matches!(fault.evidence, Evidence::Error { .. }) && fault.span != origin.span
        };
        let errors = explained().filter(passed_on).count();
        if errors > 0 {
            let top = match graph.parent(origin.top) {
                None => ", up to the top of the trace",
                Some(_) => "",
            };
            reasons.push(format!(
                "{} above it failed because of it{top}.",
                counted(errors, "span")
            ));
        }
        for fault in explained() {
            if let Evidence::RetryStorm { calls, .. } = fault.evidence {
                let caller = named(graph.span(fault.span));
                reasons.push(format!(
                    "{caller} called it {calls} times in a retry storm."
                ));
            }
        }
        reasons.extend(blame.about_callees(origin.span));
        if span.kind == SpanKind::Client && graph.children(origin.span).is_empty() {
            reasons.push(silent_callee(span));
        }
        if trace.faults.len() > 1 {
            let (count, all) = (origin.explains.len(), trace.faults.len());
            reasons.push(format!("It explains {count} of {all} faults."));
        }
        reasons
    }

    /// What set the origin off over links, if that has a fault.
    fn upstream(&mut self, origin: &Origin) -> Option<RootCause> {
        let mut at = (origin.trace, origin.span);
        let mut path: Vec<(usize, u32)> = self.blames[0]
            .down(origin.top, origin.span)
            .into_iter()
            .map(|span| (0, span))
            .collect();
        let mut found: Option<(Hop, u32)> = None;
        // Links of hostile traces lead in circles; an honest chain passes each trace once.
        for _ in 0..self.traces.len() {
            let Some(hop) = self.hop(at) else { break };
            let (trace, faulty) = hop.faulty;
            let fault = self.blames[trace].fault_at(faulty)?;
            let cause = self.blames[trace].origin(&self.traces[trace].faults[fault as usize]);
            if (trace, cause) == at {
                break;
            }
            // Down to where the link is, over it, up to the fault, and down to its origin.
            if let Some(place) = path.iter().position(|step| *step == hop.linked) {
                path.truncate(place + 1);
            }
            let blame = &self.blames[trace];
            let up = blame.down(faulty, hop.cause.1).into_iter().rev();
            path.extend(up.map(|span| (trace, span)));
            path.extend(
                blame
                    .down(faulty, cause)
                    .into_iter()
                    .skip(1)
                    .map(|span| (trace, span)),
            );
            at = (trace, cause);
            found = Some((hop, fault));
        }
        let (hop, fault) = found?;
        Some(self.describe_upstream(at, &hop, fault, origin.score, path))
    }

    fn describe_upstream(
        &self,
        (trace, cause): (usize, u32),
        hop: &Hop,
        fault: u32,
        score: f64,
        path: Vec<(usize, u32)>,
    ) -> RootCause {
        let graph = self.traces[trace].graph;
        let span = graph.span(cause);
        let own = self.traces[trace]
            .faults
            .iter()
            .find(|own| own.span == cause);
        let fault = own.unwrap_or(&self.traces[trace].faults[fault as usize]);
        let linked = self.traces[hop.linked.0].graph.span(hop.linked.1);
        RootCause {
            span_id: span.span_id,
            trace_id: span.trace_id,
            service: quoted(span.service).into_owned(),
            operation: quoted(span.name).into_owned(),
            score,
            reasons: vec![
                fault.message.clone(),
                format!(
                    "It happened before: {} has a link to {}, in trace {}.",
                    named(linked),
                    named(graph.span(hop.cause.1)),
                    span.trace_id
                ),
            ],
            path: self.ids(path.into_iter()),
        }
    }

    /// The nearest link at or above a span whose cause, or a span above that, has a fault.
    fn hop(&self, (trace, span): (usize, u32)) -> Option<Hop> {
        if self.links.is_empty() {
            return None;
        }
        let graph = self.traces[trace].graph;
        let effect = self.reference((trace, span));
        graph.and_above(span).find_map(|above| {
            let from = self
                .links
                .partition_point(|(effect, _)| *effect < (trace, above));
            let links = self.links[from..].iter();
            let mut links = links.take_while(|(effect, _)| *effect == (trace, above));
            links.find_map(|(linked, cause)| {
                let faulty = self.blames[cause.0].faulty_above(cause.1)?;
                let faulty = (cause.0, faulty);
                let hop = Hop {
                    linked: *linked,
                    cause: *cause,
                    faulty,
                };
                let is_before = self
                    .causality
                    .happens_before(self.reference(faulty), effect);
                is_before.then_some(hop)
            })
        })
    }

    fn reference(&self, (trace, span): (usize, u32)) -> SpanRef {
        let span = self.traces[trace].graph.span(span);
        SpanRef {
            trace_id: span.trace_id,
            span_id: span.span_id,
        }
    }
}

/// Over a link from an effect to a cause.
struct Hop {
    /// Has the link.
    linked: (usize, u32),
    /// The link names it.
    cause: (usize, u32),
    /// Has a fault; the cause or a span above it.
    faulty: (usize, u32),
}

/// Nobody below a caller: the callee is not instrumented, or its spans were lost.
fn silent_callee(span: &quorate_trace::wire::Span<'_>) -> String {
    const KEYS: [&str; 6] = [
        "peer.service",
        "db.namespace",
        "db.name",
        "db.system.name",
        "db.system",
        "server.address",
    ];
    let callee = KEYS.iter().find_map(|key| match span.attribute(key)? {
        Value::String(text) if !text.is_empty() => Some(quoted(text).into_owned()),
        _ => None,
    });
    match callee {
        Some(callee) => format!("It waited for {callee}, which has no spans in this trace."),
        None => "It waited for something that has no spans in this trace.".to_owned(),
    }
}
