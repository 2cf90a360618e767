//! The connecting side of a connection.

use crate::frame::Refusal;
use crate::link::Link;
use crate::net::endpoint;
use crate::proto::peer_client::PeerClient;
use crate::serve::{HELLO_TIMEOUT, hello};
use crate::transport::Shared;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::time::{sleep, timeout};
use tonic::Status;

/// Why there is no connection, or no longer.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("cannot connect: {}", causes(.0))]
    Unreachable(#[from] tonic::transport::Error),
    #[error("refused: {}", .0.message())]
    RefusedByPeer(Status),
    #[error("refused: {0}")]
    RefusedByUs(#[from] Refusal),
    #[error("no answer in time")]
    Silent,
    #[error("disconnected: {}", .0.message())]
    Lost(Status),
    #[error("closed")]
    Closed,
}

/// The error with its causes: tonic's own text is only "transport error".
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// Connects to `link`'s peer again and again.
pub(crate) async fn keep_connected(shared: Arc<Shared>, link: Arc<Link>) {
    let (peer, address) = (link.peer, &shared.config.peers[&link.peer]);
    let backoff = shared.config.backoff;
    let mut failures = 0;
    let mut last = String::new();
    loop {
        let began = Instant::now();
        let Err(ended) = connection(&shared, &link, address).await;
        link.counters.failures.fetch_add(1, Ordering::Relaxed);
        // A connection that is accepted and breaks at once is no better than none.
        failures = match began.elapsed() > backoff.longest {
            true => 1,
            false => failures + 1,
        };
        // The same reason again and again is worth one line.
        let reason = ended.to_string();
        match reason == last {
            true => tracing::debug!(%peer, %address, failures, "{reason}"),
            false => tracing::warn!(%peer, %address, failures, "{reason}"),
        }
        last = reason;
        sleep(backoff.pause(failures)).await;
    }
}

/// One connection, from the first attempt to its end.
async fn connection(
    shared: &Shared,
    link: &Arc<Link>,
    address: &str,
) -> Result<std::convert::Infallible, Ended> {
    let channel = endpoint(address)?.connect().await?;
    let longest = shared.config.limits.longest_frame();
    let mut client = PeerClient::new(channel)
        .max_decoding_message_size(longest)
        .max_encoding_message_size(longest);
    let ours = shared.hello(link.peer);
    let outgoing = link.open(ours.clone()).ok_or(Ended::Closed)?;
    let connection = outgoing.connection();

    let mut frames = timeout(HELLO_TIMEOUT, client.exchange(outgoing))
        .await
        .map_err(|_| Ended::Silent)?
        .map_err(Ended::RefusedByPeer)?
        .into_inner();
    let theirs = hello(&mut frames).await.map_err(Ended::RefusedByPeer)?;
    theirs.check(&ours)?;
    if !link.establish(connection, None) {
        return Err(Ended::Closed);
    }
    tracing::info!(peer = %link.peer, %address, "connected");

    let ended = shared.read(link, connection, frames).await;
    link.lost(connection);
    Err(ended.map_or_else(Ended::Lost, |()| Ended::Closed))
}
