//! Traces as they happen, and what is to be said about them.

mod kit;

use kit::{EPOCH, MS, Trace, checkout, id, text, trace_id, views};
use quorate_analysis::{
    Analysis, Causality, EdgeKind, FaultKind, Graph, History, Patterns, ProblemKind, Relation,
    Severity, SpanRef, Timeline, analyse, analyse_linked, detect, faults_of, linked_traces,
};
use quorate_trace::wire::{Batch, SpanKind};

fn analysed(trace: &Trace) -> Analysis {
    let batch = trace.batch();
    analyse(&views(&batch), &Patterns::default(), &History::default())
}

fn messages(analysis: &Analysis) -> Vec<&str> {
    let problems = analysis.problems.iter();
    problems.map(|problem| problem.message.as_str()).collect()
}

/// A history in which the spans of this trace were seen often.
fn history_of(batch: &Batch) -> History {
    let mut history = History::default();
    for span in (0..200).flat_map(|_| batch.spans()) {
        history.observe(&span);
    }
    history
}

#[test]
fn a_healthy_trace_has_nothing_to_report() {
    let trace = checkout(1);
    let analysis = analysed(&trace);
    assert_eq!(messages(&analysis), [""; 0]);
    assert!(analysis.faults.is_empty() && analysis.root_causes.is_empty());
    assert!(analysis.skew.is_empty());
    assert_eq!(analysis.graph.roots, [id(1)]);
    assert_eq!(analysis.edges.len(), 13);
    let path = &analysis.critical_path;
    assert_eq!(path[0].from, EPOCH);
    assert_eq!(path.last().unwrap().to, EPOCH + 200 * MS);
    assert!(path.windows(2).all(|pair| pair[0].to == pair[1].from));
    let busy: Vec<_> = path.iter().map(|segment| segment.span_id).collect();
    assert!(busy.contains(&id(10)), "the insert is on the path");
    assert!(!busy.contains(&id(13)), "shipping ran beside the payment");
    let batch = trace.batch();
    let quick = faults_of(&views(&batch), &Patterns::default(), &history_of(&batch));
    assert!(quick.faults.is_empty() && quick.root_cause.is_none());
}

#[test]
fn a_slow_database_three_services_down_is_the_cause() {
    let history = history_of(&checkout(1).batch());
    let mut trace = Trace::new(2);
    trace.span(
        "frontend",
        (1, 0),
        SpanKind::Server,
        "POST /checkout",
        (0, 5_000),
    );
    trace.call(("frontend", "checkout"), (2, 1), "PlaceOrder", (2, 4_990));
    trace.call(("checkout", "cart"), (4, 3), "GetCart", (5, 25));
    trace.call(("checkout", "payment"), (8, 3), "Charge", (60, 4_950));
    trace.span(
        "payment",
        (10, 9),
        SpanKind::Client,
        "INSERT charges",
        (65, 4_900),
    );
    trace.get(10).attributes = vec![text("db.system", "postgresql")];
    let batch = trace.batch();
    let spans = views(&batch);
    let analysis = analyse(&spans, &Patterns::default(), &history);
    let worst = &analysis.root_causes[0];
    assert_eq!(worst.span_id, id(10));
    assert_eq!(worst.path, [1, 2, 3, 8, 9, 10].map(id));
    assert!(worst.score > 0.8, "{worst:?}");
    assert!(worst.reasons[0].contains("times the"), "{worst:?}");
    let said = worst.reasons.join(" ");
    assert!(said.contains("% of the critical path"), "{said}");
    assert!(said.contains("postgresql, which has no spans"), "{said}");
    assert!(
        analysis
            .faults
            .iter()
            .all(|fault| fault.kind == FaultKind::UnusualLatency)
    );
    // The way of the sealer comes to the same.
    let quick = faults_of(&spans, &Patterns::default(), &history);
    assert_eq!(quick.faults, analysis.faults);
    assert_eq!(quick.root_cause.as_ref(), analysis.root_causes.first());
}

