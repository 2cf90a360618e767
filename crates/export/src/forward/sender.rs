//! Sends what is in the queue until it is settled: taken, or set aside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::answer::{Failure, Kind, Taken};
use super::client::Client;
use super::refused::Refused;
use super::{Config, Figures};
use crate::backoff::Backoff;
use crate::queue::{Queue, Record};

/// How often an internal error of the backend is believed to pass.
const INTERNAL_ATTEMPTS: u32 = 5;

/// Between attempts to read the queue, or to write a file.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// What has happened so far.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    sent_traces: AtomicU64,
    sent_bytes: AtomicU64,
    requests: AtomicU64,
    retries: AtomicU64,
    refused_traces: AtomicU64,
    rejected_spans: AtomicU64,
    problem: Mutex<Option<String>>,
}

impl Counters {
    pub(crate) fn figures(&self, queued_bytes: u64) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            queued_bytes,
            sent_traces: read(&self.sent_traces),
            sent_bytes: read(&self.sent_bytes),
            requests: read(&self.requests),
            retries: read(&self.retries),
            refused_traces: read(&self.refused_traces),
            rejected_spans: read(&self.rejected_spans),
            problem: self.problem.lock().clone(),
        }
    }
}

pub(crate) struct Sender {
    pub(crate) queue: Arc<Queue>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) client: Client,
    pub(crate) refused: Refused,
    pub(crate) backoff: Backoff,
    pub(crate) config: Config,
    pub(crate) stopped: watch::Receiver<bool>,
}

impl Sender {
    /// Until it is stopped.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut under_way = JoinSet::new();
        let mut stopped = self.stopped.clone();
        loop {
            while under_way.len() < self.config.requests.max(1)
                && let Some(records) = self.queue.take(self.config.request_bytes)
            {
                under_way.spawn(Arc::clone(&self).deliver(records));
            }
            if self.queue.must_load() {
                self.load().await;
            } else {
                tokio::select! {
                    Some(_) = under_way.join_next() => {}
                    () = self.queue.news() => {}
                    _ = stopped.wait_for(|stopped| *stopped) => break,
                }
            }
            if self.is_stopped() {
                break;
            }
        }
        while under_way.join_next().await.is_some() {}
    }

    fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Rests, unless it is stopped before.
    async fn rest(&self, pause: Duration) {
        let mut stopped = self.stopped.clone();
        let stop = stopped.wait_for(|stopped| *stopped);
        // The time is over, or it is stopped: the caller looks.
        let _ = tokio::time::timeout(pause, stop).await;
    }

    async fn load(&self) {
        let queue = Arc::clone(&self.queue);
        let problem = match tokio::task::spawn_blocking(move || queue.load()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.note(format!("the queue cannot be read: {problem}"));
        self.rest(DISK_PAUSE).await;
    }

    /// Sends records, together at first, until each is settled or the sender is stopped.
    async fn deliver(self: Arc<Self>, records: Vec<Record>) {
        let mut pieces = vec![records];
        while let Some(mut records) = pieces.pop() {
            match self.send(joined(&records)).await {
                Some(Ok(taken)) => self.taken(&records, taken),
                Some(Err(_)) if records.len() > 1 => {
                    let second = records.split_off(records.len() / 2);
                    pieces.extend([second, records]);
                }
                Some(Err(reason)) => self.set_aside(&records, &reason).await,
                None => return,
            }
        }
    }

    /// Sends a message as often as it takes. An error is the reason for which it is refused; nothing
    /// means that the sender is stopped.
    async fn send(&self, message: Bytes) -> Option<Result<Taken, String>> {
        let (mut failures, mut internal) = (0, 0);
        while !self.is_stopped() {
            let answer = self.client.send(message.clone()).await;
            self.counters.requests.fetch_add(1, Ordering::Relaxed);
            let Failure { kind, reason } = match answer {
                Ok(taken) => {
                    self.recovered();
                    return Some(Ok(taken));
                }
                Err(failure) => failure,
            };
            failures += 1;
            internal += u32::from(kind == Kind::Internal);
            let pause = match kind {
                Kind::Refused => return Some(Err(reason)),
                Kind::Internal if internal >= INTERNAL_ATTEMPTS => return Some(Err(reason)),
                Kind::Internal => self.backoff.pause(failures),
                Kind::Later(wish) => self.backoff.pause(failures).max(wish),
                Kind::Misconfigured => self.config.longest_pause,
            };
            self.counters.retries.fetch_add(1, Ordering::Relaxed);
            self.note(reason);
            self.rest(pause).await;
        }
        None
    }

    fn taken(&self, records: &[Record], taken: Taken) {
        let bytes: usize = records.iter().map(|record| record.bytes.len()).sum();
        let counters = &self.counters;
        counters
            .sent_traces
            .fetch_add(records.len() as u64, Ordering::Relaxed);
        counters
            .sent_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
        counters
            .rejected_spans
            .fetch_add(taken.rejected_spans, Ordering::Relaxed);
        if taken.rejected_spans > 0 {
            let (spans, reason) = (taken.rejected_spans, taken.message);
            tracing::warn!(spans, reason, "the OTLP backend rejected spans");
        }
        self.queue.settle(batches(records));
    }

    /// Keeps what will not be sent for somebody to look at. It leaves the queue only when it is there.
    async fn set_aside(self: &Arc<Self>, records: &[Record], reason: &str) {
        let message = joined(records);
        while !self.is_stopped() {
            let (sender, message) = (Arc::clone(self), message.clone());
            let put = move || sender.refused.put(&message);
            match tokio::task::spawn_blocking(put)
                .await
                .map_err(std::io::Error::other)
                .flatten()
            {
                Ok(file) => {
                    tracing::warn!(reason, file = %file.display(), "the OTLP backend refused a trace");
                    let refused = &self.counters.refused_traces;
                    refused.fetch_add(records.len() as u64, Ordering::Relaxed);
                    self.queue.settle(batches(records));
                    return;
                }
                Err(error) => self.note(format!("a refused trace cannot be kept: {error}")),
            }
            self.rest(DISK_PAUSE).await;
        }
    }

    /// The same problem again and again is worth one line.
    fn note(&self, reason: String) {
        let mut problem = self.counters.problem.lock();
        if problem.as_ref() != Some(&reason) {
            let endpoint = &self.config.endpoint;
            tracing::warn!(
                endpoint,
                reason,
                "traces are not forwarded; they wait in the queue"
            );
            *problem = Some(reason);
        }
    }

    fn recovered(&self) {
        if self.counters.problem.lock().take().is_some() {
            tracing::info!(
                endpoint = self.config.endpoint,
                "traces are forwarded again"
            );
        }
    }
}

fn batches(records: &[Record]) -> impl Iterator<Item = u64> {
    records.iter().map(|record| record.batch)
}

/// One message of several: protobuf joins what is repeated when messages are.
fn joined(records: &[Record]) -> Bytes {
    if let [record] = records {
        return record.bytes.clone();
    }
    let bytes = records.iter().map(|record| record.bytes.len()).sum();
    let mut message = BytesMut::with_capacity(bytes);
    for record in records {
        message.extend_from_slice(&record.bytes);
    }
    message.freeze()
}
