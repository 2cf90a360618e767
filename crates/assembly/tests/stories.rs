//! What becomes of traces, told as stories. The store here is a map in memory.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use quorate_assembly::{
    Arrival, Assembly, Base, Cause, Config, Inserted, Judgement, Millis, Phase, Sealing,
};
use quorate_trace::{SpanId, SpanKey, TraceId, Verdict};

const QUIET: u64 = 1_000;
const DEADLINE: u64 = 10_000;
/// Timers are late by at most a sixteenth of the window.
const SLACK: u64 = QUIET / 16 + 1;

fn config() -> Config {
    Config {
        quiet_ms: QUIET,
        deadline_ms: DEADLINE,
        memory_bytes: 40_000,
        trace_bytes: 10_000,
        shards: 4,
    }
}

fn trace(number: u8) -> TraceId {
    TraceId::new([number + 1; 16]).expect("not zero")
}

fn id(number: u64) -> SpanId {
    SpanId::new(number.to_be_bytes()).expect("not zero")
}

/// Span `number` of trace `of`, a child of `parent` unless that is 0.
fn span(of: u8, number: u64, parent: u64) -> Arrival<&'static str> {
    Arrival {
        trace: trace(of),
        span: id(number).into(),
        parent: (parent > 0).then(|| id(parent)),
        bytes: 100,
        payload: "content",
    }
}

/// A node: assembly, and a store that seals what is ripe.
struct Node {
    assembly: Assembly<&'static str>,
    store: BTreeMap<TraceId, Vec<Fragment>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Fragment {
    revision: u32,
    verdict: Verdict,
    cause: Cause,
    missing: Vec<SpanId>,
    spans: Vec<(SpanKey, Option<SpanId>)>,
}

impl Node {
    fn new(config: Config) -> Self {
        Node {
            assembly: Assembly::new(config),
            store: BTreeMap::new(),
        }
    }

    fn insert(&self, now: u64, spans: impl IntoIterator<Item = Arrival<&'static str>>) -> Inserted {
        let spans = spans.into_iter().collect();
        self.assembly.insert(Millis(now), spans)
    }

    fn base(&self, trace: TraceId) -> Option<Base> {
        let fragments = self.store.get(&trace)?;
        Some(Base {
            revision: fragments.last()?.revision,
            spans: fragments.iter().flat_map(|f| f.spans.clone()).collect(),
        })
    }

    /// Seals what is ripe; how many revisions.
    fn seal(&mut self, now: u64) -> usize {
        let ripe = self.assembly.ripe(Millis(now), usize::MAX);
        let mut sealed = 0;
        for ripe in ripe {
            let base = self.base(ripe.trace());
            if let Judgement::Seal(sealing) = self.assembly.judge(ripe, base) {
                self.keep(&sealing);
                self.assembly.sealed(sealing);
                sealed += 1;
            }
        }
        sealed
    }

    fn keep(&mut self, sealing: &Sealing<&'static str>) {
        let spans = sealing.spans().iter();
        let fragment = Fragment {
            revision: sealing.revision,
            verdict: sealing.completeness.verdict,
            cause: sealing.cause(),
            missing: sealing.completeness.missing.clone(),
            spans: spans.map(|span| (span.span, span.parent)).collect(),
        };
        self.store
            .entry(sealing.trace())
            .or_default()
            .push(fragment);
    }

    fn verdicts(&self, of: u8) -> Vec<Verdict> {
        let fragments = self.store.get(&trace(of)).into_iter().flatten();
        fragments.map(|fragment| fragment.verdict).collect()
    }

