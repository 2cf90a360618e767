//! Raft in Rust and in TLA+ are the same within the bounds of one election; and if either is changed, or the
//! abstraction lies, that is found. `specs/check` fetches TLC; `quorate-refinement` compares larger graphs.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod changed;

use changed::Specification;
use quorate_model::{State, System};
use quorate_refinement::raft::{History, Members, RaftSubject};
use quorate_refinement::{Bounds, Disagreement, Move, Pool, Report, Subject, Value, compare};
use std::hash::Hasher;

const RAFT: Specification = Specification {
    folder: "raft",
    modules: &["Raft.tla", "MCRaft.tla", "MCRaftRefine.tla"],
};

fn configuration() -> String {
    RAFT.configuration("MCRaftRefineElection")
}

fn against(module: &str, from: &str, to: &str) -> Report {
    let mut pool = Pool::default();
    let graph = RAFT.graph(&configuration(), (module, from, to), &mut pool);
    let subject = RaftSubject::new(Bounds::parse(&configuration()).unwrap());
    compare(&subject, &graph, &mut pool, 100_000).unwrap()
}

fn found(report: &Report) -> &Disagreement {
    report.disagreement.as_ref().expect("a disagreement")
}

#[test]
#[ignore = "needs TLC"]
fn a_specification_without_an_action_is_found_out() {
    let report = against("MCRaftRefine.tla", "\\/ ReceivesAppended ", "");
    assert_eq!(found(&report).name, "ReceivesAppended");
    assert!(found(&report).choices.is_empty());
}

#[test]
#[ignore = "needs TLC"]
fn a_specification_that_does_not_note_its_leader_is_found_out() {
    let from = "        u == Follow(caught, m.from)\n";
    let report = against("Raft.tla", from, "        u == caught\n");
    assert_eq!(found(&report).name, "ReceivesAppend");
    let nearest = &found(&report).choices[0].from_rust;
    assert!(
        nearest.iter().any(|part| part.path.ends_with(".leader")),
        "{report}"
    );
}

#[test]
#[ignore = "needs TLC"]
fn a_specification_that_speaks_before_its_disk_has_it_is_found_out() {
    let from = "    IF t.records = <<>> THEN [t EXCEPT !.before = @ \\cup messages]\n";
    let to = "    IF TRUE THEN [t EXCEPT !.before = @ \\cup messages]\n";
    let report = against("Raft.tla", from, to);
    assert_eq!(
        (found(&report).name, found(&report).path.len()),
        ("Stands", 1)
    );
}

#[test]
#[ignore = "needs TLC"]
fn what_only_the_specification_does_is_counted() {
    let report = against(
        "MCRaftRefine.tla",
        "spent.forgets < MaxForgets",
        "spent.forgets < 1",
    );
    assert!(report.refines() && !report.covers(), "{report}");
    let mut forgets = report.actions.iter();
    let forgets = forgets.find(|count| count.name == "Forgets").unwrap();
    assert!(forgets.not_taken > 0 && forgets.rust_steps == 0, "{report}");
    assert!(report.states_not_reached > 0);
}

/// Raft with a machine or an abstraction that is not what it should be.
struct Changed {
    raft: RaftSubject,
    never_commits: bool,
}

impl Subject for Changed {
    type Protocol = Members;
    type History = History;
    type Error = <RaftSubject as Subject>::Error;

    fn system(&self) -> &System<Members> {
        self.raft.system()
    }
    fn history(&self) -> History {
        self.raft.history()
    }
    fn actions(&self, state: &State<Members>, history: &History, out: &mut Vec<Move<Members>>) {
        self.raft.actions(state, history, out);
    }
    fn identify(&self, state: &State<Members>, history: &History, hasher: &mut impl Hasher) {
        self.raft.identify(state, history, hasher);
    }
    fn follow(
        &self,
        before: &State<Members>,
        history: &History,
        step: &Move<Members>,
        after: &State<Members>,
    ) -> History {
        self.raft.follow(before, history, step, after)
    }
    fn abstraction(&self, state: &State<Members>, history: &History) -> Result<Value, Self::Error> {
        let value = self.raft.abstraction(state, history)?;
        if !self.never_commits {
            return Ok(value);
        }
        let text = value
            .to_string()
            .replace("commit |-> 1, lead", "commit |-> 0, lead");
        Ok(text.parse().unwrap())
    }
}

#[test]
#[ignore = "needs TLC"]
fn a_changed_machine_and_a_wrong_abstraction_are_found_out() {
    let mut pool = Pool::default();
    let graph = RAFT.graph(&configuration(), ("", "", ""), &mut pool);
    let bounds = Bounds::parse(&configuration()).unwrap();
    let mut report = |bounds: Bounds, never_commits| {
        let raft = RaftSubject::new(bounds);
        let changed = Changed {
            raft,
            never_commits,
        };
        compare(&changed, &graph, &mut pool, 100_000).unwrap()
    };

    let unchanged = report(bounds.clone(), false);
    assert!(unchanged.covers(), "{unchanged}");

    let asks_first = Bounds {
        pre_vote: true,
        ..bounds.clone()
    };
    let asks_first = report(asks_first, false);
    assert_eq!(
        (found(&asks_first).name, found(&asks_first).path.len()),
        ("Stands", 1)
    );

    let checks_quorum = Bounds {
        check_quorum: true,
        ..bounds.clone()
    };
    assert_eq!(found(&report(checks_quorum, false)).name, "Checks");

    let never_commits = report(bounds, true);
    assert_eq!(found(&never_commits).name, "ReceivesAppended");
}
