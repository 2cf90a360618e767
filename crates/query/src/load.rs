//! A trace as a whole: what is sealed of it, and what is still open.

use std::collections::HashSet;

use bytes::Bytes;
use quorate_trace::TraceId;
use quorate_trace::wire::{self, Batch, Span};
use quorate_trace_store::Summary;

use crate::error::Error;
use crate::source::{Limits, Source};

/// A trace as it is now.
pub(crate) struct Loaded {
    /// Absent while nothing of it is sealed.
    pub(crate) summary: Option<Summary>,
    /// `sealed`, or the phase of its assembly.
    pub(crate) phase: &'static str,
    /// Milliseconds since the first span that is not sealed arrived.
    pub(crate) age_ms: Option<u64>,
    batch: Batch,
}

impl Loaded {
    /// Bytes of its spans.
    pub(crate) fn size(&self) -> usize {
        self.batch.body().len()
    }

    /// Its spans. A span that arrived again while it is sealed already is there once; one that differs
    /// from the sealed one of the same id is there too.
    pub(crate) fn spans(&self) -> Vec<Span<'_>> {
        let mut spans: Vec<_> = self.batch.spans().collect();
        if self.age_ms.is_some() && self.summary.is_some() {
            let mut seen = HashSet::with_capacity(spans.len());
            spans.retain(|span| seen.insert(span.bytes()));
        }
        spans
    }
}

/// Loads a trace.
pub(crate) fn load(source: &dyn Source, limits: &Limits, id: TraceId) -> Result<Loaded, Error> {
    // Open spans first: what is sealed between the two looks is then seen twice, not never.
    let open = source.open(id);
    let stored = source.store().get(id)?;
    let (phase, age_ms) = match &open {
        Some(open) => (open.phase, Some(open.age_ms)),
        None => ("sealed", None),
    };
    let (summary, body) = match (stored, open) {
        (Some(stored), None) => (Some(stored.summary), stored.spans),
        (Some(stored), Some(open)) => {
            let joined = [&stored.spans[..], &open.spans[..]].concat();
            (Some(stored.summary), Bytes::from(joined))
        }
        (None, Some(open)) => (None, open.spans),
        (None, None) => return Err(Error::NotFound),
    };
    if body.len() > limits.answer_bytes {
        return Err(Error::TooLarge {
            bytes: body.len(),
            most: limits.answer_bytes,
        });
    }
    Ok(Loaded {
        summary,
        phase,
        age_ms,
        batch: scan(body)?,
    })
}

/// Reads what was stored. What was accepted once is not refused because of limits that have changed since.
pub(crate) fn scan(body: Bytes) -> Result<Batch, Error> {
    let lenient = wire::Limits {
        attributes: u32::MAX,
        nesting: 100,
    };
    let unreadable = |error: wire::Malformed| Error::Unreadable(error.to_string());
    Batch::scan(body, &lenient).map_err(unreadable)
}

/// Loads a trace for those who have no form for one without spans, of which sampling has left the
/// decision only.
pub(crate) fn load_spans(
    source: &dyn Source,
    limits: &Limits,
    id: TraceId,
) -> Result<Loaded, Error> {
    let loaded = load(source, limits, id)?;
    match loaded.batch.is_empty() {
        true => Err(Error::NotFound),
        false => Ok(loaded),
    }
}
