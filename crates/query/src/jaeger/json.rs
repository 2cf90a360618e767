//! Traces in Jaeger's JSON: what its query service answers and its UI saves to files.
//!
//! Tags, logs and references are those that OpenTelemetry's translator makes of OTLP, so that dashboards
//! and habits carry over. Times are as they were recorded: Jaeger adjusts them for clock skew and shows
//! only the adjusted ones; here a warning says what the skew is.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quorate_trace::TraceId;
use quorate_trace::wire::{Attributes, Event, Span, SpanKind, StatusCode, Value};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use crate::view::{Json, is_safe_integer};

/// What to say beside the spans: sentences about the trace, and about spans by their position.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warnings {
    /// Of the whole trace.
    pub(crate) trace: Vec<String>,
    /// Of single spans, by their position among the spans given.
    pub(crate) spans: HashMap<usize, Vec<String>>,
}

/// Spans, of one trace or of several, as a document that Jaeger's UI opens.
///
/// # Errors
///
/// Never for spans that a scan has accepted.
pub fn to_json(spans: &[Span<'_>]) -> Result<String, serde_json::Error> {
    let mut by_trace: BTreeMap<TraceId, Vec<Span<'_>>> = BTreeMap::new();
    for span in spans {
        by_trace.entry(span.trace_id).or_default().push(*span);
    }
    let warnings = Warnings::default();
    let traces = by_trace
        .iter()
        .map(|(id, spans)| Trace::new(*id, spans, &warnings));
    serde_json::to_string(&Answer::of(traces.collect::<Vec<_>>()))
}

/// The envelope of every answer.
#[derive(Serialize)]
pub(super) struct Answer<T> {
    data: Option<T>,
    total: usize,
    limit: usize,
    offset: usize,
    errors: Option<Vec<Fault>>,
}

#[derive(Serialize)]
struct Fault {
    code: u16,
    msg: String,
}

impl<T> Answer<T> {
    pub(super) fn of(data: T) -> Self {
        Answer {
            data: Some(data),
            total: 0,
            limit: 0,
            offset: 0,
            errors: None,
        }
    }

    pub(super) fn with_total(self, total: usize) -> Self {
        Answer { total, ..self }
    }
}

impl Answer<()> {
    pub(super) fn error(code: u16, msg: String) -> Self {
        Answer {
            data: None,
            total: 0,
            limit: 0,
            offset: 0,
            errors: Some(vec![Fault { code, msg }]),
        }
    }
}

/// One trace.
#[derive(Serialize)]
pub(super) struct Trace<'a> {
    #[serde(rename = "traceID")]
    trace_id: TraceId,
    spans: Vec<JaegerSpan<'a>>,
    processes: BTreeMap<String, Process<'a>>,
    warnings: Option<&'a [String]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JaegerSpan<'a> {
    #[serde(rename = "traceID")]
    trace_id: TraceId,
    #[serde(rename = "spanID")]
    span_id: quorate_trace::SpanId,
    flags: u8,
    operation_name: &'a str,
    references: Vec<Reference>,
    /// Microseconds since 1970.
    start_time: u64,
    /// Microseconds.
    duration: u64,
    tags: Tags<'a>,
    logs: Vec<Log<'a>>,
    #[serde(rename = "processID")]
    process_id: String,
    warnings: Option<&'a [String]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    ref_type: &'static str,
    #[serde(rename = "traceID")]
    trace_id: TraceId,
    #[serde(rename = "spanID")]
    span_id: quorate_trace::SpanId,
}

#[derive(Serialize)]
struct Log<'a> {
    timestamp: u64,
    fields: Fields<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Process<'a> {
    service_name: &'a str,
    tags: ProcessTags<'a>,
}

