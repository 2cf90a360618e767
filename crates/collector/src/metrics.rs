//! What the collector counts, in Prometheus's text format.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// One label whose values are fixed in the code, so that no client can make more of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Kind {
    kind: &'static str,
}

/// A counter for each of a few kinds.
pub(crate) type Kinds = Family<Kind, Counter>;

/// All metrics. Counters are since the start of the process.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) spans_accepted: Counter,
    pub(crate) bytes_accepted: Counter,
    pub(crate) spans_refused: Kinds,
    pub(crate) acknowledge_seconds: Histogram,
    pub(crate) spans_duplicate: Counter,
    pub(crate) spans_late: Counter,
    pub(crate) traces_sealed: Kinds,
    pub(crate) traces_amended: Counter,
    pub(crate) traces_sampled: Kinds,
    pub(crate) spans_stored: Counter,
    pub(crate) faults: Kinds,
    pub(crate) seal_seconds: Histogram,
    pub(crate) store_failures: Counter,
    pub(crate) traces_expired: Counter,
    pub(crate) gauges: Gauges,
}

/// What is read off when somebody asks.
#[derive(Default)]
pub(crate) struct Gauges {
    pub(crate) open_traces: Gauge,
    pub(crate) open_spans: Gauge,
    pub(crate) open_bytes: Gauge,
    pub(crate) log_bytes: Gauge,
    pub(crate) store_traces: Gauge,
    pub(crate) store_bytes: Gauge,
    pub(crate) forward_waiting_bytes: Gauge,
    pub(crate) archive_waiting_bytes: Gauge,
    pub(crate) requests_bytes: Gauge,
    pub(crate) store_buffer_bytes: Gauge,
    pub(crate) store_cache_bytes: Gauge,
    pub(crate) store_names: Gauge,
    pub(crate) history_operations: Gauge,
    pub(crate) span_metrics_operations: Gauge,
    pub(crate) service_graph_edges: Gauge,
    pub(crate) resident_bytes: Gauge,
    pub(crate) uptime_seconds: Gauge<f64, AtomicU64>,
}

impl Metrics {
    pub(crate) fn new() -> Arc<Self> {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("quorate"),
            spans_accepted: Counter::default(),
            bytes_accepted: Counter::default(),
            spans_refused: Family::default(),
            acknowledge_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            spans_duplicate: Counter::default(),
            spans_late: Counter::default(),
            traces_sealed: Family::default(),
            traces_amended: Counter::default(),
            traces_sampled: Family::default(),
            spans_stored: Counter::default(),
            faults: Family::default(),
            seal_seconds: Histogram::new(exponential_buckets(0.25, 2.0, 12)),
            store_failures: Counter::default(),
            traces_expired: Counter::default(),
            gauges: Gauges::default(),
        };
        metrics.register();
        Arc::new(metrics)
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "spans_accepted",
            "Spans taken in, duplicates included",
            self.spans_accepted.clone(),
        );
        registry.register_with_unit(
            "accepted",
            "Bytes of requests taken in, after decompression",
            Unit::Bytes,
            self.bytes_accepted.clone(),
        );
        registry.register(
            "spans_refused",
            "Spans that break the rules or a limit, by reason",
            self.spans_refused.clone(),
        );
        registry.register_with_unit(
            "acknowledge",
            "From a request's last byte to its answer",
            Unit::Seconds,
            self.acknowledge_seconds.clone(),
        );
        registry.register(
            "spans_duplicate",
            "Spans that were there already",
            self.spans_duplicate.clone(),
        );
        registry.register(
            "spans_late",
            "Spans of traces that were sealed before",
            self.spans_late.clone(),
        );
        registry.register(
            "traces_sealed",
            "Revisions sealed, by verdict",
            self.traces_sealed.clone(),
        );
        registry.register(
            "traces_amended",
            "Revisions after the first",
            self.traces_amended.clone(),
        );
        registry.register(
            "traces_sampled",
            "First revisions by sampling decision: kept, dropped",
            self.traces_sampled.clone(),
        );
        registry.register(
            "spans_stored",
            "Spans written to the store",
            self.spans_stored.clone(),
        );
        registry.register("faults", "Faults found, by severity", self.faults.clone());
        registry.register_with_unit(
            "seal",
            "From a trace's first span of a revision to its being stored",
            Unit::Seconds,
            self.seal_seconds.clone(),
        );
        registry.register(
            "store_failures",
            "Writes that the store refused; they are tried again",
            self.store_failures.clone(),
        );
        registry.register(
            "traces_expired",
            "Traces forgotten by age or size",
            self.traces_expired.clone(),
        );
        self.gauges.register(registry);
    }

    /// All metrics as text, without the end mark of OpenMetrics: more may follow.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text.truncate(text.trim_end_matches("# EOF\n").len());
        text
    }
}

impl Gauges {
    fn register(&self, registry: &mut Registry) {
        let gauges = [
            ("open_traces", "Traces not yet sealed", &self.open_traces),
            (
                "open_spans",
                "Spans of traces not yet sealed",
                &self.open_spans,
            ),
            ("open_bytes", "Memory that they take", &self.open_bytes),
            (
                "log_bytes",
                "Size of the log of accepted spans",
                &self.log_bytes,
            ),
            ("store_traces", "Traces in the store", &self.store_traces),
            ("store_bytes", "Size of the store", &self.store_bytes),
            (
                "forward_waiting_bytes",
                "What waits for the other backend",
                &self.forward_waiting_bytes,
            ),
            (
                "archive_waiting_bytes",
                "What is in no finished Parquet file yet",
                &self.archive_waiting_bytes,
            ),
            (
                "requests_bytes",
                "Memory of requests on their way into the log and assembly",
                &self.requests_bytes,
            ),
            (
                "store_buffer_bytes",
                "Memory of stored traces that are in the store's journal and in no other file yet",
                &self.store_buffer_bytes,
            ),
            (
                "store_cache_bytes",
                "Memory of what was read from the store's files",
                &self.store_cache_bytes,
            ),
            (
                "store_names",
                "Names of operations that the store lists",
                &self.store_names,
            ),
            (
                "history_operations",
                "Operations whose usual latency is known",
                &self.history_operations,
            ),
            (
                "span_metrics_operations",
                "Operations that the span metrics tell apart",
                &self.span_metrics_operations,
            ),
            (
                "service_graph_edges",
                "Pairs of services that the service graph tells apart",
                &self.service_graph_edges,
            ),
            (
                "resident_bytes",
                "Physical memory of the process; 0 where the system does not tell",
                &self.resident_bytes,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        registry.register_with_unit(
            "uptime",
            "Since the start of the process",
            Unit::Seconds,
            self.uptime_seconds.clone(),
        );
    }
}

/// Counts one of a kind.
pub(crate) fn count(kinds: &Kinds, kind: &'static str, by: u64) {
    if by > 0 {
        kinds.get_or_create(&Kind { kind }).inc_by(by);
    }
}

/// How many were counted of a kind.
pub(crate) fn counted(kinds: &Kinds, kind: &'static str) -> u64 {
    kinds.get(&Kind { kind }).map_or(0, |counter| counter.get())
}
