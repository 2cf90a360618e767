//! One connection that sends requests and understands the answers.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use tokio::net::TcpStream;
use tonic::Code;

use super::Protocol;

/// A request should be few frames and never wait for permission to send the rest.
const WINDOW: u32 = 4 << 20;

/// The length of gRPC's header of a message.
const GRPC_HEADER: usize = 5;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Acknowledged, except for so many spans.
    Accepted { refused: u64 },
    /// To be sent again, after this time if one was told.
    Later(Option<Duration>),
    /// Refused for good, in words.
    Refused(String),
}

/// The connection broke, or could not be made.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(String);

impl Broken {
    pub(super) fn new(error: impl std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            text = format!("{text}: {inner}");
            source = inner.source();
        }
        Broken(text)
    }
}

enum Connection {
    Grpc(http2::SendRequest<Full<Bytes>>),
    Http(http1::SendRequest<Full<Bytes>>),
}

/// A connection; clones share it if it is gRPC's.
pub(super) struct Client {
    connection: Connection,
    authority: String,
}

impl Client {
    pub(super) async fn connect(authority: &str, protocol: Protocol) -> Result<Self, Broken> {
        let stream = TcpStream::connect(authority).await.map_err(Broken::new)?;
        stream.set_nodelay(true).map_err(Broken::new)?;
        let io = TokioIo::new(stream);
        let connection = match protocol {
            Protocol::Grpc => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .initial_stream_window_size(WINDOW)
                    .initial_connection_window_size(WINDOW)
                    .handshake(io)
                    .await
                    .map_err(Broken::new)?;
                // What ends it is seen by the requests.
                tokio::spawn(async { drop(connection.await) });
                Connection::Grpc(sender)
            }
            Protocol::Http => {
                let handshake = http1::handshake(io).await;
                let (sender, connection) = handshake.map_err(Broken::new)?;
                tokio::spawn(async { drop(connection.await) });
                Connection::Http(sender)
            }
        };
        Ok(Client {
            connection,
            authority: authority.into(),
        })
    }

    /// Another sender on the same connection, if several requests may be under way on it.
    pub(super) fn share(&self) -> Option<Self> {
        match &self.connection {
            Connection::Grpc(sender) => Some(Client {
                connection: Connection::Grpc(sender.clone()),
                authority: self.authority.clone(),
            }),
            Connection::Http(_) => None,
        }
    }

    /// Bytes to leave free before a message.
    pub(super) fn prefix(protocol: Protocol) -> usize {
        match protocol {
            Protocol::Grpc => GRPC_HEADER,
            Protocol::Http => 0,
        }
    }

    /// Sends a message before which the prefix is free.
    pub(super) async fn send(&mut self, mut body: Vec<u8>) -> Result<Answer, Broken> {
        match &mut self.connection {
            Connection::Grpc(sender) => {
                let length = (body.len() - GRPC_HEADER) as u32;
                body[1..GRPC_HEADER].copy_from_slice(&length.to_be_bytes());
                let request = Request::post(format!(
                    "http://{}/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                    self.authority
                ))
                .header(CONTENT_TYPE, "application/grpc")
                .header("te", "trailers")
                .body(Full::new(body.into()))
                .map_err(Broken::new)?;
                sender.ready().await.map_err(Broken::new)?;
                let response = sender.send_request(request).await.map_err(Broken::new)?;
                grpc_answer(response).await
            }
            Connection::Http(sender) => {
                let request = Request::post("/v1/traces")
                    .header("host", &self.authority)
                    .header(CONTENT_TYPE, "application/x-protobuf")
                    .body(Full::new(body.into()))
                    .map_err(Broken::new)?;
                sender.ready().await.map_err(Broken::new)?;
                let response = sender.send_request(request).await.map_err(Broken::new)?;
                http_answer(response).await
            }
        }
    }
}

async fn grpc_answer(response: Response<Incoming>) -> Result<Answer, Broken> {
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Ok(Answer::Refused(format!("HTTP status {}", head.status)));
    }
    let body = body.collect().await.map_err(Broken::new)?;
    let trailers = body.trailers().unwrap_or(&head.headers).clone();
    let data = body.to_bytes();
    let status = trailers.get(GRPC_STATUS).map(HeaderValue::as_bytes);
    Ok(match Code::from_bytes(status.unwrap_or_default()) {
        Code::Ok => accepted(data.get(GRPC_HEADER..).unwrap_or_default()),
        // What OTLP calls retryable; what is exhausted says so by telling when.
        Code::ResourceExhausted if !trailers.contains_key("grpc-status-details-bin") => {
            Answer::Refused(grpc_words(Code::ResourceExhausted, &trailers))
        }
        Code::ResourceExhausted
        | Code::Unavailable
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::DataLoss => Answer::Later(None),
        code => Answer::Refused(grpc_words(code, &trailers)),
    })
}

fn grpc_words(code: Code, trailers: &HeaderMap) -> String {
    let message = trailers.get(GRPC_MESSAGE).map(HeaderValue::as_bytes);
    let message = String::from_utf8_lossy(message.unwrap_or_default());
    format!("{code:?} {message}")
}

async fn http_answer(response: Response<Incoming>) -> Result<Answer, Broken> {
    let (head, body) = response.into_parts();
    let data = body.collect().await.map_err(Broken::new)?.to_bytes();
    Ok(match head.status.as_u16() {
        200 => accepted(&data),
        429 | 502 | 503 | 504 => {
            let value = head.headers.get(RETRY_AFTER);
            let seconds = value.and_then(|value| value.to_str().ok()?.parse().ok());
            Answer::Later(seconds.map(Duration::from_secs))
        }
        _ => Answer::Refused(format!("HTTP status {}", head.status)),
    })
}

/// `ExportTraceServiceResponse`.
#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess`.
#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
}

fn accepted(data: &[u8]) -> Answer {
    match ExportResponse::decode(data) {
        Ok(response) => {
            let rejected = response.partial_success.map_or(0, |p| p.rejected_spans);
            Answer::Accepted {
                refused: rejected.max(0) as u64,
            }
        }
        Err(error) => Answer::Refused(format!("the answer does not parse: {error}")),
    }
}
