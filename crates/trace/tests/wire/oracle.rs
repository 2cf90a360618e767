//! Compares the scan with prost: what one reads, the other decodes.
//!
//! Shared by the property tests and by the fuzzer.

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;
use quorate_trace::wire::{self, Batch, Limits, Span, SpanKind, StatusCode, Value};

/// A decoded span with what it shares with others.
struct Decoded<'a> {
    resource: &'a otlp::ResourceSpans,
    scope: &'a otlp::ScopeSpans,
    span: &'a otlp::Span,
}

/// Scans and decodes `bytes`.
///
/// # Panics
///
/// If the scan refuses what prost accepts, or they read different things.
pub(crate) fn check(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let decoded = TracesData::decode(body.clone());
    let batch = match Batch::scan(body, &Limits::default()) {
        Ok(batch) => batch,
        Err(error) => return assert!(decoded.is_err(), "prost reads it: {error}"),
    };

    // Whatever became of the rest of the message, what was accepted makes a message that all can read.
    let spans: Vec<Span<'_>> = batch.spans().collect();
    let encoded = wire::encode(&spans);
    assert_eq!(wire::encoded_size(&spans), encoded.len());
    let again = TracesData::decode(encoded.clone()).expect("accepted spans decode");
    let rescanned = Batch::scan(encoded, &Limits::default()).expect("accepted spans scan");
    assert_eq!(rescanned.refused().total(), 0);
    assert_agree(&rescanned, &again);
    assert_eq!(rescanned.len(), spans.len());

    if let Ok(message) = decoded {
        let refused = batch.refused();
        assert_eq!(refused.utf8, 0, "prost decodes UTF-8 only");
        assert_eq!(
            batch.len() + refused.total() as usize,
            flat(&message).count()
        );
        if refused.total() == 0 {
            assert_agree(&batch, &message);
            assert_eq!(sorted(&message), sorted(&again));
        }
    }
}

fn flat(message: &TracesData) -> impl Iterator<Item = Decoded<'_>> {
    message.resource_spans.iter().flat_map(|resource| {
        resource.scope_spans.iter().flat_map(move |scope| {
            scope.spans.iter().map(move |span| Decoded {
                resource,
                scope,
                span,
            })
        })
    })
}

/// Encoding puts spans of one resource together; so messages are compared whatever their order.
fn sorted(message: &TracesData) -> Vec<[Vec<u8>; 3]> {
    let parts = |decoded: Decoded<'_>| {
        let resource = otlp::ResourceSpans {
            scope_spans: Vec::new(),
            ..decoded.resource.clone()
        };
        let scope = otlp::ScopeSpans {
            spans: Vec::new(),
            ..decoded.scope.clone()
        };
        [
            resource.encode_to_vec(),
            scope.encode_to_vec(),
            decoded.span.encode_to_vec(),
        ]
    };
    let mut all: Vec<_> = flat(message).map(parts).collect();
    all.sort();
    all
}

fn assert_agree(batch: &Batch, message: &TracesData) {
    assert_eq!(batch.len(), flat(message).count());
    for (index, decoded) in flat(message).enumerate() {
        let span = batch.span(index);
        assert_eq!(
            batch.identity(index),
            (span.trace_id, span.key(), span.parent)
        );
        assert_same_span(&span, decoded.span);
        assert_same_origin(&span, &decoded);
    }
}

