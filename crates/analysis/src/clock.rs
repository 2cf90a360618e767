//! How far the clocks of a trace's services are apart.
//!
//! A call that is waited for tells, as an exchange of NTP does (RFC 5905, section 8): the callee cannot
//! have begun before the caller sent, nor ended after the caller had its answer. With o added to the
//! callee's clock,
//!
//! ```text
//! client.start <= server.start + o    and    server.end + o <= client.end
//! ```
//!
//! so o lies in an interval as wide as the network took. All calls between the same two clocks are
//! intersected. Where a call contradicts the others (a clock was set, a caller gave up waiting), the point
//! that most intervals contain is taken, by the sweep of Marzullo (1984) that NTP uses too.
//!
//! Of the offsets that are possible the smallest is chosen, zero if it is one of them: times are moved no
//! further than what was seen demands. Along a chain of calls offsets and uncertainties add up.

use std::collections::VecDeque;

use quorate_trace::wire::{Span, SpanKind, Value};

use crate::Graph;
use crate::graph::NONE;

/// A clock: a service, on one host or in one instance if its resource tells them apart. Never shared
/// between services, as host names are often not unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock<'s> {
    pub(crate) service: &'s str,
    pub(crate) instance: Option<&'s str>,
}

/// What one call says of the callee's clock against the caller's.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// The smaller clock first; the bounds are for what to add to the second one's times.
    clocks: (u32, u32),
    low: i64,
    high: i64,
}

/// What all calls between two clocks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    clocks: (u32, u32),
    low: i64,
    high: i64,
    samples: u32,
}

/// The correction of one clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Correction {
    /// To be added to its times.
    pub(crate) offset: i64,
    /// How much larger or smaller the offset may be.
    pub(crate) uncertainty: u64,
    /// Calls that it was told from; none if nothing is known.
    pub(crate) samples: u32,
}

/// All clocks of a trace, and which spans are told by which.
pub(crate) struct Clocks<'s> {
    pub(crate) clocks: Vec<Clock<'s>>,
    /// Per span.
    pub(crate) of_span: Vec<u32>,
    pub(crate) corrections: Vec<Correction>,
    /// The clock that the others are told by.
    pub(crate) reference: u32,
}

impl<'s> Clocks<'s> {
    pub(crate) fn new(graph: &Graph<'_, 's>) -> Self {
        let (clocks, of_span) = clocks_of(graph.spans());
        let mut found = Clocks {
            corrections: vec![Correction::default(); clocks.len()],
            clocks,
            of_span,
            reference: 0,
        };
        if found.clocks.len() > 1 {
            let bounds = intersect(samples(graph, &found.of_span));
            found.spread(graph, &bounds);
        }
        found
    }

    /// Sums up along the calls, breadth first from the root's clock; the calls of a trace may lie in
    /// several parts that nothing connects, each of which begins at zero.
    fn spread(&mut self, graph: &Graph<'_, '_>, bounds: &[Bounds]) {
        let mut neighbours: Vec<(u32, u32, usize)> = Vec::with_capacity(2 * bounds.len());
        for (at, Bounds { clocks, .. }) in bounds.iter().enumerate() {
            neighbours.push((clocks.0, clocks.1, at));
            neighbours.push((clocks.1, clocks.0, at));
        }
        neighbours.sort_unstable();
        let mut reached = vec![false; self.clocks.len()];
        let first = graph.tops().first();
        self.reference = first.map_or(0, |top| self.of_span[*top as usize]);
        let mut queue = VecDeque::new();
        for top in graph.tops() {
            let clock = self.of_span[*top as usize];
            if !std::mem::replace(&mut reached[clock as usize], true) {
                queue.push_back(clock);
            }
            while let Some(clock) = queue.pop_front() {
                let from = neighbours.partition_point(|(one, ..)| *one < clock);
                for (one, other, at) in &neighbours[from..] {
                    if *one != clock {
                        break;
                    }
                    if !std::mem::replace(&mut reached[*other as usize], true) {
                        self.corrections[*other as usize] =
                            self.corrections[clock as usize].and(&bounds[*at], *other);
                        queue.push_back(*other);
                    }
                }
            }
        }
    }
}

impl Correction {
    /// Of the clock at the other end of a call, from this one's.
    fn and(&self, bounds: &Bounds, other: u32) -> Correction {
        let (low, high) = if bounds.clocks.1 == other {
            (bounds.low, bounds.high)
        } else {
            (-bounds.high, -bounds.low)
        };
        let offset = 0.clamp(low, high);
        let reach = (high - offset).max(offset - low).unsigned_abs();
        Correction {
            offset: self.offset.saturating_add(offset),
            uncertainty: self.uncertainty.saturating_add(reach),
            samples: bounds.samples,
        }
    }
}

/// Spans of one resource share its service's name in memory, so a resource is read once mostly.
fn clocks_of<'s>(spans: &[Span<'s>]) -> (Vec<Clock<'s>>, Vec<u32>) {
    let mut clocks: Vec<Clock<'s>> = Vec::new();
    let mut by_name: Vec<(*const u8, u32)> = Vec::new();
    let mut of_span = Vec::with_capacity(spans.len());
    let mut latest = (std::ptr::null(), 0);
    let mut index = hashbrown::HashMap::<(&str, Option<&str>), u32, ahash::RandomState>::default();
    for span in spans {
        let name = span.service.as_ptr();
        let known = if name == latest.0 {
            Some(latest.1)
        } else {
            let known = by_name.iter().rev().take(8).find(|(at, _)| *at == name);
            known.map(|(_, clock)| *clock)
        };
        // Without a name of its own a resource has the same text in memory as others without.
        let clock = known
            .filter(|_| span.service != "unknown_service")
            .unwrap_or_else(|| {
                let clock = Clock {
                    service: span.service,
                    instance: instance(span),
                };
                let key = (clock.service, clock.instance);
                let at = *index.entry(key).or_insert_with(|| {
                    clocks.push(clock);
                    clocks.len() as u32 - 1
                });
                by_name.push((name, at));
                at
            });
        latest = (name, clock);
        of_span.push(clock);
    }
    (clocks, of_span)
}

