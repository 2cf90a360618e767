//! A trace that is complete as soon as every parent that its spans name has arrived.
//!
//! It sounds like a definition and is a race: a lone root names no parent, so the trace closes with it,
//! and the children that are still on their way are refused. No span says how many children it has; only
//! quiet hints that all have come, and even then a late one must be let in.

use super::Specimen;
use crate::{Bounds, Scenario};
use quorate_machine::{Effects, Event, Machine, NodeId};
use std::collections::BTreeMap;

/// The property that it breaks.
pub const NOTHING_REFUSED: &str = "no span is refused for coming late";

/// A span: its number and its parent's.
pub type Span = (u8, Option<u8>);

/// One trace, that closes in haste.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hasty {
    spans: BTreeMap<u8, Option<u8>>,
    closed: bool,
}

/// What a sender is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// The span is in the trace.
    Accepted(Span),
    /// The trace is complete without it.
    Refused(Span),
}

/// What is on the disk: the spans, and whether the trace is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Disk {
    spans: BTreeMap<u8, Option<u8>>,
    sealed: bool,
}

/// One durable write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// A span.
    Span(Span),
    /// The trace is complete.
    Sealed,
}

impl Machine for Hasty {
    type Config = ();
    type Command = Span;
    type Message = ();
    type Timer = ();
    type Record = Record;
    type Durable = Disk;
    type Output = Told;

    fn apply(disk: &mut Disk, record: &Record) {
        match record {
            Record::Span((span, parent)) => {
                disk.spans.insert(*span, *parent);
            }
            Record::Sealed => disk.sealed = true,
        }
    }

    fn start((): &(), disk: &Disk, _: &mut Effects<Self>) -> Self {
        Hasty {
            spans: disk.spans.clone(),
            closed: disk.sealed,
        }
    }

    fn step(&mut self, (): &(), event: Event<Self>, fx: &mut Effects<Self>) {
        let Event::Command(span) = event else {
            return;
        };
        if self.closed {
            fx.output(Told::Refused(span));
            return;
        }
        self.spans.insert(span.0, span.1);
        fx.persist(Record::Span(span));
        fx.output(Told::Accepted(span));
        let mut parents = self.spans.values().flatten();
        let rooted = self.spans.values().any(Option::is_none);
        if rooted && parents.all(|parent| self.spans.contains_key(parent)) {
            self.closed = true;
            fx.persist(Record::Sealed);
        }
    }

    fn backed(_: NodeId, (): &(), _: &Disk) -> bool {
        true
    }
}

/// A root and its child, from two services.
pub fn specimen() -> Specimen<Scenario<Hasty>> {
    let protocol = Scenario::new("complete once every named parent is there", 1, |_, _| ())
        .bounds(Bounds {
            crashes: 0,
            ..Bounds::default()
        })
        .client([(1, None)])
        .client([(2, Some(1))])
        .always(NOTHING_REFUSED, |state| {
            let mut told = state.clients().told();
            !told.any(|told| matches!(told, Told::Refused(_)))
        });
    Specimen {
        protocol,
        breaks: NOTHING_REFUSED,
    }
}
