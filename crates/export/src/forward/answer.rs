//! What a backend's answer means for what was sent. The table is in the [module](super)'s documentation.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use prost::Message;
use tonic::{Code, Status};

/// A backend's wish is heeded up to this.
const LONGEST_WISH: Duration = Duration::from_secs(300);

/// Of a text from the backend so much is repeated in logs.
const REASON_CHARS: usize = 500;

/// The backend took what was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Except for so many spans.
    pub(crate) rejected_spans: u64,
    /// What it says about them.
    pub(crate) message: String,
}

/// The backend did not take what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) reason: String,
}

/// What may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To send it again, not before this time.
    Later(Duration),
    /// To mend the configuration, here or there.
    Misconfigured,
    /// Nobody knows.
    Internal,
    /// Nothing: it is refused for what it is.
    Refused,
}

impl Failure {
    pub(crate) fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Failure {
            kind,
            reason: reason.into(),
        }
    }

    /// There was no answer, or none that could be read.
    pub(crate) fn unanswered(reason: impl Into<String>) -> Self {
        Failure::new(Kind::Later(Duration::ZERO), reason)
    }

    /// A gRPC status other than OK.
    pub(crate) fn of_status(status: &Status) -> Self {
        let kind = match status.code() {
            Code::Unavailable
            | Code::Aborted
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::DataLoss => Kind::Later(retry_info(status.details()).unwrap_or_default()),
            Code::ResourceExhausted => match retry_info(status.details()) {
                Some(delay) => Kind::Later(delay),
                None => Kind::Refused,
            },
            Code::Unauthenticated
            | Code::PermissionDenied
            | Code::NotFound
            | Code::Unimplemented => Kind::Misconfigured,
            Code::Unknown | Code::Internal => Kind::Internal,
            _ => Kind::Refused,
        };
        let message: String = status.message().chars().take(REASON_CHARS).collect();
        Failure::new(kind, format!("{:?}: {message}", status.code()))
    }

    /// An HTTP status that is not a success; `body` is a `google.rpc.Status`, if anything.
    pub(crate) fn of_http(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let kind = match code.as_u16() {
            408 | 429 | 502..=504 => Kind::Later(retry_after(headers).unwrap_or_default()),
            300..=399 | 401 | 403 | 404 | 405 | 407 | 501 => Kind::Misconfigured,
            500..=599 => Kind::Internal,
            _ => Kind::Refused,
        };
        let message = match RpcStatus::decode(body) {
            Ok(status) if !status.message.is_empty() => status.message,
            _ => String::from_utf8_lossy(body).into_owned(),
        };
        let message: String = message.chars().take(REASON_CHARS).collect();
        Failure::new(kind, format!("{code}: {message}"))
    }
}

/// The message of a success. A body that cannot be read takes nothing back.
pub(crate) fn taken(body: Bytes) -> Taken {
    let response = ExportTraceServiceResponse::decode(body).unwrap_or_default();
    let partial = response.partial_success.unwrap_or_default();
    Taken {
        rejected_spans: u64::try_from(partial.rejected_spans).unwrap_or(0),
        message: partial.error_message.chars().take(REASON_CHARS).collect(),
    }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wish = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            date.duration_since(SystemTime::now()).unwrap_or_default()
        }
    };
    Some(wish.min(LONGEST_WISH))
}

/// The delay of a `google.rpc.RetryInfo` among the details of a status.
fn retry_info(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let is_retry_info = |detail: &&Any| detail.type_url.ends_with("google.rpc.RetryInfo");
    let detail = status.details.iter().find(is_retry_info)?;
    let delay = RetryInfo::decode(detail.value.as_slice()).ok()?.retry_delay;
    let delay = delay.unwrap_or_default();
    let seconds = Duration::from_secs(u64::try_from(delay.seconds).unwrap_or(0));
    let nanos = Duration::from_nanos(u64::try_from(delay.nanos).unwrap_or(0));
    Some(seconds.saturating_add(nanos).min(LONGEST_WISH))
}

