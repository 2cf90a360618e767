//! From a symptom down to its origin, within one trace.
//!
//! Both ways down go from a span to one of its children, so each span is looked at once for each of
//! them, however many symptoms there are.

use quorate_trace::wire::SpanKind;

use crate::critical_path::is_awaited;
use crate::faults::{Evidence, Fault, failed_child, is_error};
use crate::graph::NONE;
use crate::report::{Nanos, counted};
use crate::root_cause::TraceFaults;

/// A child in which less of a span's time was spent does not explain it.
const EXPLAINING_SHARE: f64 = 0.3;
/// A callee that took this much of a failed call was what the caller gave up on.
const GAVE_UP_SHARE: f64 = 0.9;
/// Calls that are worth a sentence when they took the time together.
const MANY_CALLS: usize = 4;

/// Where the faults of one trace come from.
pub(crate) struct Blame<'a, 't, 's> {
    trace: &'a TraceFaults<'a, 't, 's>,
    depth: Vec<u32>,
    /// Per span: nanoseconds of the critical path in which it was busy itself.
    time_on_path: Vec<u64>,
    path: u64,
    /// Per span: its worst fault.
    fault_at: Vec<u32>,
    /// Per span: the origin of its error, as far as it was asked for.
    error_origin: Vec<u32>,
    /// Per span: the origin of its duration, as far as it was asked for.
    latency_origin: Vec<u32>,
}

/// How a span's time was spent.
struct Spent {
    duration: u64,
    by_itself: u64,
    /// The child that took most of it, and how much.
    longest: Option<(u32, u64)>,
    awaited: usize,
}

impl<'a, 't, 's> Blame<'a, 't, 's> {
    pub(crate) fn new(trace: &'a TraceFaults<'a, 't, 's>) -> Self {
        let spans = trace.graph.spans().len();
        let mut blame = Blame {
            trace,
            depth: vec![0; spans],
            time_on_path: vec![0; spans],
            path: 0,
            fault_at: vec![NONE; spans],
            error_origin: vec![NONE; spans],
            latency_origin: vec![NONE; spans],
        };
        for at in trace.graph.topological_order() {
            if let Some(parent) = trace.graph.parent(*at) {
                blame.depth[*at as usize] = blame.depth[parent as usize] + 1;
            }
        }
        for segment in trace.critical_path {
            blame.time_on_path[segment.span as usize] += segment.duration();
            blame.path += segment.duration();
        }
        for (at, fault) in (0..).zip(trace.faults) {
            let known = &mut blame.fault_at[fault.span as usize];
            *known = (*known).min(at);
        }
        blame
    }

    /// The span that a fault comes from.
    pub(crate) fn origin(&mut self, fault: &Fault) -> u32 {
        match fault.evidence {
            Evidence::Error { .. } => self.origin_of_error(fault.span),
            Evidence::Latency { .. } | Evidence::UnusualLatency { .. } => {
                self.origin_of_latency(fault.span)
            }
            Evidence::RetryStorm { first, .. } => {
                let call = self.failed_call(fault.span, first);
                self.origin_of_error(call)
            }
            Evidence::Custom { .. } => fault.span,
        }
    }

    /// Of the calls of a storm the first that failed.
    fn failed_call(&self, caller: u32, first: u32) -> u32 {
        let graph = self.trace.graph;
        let (name, service) = (graph.span(first).name, graph.span(first).service);
        let calls = graph.children(caller).iter().copied().filter(|call| {
            let span = graph.span(*call);
            span.kind == SpanKind::Client && span.name == name && span.service == service
        });
        let mut failed =
            calls.filter(|call| is_error(graph, *call) || failed_child(graph, *call).is_some());
        failed.next().unwrap_or(first)
    }

    fn origin_of_error(&mut self, from: u32) -> u32 {
        let graph = self.trace.graph;
        let mut way = Vec::new();
        let mut at = from;
        let origin = loop {
            let known = self.error_origin[at as usize];
            if known != NONE {
                break known;
            }
            way.push(at);
            match failed_child(graph, at) {
                Some(child) => at = child,
                None => break self.awaited_in_vain(at).unwrap_or(at),
            }
        };
        for span in way {
            self.error_origin[span as usize] = origin;
        }
        origin
    }

