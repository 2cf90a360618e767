//! What an operator's tools ask: metrics and health.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use quorate_intake::{Outcome, Transport};

use crate::memory;
use crate::pipeline::{Pipeline, Stage};

/// `/metrics`, `/healthz` and `/readyz`.
pub(crate) fn router(pipeline: Arc<Pipeline>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .with_state(pipeline)
}

async fn ready(State(pipeline): State<Arc<Pipeline>>) -> impl IntoResponse {
    match pipeline.stage() {
        Stage::Recovering => (
            StatusCode::SERVICE_UNAVAILABLE,
            "reads back what was accepted before\n",
        ),
        Stage::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "is stopping\n"),
        Stage::Serving if pipeline.disk.is_short() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the disk is nearly full: spans are refused until there is room\n",
        ),
        Stage::Serving if pipeline.is_full() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "open traces fill the memory: spans are refused until some are sealed\n",
        ),
        Stage::Serving => (StatusCode::OK, "ready\n"),
    }
}

async fn metrics(State(pipeline): State<Arc<Pipeline>>) -> impl IntoResponse {
    let text = tokio::task::spawn_blocking(move || render(&pipeline)).await;
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (content_type, text.unwrap_or_default())
}

/// Everything that is counted: the collector's own, then what its spans say about services.
fn render(pipeline: &Pipeline) -> String {
    let gauges = &pipeline.metrics.gauges;
    let figures = pipeline.assembly.figures(pipeline.now());
    gauges.open_traces.set(figures.traces() as i64);
    gauges.open_spans.set(figures.spans as i64);
    gauges.open_bytes.set(figures.bytes as i64);
    gauges.log_bytes.set(pipeline.log.retained_bytes() as i64);
    let store = pipeline.store.figures();
    gauges.store_traces.set(store.traces as i64);
    gauges.store_bytes.set(store.disk_bytes as i64);
    memory(pipeline, &store);
    let forward = pipeline.exports.forward_figures().unwrap_or_default();
    gauges
        .forward_waiting_bytes
        .set(forward.queued_bytes as i64);
    let archive_waiting = pipeline.exports.archive_waiting_bytes();
    gauges.archive_waiting_bytes.set(archive_waiting as i64);
    gauges
        .uptime_seconds
        .set(pipeline.started.elapsed().as_secs_f64());
    let mut text = pipeline.metrics.text();
    // Writing to a string does not fail.
    let _ = requests(pipeline, &mut text);
    text.push_str(&pipeline.span_metrics.prometheus());
    text.push_str(&pipeline.service_graph.prometheus());
    text
}

/// Everything that takes memory besides open traces; each has a bound.
fn memory(pipeline: &Pipeline, store: &quorate_trace_store::Figures) {
    let gauges = &pipeline.metrics.gauges;
    gauges.requests_bytes.set(pipeline.on_the_way() as i64);
    gauges.store_buffer_bytes.set(store.buffered_bytes as i64);
    gauges.store_cache_bytes.set(store.cached_bytes as i64);
    gauges.store_names.set(store.names as i64);
    let history = pipeline.history.read().operations();
    gauges.history_operations.set(history as i64);
    let operations = pipeline.span_metrics.operations();
    gauges.span_metrics_operations.set(operations as i64);
    let edges = pipeline.service_graph.edges_count();
    gauges.service_graph_edges.set(edges as i64);
    let resident = memory::resident_bytes().unwrap_or_default();
    gauges.resident_bytes.set(resident as i64);
}

fn requests(pipeline: &Pipeline, text: &mut String) -> std::fmt::Result {
    text.push_str("# HELP quorate_requests_total Requests by transport and outcome.\n");
    text.push_str("# TYPE quorate_requests_total counter\n");
    for transport in Transport::ALL {
        let snapshot = pipeline.intake.of(transport);
        for outcome in Outcome::ALL {
            writeln!(
                text,
                "quorate_requests_total{{transport=\"{transport}\",outcome=\"{}\"}} {}",
                outcome.name(),
                snapshot.requests[outcome as usize]
            )?;
        }
    }
    Ok(())
}
