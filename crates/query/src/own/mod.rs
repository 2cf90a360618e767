//! Quorate's own interface, under `/api/quorate`: what the web page and the command line read.
//!
//! | `GET` | |
//! |---|---|
//! | `search` | summaries of the traces that match: `service`, `operation`, `tag=key=value` (may repeat), `minDuration`, `maxDuration` (`10ms`), `start`, `end` (nanoseconds or RFC 3339), `verdict`, `severity`, `errors=true`, `limit` |
//! | `traces/{id}` | everything about a trace: spans, what is missing, clock skew, critical path, faults, root causes |
//! | `traces/{id}/otlp` | its spans as OTLP: JSON, or protobuf if `Accept` says so |
//! | `live` | what the collector is doing |
//! | `operations` | calls, errors and durations by operation |
//! | `service-graph` | who calls whom |
//!
//! Errors are `{"error": {"code": 404, "message": "…"}}`. Nanoseconds since 1970 are texts, for JavaScript.

mod search;
mod trace;

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use quorate_trace::json::spans_to_json;
use quorate_trace::wire::encode;
use quorate_trace_store::Figures;
use serde::Serialize;
use serde_json::json;

use crate::error::Error;
use crate::load::load;
use crate::parameters::{Parameters, trace_id};
use crate::source::{Asker, Live};

pub(crate) use search::{severity, verdict};

const LIMIT: usize = 50;

pub(crate) fn router() -> Router<Asker> {
    Router::new()
        .route("/search", get(search))
        .route("/traces/{id}", get(trace))
        .route("/traces/{id}/otlp", get(otlp))
        .route("/live", get(live))
        .route("/operations", get(operations))
        .route("/service-graph", get(service_graph))
        .fallback(async || {
            Failed(
                StatusCode::NOT_FOUND,
                "there is no such question".to_owned(),
            )
        })
}

/// An error in the form of this interface.
struct Failed(StatusCode, String);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed(error.status(), error.to_string())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let Failed(status, message) = self;
        let error = json!({"error": {"code": status.as_u16(), "message": message}});
        (status, Json(error)).into_response()
    }
}

/// JSON that was written already.
pub(crate) fn as_json(text: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

async fn search(State(asker): State<Asker>, parameters: Parameters) -> Result<Response, Failed> {
    let query = search::query(&parameters, LIMIT, asker.limits.traces)?;
    let found = asker.ask(move |source, _| {
        let found = source.store().search(&query)?;
        Ok(serde_json::to_string(&search::FoundView::from(&found))?)
    });
    Ok(as_json(found.await?))
}

async fn trace(State(asker): State<Asker>, Path(id): Path<String>) -> Result<Response, Failed> {
    let id = trace_id(&id)?;
    let answer = asker.ask(move |source, limits| trace::answer(source, limits, id));
    Ok(as_json(answer.await?))
}

async fn otlp(
    State(asker): State<Asker>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let id = trace_id(&id)?;
    let protobuf = wants_protobuf(&headers);
    let answer = asker.ask(move |source, limits| {
        let loaded = load(source, limits, id)?;
        let spans = loaded.spans();
        Ok(if protobuf {
            ([(CONTENT_TYPE, "application/x-protobuf")], encode(&spans)).into_response()
        } else {
            let unwritable = |error| Error::Internal(format!("{error}"));
            as_json(spans_to_json(&spans).map_err(unwritable)?)
        })
    });
    Ok(answer.await?)
}

/// Whether a client asks for protobuf, under any of its names.
pub(crate) fn wants_protobuf(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("protobuf"))
}

#[derive(Serialize)]
struct LiveView {
    #[serde(flatten)]
    live: Live,
    store: Figures,
}

async fn live(State(asker): State<Asker>) -> Result<Response, Failed> {
    let live = asker.ask(|source, _| {
        let view = LiveView {
            live: source.live(),
            store: source.store().figures(),
        };
        Ok(serde_json::to_string(&view)?)
    });
    Ok(as_json(live.await?))
}

async fn operations(State(asker): State<Asker>) -> Result<Response, Failed> {
    let report = asker.ask(|source, _| {
        let operations = source.span_metrics().report();
        Ok(json!({ "operations": operations }).to_string())
    });
    Ok(as_json(report.await?))
}

async fn service_graph(State(asker): State<Asker>) -> Result<Response, Failed> {
    let report =
        asker.ask(|source, _| Ok(serde_json::to_string(&source.service_graph().report())?));
    Ok(as_json(report.await?))
}
