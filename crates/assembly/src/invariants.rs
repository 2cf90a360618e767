//! What must hold of assembly, defined by what is on the disk and without regard to how it got there.

use quorate_trace::{SpanId, SpanKey, TraceId, Verdict};

use crate::Phase;
use crate::machine::{Assembler, Durable, Fragment, Offered};

/// Whether the disk has this span, in the log or in the store. It must, from the moment at which its
/// sender was told so.
pub fn is_durable(span: &Offered, disk: &Durable) -> bool {
    disk.log.contains(span) || is_stored(span, disk)
}

/// Whether the store has this span.
pub fn is_stored(span: &Offered, disk: &Durable) -> bool {
    occurrences(span, disk) > 0
}

/// In how many places of the store this span is.
pub fn occurrences(span: &Offered, disk: &Durable) -> usize {
    let stored = disk.store.get(&span.trace).into_iter().flatten();
    let stored = stored.flat_map(|fragment| &fragment.spans);
    stored.filter(|(key, _)| *key == span.span).count()
}

/// Accepted spans are never lost: the running node holds this span in an open trace, or the store has
/// it. The log alone is not enough, since nobody reads it before the next start.
pub fn is_kept(span: &Offered, node: &Assembler, disk: &Durable) -> bool {
    node.holds(span) || is_stored(span, disk)
}

/// Sealed exactly once per revision: revisions count up from one, each brings something, and no span is
/// in two of them.
pub fn sealed_once(disk: &Durable) -> bool {
    disk.store.values().all(|fragments| {
        let mut spans: Vec<SpanKey> = Vec::new();
        for (at, fragment) in (1..).zip(fragments) {
            if fragment.revision != at || fragment.spans.is_empty() {
                return false;
            }
            for (span, _) in &fragment.spans {
                if spans.contains(span) {
                    return false;
                }
                spans.push(*span);
            }
        }
        true
    })
}

/// Complete only when complete: over all that is stored up to a revision, its verdict says what is
/// there, names what is missing, and says "complete" only if there is a root and nothing is missing.
pub fn judged_rightly(disk: &Durable) -> bool {
    let mut traces = disk.store.values();
    traces.all(|fragments| (1..=fragments.len()).all(|last| right(&fragments[..last])))
}

fn right(fragments: &[Fragment]) -> bool {
    let Some(last) = fragments.last() else {
        return true;
    };
    let spans: Vec<_> = fragments.iter().flat_map(|f| &f.spans).collect();
    let there = |id: &SpanId| spans.iter().any(|(span, _)| span.id == *id);
    let absent = |id: &SpanId| !there(id) && spans.iter().any(|(_, parent)| *parent == Some(*id));
    let rooted = spans.iter().any(|(_, parent)| parent.is_none());
    let orphaned = spans.iter().any(|(_, parent)| match parent {
        Some(parent) => !there(parent),
        None => false,
    });
    let said = &last.completeness;
    said.missing.iter().all(absent)
        && said.missing.is_empty() != orphaned
        && said.spans as usize == spans.len()
        && (said.roots > 0) == rooted
        && (said.verdict != Verdict::Complete || rooted && !orphaned)
}

/// The revisions of a trace.
pub fn revisions<'a>(trace: &TraceId, disk: &'a Durable) -> &'a [Fragment] {
    disk.store.get(trace).map_or(&[], Vec::as_slice)
}

/// What a single step must not do, seen from before and after it. Completeness takes quiet, of which the
/// disk knows nothing.
///
/// # Errors
///
/// What it did.
pub fn step(before: &Assembler, after: &Assembler) -> Result<(), &'static str> {
    for trace in after.traces() {
        let ripens = before.phase(&trace) != Some(Phase::Sealing)
            && after.phase(&trace) == Some(Phase::Sealing);
        if ripens && after.spans(&trace) > before.spans(&trace) {
            return Err("an arriving span seals its trace");
        }
        let complete = after.verdict(&trace) == Some(Verdict::Complete);
        if complete && before.was_quiet(&trace) == Some(false) {
            return Err("a trace that was not quiet is called complete");
        }
    }
    Ok(())
}
