//! Tempo's HTTP interface, under `/tempo`: the URL of Grafana's Tempo data source is `http://host:port/tempo`.
//!
//! | `GET` | |
//! |---|---|
//! | `api/traces/{id}`, `api/v2/traces/{id}` | a trace: protobuf if `Accept` is `application/protobuf`, OTLP's JSON otherwise |
//! | `api/search?q=` | search by TraceQL, of which [`traceql`] is the part that is understood; `limit`, `start` and `end` in seconds, `spss` |
//! | `api/search?tags=` | search by `key=value` pairs in logfmt; `minDuration`, `maxDuration` |
//! | `api/search/tags`, `api/v2/search/tags` | names of tags |
//! | `api/search/tag/{tag}/values`, `api/v2/search/tag/{tag}/values` | values of a tag |
//! | `api/echo`, `api/status/buildinfo`, `ready` | |
//!
//! Errors are plain text, as Tempo's are.

mod search;
pub(crate) mod traceql;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::{BufMut, Bytes, BytesMut};
use quorate_trace::json::spans_to_json;
use quorate_trace::wire::encode;
use quorate_trace_store::TagKeys;
use serde_json::json;

use crate::error::Error;
use crate::load::load_spans;
use crate::own::{as_json, wants_protobuf};
use crate::parameters::{Parameters, trace_id};
use crate::source::Asker;
use traceql::Field;

/// Fields that are no attributes, as Grafana offers them.
const INTRINSICS: [&str; 8] = [
    "duration",
    "kind",
    "name",
    "rootName",
    "rootServiceName",
    "status",
    "statusMessage",
    "traceDuration",
];

pub(crate) fn router() -> Router<Asker> {
    Router::new()
        .route("/api/traces/{id}", get(trace))
        .route("/api/v2/traces/{id}", get(trace_v2))
        .route("/api/search", get(search))
        .route("/api/search/tags", get(tags))
        .route("/api/v2/search/tags", get(tags_v2))
        .route("/api/search/tag/{tag}/values", get(values))
        .route("/api/v2/search/tag/{tag}/values", get(values_v2))
        .route("/api/echo", get(async || "echo"))
        .route("/api/status/buildinfo", get(buildinfo))
        .route("/ready", get(async || "ready\n"))
}

/// An error in the form of this interface.
struct Failed(Error);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (self.0.status(), self.0.to_string()).into_response()
    }
}

/// A trace in one of the two encodings.
enum Encoded {
    Protobuf(Bytes),
    Json(String),
}

async fn encoded(asker: &Asker, id: &str, headers: &HeaderMap) -> Result<Encoded, Error> {
    let id = trace_id(id)?;
    let protobuf = wants_protobuf(headers);
    let encoded = asker.ask(move |source, limits| {
        let loaded = load_spans(source, limits, id)?;
        let spans = loaded.spans();
        if protobuf {
            return Ok(Encoded::Protobuf(encode(&spans)));
        }
        let json = spans_to_json(&spans);
        json.map(Encoded::Json)
            .map_err(|error| Error::Internal(error.to_string()))
    });
    encoded.await
}

fn as_protobuf(body: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/protobuf")], body).into_response()
}

/// Tempo's `Trace` is OTLP's `TracesData`.
async fn trace(
    State(asker): State<Asker>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    Ok(match encoded(&asker, &id, &headers).await? {
        Encoded::Protobuf(body) => as_protobuf(body),
        Encoded::Json(text) => as_json(text),
    })
}

/// Tempo's `TraceByIDResponse` has the trace as its first field.
async fn trace_v2(
    State(asker): State<Asker>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    Ok(match encoded(&asker, &id, &headers).await? {
        Encoded::Protobuf(trace) => {
            let mut body = BytesMut::with_capacity(trace.len() + 11);
            prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut body);
            prost::encoding::encode_varint(trace.len() as u64, &mut body);
            body.put(trace);
            as_protobuf(body.freeze())
        }
        Encoded::Json(trace) => as_json(format!("{{\"trace\":{trace}}}")),
    })
}

async fn search(State(asker): State<Asker>, parameters: Parameters) -> Result<Response, Failed> {
    let wanted = search::Wanted::read(&parameters, asker.limits.traces)?;
    let answer = asker.ask(move |source, limits| search::answer(source, limits, &wanted));
    Ok(as_json(answer.await?))
}

async fn tags(State(asker): State<Asker>) -> Result<Response, Failed> {
    let TagKeys { mut resource, span } = asker
        .ask(|source, _| Ok(source.store().tag_keys()?))
        .await?;
    resource.extend(span);
    resource.sort();
    resource.dedup();
    Ok(Json(json!({ "tagNames": resource, "metrics": {} })).into_response())
}

async fn tags_v2(State(asker): State<Asker>, parameters: Parameters) -> Result<Response, Failed> {
    let keys = asker
        .ask(|source, _| Ok(source.store().tag_keys()?))
        .await?;
    let scopes = [
        ("resource", keys.resource),
        ("span", keys.span),
        ("intrinsic", INTRINSICS.map(str::to_owned).to_vec()),
    ];
    let asked = parameters.get("scope").filter(|scope| *scope != "none");
    let scopes = scopes
        .into_iter()
        .filter(|(name, _)| asked.is_none_or(|asked| asked == *name));
    let scopes: Vec<_> = scopes
        .map(|(name, tags)| json!({ "name": name, "tags": tags }))
        .collect();
    Ok(Json(json!({ "scopes": scopes, "metrics": {} })).into_response())
}

async fn values(State(asker): State<Asker>, Path(tag): Path<String>) -> Result<Response, Failed> {
    let values = values_of(&asker, tag).await?;
    let values: Vec<_> = values.into_iter().map(|(_, value)| value).collect();
    Ok(Json(json!({ "tagValues": values, "metrics": {} })).into_response())
}

async fn values_v2(
    State(asker): State<Asker>,
    Path(tag): Path<String>,
) -> Result<Response, Failed> {
    let values = values_of(&asker, tag).await?.into_iter();
    let values = values.map(|(kind, value)| json!({ "type": kind, "value": value }));
    let values: Vec<_> = values.collect();
    Ok(Json(json!({ "tagValues": values, "metrics": {} })).into_response())
}

/// Values of a field of TraceQL, or of a tag by its bare name, with the type that Grafana writes them by.
async fn values_of(asker: &Asker, tag: String) -> Result<Vec<(&'static str, String)>, Error> {
    let field = traceql::field(&tag).unwrap_or(Field::Either(tag));
    asker
        .ask(move |source, _| search::values(source.store(), &field))
        .await
}

async fn buildinfo() -> Response {
    let version = env!("CARGO_PKG_VERSION");
    Json(json!({
        "version": version, "revision": "", "branch": "", "buildUser": "", "buildDate": "",
        "goVersion": "",
    }))
    .into_response()
}
