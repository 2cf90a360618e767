//! Liveness of a machine of one's own, by the same few calls as its safety; and Raft's, as far as it takes
//! seconds.

use quorate_machine::{Effects, Event, Machine, NodeId};
use quorate_model::raft::liveness::{self as raft, ELECTED};
use quorate_model::{
    Bounds, Cycle, Fairness, LivenessReport, Options, Pattern, Scenario, Scope, Seen, Trace,
    Verdict, What, check, check_liveness,
};
use std::time::Duration;

/// Node 1 asks node 2 to write a word down, and again whenever its timer fires, until it hears that it is
/// on disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Courier {
    Idle,
    Asking(u8),
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Word {
    Write(u8),
    Written,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Again;

const SENDER: NodeId = NodeId(1);
const WRITER: NodeId = NodeId(2);

impl Machine for Courier {
    type Config = NodeId;
    type Command = u8;
    type Message = Word;
    type Timer = Again;
    type Record = u8;
    type Durable = u8;
    type Output = ();

    fn apply(durable: &mut u8, record: &u8) {
        *durable = *record;
    }

    fn start(_: &NodeId, _: &u8, _: &mut Effects<Self>) -> Self {
        Courier::Idle
    }

    fn step(&mut self, me: &NodeId, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Command(_) if *me != SENDER => {}
            Event::Command(word) => {
                *self = Courier::Asking(word);
                fx.send(WRITER, Word::Write(word));
                fx.arm(Again, 1..=1);
            }
            Event::Timeout(Again) => {
                if let Courier::Asking(word) = self {
                    fx.send(WRITER, Word::Write(*word));
                    fx.arm(Again, 1..=1);
                }
            }
            Event::Receive {
                message: Word::Write(word),
                ..
            } => {
                if *self == Courier::Idle {
                    fx.persist(word);
                    *self = Courier::Done;
                }
                fx.send(SENDER, Word::Written);
            }
            Event::Receive {
                message: Word::Written,
                ..
            } => {
                if matches!(self, Courier::Asking(_)) {
                    *self = Courier::Done;
                    fx.output(());
                }
            }
        }
    }

    fn backed(_: NodeId, message: &Word, sender: &u8) -> bool {
        *message != Word::Written || *sender > 0
    }
}

const TOLD: &str = "who asks is told";

/// A client asks once; a message may be lost.
fn courier() -> Scenario<Courier> {
    Scenario::new("courier", 2, |me, _| me)
        .bounds(Bounds {
            crashes: 0,
            ..Bounds::default()
        })
        .client([7])
        .always("a word is told once", |state| {
            state.clients().told().count() <= 1
        })
        .leads_to(
            TOLD,
            |state| {
                let mut seen = state.clients().seen().iter();
                seen.any(|seen| matches!(seen, Seen::Asked { node: SENDER, .. }))
            },
            |state| state.clients().told().count() > 0,
        )
        .losses(1)
}

fn lively(scenario: Scenario<Courier>) -> LivenessReport {
    check_liveness(scenario, Options::default()).expect("a toy can be checked")
}

#[test]
fn one_scenario_has_safety_and_liveness() {
    let safety = check(courier(), Options::default()).expect("a toy can be checked");
    assert!(safety.passed(), "{safety:?}");
    let liveness = lively(courier());
    assert!(liveness.passed(), "{liveness:?}");
    assert_eq!(
        liveness.property(TOLD).map(|p| p.verdict),
        Some(Verdict::Holds)
    );
    assert!(liveness.complete());
}

#[test]
fn every_assumption_is_needed() {
    let unfair = |label: &str, pattern| {
        let label = label.to_owned();
        move |scenario: Scenario<Courier>| {
            scenario.lively(|l| l.without(label, TOLD, pattern, Fairness::None))
        }
    };
    let scenario = unfair("a network", Pattern::deliveries_of("Written"))(courier());
    let scenario = unfair("a disk", Pattern::syncs().at(WRITER))(scenario);
    let scenario = unfair("a timer", Pattern::timers_of("Again"))(scenario);
    // Who asks again while the disk stands still would have no end of states.
    let report = lively(scenario.lively(|liveness| {
        liveness.timely("timers fire when all has arrived", 0, |moment| {
            moment.is_quiet()
        })
    }));
    assert!(!report.cut);
    assert!(report.passed(), "{report:?}");
    for label in ["a network", "a disk", "a timer"] {
        let finding = report.without(label).expect("it was asked for");
        assert_eq!(finding.verdict, Verdict::Refuted, "{label}");
        assert!(finding.trace.as_ref().is_some_and(|t| t.cycle.is_some()));
    }
    // Without its timer the message that is lost is lost for ever.
    let trace = report.without("a timer").and_then(|f| f.trace.as_ref());
    let trace = trace.expect("a lasso");
    let lost = |trace: &Trace| {
        trace
            .steps
            .iter()
            .any(|s| matches!(s.what, What::Lose { .. }))
    };
    assert!(lost(trace), "{trace}");
}