    /// What a caller was waiting for when it gave up, if its callee was still busy.
    fn awaited_in_vain(&mut self, at: u32) -> Option<u32> {
        if self.trace.graph.span(at).kind != SpanKind::Client {
            return None;
        }
        let spent = self.spent(at);
        let (callee, time) = spent.longest?;
        let is_most = time as f64 >= GAVE_UP_SHARE * spent.duration as f64;
        is_most.then(|| self.origin_of_latency(callee))
    }

    fn origin_of_latency(&mut self, from: u32) -> u32 {
        let mut way = Vec::new();
        let mut at = from;
        let origin = loop {
            let known = self.latency_origin[at as usize];
            if known != NONE {
                break known;
            }
            way.push(at);
            let spent = self.spent(at);
            match spent.longest {
                Some((child, time))
                    if time >= spent.by_itself
                        && time as f64 >= EXPLAINING_SHARE * spent.duration as f64 =>
                {
                    at = child;
                }
                _ => break at,
            }
        };
        for span in way {
            self.latency_origin[span as usize] = origin;
        }
        origin
    }

    fn spent(&self, at: u32) -> Spent {
        let (graph, adjusted) = (self.trace.graph, &self.trace.timeline.adjusted);
        let (start, end) = adjusted[at as usize];
        let parent = graph.span(at);
        let children = graph.children(at).iter().copied();
        let mut awaited: Vec<(u64, u64, u32)> = children
            .filter_map(|child| {
                let (from, to) = adjusted[child as usize];
                let is_awaited = is_awaited(parent, end, graph.span(child), to);
                let (from, to) = (from.max(start), to.min(end));
                (is_awaited && from < to).then_some((from, to, child))
            })
            .collect();
        awaited.sort_unstable();
        let duration = end.saturating_sub(start);
        let (mut by_itself, mut covered) = (duration, start);
        for (from, to, _) in &awaited {
            let from = covered.max(*from);
            by_itself -= to.saturating_sub(from);
            covered = covered.max(*to);
        }
        let lengths = awaited.iter().map(|(from, to, child)| (*child, to - from));
        Spent {
            duration,
            by_itself,
            longest: lengths.rev().max_by_key(|(_, length)| *length),
            awaited: awaited.len(),
        }
    }

    pub(crate) fn depth(&self, at: u32) -> u32 {
        self.depth[at as usize]
    }

    /// Nanoseconds of the critical path in which the span was busy itself.
    pub(crate) fn time_on_path(&self, at: u32) -> u64 {
        self.time_on_path[at as usize]
    }

    /// The same as a part of the whole path.
    pub(crate) fn share_of_path(&self, at: u32) -> f64 {
        match self.path {
            0 => 0.0,
            path => self.time_on_path(at) as f64 / path as f64,
        }
    }

    /// The worst fault of a span that has one.
    pub(crate) fn fault_at(&self, at: u32) -> Option<u32> {
        let fault = self.fault_at[at as usize];
        (fault != NONE).then_some(fault)
    }

    /// The nearest span with a fault, upwards from this one.
    pub(crate) fn faulty_above(&self, at: u32) -> Option<u32> {
        let mut above = self.trace.graph.and_above(at);
        above.find(|span| self.fault_at(*span).is_some())
    }

    /// The spans from one down to another that is below it.
    pub(crate) fn down(&self, top: u32, bottom: u32) -> Vec<u32> {
        let depth = self.depth(top);
        let above = self.trace.graph.and_above(bottom);
        let mut way: Vec<u32> = above.take_while(|at| self.depth(*at) >= depth).collect();
        way.reverse();
        way
    }

    /// Where much time went into calls none of which is long, a sentence about them.
    pub(crate) fn about_callees(&self, at: u32) -> Option<String> {
        let spent = self.spent(at);
        let (_, longest) = spent.longest?;
        let by_others = spent.duration - spent.by_itself;
        let small = |part: u64| (part as f64) < EXPLAINING_SHARE * spent.duration as f64;
        let matters = !(self.path > 0 && (by_others as f64) < EXPLAINING_SHARE * self.path as f64);
        let is_many = spent.awaited >= MANY_CALLS && small(spent.by_itself) && small(longest);
        (is_many && matters).then(|| {
            format!(
                "It waited {} for {}, of which none took longer than {}.",
                Nanos(by_others),
                counted(spent.awaited, "call"),
                Nanos(longest)
            )
        })
    }
}
