//! `quorate trace context-service`: what W3C's validation harness for Trace Context drives.
//!
//! The harness posts a JSON array of `{"url", "arguments"}`. For each element the service posts
//! `arguments` to `url`, with the trace context that it was called with, continued: the harness listens
//! there and looks at the headers. The rules are those of `quorate_trace::context`; nothing is recorded.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Json, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use quorate_trace::context::{Baggage, Carrier, SpanContext, TraceFlags};
use quorate_trace::{SpanId, TraceId};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::http::HttpClient;
use crate::commands::node::Signals;
use crate::outcome::{Failure, Outcome};

/// Bytes of a request.
const REQUEST_MAX: usize = 1 << 20;
/// Calls that one request may ask for.
const CALLS_MAX: usize = 100;
/// Time for one of these calls.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Options of `quorate trace context-service`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ContextServiceArgs {
    /// Where to listen. The service calls any address that it is told to: keep it to this machine.
    #[arg(long, default_value = "127.0.0.1:5000")]
    listen: SocketAddr,
}

const HELP: &str = "\
The harness is test/test.py of https://github.com/w3c/trace-context; it listens on port 7777 itself.

Examples:
  quorate trace context-service --listen 127.0.0.1:5000
  python3 test.py http://127.0.0.1:5000/test";

impl ContextServiceArgs {
    /// Serves until it is told to stop.
    pub(super) async fn run(self) -> Result<Outcome, Failure> {
        let mut signals = Signals::new().map_err(Failure::local("listening to signals"))?;
        let listen = self.listen;
        let listener = TcpListener::bind(listen)
            .await
            .map_err(Failure::local(format!("listening on {listen}")))?;
        eprintln!("quorate: the context service is ready at http://{listen}/");
        tokio::select! {
            served = serve(listener) => {
                served.map_err(Failure::local(format!("serving on {listen}")))?;
            }
            () = signals.next() => {}
        }
        Ok(Outcome::Holds)
    }
}

async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let client = HttpClient::new(CALL_TIMEOUT);
    let service: MethodRouter<HttpClient> = post(answer).layer(DefaultBodyLimit::max(REQUEST_MAX));
    axum::serve(listener, service.with_state(client)).await
}

/// One of the calls that a request asks for.
#[derive(Debug, Deserialize, Serialize)]
struct Call {
    url: String,
    arguments: Vec<Call>,
}

/// How it went.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Called {
    Status(u16),
    Error(String),
}

async fn answer(
    State(client): State<HttpClient>,
    headers: HeaderMap,
    Json(calls): Json<Vec<Call>>,
) -> Response {
    if calls.len() > CALLS_MAX {
        let why = format!("at most {CALLS_MAX} calls");
        return (StatusCode::PAYLOAD_TOO_LARGE, why).into_response();
    }
    let headers = Headers(headers);
    let here = continued(&headers);
    let baggage = Baggage::extract(&headers);
    let mut results = Vec::with_capacity(calls.len());
    for call in &calls {
        results.push(make(&client, &here, &baggage, call).await);
    }
    let reached = results
        .iter()
        .all(|called| matches!(called, Called::Status(_)));
    let status = match reached {
        true => StatusCode::OK,
        false => StatusCode::BAD_GATEWAY,
    };
    (status, Json(results)).into_response()
}

/// The context of the service's own span: in the caller's trace, or in a new one.
fn continued(headers: &Headers) -> SpanContext {
    match SpanContext::extract(headers) {
        Ok(Some(caller)) => caller.child(new_span_id()),
        Ok(None) | Err(_) => SpanContext::root(new_trace_id(), new_span_id(), TraceFlags::RANDOM),
    }
}

/// Each call is a span of its own.
async fn make(client: &HttpClient, here: &SpanContext, baggage: &Baggage, call: &Call) -> Called {
    let mut headers = Headers(HeaderMap::new());
    here.child(new_span_id()).inject(&mut headers);
    baggage.inject(&mut headers);
    let request = Request::post(&call.url).header(header::CONTENT_TYPE, "application/json");
    let body = Bytes::from(serde_json::json!(call.arguments).to_string());
    let mut request = match request.body(body) {
        Ok(request) => request,
        Err(error) => return Called::Error(error.to_string()),
    };
    request.headers_mut().extend(headers.0);
    match client.send(request).await {
        Ok(answer) => Called::Status(answer.status.as_u16()),
        Err(error) => Called::Error(error.to_string()),
    }
}

struct Headers(HeaderMap);

impl Carrier for Headers {
    fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.get_all(name).iter().map(HeaderValue::as_bytes)
    }

    fn set(&mut self, name: &'static str, value: String) {
        // A context writes nothing but printable ASCII, so the value is always one of a header.
        if let Ok(value) = HeaderValue::try_from(value) {
            self.0.insert(name, value);
        }
    }

    fn remove(&mut self, name: &'static str) {
        self.0.remove(name);
    }
}

fn new_trace_id() -> TraceId {
    loop {
        if let Some(id) = TraceId::new(rand::random()) {
            return id;
        }
    }
}

fn new_span_id() -> SpanId {
    loop {
        if let Some(id) = SpanId::new(rand::random()) {
            return id;
        }
    }
}
