//! The gRPC service for programs. See `proto/query.proto`.

use std::pin::Pin;

use bytes::Bytes;
use quorate_trace::wire::encode;
use quorate_trace::{TraceId, Verdict};
use quorate_trace_store::{Found, Query, Summary};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use crate::error::Error;
use crate::load::load;
use crate::own::{severity, verdict};
use crate::proto;
use crate::source::Asker;

/// Bytes of a chunk: far below the 4 MiB that clients accept by default.
const CHUNK_BYTES: usize = 1 << 20;
const LIMIT: usize = 50;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service.
pub(crate) struct Service(pub(crate) Asker);

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Parameter { .. } | Error::Missing(_) => Status::invalid_argument(message),
            Error::NotFound => Status::not_found(message),
            Error::Busy | Error::TooLarge { .. } => Status::resource_exhausted(message),
            Error::Store(_) => Status::unavailable(message),
            Error::Unreadable(_) => Status::data_loss(message),
            Error::Internal(_) => Status::internal(message),
        }
    }
}

#[tonic::async_trait]
impl proto::query_server::Query for Service {
    type GetTraceStream = Answers<proto::TraceChunk>;
    type SearchStream = Answers<proto::SearchResponse>;

    async fn get_trace(
        &self,
        request: Request<proto::GetTraceRequest>,
    ) -> Result<Response<Self::GetTraceStream>, Status> {
        let id = TraceId::try_from(&request.get_ref().trace_id[..])
            .map_err(|error| Status::invalid_argument(format!("trace_id: {error}")))?;
        let answer = self.0.ask(move |source, limits| {
            let loaded = load(source, limits, id)?;
            let info = proto::TraceInfo {
                phase: loaded.phase.to_owned(),
                summary: loaded.summary.as_ref().map(summary),
            };
            Ok((info, encode(&loaded.spans())))
        });
        let (info, otlp) = answer.await?;
        let mut info = Some(info);
        let chunks = chunks(otlp).map(move |otlp| {
            Ok(proto::TraceChunk {
                info: info.take(),
                otlp,
            })
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(chunks))))
    }

    async fn search(
        &self,
        request: Request<proto::SearchRequest>,
    ) -> Result<Response<Self::SearchStream>, Status> {
        let query = query(request.into_inner(), self.0.limits.traces)?;
        let found = self
            .0
            .ask(move |source, _| Ok(source.store().search(&query)?));
        let Found {
            summaries,
            examined,
            complete,
        } = found.await?;
        use proto::search_response::Kind;
        let summaries = summaries
            .into_iter()
            .map(|found| Kind::Summary(summary(&found)));
        let end = Kind::End(proto::SearchEnd { examined, complete });
        let messages = summaries.chain([end]);
        let messages = messages.map(|kind| proto::SearchResponse { kind: Some(kind) });
        Ok(Response::new(Box::pin(
            tokio_stream::iter(messages).map(Ok),
        )))
    }
}

/// At least one, so that the first can tell about the trace.
fn chunks(mut bytes: Bytes) -> impl Iterator<Item = Bytes> {
    let mut is_first = true;
    std::iter::from_fn(move || {
        let chunk = bytes.split_to(bytes.len().min(CHUNK_BYTES));
        let some = is_first || !chunk.is_empty();
        is_first = false;
        some.then_some(chunk)
    })
}

fn query(request: proto::SearchRequest, most: usize) -> Result<Query, Error> {
    let text = |text: String| Some(text).filter(|text| !text.is_empty());
    let number = |number: u64| Some(number).filter(|number| *number > 0);
    fn named<T>(
        name: &'static str,
        text: &str,
        read: fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Error> {
        let given = Some(text).filter(|text| !text.is_empty());
        let read = given.map(read).transpose();
        read.map_err(|reason| Error::Parameter { name, reason })
    }
    let limit = match request.limit {
        0 => LIMIT,
        limit => usize::try_from(limit).unwrap_or(most),
    };
    Ok(Query {
        service: text(request.service),
        operation: text(request.operation),
        tags: request.tags.into_iter().collect(),
        min_duration_ns: number(request.min_duration_ns),
        max_duration_ns: number(request.max_duration_ns),
        start_ns: number(request.start_ns),
        end_ns: number(request.end_ns),
        verdict: named("verdict", &request.verdict, verdict)?,
        min_severity: named("min_severity", &request.min_severity, severity)?,
        has_error: request.errors.then_some(true),
        limit: limit.min(most),
    })
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Complete => "complete",
        Verdict::Incomplete => "incomplete",
        Verdict::Evicted => "evicted",
    }
}

fn summary(summary: &Summary) -> proto::Summary {
    let completeness = &summary.completeness;
    let bytes = |id: &quorate_trace::SpanId| Bytes::copy_from_slice(id.bytes());
    proto::Summary {
        trace_id: Bytes::copy_from_slice(summary.trace_id.bytes()),
        revision: summary.revision,
        root_service: summary.root_service.clone(),
        root_name: summary.root_name.clone(),
        start_ns: summary.start_ns,
        duration_ns: summary.duration_ns,
        spans: summary.spans,
        errors: summary.errors,
        verdict: verdict_name(completeness.verdict).to_owned(),
        missing: completeness.missing.iter().map(bytes).collect(),
        missing_count: completeness.missing_count,
        root_cause: summary.root_cause.clone().unwrap_or_default(),
    }
}
