//! A running collector, asked over HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use quorate_trace::TraceId;
use quorate_trace::wire::{Batch, Limits};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::http::HttpClient;
use super::print::plain;
use super::report::{Report, Summary};
use crate::outcome::Failure;

/// Time for one answer; a search may read a great deal.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A collector that answers questions.
pub(super) struct Collector {
    http: HttpClient,
    base: String,
}

/// The answer to a search.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) traces: Vec<Summary>,
    pub(super) examined: u64,
    /// Whether everything was looked at.
    pub(super) complete: bool,
}

/// How the collector words what went wrong.
#[derive(Deserialize)]
struct Refusal {
    error: RefusalText,
}

#[derive(Deserialize)]
struct RefusalText {
    message: String,
}

impl Collector {
    /// At this address, such as `http://127.0.0.1:16686`.
    pub(super) fn new(from: &Uri) -> Result<Self, Failure> {
        Ok(Collector {
            http: HttpClient::new(TIMEOUT),
            base: base(from)?,
        })
    }

    /// A trace and what the collector knows about it.
    pub(super) async fn trace(&self, id: TraceId) -> Result<Option<(Batch, Report)>, Failure> {
        let path = format!("/api/quorate/traces/{id}");
        let Some(report) = self.json(&path).await? else {
            return Ok(None);
        };
        let batch = self.spans(id).await?;
        Ok(batch.map(|batch| (batch, report)))
    }

    /// The spans of a trace.
    pub(super) async fn spans(&self, id: TraceId) -> Result<Option<Batch>, Failure> {
        let path = format!("/api/quorate/traces/{id}/otlp");
        let Some(body) = self.get(&path, "application/x-protobuf").await? else {
            return Ok(None);
        };
        // The collector has applied its own limits already.
        let limits = Limits {
            attributes: u32::MAX,
            nesting: 100,
        };
        let batch = Batch::scan(body, &limits);
        batch.map(Some).map_err(|error| self.strange(error))
    }

    /// Traces that match; `query` is of the form `service=cart&limit=5`.
    pub(super) async fn search(&self, query: &str) -> Result<Found, Failure> {
        let found = self.json(&format!("/api/quorate/search?{query}")).await?;
        found.ok_or_else(|| self.strange("it has no search"))
    }

    async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        let Some(body) = self.get(path, "application/json").await? else {
            return Ok(None);
        };
        let value = serde_json::from_slice(&body);
        value.map(Some).map_err(|error| self.strange(error))
    }

    async fn get(&self, path: &str, accepted: &str) -> Result<Option<Bytes>, Failure> {
        let url = format!("{}{path}", self.base);
        let request = Request::get(&url).header(header::ACCEPT, accepted);
        let request = request.body(Bytes::new());
        let request = request.map_err(|error| Failure::Usage(format!("{url}: {error}")))?;
        let answer = self.http.send(request).await;
        let answer = answer.map_err(|error| Failure::Cluster(format!("{}: {error}", self.base)))?;
        if answer.status == StatusCode::OK {
            return Ok(Some(answer.body));
        }
        let Ok(refusal) = serde_json::from_slice::<Refusal>(&answer.body) else {
            return Err(self.strange(format_args!("it answers {}", answer.status)));
        };
        let message = plain(&refusal.error.message).into_owned();
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_client_error() => Err(Failure::Usage(message)),
            _ => Err(Failure::Cluster(format!("{}: {message}", self.base))),
        }
    }

    fn strange(&self, what: impl std::fmt::Display) -> Failure {
        let base = &self.base;
        Failure::Cluster(format!(
            "{base} does not answer as a collector does: {what}"
        ))
    }
}

/// The address without a slash at its end.
pub(super) fn base(address: &Uri) -> Result<String, Failure> {
    let is_http = address.scheme_str() == Some("http") && address.host().is_some();
    if !is_http || address.query().is_some() {
        return Err(Failure::Usage(format!(
            "{address}: an address such as http://127.0.0.1:16686 is needed"
        )));
    }
    Ok(address.to_string().trim_end_matches('/').to_owned())
}
