//! Requests as the services of a shop would send them, encoded once and then only patched.
//!
//! A cycle is some thousands of traces of 8 to 20 spans. Each span belongs to the service that makes it, each
//! service sends what it has when it has 100 to 500 spans, and so the spans of a trace arrive over several
//! requests, between those of a few hundred other traces. Every cycle sends the same bytes with other trace ids
//! and times, which costs the generator a copy and three writes a span.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::trace::{SERVICES, SpanBytes, TraceShape, resource, scope};
use super::wire::{length_delimited, tag_and_length};

/// Spans of a request.
const REQUEST_SPANS: RangeInclusive<usize> = 100..=500;

/// Traces that begin between a span and its duplicate.
const DUPLICATE_DISTANCE: usize = 20;

/// Traces begin this far from each other, by the clocks of their hosts.
const TRACE_DISTANCE_NS: u64 = 1_000_000;

/// What the traces are like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    /// Traces of a cycle.
    pub(super) traces: u32,
    /// Share of spans that are sent when everything else of the cycle was.
    pub(super) late: f64,
    /// Share of spans that are sent twice.
    pub(super) duplicate: f64,
    /// Share of inner spans that are never sent, so that their children miss them.
    pub(super) missing: f64,
    pub(super) seed: u64,
}

/// The requests of a cycle.
#[derive(Debug)]
pub(super) struct Corpus {
    /// In the order of sending.
    pub(super) requests: Vec<Template>,
    /// The late ones.
    pub(super) late: Vec<Template>,
    pub(super) counts: Counts,
}

/// What a cycle consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Counts {
    pub(super) traces: u64,
    /// Distinct spans that are sent.
    pub(super) spans: u64,
    pub(super) late: u64,
    pub(super) duplicates: u64,
    pub(super) missing: u64,
    /// Traces of which a span is missing.
    pub(super) incomplete_traces: u64,
}

/// A request but for its trace ids and times.
#[derive(Debug)]
pub(super) struct Template {
    bytes: Vec<u8>,
    patches: Vec<Patch>,
}

/// Where a span's trace id and times are in the request.
#[derive(Debug)]
struct Patch {
    trace_at: u32,
    start_at: u32,
    end_at: u32,
    /// Nanoseconds since the beginning of the cycle.
    start: u64,
    end: u64,
}

impl Template {
    pub(super) fn spans(&self) -> u64 {
        self.patches.len() as u64
    }

    /// The message, with `prefix` bytes of room before it, for the cycle that began at `base_ns`.
    ///
    /// `cycle` becomes the first half of all trace ids.
    pub(super) fn fill(&self, prefix: usize, cycle: u64, base_ns: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(prefix + self.bytes.len());
        bytes.resize(prefix, 0);
        bytes.extend_from_slice(&self.bytes);
        let message = &mut bytes[prefix..];
        let mut put = |at: u32, value: [u8; 8]| {
            message[at as usize..][..8].copy_from_slice(&value);
        };
        for patch in &self.patches {
            put(patch.trace_at, cycle.to_be_bytes());
            put(patch.start_at, (base_ns + patch.start).to_le_bytes());
            put(patch.end_at, (base_ns + patch.end).to_le_bytes());
        }
        bytes
    }
}

impl Corpus {
    pub(super) fn new(shape: &Shape) -> Self {
        Builder::new(shape).build()
    }

    /// Bytes of all requests of a cycle.
    pub(super) fn bytes(&self) -> u64 {
        let all = self.requests.iter().chain(&self.late);
        all.map(|template| template.bytes.len() as u64).sum()
    }

    /// Spans of all requests of a cycle, duplicates included.
    pub(super) fn sent_spans(&self) -> u64 {
        let all = self.requests.iter().chain(&self.late);
        all.map(Template::spans).sum()
    }
}

struct Builder {
    shape: Shape,
    random: SmallRng,
    /// Spans that wait until their service sends, and how many it waits for.
    waiting: Vec<(Vec<SpanBytes>, usize)>,
    late: Vec<Vec<SpanBytes>>,
    /// Duplicates and the traces after which they are sent.
    duplicates: VecDeque<(u32, SpanBytes)>,
    corpus: Corpus,
}

