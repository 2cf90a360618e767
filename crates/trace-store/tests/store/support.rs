//! Traces to store, as an SDK would have sent them.

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, TracesData, span::SpanKind as Kind,
};
use prost::Message;
use quorate_trace::wire::{Batch, Limits, SpanKind, StatusCode};
use quorate_trace::{Completeness, SpanId, TraceId, Verdict};
use quorate_trace_store::{Decision, Fragment, ServiceSummary, Summary};
use std::collections::BTreeMap;

/// A number that looks random: the next after `state` (SplitMix64).
pub fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

pub fn trace_id(number: u64) -> TraceId {
    let mut state = number;
    let bytes = [random(&mut state).to_be_bytes(), number.to_be_bytes()].concat();
    TraceId::try_from(&bytes[..]).expect("16 bytes, not all zero")
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}

const SERVICES: [&str; 8] = [
    "frontend",
    "cart",
    "checkout",
    "payment",
    "shipping",
    "catalogue",
    "email",
    "currency",
];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];

/// A trace to be: its spans by service.
pub struct Trace {
    number: u64,
    spans: Vec<(&'static str, Span)>,
}

impl Trace {
    /// The `number`th, of `spans` spans, each with ten attributes and about 466 bytes.
    pub fn new(number: u64, spans: usize, start_ns: u64) -> Trace {
        let mut state = number;
        let mut made = Vec::new();
        for index in 0..spans {
            let dice = random(&mut state);
            let service = SERVICES[(dice % 3) as usize * 2 + index % 2];
            let operation = (dice >> 8) % 5;
            let begin = start_ns + index as u64 * 1_000_000;
            let attributes = vec![
                text("http.request.method", METHODS[(dice >> 16) as usize % 4]),
                text(
                    "http.route",
                    format!("/api/{service}/v1/resources/{{id}}/{operation}"),
                ),
                text(
                    "url.path",
                    format!("/api/{service}/v1/resources/{}", dice >> 40),
                ),
                attribute("http.response.status_code", Value::IntValue(200)),
                text("server.address", format!("{service}.internal.example.com")),
                attribute("server.port", Value::IntValue(8080)),
                text("network.protocol.version", "1.1"),
                text(
                    "user_agent.original",
                    "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101",
                ),
                text("enduser.id", format!("user-{}", dice >> 44)),
                attribute("app.retry", Value::BoolValue(dice.is_multiple_of(7))),
            ];
            let parent = index.checked_sub(1).map(|index| span_id(number, index / 2));
            made.push((
                service,
                Span {
                    trace_id: trace_id(number).bytes().to_vec(),
                    span_id: span_id(number, index).bytes().to_vec(),
                    parent_span_id: parent.map_or(Vec::new(), |id| id.bytes().to_vec()),
                    name: format!("{service} operation {operation}"),
                    kind: if index % 2 == 0 {
                        Kind::Server
                    } else {
                        Kind::Client
                    } as i32,
                    start_time_unix_nano: begin,
                    end_time_unix_nano: begin + 5_000_000 + dice % 1_000_000,
                    attributes,
                    ..Span::default()
                },
            ));
        }
        Trace {
            number,
            spans: made,
        }
    }

    /// One span is of this service and has this name.
    pub fn named(mut self, service: &'static str, name: &str) -> Trace {
        let (of, span) = &mut self.spans[0];
        *of = service;
        span.name = name.to_owned();
        self
    }

    /// The first span has this attribute.
    pub fn tagged(mut self, key: &str, value: &str) -> Trace {
        self.spans[0].1.attributes.push(text(key, value));
        self
    }

    /// The first span failed.
    pub fn failed(mut self) -> Trace {
        self.spans[0].1.status = Some(Status {
            message: "it broke".to_owned(),
            code: 2,
        });
        self
    }

    /// The first span takes so long.
    pub fn lasting(mut self, duration_ns: u64) -> Trace {
        let span = &mut self.spans[0].1;
        span.end_time_unix_nano = span.start_time_unix_nano + duration_ns;
        self
    }

    /// Without the first so many spans.
    pub fn without_first(mut self, count: usize) -> Trace {
        self.spans.drain(..count);
        self
    }

    /// As the collector puts it.
    pub fn fragment(self, revision: u32) -> Fragment {
        let mut by_service: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
        for (service, span) in self.spans {
            by_service.entry(service).or_default().push(span);
        }
        let resource_spans = by_service
            .into_iter()
            .map(|(service, spans)| ResourceSpans {
                resource: Some(Resource {
                    attributes: vec![
                        text("service.name", service),
                        text("host.name", format!("{service}-host")),
                    ],
                    ..Resource::default()
                }),
                scope_spans: vec![ScopeSpans {
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            });
        let message = TracesData {
            resource_spans: resource_spans.collect(),
        };
        fragment(
            trace_id(self.number),
            revision,
            message.encode_to_vec().into(),
        )
    }
}

pub fn span_id(number: u64, index: usize) -> SpanId {
    let mut state = number ^ (index as u64) << 40;
    SpanId::new(random(&mut state).to_be_bytes()).expect("not zero")
}

/// What the analysis would make of these spans.
fn fragment(trace_id: TraceId, revision: u32, spans: Bytes) -> Fragment {
    let batch = Batch::scan(spans.clone(), &Limits::default()).expect("what prost encoded");
    let mut services: BTreeMap<&str, ServiceSummary> = BTreeMap::new();
    let (mut start, mut end, mut errors) = (u64::MAX, 0, 0);
    let mut root = None;
    for span in batch.spans() {
        let service = services
            .entry(span.service)
            .or_insert_with(|| ServiceSummary {
                service: span.service.to_owned(),
                spans: 0,
                errors: 0,
                operations: Vec::new(),
            });
        let failed = u32::from(span.status == StatusCode::Error);
        service.spans += 1;
        service.errors += failed;
        errors += failed;
        let is_new = |(name, kind): &(String, SpanKind)| name != span.name || *kind != span.kind;
        if service.operations.iter().all(is_new) {
            service.operations.push((span.name.to_owned(), span.kind));
        }
        start = start.min(span.start);
        end = end.max(span.end);
        if span.parent.is_none() {
            root = Some((span.service.to_owned(), span.name.to_owned()));
        }
    }
    let completeness = Completeness {
        verdict: Verdict::Complete,
        spans: batch.len() as u32,
        roots: 1,
        missing: Vec::new(),
        missing_count: 0,
    };
    let decision = Decision::Kept {
        policy: "always".to_owned(),
    };
    let (root_service, root_name) = root.unwrap_or_default();
    let ids = batch
        .spans()
        .map(|span| (span.key(), span.parent))
        .collect();
    Fragment {
        trace_id,
        revision,
        summary: Summary {
            trace_id,
            revision,
            root_service,
            root_name,
            start_ns: start,
            duration_ns: end - start,
            spans: batch.len() as u32,
            errors,
            services: services.into_values().collect(),
            completeness: completeness.clone(),
            faults: Vec::new(),
            root_cause: None,
            decision: decision.clone(),
        },
        completeness,
        decision,
        ids,
        spans,
    }
}
