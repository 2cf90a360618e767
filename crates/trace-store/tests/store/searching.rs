//! Which traces a search finds, in which order, and when it says that it saw them all.

use crate::support::{Trace, trace_id};
use quorate_trace::Verdict;
use quorate_trace_store::{EmbeddedStore, FaultSummary, Fragment, Query, Severity, TraceStore};

const NONE: [u64; 0] = [];

/// Numbers of the traces that are found.
fn found(store: &EmbeddedStore, query: Query) -> Vec<u64> {
    let found = store.search(&query).unwrap();
    assert!(found.complete);
    let number = |id: quorate_trace::TraceId| (0..2000).find(|n| trace_id(*n) == id).unwrap();
    found
        .summaries
        .into_iter()
        .map(|summary| number(summary.trace_id))
        .collect()
}

fn store_of(fragments: &[Fragment]) -> (tempfile::TempDir, EmbeddedStore) {
    let temp = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(temp.path()).unwrap();
    store.put(fragments).unwrap();
    (temp, store)
}

fn of_service(service: &str) -> Query {
    Query {
        service: Some(service.to_owned()),
        ..Query::default()
    }
}

#[test]
fn newest_first_whatever_the_order_of_arrival() {
    let fragments: Vec<Fragment> = (0..1000u64)
        .map(|n| Trace::new(n, 1, n * 7919 % 1000).fragment(1))
        .collect();
    let (_temp, store) = store_of(&fragments);
    let mut expected: Vec<u64> = (0..1000).collect();
    expected.sort_by_key(|n| std::cmp::Reverse(n * 7919 % 1000));
    for limit in [0, 1, 20, 999, 5000] {
        let query = Query {
            limit,
            ..Query::default()
        };
        assert_eq!(found(&store, query), expected[..limit.min(1000)]);
    }
}

#[test]
fn each_condition_leaves_out_what_does_not_meet_it() {
    let mut faulty = Trace::new(5, 1, 500).fragment(1);
    faulty.summary.faults.push(FaultSummary {
        kind: "latency".to_owned(),
        severity: Severity::Warning,
        service: "a".to_owned(),
        operation: "b".to_owned(),
        message: "slow".to_owned(),
    });
    let mut incomplete = Trace::new(6, 1, 600).fragment(1);
    incomplete.completeness.verdict = Verdict::Incomplete;
    let (_temp, store) = store_of(&[
        Trace::new(1, 1, 100).named("bank", "transfer").fragment(1),
        Trace::new(2, 1, 200).named("bank", "balance").fragment(1),
        Trace::new(3, 1, 300).failed().fragment(1),
        Trace::new(4, 1, 400).lasting(9_000_000_000).fragment(1),
        faulty,
        incomplete,
    ]);
    assert_eq!(found(&store, of_service("bank")), [2, 1]);
    assert_eq!(found(&store, of_service("nobody")), NONE);
    let any = Query::default;
    let operation = |name: &str| Some(name.to_owned());
    assert_eq!(
        found(
            &store,
            Query {
                operation: operation("transfer"),
                ..any()
            }
        ),
        [1]
    );
    let both = Query {
        operation: operation("balance"),
        ..of_service("bank")
    };
    assert_eq!(found(&store, both), [2]);
    let other = Query {
        operation: operation("balance"),
        ..of_service("cart")
    };
    assert_eq!(found(&store, other), NONE);
    assert_eq!(
        found(
            &store,
            Query {
                has_error: Some(true),
                ..any()
            }
        ),
        [3]
    );
    assert_eq!(
        found(
            &store,
            Query {
                has_error: Some(false),
                ..any()
            }
        ),
        [6, 5, 4, 2, 1]
    );
    let long = Query {
        min_duration_ns: Some(8_000_000_000),
        ..any()
    };
    assert_eq!(found(&store, long), [4]);
    let short = Query {
        max_duration_ns: Some(8_000_000_000),
        ..any()
    };
    assert_eq!(found(&store, short), [6, 5, 3, 2, 1]);
    let range = Query {
        start_ns: Some(200),
        end_ns: Some(400),
        ..any()
    };
    assert_eq!(found(&store, range), [4, 3, 2]);
    assert_eq!(
        found(
            &store,
            Query {
                verdict: Some(Verdict::Incomplete),
                ..any()
            }
        ),
        [6]
    );
    assert_eq!(
        found(
            &store,
            Query {
                verdict: Some(Verdict::Evicted),
                ..any()
            }
        ),
        NONE
    );
    assert_eq!(
        found(
            &store,
            Query {
                min_severity: Some(Severity::Warning),
                ..any()
            }
        ),
        [5]
    );
    assert_eq!(
        found(
            &store,
            Query {
                min_severity: Some(Severity::Critical),
                ..any()
            }
        ),
        NONE
    );
}

#[test]
fn tags_have_to_be_on_one_span_of_the_service() {
    let (_temp, store) = store_of(&[
        Trace::new(1, 3, 100)
            .named("bank", "x")
            .tagged("tier", "gold")
            .tagged("n", "1")
            .fragment(1),
        Trace::new(2, 3, 200)
            .named("bank", "x")
            .tagged("tier", "gold")
            .fragment(1),
        Trace::new(3, 3, 300)
            .named("shop", "x")
            .tagged("tier", "gold")
            .failed()
            .fragment(1),
    ]);
    let tags = |tags: &[(&str, &str)]| Query {
        tags: tags
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        ..Query::default()
    };
    assert_eq!(found(&store, tags(&[("tier", "gold")])), [3, 2, 1]);
    assert_eq!(found(&store, tags(&[("tier", "gold"), ("n", "1")])), [1]);
    assert_eq!(found(&store, tags(&[("tier", "silver")])), NONE);
    let bank = Query {
        service: Some("bank".to_owned()),
        ..tags(&[("tier", "gold")])
    };
    assert_eq!(found(&store, bank), [2, 1]);
    assert_eq!(found(&store, tags(&[("error", "true")])), [3]);
    assert_eq!(found(&store, tags(&[("host.name", "shop-host")])), [3]);
    assert_eq!(
        found(&store, tags(&[("http.response.status_code", "200")])),
        [3, 2, 1]
    );
    assert_eq!(
        found(&store, tags(&[("span.kind", "server"), ("tier", "gold")])),
        [3, 2, 1]
    );
}

#[test]
fn tags_of_an_amended_trace_are_those_of_all_revisions() {
    let (_temp, store) = store_of(&[
        Trace::new(1, 2, 100).tagged("early", "yes").fragment(1),
        Trace::new(1, 4, 100)
            .without_first(2)
            .tagged("late", "yes")
            .fragment(2),
    ]);
    for key in ["early", "late"] {
        let query = Query {
            tags: vec![(key.to_owned(), "yes".to_owned())],
            ..Query::default()
        };
        assert_eq!(found(&store, query), [1], "{key}");
    }
}
