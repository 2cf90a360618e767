//! What is too old or too much goes, with everything that belongs to it.

use crate::storing::dropped;
use crate::support::{Trace, trace_id};
use quorate_trace_store::{EmbeddedStore, Fragment, Query, Retention, TraceStore};
use std::time::Duration;

const FOREVER: Duration = Duration::from_secs(1 << 30);

/// Puts traces `range`, and has the partition end if it is more than `max_bytes` / 8.
fn put(store: &EmbeddedStore, range: std::ops::Range<u64>) {
    let fragments: Vec<Fragment> = range.map(|n| Trace::new(n, 10, n).fragment(1)).collect();
    store.put(&fragments).unwrap();
}

#[test]
fn the_oldest_go_when_there_is_too_much() {
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    put(&store, 0..100);
    let bytes = store.figures().stored_bytes;
    let retention = Retention {
        max_age: FOREVER,
        max_bytes: bytes * 4,
    };
    let mut removed = 0;
    for part in 1..10 {
        removed += store.expire(&retention).unwrap().traces;
        put(&store, part * 100..(part + 1) * 100);
    }
    removed += store.expire(&retention).unwrap().traces;
    let figures = store.figures();
    assert!(figures.stored_bytes <= bytes * 9 / 2, "{figures:?}");
    assert!(figures.stored_bytes >= bytes * 3, "{figures:?}");
    assert_eq!(figures.traces + removed, 1000);
    assert!(store.get(trace_id(1)).unwrap().is_none());
    assert!(store.base(trace_id(1)).unwrap().is_none());
    assert!(store.get(trace_id(999)).unwrap().is_some());
    let all = Query {
        limit: 10_000,
        ..Query::default()
    };
    let found = store.search(&all).unwrap();
    assert_eq!(found.summaries.len() as u64, figures.traces);
    drop(store);

    let store = EmbeddedStore::open(temp.path()).unwrap();
    assert_eq!(store.search(&all).unwrap(), found);
    assert!(store.get(trace_id(1)).unwrap().is_none());
    // What expired may come again, as a trace like any other.
    put(&store, 1..2);
    assert!(store.get(trace_id(1)).unwrap().is_some());
}

#[test]
fn the_old_go_with_their_names_decisions_and_amendments() {
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    store
        .put(&[
            Trace::new(1, 2, 0).named("old", "old").fragment(1),
            dropped(Trace::new(2, 2, 0).fragment(1)),
        ])
        .unwrap();
    // So much may stay, and no partition may have so much.
    let end_partition = Retention {
        max_age: FOREVER,
        max_bytes: store.figures().stored_bytes,
    };
    assert_eq!(store.expire(&end_partition).unwrap().traces, 0);
    store
        .put(&[
            Trace::new(3, 2, 0).named("new", "new").fragment(1),
            // It goes to the first.
            Trace::new(1, 3, 0).without_first(2).fragment(2),
        ])
        .unwrap();
    assert_eq!(store.figures().partitions, 2);
    assert!(store.services().contains(&"old".to_owned()));
    let too_much_by_little = Retention {
        max_age: FOREVER,
        max_bytes: store.figures().stored_bytes - 1,
    };
    assert_eq!(store.expire(&too_much_by_little).unwrap().traces, 2);

    for gone in [1, 2] {
        assert!(store.get(trace_id(gone)).unwrap().is_none());
        assert!(store.base(trace_id(gone)).unwrap().is_none());
    }
    assert!(!store.services().contains(&"old".to_owned()));
    assert!(store.services().contains(&"new".to_owned()));
    drop(store);
    let store = EmbeddedStore::open(temp.path()).unwrap();
    assert!(!store.services().contains(&"old".to_owned()));
    assert!(store.get(trace_id(3)).unwrap().is_some());
}

#[test]
fn nothing_goes_while_nothing_has_to() {
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    let retention = Retention {
        max_age: FOREVER,
        max_bytes: u64::MAX,
    };
    put(&store, 0..10);
    for _ in 0..3 {
        assert_eq!(store.expire(&retention).unwrap().traces, 0);
    }
    assert_eq!(store.figures().partitions, 1);
    assert_eq!(store.figures().traces, 10);
}

#[test]
fn the_files_of_what_expired_are_removed() {
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    put(&store, 0..10);
    let folders = || {
        std::fs::read_dir(temp.path().join("keyspaces"))
            .unwrap()
            .count()
    };
    let before = folders();
    let nothing_stays = Retention {
        max_age: FOREVER,
        max_bytes: 0,
    };
    for _ in 0..5 {
        store.expire(&nothing_stays).unwrap();
        put(&store, 0..10);
    }
    // A thread of the storage engine removes them, when it gets to it.
    let began = std::time::Instant::now();
    while folders() > before + 1 {
        assert!(began.elapsed().as_secs() < 60, "{} folders", folders());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
