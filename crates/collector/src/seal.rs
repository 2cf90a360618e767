//! The way of a trace: from assembly, judged and analysed, into the store.
//!
//! A sealer takes traces whose time has come, asks the store what it has of them, and lets assembly judge.
//! What is to be sealed is analysed, sampled, offered to the exports and then written to the store, many
//! traces in one sync. Only then does assembly let go of them, and with them the log. If anything fails on
//! the way, they go back into assembly; the store ignores a revision that it has, so trying again is
//! harmless.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use quorate_analysis::faults_of;
use quorate_assembly::{Judgement, Ripe, Sealing};
use quorate_export::forward::OfferError;
use quorate_trace::wire::{Batch, Limits, Span, encode};
use quorate_trace::{SpanKey, TraceId, Verdict};
use quorate_trace_store::{Base, Decision, Fragment, StoreError};

use crate::held::{Part, copied_out};
use crate::metrics::count;
use crate::pipeline::Pipeline;
use crate::summary;
use crate::telemetry::{Recording, unix_nanos};

/// Traces that share one sync of the store.
const ROUND_TRACES: usize = 256;

/// How long a sealer rests when nothing is ripe.
const REST: Duration = Duration::from_millis(50);

/// How long it rests when the store or an export took nothing.
const FAILURE_REST: Duration = Duration::from_millis(500);

/// Seals until `stop`; for a thread of its own, since the store blocks.
pub(crate) fn run(pipeline: &Arc<Pipeline>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match round(pipeline) {
            Ok(0) => std::thread::sleep(REST),
            Ok(_) => {}
            Err(error) => {
                pipeline.metrics.store_failures.inc();
                tracing::error!(%error, "traces cannot be sealed; they stay in the log and in memory");
                std::thread::sleep(FAILURE_REST);
            }
        }
    }
}

/// Seals what is ripe; returns how many traces were looked at.
pub(crate) fn round(pipeline: &Arc<Pipeline>) -> Result<usize, SealError> {
    let ripe = pipeline.assembly.ripe(pipeline.now(), ROUND_TRACES);
    if ripe.is_empty() {
        return Ok(0);
    }
    let mut recording = pipeline.tracer.begin("seal", SpanKind::Internal);
    let looked_at = ripe.len();
    let mut result = Ok(looked_at);
    let mut to_seal = Vec::with_capacity(looked_at);
    let begun = unix_nanos();
    for ripe in ripe {
        match pipeline.store.base(ripe.trace()) {
            Ok(base) => to_seal.extend(judge(pipeline, ripe, base)),
            Err(error) => {
                pipeline.assembly.put_back(pipeline.now(), ripe);
                result = Err(error.into());
            }
        }
    }
    if let Some(recording) = &mut recording {
        recording.step("judge", begun);
        recording.attribute("traces.ripe", looked_at as u64);
        recording.attribute("traces.sealed", to_seal.len() as u64);
    }
    if let Err(error) = store(pipeline, &to_seal, recording.as_mut()) {
        for ToSeal { sealing, .. } in to_seal {
            pipeline.assembly.failed(pipeline.now(), sealing);
        }
        return Err(error);
    }
    for ToSeal { sealing, .. } in to_seal {
        pipeline.assembly.sealed(sealing);
    }
    if let Some(recording) = recording {
        pipeline.take_in(recording.end());
    }
    result
}

/// Asks for the verdict. A trace that waits on is copied out of the requests that its spans came in.
fn judge(pipeline: &Pipeline, ripe: Ripe<Part>, base: Option<Base>) -> Option<ToSeal> {
    let trace = ripe.trace();
    let stored = base.as_ref().map(|base| quorate_assembly::Base {
        revision: base.revision,
        spans: base.ids.clone(),
    });
    match pipeline.assembly.judge(ripe, stored) {
        Judgement::Seal(sealing) => Some(ToSeal {
            sealing,
            earlier: base.map(|base| base.decision),
        }),
        Judgement::Waits => {
            copy_out(pipeline, trace);
            None
        }
        Judgement::Nothing { duplicates } => {
            pipeline.metrics.spans_duplicate.inc_by(duplicates as u64);
            None
        }
    }
}

fn copy_out(pipeline: &Pipeline, trace: TraceId) {
    let Some(open) = pipeline.assembly.open(&trace) else {
        return;
    };
    let parts: Vec<Part> = open.spans.into_iter().map(|span| span.payload).collect();
    if !parts.iter().any(Part::is_shared) {
        return;
    }
    let Some(copy) = copied_out(&parts) else {
        return;
    };
    let copies: HashMap<SpanKey, Part> = copy
        .arrivals()
        .into_iter()
        .map(|arrival| (arrival.span, arrival.payload))
        .collect();
    pipeline
        .assembly
        .exchange(&trace, |span| copies.get(&span.span).cloned());
}