/// The host whose clock it is, or else the instance of the service.
fn instance<'s>(span: &Span<'s>) -> Option<&'s str> {
    let (mut host, mut instance) = (None, None);
    for (key, value) in span.resource_attributes() {
        if let Value::String(text) = value {
            match key {
                "host.id" | "host.name" => host = host.or(Some(text)),
                "service.instance.id" => instance = Some(text),
                _ => {}
            }
        }
    }
    host.or(instance)
}

fn samples(graph: &Graph<'_, '_>, of_span: &[u32]) -> Vec<Sample> {
    let mut samples = Vec::new();
    for at in graph.topological_order() {
        let Some(parent) = graph.parent(*at) else {
            continue;
        };
        let clocks = (of_span[parent as usize], of_span[*at as usize]);
        if clocks.0 == clocks.1 {
            continue;
        }
        if let Some((low, high)) = bounds(graph.span(parent), graph.span(*at)) {
            samples.push(if clocks.0 < clocks.1 {
                Sample { clocks, low, high }
            } else {
                Sample {
                    clocks: (clocks.1, clocks.0),
                    low: -high,
                    high: -low,
                }
            });
        }
    }
    samples
}

/// What a call says of the callee's clock: the least and the most to add. Nothing if times are missing, or
/// if the caller may not have waited for the callee.
fn bounds(caller: &Span<'_>, callee: &Span<'_>) -> Option<(i64, i64)> {
    use SpanKind::{Client, Server, Unspecified};
    // A caller's own server span stands for the client span that it does not record.
    let is_call = matches!(caller.kind, Client | Server | Unspecified)
        && matches!(callee.kind, Server | Unspecified);
    let times = [caller.start, caller.end, callee.start, callee.end];
    let is_timed = times.iter().all(|time| (1..=LATEST).contains(time))
        && caller.start <= caller.end
        && callee.start <= callee.end;
    if !is_call || !is_timed {
        return None;
    }
    let less = |one: u64, other: u64| one as i64 - other as i64;
    let low = less(caller.start, callee.start);
    if callee.duration() <= caller.duration() {
        Some((low, less(caller.end, callee.end)))
    } else {
        // A client that gave up still saw the callee begin.
        let gave_up = caller.kind == Client;
        gave_up.then(|| (low, less(caller.end, callee.start)))
    }
}

/// The year 2116; differences of times up to there, and sums of a few of them, fit.
const LATEST: u64 = i64::MAX as u64 / 2;

fn intersect(mut samples: Vec<Sample>) -> Vec<Bounds> {
    samples.sort_unstable_by_key(|sample| sample.clocks);
    let pairs = samples.chunk_by(|one, other| one.clocks == other.clocks);
    pairs.map(most_agreed).collect()
}

/// Marzullo's sweep: the first of the smallest intervals that lie in the most of the samples.
fn most_agreed(samples: &[Sample]) -> Bounds {
    let low = samples.iter().map(|sample| sample.low).max().unwrap_or(0);
    let high = samples.iter().map(|sample| sample.high).min().unwrap_or(0);
    let mut best = Bounds {
        clocks: samples.first().map_or((NONE, NONE), |sample| sample.clocks),
        low,
        high,
        samples: samples.len() as u32,
    };
    if low <= high {
        return best;
    }
    // Begins sort before ends at the same point.
    let begins = samples.iter().map(|sample| (sample.low, 0));
    let ends = samples.iter().map(|sample| (sample.high, 1));
    let mut edges: Vec<(i64, u8)> = begins.chain(ends).collect();
    edges.sort_unstable();
    (best.samples, best.low, best.high) = (0, 0, 0);
    let mut inside = 0;
    for pair in edges.windows(2) {
        match pair[0].1 {
            0 => inside += 1,
            _ => inside -= 1,
        }
        if inside > best.samples {
            (best.samples, best.low, best.high) = (inside, pair[0].0, pair[1].0);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(low: i64, high: i64) -> Sample {
        Sample {
            clocks: (0, 1),
            low,
            high,
        }
    }

    #[test]
    fn calls_that_agree_are_intersected() {
        let found = most_agreed(&[sample(-10, 30), sample(5, 50), sample(0, 20)]);
        assert_eq!((found.low, found.high, found.samples), (5, 20, 3));
    }

    #[test]
    fn one_call_that_contradicts_the_others_is_outvoted() {
        let found = most_agreed(&[
            sample(100, 120),
            sample(5, 50),
            sample(0, 20),
            sample(-5, 15),
        ]);
        assert_eq!((found.low, found.high, found.samples), (5, 15, 3));
    }

    #[test]
    fn the_smallest_possible_correction_is_chosen() {
        let bounds = |low, high| Bounds {
            clocks: (0, 1),
            low,
            high,
            samples: 1,
        };
        let none = Correction::default();
        assert_eq!(none.and(&bounds(-3, 9), 1).offset, 0);
        let behind = none.and(&bounds(40, 50), 1);
        assert_eq!((behind.offset, behind.uncertainty), (40, 10));
        // Seen from the other clock.
        let ahead = none.and(&bounds(40, 50), 0);
        assert_eq!((ahead.offset, ahead.uncertainty), (-40, 10));
    }
}
