//! One connection: which protocol it speaks, and its settings.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::body::Reply;
use crate::request::Shared;
use crate::{Limits, Sink, grpc, http as otlp_http};

/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes that may be under way on one stream: several requests of 500 spans, whatever the round trip.
const STREAM_WINDOW: u32 = 2 << 20;
/// The same for all streams of a connection.
const CONNECTION_WINDOW: u32 = 8 << 20;
/// A request should be few frames: HTTP/2's default of 16 KiB makes fifteen of one of 233 KiB. A connection
/// holds one frame that has not arrived completely, uncounted.
const FRAME: u32 = 256 << 10;
/// A client that vanished without a word is noticed after these two.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams that were reset before they were handled; more are an attack (CVE-2023-44487), and the connection
/// is closed.
const PENDING_RESETS: usize = 32;
/// Streams that were reset for errors of the client; likewise (CVE-2025-8671).
const ERROR_RESETS: usize = 256;
/// Between looks at a connection whose first bytes come one by one.
const PREFACE_PAUSE: Duration = Duration::from_millis(10);

/// Serves a connection until it ends, or until its requests have ended after `stop` changed.
pub(crate) async fn serve<S: Sink>(
    stream: TcpStream,
    shared: Arc<Shared<S>>,
    mut stop: watch::Receiver<bool>,
) {
    // Without TCP_NODELAY an answer waits for the acknowledgement of the one before it: 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("a connection without TCP_NODELAY: {error}");
    }
    let limits = &shared.options.limits;
    let is_http2 = tokio::select! {
        found = timeout(limits.header_timeout, is_http2(&stream)) => found,
        _ = stop.changed() => return,
    };
    let Ok(Ok(is_http2)) = is_http2 else {
        return;
    };
    let io = TokioIo::new(stream);
    let service = service_fn({
        let shared = shared.clone();
        move |request| {
            let shared = shared.clone();
            async move { Ok::<_, Infallible>(respond(&shared, request).await) }
        }
    });
    let ended = if is_http2 {
        let connection = http2_settings(limits).serve_connection(io, service);
        drive(connection, stop).await
    } else {
        let connection = http1_settings(limits).serve_connection(io, service);
        drive(connection, stop).await
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}

/// Runs a connection to its end, which is soon when the server stops.
async fn drive<C: GracefulConnection>(
    connection: C,
    mut stop: watch::Receiver<bool>,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        _ = stop.wait_for(|stopped| *stopped) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

async fn respond<S: Sink>(shared: &Shared<S>, request: Request<Incoming>) -> Response<Reply> {
    if grpc::is_grpc(request.headers()) {
        grpc::respond(shared, request).await
    } else {
        otlp_http::respond(shared, request).await
    }
}

/// Whether a client begins with HTTP/2's preface; looks without taking anything.
async fn is_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut start = [0; PREFACE.len()];
    loop {
        let length = stream.peek(&mut start).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if start[..length] != PREFACE[..length] {
            return Ok(false);
        }
        if length == PREFACE.len() {
            return Ok(true);
        }
        // What has come already is readable all the time, so there is nothing to wait for but time.
        sleep(PREFACE_PAUSE).await;
    }
}

fn http2_settings(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(ERROR_RESETS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

fn http1_settings(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header_bytes as usize);
    builder
}
