//! Random small graphs, decided by brute force: a set of states that come again and again is a set in
//! which each one reaches each other one, so all such sets are tried. Within a set, taking every edge
//! is fairest: what is enabled depends on the states alone.

mod random;

use proptest::prelude::*;
use quorate_fair::{Explorer, Fairness, Form, Property, Verdict};
use random::{Graph, STATES, graphs};

/// All states that the pairs lead to from `from`, within `allowed`.
fn reach(graph: &Graph, from: u8, allowed: u8) -> u8 {
    let mut seen = from & allowed;
    loop {
        let steps = graph.edges.iter().filter(|edge| seen >> edge.from & 1 == 1);
        let next = steps.fold(seen, |next, edge| next | (1 << edge.to & allowed));
        if next == seen {
            return seen;
        }
        seen = next;
    }
}

fn members(set: u8) -> impl Iterator<Item = u8> {
    (0..STATES).filter(move |state| set >> state & 1 == 1)
}

fn is_strongly_connected(graph: &Graph, set: u8) -> bool {
    members(set).all(|state| reach(graph, 1 << state, set) == set)
}

fn is_fair(graph: &Graph, set: u8) -> bool {
    (0..graph.fairness.len() as u8).all(|class| {
        let of_class = |from: u8| {
            let own = move |edge: &&random::Edge| edge.from == from && edge.class == Some(class);
            graph
                .edges
                .iter()
                .filter(own)
                .filter(|edge| edge.to != edge.from)
        };
        let enabled = |state: u8| of_class(state).next().is_some();
        let taken = members(set).any(|state| of_class(state).any(|edge| set >> edge.to & 1 == 1));
        match graph.fairness[usize::from(class)] {
            Fairness::None => true,
            Fairness::Weak => taken || members(set).any(|state| !enabled(state)),
            Fairness::Strong => taken || !members(set).any(enabled),
        }
    })
}

/// Whether a fair behaviour violates the property.
fn violated(graph: &Graph, form: Form) -> bool {
    let inside = graph.inside;
    let reachable = reach(graph, graph.initial, inside);
    let (begins, sets) = match form {
        Form::Eventually => (graph.initial, inside & !graph.p),
        Form::AlwaysEventually => (reachable, inside & !graph.p),
        Form::LeadsTo => (reachable & graph.p, inside & !graph.q),
        Form::EventuallyAlways => (reachable, inside),
    };
    let region = reach(graph, begins, sets);
    (1..=u8::MAX >> (8 - STATES)).any(|set| {
        set & !region == 0
            && (form != Form::EventuallyAlways || set & !graph.p != 0)
            && is_strongly_connected(graph, set)
            && is_fair(graph, set)
    })
}

fn property(graph: &Graph, form: Form) -> Property<Graph> {
    let (p, q) = (graph.p, graph.q);
    let p = move |state: &u8| p >> state & 1 == 1;
    let q = move |state: &u8| q >> state & 1 == 1;
    match form {
        Form::Eventually => Property::eventually("P", p),
        Form::AlwaysEventually => Property::always_eventually("P", p),
        Form::LeadsTo => Property::leads_to("P, Q", p, q),
        Form::EventuallyAlways => Property::eventually_always("P", p),
    }
}

const FORMS: [Form; 4] = [
    Form::Eventually,
    Form::AlwaysEventually,
    Form::LeadsTo,
    Form::EventuallyAlways,
];

fn class(_: &u8, action: &random::Edge) -> Option<u8> {
    action.class
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn verdicts_are_those_of_brute_force(graph in graphs()) {
        let explorer = Explorer::new(&graph, class);
        let explorer = explorer.properties(FORMS.map(|form| property(&graph, form)));
        let explored = explorer.explore().expect("few classes");
        let fairness = |class: &u8| graph.fairness[usize::from(*class)];
        let report = explored.check(fairness).expect("a deterministic model");
        let reachable = reach(&graph, graph.initial, graph.inside);
        prop_assert_eq!(report.size.states, reachable.count_ones() as usize);
        for (form, found) in FORMS.into_iter().zip(&report.properties) {
            let expected = violated(&graph, form);
            prop_assert_eq!(found.verdict.lasso().is_some(), expected, "{}\n{}", form, report);
            prop_assert_eq!(matches!(found.verdict, Verdict::Holds), !expected);
            if let Some(lasso) = found.verdict.lasso() {
                let flaw = lasso.check(&graph, class, fairness, &property(&graph, form));
                prop_assert_eq!(flaw, Ok(()), "{}", lasso);
                prop_assert_eq!(lasso.fairness.len(), asking(&report));
            }
        }
    }

    /// A part of the graph shows no violation that the whole does not have.
    #[test]
    fn a_limit_on_states_invents_nothing(graph in graphs(), limit in 1usize..7) {
        let explorer = Explorer::new(&graph, class).max_states(limit);
        let explorer = explorer.properties(FORMS.map(|form| property(&graph, form)));
        let explored = explorer.explore().expect("few classes");
        let report = explored.check(|class| graph.fairness[usize::from(*class)]);
        let report = report.expect("a deterministic model");
        prop_assert!(report.size.states <= limit);
        for (form, found) in FORMS.into_iter().zip(&report.properties) {
            match (&found.verdict, report.stop) {
                (Verdict::Violated(_), _) => prop_assert!(violated(&graph, form)),
                (Verdict::Holds, None) => prop_assert!(!violated(&graph, form)),
                (Verdict::Undecided, Some(_)) => {}
                (verdict, stop) => prop_assert!(false, "{} though {:?}", verdict, stop),
            }
        }
    }
}

fn asking<S, A, C>(report: &quorate_fair::Report<S, A, C>) -> usize {
    let classes = report.classes.iter();
    classes
        .filter(|class| class.fairness != Fairness::None)
        .count()
}
