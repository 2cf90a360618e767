//! W3C Trace Context Level 2 and Baggage: inject, extract, and the check of propagation.
//!
//! A request carries which trace it belongs to, and which span made it, in the header `traceparent`; what
//! tracing systems on the way want to find again in `tracestate`; what the application wants carried along
//! in `baggage`. The receiver [extracts](SpanContext::extract) the caller's context, makes a
//! [child](SpanContext::child) of it for its own span, and [injects](SpanContext::inject) that into the
//! requests it makes in turn.
//!
//! Numbers in this module's comments are sections of Trace Context Level 2
//! (<https://www.w3.org/TR/trace-context-2/>); baggage follows <https://www.w3.org/TR/baggage/>.
//!
//! Nothing here draws random numbers: who makes a span brings its identifier. And nothing knows an HTTP
//! library: headers come and go through a [`Carrier`].
//!
//! ```
//! use quorate_trace::SpanId;
//! use quorate_trace::context::{Baggage, SpanContext, verify_propagation};
//!
//! // As received.
//! let request = vec![
//!     ("TraceParent".to_owned(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
//!     ("tracestate".to_owned(), "rojo=00f067aa0ba902b7".to_owned()),
//!     ("baggage".to_owned(), "tenant=blue".to_owned()),
//! ];
//! let caller = SpanContext::extract(&request)?.expect("the caller has a trace");
//! let baggage = Baggage::extract(&request);
//!
//! // The span of this service, and the request that it makes.
//! let here = caller.child("b7ad6b7169203331".parse()?);
//! verify_propagation(&caller, &here)?;
//! let mut onward: Vec<(String, String)> = Vec::new();
//! here.inject(&mut onward);
//! baggage.inject(&mut onward);
//! assert_eq!(onward[0].1, "00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-01");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod baggage;
mod propagation;
mod traceparent;
mod tracestate;

pub use baggage::{Baggage, BaggageEntry, InvalidBaggage, Property};
pub use propagation::{PropagationError, verify_propagation};
pub use traceparent::{InvalidTraceParent, TraceFlags, TraceParent};
pub use tracestate::{InvalidTraceState, TraceState};

use crate::wire::Span;
use crate::{SpanId, TraceId};

/// Headers of a request.
pub trait Carrier {
    /// The values of all headers of this name, in their order, whatever the case of the name's letters.
    fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]>;

    /// Makes `value`, which is printable ASCII, the only value of a lowercase name.
    fn set(&mut self, name: &'static str, value: String);

    /// Removes all headers of a name, so that a request made from a received one does not repeat them.
    fn remove(&mut self, name: &'static str);
}

impl Carrier for Vec<(String, String)> {
    fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = self
            .iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_bytes())
    }

    fn set(&mut self, name: &'static str, value: String) {
        Carrier::remove(self, name);
        self.push((name.to_owned(), value));
    }

    fn remove(&mut self, name: &'static str) {
        self.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }
}

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// A span's place in its trace, and what travels with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpanContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// Its parent, if it is known: headers name the span that made the request, not its parent.
    pub parent: Option<SpanId>,
    /// What callees are recommended.
    pub flags: TraceFlags,
    /// What tracing systems left.
    pub state: TraceState,
}

impl SpanContext {
    /// Of the first span of a trace. Also of one that starts a new trace because it got no valid context,
    /// or does not trust who sent it: then what the caller's tracing systems left does not go on (3.4).
    pub fn root(trace_id: TraceId, span_id: SpanId, flags: TraceFlags) -> Self {
        SpanContext {
            trace_id,
            span_id,
            parent: None,
            flags,
            state: TraceState::default(),
        }
    }

    /// Of a span that this one causes, here or, if this one was extracted, in the service that was called.
    pub fn child(&self, span_id: SpanId) -> Self {
        SpanContext {
            span_id,
            parent: Some(self.span_id),
            ..self.clone()
        }
    }

    /// Of a recorded span. A `tracestate` that is not valid is left out.
    pub fn of(span: &Span<'_>) -> Self {
        SpanContext {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent: span.parent,
            // The lower eight bits are the byte of the header.
            flags: TraceFlags::from_byte(span.flags as u8),
            state: TraceState::parse([span.trace_state()]).unwrap_or_default(),
        }
    }

    /// The context of the span that made a request; none if it carries none. An invalid `tracestate` is
    /// left out, and without a `traceparent` nobody looks at it (3.3).
    ///
    /// # Errors
    ///
    /// If there is a `traceparent` that cannot be used: the receiver starts a new trace.
    pub fn extract(headers: &impl Carrier) -> Result<Option<Self>, InvalidTraceParent> {
        let mut values = headers.get_all(TRACEPARENT);
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(InvalidTraceParent::Several);
        }
        let TraceParent {
            trace_id,
            span_id,
            flags,
        } = TraceParent::parse(trimmed(value))?;
        Ok(Some(SpanContext {
            trace_id,
            span_id,
            parent: None,
            flags,
            state: TraceState::parse(headers.get_all(TRACESTATE)).unwrap_or_default(),
        }))
    }

    /// Puts it into the headers of a request that this span makes.
    pub fn inject(&self, headers: &mut impl Carrier) {
        headers.set(TRACEPARENT, self.trace_parent().to_string());
        if self.state.is_empty() {
            headers.remove(TRACESTATE);
        } else {
            headers.set(TRACESTATE, self.state.to_string());
        }
    }

    /// The `traceparent` of requests that this span makes.
    pub fn trace_parent(&self) -> TraceParent {
        TraceParent {
            trace_id: self.trace_id,
            span_id: self.span_id,
            flags: self.flags,
        }
    }
}

impl Baggage {
    /// The baggage of a request.
    pub fn extract(headers: &impl Carrier) -> Self {
        Baggage::parse(headers.get_all(BAGGAGE))
    }

    /// Puts it into the headers of a request.
    pub fn inject(&self, headers: &mut impl Carrier) {
        if self.is_empty() {
            headers.remove(BAGGAGE);
        } else {
            headers.set(BAGGAGE, self.to_string());
        }
    }
}

/// Without the optional white space of HTTP around it: spaces and tabs (RFC 9110, section 5.6.3).
fn trimmed(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(from) = value.iter().position(|byte| !blank(byte)) else {
        return &[];
    };
    let to = value.iter().rposition(|byte| !blank(byte));
    &value[from..=to.unwrap_or(from)]
}

#[cfg(test)]
mod tests;
