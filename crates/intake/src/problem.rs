//! Why a request was not accepted, and how each protocol says it.
//!
//! The OTLP specification lists which statuses a client may retry. Of those, only what passes by itself is
//! used here for requests that will pass then: a message that is too large is `RESOURCE_EXHAUSTED`
//! *without* `RetryInfo`, because `OUT_OF_RANGE`, which gRPC libraries answer, would be sent again for ever.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use prost::Message;
use tonic::{Code, Status};

use crate::{Outcome, Refusal};

/// Why a request was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("the message is larger than the limit of {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the message takes more than the limit of {limit} bytes when decompressed")]
    Bomb { limit: usize },
    #[error("the request did not arrive within {} seconds", .after.as_secs_f32())]
    Slow { after: Duration },
    #[error("the request ended early")]
    Broken,
    #[error("{0}")]
    Malformed(String),
    #[error("the encoding {0:?} is not supported: use gzip, zstd or identity")]
    Encoding(String),
    #[error("{0}")]
    ContentType(&'static str),
    #[error("{0}")]
    Method(&'static str),
    #[error("{0}")]
    Path(&'static str),
    #[error("too much is under way; try again")]
    Busy { retry_after: Duration },
    #[error("not available; try again")]
    Unavailable { retry_after: Duration },
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Busy { retry_after } => Problem::Busy { retry_after },
            Refusal::Unavailable { retry_after } => Problem::Unavailable { retry_after },
        }
    }
}

impl Problem {
    pub(crate) fn code(&self) -> Code {
        match self {
            Problem::TooLarge { .. } | Problem::Bomb { .. } | Problem::Busy { .. } => {
                Code::ResourceExhausted
            }
            Problem::Slow { .. } => Code::DeadlineExceeded,
            Problem::Broken => Code::Cancelled,
            Problem::Malformed(_) => Code::InvalidArgument,
            Problem::Encoding(_) | Problem::ContentType(_) | Problem::Method(_) => {
                Code::Unimplemented
            }
            Problem::Path(_) => Code::Unimplemented,
            Problem::Unavailable { .. } => Code::Unavailable,
        }
    }

    pub(crate) fn http_status(&self) -> StatusCode {
        match self {
            Problem::TooLarge { .. } | Problem::Bomb { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::Slow { .. } => StatusCode::REQUEST_TIMEOUT,
            Problem::Broken | Problem::Malformed(_) => StatusCode::BAD_REQUEST,
            Problem::Encoding(_) | Problem::ContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Problem::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Problem::Path(_) => StatusCode::NOT_FOUND,
            Problem::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            Problem::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Problem::Busy { .. } => Outcome::Busy,
            Problem::Unavailable { .. } => Outcome::Unavailable,
            _ => Outcome::Invalid,
        }
    }

    /// When the client should try again, if it should.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Problem::Busy { retry_after } | Problem::Unavailable { retry_after } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }

    /// As gRPC's status, with `RetryInfo` where the client should try again: OTLP clients take
    /// `RESOURCE_EXHAUSTED` for final without it.
    pub(crate) fn grpc_status(&self) -> Status {
        let message = self.to_string();
        match self.retry_after() {
            None => Status::new(self.code(), message),
            Some(delay) => {
                let details = RpcStatus {
                    details: vec![retry_info(delay)],
                    ..self.rpc_status()
                };
                Status::with_details(self.code(), message, details.encode_to_vec().into())
            }
        }
    }

    /// The body of an HTTP response in protobuf.
    pub(crate) fn protobuf(&self) -> Bytes {
        self.rpc_status().encode_to_vec().into()
    }

    /// The body of an HTTP response in JSON.
    pub(crate) fn json(&self) -> Bytes {
        let status = serde_json::json!({ "code": self.code() as i32, "message": self.to_string() });
        status.to_string().into()
    }

    fn rpc_status(&self) -> RpcStatus {
        RpcStatus {
            code: self.code() as i32,
            message: self.to_string(),
            details: Vec::new(),
        }
    }
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn retry_info(delay: Duration) -> Any {
    let info = RetryInfo {
        retry_delay: Some(ProtoDuration {
            seconds: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
            nanos: delay.subsec_nanos() as i32,
        }),
    };
    Any {
        type_url: "type.googleapis.com/google.rpc.RetryInfo".into(),
        value: info.encode_to_vec(),
    }
}
