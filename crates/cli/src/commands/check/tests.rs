//! Checks of a machine small enough for a test.

use std::path::Path;

use clap::Parser;
use quorate_machine::{Effects, Event, Machine, NodeId};
use quorate_model::{Bounds, Scenario};
use tempfile::tempdir;

use super::*;

/// Answers every command with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Echo;

impl Machine for Echo {
    type Config = ();
    type Command = u8;
    type Message = ();
    type Timer = ();
    type Record = ();
    type Durable = ();
    type Output = u8;
    fn apply(_: &mut (), (): &()) {}
    fn start(_: &(), (): &(), _: &mut Effects<Self>) -> Self {
        Echo
    }
    fn step(&mut self, _: &(), event: Event<Self>, fx: &mut Effects<Self>) {
        if let Event::Command(word) = event {
            fx.output(word);
        }
    }
    fn backed(_: NodeId, (): &(), (): &()) -> bool {
        true
    }
}

fn echo(name: &str) -> Scenario<Echo> {
    let bounds = Bounds {
        crashes: 0,
        ..Bounds::default()
    };
    Scenario::new(name, 1, |_, _| ()).bounds(bounds).client([7])
}

fn heard(scenario: Scenario<Echo>, word: u8) -> Scenario<Echo> {
    scenario.sometimes("heard", move |state| {
        state.clients().told().any(|told| *told == word)
    })
}

fn silent(scenario: Scenario<Echo>) -> Scenario<Echo> {
    scenario.always("silent", |state| state.clients().told().count() == 0)
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    check: CheckArgs,
}

/// Runs these configurations as the command line `arguments` asks, to the files that it names.
fn run(arguments: &[&str], all: Vec<Scenario<Echo>>, interrupted: bool) -> (Outcome, Vec<Run>) {
    let line = Line::parse_from([&["check"], arguments].concat());
    let all = all.into_iter().fold(Checks::new("echo"), Checks::safety);
    let interrupt = Arc::new(AtomicBool::new(interrupted));
    let runs = line.check.look(vec![all], &interrupt).unwrap();
    (line.check.tell(&runs).unwrap(), runs)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_holds_ends_well_and_is_written_down() {
    let folder = tempdir().unwrap();
    let (json, junit) = (folder.path().join("r.json"), folder.path().join("r.xml"));
    let files = ["--json", text(&json), "--junit", text(&junit)];
    let (outcome, runs) = run(
        &files,
        vec![heard(echo("one"), 7), heard(echo("two"), 7)],
        false,
    );
    assert_eq!(outcome, Outcome::Holds);
    let read: Vec<Run> = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!(read, runs);
    let xml = fs::read_to_string(junit).unwrap();
    let xml = roxmltree::Document::parse(&xml).unwrap();
    let suites = xml
        .descendants()
        .filter(|node| node.has_tag_name("testsuite"));
    let names: Vec<_> = suites.filter_map(|suite| suite.attribute("name")).collect();
    assert_eq!(names, ["echo: one, safety", "echo: two, safety"]);
}

#[test]
fn a_violation_fails_and_is_drawn() {
    let folder = tempdir().unwrap();
    let diagrams = ["--diagrams", text(folder.path())];
    let (outcome, _) = run(&diagrams, vec![silent(echo("one"))], false);
    assert_eq!(outcome, Outcome::Refuted);
    let svg = fs::read_to_string(folder.path().join("echo--one--silent.svg")).unwrap();
    assert!(roxmltree::Document::parse(&svg).is_ok());
}

#[test]
fn what_is_never_reached_fails() {
    let (outcome, runs) = run(&[], vec![heard(echo("one"), 8)], false);
    assert_eq!(outcome, Outcome::Refuted);
    let told = Table(&runs).to_string();
    assert!(told.contains("NOT FOUND in one"), "{told}");
}

#[test]
fn an_interrupt_ends_the_list_and_tells_what_is_known() {
    let (outcome, runs) = run(&[], vec![echo("one"), echo("two")], true);
    let seen = runs.iter().any(|r| r.stopped == Some(Stop::Interrupted));
    let expected = if seen {
        Outcome::Interrupted
    } else {
        Outcome::Holds
    };
    assert_eq!(outcome, expected);
}

#[test]
fn configurations_are_chosen_by_a_part_of_their_name() {
    let boxed = || {
        let names = ["one-small", "one-large"].into_iter();
        names
            .map(|name| Box::new(echo(name)) as Box<dyn Configuration>)
            .collect()
    };
    let chosen = named(boxed(), Some("large")).unwrap();
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0].title(), "one-large");
    let error = named(boxed(), Some("huge")).err().unwrap();
    assert!(
        error.to_string().contains("one-small, one-large"),
        "{error}"
    );
}

#[test]
fn a_report_is_a_page_with_its_diagrams() {
    let folder = tempdir().unwrap();
    let report = ["--report", text(folder.path())];
    let (outcome, _) = run(&report, vec![heard(echo("one"), 7)], false);
    assert_eq!(outcome, Outcome::Holds);
    let page = fs::read_to_string(folder.path().join("index.html")).unwrap();
    let diagram = "diagrams/echo--one--heard.svg";
    assert!(page.contains(diagram), "{page}");
    assert!(folder.path().join(diagram).exists());
    for file in ["report.json", "junit.xml", "table.md"] {
        assert!(folder.path().join(file).exists(), "{file}");
    }
}

#[test]
fn engines_are_chosen_by_name() {
    let chosen = |arguments: &[&str]| {
        let line = Line::parse_from([&["check", "raft"], arguments].concat());
        let [raft] = protocols(Some("raft")).unwrap()[..] else {
            panic!("there is one Raft");
        };
        let checks = line.check.checks(&raft);
        let engines = checks.tasks().iter().map(|task| task.engine());
        engines.collect::<std::collections::BTreeSet<_>>()
    };
    assert!(chosen(&[]).contains(&Engine::Safety));
    assert!(!chosen(&[]).contains(&Engine::SeededBugs));
    assert!(chosen(&["--scope", "ci"]).contains(&Engine::SeededBugs));
    assert_eq!(
        chosen(&["--engine", "simulation"]),
        [Engine::Simulation].into()
    );
}

#[test]
fn what_means_nothing_is_refused_with_what_there_is() {
    let line = Line::parse_from(["check", "raft", "--configuration", "no such thing"]);
    let error = line.check.run().unwrap_err().to_string();
    assert!(error.contains("pre-vote and check-quorum"), "{error}");
}
