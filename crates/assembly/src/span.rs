//! Spans as assembly sees them: who they are, whose child, and what they cost.

use quorate_trace::{SpanId, SpanKey, TraceId};

/// A time in milliseconds since some moment that all callers agree on. Only differences matter, and
/// that it does not go back: take it from a monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// Later than anything.
    pub(crate) const NEVER: Self = Millis(u64::MAX);

    /// This time, `millis` later.
    pub fn after(self, millis: u64) -> Self {
        Millis(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this time; none if that is later.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A span that arrives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arrival<S> {
    /// Its trace.
    pub trace: TraceId,
    /// Which of the trace's spans it is.
    pub span: SpanKey,
    /// Its parent, unless it is a root.
    pub parent: Option<SpanId>,
    /// The memory that it stands for, in bytes: its own share of what the payload keeps alive.
    pub bytes: u32,
    /// Where its content is.
    pub payload: S,
}

/// A span of an open trace, which knows its trace already.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OpenSpan<S> {
    /// Which of the trace's spans it is.
    pub span: SpanKey,
    /// Its parent, unless it is a root.
    pub parent: Option<SpanId>,
    /// The memory that it stands for, in bytes.
    pub bytes: u32,
    /// Where its content is.
    pub payload: S,
}

impl<S> From<Arrival<S>> for OpenSpan<S> {
    fn from(arrival: Arrival<S>) -> Self {
        OpenSpan {
            span: arrival.span,
            parent: arrival.parent,
            bytes: arrival.bytes,
            payload: arrival.payload,
        }
    }
}

/// What the store has of a trace: the last revision, and all spans of all revisions with their parents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Base {
    /// The last revision, counted from 1.
    pub revision: u32,
    /// Every stored span and its parent.
    pub spans: Vec<(SpanKey, Option<SpanId>)>,
}
