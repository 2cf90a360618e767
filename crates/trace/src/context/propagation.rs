//! Whether a child's context is what its parent's context makes of it.

use super::SpanContext;
use crate::{SpanId, TraceId};

/// What a child context got wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropagationError {
    /// It belongs to another trace.
    #[error("the trace id changed from {parent} to {child}")]
    TraceId {
        /// The parent's trace.
        parent: TraceId,
        /// The child's trace.
        child: TraceId,
    },
    /// It has the span id of its parent instead of one of its own.
    #[error("parent and child are both span {0}")]
    SpanId(SpanId),
    /// It names no parent, or another one.
    #[error("the child of {expected} names {} as its parent", .found.map_or("no span".to_owned(), |id| id.to_string()))]
    Parent {
        /// The parent.
        expected: SpanId,
        /// What the child names.
        found: Option<SpanId>,
    },
    /// The sampled flag changed.
    #[error("the sampled flag was {parent} in the parent and is {} in the child", !parent)]
    Sampled {
        /// What it is in the parent.
        parent: bool,
    },
    /// The random-trace-id flag changed, which it must not while the trace id stays (3.2.2.5.2).
    #[error("the random flag changed")]
    Random,
}

/// Checks that `child` continues the trace of `parent`: it keeps the trace id, has a span id of its own,
/// names its parent, and keeps the flags. The specification lets a system change the sampled flag of a
/// child (3.4); whoever decides on sampling at the end of a trace, or at its root, must not.
///
/// # Errors
///
/// The first of these that does not hold.
pub fn verify_propagation(
    parent: &SpanContext,
    child: &SpanContext,
) -> Result<(), PropagationError> {
    if child.trace_id != parent.trace_id {
        return Err(PropagationError::TraceId {
            parent: parent.trace_id,
            child: child.trace_id,
        });
    }
    if child.span_id == parent.span_id {
        return Err(PropagationError::SpanId(child.span_id));
    }
    if child.parent != Some(parent.span_id) {
        return Err(PropagationError::Parent {
            expected: parent.span_id,
            found: child.parent,
        });
    }
    if child.flags.is_sampled() != parent.flags.is_sampled() {
        return Err(PropagationError::Sampled {
            parent: parent.flags.is_sampled(),
        });
    }
    if child.flags.is_random() != parent.flags.is_random() {
        return Err(PropagationError::Random);
    }
    Ok(())
}
