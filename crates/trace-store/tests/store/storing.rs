//! Revisions of traces: put, put again, amended, dropped.

use crate::support::{Trace, span_id, trace_id};
use quorate_trace::wire::{Batch, Limits, SpanKind};
use quorate_trace_store::{Decision, EmbeddedStore, Fragment, Query, TraceStore};
use std::collections::BTreeSet;

pub fn dropped(mut fragment: Fragment) -> Fragment {
    fragment.decision = Decision::Dropped {
        policy: "nobody wants it".to_owned(),
    };
    fragment.spans = bytes::Bytes::new();
    fragment
}

fn spans(store: &EmbeddedStore, number: u64) -> usize {
    let stored = store.get(trace_id(number)).unwrap().unwrap();
    Batch::scan(stored.spans, &Limits::default()).unwrap().len()
}

#[test]
fn a_trace_comes_back_as_it_was_put() {
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    // So many that they fill several chunks and blocks.
    let fragments: Vec<Fragment> = (0..700).map(|n| Trace::new(n, 9, n).fragment(1)).collect();
    store.put(&fragments).unwrap();
    for fragment in &fragments {
        let stored = store.get(fragment.trace_id).unwrap().unwrap();
        assert_eq!(stored.spans, fragment.spans);
        assert_eq!(stored.summary, fragment.summary);
    }
    assert!(store.get(trace_id(9999)).unwrap().is_none());
    let figures = store.figures();
    assert_eq!((figures.traces, figures.spans), (700, 6300));
    assert!(figures.stored_bytes < figures.raw_bytes / 2);
    assert!(figures.disk_bytes > 0);
    assert_eq!((figures.oldest_ns, figures.newest_ns), (Some(0), Some(699)));
}

#[test]
fn a_long_trace_does_not_disturb_its_neighbours() {
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    let fragments = [
        Trace::new(1, 3, 0).fragment(1),
        Trace::new(2, 3000, 0).fragment(1),
        Trace::new(3, 3, 0).fragment(1),
    ];
    store.put(&fragments).unwrap();
    assert_eq!([1, 2, 3].map(|n| spans(&store, n)), [3, 3000, 3]);
}

#[test]
fn a_revision_is_stored_once() {
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    let first = Trace::new(1, 5, 0).fragment(1);
    store.put(&[first.clone(), first.clone()]).unwrap();
    store.put(std::slice::from_ref(&first)).unwrap();
    let different = Trace::new(1, 2, 0).fragment(1);
    store.put(&[different]).unwrap();
    assert_eq!(spans(&store, 1), 5);
    assert_eq!(store.figures().spans, 5);
    assert_eq!(store.search(&Query::default()).unwrap().summaries.len(), 1);
}

#[test]
fn an_amendment_replaces_the_summary_and_adds_spans() {
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    let whole = Trace::new(1, 6, 1000).fragment(2);
    let mut first = Trace::new(1, 4, 1000).fragment(1);
    first.summary.root_name = "before".to_owned();
    let mut second = Trace::new(1, 6, 1000).without_first(4).fragment(2);
    second.summary = whole.summary.clone();
    second.completeness = whole.completeness.clone();
    store.put(&[first]).unwrap();
    assert_eq!(store.base(trace_id(1)).unwrap().unwrap().ids.len(), 4);
    store.put(&[second]).unwrap();

    assert_eq!(spans(&store, 1), 6);
    let found = store.search(&Query::default()).unwrap();
    assert_eq!(found.summaries, [whole.summary]);
    let base = store.base(trace_id(1)).unwrap().unwrap();
    assert_eq!(base.revision, 2);
    let ids: BTreeSet<_> = base.ids.iter().map(|(span, _)| span.id).collect();
    assert_eq!(ids, (0..6).map(|index| span_id(1, index)).collect());
    assert_eq!(base.ids[1].1, Some(span_id(1, 0)));
    assert_eq!(store.figures().amendments, 1);
}

#[test]
fn amendments_in_one_put_and_in_the_order_of_their_arrival() {
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    let part = |from, revision| {
        Trace::new(1, from + 2, 0)
            .without_first(from)
            .fragment(revision)
    };
    store.put(&[part(0, 1), part(4, 3), part(2, 2)]).unwrap();
    assert_eq!(spans(&store, 1), 6);
    let base = store.base(trace_id(1)).unwrap().unwrap();
    assert_eq!((base.revision, base.ids.len()), (3, 6));
}

#[test]
fn a_dropped_trace_leaves_its_decision_and_nothing_to_be_found() {
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    store
        .put(&[dropped(Trace::new(1, 4, 0).fragment(1))])
        .unwrap();
    assert_eq!(store.search(&Query::default()).unwrap().summaries, []);
    assert!(store.services().is_empty());
    let base = store.base(trace_id(1)).unwrap().unwrap();
    assert_eq!(base.decision.policy(), "nobody wants it");
    assert_eq!(base.ids.len(), 4);
    let stored = store.get(trace_id(1)).unwrap().unwrap();
    assert!(stored.spans.is_empty() && !stored.summary.decision.is_kept());

    // A late span that makes it worth keeping.
    store
        .put(&[Trace::new(1, 5, 0).without_first(4).fragment(2)])
        .unwrap();
    let base = store.base(trace_id(1)).unwrap().unwrap();
    assert!(base.decision.is_kept());
    assert_eq!(base.ids.len(), 5);
    assert_eq!(store.search(&Query::default()).unwrap().summaries.len(), 1);
}

#[test]
fn services_operations_and_tags_are_listed() {
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    let trace = Trace::new(1, 2, 0)
        .named("bank", "transfer")
        .tagged("customer.tier", "gold");
    store.put(&[trace.fragment(1)]).unwrap();
    drop(store);
    // After a restart too.
    let store = EmbeddedStore::open(temp.path()).unwrap();
    assert!(store.services().contains(&"bank".to_owned()));
    let transfer = [("transfer".to_owned(), SpanKind::Server)];
    assert_eq!(store.operations("bank", None), transfer);
    assert_eq!(store.operations("bank", Some(SpanKind::Server)), transfer);
    assert_eq!(store.operations("bank", Some(SpanKind::Client)), []);
    assert_eq!(store.operations("nobody", None), []);
    let keys = store.tag_keys().unwrap();
    assert!(keys.span.contains(&"customer.tier".to_owned()));
    assert_eq!(keys.resource, ["host.name", "service.name"]);
    assert_eq!(store.tag_values("customer.tier").unwrap(), ["gold"]);
}

#[test]
fn a_directory_belongs_to_one_store() {
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    let error = EmbeddedStore::open(temp.path()).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    assert!(error.to_string().contains(temp.path().to_str().unwrap()));
    drop(store);
    EmbeddedStore::open(temp.path()).unwrap();
}

#[test]
fn a_summary_is_the_same_in_json_and_back() {
    let summary = Trace::new(1, 3, 1 << 60).fragment(1).summary;
    let json = serde_json::to_string(&summary).unwrap();
    assert!(
        json.contains(&format!("\"startNs\":\"{}\"", 1u64 << 60)),
        "{json}"
    );
    assert!(json.contains("\"traceId\""));
    assert_eq!(
        serde_json::from_str::<quorate_trace_store::Summary>(&json).unwrap(),
        summary
    );
}
