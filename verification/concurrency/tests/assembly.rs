//! The shell of trace assembly: threads that insert, seal, evict and read at the same time.
#![cfg(loom)]

use std::collections::HashMap;

use loom::sync::{Arc, Mutex};
use loom::thread;
use quorate_assembly::{Arrival, Assembly, Base, Config, Judgement, Millis, Phase};
use quorate_concurrency::explore;
use quorate_trace::{SpanId, TraceId, Verdict};

/// Late enough for the quiet window to be over, and too early for the deadline.
const QUIET: Millis = Millis(100);
/// What a thread does that inserts meanwhile: it is late too.
const LATER: Millis = Millis(90);

fn config() -> Config {
    Config {
        quiet_ms: 16,
        deadline_ms: 1_000,
        memory_bytes: 1_000_000,
        trace_bytes: 1_000_000,
        // Threads must meet.
        shards: 1,
    }
}

fn trace() -> TraceId {
    TraceId::new([1; 16]).expect("not zero")
}

fn id(number: u8) -> SpanId {
    SpanId::new([number; 8]).expect("not zero")
}

/// Span `number`, whose parent is the one before; the first is a root.
fn span(number: u8) -> Vec<Arrival<u8>> {
    vec![Arrival {
        trace: trace(),
        span: id(number).into(),
        parent: (number > 1).then(|| id(number - 1)),
        bytes: 100,
        payload: number,
    }]
}

/// A store, and who seals into it.
struct Node {
    assembly: Assembly<u8>,
    store: Mutex<Vec<(u32, Verdict, Vec<SpanId>)>>,
}

impl Node {
    fn new(config: Config) -> Arc<Self> {
        Arc::new(Node {
            assembly: Assembly::new(config),
            store: Mutex::new(Vec::new()),
        })
    }

    fn base(&self) -> Option<Base> {
        let store = self.store.lock().expect("no panic");
        let revision = store.last()?.0;
        let spans = store.iter().flat_map(|(_, _, spans)| spans.clone());
        let parent = |span: &SpanId| (span.bytes()[0] > 1).then(|| id(span.bytes()[0] - 1));
        Some(Base {
            revision,
            spans: spans.map(|span| (span.into(), parent(&span))).collect(),
        })
    }

    /// Seals what is ripe at `now`.
    fn seal(&self, now: Millis) {
        for ripe in self.assembly.ripe(now, 10) {
            let base = self.base();
            if let Judgement::Seal(sealing) = self.assembly.judge(ripe, base) {
                let spans = sealing.spans().iter().map(|span| span.span.id).collect();
                let fragment = (sealing.revision, sealing.completeness.verdict, spans);
                self.store.lock().expect("no panic").push(fragment);
                self.assembly.sealed(sealing);
            }
        }
    }

    fn stored(&self) -> Vec<SpanId> {
        let store = self.store.lock().expect("no panic");
        store
            .iter()
            .flat_map(|(_, _, spans)| spans.clone())
            .collect()
    }

    fn open(&self) -> Vec<SpanId> {
        let open = self.assembly.open(&trace());
        let spans = open.into_iter().flat_map(|open| open.spans);
        spans.map(|span| span.span.id).collect()
    }

    /// When all threads are done: every one of `spans` is there exactly once, open or stored, the
    /// revisions count up, the memory is accounted for, and in the end everything is stored.
    fn holds_exactly(&self, spans: &[SpanId]) {
        let mut there = [self.stored(), self.open()].concat();
        there.sort_unstable();
        assert_eq!(there, spans);
        let figures = self.assembly.figures(QUIET);
        assert_eq!(figures.spans, self.open().len());
        assert_eq!(figures.bytes, 100 * figures.spans as u64);
        assert_eq!(figures.sealing, 0, "nobody seals");

        // Past every window and deadline.
        self.seal(Millis(100_000));
        let mut stored = self.stored();
        stored.sort_unstable();
        assert_eq!(stored, spans);
        assert_eq!(self.assembly.figures(QUIET), Default::default());
        let store = self.store.lock().expect("no panic");
        let revisions: Vec<u32> = store.iter().map(|(revision, _, _)| *revision).collect();
        assert_eq!(revisions, (1..=store.len() as u32).collect::<Vec<_>>());
        let last = store.last().expect("something is stored");
        assert_ne!(last.1, Verdict::Incomplete, "a root and all parents came");
    }
}

#[test]
fn two_threads_insert_the_first_spans_of_a_trace() {
    explore(|| {
        let node = Node::new(config());
        let other = Arc::clone(&node);
        let inserter = thread::spawn(move || other.assembly.insert(Millis(0), span(1)));
        let mine = node.assembly.insert(Millis(0), span(2));
        let theirs = inserter.join().expect("no panic");
        assert_eq!((mine.fresh, theirs.fresh), (1, 1));
        assert_eq!(node.assembly.figures(Millis(0)).traces(), 1);
        node.holds_exactly(&[id(1), id(2)]);
    });
}

#[test]
fn two_threads_insert_the_same_span() {
    explore(|| {
        let node = Node::new(config());
        let other = Arc::clone(&node);
        let inserter = thread::spawn(move || other.assembly.insert(Millis(0), span(1)));
        let mine = node.assembly.insert(Millis(0), span(1));
        let theirs = inserter.join().expect("no panic");
        assert_eq!(mine.fresh + theirs.fresh, 1);
        assert_eq!(mine.duplicates + theirs.duplicates, 1);
        node.holds_exactly(&[id(1)]);
    });
}

