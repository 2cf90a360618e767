//! What both protocols have in common: from the body of a request to spans in the sink.

use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;
use quorate_trace::json::otlp_from_json;
use quorate_trace::wire::{Batch, Refused};
use tokio::time::timeout;

use crate::body::receive;
use crate::compression::Encoding;
use crate::limits::{Budget, Share};
use crate::problem::Problem;
use crate::server::Options;
use crate::{Sink, Transport};

/// JSON that is parsed on the spot; more goes to a thread of its own, so as not to hold up others.
const JSON_INLINE: usize = 256 << 10;

/// gRPC's header of a message: whether it is compressed, and its length.
pub(crate) const GRPC_HEADER: usize = 5;

/// A request that was answered with success.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepted {
    pub(crate) spans: usize,
    pub(crate) refused: Refused,
    pub(crate) received_bytes: usize,
    pub(crate) message_bytes: usize,
}

/// What all connections share.
pub(crate) struct Shared<S> {
    pub(crate) sink: Arc<S>,
    pub(crate) options: Options,
    pub(crate) budget: Arc<Budget>,
}

impl<S: Sink> Shared<S> {
    /// Receives a request and hands over its spans.
    pub(crate) async fn take<B>(
        &self,
        body: B,
        encoding: Encoding,
        from: Transport,
    ) -> Result<Accepted, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let taken = self.try_take(body, encoding, from).await;
        match &taken {
            Ok(accepted) => self.options.stats.accepted(from, accepted),
            Err(problem) => {
                self.options.stats.count(from, problem.outcome());
                tracing::debug!(%from, "a request was not accepted: {problem}");
            }
        }
        taken
    }

    async fn try_take<B>(
        &self,
        body: B,
        encoding: Encoding,
        from: Transport,
    ) -> Result<Accepted, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let limits = &self.options.limits;
        let mut share = self.budget.share();
        let received = self.receive(body, from, &mut share).await?;
        let received_bytes = received.len();
        let (compressed, encoding) = match from {
            Transport::Grpc => grpc_message(received, encoding)?,
            Transport::HttpProtobuf | Transport::HttpJson => (received, encoding),
        };
        let message = encoding
            .decompress(compressed, limits.decompressed_bytes, &mut share)
            .await?;
        let message = match from {
            Transport::Grpc | Transport::HttpProtobuf => message,
            Transport::HttpJson => parse_json(message).await?,
        };
        let message_bytes = message.len();
        let batch = Batch::scan(message, &limits.wire)
            .map_err(|error| Problem::Malformed(error.to_string()))?;
        let accepted = Accepted {
            spans: batch.len(),
            refused: batch.refused(),
            received_bytes,
            message_bytes,
        };
        if !batch.is_empty() {
            self.sink.accept(batch, from).await?;
        }
        Ok(accepted)
    }

    async fn receive<B>(
        &self,
        body: B,
        from: Transport,
        share: &mut Share,
    ) -> Result<Bytes, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let limits = &self.options.limits;
        let limit = match from {
            Transport::Grpc => limits.message_bytes + GRPC_HEADER,
            Transport::HttpProtobuf | Transport::HttpJson => limits.message_bytes,
        };
        let after = limits.body_timeout;
        match timeout(after, receive(body, limit, share)).await {
            Ok(received) => received,
            Err(_) => Err(Problem::Slow { after }),
        }
    }
}

/// The one message of a unary call, and how it is compressed.
fn grpc_message(mut body: Bytes, encoding: Encoding) -> Result<(Bytes, Encoding), Problem> {
    let malformed = |what: &str| Problem::Malformed(what.into());
    let Some(header) = body.first_chunk::<GRPC_HEADER>() else {
        return Err(malformed("the call has no message"));
    };
    let [flag, length @ ..] = *header;
    let message = body.split_off(GRPC_HEADER);
    if u32::from_be_bytes(length) as usize != message.len() {
        return Err(malformed(
            "the call is not one message of the length that it says",
        ));
    }
    match flag {
        0 => Ok((message, Encoding::Identity)),
        1 if encoding == Encoding::Identity => Err(malformed(
            "the message is compressed, but grpc-encoding does not say how",
        )),
        1 => Ok((message, encoding)),
        _ => Err(malformed("the compressed flag is neither 0 nor 1")),
    }
}

async fn parse_json(text: Bytes) -> Result<Bytes, Problem> {
    let parsed = if text.len() <= JSON_INLINE {
        otlp_from_json(&text)
    } else {
        tokio::task::spawn_blocking(move || otlp_from_json(&text))
            .await
            // Only when the runtime shuts down.
            .map_err(|_| Problem::Broken)?
    };
    parsed.map_err(|error| Problem::Malformed(error.to_string()))
}