/// A revision to be stored.
struct ToSeal {
    sealing: Sealing<Part>,
    /// What sampling decided on an earlier revision.
    earlier: Option<Decision>,
}

/// Brings revisions to the exports and to the store.
fn store(
    pipeline: &Pipeline,
    sealings: &[ToSeal],
    recording: Option<&mut Recording>,
) -> Result<(), SealError> {
    if sealings.is_empty() {
        return Ok(());
    }
    let begun = unix_nanos();
    let fragments: Vec<Fragment> = sealings
        .iter()
        .map(|to_seal| fragment(pipeline, to_seal))
        .collect::<Result<_, StoreError>>()?;
    // First the exports: after a crash between the two a trace is exported twice, never not at all.
    let analysed = unix_nanos();
    pipeline.exports.offer(&fragments)?;
    pipeline.store.put(&fragments)?;
    pipeline.exports.stored(&fragments);
    if let Some(recording) = recording {
        recording.step_until("analyse", begun, analysed);
        recording.step("store", analysed);
    }
    for (fragment, to_seal) in fragments.iter().zip(sealings) {
        tell(pipeline, fragment, to_seal);
    }
    Ok(())
}

/// What is stored of a revision: the new spans, and the analysis of the whole trace.
fn fragment(pipeline: &Pipeline, to_seal: &ToSeal) -> Result<Fragment, StoreError> {
    let sealing = &to_seal.sealing;
    let trace = sealing.trace();
    let stored = match &sealing.base {
        Some(_) => stored_spans(pipeline, trace)?,
        None => None,
    };
    let new = sealing.spans().iter().map(|open| open.payload.span());
    let stored = stored.iter().flat_map(|batch| batch.spans());
    let all: Vec<Span<'_>> = new.chain(stored).collect();
    let new = &all[..sealing.spans().len()];
    observe(pipeline, new);
    let found = faults_of(&all, &pipeline.patterns, &pipeline.history.read());
    let decision = match &to_seal.earlier {
        Some(earlier) => earlier.clone(),
        None => decide(pipeline, &all),
    };
    Ok(Fragment {
        trace_id: trace,
        revision: sealing.revision,
        completeness: sealing.completeness.clone(),
        summary: summary::of(&all, sealing, &found, &decision),
        ids: sealing
            .spans()
            .iter()
            .map(|open| (open.span, open.parent))
            .collect(),
        spans: if decision.is_kept() {
            encode(new)
        } else {
            Bytes::new()
        },
        decision,
    })
}

/// The spans of earlier revisions.
fn stored_spans(pipeline: &Pipeline, trace: TraceId) -> Result<Option<Batch>, StoreError> {
    let stored = pipeline.store.get(trace)?;
    Ok(stored.and_then(|stored| Batch::scan(stored.spans, &Limits::NONE).ok()))
}

fn decide(pipeline: &Pipeline, spans: &[Span<'_>]) -> Decision {
    let mut policies = pipeline.policies.lock();
    if policies.is_empty() {
        return Decision::Kept {
            policy: String::new(),
        };
    }
    let decision = policies.decide(unix_nanos() / 1_000_000, spans);
    if decision.keep {
        Decision::Kept {
            policy: decision.policy,
        }
    } else {
        Decision::Dropped {
            policy: decision.policy,
        }
    }
}

/// Spans count in the statistics whether their trace is kept or not.
fn observe(pipeline: &Pipeline, spans: &[Span<'_>]) {
    let mut history = pipeline.history.write();
    let history = Arc::make_mut(&mut history);
    for span in spans {
        history.observe(span);
    }
    pipeline.span_metrics.observe(spans);
    pipeline.service_graph.observe(spans, unix_nanos());
}

/// Counts what was sealed.
fn tell(pipeline: &Pipeline, fragment: &Fragment, to_seal: &ToSeal) {
    let metrics = &pipeline.metrics;
    let sealing = &to_seal.sealing;
    let verdict = match fragment.completeness.verdict {
        Verdict::Complete => "complete",
        Verdict::Incomplete => "incomplete",
        Verdict::Evicted => "evicted",
    };
    count(&metrics.traces_sealed, verdict, 1);
    metrics.spans_duplicate.inc_by(sealing.duplicates() as u64);
    metrics.spans_stored.inc_by(fragment.ids.len() as u64);
    if fragment.revision > 1 {
        metrics.traces_amended.inc();
        metrics.spans_late.inc_by(fragment.ids.len() as u64);
    } else if fragment.decision.is_kept() {
        count(&metrics.traces_sampled, "kept", 1);
    } else {
        count(&metrics.traces_sampled, "dropped", 1);
    }
    for fault in &fragment.summary.faults {
        count(&metrics.faults, fault.severity.name(), 1);
    }
    metrics
        .seal_seconds
        .observe(pipeline.now().since(sealing.began()) as f64 / 1000.0);
}

/// Why traces could not be sealed now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An export takes nothing at the moment.
    #[error(transparent)]
    Export(#[from] OfferError),
}
