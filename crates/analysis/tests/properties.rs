//! What holds of every trace, whatever it looks like; and of very large ones.

mod kit;

use std::collections::{BTreeMap, BTreeSet};

use kit::{EPOCH, MS, Trace, id, trace_id, views};
use opentelemetry_proto::tonic::trace::v1::Status;
use proptest::prelude::*;
use quorate_analysis::{
    Causality, Graph, GraphReport, History, Patterns, Relation, SpanRef, Timeline, analyse,
    critical_path, faults_of,
};
use quorate_trace::SpanId;
use quorate_trace::wire::{Span, SpanKind};

/// A span as a test chooses it: id, parent (0: none), kind, begin, duration.
type Choice = (u64, u64, i32, u64, u64);

fn choices(ids: u64) -> impl Strategy<Value = Vec<Choice>> {
    prop::collection::vec((1..=ids, 0..=ids, 0..6_i32, 0..50_u64, 0..50_u64), 0..40)
}

fn written(choices: &[Choice]) -> Trace {
    let mut trace = Trace::new(1);
    for (number, parent, kind, start, length) in choices {
        let service = ["a", "b", "c"][(number % 3) as usize];
        let kind = SpanKind::from_number(*kind);
        let time = (*start, start + length);
        let span = trace.span(service, (*number, *parent), kind, "work", time);
        span.status = (number % 5 == 0).then(|| Status {
            code: 2,
            ..Status::default()
        });
    }
    trace
}

