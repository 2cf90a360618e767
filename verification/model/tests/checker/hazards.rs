//! What a checker of distributed systems gets wrong easily, each pinned by a count or a trace.

use crate::checked;
use crate::toys::*;
use quorate_model::*;
use stateright::Model;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

#[test]
fn timers_of_different_nodes_are_told_apart() {
    // Both armed, either one, none. A hash that runs the nodes' timers together finds three.
    assert_eq!(checked(Toy::<Alarm>::new(2)).unique, 4);
}

#[test]
fn states_reached_on_two_ways_are_one() {
    // The two greetings arrive in either order.
    assert_eq!(checked(Toy::<Greeter<false>>::new(3)).unique, 4);

    let system = System::new(Arc::new(Toy::<Greeter<false>>::new(3)));
    let start = system.init_states().remove(0);
    let mut actions = Vec::new();
    system.actions(&start, &mut actions);
    let [first, second] = &actions[..] else {
        panic!("two deliveries expected, not {actions:?}");
    };
    let follow = |one: &Action<_>, other: &Action<_>| {
        let state = system.next_state(&start, one.clone()).unwrap();
        system.next_state(&state, other.clone()).unwrap()
    };
    let (one, other) = (follow(first, second), follow(second, first));
    let hash = |state: &State<_>| {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        hasher.finish()
    };
    assert_eq!(one, other);
    assert_eq!(hash(&one), hash(&other));
    assert_ne!(hash(&one), hash(&start));
}

#[test]
fn the_order_in_which_messages_were_sent_does_not_matter() {
    // Neither called, one or the other, both.
    assert_eq!(checked(Toy::<Caller>::new(3)).unique, 4);
}

#[test]
fn a_state_is_small() {
    assert!(size_of::<State<Toy<Register<false>>>>() <= 64);
}

#[test]
fn crashes_are_bounded_in_total() {
    // With one crash: never crashed; one or the other down; both up again.
    assert_eq!(checked(Toy::<Inert>::new(2).crashes(1)).unique, 4);
    // With two, after the second: up, one or the other down, both down.
    assert_eq!(checked(Toy::<Inert>::new(2).crashes(2)).unique, 8);
}

#[test]
fn a_crashed_node_has_a_disk_and_no_machine() {
    let toy = Toy::<Register<false>>::new(1)
        .crashes(1)
        .script(vec![(N1, 7)]);
    let system = System::new(Arc::new(toy));
    let mut state = system.init_states().remove(0);
    let request = Request {
        client: 1,
        node: N1,
        command: 7,
    };
    for action in [Action::Request(request), Action::Sync(0), Action::Crash(0)] {
        state = system.next_state(&state, action).unwrap();
    }
    assert_eq!(state.machines().count(), 0);
    assert_eq!(state.nodes().next().unwrap().durable(), &7);
}

#[test]
fn a_crash_loses_what_was_not_synced_and_nothing_else() {
    let toy = Toy::<Register<false>>::new(1)
        .crashes(1)
        .script(vec![(N1, 1), (N1, 2)])
        .properties(|| {
            vec![
                Of::<Register<false>>::sometimes("asked and forgotten", |state, _| {
                    state.clients().asked == 1
                        && state.spent().crashes == 1
                        && machine(state, N1).is_some_and(|m| m.value == 0)
                }),
                Of::<Register<false>>::sometimes("the first batch survives alone", |state, _| {
                    state.clients().asked == 2
                        && state.spent().crashes == 1
                        && machine(state, N1).is_some_and(|m| m.value == 1)
                }),
                Of::<Register<false>>::always("what was answered is durable", |state, _| {
                    let durable = state.nodes().next().unwrap().durable();
                    state
                        .clients()
                        .told
                        .iter()
                        .all(|(_, value)| value <= durable)
                }),
            ]
        });
    let report = checked(toy);
    assert!(report.passed(), "{report:?}");
    assert_eq!(
        report.property(CRASH_LOSES).unwrap().verdict,
        Verdict::Found
    );
    assert_eq!(report.property(RECOVERS).unwrap().verdict, Verdict::Found);
}

#[test]
fn a_node_hears_itself_as_soon_as_its_disk_has_synced() {
    let toy = Toy::<Register<false>>::new(1)
        .script(vec![(N1, 1)])
        .properties(|| {
            vec![Of::<Register<false>>::always(
                "told in the same step",
                |state, _| {
                    let durable = *state.nodes().next().unwrap().durable();
                    machine(state, N1).is_some_and(|m| m.durable == durable)
                },
            )]
        });
    let report = checked(toy);
    assert!(report.passed(), "{report:?}");
    assert_eq!(report.unique, 3); // before the request, before the sync, after it
}

#[test]
fn a_message_that_overtakes_its_record_is_caught() {
    let script = vec![(N1, 1)];
    let report = checked(Toy::<Register<true>>::new(2).script(script.clone()));
    let backed = report.property(BACKED).unwrap();
    assert_eq!(backed.verdict, Verdict::Violated);
    assert_eq!(backed.length, Some(1));

    let report = checked(Toy::<Register<false>>::new(2).script(script));
    assert!(report.passed(), "{report:?}");
}

#[test]
fn duplications_are_bounded_in_total() {
    // The greeting in flight or gone.
    assert_eq!(checked(Toy::<Greeter<false>>::new(2)).unique, 2);
    // In flight after 0, 1 and 2 deliveries; gone after 1, 2 and 3.
    let toy = Toy::<Greeter<false>>::new(2).duplications(2);
    assert_eq!(checked(toy).unique, 6);
}

#[test]
fn a_full_network_loses_any_message() {
    // Two greetings where one fits: either is lost, and the other arrives or not.
    let toy = Toy::<Greeter<false>>::new(3).in_flight(1);
    assert_eq!(checked(toy).unique, 5);
}

#[test]
fn a_delivery_that_changes_nothing_makes_no_state() {
    assert_eq!(checked(Toy::<Greeter<true>>::new(3)).unique, 1);
}

#[test]
fn a_message_to_a_crashed_node_waits() {
    let toy = Toy::<Greeter<false>>::new(2).crashes(1).properties(|| {
        vec![Of::<Greeter<false>>::sometimes(
            "greeted after recovery",
            |state, _| {
                state.spent().crashes == 1
                    && machine(state, N2).is_some_and(|m| m.greeted == 1)
                    && machine(state, N1).is_some()
            },
        )]
    });
    let report = checked(toy);
    assert_eq!(
        report.property("greeted after recovery").unwrap().verdict,
        Verdict::Found
    );
}

#[test]
fn a_panicking_machine_has_a_counterexample() {
    let report = checked(Toy::<Unruly>::new(1).script(vec![(N1, true)]));
    let failure = report.property(NO_FAILURE).unwrap();
    assert_eq!(failure.length, Some(1));
    let text = failure.trace.as_ref().unwrap().to_string();
    assert!(text.contains("FAILS: panicked: unruly"), "{text}");
}

#[test]
fn a_machine_that_never_rests_has_a_counterexample() {
    let report = checked(Toy::<Unruly>::new(1).script(vec![(N1, false)]));
    let failure = report.property(NO_FAILURE).unwrap();
    assert_eq!(
        (failure.verdict, failure.length),
        (Verdict::Violated, Some(1))
    );
}