    fn phase(&self, of: u8) -> Option<Phase> {
        self.assembly.open(&trace(of)).map(|open| open.phase)
    }
}

#[test]
fn a_whole_trace_is_sealed_once_it_was_quiet() {
    let mut node = Node::new(config());
    node.insert(0, [span(0, 2, 1)]);
    node.insert(500, [span(0, 1, 0)]);
    // All named parents are there, but its quiet window is not over: more may come.
    assert_eq!(node.seal(500 + QUIET - 1), 0);
    assert_eq!(node.phase(0), Some(Phase::Active));
    assert_eq!(node.seal(500 + QUIET + SLACK), 1);
    assert_eq!(node.verdicts(0), [Verdict::Complete]);
    assert_eq!(node.assembly.figures(Millis(2_000)), Default::default());
}

#[test]
fn what_is_missing_is_waited_for_until_the_deadline_and_then_named() {
    let mut node = Node::new(config());
    node.insert(0, [span(0, 1, 0), span(0, 3, 2), span(0, 4, 2)]);
    assert_eq!(node.seal(QUIET + SLACK), 0);
    assert_eq!(node.phase(0), Some(Phase::Collecting));
    assert_eq!(node.seal(DEADLINE - 1), 0);
    assert_eq!(node.seal(DEADLINE + SLACK), 1);
    let fragment = &node.store[&trace(0)][0];
    assert_eq!(fragment.verdict, Verdict::Incomplete);
    assert_eq!(fragment.missing, [id(2)]);
}

#[test]
fn a_missing_parent_that_comes_in_time_completes_the_trace() {
    let mut node = Node::new(config());
    node.insert(0, [span(0, 2, 1)]);
    node.seal(QUIET + SLACK);
    assert_eq!(node.phase(0), Some(Phase::Collecting));
    node.insert(3_000, [span(0, 1, 0)]);
    assert_eq!(node.phase(0), Some(Phase::Active));
    assert_eq!(node.seal(3_000 + QUIET + SLACK), 1);
    assert_eq!(node.verdicts(0), [Verdict::Complete]);
}

#[test]
fn a_trace_that_is_never_quiet_is_sealed_at_its_deadline() {
    let mut node = Node::new(config());
    for now in (0..DEADLINE + 600).step_by(500) {
        node.insert(now, [span(0, now + 1, 0)]);
        node.seal(now);
    }
    assert_eq!(node.verdicts(0), [Verdict::Incomplete]);
    assert_eq!(node.store[&trace(0)][0].cause, Cause::Deadline);
}

#[test]
fn a_late_span_amends_and_a_duplicate_does_not() {
    let mut node = Node::new(config());
    node.insert(0, [span(0, 1, 0), span(0, 3, 2)]);
    node.seal(DEADLINE + SLACK);
    assert_eq!(node.verdicts(0), [Verdict::Incomplete]);

    // Late, and it heals the trace: the second revision has it alone.
    node.insert(20_000, [span(0, 3, 2), span(0, 2, 1)]);
    node.seal(20_000 + QUIET + SLACK);
    assert_eq!(node.verdicts(0), [Verdict::Incomplete, Verdict::Complete]);
    let second = &node.store[&trace(0)][1];
    assert_eq!(second.revision, 2);
    assert_eq!(second.spans, [(id(2).into(), Some(id(1)))]);

    // Nothing new: nothing is sealed.
    let inserted = node.insert(30_000, [span(0, 3, 2), span(0, 3, 2)]);
    assert_eq!((inserted.fresh, inserted.duplicates), (1, 1));
    assert_eq!(node.seal(30_000 + QUIET + SLACK), 0);
    assert_eq!(node.phase(0), None);
    assert_eq!(node.verdicts(0).len(), 2);
}

#[test]
fn spans_that_arrive_while_their_trace_is_sealed_are_the_next_revision() {
    let mut node = Node::new(config());
    node.insert(0, [span(0, 1, 0)]);
    let ripe = node.assembly.ripe(Millis(2_000), 1).remove(0);
    let Judgement::Seal(sealing) = node.assembly.judge(ripe, None) else {
        panic!("it is whole");
    };
    let inserted = node.insert(2_000, [span(0, 1, 0), span(0, 2, 1)]);
    assert_eq!((inserted.fresh, inserted.duplicates), (1, 1));
    // One seal at a time, whatever the clock says.
    assert_eq!(node.seal(30_000), 0);
    let open = node.assembly.open(&trace(0)).unwrap();
    assert_eq!((open.phase, open.spans.len()), (Phase::Sealing, 2));

    node.keep(&sealing);
    node.assembly.sealed(sealing);
    assert_eq!(node.phase(0), Some(Phase::Active));
    assert_eq!(node.seal(30_000 + SLACK), 1);
    assert_eq!(
        node.store[&trace(0)][1].spans,
        [(id(2).into(), Some(id(1)))]
    );
    assert_eq!(node.verdicts(0), [Verdict::Complete, Verdict::Complete]);
}

#[test]
fn what_comes_between_ripe_and_judged_delays_the_seal() {
    let mut node = Node::new(config());
    node.insert(0, [span(0, 1, 0)]);
    let ripe = node.assembly.ripe(Millis(2_000), 1).remove(0);
    node.insert(2_000, [span(0, 2, 1)]);
    assert!(matches!(node.assembly.judge(ripe, None), Judgement::Waits));
    assert_eq!(node.phase(0), Some(Phase::Active));
    assert_eq!(node.seal(2_000 + QUIET + SLACK), 1);
    assert_eq!(node.store[&trace(0)][0].spans.len(), 2);
}

#[test]
fn a_store_that_refuses_loses_nothing() {
    let mut node = Node::new(config());
    node.insert(0, [span(0, 1, 0)]);
    let ripe = node.assembly.ripe(Millis(2_000), 1).remove(0);
    let Judgement::Seal(sealing) = node.assembly.judge(ripe, None) else {
        panic!("it is whole");
    };
    node.insert(2_000, [span(0, 2, 1)]);
    node.assembly.failed(Millis(2_500), sealing);
    let figures = node.assembly.figures(Millis(2_500));
    assert_eq!((figures.spans, figures.bytes), (2, 200));
    // Not tried again at once.
    assert_eq!(node.seal(2_600), 0);
    let ripe = node
        .assembly
        .ripe(Millis(2_500 + QUIET + SLACK), 1)
        .remove(0);
    node.assembly.put_back(Millis(4_000), ripe);
    assert_eq!(node.seal(4_000 + QUIET + SLACK), 1);
    assert_eq!(node.store[&trace(0)][0].spans.len(), 2);
    assert_eq!(node.assembly.figures(Millis(9_000)).bytes, 0);
}

#[test]
fn short_memory_evicts_the_oldest_and_loses_no_span() {
    let mut node = Node::new(config());
    // 300 traces of 100 bytes fill the three quarters exactly.
    for number in 0..200 {
        node.insert(number.into(), [span(number, 1, 7)]);
    }
    let more = (0..101).map(|number| span(number, 2, 7));
    node.insert(300, more);
    assert_eq!(node.seal(300), 1);
    assert_eq!(node.verdicts(0), [Verdict::Evicted]);
    assert!(node.verdicts(1).is_empty());

    // The missing parent comes late: the judgement is over both revisions.
    node.insert(400, [span(0, 7, 0)]);
    node.seal(400 + QUIET + SLACK);
    assert_eq!(node.verdicts(0), [Verdict::Evicted, Verdict::Complete]);
}

#[test]
fn memory_counts_until_the_store_has_the_spans() {
    let mut node = Node::new(config());
    for number in 0..200 {
        node.insert(0, [span(number, 1, 7), span(number, 2, 7)]);
    }
    assert!(node.assembly.bytes() >= config().memory_bytes);
    let ripe = node.assembly.ripe(Millis(1), usize::MAX);
    assert_eq!(ripe.len(), 50);
    assert!(node.assembly.bytes() >= config().memory_bytes);
    for ripe in ripe {
        let Judgement::Seal(sealing) = node.assembly.judge(ripe, None) else {
            panic!("it is evicted");
        };
        node.assembly.sealed(sealing);
    }
    assert_eq!(node.assembly.figures(Millis(1)).bytes, 30_000);
    node.insert(2, [span(0, 3, 7)]);
    assert_eq!(node.seal(2), 1);
}

#[test]
fn one_large_trace_does_not_evict_others() {
    let mut node = Node::new(config());
    node.insert(0, [span(1, 1, 0)]);
    node.insert(1, (0..101).map(|number| span(0, number + 2, 1)));
    assert_eq!(node.seal(2), 1);
    assert_eq!(node.verdicts(0), [Verdict::Evicted]);
    assert_eq!(node.phase(1), Some(Phase::Active));
    // It goes on, in a further revision.
    node.insert(3, (60..150).map(|number| span(0, number + 2, 1)));
    node.insert(4, [span(0, 1, 0)]);
    node.seal(5);
    node.seal(4 + QUIET + SLACK);
    let revisions = &node.store[&trace(0)];
    let spans: usize = revisions.iter().map(|fragment| fragment.spans.len()).sum();
    assert_eq!(spans, 151);
    assert_eq!(revisions.last().unwrap().verdict, Verdict::Complete);
}

#[test]
fn a_shutdown_seals_all_that_is_open() {
    let mut node = Node::new(config());
    node.insert(0, (0..50).map(|number| span(number, 1, number.into())));
    let drained = node.assembly.drain(Millis(1));
    assert_eq!(drained.len(), 50);
    for ripe in drained {
        let Judgement::Seal(sealing) = node.assembly.judge(ripe, None) else {
            panic!("a drain waits for nothing");
        };
        node.keep(&sealing);
        node.assembly.sealed(sealing);
    }
    assert_eq!(node.store.len(), 50);
    assert_eq!(node.assembly.figures(Millis(1)), Default::default());
}

/// A step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<(u8, u64, u64)>),
    Seal {
        refuse: bool,
        late: Vec<(u8, u64, u64)>,
    },
    Pass(u64),
}

