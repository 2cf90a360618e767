//! What one pass over a request costs: `cargo bench -p quorate-trace`.
//!
//! The request is what a busy collector receives: 500 spans of some 470 bytes and ten attributes each,
//! three services.

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
use prost::Message;
use quorate_trace::wire::{Batch, Limits, encode};

const SPANS: usize = 500;

fn main() {
    divan::main();
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn span(number: usize) -> Span {
    let text = |key: &str, value: &str| attribute(key, Value::StringValue(value.to_owned()));
    Span {
        trace_id: ((number / 14 + 1) as u128).to_be_bytes().to_vec(),
        span_id: (number as u64 + 1).to_be_bytes().to_vec(),
        parent_span_id: (number as u64).to_be_bytes().to_vec(),
        name: "GET /api/products/{id}".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000 + number as u64,
        end_time_unix_nano: 1_700_000_000_005_000_000,
        attributes: vec![
            text("http.request.method", "GET"),
            text("url.path", "/api/products/OLJCESPC7Z"),
            text("url.scheme", "http"),
            text("server.address", "frontend.shop.svc"),
            attribute("server.port", Value::IntValue(8080)),
            attribute("http.response.status_code", Value::IntValue(200)),
            text("network.protocol.version", "1.1"),
            text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64)"),
            text("client.address", "10.12.7.201"),
            attribute("app.cache.hit", Value::BoolValue(true)),
        ],
        ..Span::default()
    }
}

fn request() -> Bytes {
    let resource = |service: usize| Resource {
        attributes: ["service.name", "host.name", "process.runtime.name"]
            .map(|key| attribute(key, Value::StringValue(format!("{key}-{service}"))))
            .to_vec(),
        ..Resource::default()
    };
    let resource_spans = (0..3).map(|service| ResourceSpans {
        resource: Some(resource(service)),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: "net/http".to_owned(),
                version: "0.61.0".to_owned(),
                ..InstrumentationScope::default()
            }),
            spans: (0..SPANS).filter(|n| n % 3 == service).map(span).collect(),
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    });
    let data = TracesData {
        resource_spans: resource_spans.collect(),
    };
    data.encode_to_vec().into()
}

#[divan::bench]
fn scan(bencher: Bencher<'_, '_>) {
    let body = request();
    bencher
        .counter(ItemsCount::new(SPANS))
        .bench(|| Batch::scan(black_box(body.clone()), &Limits::default()));
}

#[divan::bench]
fn decode_with_prost(bencher: Bencher<'_, '_>) {
    let body = request();
    bencher
        .counter(ItemsCount::new(SPANS))
        .bench(|| TracesData::decode(black_box(body.clone())));
}

/// The spans of one trace out of a request, as the sealer does it.
#[divan::bench]
fn encode_a_trace(bencher: Bencher<'_, '_>) {
    let batch = Batch::scan(request(), &Limits::default()).expect("a well-formed request");
    let spans: Vec<_> = (0..14).map(|index| batch.span(index * 35)).collect();
    bencher
        .counter(ItemsCount::new(spans.len()))
        .bench(|| encode(black_box(&spans)));
}
