//! Traces for tests, written down span by span and encoded as a client would.

// Each test uses a part of it, and what it is given is right.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Link;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData};
use prost::Message;
use quorate_trace::wire::{Batch, Limits, SpanKind};
use quorate_trace::{SpanId, TraceId};

/// When all traces begin.
pub const EPOCH: u64 = 1_700_000_000_000_000_000;
/// A millisecond.
pub const MS: u64 = 1_000_000;

pub fn id(number: u64) -> SpanId {
    SpanId::new(number.to_be_bytes()).unwrap()
}

pub fn trace_id(number: u128) -> TraceId {
    TraceId::new(number.to_be_bytes()).unwrap()
}

/// A trace that is being written down. Times are in milliseconds since its begin.
pub struct Trace {
    number: u128,
    services: Vec<(String, Vec<Span>)>,
}

impl Trace {
    pub fn new(number: u128) -> Self {
        Trace {
            number,
            services: Vec::new(),
        }
    }

    /// Adds a span: service, number, number of its parent (0: none), kind, name, begin and end.
    pub fn span(
        &mut self,
        service: &str,
        (number, parent): (u64, u64),
        kind: SpanKind,
        name: &str,
        (from, to): (u64, u64),
    ) -> &mut Span {
        let bytes = |number: u64| match number {
            0 => Vec::new(),
            number => number.to_be_bytes().to_vec(),
        };
        let span = Span {
            trace_id: self.number.to_be_bytes().to_vec(),
            span_id: bytes(number),
            parent_span_id: bytes(parent),
            name: name.to_owned(),
            kind: kind as i32,
            start_time_unix_nano: EPOCH + from * MS,
            end_time_unix_nano: EPOCH + to * MS,
            ..Span::default()
        };
        let at = self.services.iter().position(|(name, _)| name == service);
        let at = at.unwrap_or_else(|| {
            self.services.push((service.to_owned(), Vec::new()));
            self.services.len() - 1
        });
        let spans = &mut self.services[at].1;
        spans.push(span);
        spans.last_mut().unwrap()
    }

    /// A call between services as both sides record it: the client span has the number, the server span
    /// the next one.
    pub fn call(
        &mut self,
        (caller, callee): (&str, &str),
        (number, parent): (u64, u64),
        name: &str,
        (from, to): (u64, u64),
    ) {
        self.span(caller, (number, parent), SpanKind::Client, name, (from, to));
        let served = (from + 1, to - 1);
        self.span(callee, (number + 1, number), SpanKind::Server, name, served);
    }

    /// The span of this number.
    pub fn get(&mut self, number: u64) -> &mut Span {
        let wanted = number.to_be_bytes();
        let mut spans = self.services.iter_mut().flat_map(|(_, spans)| spans);
        spans.find(|span| span.span_id == wanted).unwrap()
    }

    /// Makes spans failed.
    pub fn fail(&mut self, numbers: &[u64], message: &str) {
        for number in numbers {
            self.get(*number).status = Some(Status {
                code: 2,
                message: message.to_owned(),
            });
        }
    }

    /// Adds a link to a span of another trace.
    pub fn link(&mut self, number: u64, (trace, span): (u128, u64), attributes: Vec<KeyValue>) {
        self.get(number).links.push(Link {
            trace_id: trace.to_be_bytes().to_vec(),
            span_id: span.to_be_bytes().to_vec(),
            attributes,
            ..Link::default()
        });
    }

    /// Sets the clock of a service wrong.
    pub fn shift(&mut self, service: &str, by: i64) {
        let (_, spans) = self
            .services
            .iter_mut()
            .find(|(name, _)| name == service)
            .unwrap();
        for span in spans {
            span.start_time_unix_nano = span.start_time_unix_nano.strict_add_signed(by);
            span.end_time_unix_nano = span.end_time_unix_nano.strict_add_signed(by);
        }
    }

    /// As received.
    pub fn batch(&self) -> Batch {
        let resource_spans = self.services.iter().map(|(service, spans)| ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", service), text("host.name", "node-1")],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: spans.clone(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        });
        let message = TracesData {
            resource_spans: resource_spans.collect(),
        };
        Batch::scan(message.encode_to_vec().into(), &Limits::default()).unwrap()
    }
}

pub fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

pub fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// The views of a batch's spans.
pub fn views(batch: &Batch) -> Vec<quorate_trace::wire::Span<'_>> {
    batch.spans().collect()
}

/// A span with the attributes that instrumentation of HTTP usually adds.
pub fn usual_attributes() -> Vec<KeyValue> {
    vec![
        text("http.request.method", "GET"),
        text("url.path", "/api/products/OLJCESPC7Z"),
        text("url.scheme", "http"),
        text("server.address", "frontend.shop.svc"),
        int("server.port", 8080),
        int("http.response.status_code", 200),
        text("network.protocol.version", "1.1"),
        text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64)"),
        text("client.address", "10.12.7.201"),
        int("app.items", 3),
    ]
}

/// A healthy checkout of 14 spans over five services.
pub fn checkout(number: u128) -> Trace {
    let mut trace = Trace::new(number);
    trace.span(
        "frontend",
        (1, 0),
        SpanKind::Server,
        "POST /checkout",
        (0, 200),
    );
    trace.call(("frontend", "checkout"), (2, 1), "PlaceOrder", (2, 198));
    trace.call(("checkout", "cart"), (4, 3), "GetCart", (5, 25));
    trace.span("cart", (6, 5), SpanKind::Client, "HGETALL", (8, 20));
    trace.span("checkout", (7, 3), SpanKind::Internal, "prepare", (25, 60));
    trace.call(("checkout", "payment"), (8, 3), "Charge", (60, 150));
    trace.span(
        "payment",
        (10, 9),
        SpanKind::Client,
        "INSERT charges",
        (65, 140),
    );
    trace.call(("checkout", "shipping"), (11, 3), "Ship", (60, 100));
    trace.span("shipping", (13, 12), SpanKind::Internal, "quote", (70, 80));
    trace.span(
        "checkout",
        (14, 3),
        SpanKind::Producer,
        "orders send",
        (160, 170),
    );
    for number in 1..=14 {
        trace.get(number).attributes = usual_attributes();
    }
    trace
}