fn spans() -> impl Strategy<Value = Vec<(u8, u64, u64)>> {
    prop::collection::vec((0_u8..6, 1_u64..60, 0_u64..8), 0..40)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        spans().prop_map(Step::Insert),
        (any::<bool>(), spans()).prop_map(|(refuse, late)| Step::Seal { refuse, late }),
        (0_u64..3_000).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..60)
}

/// As Zipkin's clients and servers do: none of the two is lost, and each collapses with its own copies only,
/// open or stored.
#[test]
fn spans_that_share_an_identifier_are_two() {
    let mut node = Node::new(config());
    let client = span(0, 2, 1);
    let mut server = client.clone();
    server.span.content = 7;
    node.insert(0, [span(0, 1, 0), client.clone()]);
    let inserted = node.insert(0, [server.clone(), client.clone()]);
    assert_eq!((inserted.fresh, inserted.duplicates), (1, 1));
    assert_eq!(node.seal(QUIET + SLACK), 1);
    let stored = &node.store[&trace(0)][0];
    assert_eq!((stored.verdict, stored.spans.len()), (Verdict::Complete, 3));

    // Again after they were stored, and one that says something else.
    let mut other = server.clone();
    other.span.content = 8;
    node.insert(5_000, [server, client, other.clone()]);
    assert_eq!(node.seal(5_000 + QUIET + SLACK), 1);
    assert_eq!(node.store[&trace(0)][1].spans, [(other.span, other.parent)]);
}