/// `opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct ExportTraceServiceResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess` of the same package.
#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, prost::Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: Code, delay: Option<ProtoDuration>) -> Status {
        let details = delay.map(|delay| Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: RetryInfo {
                retry_delay: Some(delay),
            }
            .encode_to_vec(),
        });
        let details = RpcStatus {
            details: details.into_iter().collect(),
            ..RpcStatus::default()
        };
        Status::with_details(code, "m", details.encode_to_vec().into())
    }

    #[test]
    fn retry_info_makes_an_exhausted_backend_one_to_come_back_to() {
        let kind = |code, delay| Failure::of_status(&status(code, delay)).kind;
        let delay = |seconds, nanos| Some(ProtoDuration { seconds, nanos });
        assert_eq!(kind(Code::ResourceExhausted, None), Kind::Refused);
        let wish = Duration::from_millis(2500);
        let asked = delay(2, 500_000_000);
        assert_eq!(
            kind(Code::ResourceExhausted, asked.clone()),
            Kind::Later(wish)
        );
        assert_eq!(kind(Code::Unavailable, asked), Kind::Later(wish));
        assert_eq!(kind(Code::Unavailable, None), Kind::Later(Duration::ZERO));
        let (hostile, negative) = (delay(i64::MAX, i32::MAX), delay(-5, -1));
        assert_eq!(kind(Code::Unavailable, hostile), Kind::Later(LONGEST_WISH));
        assert_eq!(
            kind(Code::Unavailable, negative),
            Kind::Later(Duration::ZERO)
        );
    }

    #[test]
    fn codes_of_grpc() {
        for code in [
            Code::InvalidArgument,
            Code::FailedPrecondition,
            Code::OutOfRange,
        ] {
            assert_eq!(
                Failure::of_status(&Status::new(code, "")).kind,
                Kind::Refused
            );
        }
        for code in [
            Code::Unauthenticated,
            Code::PermissionDenied,
            Code::Unimplemented,
        ] {
            assert_eq!(
                Failure::of_status(&Status::new(code, "")).kind,
                Kind::Misconfigured
            );
        }
        let internal = Failure::of_status(&Status::new(Code::Internal, "why"));
        assert_eq!(internal, Failure::new(Kind::Internal, "Internal: why"));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let wish = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            Failure::of_http(StatusCode::TOO_MANY_REQUESTS, &headers, b"").kind
        };
        assert_eq!(wish("7"), Kind::Later(Duration::from_secs(7)));
        assert_eq!(wish("999999999"), Kind::Later(LONGEST_WISH));
        assert_eq!(wish("soon"), Kind::Later(Duration::ZERO));
        assert_eq!(
            wish("Fri, 31 Dec 1999 23:59:59 GMT"),
            Kind::Later(Duration::ZERO)
        );
        let future = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
        assert_eq!(wish(&future), Kind::Later(LONGEST_WISH));
    }

    #[test]
    fn codes_of_http() {
        let kind = |code| {
            let code = StatusCode::from_u16(code).unwrap();
            Failure::of_http(code, &HeaderMap::new(), b"").kind
        };
        for code in [408, 429, 502, 503, 504] {
            assert_eq!(kind(code), Kind::Later(Duration::ZERO), "{code}");
        }
        for code in [307, 401, 403, 404, 405, 501] {
            assert_eq!(kind(code), Kind::Misconfigured, "{code}");
        }
        for code in [400, 413, 415, 422] {
            assert_eq!(kind(code), Kind::Refused, "{code}");
        }
        assert_eq!(kind(500), Kind::Internal);
    }

    #[test]
    fn the_reason_is_what_the_backend_says() {
        let of =
            |body: &[u8]| Failure::of_http(StatusCode::BAD_REQUEST, &HeaderMap::new(), body).reason;
        let status = RpcStatus {
            code: 3,
            message: "no spans".to_owned(),
            details: vec![],
        };
        assert_eq!(of(&status.encode_to_vec()), "400 Bad Request: no spans");
        assert_eq!(of(b"<html>"), "400 Bad Request: <html>");
        assert_eq!(
            of(&[0xff; 9999]).chars().count(),
            "400 Bad Request: ".len() + REASON_CHARS
        );
    }

    #[test]
    fn a_partial_success_is_a_success() {
        let response = ExportTraceServiceResponse {
            partial_success: Some(PartialSuccess {
                rejected_spans: 3,
                error_message: "too old".to_owned(),
            }),
        };
        let expected = Taken {
            rejected_spans: 3,
            message: "too old".to_owned(),
        };
        assert_eq!(taken(response.encode_to_vec().into()), expected);
        assert_eq!(taken(Bytes::new()), Taken::default());
        assert_eq!(taken(Bytes::from_static(b"{}")), Taken::default());
    }
}
