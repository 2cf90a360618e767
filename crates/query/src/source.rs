//! What is asked: the collector, as this crate sees it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quorate_analysis::{History, Patterns};
use quorate_trace::TraceId;
use quorate_trace_store::TraceStore;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::error::Error;
use crate::metrics::{ServiceGraph, SpanMetrics};

/// What there is to be asked. Its methods may block for as long as a disk takes.
pub trait Source: Send + Sync + 'static {
    /// Sealed traces.
    fn store(&self) -> &dyn TraceStore;

    /// What of a trace is not sealed yet.
    fn open(&self, trace: TraceId) -> Option<OpenTrace>;

    /// What the collector is doing.
    fn live(&self) -> Live;

    /// What counts as a fault.
    fn patterns(&self) -> Arc<Patterns>;

    /// How long operations usually take.
    fn history(&self) -> Arc<History>;

    /// Rates, errors and durations of operations.
    fn span_metrics(&self) -> &SpanMetrics;

    /// Who calls whom.
    fn service_graph(&self) -> &ServiceGraph;
}

/// The part of a trace that is not sealed yet.
#[derive(Clone, Debug)]
pub struct OpenTrace {
    /// OTLP `TracesData` of its spans.
    pub spans: Bytes,
    /// `active`, `collecting` or `sealing`.
    pub phase: &'static str,
    /// Milliseconds since the first of these spans arrived.
    pub age_ms: u64,
}

/// What the collector is doing. Counters begin with the process.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Live {
    /// Version of the collector.
    pub version: String,
    /// Seconds since its start.
    pub uptime_s: u64,
    /// Traces that are not sealed.
    pub open_traces: u64,
    /// Their spans.
    pub open_spans: u64,
    /// Their bytes in memory.
    pub open_bytes: u64,
    /// The limit of the bytes in memory.
    pub memory_limit_bytes: u64,
    /// Milliseconds since the first span of the oldest of them arrived.
    pub oldest_open_ms: u64,
    /// Open traces by phase.
    pub phases: BTreeMap<&'static str, u64>,
    /// Spans accepted.
    pub accepted_spans: u64,
    /// Spans refused.
    pub refused_spans: u64,
    /// Spans accepted again that were known.
    pub duplicate_spans: u64,
    /// Spans accepted in the last seconds, per second.
    pub spans_per_second: f64,
    /// Revisions of traces sealed.
    pub sealed: u64,
    /// Of these, complete ones.
    pub complete: u64,
    /// Of these, those whose time was up.
    pub timed_out: u64,
    /// Of these, those sealed early for want of memory.
    pub evicted: u64,
    /// Spans that arrived after their trace was sealed.
    pub late: u64,
    /// Traces that sampling dropped.
    pub dropped_by_sampling: u64,
    /// Bytes of the durable log.
    pub log_bytes: u64,
}

/// What questions may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Questions that work at the same time, each on a thread of its own.
    pub concurrent: usize,
    /// For how long a question waits for its turn.
    pub wait: Duration,
    /// Traces that a search finds at most.
    pub traces: usize,
    /// Bytes of OTLP that one answer is made of at most.
    pub answer_bytes: usize,
    /// Traces that are loaded to follow links from one trace to the causes of its faults.
    pub linked_traces: usize,
    /// Traces that are read at most to find those that match a query which the store's indexes cannot
    /// answer.
    pub traces_read: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            concurrent: 8,
            wait: Duration::from_secs(5),
            traces: 1_500,
            answer_bytes: 256 << 20,
            linked_traces: 8,
            traces_read: 5_000,
        }
    }
}

/// Asks the source on threads that may block, a bounded number at once.
#[derive(Clone)]
pub(crate) struct Asker {
    source: Arc<dyn Source>,
    turns: Arc<Semaphore>,
    pub(crate) limits: Limits,
}

impl Asker {
    pub(crate) fn new(source: Arc<dyn Source>, limits: Limits) -> Self {
        Asker {
            source,
            turns: Arc::new(Semaphore::new(limits.concurrent.max(1))),
            limits,
        }
    }

    /// Runs `work` when its turn comes. A client that has gone does not free the turn: the work goes on
    /// until it is done, and is counted as long.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Source, &Limits) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = tokio::time::timeout(self.limits.wait, self.turns.clone().acquire_owned());
        let Ok(Ok(turn)) = turn.await else {
            return Err(Error::Busy);
        };
        let (source, limits) = (self.source.clone(), self.limits);
        let worked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&*source, &limits)
        });
        worked
            .await
            .unwrap_or_else(|error| Err(Error::Internal(error.to_string())))
    }
}
