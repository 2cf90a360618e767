//! Jaeger's JSON to OTLP: files that its UI has saved, and answers of its query service.
//!
//! The way goes over OTLP's JSON, which is near to Jaeger's in form. It is the reverse of what
//! OpenTelemetry's translator does: tags that stand for a span's kind, status, scope and trace state become
//! these again; the first `CHILD_OF` reference to the same trace is the parent, or else the first
//! `FOLLOWS_FROM`; other references become links.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_trace::json::{JsonError, otlp_from_json};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Why a text cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not Jaeger's JSON.
    #[error("not a trace in Jaeger's JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A span names a process that is not there.
    #[error("span {span} names the process '{process}', which is not there")]
    Process {
        /// The span's id as written.
        span: String,
        /// The name of the process.
        process: String,
    },
    /// A value is not what it should be.
    #[error("not a trace in Jaeger's JSON: {0}")]
    Value(#[from] JsonError),
}

/// A file has the envelope of an answer, or is one trace.
#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    Answer { data: Vec<Trace> },
    Traces(Vec<Trace>),
    Trace(Trace),
}

#[derive(Deserialize)]
struct Trace {
    spans: Vec<Span>,
    #[serde(default)]
    processes: BTreeMap<String, Process>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
    /// Of files older than references.
    #[serde(rename = "parentSpanID", default)]
    parent: Option<String>,
    operation_name: String,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    start_time: u64,
    duration: u64,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
    #[serde(default)]
    logs: Option<Vec<Log>>,
    #[serde(rename = "processID", default)]
    process_id: String,
    /// Instead of a name for one, in what Jaeger writes to Elasticsearch.
    process: Option<Process>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    #[serde(default)]
    ref_type: String,
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Deserialize)]
struct Log {
    timestamp: u64,
    #[serde(default)]
    fields: Vec<Tag>,
}

#[derive(Clone, Deserialize)]
struct Tag {
    key: String,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    value: Value,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    service_name: String,
    #[serde(default)]
    tags: Option<Vec<Tag>>,
}

/// The OTLP message of traces in Jaeger's JSON.
///
/// # Errors
///
/// If it is not Jaeger's JSON. Whether the spans' identifiers are valid is for the scan to say.
pub fn from_json(text: &[u8]) -> Result<Bytes, ImportError> {
    let document = serde_json::from_slice(text)?;
    let traces = match document {
        Document::Answer { data } | Document::Traces(data) => data,
        Document::Trace(trace) => vec![trace],
    };
    let mut resources = Vec::new();
    for trace in traces {
        resources.extend(resource_spans(trace)?);
    }
    let message = json!({ "resourceSpans": resources });
    Ok(otlp_from_json(message.to_string().as_bytes())?)
}

/// One `ResourceSpans` for each process.
fn resource_spans(trace: Trace) -> Result<Vec<Value>, ImportError> {
    let mut by_process: BTreeMap<String, (Value, Vec<Value>)> = BTreeMap::new();
    for mut span in trace.spans {
        let key = match &span.process {
            Some(_) => span.span_id.clone(),
            None => span.process_id.clone(),
        };
        let own = span.process.take();
        let Some(process) = own.or_else(|| trace.processes.get(&key).cloned()) else {
            return Err(ImportError::Process {
                span: span.span_id,
                process: key,
            });
        };
        let group = by_process.entry(key);
        let (_, spans) = group.or_insert_with(|| (resource(process), Vec::new()));
        spans.push(scope_spans(span));
    }
    let groups = by_process.into_values();
    let group = |(resource, spans)| json!({ "resource": resource, "scopeSpans": spans });
    Ok(groups.map(group).collect())
}

fn resource(process: Process) -> Value {
    let mut attributes = vec![json!({
        "key": "service.name", "value": {"stringValue": process.service_name},
    })];
    attributes.extend(process.tags.unwrap_or_default().into_iter().map(attribute));
    json!({ "attributes": attributes })
}

