//! Traces as data: identifiers, W3C Trace Context, and spans read straight from OTLP bytes.
//!
//! [`wire`] reads spans where they lie in a received OTLP message, without decoding them into owned
//! structures: one pass checks the whole message and tells assembly what it needs. A [`wire::Span`]
//! borrows from those bytes and reads attributes, links and events when asked.
//!
//! [`context`] carries a trace over process borders in HTTP headers.
//!
//! With the feature `json`, `json` is OTLP's other encoding.

mod completeness;
pub mod context;
mod id;
#[cfg(feature = "json")]
pub mod json;
pub mod wire;

pub use completeness::{Completeness, Verdict};
pub use id::{InvalidId, SpanId, SpanKey, TraceId};
