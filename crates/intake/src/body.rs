//! Bodies of requests, received within limits, and bodies of responses.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::limits::Share;
use crate::problem::Problem;

/// Memory that is reserved on a client's word; more is when that much has come.
const TRUSTED_RESERVE: usize = 1 << 20;

/// How soon a client that met full buffers should try again.
pub(crate) const BUSY_RETRY: Duration = Duration::from_secs(1);

/// Receives a body of `limit` bytes at most.
///
/// Its bytes are copied out of the connection's buffers. Keeping the buffers themselves would save one copy, but
/// a span that waits for the rest of its trace would then keep the buffers of other requests alive.
pub(crate) async fn receive<B>(
    mut body: B,
    limit: usize,
    share: &mut Share,
) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let announced = body.size_hint().exact();
    if announced.is_some_and(|bytes| bytes > limit as u64) {
        return Err(Problem::TooLarge { limit });
    }
    let mut received = Vec::new();
    reserve(&mut received, announced.unwrap_or(0) as usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::Broken)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if received.len() + data.len() > limit {
            return Err(Problem::TooLarge { limit });
        }
        if !share.grow(data.len()) {
            return Err(Problem::Busy {
                retry_after: BUSY_RETRY,
            });
        }
        if received.is_empty() && announced.is_none() {
            reserve(&mut received, grpc_length(&data));
        }
        received.extend_from_slice(&data);
    }
    // It may be kept for long.
    received.shrink_to_fit();
    Ok(received.into())
}

/// gRPC has no content length, but its first bytes say how long the message is.
fn grpc_length(mut data: &[u8]) -> usize {
    match data.try_get_u8().and_then(|_| data.try_get_u32()) {
        Ok(length) => length as usize + 5,
        Err(_) => 0,
    }
}

fn reserve(received: &mut Vec<u8>, bytes: usize) {
    received.reserve_exact(bytes.min(TRUSTED_RESERVE));
}

/// The body of a response: some bytes, and trailers for gRPC.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Reply {
    pub(crate) fn new(data: Bytes) -> Self {
        Reply {
            data: (!data.is_empty()).then_some(data),
            trailers: None,
        }
    }

    pub(crate) fn with_trailers(data: Bytes, trailers: HeaderMap) -> Self {
        Reply {
            trailers: Some(trailers),
            ..Reply::new(data)
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.take().map(Frame::data);
        let frame = data.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}
