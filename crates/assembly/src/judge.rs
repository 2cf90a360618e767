//! The judgement: is this trace whole, and what of it is new?
//!
//! It looks at the spans that are stored and those that are new as one graph, and sorts twice instead
//! of hashing: spans by identifier, and the parents they name. One walk over both finds every parent
//! that is not there, in order and once each.

use quorate_trace::{Completeness, SpanId, SpanKey, Verdict};

use crate::{Base, OpenSpan};

/// Why a trace is judged now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Nothing new came for the quiet window.
    Quiet,
    /// It is open for as long as a trace may be.
    Deadline,
    /// Its memory is needed.
    Evicted,
}

/// What becomes of a trace that was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Its new spans are sealed as the next revision.
    Seal {
        /// The verdict on the whole trace, stored spans included.
        completeness: Completeness,
        /// Which of the open spans the store does not have, by position; `None` if that is all of them.
        new: Option<Vec<u32>>,
    },
    /// Something is missing and there is time.
    Wait,
    /// The store has all of it.
    Known,
}

/// Judges the `open` spans of a trace over what the store has.
///
/// `quiet` tells whether nothing new came for the window: without it no trace is complete, since more
/// may be on its way even if no span says so.
pub fn decide<S>(open: &[OpenSpan<S>], base: Option<&Base>, cause: Cause, quiet: bool) -> Decision {
    let stored = base.map_or(&[][..], |base| &base.spans[..]);
    let mut keys: Vec<SpanKey> = stored.iter().map(|(span, _)| *span).collect();
    keys.sort_unstable();
    let mut new = None;
    if !keys.is_empty() {
        let unknown = |span: &OpenSpan<S>| keys.binary_search(&span.span).is_err();
        let positions = (0..).zip(open).filter(|(_, span)| unknown(span));
        let positions: Vec<u32> = positions.map(|(at, _)| at).collect();
        if positions.is_empty() {
            return Decision::Known;
        }
        new = (positions.len() < open.len()).then_some(positions);
    }
    let known = |span: &&OpenSpan<S>| new.is_none() || keys.binary_search(&span.span).is_err();
    let fresh: Vec<_> = open.iter().filter(known).collect();
    let parents = stored.iter().map(|(_, parent)| *parent);
    let parents = parents.chain(fresh.iter().map(|span| span.parent));
    let parents: Vec<Option<SpanId>> = parents.collect();
    keys.extend(fresh.iter().map(|span| span.span));
    let mut completeness = examine(keys, parents);
    let whole = completeness.roots > 0 && completeness.missing_count == 0;
    completeness.verdict = match cause {
        _ if whole && quiet => Verdict::Complete,
        Cause::Quiet => return Decision::Wait,
        Cause::Deadline => Verdict::Incomplete,
        Cause::Evicted => Verdict::Evicted,
    };
    Decision::Seal { completeness, new }
}

/// Counts spans and roots and finds missing parents; the verdict is left to the caller.
fn examine(mut keys: Vec<SpanKey>, parents: Vec<Option<SpanId>>) -> Completeness {
    let roots = parents.iter().filter(|parent| parent.is_none()).count();
    keys.sort_unstable();
    let mut named: Vec<SpanId> = parents.into_iter().flatten().collect();
    named.sort_unstable();
    named.dedup();
    let mut there = keys.iter().map(|key| key.id).peekable();
    named.retain(|parent| {
        while there.next_if(|id| id < parent).is_some() {}
        there.peek() != Some(parent)
    });
    let missing_count = count(named.len());
    named.truncate(Completeness::MISSING_MAX);
    Completeness {
        verdict: Verdict::Incomplete,
        spans: count(keys.len()),
        roots: count(roots),
        missing: named,
        missing_count,
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
