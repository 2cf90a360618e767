//! The tutorial's protocol: what the tutorial says of it is true.

#[path = "../examples/primary_backup/model.rs"]
#[allow(unreachable_pub)]
mod model;
#[path = "../examples/primary_backup/register.rs"]
#[allow(missing_docs, unreachable_pub)]
mod register;

use quorate::{Checks, Options, Settings, Verdict, check};

const LOST: &str = "a later primary has every acknowledged write";

#[test]
fn a_majority_of_copies_loses_an_acknowledged_write() {
    let options = Options {
        threads: 1,
        ..Options::default()
    };
    let report = check(model::scenario(2), options).unwrap();
    let violations: Vec<_> = report.violations().map(|p| p.name.as_str()).collect();
    assert_eq!(violations, [LOST]);
    let trace = report.property(LOST).and_then(|p| p.trace.clone()).unwrap();
    let last = trace.steps.last().map(|step| step.effects_text());
    assert_eq!(
        last.as_deref(),
        Some("tells: Written(Held { view: 0, write: 1, value: 5 })")
    );
}

#[test]
fn copies_on_all_nodes_lose_nothing() {
    let report = check(model::scenario(3), Options::default()).unwrap();
    assert!(report.complete() && report.passed(), "{report:#?}");
    let property = report.property(LOST).unwrap();
    assert_eq!(property.verdict, Verdict::Holds);
}

#[test]
fn virtual_time_finds_the_same() {
    let found = |copies| {
        let checks = Checks::new("primary-backup")
            .simulation("three nodes", move |_| model::simulation(copies));
        let runs = checks.run(&Settings::default()).unwrap();
        (runs[0].findings[0].verdict, runs[0].count("faults"))
    };
    assert_eq!(found(2).0, Verdict::Violated);
    let (verdict, faults) = found(3);
    assert_eq!(verdict, Verdict::Holds);
    assert!(faults > Some(1_000), "{faults:?}");
}

#[test]
fn a_write_on_the_primarys_disk_is_acknowledged_in_the_end() {
    let checks = Checks::new("primary-backup").liveness(model::progress(3));
    let runs = checks.run(&Settings::default()).unwrap();
    let verdicts = runs[0].findings.iter().map(|finding| finding.verdict);
    let verdicts: Vec<Verdict> = verdicts.collect();
    assert_eq!(verdicts, [Verdict::Holds, Verdict::Refuted], "{runs:?}");
    assert!(runs[0].count("states") > Some(1_000), "{runs:?}");
}