#[test]
fn an_error_is_followed_down_to_where_it_began() {
    let mut trace = checkout(3);
    trace.fail(&[1, 2, 3, 8, 9], "");
    trace.fail(&[10], "deadlock detected");
    let analysis = analysed(&trace);
    let first = &analysis.faults[0];
    assert_eq!(
        (first.span_id, first.severity),
        (id(10), Severity::Critical)
    );
    assert!(first.message.contains("deadlock detected"));
    let passed_on = &analysis.faults[1..];
    assert!(
        passed_on
            .iter()
            .all(|fault| fault.severity == Severity::Info)
    );
    assert_eq!(analysis.root_causes.len(), 1);
    let cause = &analysis.root_causes[0];
    assert_eq!(cause.span_id, id(10));
    assert!(
        cause.reasons.contains(
            &"5 spans above it failed because of it, up to the top of the trace.".to_owned()
        ),
        "{cause:?}"
    );
    assert!(
        cause
            .reasons
            .contains(&"It explains 6 of 6 faults.".to_owned())
    );
}

#[test]
fn an_error_that_somebody_recovers_from_is_less_severe() {
    let mut trace = checkout(4);
    trace.fail(&[6], "connection reset");
    let analysis = analysed(&trace);
    assert_eq!(analysis.faults.len(), 1);
    assert_eq!(analysis.faults[0].severity, Severity::Warning);
}

#[test]
fn a_caller_that_gave_up_blames_what_it_waited_for() {
    let mut trace = Trace::new(5);
    trace.span("frontend", (1, 0), SpanKind::Server, "GET /", (0, 1_010));
    trace.call(("frontend", "search"), (2, 1), "Query", (5, 1_005));
    trace.span("search", (4, 3), SpanKind::Internal, "rank", (10, 1_900));
    trace.get(3).end_time_unix_nano = EPOCH + 2_000 * MS;
    trace.fail(&[1, 2], "deadline exceeded");
    let analysis = analysed(&trace);
    assert_eq!(
        analysis.root_causes[0].span_id,
        id(4),
        "{:?}",
        analysis.root_causes
    );
    let outlives = analysis.problems.iter();
    let outlives: Vec<_> = outlives
        .filter(|p| p.kind == ProblemKind::OutlivesParent)
        .collect();
    assert_eq!(
        outlives.len(),
        1,
        "an internal span may go on: {outlives:?}"
    );
}

#[test]
fn a_retry_storm_is_told_with_its_callee() {
    let mut trace = Trace::new(6);
    trace.span("cart", (1, 0), SpanKind::Server, "AddItem", (0, 1_000));
    for attempt in 0..8 {
        let number = 10 + 10 * attempt;
        trace.call(
            ("cart", "stock"),
            (number, 1),
            "Reserve",
            (100 * attempt, 100 * attempt + 90),
        );
        if attempt < 7 {
            trace.fail(&[number, number + 1], "unavailable");
        }
    }
    let analysis = analysed(&trace);
    let storm = analysis
        .faults
        .iter()
        .find(|fault| fault.kind == FaultKind::RetryStorm);
    let storm = storm.unwrap();
    assert_eq!(storm.span_id, id(1));
    assert_eq!(
        storm.message,
        "`AddItem` of cart made the call `Reserve` 8 times within 700 ms; 7 of them failed."
    );
    let cause = &analysis.root_causes[0];
    assert_eq!(cause.service, "stock");
    assert!(
        cause
            .reasons
            .iter()
            .any(|reason| reason.contains("8 times in a retry storm")),
        "{cause:?}"
    );
}

#[test]
fn many_calls_that_succeed_are_no_storm() {
    let mut trace = Trace::new(7);
    trace.span("cart", (1, 0), SpanKind::Server, "List", (0, 1_000));
    for call in 0..20 {
        trace.call(
            ("cart", "stock"),
            (10 + 2 * call, 1),
            "Get",
            (40 * call, 40 * call + 30),
        );
    }
    trace.fail(&[10, 20, 30], "not found");
    let analysis = analysed(&trace);
    assert!(
        analysis
            .faults
            .iter()
            .all(|fault| fault.kind == FaultKind::Error)
    );
}

