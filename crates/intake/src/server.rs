//! Accepts connections, and stops.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::limits::Budget;
use crate::request::Shared;
use crate::{Cors, Limits, Sink, Stats, connection};

/// Pause after a failed accept. Out of file descriptors, it fails again at once until a connection ends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How to serve.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What clients may use at most, on all ports together.
    pub limits: Limits,
    /// Web pages that may send spans; none unless given.
    pub cors: Option<Cors>,
    /// Where to count.
    pub stats: Arc<Stats>,
}

/// Takes spans for a sink on any number of ports, with one set of limits.
pub struct Intake<S> {
    shared: Arc<Shared<S>>,
    connections: Arc<Semaphore>,
}

impl<S> Clone for Intake<S> {
    fn clone(&self) -> Self {
        Intake {
            shared: self.shared.clone(),
            connections: self.connections.clone(),
        }
    }
}

impl<S: Sink> Intake<S> {
    /// For this sink; serves nothing yet.
    pub fn new(sink: Arc<S>, options: Options) -> Self {
        let connections = options.limits.connections.min(Semaphore::MAX_PERMITS);
        Intake {
            connections: Arc::new(Semaphore::new(connections)),
            shared: Arc::new(Shared {
                sink,
                budget: Budget::new(options.limits.buffered_bytes),
                options,
            }),
        }
    }

    /// Bytes in memory of requests that have not been answered.
    pub fn buffered_bytes(&self) -> usize {
        self.shared.budget.used()
    }

    /// Serves OTLP over gRPC and over HTTP on the connections of `listener` until `shutdown` is ready;
    /// returns when the requests under way have ended, after [`Limits::drain_timeout`] at the latest.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = shutdown.as_mut() => break,
                accepted = self.accept(&listener) => accepted,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, permit)) => {
                    let (shared, stopped) = (self.shared.clone(), stopped.clone());
                    connections.spawn(async move {
                        let _open = Open::new(shared.options.stats.clone());
                        connection::serve(stream, shared, stopped).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!("a connection cannot be accepted: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // New connections are refused from here on.
        drop(listener);
        stop.send_replace(true);
        let drain = async { while connections.join_next().await.is_some() {} };
        let patience = self.shared.options.limits.drain_timeout;
        if timeout(patience, drain).await.is_err() {
            tracing::warn!("connections are closed with requests under way");
            connections.shutdown().await;
        }
    }

    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let permit = self.connections.clone().acquire_owned().await;
        let permit = permit.map_err(io::Error::other)?;
        let (stream, _) = listener.accept().await?;
        Ok((stream, permit))
    }
}

/// Counts a connection while it is open.
struct Open(Arc<Stats>);

impl Open {
    fn new(stats: Arc<Stats>) -> Self {
        stats.connections.fetch_add(1, Ordering::Relaxed);
        stats.open_connections.fetch_add(1, Ordering::Relaxed);
        Open(stats)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open_connections.fetch_sub(1, Ordering::Relaxed);
    }
}
