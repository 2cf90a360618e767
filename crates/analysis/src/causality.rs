//! What could have caused what, within a trace and across traces.
//!
//! # Happens-before between spans
//!
//! A span stands for its begin. Span a happens before span b if
//!
//! - a leads to b over a chain of edges: from a parent to its child, from the target of a link to the span
//!   that has the link (also if the two are of different traces), and likewise over a link that is marked
//!   as *follows-from*; or
//! - both carry a vector clock, in attributes `vc.<process>`, and a's is less than b's.
//!
//! Each says that the begin of a could have influenced b; nothing says that a had ended. Spans of which
//! neither happens before the other are concurrent. Chains that would mix edges and clocks are not
//! followed: a process that carries a vector clock merges what it receives, so its clocks are complete.
//!
//! # Cost
//!
//! The index takes O((n + m) log n) for n spans and m links. A question about two spans looks both up
//! (O(log n)), compares their clocks if both have one (O(processes)), and then asks intervals over the
//! forest of parents (O(1)) and the links' labels (O(log² m)). A history costs what it yields, and the number of
//! spans with clocks in addition if the span has one.
//!
//! Links come from outside and may close circles. Those that do are left out and reported, as are
//! edges that vector clocks contradict.

use std::cmp::Ordering;
use std::collections::VecDeque;

use quorate_trace::wire::{Link, Span};
use quorate_trace::{SpanId, TraceId};
use serde::Serialize;

use crate::Graph;
use crate::graph::NONE;
use crate::reach::Reach;
use crate::report::{Listed, Problem, ProblemKind, Severity};
use crate::vector_clock::VectorClocks;

/// A span of any trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SpanRef {
    /// Its trace.
    pub trace_id: TraceId,
    /// Itself.
    pub span_id: SpanId,
}

/// Why one span is a cause of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeKind {
    /// The effect names the cause as its parent.
    Parent,
    /// The effect has a link to the cause.
    Link,
    /// The effect has a link to the cause that says that the cause did not wait for it.
    FollowsFrom,
}

/// How two spans are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// The first happens before the second.
    Before,
    /// The second happens before the first.
    After,
    /// They are the same.
    Equal,
    /// Neither can have influenced the other, as far as is known.
    Concurrent,
}

/// A cause and its effect, which is of the trace at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Edge {
    /// The cause.
    pub from: SpanId,
    /// The effect.
    pub to: SpanId,
    /// Why.
    pub kind: EdgeKind,
    /// The trace of the cause, if it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceId>,
}

/// The kind of a link: OpenTracing's shim marks its references in an attribute.
pub fn link_kind(link: &Link<'_>) -> EdgeKind {
    let mut attributes = link.attributes.clone();
    let is_marked = attributes.any(|(key, value)| {
        matches!(key, "opentracing.ref_type" | "ref_type" | "ref.type")
            && value.as_str().is_some_and(|text| {
                text.eq_ignore_ascii_case("follows_from")
                    || text.eq_ignore_ascii_case("follows-from")
            })
    });
    if is_marked {
        EdgeKind::FollowsFrom
    } else {
        EdgeKind::Link
    }
}

/// All edges whose effect is in a trace, in the order of its forest.
pub fn edges(graph: &Graph<'_, '_>) -> Vec<Edge> {
    let mut edges = Vec::with_capacity(graph.spans().len());
    for at in graph.topological_order() {
        let span = graph.span(*at);
        if let Some(parent) = graph.parent(*at) {
            edges.push(Edge {
                from: graph.span(parent).span_id,
                to: span.span_id,
                kind: EdgeKind::Parent,
                trace: None,
            });
        }
        edges.extend(span.links().map(|link| Edge {
            from: link.span_id,
            to: span.span_id,
            kind: link_kind(&link),
            trace: (link.trace_id != span.trace_id).then_some(link.trace_id),
        }));
    }
    edges
}

