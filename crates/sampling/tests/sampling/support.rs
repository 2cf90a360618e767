//! Traces for the tests, and policies from TOML.

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData};
use prost::Message;
use quorate_sampling::{ConfigError, Decision, Policies, PolicyConfig};
use quorate_trace::wire::{Batch, Limits};

pub(crate) const MS: u64 = 1_000_000;
const BEGIN: u64 = 1_700_000_000_000 * MS;

/// A trace being put together: one resource for each span.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    id: u128,
    spans: Vec<(Vec<KeyValue>, Span)>,
}

/// A trace of `count` spans that last a millisecond.
pub(crate) fn trace(count: usize) -> Trace {
    let mut trace = Trace {
        id: 7,
        spans: Vec::new(),
    };
    for _ in 0..count {
        trace = trace.span(0, 1, |_| ());
    }
    trace
}

impl Trace {
    pub(crate) fn id(mut self, id: u128) -> Self {
        self.id = id;
        self
    }

    /// One more span, from and to so many milliseconds after the begin.
    pub(crate) fn span(mut self, from_ms: u64, to_ms: u64, change: impl FnOnce(&mut Span)) -> Self {
        let mut span = Span {
            span_id: (self.spans.len() as u64 + 1).to_be_bytes().to_vec(),
            start_time_unix_nano: BEGIN + from_ms * MS,
            end_time_unix_nano: BEGIN + to_ms * MS,
            ..Span::default()
        };
        change(&mut span);
        self.spans.push((Vec::new(), span));
        self
    }

    pub(crate) fn status(self, code: i32) -> Self {
        self.span(0, 1, |span| {
            span.status = Some(Status {
                code,
                ..Status::default()
            });
        })
    }

    pub(crate) fn attribute(self, key: &str, value: any_value::Value) -> Self {
        self.span(0, 1, |span| span.attributes.push(pair(key, value)))
    }

    pub(crate) fn resource(mut self, key: &str, value: any_value::Value) -> Self {
        self = self.span(0, 1, |_| ());
        let (resource, _) = self.spans.last_mut().expect("one was added");
        resource.push(pair(key, value));
        self
    }

    /// Its spans in another order.
    pub(crate) fn rotated(mut self, by: usize) -> Self {
        let by = by % self.spans.len().max(1);
        self.spans.rotate_left(by);
        self
    }

    fn scan(&self) -> Batch {
        let resource_spans = self.spans.iter().map(|(resource, span)| ResourceSpans {
            resource: Some(Resource {
                attributes: resource.clone(),
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: vec![Span {
                    trace_id: self.id.to_be_bytes().to_vec(),
                    ..span.clone()
                }],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        });
        let data = TracesData {
            resource_spans: resource_spans.collect(),
        };
        let body = Bytes::from(data.encode_to_vec());
        let batch = Batch::scan(body, &Limits::default()).expect("a message");
        assert_eq!(batch.len(), self.spans.len());
        batch
    }
}

pub(crate) fn text(text: &str) -> any_value::Value {
    any_value::Value::StringValue(text.to_owned())
}

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

#[derive(Debug, serde::Deserialize)]
struct Sampling {
    policy: Vec<PolicyConfig>,
}

pub(crate) fn read(toml: &str) -> Result<Vec<PolicyConfig>, toml::de::Error> {
    toml::from_str(toml).map(|sampling: Sampling| sampling.policy)
}

pub(crate) fn try_policies(toml: &str) -> Result<Policies, ConfigError> {
    Policies::new(&read(toml).expect("can be read"))
}

pub(crate) fn policies(toml: &str) -> Policies {
    try_policies(toml).expect("valid")
}

/// One policy, named `p`, with these lines of options.
pub(crate) fn policy(options: &str) -> Policies {
    policies(&format!("[[policy]]\nname = \"p\"\n{options}\n"))
}

pub(crate) fn decide(policies: &mut Policies, now_ms: u64, trace: &Trace) -> Decision {
    let batch = trace.scan();
    let spans: Vec<_> = (0..batch.len()).map(|index| batch.span(index)).collect();
    policies.decide(now_ms, &spans)
}

pub(crate) fn keeps(policies: &mut Policies, trace: &Trace) -> bool {
    decide(policies, 0, trace).keep
}
