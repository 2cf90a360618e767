//! Jaeger's HTTP interface, under `/api`: what its UI and Grafana's Jaeger data source call.
//!
//! | `GET` | |
//! |---|---|
//! | `services`, `services/{service}/operations`, `operations?service=&spanKind=` | names |
//! | `traces?service=&operation=&tags=&minDuration=&maxDuration=&start=&end=&limit=&lookback=` | search; times in microseconds since 1970, `tags` as a JSON object; `tag=key:value` may repeat |
//! | `traces?traceID=` | traces by their ids; may repeat |
//! | `traces/{id}` | one trace; zeros at the front of the id may be missing |
//! | `dependencies?endTs=&lookback=` | calls between services; milliseconds |
//!
//! What Jaeger has no field for is in `warnings`: the verdict on the trace, which spans are missing, and
//! how clocks differ.

mod import;
mod json;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use quorate_trace::TraceId;
use quorate_trace::wire::SpanKind;
use quorate_trace_store::Query;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;

use crate::error::Error;
use crate::examine::warnings;
use crate::load::{Loaded, load_spans};
use crate::own::as_json;
use crate::parameters::{Parameters, duration_ns, now_ns, scaled_ns, trace_id};
use crate::source::{Asker, Limits, Source};

pub use import::{ImportError, from_json};
pub(crate) use json::Warnings;
pub use json::to_json;
use json::{Answer, Trace};

/// Jaeger's own.
const LIMIT: usize = 100;
const MICROSECOND_NS: u64 = 1_000;
const MILLISECOND_NS: u64 = 1_000_000;
const DAY_NS: u64 = 86_400_000_000_000;

pub(crate) fn router() -> Router<Asker> {
    Router::new()
        .route("/services", get(services))
        .route("/services/{service}/operations", get(names_of_operations))
        .route("/operations", get(operations))
        .route("/traces", get(search))
        .route("/traces/{id}", get(trace))
        .route("/dependencies", get(dependencies))
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
        let status = self.0.status();
        let answer = Answer::error(status.as_u16(), self.0.to_string());
        (status, Json(answer)).into_response()
    }
}

fn listed<T: Serialize>(data: Vec<T>) -> Response {
    let total = data.len();
    Json(Answer::of(data).with_total(total)).into_response()
}

async fn services(State(asker): State<Asker>) -> Result<Response, Failed> {
    let services = asker.ask(|source, _| Ok(source.store().services()));
    Ok(listed(services.await?))
}

async fn names_of_operations(
    State(asker): State<Asker>,
    Path(service): Path<String>,
) -> Result<Response, Failed> {
    let names = asker.ask(move |source, _| {
        let operations = source.store().operations(&service, None);
        let mut names: Vec<_> = operations.into_iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        Ok(names)
    });
    Ok(listed(names.await?))
}

async fn operations(
    State(asker): State<Asker>,
    parameters: Parameters,
) -> Result<Response, Failed> {
    let service = parameters.get("service").ok_or(Error::Missing("service"))?;
    let service = service.to_owned();
    let kind = parameters.read("spanKind", span_kind)?;
    let operations = asker.ask(move |source, _| Ok(source.store().operations(&service, kind)));
    let operation = |(name, kind): (String, SpanKind)| {
        let kind = Some(kind).filter(|kind| *kind != SpanKind::Unspecified);
        json!({ "name": name, "spanKind": kind.map_or("", SpanKind::name) })
    };
    Ok(listed(
        operations.await?.into_iter().map(operation).collect(),
    ))
}

fn span_kind(name: &str) -> Result<SpanKind, String> {
    let kinds = (0..6).map(SpanKind::from_number);
    let found = kinds
        .into_iter()
        .find(|kind| kind.name().eq_ignore_ascii_case(name));
    found.ok_or_else(|| format!("'{name}' is not a kind of span"))
}

async fn search(State(asker): State<Asker>, parameters: Parameters) -> Result<Response, Failed> {
    let ids = parameters.all("traceID").map(trace_id);
    let ids: Vec<TraceId> = ids.collect::<Result<_, _>>()?;
    let query = match ids.is_empty() {
        true => Some(query(&parameters, asker.limits.traces)?),
        false => None,
    };
    let answer = asker.ask(move |source, limits| {
        let ids = match query {
            Some(query) => {
                let found = source.store().search(&query)?;
                found.summaries.iter().map(|found| found.trace_id).collect()
            }
            None => ids,
        };
        answer(source, limits, &ids)
    });
    Ok(as_json(answer.await?))
}