impl<'a> Trace<'a> {
    pub(super) fn new(trace_id: TraceId, spans: &[Span<'a>], warnings: &'a Warnings) -> Self {
        let mut processes = Processes::default();
        let said = |warnings: &'a [String]| Some(warnings).filter(|said| !said.is_empty());
        let spans = spans.iter().enumerate().map(|(at, span)| JaegerSpan {
            trace_id: span.trace_id,
            span_id: span.span_id,
            flags: 1,
            operation_name: span.name,
            references: references(span),
            start_time: span.start / 1000,
            duration: span.duration() / 1000,
            tags: Tags(*span),
            logs: span.events().map(log).collect(),
            process_id: processes.id_of(span),
            warnings: warnings.spans.get(&at).and_then(|found| said(found)),
        });
        Trace {
            trace_id,
            spans: spans.collect(),
            processes: processes.found,
            warnings: said(&warnings.trace),
        }
    }
}

fn references(span: &Span<'_>) -> Vec<Reference> {
    let parent = span.parent.map(|span_id| Reference {
        ref_type: "CHILD_OF",
        trace_id: span.trace_id,
        span_id,
    });
    let links = span.links().map(|link| {
        let mut kinds = link
            .attributes
            .filter(|(key, _)| *key == "opentracing.ref_type");
        let is_child = kinds.any(|(_, kind)| kind.as_str() == Some("child_of"));
        Reference {
            ref_type: if is_child { "CHILD_OF" } else { "FOLLOWS_FROM" },
            trace_id: link.trace_id,
            span_id: link.span_id,
        }
    });
    parent.into_iter().chain(links).collect()
}

fn log(event: Event<'_>) -> Log<'_> {
    Log {
        timestamp: event.time / 1000,
        fields: Fields(event),
    }
}

/// Resources that differ, each once; spans of one share its name.
#[derive(Default)]
struct Processes<'a> {
    found: BTreeMap<String, Process<'a>>,
    /// By where the first key lies in memory: most spans share a resource, and need no comparison.
    by_place: HashMap<Option<*const u8>, String>,
    by_content: HashMap<String, String>,
}

impl<'a> Processes<'a> {
    fn id_of(&mut self, span: &Span<'a>) -> String {
        let place = span
            .resource_attributes()
            .next()
            .map(|(key, _)| key.as_ptr());
        if let Some(id) = self.by_place.get(&place) {
            return id.clone();
        }
        let process = Process {
            service_name: span.service,
            tags: ProcessTags(*span),
        };
        let content = serde_json::to_string(&process).unwrap_or_default();
        let next = format!("p{}", self.by_content.len() + 1);
        let id = self.by_content.entry(content).or_insert(next).clone();
        self.found.entry(id.clone()).or_insert(process);
        self.by_place.insert(place, id.clone());
        id
    }
}

#[derive(Serialize)]
struct Tag<'a> {
    key: &'a str,
    r#type: &'static str,
    value: TagValue<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum TagValue<'a> {
    Text(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
}

fn tag<'a>(key: &'a str, value: &Value<'a>) -> Tag<'a> {
    let text = |text: String| TagValue::Text(Cow::Owned(text));
    let (r#type, value) = match value {
        Value::String(value) => ("string", TagValue::Text(Cow::Borrowed(value))),
        Value::Bool(value) => ("bool", TagValue::Bool(*value)),
        Value::Int(value) if is_safe_integer(*value) => ("int64", TagValue::Int(*value)),
        Value::Int(value) => ("int64", text(value.to_string())),
        Value::Double(value) if value.is_finite() => ("float64", TagValue::Double(*value)),
        Value::Double(value) => ("float64", text(value.to_string())),
        Value::Bytes(bytes) => ("binary", text(STANDARD.encode(bytes))),
        Value::Empty => ("string", TagValue::Text(Cow::Borrowed(""))),
        // Arrays and maps are JSON within a text, as OpenTelemetry's translator has it.
        nested => (
            "string",
            text(serde_json::to_string(&Json(nested)).unwrap_or_default()),
        ),
    };
    Tag { key, r#type, value }
}

fn text_tag<'a>(key: &'a str, text: &'a str) -> Tag<'a> {
    tag(key, &Value::String(text))
}

/// Attributes of a span, and what Jaeger has as tags besides.
struct Tags<'a>(Span<'a>);

impl Serialize for Tags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let span = &self.0;
        let mut seq = serializer.serialize_seq(None)?;
        let (name, version) = span.scope();
        for (key, text) in [("otel.scope.name", name), ("otel.scope.version", version)] {
            if !text.is_empty() {
                seq.serialize_element(&text_tag(key, text))?;
            }
        }
        let said_error = put_attributes(&mut seq, span.attributes(), "error")?;
        if span.kind != SpanKind::Unspecified {
            seq.serialize_element(&text_tag("span.kind", span.kind.name()))?;
        }
        match span.status {
            StatusCode::Unset => {}
            StatusCode::Ok => seq.serialize_element(&text_tag("otel.status_code", "OK"))?,
            StatusCode::Error => {
                seq.serialize_element(&text_tag("otel.status_code", "ERROR"))?;
                if !said_error {
                    seq.serialize_element(&tag("error", &Value::Bool(true)))?;
                }
            }
        }
        for (key, text) in [
            ("otel.status_description", span.status_message()),
            ("w3c.tracestate", span.trace_state()),
        ] {
            if !text.is_empty() {
                seq.serialize_element(&text_tag(key, text))?;
            }
        }
        seq.end()
    }
}

/// Writes all attributes; tells whether there was one of this key.
fn put_attributes<'a, S: SerializeSeq>(
    seq: &mut S,
    attributes: Attributes<'a>,
    watched: &str,
) -> Result<bool, S::Error> {
    let mut seen = false;
    for (key, value) in attributes {
        seen |= key == watched;
        seq.serialize_element(&tag(key, &value))?;
    }
    Ok(seen)
}

/// An event's name and attributes.
struct Fields<'a>(Event<'a>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        if !self.0.name.is_empty() {
            seq.serialize_element(&text_tag("event", self.0.name))?;
        }
        put_attributes(&mut seq, self.0.attributes.clone(), "")?;
        seq.end()
    }
}

/// Attributes of a resource other than the service's name.
struct ProcessTags<'a>(Span<'a>);

impl Serialize for ProcessTags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let attributes = self.0.resource_attributes();
        let others = attributes.filter(|(key, _)| *key != "service.name");
        serializer.collect_seq(others.map(|(key, value)| OwnedTag(key, value)))
    }
}

/// A tag made when it is written.
struct OwnedTag<'a>(&'a str, Value<'a>);

impl Serialize for OwnedTag<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        tag(self.0, &self.1).serialize(serializer)
    }
}