#[test]
fn clocks_five_seconds_apart_are_corrected() {
    let mut trace = checkout(8);
    trace.shift("payment", 6_000 * MS as i64);
    trace.shift("cart", -5_000 * MS as i64);
    let analysis = analysed(&trace);
    let skew: Vec<_> = analysis
        .skew
        .iter()
        .map(|one| (one.service.as_str(), one.offset_ns))
        .collect();
    // As little as the calls demand: each lies 1 ms within that of its caller.
    let ms = MS as i64;
    assert_eq!(skew, [("payment", -5_999 * ms), ("cart", 4_999 * ms)]);
    // 2 ms of the call to it, 1 ms of the call to its caller.
    assert_eq!(analysis.skew[0].uncertainty_ns, 3 * MS);
    assert_eq!(
        messages(&analysis)[0],
        "The clock of payment is 6.00 s ahead of that of frontend (± 3 ms, from 1 call)."
    );
    assert!(
        analysis
            .problems
            .iter()
            .all(|p| p.kind == ProblemKind::ClockSkew)
    );
    let batch = trace.batch();
    let spans = views(&batch);
    let charge = spans.iter().position(|span| span.span_id == id(9)).unwrap();
    assert_eq!(
        spans[charge].start,
        EPOCH + 6_061 * MS,
        "the raw time stays"
    );
    assert_eq!(analysis.adjusted[charge].0, EPOCH + 62 * MS);
}

#[test]
fn one_call_among_many_that_contradicts_does_not_move_the_clock() {
    let mut trace = Trace::new(9);
    trace.span("a", (1, 0), SpanKind::Server, "run", (0, 1_000));
    for call in 0..9 {
        trace.call(
            ("a", "b"),
            (10 + 2 * call, 1),
            "call",
            (100 * call, 100 * call + 50),
        );
    }
    trace.get(11).start_time_unix_nano += 600 * MS;
    trace.get(11).end_time_unix_nano += 600 * MS;
    let analysis = analysed(&trace);
    assert!(analysis.skew.is_empty(), "{:?}", analysis.skew);
    assert!(
        analysis
            .problems
            .iter()
            .any(|p| p.kind == ProblemKind::OutlivesParent)
    );
}

#[test]
fn a_missing_parent_is_named() {
    let mut trace = checkout(10);
    trace.span("mail", (21, 20), SpanKind::Internal, "render", (1, 2));
    trace.span("mail", (22, 20), SpanKind::Client, "smtp", (2, 3));
    trace.span("audit", (24, 23), SpanKind::Server, "Log", (2, 3));
    let analysis = analysed(&trace);
    assert_eq!(analysis.graph.orphan_count, 3);
    assert_eq!(
        messages(&analysis),
        [
            "Span 0000000000000014, which `render` of mail and 1 other name as parent, never \
             arrived; it is a span of mail too.",
            "Span 0000000000000017, which `Log` of audit names as parent, never arrived; it is \
             a span of the caller.",
        ]
    );
    let missing = &analysis.graph.missing[0];
    assert_eq!(
        (missing.span_id, missing.service.as_deref()),
        (id(20), Some("mail"))
    );
    assert_eq!(missing.children, [id(21), id(22)]);
}

#[test]
fn parents_in_a_circle_are_cut_where_they_begin() {
    let mut trace = Trace::new(11);
    trace.span("a", (1, 3), SpanKind::Internal, "one", (20, 30));
    trace.span("a", (2, 1), SpanKind::Internal, "two", (10, 30));
    trace.span("a", (3, 2), SpanKind::Internal, "three", (15, 30));
    trace.span("a", (4, 3), SpanKind::Internal, "below", (16, 30));
    trace.span("a", (5, 5), SpanKind::Internal, "self", (16, 30));
    let batch = trace.batch();
    let spans = views(&batch);
    let graph = Graph::new(&spans);
    assert_eq!(graph.cycles(), [vec![1, 0, 2], vec![4]]);
    assert_eq!(graph.topological_order().len(), 5);
    assert_eq!((graph.parent(1), graph.parent(2)), (None, Some(1)));
    let analysis = analysed(&trace);
    let said = messages(&analysis);
    assert!(said[0].contains("No span is the root"), "{said:?}");
    assert!(said.contains(&"`self` of a names itself as its parent."));
    assert!(
        said[1].contains("3 spans name each other as parents in a circle"),
        "{said:?}"
    );
}

