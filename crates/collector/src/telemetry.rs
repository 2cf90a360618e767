//! The collector's own operations as traces, so that it can be looked at with its own means.
//!
//! A few operations a minute, as many as the configuration says, are recorded with their steps and taken in
//! like any client's spans, as service `quorate-collector`. What takes in these traces is not traced again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
use prost::Message;

/// Decides which operations are recorded.
#[derive(Debug)]
pub(crate) struct Tracer {
    per_minute: u64,
    started: Instant,
    recorded: AtomicU64,
}

impl Tracer {
    pub(crate) fn new(per_minute: u32) -> Self {
        Tracer {
            per_minute: per_minute.into(),
            started: Instant::now(),
            recorded: AtomicU64::new(0),
        }
    }

    /// Begins a recording, if it is time for one: at most one of each operation's share of a minute.
    pub(crate) fn begin(&self, name: &'static str, kind: SpanKind) -> Option<Recording> {
        if self.per_minute == 0 {
            return None;
        }
        let elapsed_ms = self.started.elapsed().as_millis() as u64;
        let due = elapsed_ms * self.per_minute / 60_000 + 1;
        let recorded = self.recorded.load(Ordering::Relaxed);
        let taken = recorded < due
            && self
                .recorded
                .compare_exchange(recorded, due, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        taken.then(|| Recording::new(name, kind, elapsed_ms ^ recorded))
    }
}

/// One operation with its steps.
#[derive(Debug)]
pub(crate) struct Recording {
    trace_id: [u8; 16],
    root: Span,
    steps: Vec<Span>,
}

impl Recording {
    fn new(name: &'static str, kind: SpanKind, salt: u64) -> Self {
        let now = unix_nanos();
        // Unique for this host and moment; nothing secret hangs on it.
        let trace_id =
            (u128::from(now) << 64 | u128::from(salt ^ u64::from(std::process::id())) | 1)
                .to_be_bytes();
        let root = Span {
            trace_id: trace_id.to_vec(),
            span_id: 1u64.to_be_bytes().to_vec(),
            name: name.to_owned(),
            kind: kind.into(),
            start_time_unix_nano: now,
            ..Span::default()
        };
        Recording {
            trace_id,
            root,
            steps: Vec::new(),
        }
    }

    /// A step that began at `begun`, as [`unix_nanos`] tells it, and ends now.
    pub(crate) fn step(&mut self, name: &'static str, begun: u64) {
        self.step_until(name, begun, unix_nanos());
    }

    /// A step of the past.
    pub(crate) fn step_until(&mut self, name: &'static str, begun: u64, ended: u64) {
        let number = self.steps.len() as u64 + 2;
        self.steps.push(Span {
            trace_id: self.trace_id.to_vec(),
            span_id: number.to_be_bytes().to_vec(),
            parent_span_id: self.root.span_id.clone(),
            name: name.to_owned(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: begun,
            end_time_unix_nano: ended,
            ..Span::default()
        });
    }

    /// A number that tells how much there was to do.
    pub(crate) fn attribute(&mut self, key: &'static str, value: u64) {
        self.root
            .attributes
            .push(attribute(key, Value::IntValue(value as i64)));
    }

    /// Ends now; the request that tells of it.
    pub(crate) fn end(mut self) -> Bytes {
        self.root.end_time_unix_nano = unix_nanos();
        let mut spans = self.steps;
        spans.push(self.root);
        let service = [
            ("service.name", "quorate-collector"),
            ("service.version", env!("CARGO_PKG_VERSION")),
        ];
        let resource = Resource {
            attributes: service
                .map(|(key, value)| attribute(key, Value::StringValue(value.to_owned())))
                .to_vec(),
            ..Resource::default()
        };
        let scope = InstrumentationScope {
            name: "quorate".to_owned(),
            ..InstrumentationScope::default()
        };
        let data = TracesData {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope),
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        data.encode_to_vec().into()
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// Nanoseconds since 1970, by the system's clock.
pub(crate) fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_trace::wire::{Batch, Limits};

    #[test]
    fn an_operation_is_a_trace_with_its_steps() {
        let tracer = Tracer::new(1);
        let mut recording = tracer.begin("seal", SpanKind::Internal).unwrap();
        recording.step("store", unix_nanos());
        recording.attribute("traces", 3);
        let batch = Batch::scan(recording.end(), &Limits::default()).unwrap();
        assert_eq!(batch.refused().total(), 0);
        let spans: Vec<_> = batch.spans().collect();
        assert_eq!(spans.len(), 2);
        assert_eq!(spans[0].parent, Some(spans[1].span_id));
        assert_eq!(spans[1].parent, None);
        assert_eq!(spans[1].service, "quorate-collector");
    }

    #[test]
    fn no_more_are_recorded_than_are_wanted() {
        assert!(Tracer::new(0).begin("seal", SpanKind::Internal).is_none());
        let tracer = Tracer::new(1);
        assert!(tracer.begin("seal", SpanKind::Internal).is_some());
        assert!(tracer.begin("seal", SpanKind::Internal).is_none());
    }
}