/// More spans come than the sealer takes: every shard gets its turn, and no trace waits for the load to end.
#[test]
fn a_slow_sealer_starves_no_trace() {
    let mut node = Node::new(Config {
        shards: 2,
        memory_bytes: 1_000_000,
        ..config()
    });
    let numbered = |number: u128| TraceId::new((number + 1).to_be_bytes()).expect("not zero");
    let whole = |number: u128| Arrival {
        trace: numbered(number),
        ..span(0, 1, 0)
    };
    let first: BTreeSet<TraceId> = (0..200).map(numbered).collect();
    node.insert(0, (0..200).map(whole));
    for (turn, now) in (0..250).zip((QUIET + SLACK..).step_by(10)) {
        // Four come for every one that is sealed.
        node.insert(now, (0..4).map(|of| whole(200 + turn * 4 + of)));
        for ripe in node.assembly.ripe(Millis(now), 1) {
            let base = node.base(ripe.trace());
            match node.assembly.judge(ripe, base) {
                Judgement::Seal(sealing) => {
                    node.keep(&sealing);
                    node.assembly.sealed(sealing);
                }
                Judgement::Waits | Judgement::Nothing { .. } => {}
            }
        }
    }
    let starved = first
        .iter()
        .filter(|trace| !node.store.contains_key(*trace));
    assert_eq!(starved.count(), 0);
}