impl Builder {
    fn new(shape: &Shape) -> Self {
        let mut random = SmallRng::seed_from_u64(shape.seed);
        let mut first = || (Vec::new(), random.random_range(REQUEST_SPANS));
        Builder {
            shape: *shape,
            waiting: SERVICES.iter().map(|_| first()).collect(),
            late: SERVICES.iter().map(|_| Vec::new()).collect(),
            duplicates: VecDeque::new(),
            corpus: Corpus {
                requests: Vec::new(),
                late: Vec::new(),
                counts: Counts::default(),
            },
            random,
        }
    }

    fn build(mut self) -> Corpus {
        for number in 0..self.shape.traces {
            self.trace(number);
            while let Some((_, span)) = self.duplicates.pop_front_if(|(due, _)| *due <= number) {
                self.add(span);
            }
        }
        for (_, span) in std::mem::take(&mut self.duplicates) {
            self.add(span);
        }
        for service in 0..SERVICES.len() {
            let spans = std::mem::take(&mut self.waiting[service].0);
            self.corpus.requests.extend(template(service, &spans));
            let late = std::mem::take(&mut self.late[service]);
            let chunks = late.chunks(*REQUEST_SPANS.end());
            let templates = chunks.filter_map(|spans| template(service, spans));
            self.corpus.late.extend(templates);
        }
        self.corpus
    }

    fn trace(&mut self, number: u32) {
        let begin = u64::from(number) * TRACE_DISTANCE_NS;
        let trace = TraceShape::random(&mut self.random, begin);
        self.corpus.counts.traces += 1;
        let missing_before = self.corpus.counts.missing;
        for (span, is_inner) in trace.encode(&mut self.random) {
            let counts = &mut self.corpus.counts;
            if is_inner && self.random.random_bool(self.shape.missing) {
                counts.missing += 1;
                continue;
            }
            counts.spans += 1;
            if self.random.random_bool(self.shape.duplicate) {
                counts.duplicates += 1;
                let due = number + DUPLICATE_DISTANCE as u32;
                self.duplicates.push_back((due, span.clone()));
            }
            if self.random.random_bool(self.shape.late) {
                counts.late += 1;
                self.late[span.service].push(span);
            } else {
                self.add(span);
            }
        }
        let counts = &mut self.corpus.counts;
        counts.incomplete_traces += u64::from(counts.missing > missing_before);
    }

    fn add(&mut self, span: SpanBytes) {
        let service = span.service;
        let (waiting, enough) = &mut self.waiting[service];
        waiting.push(span);
        if waiting.len() >= *enough {
            *enough = self.random.random_range(REQUEST_SPANS);
            let spans = std::mem::take(waiting);
            self.corpus.requests.extend(template(service, &spans));
        }
    }
}

