//! `quorate trace import`: the spans of files, sent to a collector over OTLP.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{Request, StatusCode, Uri, header};
use prost::Message;
use quorate_trace::wire::{Batch, Span, encode};

use super::collector::base;
use super::file;
use super::http::{Answer, HttpClient};
use super::print::{counted, plain, print};
use crate::outcome::{Failure, Outcome};

/// Bytes of spans in a request; collectors take four times as much by default.
pub(super) const REQUEST_BYTES: usize = 1 << 20;
/// Time for one request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Times that a request is made while the collector asks for patience.
const ATTEMPTS: u32 = 10;
/// Time before the next attempt, if the collector names none, and at most.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Options of `quorate trace import`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ImportArgs {
    /// Files of OTLP (protobuf or JSON) or Jaeger's JSON; - is standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Where a collector takes OTLP over HTTP; Quorate's or any other.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4318")]
    to: Uri,
}

const HELP: &str = "\
Spans keep their ids and times. The exit status is 1 if the collector refused some of them.

Examples:
  quorate trace import traces.json
  quorate trace import --to http://127.0.0.1:4318 jaeger-export.json spans.pb";

/// The collector's answer; other fields are of no interest.
#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `google.rpc.Status`, with which OTLP answers errors.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

impl ImportArgs {
    /// Sends the files, one after another.
    pub(super) async fn run(self) -> Result<Outcome, Failure> {
        let url = format!("{}/v1/traces", base(&self.to)?);
        let batches: Result<Vec<Batch>, Failure> =
            self.files.iter().map(|path| file::read(path)).collect();
        let batches = batches?;
        let client = HttpClient::new(TIMEOUT);
        let (mut sent, mut refused) = (0_u64, 0_u64);
        for batch in &batches {
            let spans: Vec<Span<'_>> = batch.spans().collect();
            for part in parts(&spans) {
                refused += send(&client, &url, encode(part)).await?;
                sent += part.len() as u64;
            }
        }
        print(match refused {
            0 => format!("{} sent\n", counted(sent, "span")),
            refused => format!(
                "{} sent, {refused} of them refused\n",
                counted(sent, "span")
            ),
        })?;
        let left_out: u32 = batches.iter().map(|batch| batch.refused().total()).sum();
        Ok(match refused + u64::from(left_out) {
            0 => Outcome::Holds,
            _ => Outcome::Refuted,
        })
    }
}

/// Spans in parts of about [`REQUEST_BYTES`].
pub(super) fn parts<'p, 's>(spans: &'p [Span<'s>]) -> impl Iterator<Item = &'p [Span<'s>]> {
    let mut size = 0;
    spans.chunk_by(move |_, next| {
        size += next.bytes().len();
        let fits = size <= REQUEST_BYTES;
        if !fits {
            size = next.bytes().len();
        }
        fits
    })
}

/// Sends a request until it is taken; returns how many of its spans were refused.
pub(super) async fn send(client: &HttpClient, url: &str, body: Bytes) -> Result<u64, Failure> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let request = Request::post(url).header(header::CONTENT_TYPE, "application/x-protobuf");
        let request = request.body(body.clone());
        let request = request.map_err(|error| Failure::Usage(format!("{url}: {error}")))?;
        let answer = client.send(request).await;
        let answer = answer.map_err(|error| Failure::Cluster(format!("{url}: {error}")))?;
        let is_busy = matches!(
            answer.status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        match answer.status {
            StatusCode::OK => return Ok(refused(&answer)),
            _ if is_busy && attempt < ATTEMPTS => {
                let pause = answer.retry_after.unwrap_or(PAUSE).min(PAUSE_MAX);
                tokio::time::sleep(pause).await;
            }
            status => {
                let said = RpcStatus::decode(answer.body).unwrap_or_default().message;
                return Err(Failure::Cluster(format!(
                    "{url}: {status} {}",
                    plain(&said)
                )));
            }
        }
    }
}

fn refused(answer: &Answer) -> u64 {
    let response = ExportResponse::decode(answer.body.clone()).unwrap_or_default();
    let Some(partial) = response.partial_success else {
        return 0;
    };
    if !partial.error_message.is_empty() {
        eprintln!(
            "quorate: the collector says: {}",
            plain(&partial.error_message)
        );
    }
    partial.rejected_spans.max(0) as u64
}
