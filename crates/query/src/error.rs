//! Why a question has no answer. Each interface words it in its own form.

use axum::http::StatusCode;
use quorate_trace_store::StoreError;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The asker's: a parameter cannot be read.
    #[error("{name}: {reason}")]
    Parameter { name: &'static str, reason: String },
    /// The asker's: a parameter is missing.
    #[error("parameter '{0}' is required")]
    Missing(&'static str),
    /// There is no such trace.
    #[error("trace not found")]
    NotFound,
    /// Too many questions at once.
    #[error("too many queries at once, try again")]
    Busy,
    /// The trace is too large to be answered in one piece.
    #[error("the trace has {bytes} bytes, more than the {most} that an answer is made of")]
    TooLarge { bytes: usize, most: usize },
    /// The store fails.
    #[error("the store fails: {0}")]
    Store(#[from] StoreError),
    /// What is stored cannot be read.
    #[error("what is stored of the trace cannot be read: {0}")]
    Unreadable(String),
    /// An answer could not be made; a fault of this program.
    #[error("the answer could not be made: {0}")]
    Internal(String),
}

impl Error {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Error::Parameter { .. } | Error::Missing(_) => StatusCode::BAD_REQUEST,
            Error::NotFound => StatusCode::NOT_FOUND,
            Error::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Error::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Store(_) | Error::Unreadable(_) | Error::Internal(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::Internal(error.to_string())
    }
}
