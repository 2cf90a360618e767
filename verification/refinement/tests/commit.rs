//! Two-phase commit in Rust and in TLA+ are the same within the bounds of a crash; and if either is changed, or
//! the abstraction lies, that is found. `specs/check` fetches TLC; `quorate-refinement` compares larger graphs.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod changed;

use changed::Specification;
use quorate_model::{State, System};
use quorate_refinement::commit::{CommitSubject, History, Member};
use quorate_refinement::grain::Members;
use quorate_refinement::{
    BoundsError, Disagreement, Graph, Move, Pool, Report, Subject, Value, compare,
};
use std::hash::Hasher;

const COMMIT: Specification = Specification {
    folder: "commit",
    modules: &["Commit.tla", "MCCommit.tla"],
};

fn configuration() -> String {
    COMMIT.configuration("MCCommitCrash")
}

fn compared(subject: &impl Subject, graph: &Graph, pool: &mut Pool) -> Report {
    compare(subject, graph, pool, 100_000).unwrap()
}

fn against(module: &str, from: &str, to: &str) -> Report {
    within(&configuration(), module, from, to)
}

fn within(configuration: &str, module: &str, from: &str, to: &str) -> Report {
    let mut pool = Pool::default();
    let graph = COMMIT.graph(configuration, (module, from, to), &mut pool);
    let subject = CommitSubject::new(configuration).unwrap();
    compared(&subject, &graph, &mut pool)
}

fn found(report: &Report) -> &Disagreement {
    report.disagreement.as_ref().expect("a disagreement")
}

#[test]
fn a_configuration_without_a_counterpart_is_refused() {
    let text = configuration();
    assert!(CommitSubject::new(&text).is_ok());
    let refused = |from: &str, to: &str| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        CommitSubject::new(&text.replace(from, to)).err().unwrap()
    };
    assert!(matches!(
        refused("OthersTakePart", "AllTakePart"),
        BoundsError::Replaced(..)
    ));
    assert!(matches!(
        refused("NonBlocking = FALSE", "NonBlocking = TRUE"),
        BoundsError::Value("NonBlocking", _)
    ));
    assert!(matches!(
        refused("Away = {}", "Away = {a}"),
        BoundsError::Value("Away", _)
    ));
    assert_eq!(
        refused("Patient = TRUE", ""),
        BoundsError::Missing("Patient")
    );
}

#[test]
#[ignore = "needs TLC"]
fn a_specification_without_an_action_is_found_out() {
    let report = against("MCCommit.tla", "\\/ ReceivesForget ", "");
    assert_eq!(found(&report).name, "ReceivesForget");
    assert!(found(&report).choices.is_empty());
}

#[test]
#[ignore = "needs TLC"]
fn a_specification_that_speaks_before_its_disk_has_it_is_found_out() {
    let from = "    IF u.records = <<>> THEN [u EXCEPT !.before = @ \\cup messages]\n";
    let to = "    IF TRUE THEN [u EXCEPT !.before = @ \\cup messages]\n";
    // With a crash there is far more that may be said too early.
    let calm = COMMIT.configuration("MCCommitCalm");
    let report = within(&calm, "Commit.tla", from, to);
    assert_eq!(
        (found(&report).name, found(&report).path.len()),
        ("Begins", 1)
    );
}

#[test]
#[ignore = "needs TLC"]
fn a_specification_that_answers_without_refusing_for_good_is_found_out() {
    let from = "is = \"None\" -> answer(Refuse(u, t), \"Abort\")";
    let report = against("Commit.tla", from, "is = \"None\" -> answer(u, \"Abort\")");
    assert_eq!(found(&report).name, "ReceivesInquire");
    let nearest = &found(&report).choices[0].from_rust;
    assert!(
        nearest.iter().any(|part| part.path.contains("latest")),
        "{report}"
    );
}

#[test]
#[ignore = "needs TLC"]
fn what_only_the_specification_does_is_counted() {
    let report = against(
        "MCCommit.tla",
        "Spend(\"refusals\", MaxRefusals)",
        "Spend(\"refusals\", 1)",
    );
    assert!(report.refines() && !report.covers(), "{report}");
    let mut counts = report.actions.iter();
    let refusals = counts.find(|count| count.name == "VotesNo").unwrap();
    assert!(
        refusals.not_taken > 0 && refusals.rust_steps == 0,
        "{report}"
    );
    assert!(report.states_not_reached > 0);
}

/// Two-phase commit with an abstraction that knows a decision where there is none.
struct Presuming(CommitSubject);

impl Subject for Presuming {
    type Protocol = Members<Member>;
    type History = History;
    type Error = <CommitSubject as Subject>::Error;

    fn system(&self) -> &System<Self::Protocol> {
        self.0.system()
    }
    fn history(&self) -> History {
        self.0.history()
    }
    fn actions(
        &self,
        state: &State<Self::Protocol>,
        history: &History,
        out: &mut Vec<Move<Self::Protocol>>,
    ) {
        self.0.actions(state, history, out);
    }
    fn identify(&self, state: &State<Self::Protocol>, history: &History, hasher: &mut impl Hasher) {
        self.0.identify(state, history, hasher);
    }
    fn follow(
        &self,
        before: &State<Self::Protocol>,
        history: &History,
        step: &Move<Self::Protocol>,
        after: &State<Self::Protocol>,
    ) -> History {
        self.0.follow(before, history, step, after)
    }
    fn abstraction(
        &self,
        state: &State<Self::Protocol>,
        history: &History,
    ) -> Result<Value, Self::Error> {
        let value = self.0.abstraction(state, history)?;
        let text = value.to_string().replace("Uncertain", "Commit");
        Ok(text.parse().unwrap())
    }
}

#[test]
#[ignore = "needs TLC"]
fn a_changed_machine_and_a_wrong_abstraction_are_found_out() {
    let mut pool = Pool::default();
    let graph = COMMIT.graph(&configuration(), ("", "", ""), &mut pool);
    let subject = |from: &str, to: &str| {
        let text = configuration();
        assert_eq!(text.matches(from).count(), 1, "{from}");
        CommitSubject::new(&text.replace(from, to)).unwrap()
    };
    let unchanged = subject("Patient = TRUE", "Patient = TRUE");
    let unchanged = compared(&unchanged, &graph, &mut pool);
    assert!(unchanged.covers(), "{unchanged}");

    let remembers_nothing = subject("Remembered = 1", "Remembered = 0");
    let remembers_nothing = compared(&remembers_nothing, &graph, &mut pool);
    assert_eq!(found(&remembers_nothing).name, "ReceivesAcknowledged");

    let asks_at_once = subject("Patient = TRUE", "Patient = FALSE");
    let asks_at_once = compared(&asks_at_once, &graph, &mut pool);
    assert_eq!(found(&asks_at_once).name, "Waits");

    let refuses = subject("MaxRefusals = 0", "MaxRefusals = 1");
    let refuses = compared(&refuses, &graph, &mut pool);
    assert_eq!(found(&refuses).name, "VotesNo");

    let presumes = Presuming(subject("Patient = TRUE", "Patient = TRUE"));
    let presumes = compared(&presumes, &graph, &mut pool);
    assert_eq!(found(&presumes).name, "VotesYes");
}