/// One span with its scope; the encoding of what is stored puts those of a scope together again.
fn scope_spans(span: Span) -> Value {
    let mut fields = Map::new();
    let (parent, links) = parent_and_links(&span);
    fields.insert("traceId".into(), padded(&span.trace_id, 32));
    fields.insert("spanId".into(), padded(&span.span_id, 16));
    if let Some(parent) = parent {
        fields.insert("parentSpanId".into(), padded(&parent, 16));
    }
    fields.insert("links".into(), links);
    fields.insert("name".into(), span.operation_name.into());
    let start = span.start_time.saturating_mul(1000);
    let end = start.saturating_add(span.duration.saturating_mul(1000));
    fields.insert("startTimeUnixNano".into(), start.into());
    fields.insert("endTimeUnixNano".into(), end.into());
    let events = span.logs.unwrap_or_default().into_iter().map(event);
    fields.insert("events".into(), events.collect());

    let mut scope = Map::new();
    let mut status = Map::new();
    let mut attributes = Vec::new();
    for tag in span.tags.unwrap_or_default() {
        let text = tag.value.as_str().unwrap_or_default();
        match tag.key.as_str() {
            "span.kind" => {
                let kind = format!("SPAN_KIND_{}", text.to_uppercase());
                fields.insert("kind".into(), kind.into());
            }
            "otel.status_code" => {
                let code = format!("STATUS_CODE_{}", text.to_uppercase());
                status.insert("code".into(), code.into());
            }
            "otel.status_description" => {
                status.insert("message".into(), text.into());
            }
            "w3c.tracestate" => {
                fields.insert("traceState".into(), text.into());
            }
            "otel.scope.name" | "otel.library.name" => {
                scope.insert("name".into(), text.into());
            }
            "otel.scope.version" | "otel.library.version" => {
                scope.insert("version".into(), text.into());
            }
            "internal.span.format" => {}
            "error" if text == "true" || tag.value == Value::Bool(true) => {
                status.insert("code".into(), "STATUS_CODE_ERROR".into());
            }
            _ => attributes.push(attribute(tag)),
        }
    }
    fields.insert("status".into(), status.into());
    fields.insert("attributes".into(), attributes.into());
    json!({ "scope": scope, "spans": [fields] })
}

fn parent_and_links(span: &Span) -> (Option<String>, Value) {
    let references = span.references.as_deref().unwrap_or_default();
    let here = |kind: &str| {
        let same = |r: &Reference| r.trace_id == span.trace_id && r.ref_type == kind;
        references.iter().position(same)
    };
    let parent = here("CHILD_OF").or_else(|| here("FOLLOWS_FROM"));
    let others = references
        .iter()
        .enumerate()
        .filter(|(at, _)| Some(*at) != parent);
    let links = others.map(|(_, reference)| {
        let kind = json!({"stringValue": reference.ref_type.to_lowercase()});
        json!({
            "traceId": padded(&reference.trace_id, 32),
            "spanId": padded(&reference.span_id, 16),
            "attributes": [{"key": "opentracing.ref_type", "value": kind}],
        })
    });
    let links = links.collect();
    let written = || span.parent.clone().filter(|id| !id.is_empty());
    let parent = parent
        .map(|at| references[at].span_id.clone())
        .or_else(written);
    (parent, links)
}

/// Jaeger's clients leave zeros at the front of identifiers away.
fn padded(id: &str, digits: usize) -> Value {
    format!("{id:0>digits$}").into()
}

fn event(log: Log) -> Value {
    let mut name = Value::Null;
    let mut attributes = Vec::new();
    for field in log.fields {
        if field.key == "event" && field.value.is_string() && name.is_null() {
            name = field.value;
        } else {
            attributes.push(attribute(field));
        }
    }
    let time = log.timestamp.saturating_mul(1000);
    json!({ "timeUnixNano": time, "name": name, "attributes": attributes })
}

fn attribute(tag: Tag) -> Value {
    let kind = match (tag.r#type.as_str(), &tag.value) {
        ("string", Value::String(_)) => "stringValue",
        ("bool", Value::Bool(_)) => "boolValue",
        ("int64", Value::Number(_) | Value::String(_)) => "intValue",
        ("float64", Value::Number(_) | Value::String(_)) => "doubleValue",
        ("binary", Value::String(_)) => "bytesValue",
        (_, Value::Bool(_)) => "boolValue",
        (_, Value::Number(number)) if number.is_i64() => "intValue",
        (_, Value::Number(_)) => "doubleValue",
        _ => "stringValue",
    };
    let value = match tag.value {
        value if kind != "stringValue" => value,
        Value::String(text) => Value::String(text),
        Value::Null => Value::String(String::new()),
        other => Value::String(other.to_string()),
    };
    json!({ "key": tag.key, "value": { kind: value } })
}

#[cfg(test)]
mod tests;