/// Who is whose parent, by id, told without an index.
fn naive_parents(spans: &[Span<'_>]) -> BTreeMap<SpanId, Option<SpanId>> {
    let mut parents = BTreeMap::new();
    for span in spans {
        parents.entry(span.span_id).or_insert(span.parent);
    }
    parents
}

/// Whether a way up from a span leads back to it.
fn is_in_circle(parents: &BTreeMap<SpanId, Option<SpanId>>, from: SpanId) -> bool {
    let mut at = from;
    for _ in 0..=parents.len() {
        match parents.get(&at) {
            Some(Some(parent)) if *parent == from => return true,
            Some(Some(parent)) => at = *parent,
            _ => return false,
        }
    }
    false
}

proptest! {
    #[test]
    fn the_graph_is_what_an_oracle_says(choices in choices(30)) {
        let batch = written(&choices).batch();
        let spans = views(&batch);
        let (graph, parents) = (Graph::new(&spans), naive_parents(&spans));
        let ids = |list: &[u32]| -> BTreeSet<SpanId> {
            list.iter().map(|at| spans[*at as usize].span_id).collect()
        };
        let having = |test: &dyn Fn(SpanId, Option<SpanId>) -> bool| -> BTreeSet<SpanId> {
            parents.iter().filter(|(id, parent)| test(**id, **parent)).map(|(id, _)| *id).collect()
        };
        prop_assert_eq!(ids(graph.roots()), having(&|_, parent| parent.is_none()));
        prop_assert_eq!(
            ids(graph.orphans()),
            having(&|_, parent| parent.is_some_and(|id| !parents.contains_key(&id)))
        );
        let circles: Vec<u32> = graph.cycles().concat();
        prop_assert_eq!(ids(&circles), having(&|id, _| is_in_circle(&parents, id)));
        prop_assert_eq!(ids(graph.topological_order()), having(&|_, _| true));
        prop_assert_eq!(graph.duplicates().len(), spans.len() - parents.len());
        let report = GraphReport::new(&graph);
        let missing: BTreeSet<SpanId> = report.missing.iter().map(|one| one.span_id).collect();
        let expected: BTreeSet<SpanId> =
            parents.values().flatten().filter(|id| !parents.contains_key(id)).copied().collect();
        prop_assert_eq!(missing, expected);
    }

    #[test]
    fn parents_and_children_agree_and_come_in_order(choices in choices(30)) {
        let batch = written(&choices).batch();
        let spans = views(&batch);
        let graph = Graph::new(&spans);
        let mut place = BTreeMap::new();
        for (at, span) in graph.topological_order().iter().enumerate() {
            prop_assert!(place.insert(*span, at).is_none());
            match graph.parent(*span) {
                Some(parent) => {
                    prop_assert!(place[&parent] < at);
                    prop_assert!(graph.children(parent).contains(span));
                    let named = spans[*span as usize].parent;
                    prop_assert_eq!(named, Some(spans[parent as usize].span_id));
                }
                None => prop_assert!(graph.tops().contains(span)),
            }
            let children = graph.children(*span);
            let begins = children.iter().map(|child| spans[*child as usize].start);
            prop_assert!(begins.is_sorted());
        }
    }

    #[test]
    fn the_critical_path_covers_its_root(choices in choices(60)) {
        let batch = written(&choices).batch();
        let spans = views(&batch);
        let graph = Graph::new(&spans);
        let timeline = Timeline::new(&graph);
        let path = critical_path(&graph, &timeline);
        for segment in &path {
            let (start, end) = timeline.adjusted[segment.span as usize];
            prop_assert!(start <= segment.from && segment.from < segment.to && segment.to <= end);
        }
        prop_assert!(path.windows(2).all(|pair| pair[0].to == pair[1].from));
        if let (Some(first), Some(last)) = (path.first(), path.last()) {
            let covers = |top: &&u32| timeline.adjusted[**top as usize] == (first.from, last.to);
            prop_assert!(graph.tops().iter().any(|top| covers(&top)));
        }
    }

    #[test]
    fn nothing_that_arrives_is_trouble(choices in choices(20), skew in any::<i32>()) {
        let mut trace = written(&choices);
        for choice in &choices {
            trace.link(choice.0, (1, 1 + choice.3), Vec::new());
            if choice.4 == 7 {
                trace.get(choice.0).start_time_unix_nano = u64::MAX;
                trace.get(choice.0).end_time_unix_nano = u64::from(skew.unsigned_abs());
            }
        }
        let batch = trace.batch();
        let spans = views(&batch);
        let patterns = Patterns::default();
        let mut history = History::default();
        spans.iter().for_each(|span| history.observe(span));
        let analysis = analyse(&spans, &patterns, &history);
        let again = analyse(&spans, &patterns, &history);
        prop_assert_eq!(serde_json::to_string(&analysis).unwrap(), serde_json::to_string(&again).unwrap());
        let quick = faults_of(&spans, &patterns, &history);
        prop_assert_eq!(quick.faults, analysis.faults);
        prop_assert_eq!(quick.root_cause, analysis.root_causes.into_iter().next());
    }

    #[test]
    fn the_offset_of_a_clock_is_found_within_its_uncertainty(
        offsets in prop::collection::vec(-10_000_000_000_i64..10_000_000_000, 3),
        calls in prop::collection::vec((0..400_u64, 1..20_u64, 1..20_u64), 1..12),
    ) {
        let mut trace = Trace::new(1);
        trace.span("s0", (1, 0), SpanKind::Server, "run", (0, 5_000));
        let mut number = 2;
        for service in 1..=3 {
            for (start, before, after) in &calls {
                let (caller, callee) = (format!("s{}", service - 1), format!("s{service}"));
                // Every call takes 100 ms, in a server span of its caller that begins with the call.
                let from = start + 100 * service;
                let parent = if service == 1 { 1 } else { number };
                if service > 1 {
                    trace.span(&caller, (number, 0), SpanKind::Internal, "wait", (from, from + 100));
                    number += 1;
                }
                trace.span(&caller, (number, parent), SpanKind::Client, "c", (from, from + 100));
                let served = (from + before, from + 100 - after);
                trace.span(&callee, (number + 1, number), SpanKind::Server, "c", served);
                number += 2;
            }
        }
        for (service, offset) in (1..).zip(&offsets) {
            trace.shift(&format!("s{service}"), *offset);
        }
        let batch = trace.batch();
        let spans = views(&batch);
        let timeline = Timeline::new(&Graph::new(&spans));
        for (service, offset) in (1..).zip(&offsets) {
            let found = timeline.skew.iter().find(|one| one.service == format!("s{service}"));
            // An offset that the network's time could explain is none.
            let (found, uncertainty) = match found {
                Some(found) => (found.offset_ns, found.uncertainty_ns),
                None => (0, service * 100 * MS),
            };
            prop_assert!((found + offset).unsigned_abs() <= uncertainty, "{found} {offset} {uncertainty}");
        }
    }

    #[test]
    fn causality_is_what_a_walk_over_all_edges_says(
        parents in prop::collection::vec(any::<u64>(), 1..30),
        links in prop::collection::vec((any::<u64>(), any::<u64>()), 0..20),
        traces in 1..4_u128,
    ) {
        // Causes have lower numbers than their effects, so nothing closes a circle.
        let count = parents.len() as u64;
        let trace_of = |number: u64| 1 + u128::from(number) % traces;
        let mut written: Vec<Trace> = (1..=traces).map(Trace::new).collect();
        let mut causes: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for number in 1..=count {
            let parent = parents[number as usize - 1] % number;
            let is_near = parent > 0 && trace_of(parent) == trace_of(number);
            let parent = if is_near { parent } else { 0 };
            let at = trace_of(number) as usize - 1;
            written[at].span("a", (number, parent), SpanKind::Internal, "work", (0, 1));
            causes.entry(number).or_default().extend((parent > 0).then_some(parent));
        }
        for (one, other) in &links {
            let (one, other) = (1 + one % count, 1 + other % count);
            if one < other {
                written[trace_of(other) as usize - 1].link(other, (trace_of(one), one), Vec::new());
                causes.entry(other).or_default().push(one);
            }
        }
        let mut builder = Causality::builder();
        for trace in &written {
            builder.add_trace(&views(&trace.batch()));
        }
        let causality = builder.build();
        prop_assert!(causality.problems().is_empty());
        let reference = |number| SpanRef { trace_id: trace_id(trace_of(number)), span_id: id(number) };
        let mut histories: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for number in 1..=count {
            let direct = causes[&number].iter();
            let all = direct.flat_map(|cause| histories[cause].iter().copied().chain([*cause]));
            let all: BTreeSet<u64> = all.collect();
            let found: BTreeSet<SpanRef> = causality.history(reference(number)).collect();
            prop_assert_eq!(found, all.iter().map(|cause| reference(*cause)).collect());
            histories.insert(number, all);
        }
        for one in 1..=count {
            for other in 1..=count {
                let expected = if one == other {
                    Relation::Equal
                } else if histories[&other].contains(&one) {
                    Relation::Before
                } else if histories[&one].contains(&other) {
                    Relation::After
                } else {
                    Relation::Concurrent
                };
                prop_assert_eq!(causality.relation(reference(one), reference(other)), Some(expected));
            }
        }
    }
}

const LARGE: u64 = 100_000;

/// All spans failed, called each other over two services, and are shuffled.
fn large(parent: impl Fn(u64) -> u64) -> Trace {
    let mut trace = Trace::new(1);
    for step in 0..LARGE {
        let number = 1 + step * 7_919 % LARGE;
        let service = ["a", "b"][number as usize % 2];
        let kind = [SpanKind::Client, SpanKind::Server][number as usize % 2];
        let span = trace.span(service, (number, parent(number)), kind, "call", (0, 0));
        span.start_time_unix_nano = EPOCH + number;
        span.end_time_unix_nano = EPOCH + 2 * LARGE - number;
        span.status = Some(Status {
            code: 2,
            ..Status::default()
        });
    }
    trace
}

#[test]
fn a_trace_of_100_000_spans_in_a_row() {
    let trace = large(|number| number - 1);
    let batch = trace.batch();
    let analysis = analyse(&views(&batch), &Patterns::default(), &History::default());
    // On the way down and up again; the last span takes no time.
    assert_eq!(analysis.critical_path.len() as u64, 2 * (LARGE - 1) - 1);
    assert_eq!(analysis.edges.len() as u64, LARGE - 1);
    assert_eq!(analysis.root_causes[0].span_id, id(LARGE));
    assert_eq!(
        analysis.root_causes[0].path.len(),
        quorate_analysis::PATH_MAX
    );
    let causality = Causality::of(&Graph::new(&views(&batch)));
    let span = |number| SpanRef {
        trace_id: trace_id(1),
        span_id: id(number),
    };
    assert!(causality.happens_before(span(1), span(LARGE)));
    assert_eq!(causality.history(span(LARGE)).count() as u64, LARGE - 1);
}

#[test]
fn a_trace_of_100_000_spans_side_by_side() {
    let trace = large(|number| u64::from(number > 1));
    let batch = trace.batch();
    let analysis = analyse(&views(&batch), &Patterns::default(), &History::default());
    assert_eq!(analysis.graph.spans as u64, LARGE);
    assert_eq!(analysis.faults.len(), quorate_analysis::FAULTS_MAX);
}

#[test]
fn a_circle_of_100_000_spans() {
    let trace = large(|number| if number == 1 { LARGE } else { number - 1 });
    let batch = trace.batch();
    let analysis = analyse(&views(&batch), &Patterns::default(), &History::default());
    assert_eq!(analysis.graph.cycle_count, 1);
    assert_eq!(analysis.graph.cycles[0][0], id(1));
}

#[test]
fn links_from_every_one_of_many_spans() {
    let mut trace = large(|number| number / 2);
    let mut trace_2 = Trace::new(2);
    trace_2.span("c", (1, 0), SpanKind::Consumer, "batch", (0, 1));
    for number in (2..LARGE).step_by(100) {
        trace_2.link(1, (1, number), Vec::new());
    }
    trace.link(LARGE, (1, 3), Vec::new());
    let (batch, other) = (trace.batch(), trace_2.batch());
    let mut builder = Causality::builder();
    builder.add_trace(&views(&batch));
    builder.add_trace(&views(&other));
    let causality = builder.build();
    let consumer = SpanRef {
        trace_id: trace_id(2),
        span_id: id(1),
    };
    let history = causality.history(consumer).count();
    let before = (1..=LARGE).filter(|number| {
        let span = SpanRef {
            trace_id: trace_id(1),
            span_id: id(*number),
        };
        causality.happens_before(span, consumer)
    });
    assert_eq!(before.count(), history);
    assert!(history > 1_000);
}
