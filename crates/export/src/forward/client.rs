//! Requests to the backend: OTLP over HTTP, and over gRPC, which is HTTP/2 with a few headers more.
//!
//! A gRPC call with one message each way is a POST whose body is five bytes and the message, and whose
//! answer ends in trailers with the status ("gRPC over HTTP2" in the gRPC repository's `doc`). So one
//! client serves both, bodies are compressed in the same place, and nothing is decoded or copied.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tonic::{Code, Status};

use super::answer::{Failure, Kind, Taken, taken};
use super::{Config, ForwardError, Protocol};

const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const HTTP_PATH: &str = "/v1/traces";

/// An answer is a few bytes; an error page may be some more.
const ANSWER_BYTES: usize = 256 << 10;

/// Compression of a message of gRPC, and its length.
const GRPC_PREFIX_BYTES: usize = 5;

/// A connection that was silent for so long is asked whether it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: legacy::Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
    protocol: Protocol,
    gzip: bool,
    timeout: Duration,
}

impl Client {
    pub(crate) fn new(config: &Config) -> Result<Self, ForwardError> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(config.timeout));
        connector.set_nodelay(true);
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_only(config.protocol == Protocol::Grpc)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(config.timeout)
            .build(connector);
        Ok(Client {
            http,
            uri: uri(config)?,
            headers: headers(config)?,
            protocol: config.protocol,
            gzip: config.gzip,
            timeout: config.timeout,
        })
    }

    /// Sends one `ExportTraceServiceRequest`.
    pub(crate) async fn send(&self, message: Bytes) -> Result<Taken, Failure> {
        let body = self.body(message).await?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        match tokio::time::timeout(self.timeout, self.answer(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::unanswered(format!(
                "no answer within {:?}",
                self.timeout
            ))),
        }
    }

    async fn answer(&self, request: Request<Full<Bytes>>) -> Result<Taken, Failure> {
        let unanswered = |error: &dyn Error| Failure::unanswered(causes(error));
        let response = self.http.request(request).await;
        let (head, body) = response.map_err(|error| unanswered(&error))?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES).collect().await;
        let body = match body {
            Ok(body) => body,
            // What it begins with says enough if it is an error, and a success is a success.
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                return answer(
                    self.protocol,
                    &Response::from_parts(head, ()),
                    None,
                    Bytes::new(),
                );
            }
            Err(error) => return Err(unanswered(&*error)),
        };
        let trailers = body.trailers().cloned();
        let response = Response::from_parts(head, ());
        answer(self.protocol, &response, trailers, body.to_bytes())
    }

    /// The message as the protocol has it, compressed if that is wanted.
    async fn body(&self, message: Bytes) -> Result<Bytes, Failure> {
        if !self.gzip {
            return Ok(match self.protocol {
                Protocol::Http => message,
                Protocol::Grpc => prefixed(0, &message),
            });
        }
        let protocol = self.protocol;
        // Some milliseconds for a megabyte, which others on this runtime would have to wait for.
        let compress = move || {
            let compressed = gzip(&message)?;
            Ok(match protocol {
                Protocol::Http => compressed,
                Protocol::Grpc => prefixed(1, &compressed),
            })
        };
        let compressed = tokio::task::spawn_blocking(compress).await;
        let compressed = compressed.map_err(std::io::Error::other).flatten();
        compressed.map_err(|error| Failure::unanswered(format!("compression failed: {error}")))
    }
}

fn gzip(message: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 4), Compression::fast());
    encoder.write_all(message)?;
    Ok(encoder.finish()?.into())
}

fn prefixed(compressed: u8, message: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(GRPC_PREFIX_BYTES + message.len());
    body.put_u8(compressed);
    // Requests are far shorter than 4 GiB.
    body.put_u32(message.len() as u32);
    body.put_slice(message);
    body.freeze()
}

/// What the response says.
fn answer(
    protocol: Protocol,
    response: &Response<()>,
    trailers: Option<HeaderMap>,
    body: Bytes,
) -> Result<Taken, Failure> {
    let (code, headers) = (response.status(), response.headers());
    if !code.is_success() {
        return Err(Failure::of_http(code, headers, &body));
    }
    if protocol == Protocol::Http {
        return Ok(taken(body));
    }
    // A call that fails at once has its status among the headers.
    let status = trailers.as_ref().and_then(Status::from_header_map);
    match status.or_else(|| Status::from_header_map(headers)) {
        Some(status) if status.code() == Code::Ok => {
            Ok(taken(body.slice(GRPC_PREFIX_BYTES.min(body.len())..)))
        }
        Some(status) => Err(Failure::of_status(&status)),
        None if code == StatusCode::OK && !is_grpc(headers) => {
            let reason = "what answers there does not speak gRPC";
            Err(Failure::new(Kind::Misconfigured, reason))
        }
        None => Err(Failure::unanswered("the answer ended without a status")),
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    content_type.is_some_and(|value| value.starts_with(b"application/grpc"))
}

fn uri(config: &Config) -> Result<Uri, ForwardError> {
    let problem = |problem: String| ForwardError::Endpoint {
        endpoint: config.endpoint.clone(),
        problem,
    };
    let uri: Uri = config
        .endpoint
        .parse()
        .map_err(|error: http::uri::InvalidUri| problem(error.to_string()))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(problem("TLS is not supported yet".to_owned())),
        _ => return Err(problem("it must begin with http://".to_owned())),
    }
    let path = match (config.protocol, uri.path()) {
        (Protocol::Grpc, _) => GRPC_PATH,
        (Protocol::Http, "" | "/") => HTTP_PATH,
        (Protocol::Http, _) => return Ok(uri),
    };
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static(path));
    Uri::from_parts(parts).map_err(|error| problem(error.to_string()))
}

fn headers(config: &Config) -> Result<HeaderMap, ForwardError> {
    let mut headers = HeaderMap::new();
    let agent = concat!("quorate/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    match config.protocol {
        Protocol::Http => {
            let protobuf = HeaderValue::from_static("application/x-protobuf");
            headers.insert(CONTENT_TYPE, protobuf);
            if config.gzip {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
        }
        Protocol::Grpc => {
            let grpc = HeaderValue::from_static("application/grpc");
            headers.insert(CONTENT_TYPE, grpc);
            headers.insert(TE, HeaderValue::from_static("trailers"));
            if config.gzip {
                let encoding = HeaderName::from_static("grpc-encoding");
                headers.insert(encoding, HeaderValue::from_static("gzip"));
            }
        }
    }
    for (name, value) in &config.headers {
        let problem = |problem| ForwardError::Header {
            name: name.clone(),
            problem,
        };
        let name = HeaderName::try_from(name).map_err(|_| problem("its name is not valid"))?;
        if headers.contains_key(&name) {
            return Err(problem("it is set by the protocol"));
        }
        let value = HeaderValue::try_from(value).map_err(|_| problem("its value is not valid"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The error with its causes: hyper's own text is only "client error".
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
