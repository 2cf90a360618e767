//! What is told of runs: in the table, the page, JUnit and Markdown.

use quorate_check::{
    Checks, Engine, Markdown, Run, Settings, Table, junit, passed, protocols, write_diagrams,
    write_report,
};
use quorate_machine::{Effects, Event, Machine, NodeId};
use quorate_model::{Bounds, Scenario, Scope, Verdict};
use quorate_simulator as simulator;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Answers every command with it, once it is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Echo;

impl Machine for Echo {
    type Config = ();
    type Command = u8;
    type Message = ();
    type Timer = ();
    type Record = u8;
    type Durable = u8;
    type Output = u8;
    fn apply(durable: &mut u8, record: &u8) {
        *durable = *record;
    }
    fn start(_: &(), _: &u8, _: &mut Effects<Self>) -> Self {
        Echo
    }
    fn step(&mut self, _: &(), event: Event<Self>, fx: &mut Effects<Self>) {
        if let Event::Command(word) = event {
            fx.persist(word);
            fx.output(word);
        }
    }
    fn backed(_: NodeId, _: &(), _: &u8) -> bool {
        true
    }
}

fn model(heard_max: u8) -> Scenario<Echo> {
    Scenario::new("a node | a client", 1, |_, _| ())
        .bounds(Bounds {
            crashes: 0,
            ..Bounds::default()
        })
        .client([7])
        .always("nothing large is heard", move |state| {
            state.clients().told().all(|word| *word <= heard_max)
        })
        .sometimes("something is heard", |state| {
            state.clients().told().count() > 0
        })
}

fn runs(heard_max: u8) -> Vec<Run> {
    let checks = Checks::new("echo").safety(model(heard_max)).simulation(
        "a node in virtual time",
        move |_| {
            simulator::Scenario::<Echo>::new(1, |_, _| ())
                .commands([7])
                .always("nothing large is heard", move |_, told| {
                    told.iter().all(|(_, word)| *word <= heard_max)
                })
        },
    );
    let settings = Settings {
        runs: 5,
        ..Settings::default()
    };
    checks.run(&settings).expect("a result")
}

#[test]
fn engines_agree_on_what_is_right_and_what_is_wrong() {
    let right = runs(7);
    assert!(passed(&right), "{}", Table(&right));
    assert!(right[1].count("runs") == Some(5) && right[1].count("steps") > Some(0));
    let wrong = runs(6);
    let verdicts: Vec<Verdict> = wrong
        .iter()
        .filter_map(|run| run.finding("nothing large is heard"))
        .map(|finding| finding.verdict)
        .collect();
    assert_eq!(verdicts, [Verdict::Violated, Verdict::Violated]);
}

#[test]
fn the_table_tells_every_engine_and_the_steps_of_a_failure() {
    let told = Table(&runs(6)).to_string();
    for part in [
        "safety: every state within the bounds",
        "simulation: seeded runs in virtual time",
        "VIOLATED in echo: a node | a client: nothing large is heard",
        "client 0 asks n1: 7",
        "tells 7",
    ] {
        assert!(told.contains(part), "no {part:?} in\n{told}");
    }
}

#[test]
fn junit_tells_failures_from_passes() {
    for (heard_max, expected) in [(6, ["1", "1"]), (7, ["0", "0"])] {
        let xml = junit(&runs(heard_max));
        let document = roxmltree::Document::parse(&xml).unwrap();
        let suites = document
            .descendants()
            .filter(|node| node.has_tag_name("testsuite"));
        let failures: Vec<_> = suites
            .map(|suite| suite.attribute("failures").unwrap())
            .collect();
        assert_eq!(failures, expected);
    }
}

#[test]
fn the_page_shows_the_diagram_of_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let runs = runs(6);
    let page = write_report("echo", &runs, folder.path()).unwrap();
    let page = fs::read_to_string(page).unwrap();
    let body = page.strip_prefix("<!DOCTYPE html>\n").unwrap();
    let document = roxmltree::Document::parse(body).unwrap();
    let mut images = document
        .descendants()
        .filter(|node| node.has_tag_name("img"));
    let image = images.next().unwrap().attribute("src").unwrap();
    let svg = fs::read_to_string(folder.path().join(image)).unwrap();
    assert!(roxmltree::Document::parse(&svg).is_ok());
    let json = fs::read(folder.path().join("report.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Vec<Run>>(&json).unwrap(), runs);
    assert_eq!(write_diagrams(&runs, folder.path()).unwrap().len(), 1);
}

#[test]
fn markdown_puts_together_what_must_be_reachable() {
    let table = Markdown(&runs(7)).to_string();
    assert_eq!(table.lines().count(), 2 + 5, "{table}");
    // The three built-in ones that a model without crashes cannot reach are not asked of it.
    assert!(table.contains("| 1 things that must be reachable |") || table.contains("things"));
}

#[test]
fn a_simulation_that_is_interrupted_says_so() {
    let interrupt = Arc::new(AtomicBool::new(true));
    let checks = Checks::new("echo").simulation("never", |_| {
        simulator::Scenario::<Echo>::new(1, |_, _| ()).commands([7])
    });
    let settings = Settings {
        interrupt: Arc::clone(&interrupt),
        ..Settings::default()
    };
    let runs = checks.run(&settings).unwrap();
    assert!(interrupt.load(Ordering::Relaxed));
    assert_eq!(runs[0].findings[0].verdict, Verdict::Undecided);
}

#[test]
fn every_protocol_has_more_than_one_engine() {
    for protocol in protocols() {
        let checks = protocol.checks(Scope::Quick, |_| true);
        let mut engines: Vec<Engine> = checks.tasks().iter().map(|task| task.engine()).collect();
        engines.sort_unstable();
        engines.dedup();
        let expected = if protocol.name == "specimens" { 1 } else { 2 };
        assert!(engines.len() >= expected, "{}: {engines:?}", protocol.name);
    }
}