proptest! {
    /// Whatever comes in whichever order, with a store that refuses now and then and spans that arrive
    /// in the middle of a seal: every span is in the store once, and a trace said to be complete is.
    #[test]
    fn every_span_is_stored_once(steps in steps()) {
        let mut node = Node::new(Config { trace_bytes: 3_000, memory_bytes: 12_000, ..config() });
        let mut offered = BTreeSet::new();
        let mut now = 0;
        let tell = |node: &Node, offered: &mut BTreeSet<_>, now, all: &[(u8, u64, u64)]| {
            offered.extend(all.iter().map(|(of, number, _)| (trace(*of), id(*number))));
            node.insert(now, all.iter().map(|(of, number, parent)| span(*of, *number, *parent)));
        };
        for step in steps {
            match step {
                Step::Insert(all) => tell(&node, &mut offered, now, &all),
                Step::Pass(ms) => now += ms,
                Step::Seal { refuse, late } => {
                    let ripe = node.assembly.ripe(Millis(now), 3);
                    tell(&node, &mut offered, now, &late);
                    for ripe in ripe {
                        let base = node.base(ripe.trace());
                        match node.assembly.judge(ripe, base) {
                            Judgement::Seal(sealing) if refuse => {
                                node.assembly.failed(Millis(now), sealing);
                            }
                            Judgement::Seal(sealing) => {
                                node.keep(&sealing);
                                node.assembly.sealed(sealing);
                            }
                            Judgement::Waits | Judgement::Nothing { .. } => {}
                        }
                    }
                }
            }
        }
        while node.assembly.figures(Millis(now)).traces() > 0 {
            now += DEADLINE + SLACK;
            node.seal(now);
            prop_assert!(now < 1_000_000, "something stays open");
        }
        prop_assert_eq!(node.assembly.figures(Millis(now)).bytes, 0);
        let mut stored = Vec::new();
        for (trace, fragments) in &node.store {
            let mut there = Vec::new();
            for (at, fragment) in fragments.iter().enumerate() {
                prop_assert_eq!(fragment.revision as usize, at + 1);
                prop_assert!(!fragment.spans.is_empty());
                there.extend(fragment.spans.clone());
                let root = there.iter().any(|(_, parent)| parent.is_none());
                let has = |parent: &SpanId| there.iter().any(|(span, _)| span.id == *parent);
                let missing = there.iter().filter_map(|(_, parent)| *parent);
                let missing: BTreeSet<SpanId> = missing.filter(|parent| !has(parent)).collect();
                prop_assert_eq!(&fragment.missing, &missing.iter().copied().collect::<Vec<_>>());
                if fragment.verdict == Verdict::Complete {
                    prop_assert!(root && missing.is_empty());
                }
            }
            stored.extend(there.iter().map(|(span, _)| (*trace, span.id)));
        }
        stored.sort_unstable();
        prop_assert_eq!(stored, offered.into_iter().collect::<Vec<_>>());
    }
}
