//! Spans for a collector, encoded as OTLP.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Status, TracesData};
use prost::Message;
use std::time::{SystemTime, UNIX_EPOCH};

pub use opentelemetry_proto::tonic::trace::v1::Span;

/// Identifies a trace: never zero.
pub type TraceNumber = u128;

/// The identifier as queries take it.
pub fn hex(trace: TraceNumber) -> String {
    format!("{trace:032x}")
}

/// A text attribute.
pub fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

/// A span of `trace` with the given number and parent; number zero is none. It lasts ten milliseconds.
pub fn span(trace: TraceNumber, number: u64, parent: u64) -> Span {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("after 1970").as_nanos() as u64;
    Span {
        trace_id: trace.to_be_bytes().to_vec(),
        span_id: number.to_be_bytes().to_vec(),
        parent_span_id: match parent {
            0 => Vec::new(),
            parent => parent.to_be_bytes().to_vec(),
        },
        name: format!("operation {number}"),
        kind: 1,
        start_time_unix_nano: now - 10_000_000,
        end_time_unix_nano: now,
        attributes: vec![attribute("test.number", &number.to_string())],
        ..Span::default()
    }
}

/// The span with the status of a failure.
pub fn failed(span: Span, why: &str) -> Span {
    Span {
        status: Some(Status {
            message: why.to_owned(),
            code: StatusCode::Error.into(),
        }),
        ..span
    }
}

/// A request with these spans of `service`.
pub fn request(service: &str, spans: Vec<Span>) -> Vec<u8> {
    let resource = Resource {
        attributes: vec![attribute("service.name", service)],
        ..Resource::default()
    };
    let scope_spans = ScopeSpans {
        spans,
        ..ScopeSpans::default()
    };
    let data = TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        }],
    };
    data.encode_to_vec()
}
