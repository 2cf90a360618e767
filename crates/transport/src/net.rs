//! How connections are made: the one place for sockets, HTTP/2 settings and, later, TLS.

use std::time::Duration;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};

/// Bytes that may be under way on one stream. HTTP/2's default of 64 KiB would stop a stream every
/// few batches to wait for the receiver's permission.
const STREAM_WINDOW: u32 = 8 << 20;
/// The same for all streams of a connection together.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// A batch should be one DATA frame; HTTP/2's default is 16 KiB.
const HTTP2_FRAME: u32 = 1 << 20;
/// A peer that vanished without a word (power loss, a black hole) is noticed after these two: TCP
/// alone would take a quarter of an hour.
const PING_EVERY: Duration = Duration::from_secs(2);
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a TCP connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A gRPC server with the settings that peers and clients should meet; add services to it.
///
/// Serve it on [`incoming`] connections.
pub fn server() -> Server {
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME)
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
}

/// The connections that `listener` accepts, for `serve_with_incoming`.
pub fn incoming(listener: TcpListener) -> TcpIncoming {
    // Without TCP_NODELAY a small frame waits for the acknowledgement of the one before it: 40 ms.
    TcpIncoming::from(listener).with_nodelay(Some(true))
}

/// Where to connect to the node at `address`, `host:port`.
pub(crate) fn endpoint(address: &str) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP2_FRAME)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true))
}
