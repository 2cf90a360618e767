//! JSON as the specification and SDKs write it, against OpenTelemetry's own messages.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1 as otlp;
use prost::Message;
use serde_json::json;

use super::*;
use crate::wire::Limits;

fn read(json: serde_json::Value) -> otlp::TracesData {
    let bytes = otlp_from_json(json.to_string().as_bytes()).unwrap();
    otlp::TracesData::decode(bytes).unwrap()
}

fn span(fields: serde_json::Value) -> otlp::Span {
    let read = read(json!({"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]}));
    read.resource_spans[0].scope_spans[0].spans[0].clone()
}

fn value(json: serde_json::Value) -> Option<Value> {
    let attributes = json!({"attributes": [{"key": "k", "value": json}]});
    span(attributes).attributes[0].value.clone()?.value
}

/// The example of the OTLP specification's repository, `examples/trace.json`.
const EXAMPLE: &str = r#"{"resourceSpans":[{
  "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},
  "scopeSpans":[{
    "scope":{"name":"my.library","version":"1.0.0","attributes":[
      {"key":"my.scope.attribute","value":{"stringValue":"some scope attribute"}}]},
    "spans":[{
      "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174",
      "parentSpanId":"EEE19B7EC3C1B173","name":"I'm a server span",
      "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000","kind":2,
      "attributes":[{"key":"my.span.attr","value":{"stringValue":"some value"}}]}]}]}]}"#;

#[test]
fn the_specifications_example_is_read_and_written() {
    let bytes = otlp_from_json(EXAMPLE.as_bytes()).unwrap();
    let batch = Batch::scan(bytes, &Limits::default()).unwrap();
    let span = batch.span(0);
    assert_eq!(
        span.trace_id.to_string(),
        "5b8efff798038103d269b633813fc60c"
    );
    assert_eq!(span.parent.unwrap().to_string(), "eee19b7ec3c1b173");
    assert_eq!(
        (span.service, span.name),
        ("my.service", "I'm a server span")
    );
    assert_eq!(span.duration(), 1_000_000_000);
    assert_eq!(span.scope(), ("my.library", "1.0.0"));

    let written: serde_json::Value = serde_json::from_str(&otlp_to_json(&batch).unwrap()).unwrap();
    let lowercase = EXAMPLE
        .replace(
            "5B8EFFF798038103D269B633813FC60C",
            "5b8efff798038103d269b633813fc60c",
        )
        .replace("EEE19B7EC3C1B17", "eee19b7ec3c1b17");
    let expected: serde_json::Value = serde_json::from_str(&lowercase).unwrap();
    assert_eq!(written, expected);
}

#[test]
fn every_field_comes_back() {
    let span = json!({
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
        "traceState": "a=b", "parentSpanId": "eee19b7ec3c1b173", "flags": 257, "name": "n", "kind": 5,
        "startTimeUnixNano": "18446744073709551615", "endTimeUnixNano": "1",
        "attributes": [
            {"key": "s", "value": {"stringValue": ""}},
            {"key": "b", "value": {"boolValue": false}},
            {"key": "i", "value": {"intValue": "-9223372036854775808"}},
            {"key": "d", "value": {"doubleValue": 0.5}},
            {"key": "n", "value": {"doubleValue": "-Infinity"}},
            {"key": "x", "value": {"bytesValue": "+/8="}},
            {"key": "a", "value": {"arrayValue": {"values": [{"intValue": "1"}, {}]}}},
            {"key": "m", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": true}}]}}},
        ],
        "droppedAttributesCount": 1,
        "events": [{"timeUnixNano": "2", "name": "e", "attributes": [{"key": "none"}],
            "droppedAttributesCount": 2}],
        "droppedEventsCount": 3,
        "links": [{"traceId": "5b8efff798038103d269b633813fc60d", "spanId": "eee19b7ec3c1b175",
            "traceState": "c=d", "attributes": [], "droppedAttributesCount": 4, "flags": 1}],
        "droppedLinksCount": 5,
        "status": {"message": "why", "code": 2},
    });
    let mut message = json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}],
            "droppedAttributesCount": 6,
            "entityRefs": [{"schemaUrl": "u", "type": "service", "idKeys": ["service.name"],
                "descriptionKeys": ["d"]}]},
        "scopeSpans": [{"scope": {"name": "l", "version": "1", "droppedAttributesCount": 7},
            "spans": [span], "schemaUrl": "v"}],
        "schemaUrl": "w",
    }]});
    let bytes = otlp_from_json(message.to_string().as_bytes()).unwrap();
    assert_eq!(
        read(message.clone()),
        otlp::TracesData::decode(bytes.clone()).unwrap()
    );
    let batch = Batch::scan(bytes, &Limits::default()).unwrap();
    let written: serde_json::Value = serde_json::from_str(&otlp_to_json(&batch).unwrap()).unwrap();
    // Defaults are left out.
    message
        .pointer_mut("/resourceSpans/0/scopeSpans/0/spans/0/links/0")
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove("attributes");
    assert_eq!(written, message);
}

