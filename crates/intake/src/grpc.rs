//! OTLP over gRPC: `opentelemetry.proto.collector.trace.v1.TraceService/Export`.
//!
//! A unary call is a POST with a five-byte header before the message and a status in the trailers
//! ([gRPC over HTTP/2]). It is done here rather than by a gRPC library to keep OTLP's statuses: libraries answer
//! what is too large with `OUT_OF_RANGE`, which OTLP clients send again and again.
//!
//! [gRPC over HTTP/2]: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use http_body::Body;
use prost::Message;

use crate::body::Reply;
use crate::compression::{Encoding, SUPPORTED};
use crate::http::ExportResponse;
use crate::problem::Problem;
use crate::request::{GRPC_HEADER, Shared};
use crate::{Sink, Transport};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const OTHER_SIGNALS: &str = "/opentelemetry.proto.collector.";

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Whether a request is gRPC's, by its content type.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    content_type
        .and_then(|value| value.strip_prefix(b"application/grpc"))
        .is_some_and(|rest| matches!(rest, [] | [b';', ..]) || rest.starts_with(b"+proto"))
}

/// Answers a call.
pub(crate) async fn respond<S, B>(shared: &Shared<S>, request: Request<B>) -> Response<Reply>
where
    S: Sink,
    B: Body<Data = Bytes> + Unpin,
{
    match export(shared, request).await {
        Ok(response) => success(&response),
        Err(problem) => failure(&problem),
    }
}

async fn export<S, B>(shared: &Shared<S>, request: Request<B>) -> Result<ExportResponse, Problem>
where
    S: Sink,
    B: Body<Data = Bytes> + Unpin,
{
    let (head, body) = request.into_parts();
    let checked = check(&head);
    let encoding = match checked {
        Ok(encoding) => encoding,
        Err(problem) => {
            let outcome = problem.outcome();
            shared.options.stats.count(Transport::Grpc, outcome);
            return Err(problem);
        }
    };
    let accepted = shared.take(body, encoding, Transport::Grpc).await?;
    Ok(ExportResponse::new(&accepted.refused))
}

fn check(head: &http::request::Parts) -> Result<Encoding, Problem> {
    if head.version != Version::HTTP_2 {
        return Err(Problem::Malformed("gRPC needs HTTP/2".into()));
    }
    if head.method != Method::POST {
        return Err(Problem::Method("gRPC calls are POST requests"));
    }
    match head.uri.path() {
        EXPORT => Encoding::parse(head.headers.get(GRPC_ENCODING)),
        path if path.starts_with(OTHER_SIGNALS) => Err(Problem::Path(
            "only traces are collected here: no metrics, logs or profiles",
        )),
        _ => Err(Problem::Path("no such gRPC service or method")),
    }
}

fn success(message: &ExportResponse) -> Response<Reply> {
    let length = message.encoded_len();
    let mut data = BytesMut::with_capacity(GRPC_HEADER + length);
    data.put_u8(0);
    data.put_u32(length as u32);
    data.extend_from_slice(&message.encode_to_vec());
    let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
    let mut response = Response::new(Reply::with_trailers(data.freeze(), trailers));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

fn failure(problem: &Problem) -> Response<Reply> {
    let mut response = problem.grpc_status().into_http::<Reply>();
    if matches!(problem, Problem::Encoding(_)) {
        let supported = HeaderValue::from_static(SUPPORTED);
        response
            .headers_mut()
            .insert(GRPC_ACCEPT_ENCODING, supported);
    }
    response
}
