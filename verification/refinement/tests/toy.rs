//! The comparison itself, on a counter small enough that its specification's graph can be written by hand.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use quorate_machine::{Effects, Event, Machine, NodeId};
use quorate_model::{Action, Bounds, Node, Property, Protocol, Request, State, System};
use quorate_refinement::{Difference, Graph, Move, Pool, Report, Subject, Value, Wrong, compare};
use stateright::Model;
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What may be wrong with the machine.
const NOTHING: u8 = 0;
const NOT_PERSISTED: u8 = 1;
const PANICS: u8 = 2;

/// Counts to two, and has each number on disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Counter<const WRONG: u8>(u8);

impl<const WRONG: u8> Machine for Counter<WRONG> {
    type Config = ();
    type Command = ();
    type Message = ();
    type Timer = ();
    type Record = u8;
    type Durable = u8;
    type Output = ();

    fn apply(durable: &mut u8, record: &u8) {
        *durable = *record;
    }
    fn start(_: &(), durable: &u8, _: &mut Effects<Self>) -> Self {
        Counter(*durable)
    }
    fn step(&mut self, _: &(), _: Event<Self>, fx: &mut Effects<Self>) {
        self.0 += 1;
        assert!(WRONG != PANICS || self.0 < 2, "cannot count to two");
        if WRONG != NOT_PERSISTED || self.0 < 2 {
            fx.persist(self.0);
        }
    }
    fn backed(_: NodeId, (): &(), _: &u8) -> bool {
        true
    }
}

struct OneNode<const WRONG: u8>(Bounds);

impl<const WRONG: u8> Protocol for OneNode<WRONG> {
    type Machine = Counter<WRONG>;
    type Clients = ();

    fn name(&self) -> &str {
        "counter"
    }
    fn nodes(&self) -> &[NodeId] {
        &[NodeId(1)]
    }
    fn config(&self, _: NodeId) -> &() {
        &()
    }
    fn bounds(&self) -> &Bounds {
        &self.0
    }
    fn clients(&self) {}
    fn requests(&self, state: &State<Self>, out: &mut Vec<Request<Counter<WRONG>>>) {
        if state.machines().any(|counter| counter.0 < 2) {
            out.push(Request {
                client: 0,
                node: NodeId(1),
                command: (),
            });
        }
    }
    fn requested(&self, (): &mut (), _: &Request<Counter<WRONG>>) {}
    fn output(&self, (): &mut (), _: NodeId, (): &()) {}
    fn properties(&self) -> Vec<Property<Self>> {
        Vec::new()
    }
}

struct Toy<const WRONG: u8>(System<OneNode<WRONG>>);

impl<const WRONG: u8> Subject for Toy<WRONG> {
    type Protocol = OneNode<WRONG>;
    type History = ();
    type Error = Infallible;

    fn system(&self) -> &System<OneNode<WRONG>> {
        &self.0
    }
    fn history(&self) {}
    fn actions(&self, state: &State<OneNode<WRONG>>, (): &(), out: &mut Vec<Move<OneNode<WRONG>>>) {
        let mut actions = Vec::new();
        self.0.actions(state, &mut actions);
        out.extend(actions.into_iter().map(|action| Move {
            name: match action {
                Action::Sync(_) => "Syncs",
                _ => "Adds",
            },
            action,
        }));
    }
    fn identify(&self, state: &State<OneNode<WRONG>>, (): &(), hasher: &mut impl Hasher) {
        state.hash(hasher);
    }
    fn follow(
        &self,
        _: &State<OneNode<WRONG>>,
        (): &(),
        _: &Move<OneNode<WRONG>>,
        _: &State<OneNode<WRONG>>,
    ) {
    }
    fn abstraction(&self, state: &State<OneNode<WRONG>>, (): &()) -> Result<Value, Infallible> {
        let node = state.nodes().next();
        let (memory, unsynced) = node
            .and_then(Node::up)
            .map_or((0, 0), |up| (up.machine.0, up.unsynced.len()));
        let disk = node.map_or(0, |node| *node.durable());
        Ok(values(memory, disk, unsynced as u8))
    }
}

fn values(memory: u8, disk: u8, unsynced: u8) -> Value {
    let number = |number: u8| Value::number(number.into());
    Value::record([
        ("memory", number(memory)),
        ("disk", number(disk)),
        ("unsynced", number(unsynced)),
    ])
}

const STATES: &[(u8, u8, u8)] = &[(0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 1, 1), (2, 2, 0)];
const STEPS: &[(usize, &str, usize)] = &[
    (0, "Adds", 1),
    (1, "Syncs", 2),
    (2, "Adds", 3),
    (3, "Syncs", 4),
];

