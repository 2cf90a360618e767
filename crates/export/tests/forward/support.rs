//! Traces, and a forwarder in a temporary directory.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
use prost::Message;
use quorate_export::forward::{Config, Forwarder, Protocol};
use tokio::runtime::Handle;

/// A trace of so many spans, numbered from 1, each of about this many bytes.
pub(crate) fn trace(id: u128, spans: u64, name: &str, bytes: usize) -> Bytes {
    let spans = (1..=spans).map(|span| Span {
        trace_id: id.to_be_bytes().to_vec(),
        span_id: span.to_be_bytes().to_vec(),
        name: name.to_owned(),
        trace_state: "x".repeat(bytes),
        ..Span::default()
    });
    let data = TracesData {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: spans.collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    data.encode_to_vec().into()
}

/// Traces of two spans, with these identifiers.
pub(crate) fn traces(ids: std::ops::RangeInclusive<u128>) -> Vec<Bytes> {
    ids.map(|id| trace(id, 2, "op", 0)).collect()
}

/// What a backend has seen when it took [`traces`].
pub(crate) fn spans_of(ids: std::ops::RangeInclusive<u128>) -> Vec<(u128, u64)> {
    ids.flat_map(|id| [(id, 1), (id, 2)]).collect()
}

/// With short pauses.
pub(crate) fn config(endpoint: String, protocol: Protocol) -> Config {
    Config {
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(20),
        timeout: Duration::from_secs(20),
        requests: 1,
        ..Config::new(endpoint, protocol)
    }
}

pub(crate) fn open(dir: &Path, config: Config) -> Forwarder {
    Forwarder::open(dir, config, &Handle::current()).expect("opens")
}

/// Offers and waits until it is durable.
pub(crate) fn offer(forwarder: &Forwarder, traces: &[Bytes]) {
    let durable = forwarder.offer(traces).expect("there is room");
    durable.wait().expect("durable");
}