#[test]
fn numbers_may_be_texts_and_texts_numbers() {
    for (written, nanoseconds) in [
        (json!("1544712660000000000"), 1_544_712_660_000_000_000),
        (
            json!(1_544_712_660_000_000_000u64),
            1_544_712_660_000_000_000,
        ),
        (json!(1.5e18), 1_500_000_000_000_000_000),
        (json!(null), 0),
    ] {
        let span = span(json!({ "startTimeUnixNano": written }));
        assert_eq!(span.start_time_unix_nano, nanoseconds);
    }
    assert_eq!(
        span(json!({"droppedEventsCount": "3", "flags": "1"})).flags,
        1
    );
    assert_eq!(value(json!({"intValue": 7})), Some(Value::IntValue(7)));
    assert_eq!(
        value(json!({"doubleValue": "7.5"})),
        Some(Value::DoubleValue(7.5))
    );
    assert_eq!(
        value(json!({"doubleValue": 7})),
        Some(Value::DoubleValue(7.0))
    );
}

#[test]
fn enumerations_may_be_names() {
    for kind in [json!(3), json!("3"), json!("SPAN_KIND_CLIENT")] {
        assert_eq!(span(json!({ "kind": kind })).kind, 3);
    }
    assert_eq!(
        span(json!({"kind": "SPAN_KIND_OF_A_LATER_VERSION"})).kind,
        0
    );
    for code in [json!(2), json!("STATUS_CODE_ERROR")] {
        assert_eq!(
            span(json!({"status": {"code": code}})).status.unwrap().code,
            2
        );
    }
}

#[test]
fn what_is_unknown_or_null_is_passed_over() {
    let odd = json!({
        "name": null, "attributes": null, "status": null, "spanId": null,
        "later": {"any": [1, {"thing": null}]},
    });
    assert_eq!(span(odd), otlp::Span::default());
    assert_eq!(value(json!({"laterValue": [1]})), None);
    assert_eq!(
        value(json!({"laterValue": {}, "boolValue": true})),
        Some(Value::BoolValue(true))
    );
    assert_eq!(read(json!({})), otlp::TracesData::default());
    assert_eq!(read(json!({"batches": [{}]})).resource_spans.len(), 1);
}

#[test]
fn base64_may_be_of_either_alphabet() {
    for text in ["+/8=", "+/8", "-_8"] {
        let expected = Some(Value::BytesValue(vec![0xfb, 0xff]));
        assert_eq!(value(json!({ "bytesValue": text })), expected);
    }
}

#[test]
fn what_is_wrong_is_refused() {
    let within = |fields: &str| {
        let text =
            format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#);
        otlp_from_json(text.as_bytes())
    };
    for fields in [
        r#""traceId":"5b8efff798038103d269b633813fc60""#,
        r#""traceId":"zz8efff798038103d269b633813fc60c""#,
        r#""traceId":"éé""#,
        r#""startTimeUnixNano":"-1""#,
        r#""startTimeUnixNano":18446744073709551616"#,
        r#""startTimeUnixNano":1.5"#,
        r#""startTimeUnixNano":"soon""#,
        r#""flags":4294967296"#,
        r#""name":1"#,
        r#""attributes":{}"#,
        r#""attributes":[{"key":"k","value":"v"}]"#,
        r#""attributes":[{"key":"k","value":{"bytesValue":"!"}}]"#,
        r#""attributes":[{"key":"k","value":{"intValue":"9223372036854775808"}}]"#,
    ] {
        assert!(within(fields).is_err(), "{fields}");
    }
    assert!(within(r#""name":"n""#).is_ok());
    for text in ["", "[]", "{", "{} {}", "\u{feff}{}"] {
        assert!(otlp_from_json(text.as_bytes()).is_err(), "{text}");
    }
    let deep = r#"{"arrayValue":{"values":["#.repeat(100_000);
    let deep = format!(r#""attributes":[{{"key":"k","value":{deep}"#);
    assert!(within(&deep).is_err());
}

#[test]
fn lines_are_joined() {
    let line = EXAMPLE.replace('\n', "");
    let bytes = otlp_from_json_lines(format!("{line}\n{line}\n").as_bytes()).unwrap();
    assert_eq!(Batch::scan(bytes, &Limits::default()).unwrap().len(), 2);
    assert!(otlp_from_json_lines(format!("{line}\n{{").as_bytes()).is_err());
}