#[test]
fn two_roots_and_duplicates_are_told() {
    let mut trace = checkout(12);
    trace.span("cron", (30, 0), SpanKind::Internal, "sweep", (5, 6));
    trace.span("cron", (30, 0), SpanKind::Internal, "sweep", (5, 6));
    trace.span("cart", (2, 1), SpanKind::Server, "PlaceOrder", (5, 6));
    let analysis = analysed(&trace);
    let kinds: Vec<_> = analysis
        .problems
        .iter()
        .map(|problem| problem.kind)
        .collect();
    assert_eq!(
        kinds,
        [
            ProblemKind::SeveralRoots,
            ProblemKind::Duplicate,
            ProblemKind::DuplicateId
        ]
    );
    assert!(messages(&analysis)[2].contains("as Zipkin has it"));
    assert_eq!(analysis.graph.duplicate_count, 2);
    assert_eq!(analysis.graph.spans, 15);
}

#[test]
fn times_that_cannot_be_are_told() {
    let mut trace = Trace::new(13);
    trace.span("a", (1, 0), SpanKind::Internal, "root", (100, 200));
    trace.span("a", (2, 1), SpanKind::Internal, "early", (50, 150));
    trace.span("a", (3, 1), SpanKind::Internal, "backwards", (150, 120));
    trace.span("a", (4, 1), SpanKind::Internal, "timeless", (150, 160));
    trace.get(4).start_time_unix_nano = 0;
    trace.span("a", (5, 1), SpanKind::Producer, "send", (150, 160));
    trace.span("b", (6, 5), SpanKind::Consumer, "receive", (1_000, 1_100));
    trace.span("a", (7, 1), SpanKind::Internal, "background", (150, 900));
    let analysis = analysed(&trace);
    assert_eq!(
        messages(&analysis),
        [
            "`timeless` of a does not say when it began.",
            "`backwards` of a ends 30 ms before it begins.",
            "`early` of a begins 50 ms before its parent `root` of a.",
        ]
    );
}

/// The producer's trace: an order that failed on its way to the queue.
fn producer() -> Trace {
    let mut trace = Trace::new(20);
    trace.span("orders", (1, 0), SpanKind::Server, "POST /orders", (0, 100));
    trace.span(
        "orders",
        (2, 1),
        SpanKind::Client,
        "SELECT prices",
        (10, 40),
    );
    trace.span(
        "orders",
        (3, 1),
        SpanKind::Producer,
        "orders send",
        (50, 60),
    );
    trace.fail(&[1], "");
    trace.fail(&[2], "relation prices does not exist");
    trace
}

/// The consumer's trace, which cannot handle the order.
fn consumer() -> Trace {
    let mut trace = Trace::new(21);
    trace.span(
        "billing",
        (7, 0),
        SpanKind::Consumer,
        "orders process",
        (500, 700),
    );
    trace.span("billing", (8, 7), SpanKind::Internal, "compute", (510, 600));
    trace.fail(&[7], "");
    trace.fail(&[8], "order has no price");
    trace.link(7, (20, 3), Vec::new());
    trace
}

#[test]
fn the_producer_of_another_trace_caused_the_consumers_error() {
    let (producer, consumer) = (producer().batch(), consumer().batch());
    let (of_producer, of_consumer) = (views(&producer), views(&consumer));
    assert_eq!(linked_traces(&of_consumer, 8), [trace_id(20)]);
    let (patterns, history) = (Patterns::default(), History::default());
    let analysis = analyse_linked(&of_consumer, &[&of_producer], &patterns, &history);
    let cause = &analysis.root_causes[0];
    assert_eq!((cause.trace_id, cause.span_id), (trace_id(20), id(2)));
    assert_eq!(cause.path, [7, 3, 1, 2].map(id));
    assert!(cause.reasons[0].contains("relation prices does not exist"));
    assert!(cause.reasons[1].contains("`orders process` of billing has a link to `orders send`"));
    let set_off = &analysis.root_causes[1];
    assert_eq!((set_off.trace_id, set_off.span_id), (trace_id(21), id(8)));
    assert!(set_off.score < cause.score);
    assert!(
        set_off
            .reasons
            .last()
            .unwrap()
            .contains("set off over a link")
    );
    let edge = analysis
        .edges
        .iter()
        .find(|edge| edge.kind == EdgeKind::Link)
        .unwrap();
    assert_eq!(
        (edge.from, edge.to, edge.trace),
        (id(3), id(7), Some(trace_id(20)))
    );
    // Alone, the consumer's trace still tells what it can.
    let alone = analyse(&of_consumer, &patterns, &history);
    assert_eq!(alone.root_causes[0].span_id, id(8));
}

