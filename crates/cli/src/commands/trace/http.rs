//! An HTTP client: one request, one answer, both of limited size and time.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Bytes of an answer that are read at most: a trace of a million spans.
const ANSWER_MAX: usize = 1 << 30;

/// A client that keeps its connections open for the next request.
#[derive(Clone)]
pub(super) struct HttpClient {
    client: Client<HttpConnector, Full<Bytes>>,
    timeout: Duration,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// When to ask again, if the other side says so in seconds.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("{0}")]
    Connection(String),
    #[error("no answer within {} seconds", .0.as_secs())]
    Slow(Duration),
    #[error("an answer of more than {ANSWER_MAX} bytes")]
    TooLong,
}

impl HttpClient {
    /// A client whose requests take at most so long, from connecting to the last byte of the answer.
    pub(super) fn new(timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        HttpClient {
            client: Client::builder(TokioExecutor::new()).build(connector),
            timeout,
        }
    }

    pub(super) async fn send(&self, request: Request<Bytes>) -> Result<Answer, HttpError> {
        let exchange = self.exchange(request.map(Full::new));
        tokio::time::timeout(self.timeout, exchange)
            .await
            .map_err(|_| HttpError::Slow(self.timeout))?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, HttpError> {
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| HttpError::Connection(innermost(&error)))?;
        let status = answer.status();
        let retry_after = answer.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
        match body {
            Ok(body) => Ok(Answer {
                status,
                retry_after: retry_after.map(Duration::from_secs),
                body: body.to_bytes(),
            }),
            Err(error) if error.is::<LengthLimitError>() => Err(HttpError::TooLong),
            Err(error) => Err(HttpError::Connection(innermost(&*error))),
        }
    }
}

/// The system's own words: what wraps them says only that something failed.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