/// Other traces that the spans' links name, each once, those named first first.
pub fn linked_traces(spans: &[Span<'_>], limit: usize) -> Vec<TraceId> {
    let mut found: Vec<TraceId> = Vec::new();
    for span in spans {
        for link in span.links() {
            if found.len() >= limit {
                return found;
            }
            if link.trace_id != span.trace_id && !found.contains(&link.trace_id) {
                found.push(link.trace_id);
            }
        }
    }
    found
}

/// Collects traces for a [`Causality`].
#[derive(Debug, Default)]
pub struct CausalityBuilder {
    spans: Vec<SpanRef>,
    parents: Vec<u32>,
    order: Vec<u32>,
    /// Cause, effect, kind.
    links: Vec<(SpanRef, u32, EdgeKind)>,
    clocks: VectorClocks,
}

impl CausalityBuilder {
    /// Adds a trace. Of a span that was added before nothing new is learnt.
    pub fn add(&mut self, graph: &Graph<'_, '_>) {
        let base = self.spans.len() as u32;
        let order = graph.topological_order();
        // Duplicates are left out, so positions change.
        let mut place = vec![NONE; graph.spans().len()];
        for (at, span) in order.iter().enumerate() {
            place[*span as usize] = base + at as u32;
        }
        for at in order {
            let span = graph.span(*at);
            let node = self.spans.len() as u32;
            self.spans.push(SpanRef {
                trace_id: span.trace_id,
                span_id: span.span_id,
            });
            let parent = graph.parent(*at);
            self.parents
                .push(parent.map_or(NONE, |parent| place[parent as usize]));
            self.order.push(node);
            self.clocks.push(span);
            for link in span.links() {
                let cause = SpanRef {
                    trace_id: link.trace_id,
                    span_id: link.span_id,
                };
                self.links.push((cause, node, link_kind(&link)));
            }
        }
    }

    /// Adds the spans of one trace.
    pub fn add_trace(&mut self, spans: &[Span<'_>]) {
        self.add(&Graph::new(spans));
    }

    /// The index over all that was added.
    pub fn build(self) -> Causality {
        let mut ids: Vec<(SpanRef, u32)> = self.spans.iter().copied().zip(0..).collect();
        ids.sort_unstable();
        ids.dedup_by_key(|(span, _)| *span);
        let find = |span: &SpanRef| {
            let found = ids.binary_search_by_key(span, |(id, _)| *id).ok()?;
            Some(ids[found].1)
        };
        let resolved = self.links.iter().filter_map(|(cause, effect, kind)| {
            let effect = find(&self.spans[*effect as usize])?;
            Some((effect, find(cause)?, *kind))
        });
        let mut links: Vec<(u32, u32, EdgeKind)> = resolved.collect();
        links.sort_unstable();
        links.dedup();
        let edges: Vec<(u32, u32)> = links.iter().map(|(to, from, _)| (*from, *to)).collect();
        let reach = Reach::new(&self.parents, &self.order, &edges);
        let mut left_out = reach.contradictions().to_vec();
        left_out.sort_unstable();
        links.retain(|(to, from, _)| left_out.binary_search(&(*from, *to)).is_err());
        Causality {
            spans: self.spans,
            ids,
            parents: self.parents,
            links,
            clocks: self.clocks,
            reach,
        }
    }
}

/// An index over the causes of all spans of one or more traces. See the [module](self).
#[derive(Clone, Debug)]
pub struct Causality {
    spans: Vec<SpanRef>,
    ids: Vec<(SpanRef, u32)>,
    parents: Vec<u32>,
    /// Effect, cause, kind; sorted.
    links: Vec<(u32, u32, EdgeKind)>,
    clocks: VectorClocks,
    reach: Reach,
}

impl Causality {
    /// Traces are added to what this returns.
    pub fn builder() -> CausalityBuilder {
        CausalityBuilder::default()
    }

    /// Of one trace alone.
    pub fn of(graph: &Graph<'_, '_>) -> Self {
        let mut builder = Self::builder();
        builder.add(graph);
        builder.build()
    }

    /// Whether the span was added.
    pub fn contains(&self, span: SpanRef) -> bool {
        self.find(span).is_some()
    }

    /// How two spans are ordered; none if one of them was not added.
    pub fn relation(&self, one: SpanRef, other: SpanRef) -> Option<Relation> {
        let (one, other) = (self.find(one)?, self.find(other)?);
        if one == other {
            return Some(Relation::Equal);
        }
        match self.clocks.compare(one, other) {
            Some(Ordering::Less) => return Some(Relation::Before),
            Some(Ordering::Greater) => return Some(Relation::After),
            // Two spans of a process between which it counted nothing; or clocks that know of no order.
            Some(Ordering::Equal) | None => {}
        }
        Some(if self.reach.reaches(one, other) {
            Relation::Before
        } else if self.reach.reaches(other, one) {
            Relation::After
        } else {
            Relation::Concurrent
        })
    }

    /// Whether one span could have influenced the other.
    pub fn happens_before(&self, one: SpanRef, other: SpanRef) -> bool {
        self.relation(one, other) == Some(Relation::Before)
    }

    /// Cause and effect of every link that does not contradict others.
    pub(crate) fn links(&self) -> impl Iterator<Item = (SpanRef, SpanRef)> + '_ {
        let links = self.links.iter();
        links.map(|(effect, cause, _)| (self.spans[*cause as usize], self.spans[*effect as usize]))
    }

    /// The direct causes of a span: its parent, then the targets of its links.
    pub fn causes(&self, span: SpanRef) -> impl Iterator<Item = (SpanRef, EdgeKind)> + '_ {
        let node = self.find(span);
        let causes = node.into_iter().flat_map(|node| self.causes_of(node));
        causes.map(|(cause, kind)| (self.spans[cause as usize], kind))
    }

    /// Everything that happens before a span, the direct causes first; after what edges tell, what only
    /// vector clocks do.
    pub fn history(&self, span: SpanRef) -> Causes<'_> {
        let node = self.find(span);
        let mut seen = vec![false; self.spans.len()];
        if let Some(node) = node {
            seen[node as usize] = true;
        }
        Causes {
            causality: self,
            seen,
            queue: node.into_iter().collect(),
            pending: VecDeque::new(),
            clock: node.filter(|node| self.clocks.has(*node)),
            next_clock: 0,
        }
    }

    /// Links that close a circle, and edges that vector clocks contradict.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut listed = Listed::new(&mut problems, ProblemKind::Contradiction);
        for (cause, effect) in self.reach.contradictions() {
            let (cause, effect) = (self.spans[*cause as usize], self.spans[*effect as usize]);
            listed.add(Severity::Warning, effect.span_id, || {
                format!(
                    "A link names span {} as a cause of {}, but it is an effect of it; the link is left out.",
                    cause.span_id, effect.span_id
                )
            });
        }
        for node in 0..self.spans.len() as u32 {
            for (cause, _) in self.causes_of(node) {
                if self.clocks.compare(cause, node) == Some(Ordering::Greater) {
                    let (cause, effect) = (self.spans[cause as usize], self.spans[node as usize]);
                    listed.add(Severity::Warning, effect.span_id, || {
                        format!(
                            "The vector clock of span {} is before that of its cause {}.",
                            effect.span_id, cause.span_id
                        )
                    });
                }
            }
        }
        drop(listed);
        problems
    }

    fn find(&self, span: SpanRef) -> Option<u32> {
        let found = self.ids.binary_search_by_key(&span, |(id, _)| *id).ok()?;
        Some(self.ids[found].1)
    }

    fn causes_of(&self, node: u32) -> impl Iterator<Item = (u32, EdgeKind)> + '_ {
        let parent = self.parents[node as usize];
        let parent = (parent != NONE).then_some((parent, EdgeKind::Parent));
        let from = self.links.partition_point(|(effect, ..)| *effect < node);
        let links = self.links[from..].iter();
        let links = links.take_while(move |(effect, ..)| *effect == node);
        parent
            .into_iter()
            .chain(links.map(|(_, cause, kind)| (*cause, *kind)))
    }
}

