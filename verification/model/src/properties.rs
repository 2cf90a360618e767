//! Properties: the built-in ones, and how any of them reaches stateright.
//!
//! stateright wants a property's condition as a plain function of model and state, and ours are
//! closures. So the system keeps them in numbered slots, and the condition of slot `I` is a function
//! of its own, [`check_slot`]`::<P, I>`, which looks there.
//!
//! The detour is worth more than closures. stateright stores a path whenever a property fails, or a
//! `sometimes` property holds, and lets the last such state win, which makes paths long and copies a
//! path for most states. A slot speaks up once, for the first state. That also keeps the search
//! going: stateright gives up early when every property of a state has something to report.

use crate::protocol::Expectation;
use crate::state::Node;
use crate::{Property, Protocol, State, System};
use quorate_machine::Machine;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// A property and whether it has been decided: violated, or an example found.
pub(crate) struct Slot<P: Protocol> {
    pub(crate) property: Property<P>,
    decided: AtomicBool,
}

/// The properties of `protocol`, the built-in ones first.
pub(crate) fn slots<P: Protocol>(protocol: &P) -> Vec<Slot<P>> {
    let mut all = built_in(protocol);
    all.extend(protocol.properties());
    assert!(
        all.len() <= SLOTS,
        "{} properties, and no more than {SLOTS} are possible",
        all.len()
    );
    let names: HashSet<_> = all.iter().map(|property| property.name).collect();
    assert_eq!(names.len(), all.len(), "two properties have the same name");
    all.into_iter()
        .map(|property| Slot {
            property,
            decided: AtomicBool::new(false),
        })
        .collect()
}

/// Every message on the wire is backed by its sender's disk.
pub const BACKED: &str = "a released message is backed by its sender's disk";
/// No machine panics or talks to itself for ever.
pub const NO_FAILURE: &str = "no step panics or goes on for ever";
/// A crash can hit unsynced records. The crash itself is the next step, always enabled.
pub const CRASH_LOSES: &str = "a crash loses unsynced records";
/// A node has come back.
pub const RECOVERS: &str = "a node recovers";

fn built_in<P: Protocol>(protocol: &P) -> Vec<Property<P>> {
    let mut all = vec![
        Property::always(BACKED, backed),
        Property::always(NO_FAILURE, |state: &State<P>, _: &P| {
            !state.nodes().any(|n| matches!(n, Node::Failed { .. }))
        }),
    ];
    // Said of the state before the crash, and by counting crashes: a flag of its own in every state
    // would double the states.
    if protocol.bounds().crashes > 0 {
        all.push(Property::sometimes(CRASH_LOSES, crash_loses));
        all.push(Property::sometimes(RECOVERS, |state: &State<P>, _: &P| {
            let down = state.nodes().filter(|node| node.up().is_none()).count();
            usize::from(state.spent.crashes) > down
        }));
    }
    all
}

fn backed<P: Protocol>(state: &State<P>, protocol: &P) -> bool {
    state.network().all(|envelope| {
        let sender = protocol.nodes().iter().zip(state.nodes());
        let mut disks = sender.filter(|(id, _)| **id == envelope.from);
        disks.all(|(_, node)| P::Machine::backed(envelope.to, &envelope.message, node.durable()))
    })
}

fn crash_loses<P: Protocol>(state: &State<P>, protocol: &P) -> bool {
    let bounds = protocol.bounds();
    state.spent.crashes < bounds.crashes
        && state.network.len() <= bounds.in_flight
        && state
            .nodes()
            .filter_map(Node::up)
            .any(|up| !up.unsynced.is_empty())
}

/// Whether slot `I` has nothing to report of `state`.
fn check_slot<P: Protocol, const I: usize>(system: &System<P>, state: &State<P>) -> bool {
    let Slot { property, decided } = &system.slots[I];
    let quiet = property.expectation == Expectation::Always;
    if decided.load(Ordering::Relaxed) || system.is_stopped() {
        return quiet;
    }
    let reports = (property.condition)(state, &system.protocol) != quiet;
    // Of two threads that find something at the same time, one reports.
    let first = reports && !decided.swap(true, Ordering::Relaxed);
    if first && property.expectation == Expectation::Always {
        system.violated();
    }
    quiet != first
}

/// The slots as stateright's properties.
pub(crate) fn of<P: Protocol>(slots: &[Slot<P>]) -> Vec<stateright::Property<System<P>>> {
    slots
        .iter()
        .zip(conditions::<P>())
        .map(|(slot, condition)| stateright::Property {
            expectation: match slot.property.expectation {
                Expectation::Always => stateright::Expectation::Always,
                Expectation::Sometimes => stateright::Expectation::Sometimes,
            },
            name: slot.property.name,
            condition,
        })
        .collect()
}

type SlotCondition<P> = fn(&System<P>, &State<P>) -> bool;

macro_rules! slot_conditions {
    ($($slot:literal)*) => {
        const SLOTS: usize = [$($slot),*].len();

        fn conditions<P: Protocol>() -> [SlotCondition<P>; SLOTS] {
            [$(check_slot::<P, $slot>),*]
        }
    };
}

slot_conditions! {
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23
    24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47
}
