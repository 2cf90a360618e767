//! OTLP over HTTP: `POST /v1/traces` with protobuf or JSON.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Body;
use prost::Message;
use quorate_trace::wire::Refused;

use crate::body::Reply;
use crate::compression::{Encoding, SUPPORTED};
use crate::problem::Problem;
use crate::request::Shared;
use crate::{Sink, Transport};

const TRACES: &str = "/v1/traces";

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Protobuf,
    Json,
}

impl Format {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let media_type = value.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| media_type.eq_ignore_ascii_case(name);
        if is("application/x-protobuf") || is("application/protobuf") {
            Some(Format::Protobuf)
        } else if is("application/json") {
            Some(Format::Json)
        } else {
            None
        }
    }

    const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Format::Protobuf => "application/x-protobuf",
            Format::Json => "application/json",
        })
    }

    const fn transport(self) -> Transport {
        match self {
            Format::Protobuf => Transport::HttpProtobuf,
            Format::Json => Transport::HttpJson,
        }
    }
}

/// `ExportTraceServiceResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess`.
#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

impl ExportResponse {
    /// Nothing at all if no span was refused, as the specification demands.
    pub(crate) fn new(refused: &Refused) -> Self {
        let partial_success = (refused.total() > 0).then(|| PartialSuccess {
            rejected_spans: refused.total().into(),
            error_message: format!("spans refused: {refused}"),
        });
        ExportResponse { partial_success }
    }

    fn json(&self) -> Bytes {
        let value = match &self.partial_success {
            None => serde_json::json!({}),
            Some(partial) => serde_json::json!({ "partialSuccess": {
                "rejectedSpans": partial.rejected_spans.to_string(),
                "errorMessage": partial.error_message,
            }}),
        };
        value.to_string().into()
    }
}

/// Answers a request.
pub(crate) async fn respond<S, B>(shared: &Shared<S>, request: Request<B>) -> Response<Reply>
where
    S: Sink,
    B: Body<Data = Bytes> + Unpin,
{
    let (head, body) = request.into_parts();
    let cors = shared.options.cors.as_ref();
    if let Some(preflight) = cors.and_then(|cors| cors.preflight(&head)) {
        return preflight;
    }
    let mut response = match export(shared, &head, body).await {
        Ok(response) => response,
        Err((problem, format)) => failure(&problem, format),
    };
    if let Some(cors) = cors {
        cors.allow(&head.headers, response.headers_mut());
    }
    response
}

async fn export<S, B>(
    shared: &Shared<S>,
    head: &http::request::Parts,
    body: B,
) -> Result<Response<Reply>, (Problem, Format)>
where
    S: Sink,
    B: Body<Data = Bytes> + Unpin,
{
    let format = Format::of(&head.headers);
    // Whoever did not say what it speaks can read JSON.
    let answered_in = format.unwrap_or(Format::Json);
    let (format, encoding) = check(head, format).map_err(|problem| {
        let transport = answered_in.transport();
        shared.options.stats.count(transport, problem.outcome());
        (problem, answered_in)
    })?;
    let accepted = shared.take(body, encoding, format.transport()).await;
    let accepted = accepted.map_err(|problem| (problem, format))?;
    let message = ExportResponse::new(&accepted.refused);
    let body = match format {
        Format::Protobuf => message.encode_to_vec().into(),
        Format::Json => message.json(),
    };
    let mut response = Response::new(Reply::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, format.content_type());
    Ok(response)
}

fn check(
    head: &http::request::Parts,
    format: Option<Format>,
) -> Result<(Format, Encoding), Problem> {
    match head.uri.path().trim_end_matches('/') {
        TRACES => {}
        "/v1/metrics" | "/v1/logs" | "/v1development/profiles" => {
            return Err(Problem::Path(
                "only traces are collected here: no metrics, logs or profiles",
            ));
        }
        _ => return Err(Problem::Path("not found; traces go to /v1/traces")),
    }
    if head.method != Method::POST {
        return Err(Problem::Method("traces are sent with POST"));
    }
    let format = format.ok_or(Problem::ContentType(
        "the content type must be application/x-protobuf or application/json",
    ))?;
    let encoding = Encoding::parse(head.headers.get(CONTENT_ENCODING))?;
    Ok((format, encoding))
}

fn failure(problem: &Problem, format: Format) -> Response<Reply> {
    let body = match format {
        Format::Protobuf => problem.protobuf(),
        Format::Json => problem.json(),
    };
    let mut response = Response::new(Reply::new(body));
    *response.status_mut() = problem.http_status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, format.content_type());
    match problem {
        Problem::Encoding(_) => {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(SUPPORTED));
        }
        Problem::Method(_) => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        _ => {}
    }
    if let Some(delay) = problem.retry_after() {
        // Whole seconds only, and zero would be no pause at all.
        let seconds = delay.as_millis().div_ceil(1000).max(1) as u64;
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}