fn assert_same_span(span: &Span<'_>, decoded: &otlp::Span) {
    assert_eq!(span.trace_id.bytes()[..], decoded.trace_id);
    assert_eq!(span.span_id.bytes()[..], decoded.span_id);
    match span.parent {
        Some(parent) => assert_eq!(parent.bytes()[..], decoded.parent_span_id),
        None => assert!(decoded.parent_span_id.iter().all(|byte| *byte == 0)),
    }
    assert_eq!(span.name, decoded.name);
    assert_eq!(span.start, decoded.start_time_unix_nano);
    assert_eq!(span.end, decoded.end_time_unix_nano);
    assert_eq!(span.kind, SpanKind::from_number(decoded.kind));
    assert_eq!(span.flags, decoded.flags);
    assert_eq!(span.trace_state(), decoded.trace_state);
    let status = decoded.status.clone().unwrap_or_default();
    assert_eq!(span.status, StatusCode::from_number(status.code));
    assert_eq!(span.status_message(), status.message);
    assert_same_attributes(span.attributes(), &decoded.attributes);

    let events: Vec<_> = span.events().collect();
    assert_eq!(events.len(), decoded.events.len());
    for (event, decoded) in events.iter().zip(&decoded.events) {
        assert_eq!(event.time, decoded.time_unix_nano);
        assert_eq!(event.name, decoded.name);
        assert_same_attributes(event.attributes.clone(), &decoded.attributes);
    }

    let is_valid =
        |id: &[u8], length: usize| id.len() == length && id.iter().any(|byte| *byte != 0);
    let mut links = span.links();
    for decoded in &decoded.links {
        if is_valid(&decoded.trace_id, 16) && is_valid(&decoded.span_id, 8) {
            let link = links.next().expect("a valid link is there");
            assert_eq!(link.trace_id.bytes()[..], decoded.trace_id);
            assert_eq!(link.span_id.bytes()[..], decoded.span_id);
            assert_eq!(link.trace_state, decoded.trace_state);
            assert_same_attributes(link.attributes, &decoded.attributes);
        }
    }
    assert!(links.next().is_none());
}

fn assert_same_origin(span: &Span<'_>, decoded: &Decoded<'_>) {
    let resource = decoded.resource.resource.clone().unwrap_or_default();
    assert_same_attributes(span.resource_attributes(), &resource.attributes);
    let names = resource
        .attributes
        .iter()
        .filter(|attribute| attribute.key == "service.name");
    let mut texts = names.filter_map(|attribute| match &attribute.value {
        Some(AnyValue {
            value: Some(any_value::Value::StringValue(text)),
        }) => Some(text.as_str()),
        _ => None,
    });
    let service = texts.next().filter(|name| !name.is_empty());
    assert_eq!(span.service, service.unwrap_or("unknown_service"));
    let scope = decoded.scope.scope.clone().unwrap_or_default();
    assert_eq!(span.scope(), (scope.name.as_str(), scope.version.as_str()));
    assert_same_attributes(span.scope_attributes(), &scope.attributes);
}

fn assert_same_attributes<'a>(
    mut attributes: impl Iterator<Item = (&'a str, Value<'a>)>,
    decoded: &[KeyValue],
) {
    for expected in decoded {
        let (key, value) = attributes.next().expect("an attribute is there");
        assert_eq!(key, expected.key);
        let expected = expected.value.as_ref();
        assert_same_value(&value, expected.and_then(|any| any.value.as_ref()));
    }
    assert!(attributes.next().is_none());
}

fn assert_same_value(value: &Value<'_>, decoded: Option<&any_value::Value>) {
    use any_value::Value as Expected;
    match (value, decoded) {
        (Value::Empty, None | Some(Expected::StringValueStrindex(_))) => {}
        (Value::String(text), Some(Expected::StringValue(expected))) => assert_eq!(text, expected),
        (Value::Bool(value), Some(Expected::BoolValue(expected))) => assert_eq!(value, expected),
        (Value::Int(value), Some(Expected::IntValue(expected))) => assert_eq!(value, expected),
        (Value::Double(value), Some(Expected::DoubleValue(expected))) => {
            assert_eq!(value.to_bits(), expected.to_bits());
        }
        (Value::Bytes(bytes), Some(Expected::BytesValue(expected))) => assert_eq!(bytes, expected),
        (Value::Array(values), Some(Expected::ArrayValue(expected))) => {
            let values: Vec<_> = values.clone().collect();
            assert_eq!(values.len(), expected.values.len());
            for (value, expected) in values.iter().zip(&expected.values) {
                assert_same_value(value, expected.value.as_ref());
            }
        }
        (Value::Map(values), Some(Expected::KvlistValue(expected))) => {
            assert_same_attributes(values.clone(), &expected.values);
        }
        (value, expected) => panic!("{value:?} is not {expected:?}"),
    }
}
