//! The accepting side of a connection.

use crate::frame::{Frame, Hello, Refusal};
use crate::link::Outgoing;
use crate::proto;
use crate::proto::peer_server::{Peer, PeerServer};
use crate::transport::Shared;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::adapters::Map;
use tonic::{Request, Response, Status, Streaming};

/// How long either side waits for the other's hello.
pub(crate) const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) fn service(shared: Arc<Shared>) -> PeerServer<Acceptor> {
    let limits = shared.config.limits;
    PeerServer::new(Acceptor(shared))
        .max_decoding_message_size(limits.longest_frame())
        .max_encoding_message_size(limits.longest_frame())
}

/// Accepts the streams of peers with lower ids.
pub(crate) struct Acceptor(Arc<Shared>);

#[tonic::async_trait]
impl Peer for Acceptor {
    type ExchangeStream = Map<Outgoing, fn(proto::Frame) -> Result<proto::Frame, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<proto::Frame>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let shared = self.0.clone();
        let address = request.remote_addr();
        let mut frames = request.into_inner();
        let hello = hello(&mut frames).await?;
        let peer = hello.from;
        if let Err(refusal) = admit(&shared, &hello) {
            tracing::warn!(%peer, ?address, "connection refused: {refusal}");
            return Err(Status::failed_precondition(refusal.to_string()));
        }
        let Some(link) = shared.link(peer).cloned() else {
            return Err(Status::internal("an admitted peer has a link"));
        };
        let Some(outgoing) = link.open(shared.hello(peer)) else {
            return Err(Status::unavailable("shutting down"));
        };
        let connection = outgoing.connection();
        let reader = tokio::spawn({
            let link = link.clone();
            async move {
                let ended = shared.read(&link, connection, frames).await;
                link.lost(connection);
                tracing::info!(peer = %link.peer, ?ended, "disconnected");
            }
        });
        if !link.establish(connection, Some(reader.abort_handle())) {
            return Err(Status::aborted("the connection has ended already"));
        }
        tracing::info!(%peer, ?address, "connected");
        Ok(Response::new(outgoing.map(Ok)))
    }
}

/// The peer's first frame.
pub(crate) async fn hello(frames: &mut Streaming<proto::Frame>) -> Result<Hello, Status> {
    let frame = timeout(HELLO_TIMEOUT, frames.message())
        .await
        .map_err(|_| Status::deadline_exceeded("no hello"))??
        .ok_or_else(|| Status::invalid_argument("the stream ended before a hello"))?;
    match Frame::try_from(frame) {
        Ok(Frame::Hello(hello)) => Ok(hello),
        Ok(Frame::Packets(_)) => Err(Status::invalid_argument("packets before a hello")),
        Err(error) => Err(Status::invalid_argument(error.to_string())),
    }
}

/// Whether a node that dials this one is a peer and may.
fn admit(shared: &Shared, theirs: &Hello) -> Result<(), Refusal> {
    let (peer, me) = (theirs.from, shared.config.me);
    theirs.check(&shared.hello(peer))?;
    if shared.link(peer).is_none() {
        return Err(Refusal::Stranger { peer, me });
    }
    if peer > me {
        return Err(Refusal::Direction { peer, me });
    }
    Ok(())
}
