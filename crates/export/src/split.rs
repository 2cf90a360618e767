//! Large traces in several messages.

use bytes::Bytes;
use quorate_trace::wire::{Batch, Limits, Span, encode};

/// What was accepted once has no limits here.
const LIMITS: Limits = Limits {
    attributes: u32::MAX,
    nesting: 100,
};

/// The trace as messages of about `limit` bytes at most, unless a single span is longer. Most backends
/// refuse messages above 4 MiB.
pub(crate) fn parts(trace: &Bytes, limit: usize) -> Vec<Bytes> {
    if trace.len() <= limit {
        return vec![trace.clone()];
    }
    let Ok(batch) = Batch::scan(trace.clone(), &LIMITS) else {
        // The backend says what is wrong with it.
        return vec![trace.clone()];
    };
    let spans: Vec<Span<'_>> = (0..batch.len()).map(|index| batch.span(index)).collect();
    let (mut parts, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (at, span) in spans.iter().enumerate() {
        bytes += span.bytes().len();
        if bytes > limit && at > from {
            parts.push(encode(&spans[from..at]));
            (from, bytes) = (at, span.bytes().len());
        }
    }
    parts.push(encode(&spans[from..]));
    parts
}
