//! What must hold of assembly in every state, and what must be reachable.

use super::{AssemblyModel, Limits, running};
use crate::{Node, Property, State, Up};
use quorate_assembly::machine::{Assembler, Durable, Fragment, Offered, Record, Timer};
use quorate_assembly::{Phase, invariants};
use quorate_trace::Verdict;

type Found = State<AssemblyModel>;

/// The disk, of a node that is up or down.
fn disk(state: &Found) -> impl Iterator<Item = &Durable> {
    state.nodes().map(Node::durable)
}

pub(super) fn safety() -> Vec<Property<AssemblyModel>> {
    vec![
        Property::always("acknowledged means durable", |state: &Found, model| {
            every_accepted(state, model, |span| {
                disk(state).all(|disk| invariants::is_durable(span, disk))
            })
        }),
        Property::always("accepted spans are never lost", |state: &Found, model| {
            let Some(up) = running(state) else {
                return true;
            };
            every_accepted(state, model, |span| {
                invariants::is_kept(span, &up.machine, &up.durable)
            })
        }),
        Property::always("an open trace is never forgotten", |state: &Found, _| {
            running(state).is_none_or(|up| up.machine.traces().all(|trace| is_watched(up, trace)))
        }),
        Property::always("sealed exactly once per revision", |state: &Found, _| {
            disk(state).all(invariants::sealed_once)
        }),
        Property::always("complete only when complete", |state: &Found, _| {
            disk(state).all(invariants::judged_rightly)
        }),
        Property::always("a late span amends", |state: &Found, model| {
            let rests = running(state).filter(|up| at_rest(up));
            rests.is_none_or(|up| {
                every_accepted(state, model, |span| {
                    invariants::occurrences(span, &up.durable) == 1
                })
            })
        }),
        Property::always("at rest the log is empty", |state: &Found, _| {
            let rests = running(state).filter(|up| at_rest(up));
            rests.is_none_or(|up| up.durable.log.is_empty())
        }),
    ]
}

fn every_accepted(state: &Found, model: &AssemblyModel, holds: impl Fn(&Offered) -> bool) -> bool {
    let mut accepted = model.accepted(state.clients());
    accepted.all(|span| holds(&span))
}

/// Whether something will happen to an open trace if nothing else does: a timer is armed, or its
/// revision is on its way to the disk.
fn is_watched(up: &Up<Assembler>, trace: quorate_trace::TraceId) -> bool {
    let armed = |timer| up.timers.contains(&timer);
    match up.machine.phase(&trace) {
        Some(Phase::Active) => armed(Timer::Quiet(trace)) && armed(Timer::Deadline(trace)),
        Some(Phase::Collecting) => armed(Timer::Deadline(trace)),
        Some(Phase::Sealing) => armed(Timer::Judge(trace)) || is_being_stored(up, trace),
        None => true,
    }
}

fn is_being_stored(up: &Up<Assembler>, trace: quorate_trace::TraceId) -> bool {
    let mut records = up.unsynced.iter().flatten();
    records.any(|record| matches!(record, Record::Stored(of, _) if *of == trace))
}

/// Whether nothing is open and nothing on its way.
fn at_rest(up: &Up<Assembler>) -> bool {
    up.unsynced.is_empty() && up.machine.traces().next().is_none()
}

fn sealed(state: &Found, what: impl Fn(&Fragment) -> bool) -> bool {
    let mut stored = disk(state).flat_map(|disk| disk.store.values().flatten());
    stored.any(what)
}

/// Evidence that the model reaches what it is there to explore.
pub(super) fn reachable(limits: &Limits) -> Vec<Property<AssemblyModel>> {
    let mut all = vec![
        Property::sometimes(
            "a trace times out, and what it misses is named",
            |s: &Found, _| {
                sealed(s, |f| {
                    f.completeness.verdict == Verdict::Incomplete
                        && !f.completeness.missing.is_empty()
                })
            },
        ),
        Property::sometimes(
            "a span arrives while its trace is sealed",
            |s: &Found, _| {
                running(s).is_some_and(|up| {
                    let mut traces = up.machine.traces();
                    traces.any(|trace| up.machine.has_waiting(&trace))
                })
            },
        ),
    ];
    if limits.spans.iter().any(|(_, _, parent)| *parent == 0) {
        all.push(Property::sometimes(
            "a trace is complete",
            |s: &Found, _| sealed(s, |f| f.completeness.verdict == Verdict::Complete),
        ));
        all.push(Property::sometimes(
            "a late span amends an incomplete trace to complete",
            |s: &Found, _| {
                disk(s).any(|disk| disk.store.values().any(|fragments| is_healed(fragments)))
            },
        ));
    } else {
        all.push(Property::sometimes(
            "a trace misses nothing but a root",
            |s: &Found, _| {
                sealed(s, |f| {
                    f.completeness.verdict == Verdict::Incomplete
                        && f.completeness.missing.is_empty()
                })
            },
        ));
    }
    if limits.evictions > 0 {
        all.push(Property::sometimes("a trace is evicted", |s: &Found, _| {
            sealed(s, |f| f.completeness.verdict == Verdict::Evicted)
        }));
    }
    if limits.duplicates > 0 {
        all.push(Property::sometimes(
            "a duplicate of a stored span collapses",
            |s: &Found, model: &AssemblyModel| {
                let twice = model.spans().zip(&s.clients().accepted);
                let mut twice = twice.filter(|(_, times)| **times > 1);
                running(s).is_some_and(|up| {
                    at_rest(up) && twice.any(|(span, _)| invariants::is_stored(&span, &up.durable))
                })
            },
        ));
    }
    if limits.crashes > 0 {
        all.push(Property::sometimes(
            "a crash can fall between seal and store",
            |s: &Found, model: &AssemblyModel| {
                s.spent().crashes < model.limits.crashes
                    && running(s).is_some_and(|up| {
                        let mut traces = up.machine.traces();
                        traces.any(|trace| is_being_stored(up, trace))
                    })
            },
        ));
        all.push(Property::sometimes(
            "recovery resumes a half-stored trace",
            |s: &Found, model: &AssemblyModel| {
                let recovered = running(s).filter(|_| s.spent().crashes > 0);
                recovered.is_some_and(|up| {
                    let mut spans = model.spans();
                    spans.any(|span| {
                        up.machine.holds(&span)
                            && !invariants::is_stored(&span, &up.durable)
                            && !invariants::revisions(&span.trace, &up.durable).is_empty()
                    })
                })
            },
        ));
    }
    all
}

/// Whether a trace that was incomplete became complete.
fn is_healed(fragments: &[Fragment]) -> bool {
    let verdicts: Vec<_> = fragments.iter().map(|f| f.completeness.verdict).collect();
    verdicts
        .windows(2)
        .any(|pair| pair == [Verdict::Incomplete, Verdict::Complete])
}
