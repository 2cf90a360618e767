//! Spans and values as JSON that a browser reads, written straight from their bytes.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quorate_trace::wire::{Attributes, Event, Link, Span, Value};
use quorate_trace::{SpanId, TraceId};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::tempo::traceql::status_name;

/// Whether a number of JavaScript can hold it exactly.
pub(crate) fn is_safe_integer(value: i64) -> bool {
    value.unsigned_abs() < 1 << 53
}

/// A number as a text, because a number of JavaScript could not hold it.
pub(crate) fn as_text<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// A value as plain JSON: what JSON has no form for is a text.
pub(crate) struct Json<'v, 'a>(pub(crate) &'v Value<'a>);

impl Serialize for Json<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Empty => serializer.serialize_unit(),
            Value::String(text) => serializer.serialize_str(text),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) if is_safe_integer(*value) => serializer.serialize_i64(*value),
            Value::Int(value) => serializer.collect_str(value),
            Value::Double(value) if value.is_finite() => serializer.serialize_f64(*value),
            Value::Double(value) => serializer.collect_str(value),
            Value::Bytes(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
            Value::Array(values) => serializer.collect_seq(values.clone().map(Owned)),
            Value::Map(entries) => Object(entries.clone()).serialize(serializer),
        }
    }
}

/// A value made when it is written.
struct Owned<'a>(Value<'a>);

impl Serialize for Owned<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Json(&self.0).serialize(serializer)
    }
}

/// Attributes as an object. Of a key that repeats the last value counts, as readers of JSON have it.
pub(crate) struct Object<I>(pub(crate) I);

impl<'a, I: Iterator<Item = (&'a str, Value<'a>)> + Clone> Serialize for Object<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.0.clone() {
            map.serialize_entry(key, &Json(&value))?;
        }
        map.end()
    }
}

/// Attributes of a span's resource.
struct OfResource<'a>(Span<'a>);

impl Serialize for OfResource<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let attributes = self.0.resource_attributes();
        serializer.collect_map(attributes.map(|(key, value)| (key, Owned(value))))
    }
}

/// A span with everything it carries, and what the analysis made of its times.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SpanView<'a> {
    span_id: SpanId,
    parent_id: Option<SpanId>,
    service: &'a str,
    name: &'a str,
    kind: &'static str,
    status: &'static str,
    status_message: &'a str,
    #[serde(serialize_with = "as_text")]
    start_ns: u64,
    #[serde(serialize_with = "as_text")]
    end_ns: u64,
    #[serde(serialize_with = "as_text")]
    adjusted_start_ns: u64,
    #[serde(serialize_with = "as_text")]
    adjusted_end_ns: u64,
    attributes: Object<Attributes<'a>>,
    resource: OfResource<'a>,
    scope: ScopeView<'a>,
    events: Vec<EventView<'a>>,
    links: Vec<LinkView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<BTreeMap<&'a str, i64>>,
    critical: bool,
}

#[derive(Serialize)]
struct ScopeView<'a> {
    name: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventView<'a> {
    #[serde(serialize_with = "as_text")]
    time_ns: u64,
    name: &'a str,
    attributes: Object<Attributes<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LinkView<'a> {
    trace_id: TraceId,
    span_id: SpanId,
    attributes: Object<Attributes<'a>>,
}

impl<'a> SpanView<'a> {
    /// Of a span with its corrected begin and end, and whether it is on the critical path.
    pub(crate) fn new(span: &Span<'a>, adjusted: (u64, u64), critical: bool) -> Self {
        let (name, version) = span.scope();
        SpanView {
            span_id: span.span_id,
            parent_id: span.parent,
            service: span.service,
            name: span.name,
            kind: span.kind.name(),
            status: status_name(span.status),
            status_message: span.status_message(),
            start_ns: span.start,
            end_ns: span.end,
            adjusted_start_ns: adjusted.0,
            adjusted_end_ns: adjusted.1,
            attributes: Object(span.attributes()),
            resource: OfResource(*span),
            scope: ScopeView { name, version },
            events: span.events().map(event).collect(),
            links: span.links().map(link).collect(),
            clock: vector_clock(span),
            critical,
        }
    }
}

fn event(event: Event<'_>) -> EventView<'_> {
    EventView {
        time_ns: event.time,
        name: event.name,
        attributes: Object(event.attributes),
    }
}

fn link(link: Link<'_>) -> LinkView<'_> {
    LinkView {
        trace_id: link.trace_id,
        span_id: link.span_id,
        attributes: Object(link.attributes),
    }
}

/// Attributes `vc.<process>`: numbers, or texts of digits.
fn vector_clock<'a>(span: &Span<'a>) -> Option<BTreeMap<&'a str, i64>> {
    let entries = span.attributes().filter_map(|(key, value)| {
        let process = key.strip_prefix("vc.")?;
        let count = match value {
            Value::Int(count) => count,
            Value::String(digits) => digits.parse().ok()?,
            _ => return None,
        };
        Some((process, count))
    });
    let clock: BTreeMap<_, _> = entries.collect();
    (!clock.is_empty()).then_some(clock)
}