fn query(parameters: &Parameters, most: usize) -> Result<Query, Error> {
    let service = parameters.get("service").ok_or(Error::Missing("service"))?;
    let microseconds = |text: &str| scaled_ns(text, MICROSECOND_NS);
    let end = parameters.read("end", microseconds)?;
    let lookback = |text: &str| match text {
        // The UI says so when start and end were chosen.
        "custom" => Ok(None),
        text => duration_ns(text).map(Some),
    };
    let lookback = parameters.read("lookback", lookback)?.flatten();
    let since = lookback.map(|back| end.unwrap_or_else(now_ns).saturating_sub(back));
    let mut tags = BTreeMap::new();
    for text in parameters.all("tags") {
        tags.append(&mut json_tags(text)?);
    }
    for text in parameters.all("tag") {
        let (key, value) = text.split_once(':').ok_or_else(|| Error::Parameter {
            name: "tag",
            reason: format!("'{text}' is not of the form key:value"),
        })?;
        tags.insert(key.to_owned(), value.to_owned());
    }
    Ok(Query {
        service: Some(service.to_owned()),
        // The UI's word for any.
        operation: parameters
            .get("operation")
            .filter(|name| *name != "all")
            .map(str::to_owned),
        tags: tags.into_iter().collect(),
        min_duration_ns: parameters.duration("minDuration")?,
        max_duration_ns: parameters.duration("maxDuration")?,
        start_ns: parameters.read("start", microseconds)?.or(since),
        end_ns: end,
        limit: parameters.limit(LIMIT, most)?,
        ..Query::default()
    })
}

/// Tags as a JSON object of texts; other values are taken as the text that they print as.
fn json_tags(text: &str) -> Result<BTreeMap<String, String>, Error> {
    let tags: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|_| Error::Parameter {
            name: "tags",
            reason: format!("'{text}' is not a JSON object of texts"),
        })?;
    let text = |value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(tags
        .into_iter()
        .map(|(key, value)| (key, text(value)))
        .collect())
}

async fn trace(State(asker): State<Asker>, Path(id): Path<String>) -> Result<Response, Failed> {
    let id = trace_id(&id)?;
    let answer = asker.ask(move |source, limits| {
        // Asked for by name, so that its absence is an error; a search just does not find it.
        let loaded = load_spans(source, limits, id)?;
        written(&[(id, loaded)])
    });
    Ok(as_json(answer.await?))
}

/// The traces that there are, as many as an answer may be made of.
fn answer(source: &dyn Source, limits: &Limits, ids: &[TraceId]) -> Result<String, Error> {
    let mut found = Vec::with_capacity(ids.len());
    let mut bytes = 0;
    for id in ids {
        match load_spans(source, limits, *id) {
            Ok(loaded) => {
                bytes += loaded.size();
                found.push((*id, loaded));
            }
            Err(Error::NotFound) => continue,
            Err(error) => return Err(error),
        }
        if bytes > limits.answer_bytes {
            return Err(Error::TooLarge {
                bytes,
                most: limits.answer_bytes,
            });
        }
    }
    written(&found)
}

fn written(traces: &[(TraceId, Loaded)]) -> Result<String, Error> {
    let mut prepared = Vec::with_capacity(traces.len());
    for (id, loaded) in traces {
        let spans = loaded.spans();
        let warnings = warnings(loaded, &spans);
        prepared.push((*id, spans, warnings));
    }
    let traces = prepared.iter();
    let traces = traces.map(|(id, spans, warnings)| Trace::new(*id, spans, warnings));
    Ok(serde_json::to_string(&Answer::of(
        traces.collect::<Vec<_>>(),
    ))?)
}

async fn dependencies(
    State(asker): State<Asker>,
    parameters: Parameters,
) -> Result<Response, Failed> {
    let milliseconds = |text: &str| scaled_ns(text, MILLISECOND_NS);
    let end = parameters
        .read("endTs", milliseconds)?
        .unwrap_or_else(now_ns);
    let lookback = parameters.read("lookback", milliseconds)?.unwrap_or(DAY_NS);
    let start = end.saturating_sub(lookback);
    let links = asker.ask(move |source, _| Ok(source.service_graph().links(start, end)));
    Ok(listed(links.await?))
}

/// What is under `/api` and nobody's.
pub(crate) async fn nothing() -> Response {
    let error = Answer::error(404, "there is no such question".to_owned());
    (StatusCode::NOT_FOUND, Json(error)).into_response()
}