/// The request of these spans of one service; none without spans.
fn template(service: usize, spans: &[SpanBytes]) -> Option<Template> {
    if spans.is_empty() {
        return None;
    }
    let mut scope_spans = length_delimited(1, &scope());
    let mut patches = Vec::with_capacity(spans.len());
    for span in spans {
        scope_spans.extend(tag_and_length(2, span.bytes.len()));
        let at = scope_spans.len() as u32;
        scope_spans.extend_from_slice(&span.bytes);
        patches.push(Patch {
            trace_at: at + SpanBytes::TRACE_AT,
            start_at: at + span.start_at,
            end_at: at + span.end_at,
            start: span.start,
            end: span.end,
        });
    }
    let resource = length_delimited(1, &resource(service));
    let head = tag_and_length(2, scope_spans.len());
    let length = resource.len() + head.len() + scope_spans.len();
    let mut bytes = tag_and_length(1, length);
    bytes.extend([resource, head].concat());
    let moved = bytes.len() as u32;
    bytes.extend(scope_spans);
    for patch in &mut patches {
        patch.trace_at += moved;
        patch.start_at += moved;
        patch.end_at += moved;
    }
    Some(Template { bytes, patches })
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use quorate_trace::wire::{Batch, Limits};
    use quorate_trace::{SpanId, TraceId};

    use super::*;

    fn shape() -> Shape {
        Shape {
            traces: 500,
            late: 0.0,
            duplicate: 0.0,
            missing: 0.0,
            seed: 7,
        }
    }

    fn scan(template: &Template, cycle: u64) -> Batch {
        let batch = Batch::scan(template.fill(0, cycle, 1_000).into(), &Limits::default());
        let batch = batch.unwrap();
        assert_eq!(batch.refused().total(), 0);
        assert_eq!(batch.len() as u64, template.spans());
        batch
    }

    /// Parents by span and trace.
    fn spans<'a>(
        templates: impl IntoIterator<Item = &'a Template>,
    ) -> HashMap<TraceId, HashMap<SpanId, Option<SpanId>>> {
        let mut traces: HashMap<_, HashMap<_, _>> = HashMap::new();
        for template in templates {
            for span in scan(template, 3).spans() {
                let trace = traces.entry(span.trace_id).or_default();
                trace.insert(span.span_id, span.parent);
            }
        }
        traces
    }

    #[test]
    fn traces_are_whole_and_of_the_sizes_that_are_told() {
        let corpus = Corpus::new(&shape());
        let traces = spans(&corpus.requests);
        assert_eq!(traces.len(), 500);
        for trace in traces.values() {
            assert!((8..=20).contains(&trace.len()), "{}", trace.len());
            let roots = trace.values().filter(|parent| parent.is_none());
            assert_eq!(roots.count(), 1);
            let mut parents = trace.values().flatten();
            assert!(parents.all(|parent| trace.contains_key(parent)));
        }
        let spans = corpus.sent_spans();
        assert_eq!(spans, corpus.counts.spans);
        let average = corpus.bytes() / spans;
        assert!((440..=490).contains(&average), "{average} bytes a span");
    }

    #[test]
    fn the_spans_of_a_trace_arrive_in_several_requests() {
        let corpus = Corpus::new(&shape());
        let mut requests: HashMap<TraceId, HashSet<usize>> = HashMap::new();
        for (number, template) in corpus.requests.iter().enumerate() {
            assert!(template.spans() <= 500);
            for span in scan(template, 0).spans() {
                requests.entry(span.trace_id).or_default().insert(number);
            }
        }
        let parts: usize = requests.values().map(HashSet::len).sum();
        assert!(parts >= 2 * requests.len());
    }

    #[test]
    fn cycles_differ_in_their_ids_and_times_alone() {
        let corpus = Corpus::new(&shape());
        let (one, other) = (scan(&corpus.requests[0], 1), scan(&corpus.requests[0], 2));
        for (one, other) in one.spans().zip(other.spans()) {
            assert_ne!(one.trace_id, other.trace_id);
            assert_eq!(one.trace_id.bytes()[..8], 1_u64.to_be_bytes());
            assert_eq!(one.span_id, other.span_id);
            assert!(1_000 <= one.start && one.start <= one.end);
        }
    }

    #[test]
    fn faults_are_as_many_as_they_are_counted() {
        let shape = Shape {
            late: 0.1,
            duplicate: 0.05,
            missing: 0.05,
            ..shape()
        };
        let corpus = Corpus::new(&shape);
        let counts = corpus.counts;
        let late: u64 = corpus.late.iter().map(Template::spans).sum();
        assert_eq!(late, counts.late);
        assert_eq!(corpus.sent_spans(), counts.spans + counts.duplicates);
        assert!(counts.late > 0 && counts.duplicates > 0 && counts.missing > 0);

        let traces = spans(corpus.requests.iter().chain(&corpus.late));
        let missing = traces.values().map(|trace| {
            let parents: HashSet<_> = trace.values().flatten().collect();
            let absent = parents.iter().filter(|parent| !trace.contains_key(parent));
            absent.count() as u64
        });
        let missing: Vec<u64> = missing.collect();
        // A span whose children are all missing as well is missed by nobody.
        assert!(missing.iter().sum::<u64>() <= counts.missing);
        let incomplete = missing.iter().filter(|missing| **missing > 0).count() as u64;
        assert_eq!(incomplete, counts.incomplete_traces);
    }
}
