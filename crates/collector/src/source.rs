//! The collector as those see it who ask questions.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use quorate_analysis::{History, Patterns};
use quorate_assembly::Phase;
use quorate_query::{Live, OpenTrace, ServiceGraph, Source, SpanMetrics};
use quorate_trace::TraceId;
use quorate_trace::wire::{Refused, Span, encode};
use quorate_trace_store::TraceStore;
use std::time::Instant;

use crate::metrics::counted;
use crate::pipeline::Pipeline;

/// The smallest time over which a rate is told.
const RATE_SECONDS_MIN: f64 = 0.5;

/// Answers from the pipeline.
pub(crate) struct Answers {
    pipeline: Arc<Pipeline>,
    rate: Mutex<Rate>,
}

/// The accepted spans when they were last looked at.
struct Rate {
    at: Instant,
    spans: u64,
    per_second: f64,
}

impl Answers {
    pub(crate) fn new(pipeline: Arc<Pipeline>) -> Self {
        Answers {
            rate: Mutex::new(Rate {
                at: Instant::now(),
                spans: 0,
                per_second: 0.0,
            }),
            pipeline,
        }
    }

    fn spans_per_second(&self, spans: u64) -> f64 {
        let mut rate = self.rate.lock();
        let seconds = rate.at.elapsed().as_secs_f64();
        if seconds >= RATE_SECONDS_MIN {
            *rate = Rate {
                at: Instant::now(),
                spans,
                per_second: (spans - rate.spans) as f64 / seconds,
            };
        }
        rate.per_second
    }
}

impl Source for Answers {
    fn store(&self) -> &dyn TraceStore {
        &*self.pipeline.store
    }

    fn open(&self, trace: TraceId) -> Option<OpenTrace> {
        let open = self.pipeline.assembly.open(&trace)?;
        let spans: Vec<Span<'_>> = open.spans.iter().map(|span| span.payload.span()).collect();
        Some(OpenTrace {
            spans: encode(&spans),
            phase: phase_name(open.phase),
            age_ms: self.pipeline.now().since(open.began),
        })
    }

    fn live(&self) -> Live {
        let pipeline = &self.pipeline;
        let metrics = &pipeline.metrics;
        let figures = pipeline.assembly.figures(pipeline.now());
        let [complete, timed_out, evicted] = ["complete", "incomplete", "evicted"]
            .map(|verdict| counted(&metrics.traces_sealed, verdict));
        let reasons = Refused::default().by_reason();
        let refused = reasons.map(|(reason, _)| counted(&metrics.spans_refused, reason));
        let accepted_spans = metrics.spans_accepted.get();
        Live {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: pipeline.started.elapsed().as_secs(),
            open_traces: figures.traces() as u64,
            open_spans: figures.spans as u64,
            open_bytes: figures.bytes,
            memory_limit_bytes: pipeline.config.assembly.memory.as_u64(),
            oldest_open_ms: figures.oldest_ms,
            phases: BTreeMap::from([
                (phase_name(Phase::Active), figures.active as u64),
                (phase_name(Phase::Collecting), figures.collecting as u64),
                (phase_name(Phase::Sealing), figures.sealing as u64),
            ]),
            accepted_spans,
            refused_spans: refused.iter().sum(),
            duplicate_spans: metrics.spans_duplicate.get(),
            spans_per_second: self.spans_per_second(accepted_spans),
            sealed: complete + timed_out + evicted,
            complete,
            timed_out,
            evicted,
            late: metrics.spans_late.get(),
            dropped_by_sampling: counted(&metrics.traces_sampled, "dropped"),
            log_bytes: pipeline.log.retained_bytes(),
        }
    }

    fn patterns(&self) -> Arc<Patterns> {
        Arc::clone(&self.pipeline.patterns)
    }

    fn history(&self) -> Arc<History> {
        Arc::clone(&self.pipeline.history.read())
    }

    fn span_metrics(&self) -> &SpanMetrics {
        &self.pipeline.span_metrics
    }

    fn service_graph(&self) -> &ServiceGraph {
        &self.pipeline.service_graph
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Active => "active",
        Phase::Collecting => "collecting",
        Phase::Sealing => "sealing",
    }
}