#[test]
fn an_assumption_that_is_not_needed_is_found_out() {
    let recoveries = Pattern::recoveries();
    let report = lively(
        courier().lively(|liveness| liveness.without("recovery", TOLD, recoveries, Fairness::None)),
    );
    let finding = report.without("recovery").map(|finding| finding.verdict);
    assert_eq!(finding, Some(Verdict::Survived));
    assert!(!report.passed());
}

#[test]
fn a_network_that_loses_everything_needs_strong_fairness() {
    let lossy = |fairness| {
        lively(courier().lively(|liveness| {
            liveness
                .lossy(Pattern::deliveries())
                .fair(Pattern::deliveries(), fairness)
        }))
    };
    assert!(lossy(Fairness::Strong).passed());
    let weak = lossy(Fairness::Weak);
    let finding = weak.property(TOLD).expect("it was asked for");
    assert_eq!(finding.verdict, Verdict::Violated);
    let trace = finding.trace.as_ref().expect("a violation has a lasso");
    let cycle = trace.cycle.as_ref().expect("a lasso has a cycle");
    assert!(cycle.after < trace.steps.len(), "{trace}");
    is_drawn(trace, cycle);
}

/// The text and the diagram say where it goes round and why that is fair.
fn is_drawn(trace: &Trace, cycle: &Cycle) {
    let text = trace.to_string();
    assert!(text.contains("and then, again and again:"), "{text}");
    assert!(
        text.contains(&format!("after step {}", cycle.after)),
        "{text}"
    );
    assert!(
        text.contains("delivery of Write from n1 to n2 (weak): not enabled"),
        "{text}"
    );
    let svg = trace.to_svg();
    let document = roxmltree::Document::parse(&svg).expect("a diagram is XML");
    let of_class = |class: &str| {
        let mut nodes = document.descendants();
        nodes.any(|node| node.attribute("class") == Some(class))
    };
    assert!(
        of_class("cycle") && of_class("back") && of_class("again"),
        "{svg}"
    );
}

#[test]
fn a_limit_of_states_leaves_it_undecided() {
    let options = Options {
        states_max: Some(3),
        ..Options::default()
    };
    let report = check_liveness(courier(), options).expect("a toy can be checked");
    assert!(!report.complete() && !report.passed());
    let options = Options {
        timeout: Some(Duration::ZERO),
        ..Options::default()
    };
    // So small a graph is explored before anyone looks at the clock.
    let report = check_liveness(courier(), options).expect("a toy can be checked");
    assert!(report.complete());
}

/// One configuration of Raft at quick scope.
fn checked(name: &str) -> LivenessReport {
    let mut models = raft::scope(Scope::Quick).into_iter();
    let model = models.find(|model| quorate_model::Protocol::name(model) == name);
    let model = model.expect("there is such a configuration");
    check_liveness(model, Options::default()).expect("Raft can be checked")
}

#[test]
fn raft_elects_a_leader_if_every_node_may_be_first() {
    let report = checked("a node whose log is behind");
    assert!(report.passed(), "{report:?}");
    assert!(!report.cut);
    let finding = report.properties.iter().find(|f| f.without.is_some());
    let trace = finding.and_then(|f| f.trace.as_ref()).expect("a lasso");
    // Only one node ever stands, and it is the one that cannot win.
    let cycle = trace.cycle.as_ref().expect("a cycle");
    let mut fires = trace.steps[cycle.after..].iter();
    assert!(
        fires.all(|s| s.node == "n1" || !matches!(s.what, What::Timeout { .. })),
        "{trace}"
    );
}

#[test]
fn raft_without_timing_may_go_on_electing_for_ever() {
    let report = checked("no timing");
    assert!(report.passed(), "{report:?}");
    let finding = report.property(ELECTED).expect("it was asked for");
    assert_eq!(finding.verdict, Verdict::Refuted);
    let trace = finding.trace.as_ref().expect("a lasso");
    let cycle = trace.cycle.as_ref().expect("a cycle");
    let rivals = ["n1", "n2", "n3"].iter().filter(|node| {
        let mut round = trace.steps[cycle.after..].iter();
        round.any(|s| s.node == **node && matches!(s.what, What::Timeout { .. }))
    });
    assert!(rivals.count() > 1, "{trace}");
}

#[test]
fn every_open_trace_is_sealed_if_timers_fire() {
    for model in quorate_model::assembly::scope(Scope::Quick)
        .into_iter()
        .take(2)
    {
        let report = check_liveness(model, Options::default()).expect("assembly can be checked");
        assert!(report.passed(), "{report:?}");
        assert!(
            report
                .properties
                .iter()
                .any(|f| f.verdict == Verdict::Refuted)
        );
    }
}
