//! The critical path: what the trace's duration consists of.
//!
//! The walk goes backwards in time. A span was busy with itself since the last of its children ended;
//! before that with that child, down to where it began; before that with the child that had ended last by
//! then; and so on. Shortening anything else does not shorten the trace. (Zhang et al., "CRISP: Critical
//! Path Analysis of Large-Scale Microservice Architectures", USENIX ATC 2022.)
//!
//! What nobody waited for is not on the path: messages' consumers, and children that go on after their
//! parent has ended.

use quorate_trace::SpanId;
use quorate_trace::wire::{Span, SpanKind};
use serde::Serialize;

use crate::report::as_text;
use crate::timeline::TOLERANCE_NS;
use crate::{Graph, Timeline};

/// A part of the critical path, in corrected time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// Position of the span that was busy with itself.
    #[serde(skip)]
    pub span: u32,
    /// Its id.
    pub span_id: SpanId,
    /// Begin, in nanoseconds since 1970.
    #[serde(rename = "fromNs", serialize_with = "as_text")]
    pub from: u64,
    /// End, in nanoseconds since 1970.
    #[serde(rename = "toNs", serialize_with = "as_text")]
    pub to: u64,
}

impl Segment {
    /// Its length in nanoseconds.
    pub fn duration(&self) -> u64 {
        self.to - self.from
    }
}

/// The critical path of the trace's longest root (of its longest tree, if it has no root), in the order
/// of time. The segments touch each other and cover the root from its begin to its end.
pub fn critical_path(graph: &Graph<'_, '_>, timeline: &Timeline) -> Vec<Segment> {
    let length = |at: &u32| {
        let (start, end) = timeline.adjusted[*at as usize];
        if start == 0 {
            0
        } else {
            end.saturating_sub(start)
        }
    };
    let tops = if graph.roots().is_empty() {
        graph.tops()
    } else {
        graph.roots()
    };
    let longest = tops
        .iter()
        .max_by_key(|at| (length(at), std::cmp::Reverse(**at)));
    let mut segments = match longest {
        Some(top) if length(top) > 0 => Walk::from(graph, timeline, *top),
        _ => Vec::new(),
    };
    segments.reverse();
    segments
}

/// A span on the way back, and those of its children that were not looked at yet.
struct Visit {
    span: u32,
    /// Where the path entered it: it counts from here on.
    from: u64,
    /// What is not explained yet ends here.
    until: u64,
    /// Where the path left it.
    end: u64,
    /// Its children are the candidates from here on, ordered by their ends.
    base: usize,
}

struct Walk<'a, 't, 's> {
    graph: &'a Graph<'t, 's>,
    timeline: &'a Timeline,
    stack: Vec<Visit>,
    /// Children of all spans on the stack, those of the top one at the end.
    candidates: Vec<u32>,
    segments: Vec<Segment>,
}

impl<'a, 't, 's> Walk<'a, 't, 's> {
    fn from(graph: &'a Graph<'t, 's>, timeline: &'a Timeline, top: u32) -> Vec<Segment> {
        let mut walk = Walk {
            graph,
            timeline,
            stack: Vec::new(),
            candidates: Vec::new(),
            segments: Vec::new(),
        };
        let (from, until) = timeline.adjusted[top as usize];
        walk.enter(top, from, until);
        while walk.step() {}
        walk.segments
    }

    fn enter(&mut self, span: u32, from: u64, until: u64) {
        let base = self.candidates.len();
        let parent = self.graph.span(span);
        let (_, end) = self.timeline.adjusted[span as usize];
        let children = self.graph.children(span).iter().copied();
        let awaited = children.filter(|child| {
            let (_, child_end) = self.timeline.adjusted[*child as usize];
            is_awaited(parent, end, self.graph.span(*child), child_end)
        });
        self.candidates.extend(awaited);
        let adjusted = &self.timeline.adjusted;
        self.candidates[base..].sort_unstable_by_key(|child| {
            let (start, end) = adjusted[*child as usize];
            (end, start, *child)
        });
        self.stack.push(Visit {
            span,
            from,
            until,
            end: until,
            base,
        });
    }

    /// Goes one child back; at the first, out to the parent.
    fn step(&mut self) -> bool {
        let Some(visit) = self.stack.last_mut() else {
            return false;
        };
        while self.candidates.len() > visit.base && visit.until > visit.from {
            let Some(child) = self.candidates.pop() else {
                break;
            };
            let (start, end) = self.timeline.adjusted[child as usize];
            let (from, to) = (start.max(visit.from), end.min(visit.end));
            // It has no time of its own, or ran beside what explains the end already.
            if from >= to || to > visit.until {
                continue;
            }
            let own = (visit.span, to, visit.until);
            visit.until = from;
            self.segment(own);
            self.enter(child, from, to);
            return true;
        }
        let Visit {
            span,
            from,
            until,
            base,
            ..
        } = *visit;
        self.candidates.truncate(base);
        self.stack.pop();
        self.segment((span, from, until));
        true
    }

    fn segment(&mut self, (span, from, to): (u32, u64, u64)) {
        if from < to {
            self.segments.push(Segment {
                span,
                span_id: self.graph.span(span).span_id,
                from,
                to,
            });
        }
    }
}

/// Whether the end of a parent may have depended on a child: not if the parent only sent a message, nor
/// if it ended first; though a caller that gave up on a callee had waited for it.
pub(crate) fn is_awaited(
    parent: &Span<'_>,
    parent_end: u64,
    child: &Span<'_>,
    child_end: u64,
) -> bool {
    if parent.kind == SpanKind::Producer || child.kind == SpanKind::Consumer {
        return false;
    }
    let is_call = parent.kind == SpanKind::Client && child.kind == SpanKind::Server;
    is_call || child_end <= parent_end.saturating_add(TOLERANCE_NS)
}
