//! A comparison of vector clocks that says *equal* of concurrent ones.
//!
//! Neither is less than the other, so they are the same: true of numbers, false of clocks. A replica that is
//! sent an update which is concurrent with its own takes it for what it has already, and drops it. The
//! comparison has four answers, and concurrent updates are both to be kept until somebody has seen both.
//! [`quorate_clocks::VectorClock`] has the four.

use super::Specimen;
use crate::{Bounds, Scenario};
use quorate_clocks::{Causality, VectorClock};
use quorate_machine::{Effects, Event, Machine, NodeId};

/// The property that it breaks.
pub const NOTHING_LOST: &str = "an update that was heard of is kept until a later one is";

/// When an update was made.
type Version = VectorClock<NodeId>;

/// A replica's name, the other replicas, and how it compares.
#[derive(Clone, Debug)]
pub struct Place {
    me: NodeId,
    others: Vec<NodeId>,
    compare: fn(&Version, &Version) -> Causality,
}

/// A replica of one value. What the value is does not matter here, only the update it is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Replica {
    /// Updates that stand side by side.
    kept: Vec<Version>,
    /// All that it made or heard of.
    heard: Vec<Version>,
}

impl Machine for Replica {
    type Config = Place;
    /// Somebody updates the value who has seen what the replica has.
    type Command = ();
    type Message = Version;
    type Timer = ();
    type Record = ();
    type Durable = ();
    type Output = ();

    fn apply((): &mut (), (): &()) {}

    fn start(_: &Place, (): &(), _: &mut Effects<Self>) -> Self {
        Replica::default()
    }

    fn step(&mut self, place: &Place, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Command(()) => {
                let mut version = Version::new();
                self.kept.iter().for_each(|seen| version.merge(seen));
                version.increment(place.me);
                self.hear(place, version.clone());
                for other in &place.others {
                    fx.send(*other, version.clone());
                }
            }
            Event::Receive { message, .. } => self.hear(place, message),
            Event::Timeout(()) => {}
        }
    }

    fn backed(_: NodeId, _: &Version, (): &()) -> bool {
        true // replicas are in memory, and nobody crashes here
    }
}

impl Replica {
    fn hear(&mut self, place: &Place, version: Version) {
        if !self.heard.contains(&version) {
            self.heard.push(version.clone());
            self.heard.sort_unstable_by(|a, b| a.iter().cmp(b.iter()));
        }
        let is_known = |kept: &Version| {
            let order = (place.compare)(&version, kept);
            matches!(order, Causality::Before | Causality::Equal)
        };
        if self.kept.iter().any(is_known) {
            return;
        }
        self.kept
            .retain(|kept| (place.compare)(kept, &version) != Causality::Before);
        self.kept.push(version);
    }

    /// Of every update that it heard of, whether it has that or a later one.
    fn lost_nothing(&self) -> bool {
        let is_covered = |heard: &Version| self.kept.iter().any(|kept| heard <= kept);
        self.heard.iter().all(is_covered)
    }
}

/// The wrong comparison.
fn blind(one: &Version, other: &Version) -> Causality {
    match one.compare(other) {
        Causality::Concurrent => Causality::Equal,
        order => order,
    }
}

/// Two replicas and three updates; with `sighted`, the comparison has four answers.
pub fn scenario(sighted: bool) -> Scenario<Replica> {
    let (name, compare): (_, fn(&Version, &Version) -> Causality) = match sighted {
        true => ("clocks that are compared in four ways", Version::compare),
        false => ("concurrent clocks that count as equal", blind),
    };
    let place = move |me: NodeId, nodes: &[NodeId]| Place {
        me,
        others: nodes.iter().copied().filter(|node| *node != me).collect(),
        compare,
    };
    Scenario::new(name, 2, place)
        .bounds(Bounds {
            crashes: 0,
            ..Bounds::default()
        })
        .client([(), ()])
        .client([()])
        .always(NOTHING_LOST, |state| {
            state.machines().all(Replica::lost_nothing)
        })
        .sometimes(
            "two updates are made without knowing of each other",
            |state| {
                let machines: Vec<&Replica> = state.machines().collect();
                machines.iter().all(|replica| !replica.kept.is_empty())
                    && machines[0].kept != machines[1].kept
            },
        )
}

/// With the wrong comparison.
pub fn specimen() -> Specimen<Scenario<Replica>> {
    Specimen {
        protocol: scenario(false),
        breaks: NOTHING_LOST,
    }
}