fn span(trace: u128, span: u64) -> SpanRef {
    SpanRef {
        trace_id: trace_id(trace),
        span_id: id(span),
    }
}

#[test]
fn causes_lead_across_traces() {
    let (producer, mut consumer) = (producer().batch(), consumer());
    consumer.link(
        8,
        (20, 2),
        vec![text("opentracing.ref_type", "follows_from")],
    );
    let consumer = consumer.batch();
    let mut builder = Causality::builder();
    builder.add_trace(&views(&producer));
    builder.add_trace(&views(&consumer));
    let causality = builder.build();
    let relation = |one, other| causality.relation(one, other).unwrap();
    assert_eq!(relation(span(20, 1), span(21, 8)), Relation::Before);
    assert_eq!(relation(span(21, 8), span(20, 3)), Relation::After);
    assert_eq!(relation(span(20, 2), span(20, 3)), Relation::Concurrent);
    assert_eq!(relation(span(20, 2), span(21, 7)), Relation::Concurrent);
    assert!(causality.happens_before(span(20, 2), span(21, 8)));
    assert_eq!(relation(span(20, 2), span(20, 2)), Relation::Equal);
    assert_eq!(causality.relation(span(20, 2), span(9, 9)), None);
    let causes: Vec<_> = causality.causes(span(21, 8)).collect();
    assert_eq!(
        causes,
        [
            (span(21, 7), EdgeKind::Parent),
            (span(20, 2), EdgeKind::FollowsFrom)
        ]
    );
    let history: Vec<_> = causality.history(span(21, 8)).collect();
    assert_eq!(
        history,
        [span(21, 7), span(20, 2), span(20, 3), span(20, 1)]
    );
}

#[test]
fn links_in_a_circle_are_left_out() {
    let mut trace = Trace::new(22);
    trace.span("a", (1, 0), SpanKind::Internal, "root", (0, 10));
    trace.span("a", (2, 1), SpanKind::Internal, "one", (0, 10));
    trace.span("a", (3, 1), SpanKind::Internal, "other", (0, 10));
    trace.link(2, (22, 3), Vec::new());
    trace.link(3, (22, 2), Vec::new());
    trace.link(1, (22, 1), Vec::new());
    let batch = trace.batch();
    let causality = Causality::of(&Graph::new(&views(&batch)));
    assert_eq!(
        causality.relation(span(22, 2), span(22, 3)),
        Some(Relation::Concurrent)
    );
    assert_eq!(causality.history(span(22, 2)).count(), 1);
    assert_eq!(causality.problems().len(), 3);
}

#[test]
fn vector_clocks_order_what_no_edge_connects() {
    let mut trace = Trace::new(23);
    let clocks = [
        (1, 0, vec![("vc.a", 1)]),
        (2, 1, vec![("vc.a", 2)]),
        (3, 1, vec![("vc.a", 2), ("vc.b", 1)]),
        (4, 1, vec![("vc.a", 3)]),
        (5, 4, vec![("vc.a", 1)]),
    ];
    for (number, parent, clock) in clocks {
        let span = trace.span("a", (number, parent), SpanKind::Internal, "event", (0, 10));
        let components = clock.iter().map(|(key, value)| kit::int(key, *value));
        span.attributes = components.collect();
    }
    trace.get(2).attributes = vec![text("vc.a", "2")];
    let batch = trace.batch();
    let causality = Causality::of(&Graph::new(&views(&batch)));
    let relation = |one, other| causality.relation(span(23, one), span(23, other)).unwrap();
    assert_eq!(
        relation(2, 3),
        Relation::Before,
        "siblings; only the clocks tell"
    );
    assert_eq!(relation(3, 4), Relation::Concurrent);
    assert_eq!(relation(4, 2), Relation::After);
    let history: Vec<_> = causality.history(span(23, 3)).collect();
    assert_eq!(history, [span(23, 1), span(23, 2), span(23, 5)]);
    let problems = causality.problems();
    assert_eq!(
        problems.len(),
        1,
        "the clock of 5 is before that of its parent: {problems:?}"
    );
    assert_eq!(problems[0].span_id, Some(id(5)));
}

