//! The simulator finds what it must find, finds nothing where nothing is, and a seed means one run.

use quorate_simulator::{Keep, PROTOCOLS, Plan, Registered, minimise};

const SECONDS: u64 = 10;

fn protocol(name: &str) -> &'static Registered {
    PROTOCOLS
        .iter()
        .find(|p| p.name == name)
        .expect("it is registered")
}

fn logged(name: &str, seed: u64) -> (Vec<String>, Option<u64>) {
    let keep = Keep::All;
    let report = (protocol(name).run)(&Plan {
        keep,
        ..Plan::new(seed, SECONDS)
    });
    (report.log, report.digest)
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_another() {
    for name in ["raft", "assembly"] {
        let (log, digest) = logged(name, 3);
        assert!(log.len() > 100 && digest.is_some());
        assert_eq!(logged(name, 3), (log, digest));
        assert_ne!(logged(name, 4).1, digest);
    }
}

#[test]
fn a_log_changes_nothing() {
    let quiet = (protocol("raft").run)(&Plan::new(5, SECONDS));
    let keep = Keep::Last(10);
    let told = (protocol("raft").run)(&Plan {
        keep,
        ..Plan::new(5, SECONDS)
    });
    assert_eq!(told.log.len(), 10);
    assert_eq!((quiet.steps, &quiet.counts), (told.steps, &told.counts));
}

#[test]
fn protocols_hold_and_their_runs_are_not_idle() {
    for protocol in PROTOCOLS.iter().filter(|p| !p.canary) {
        let mut faults = 0;
        let mut coverage = std::collections::BTreeMap::new();
        for seed in 0..30 {
            let report = (protocol.run)(&Plan::new(seed, SECONDS));
            assert_eq!(report.failure, None, "{} seed {seed}", protocol.name);
            faults += report.counts.total_faults();
            for (name, count) in report.coverage {
                *coverage.entry(name).or_insert(0) += count;
            }
        }
        assert!(faults > 100, "{}: {faults} faults", protocol.name);
        assert!(coverage.values().all(|count| *count > 0), "{coverage:?}");
    }
}

fn found(name: &str, seeds: u64) -> (u64, String) {
    let runs = (0..seeds).map(|seed| (protocol(name).run)(&Plan::new(seed, SECONDS)));
    let mut failures = runs.filter_map(|run| Some((run.seed, run.failure?)));
    let (seed, failure) = failures.next().expect("the canary is found");
    (seed, failure.violation.property)
}

#[test]
fn every_canary_is_found_within_a_few_seeds() {
    for canary in PROTOCOLS.iter().filter(|p| p.canary) {
        found(canary.name, 20);
    }
}

#[test]
fn a_failure_is_made_small_and_its_plan_shows_it_again() {
    let (seed, property) = found("raft-amnesia", 20);
    let plan = Plan::new(seed, SECONDS);
    let whole = (protocol("raft-amnesia").run)(&plan);
    let small = minimise(&protocol("raft-amnesia").run, &plan, 300, 20).unwrap();
    let left = small.report.faults.len();
    assert!((1..whole.faults.len()).contains(&left), "{left} faults");
    assert!(small.report.log.len() <= 20 && !small.report.log.is_empty());
    let again = (protocol("raft-amnesia").run)(&small.plan);
    assert_eq!(again, small.report);
    assert_eq!(again.failure.unwrap().violation.property, property);
}

#[test]
fn what_does_not_fail_cannot_be_made_small() {
    assert!(minimise(&protocol("assembly").run, &Plan::new(0, SECONDS), 10, 10).is_none());
}
