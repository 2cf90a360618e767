//! Spans read where they lie in an OTLP message.
//!
//! [`Batch::scan`] passes once over the bytes of an `ExportTraceServiceRequest` (or a `TracesData`, which
//! has the same form), checks all of it, and keeps for each span where it is, its identifiers, its times,
//! its kind and its status. Nothing is copied. A [`Span`] is a view of one of them that reads the rest
//! when asked. [`encode`] puts spans of any batches together to one message again, byte for byte.
//!
//! A stored trace is such a message too: scanned again it is a [`Batch`], so there is one form of a span
//! in the whole of the collector. Messages can be joined by joining their bytes.
//!
//! What no protobuf decoder could read refuses the whole message ([`Malformed`]). A span that breaks the
//! rules of OTLP or a limit is refused alone and counted ([`Refused`]).

mod encode;
mod reader;
mod scan;
mod span;

pub use encode::{encode, encoded_size};
pub use reader::Malformed;
pub use scan::{Batch, Limits, Problem, Refused};
pub use span::{Attributes, Event, Events, Link, Links, Span, SpanKind, StatusCode, Value, Values};
