//! What a check reports, and how it ends.

use crate::checked;
use crate::toys::*;
use quorate_model::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn takeover<const HASTY: bool>() -> Toy<PrimaryBackup<HASTY>> {
    Toy::new(2)
        .crashes(1)
        .duplications(1)
        .script(vec![(N1, 1), (N1, 2)])
        .properties(|| {
            vec![
                Of::<PrimaryBackup<HASTY>>::always(
                    "a new primary has what was answered",
                    |state, _| {
                        let told = state.clients().told.iter().map(|(_, value)| *value).max();
                        machine(state, N2)
                            .filter(|backup| backup.took_over)
                            .is_none_or(|backup| Some(backup.value) >= told)
                    },
                ),
                Of::<PrimaryBackup<HASTY>>::sometimes("answered", |state, _| {
                    !state.clients().told.is_empty()
                }),
            ]
        })
}

#[test]
fn every_search_visits_the_same_states() {
    let mut counts = Vec::new();
    for search in [Search::Dfs, Search::Bfs] {
        for threads in [1, 2] {
            let toy = Toy::<Register<false>>::new(3)
                .crashes(2)
                .duplications(1)
                .script(vec![(N1, 1), (N2, 2)]);
            let options = Options {
                threads,
                search,
                ..Options::default()
            };
            let report = check(toy, options).unwrap();
            assert!(report.complete() && report.passed(), "{report:?}");
            counts.push(report.unique);
        }
    }
    assert!(counts[0] > 1_000, "{counts:?}");
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

#[test]
fn a_broken_primary_backup_is_refuted_in_three_steps() {
    for search in [Search::Dfs, Search::Bfs] {
        let options = Options {
            threads: 2,
            search,
            ..Options::default()
        };
        let report = check(takeover::<true>(), options).unwrap();
        assert_eq!(report.stopped, Some(Stop::Violation));
        let violated: Vec<_> = report.violations().collect();
        assert_eq!(violated.len(), 1);
        assert_eq!(violated[0].name, "a new primary has what was answered");
        // Asked, synced and answered, taken over.
        assert_eq!(violated[0].length, Some(3));
    }
    let mended = checked(takeover::<false>());
    assert!(mended.passed() && mended.complete(), "{mended:?}");
    // The first of the many states with an answer: request, sync, deliver, sync, deliver.
    assert_eq!(mended.property("answered").map(|p| p.length), Some(Some(5)));
}

#[test]
fn a_counterexample_reads_as_a_list_of_steps() {
    let report = checked(takeover::<true>());
    let trace = report.violations().next().unwrap().trace.as_ref().unwrap();
    let text = trace.to_string();
    for line in [
        "client 1 asks n1: 1",
        "persists: 1",
        "n1 disk has synced",
        "durable: 1",
        "sends to n2: Replicate { value: 1 }",
        "tells: 1",
        "n2 timer fires: ()",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
}

#[test]
fn a_delivery_knows_where_its_message_was_sent() {
    let toy = takeover::<false>().properties(|| {
        vec![Of::<PrimaryBackup<false>>::always(
            "never answered",
            |state, _| state.clients().told.is_empty(),
        )]
    });
    let report = checked(toy);
    let trace = report.violations().next().unwrap().trace.clone().unwrap();
    let delivered: Vec<_> = (1..)
        .zip(&trace.steps)
        .filter_map(|(number, step)| match &step.what {
            What::Deliver { from, sent_in, .. } => Some((number, from.as_str(), *sent_in)),
            _ => None,
        })
        .collect();
    // Request, sync and send, deliver, sync and send back, deliver.
    assert_eq!(delivered, [(3, "n1", 2), (5, "n2", 4)]);
}

#[test]
fn the_diagram_is_well_formed() {
    let toy = takeover::<false>().duplications(0).properties(|| {
        vec![Of::<PrimaryBackup<false>>::always(
            "never down with an answer",
            |state, _| {
                state.clients().told.is_empty() || state.nodes().all(|node| node.up().is_some())
            },
        )]
    });
    let report = checked(toy);
    let trace = report.violations().next().unwrap().trace.clone().unwrap();
    let svg = trace.to_svg();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let of_class = |class: &str| {
        let nodes = document.descendants();
        nodes
            .filter(|node| node.attribute("class") == Some(class))
            .count()
    };
    assert_eq!(of_class("lane"), 3); // clients and two nodes
    assert_eq!(of_class("arrow"), 2); // replicate, stored
    assert_eq!(of_class("arrow client"), 2); // the request, the answer
    assert_eq!(of_class("cross"), 1);
    assert_eq!(of_class("down"), 1);
}

#[test]
fn reports_survive_json() {
    let report = checked(takeover::<true>());
    let json = report.to_json().unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}

#[test]
fn what_is_never_reached_is_reported() {
    let toy =
        Toy::<Inert>::new(1).properties(|| vec![Property::sometimes("impossible", |_, _| false)]);
    let report = checked(toy);
    assert!(!report.passed());
    assert_eq!(
        report.property("impossible").unwrap().verdict,
        Verdict::NotFound
    );
}

#[test]
fn a_search_cut_short_decides_nothing() {
    let limits = [
        (Stop::States, Some(1_000), None, None),
        (Stop::Time, None, Some(Duration::from_millis(20)), None),
        (Stop::Memory, None, None, Some(1)),
    ];
    for (stop, states_max, timeout, rss_max_bytes) in limits {
        let options = Options {
            threads: 1,
            states_max,
            timeout,
            rss_max_bytes,
            ..Options::default()
        };
        let report = check(Toy::<Endless>::new(1), options).unwrap();
        assert_eq!(report.stopped, Some(stop));
        assert!(!report.complete() && !report.passed());
        let verdict = report.property(NO_FAILURE).unwrap().verdict;
        assert_eq!(verdict, Verdict::Undecided);
    }
}

#[test]
fn a_panicking_property_is_an_error() {
    for threads in [1, 2] {
        let toy = Toy::<Inert>::new(1)
            .properties(|| vec![Property::always("broken", |_, _| panic!("cannot judge"))]);
        let options = Options {
            threads,
            ..Options::default()
        };
        assert_eq!(
            check(toy, options),
            Err(CheckError::Worker("cannot judge".into()))
        );
    }
}

#[test]
fn an_initial_state_out_of_bounds_is_an_error() {
    /// Has no state within its bounds.
    struct Strict(Toy<Inert>);
    impl Protocol for Strict {
        type Machine = Inert;
        type Clients = ();
        fn name(&self) -> &str {
            "strict"
        }
        fn nodes(&self) -> &[quorate_machine::NodeId] {
            self.0.nodes()
        }
        fn config(&self, node: quorate_machine::NodeId) -> &Group {
            self.0.config(node)
        }
        fn bounds(&self) -> &Bounds {
            self.0.bounds()
        }
        fn clients(&self) {}
        fn requests(&self, _: &State<Self>, _: &mut Vec<Request<Inert>>) {}
        fn requested(&self, (): &mut (), _: &Request<Inert>) {}
        fn output(&self, (): &mut (), _: quorate_machine::NodeId, (): &()) {}
        fn within(&self, _: &State<Self>) -> bool {
            false
        }
        fn properties(&self) -> Vec<Property<Self>> {
            vec![]
        }
    }
    let outcome = check(Strict(Toy::new(1)), Options::default());
    assert_eq!(outcome, Err(CheckError::NothingExplored));
}

#[test]
fn progress_ends_with_the_final_figures() {
    let last = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&last);
    let options = Options {
        progress: Some(Box::new(move |progress| {
            *seen.lock().unwrap() = Some(*progress);
        })),
        ..Options::default()
    };
    let report = check(takeover::<false>(), options).unwrap();
    let last = last.lock().unwrap().unwrap();
    assert_eq!((last.states, last.unique), (report.states, report.unique));
}