#[test]
fn patterns_of_the_configuration_are_found() {
    let patterns: Patterns = toml::from_str(
        r#"
        [[latency]]
        service = "pay*"
        max = "50ms"
        severity = "critical"

        [[custom]]
        name = "many items"
        severity = "info"
        when = { service = "checkout", attribute = { key = "app.items", greater = 2 }, min_count = 3 }

        [[custom]]
        name = "curl"
        when = { attribute = { key = "user_agent.original", matches = "^curl/" } }

        [[custom]]
        name = "on node-1"
        when = { kind = "producer", attribute = { key = "host.name", equals = "node-1" } }
        "#,
    )
    .unwrap();
    let batch = checkout(24).batch();
    let spans = views(&batch);
    let faults = detect(&Graph::new(&spans), &patterns, &History::default());
    let told: Vec<_> = faults
        .iter()
        .map(|fault| (fault.severity, fault.message.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (
                Severity::Critical,
                "`Charge` of payment took 88 ms; the limit is 50 ms."
            ),
            (
                Severity::Critical,
                "`INSERT charges` of payment took 75 ms; the limit is 50 ms."
            ),
            (Severity::Warning, "`orders send` of checkout: on node-1."),
            (
                Severity::Info,
                "`PlaceOrder` of checkout and 5 more spans: many items."
            ),
        ]
    );
    let json = serde_json::to_value(&faults[2]).unwrap();
    assert_eq!(json["kind"], "on node-1");
    assert_eq!(json["spanId"], "000000000000000e");
}

#[test]
fn the_page_gets_the_shapes_it_reads() {
    let mut trace = checkout(25);
    trace.fail(&[10], "deadlock detected");
    trace.shift("cart", 7_000_000_000);
    let json = serde_json::to_value(analysed(&trace)).unwrap();
    let segment = &json["criticalPath"][0];
    assert_eq!(segment["fromNs"], EPOCH.to_string());
    assert_eq!(segment["spanId"], "0000000000000001");
    assert!(segment.get("span").is_none());
    assert_eq!(json["skew"][0]["service"], "cart");
    assert!(json["skew"][0]["offsetNs"].is_i64() && json["skew"][0]["uncertaintyNs"].is_u64());
    assert_eq!(json["problems"][0]["kind"], "clock-skew");
    assert!(json["problems"][0]["spanId"].is_null());
    assert_eq!(json["faults"][0]["kind"], "error");
    assert_eq!(json["faults"][0]["evidence"]["error"]["passedOn"], false);
    assert_eq!(json["rootCauses"][0]["traceId"], format!("{:032x}", 25));
    assert_eq!(json["edges"][0]["kind"], "parent");
    assert!(json["edges"][0].get("trace").is_none());
}

#[test]
fn a_history_survives_being_saved_and_joined() {
    let batch = checkout(26).batch();
    let history = history_of(&batch);
    let saved = serde_json::to_string(&history).unwrap();
    let mut restored: History = serde_json::from_str(&saved).unwrap();
    assert_eq!(serde_json::to_string(&restored).unwrap(), saved);
    let median = |history: &History| history.percentile("payment", "Charge", SpanKind::Server, 0.5);
    assert_eq!(median(&restored), median(&history));
    restored.merge(&history);
    assert_eq!(restored.operations(), 14);
    assert_eq!(median(&restored), median(&history));
}

#[test]
fn a_history_is_limited_whatever_names_there_are() {
    let mut trace = Trace::new(27);
    for number in 1..=100 {
        let name = format!("GET /{number}");
        trace.span("a", (number, 0), SpanKind::Server, &name, (0, 10));
    }
    trace.span("a", (101, 0), SpanKind::Server, "GET /slow", (0, 1_000));
    trace.span(
        "a",
        (102, 0),
        SpanKind::Server,
        &"x".repeat(10_000),
        (0, 10),
    );
    let batch = trace.batch();
    let mut history = History::new(10);
    for span in (0..20).flat_map(|_| batch.spans().filter(|span| span.duration() < 500 * MS)) {
        history.observe(&span);
    }
    assert_eq!(history.operations(), 10);
    let spans = views(&batch);
    let slow = history.judge(&spans[100], &Patterns::default().history);
    assert!(slow.unwrap().ratio > 50.0, "judged by what the others take");
}

#[test]
fn an_empty_trace_is_no_trouble() {
    let analysis = analyse(&[], &Patterns::default(), &History::default());
    assert!(analysis.problems.is_empty() && analysis.critical_path.is_empty());
    assert_eq!(Timeline::new(&Graph::new(&[])).extent(), 0);
}