/// The graph as TLC would write it.
fn written(states: &[(u8, u8, u8)], steps: &[(usize, &str, usize)]) -> String {
    let mut text = String::from("strict digraph DiskGraph {\n");
    for (number, (memory, disk, unsynced)) in states.iter().enumerate() {
        let filled = if number == 0 {
            ",style = filled]"
        } else {
            "];"
        };
        text += &format!(
            "{number} [label=\"/\\\\ memory = {memory}\\n/\\\\ disk = {disk}\\n/\\\\ unsynced = {unsynced}\"{filled}\n"
        );
    }
    for (from, action, to) in steps {
        text += &format!("{from} -> {to} [label=\"{action}\",color=\"black\"];\n");
    }
    text + "}\n"
}

fn compared<const WRONG: u8>(states: &[(u8, u8, u8)], steps: &[(usize, &str, usize)]) -> Report {
    let mut pool = Pool::default();
    let graph = Graph::read(written(states, steps).as_bytes(), &mut pool).unwrap();
    let bounds = Bounds {
        crashes: 0,
        unsynced: 1,
        ..Bounds::default()
    };
    let toy = Toy::<WRONG>(System::new(Arc::new(OneNode(bounds))));
    compare(&toy, &graph, &mut pool, 100).unwrap()
}

#[test]
fn equal_graphs_are_told_to_be_equal() {
    let report = compared::<NOTHING>(STATES, STEPS);
    assert!(report.refines() && report.covers(), "{report}");
    assert_eq!((report.rust_states, report.rust_steps), (5, 4));
}

#[test]
fn a_step_to_an_unknown_state_is_found_with_the_way_to_it() {
    let report = compared::<NOTHING>(&STATES[..4], &STEPS[..3]);
    let disagreement = report.disagreement.as_ref().unwrap();
    assert_eq!(disagreement.wrong, Wrong::NoSuchState);
    assert_eq!(disagreement.path.len(), 4, "{report}");
    assert!(disagreement.path[3].contains("[Syncs]"), "{report}");
    let changes: Vec<_> = disagreement.changes.iter().map(|c| c.to_string()).collect();
    assert_eq!(changes, ["disk: 1 → 2", "unsynced: 1 → 0"]);
}

#[test]
fn a_step_between_known_states_is_found() {
    let missing = [STEPS[0], STEPS[1], (0, "Jumps", 3), STEPS[3]];
    let report = compared::<NOTHING>(STATES, &missing);
    assert_eq!(report.disagreement.unwrap().wrong, Wrong::NoSuchStep);
}

#[test]
fn a_step_by_another_name_is_found() {
    let renamed = [STEPS[0], STEPS[1], (2, "Jumps", 3), STEPS[3]];
    let report = compared::<NOTHING>(STATES, &renamed);
    let wrong = report.disagreement.unwrap().wrong;
    assert_eq!(wrong, Wrong::OtherAction("Jumps".to_owned()));
}

#[test]
fn what_rust_never_does_is_counted() {
    let states = [STATES, &[(9, 9, 9)]].concat();
    let steps = [
        STEPS,
        &[(2, "Resets", 0), (2, "Resets", 5), (5, "Resets", 0)],
    ]
    .concat();
    let report = compared::<NOTHING>(&states, &steps);
    assert!(report.refines() && !report.covers(), "{report}");
    assert_eq!(report.states_not_reached, 1);
    let resets = report
        .actions
        .iter()
        .find(|count| count.name == "Resets")
        .unwrap();
    assert_eq!((resets.not_taken, resets.not_reached), (2, 1));
}

#[test]
fn a_machine_that_forgets_its_disk_is_found() {
    let report = compared::<NOT_PERSISTED>(STATES, STEPS);
    let disagreement = report.disagreement.as_ref().unwrap();
    // Nothing of the second number is on its way to the disk, so nothing keeps it from counting on.
    assert_eq!(disagreement.path.len(), 2, "{report}");
    assert_eq!(disagreement.changes[0].to_string(), "memory: 1 → 2");
    assert_eq!(disagreement.enabled, ["Syncs"]);
    assert!(disagreement.choices.is_empty(), "{report}");
}

#[test]
fn what_the_specification_does_instead_is_told() {
    let mut states = STATES.to_vec();
    states[3] = (2, 1, 9);
    let report = compared::<NOTHING>(&states, STEPS);
    let choice = &report.disagreement.as_ref().unwrap().choices[0];
    let told = |differences: &[Difference]| -> Vec<String> {
        differences.iter().map(|one| one.to_string()).collect()
    };
    assert_eq!(told(&choice.changes), ["memory: 1 → 2", "unsynced: 0 → 9"]);
    assert_eq!(told(&choice.from_rust), ["unsynced: 9 → 1"]);
}

#[test]
fn a_machine_that_panics_has_no_counterpart() {
    let report = compared::<PANICS>(STATES, STEPS);
    let wrong = report.disagreement.unwrap().wrong;
    assert!(matches!(wrong, Wrong::NoCounterpart(reason) if reason.contains("cannot count")));
}

#[test]
fn another_beginning_is_found() {
    let states = [(7, 0, 0), STATES[0], STATES[1]];
    let report = compared::<NOTHING>(&states, &[(0, "Adds", 1), (1, "Adds", 2)]);
    assert_eq!(report.disagreement.unwrap().wrong, Wrong::Initial);
}