/// The causes of a span; see [`Causality::history`].
#[derive(Clone, Debug)]
pub struct Causes<'c> {
    causality: &'c Causality,
    seen: Vec<bool>,
    /// Spans whose causes are to be yielded.
    queue: VecDeque<u32>,
    pending: VecDeque<u32>,
    /// The span itself, if it carries a clock.
    clock: Option<u32>,
    next_clock: u32,
}

impl Iterator for Causes<'_> {
    type Item = SpanRef;

    fn next(&mut self) -> Option<SpanRef> {
        let spans = &self.causality.spans;
        loop {
            if let Some(node) = self.pending.pop_front() {
                self.queue.push_back(node);
                return Some(spans[node as usize]);
            }
            let Some(node) = self.queue.pop_front() else {
                break;
            };
            for (cause, _) in self.causality.causes_of(node) {
                if !std::mem::replace(&mut self.seen[cause as usize], true) {
                    self.pending.push_back(cause);
                }
            }
        }
        let effect = self.clock?;
        while (self.next_clock as usize) < spans.len() {
            let node = self.next_clock;
            self.next_clock += 1;
            if !self.seen[node as usize]
                && self.causality.clocks.compare(node, effect) == Some(Ordering::Less)
            {
                self.seen[node as usize] = true;
                return Some(spans[node as usize]);
            }
        }
        None
    }
}