#[test]
fn a_span_arrives_while_its_trace_is_sealed() {
    explore(|| {
        let node = Node::new(config());
        node.assembly.insert(Millis(0), span(1));
        let other = Arc::clone(&node);
        let inserter = thread::spawn(move || other.assembly.insert(LATER, span(2)));
        node.seal(QUIET);
        inserter.join().expect("no panic");
        node.holds_exactly(&[id(1), id(2)]);
    });
}

#[test]
fn two_threads_insert_while_a_third_seals() {
    explore(|| {
        let node = Node::new(config());
        node.assembly.insert(Millis(0), span(1));
        let others = [2, 3].map(|number| {
            let other = Arc::clone(&node);
            thread::spawn(move || other.assembly.insert(LATER, span(number)))
        });
        node.seal(QUIET);
        for other in others {
            other.join().expect("no panic");
        }
        node.holds_exactly(&[id(1), id(2), id(3)]);
    });
}

#[test]
fn a_store_refuses_while_a_span_arrives() {
    explore(|| {
        let node = Node::new(config());
        node.assembly.insert(Millis(0), span(1));
        let other = Arc::clone(&node);
        let inserter = thread::spawn(move || other.assembly.insert(LATER, span(2)));
        for ripe in node.assembly.ripe(QUIET, 10) {
            match node.assembly.judge(ripe, None) {
                Judgement::Seal(sealing) => node.assembly.failed(QUIET, sealing),
                Judgement::Waits => {}
                Judgement::Nothing { .. } => panic!("the store has nothing"),
            }
        }
        inserter.join().expect("no panic");
        assert!(node.stored().is_empty());
        node.holds_exactly(&[id(1), id(2)]);
    });
}

#[test]
fn a_span_arrives_while_its_trace_is_evicted() {
    explore(|| {
        let node = Node::new(Config {
            memory_bytes: 100,
            ..config()
        });
        node.assembly.insert(Millis(0), span(1));
        let other = Arc::clone(&node);
        let inserter = thread::spawn(move || other.assembly.insert(Millis(1), span(2)));
        node.seal(Millis(1));
        inserter.join().expect("no panic");
        assert!(node.stored().contains(&id(1)), "it was over the limit");
        node.holds_exactly(&[id(1), id(2)]);
    });
}

#[test]
fn two_sealers_never_have_the_same_trace() {
    explore(|| {
        let node = Node::new(config());
        node.assembly.insert(Millis(0), span(1));
        let other = Arc::clone(&node);
        let sealer = thread::spawn(move || other.seal(QUIET));
        node.seal(QUIET);
        sealer.join().expect("no panic");
        assert_eq!(node.stored(), [id(1)]);
        node.holds_exactly(&[id(1)]);
    });
}

#[test]
fn a_reader_misses_nothing_while_a_trace_is_amended() {
    explore(|| {
        let node = Node::new(config());
        node.assembly.insert(Millis(0), span(1));
        node.seal(Millis(50));
        node.assembly.insert(Millis(60), span(2));
        let other = Arc::clone(&node);
        let sealer = thread::spawn(move || other.seal(QUIET));
        // First what is open, then what is stored: a span goes from there to here.
        let open = node.open();
        let stored = node.stored();
        assert!(stored.contains(&id(1)));
        assert!(open.contains(&id(2)) || stored.contains(&id(2)));
        sealer.join().expect("no panic");
        node.holds_exactly(&[id(1), id(2)]);
    });
}

#[test]
fn a_trace_is_open_or_stored_at_every_moment() {
    explore(|| {
        let node = Node::new(config());
        node.assembly.insert(Millis(0), span(1));
        let other = Arc::clone(&node);
        let sealer = thread::spawn(move || other.seal(QUIET));
        match node.assembly.open(&trace()) {
            Some(open) => {
                assert_ne!(open.phase, Phase::Collecting);
                assert_eq!(open.spans.len(), 1);
            }
            None => assert_eq!(node.stored(), [id(1)]),
        }
        sealer.join().expect("no panic");
        node.holds_exactly(&[id(1)]);
    });
}

/// The specimen: a map that looks under one lock and inserts under the next.
#[derive(Default)]
struct GetThenInsert(Mutex<HashMap<TraceId, Vec<SpanId>>>);

impl GetThenInsert {
    fn insert(&self, arrival: &Arrival<u8>) {
        let known = self
            .0
            .lock()
            .expect("no panic")
            .contains_key(&arrival.trace);
        let mut traces = if known {
            self.0.lock().expect("no panic")
        } else {
            // Another thread may have been here since: its entry is lost.
            let mut traces = self.0.lock().expect("no panic");
            traces.insert(arrival.trace, Vec::new());
            traces
        };
        let spans = traces.get_mut(&arrival.trace);
        spans.expect("just inserted").push(arrival.span.id);
    }
}

#[test]
#[should_panic(expected = "a span is lost")]
fn get_then_insert_loses_the_first_span_of_a_trace() {
    explore(|| {
        let map = Arc::new(GetThenInsert::default());
        let other = Arc::clone(&map);
        let inserter = thread::spawn(move || other.insert(&span(1)[0]));
        map.insert(&span(2)[0]);
        inserter.join().expect("no panic");
        let traces = map.0.lock().expect("no panic");
        let spans: usize = traces.values().map(Vec::len).sum();
        assert_eq!(spans, 2, "a span is lost");
    });
}
