//! Clients that write without a pause and remember what was acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_kv::{Client, ClientError};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::outcome::Failure;

/// Enough to have several writes under way at any moment, and few enough to read about.
const WRITERS: usize = 4;

/// All keys that are written begin so.
const PREFIX: &str = "write/";
/// The first key after them.
const AFTER_PREFIX: &str = "write0";

/// Rounds of writes get keys of their own.
static ROUNDS: AtomicU64 = AtomicU64::new(1);

/// What writers have written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) acknowledged: BTreeMap<Bytes, Bytes>,
    /// Writes of which nobody can tell whether they took effect.
    pub(super) unknown: u64,
}

/// Writers at work; dropped, they end.
pub(super) struct Load {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<Written>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// When writes were acknowledged, in order.
    acknowledged: Mutex<Vec<Instant>>,
}

impl Shared {
    fn with<T>(&self, look: impl FnOnce(&mut Vec<Instant>) -> T) -> T {
        look(
            &mut self
                .acknowledged
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

impl Load {
    pub(super) fn start(client: &Client) -> Self {
        let shared = Arc::new(Shared::default());
        let round = ROUNDS.fetch_add(1, Ordering::Relaxed);
        let writer = |number| {
            let prefix = format!("{PREFIX}{round}/{number}");
            tokio::spawn(write(client.clone(), prefix, shared.clone()))
        };
        let writers = (1..=WRITERS).map(writer).collect();
        Load { shared, writers }
    }

    pub(super) fn writers(&self) -> usize {
        self.writers.len()
    }

    /// How many writes have been acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.shared.with(|times| times.len())
    }

    /// Waits until writes are acknowledged again after `moment`, steadily: answers that were on their
    /// way are not meant.
    pub(super) async fn resumed(&self, moment: Instant, patience: Duration) -> Result<(), Failure> {
        let began = Instant::now();
        // Each writer had one write under way, and that may be answered yet.
        let enough = 10 * WRITERS;
        loop {
            let after = self.shared.with(|times| {
                let later = times.iter().rev().take_while(|time| **time > moment);
                later.count()
            });
            if after > enough {
                return Ok(());
            }
            if began.elapsed() > patience {
                return Err(Failure::Cluster(format!("no writes within {patience:?}")));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// The longest time between two acknowledgements around and after `moment`.
    pub(super) fn longest_silence(&self, moment: Instant) -> Duration {
        self.shared.with(|times| {
            let first = times.partition_point(|time| *time < moment);
            let around = &times[first.saturating_sub(1)..];
            let silences = around.windows(2).map(|pair| pair[1] - pair[0]);
            silences.max().unwrap_or_default()
        })
    }

    /// Ends the writing; what was written.
    pub(super) async fn stop(&mut self) -> Written {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = Written::default();
        for writer in self.writers.drain(..) {
            // A writer that panicked has been reported.
            if let Ok(mut written) = writer.await {
                all.acknowledged.append(&mut written.acknowledged);
                all.unknown += written.unknown;
            }
        }
        all
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

async fn write(client: Client, prefix: String, shared: Arc<Shared>) -> Written {
    let mut written = Written::default();
    for number in 1_u64.. {
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let key = Bytes::from(format!("{prefix}/{number:06}"));
        let value = Bytes::from(format!("the {number}. of {prefix}"));
        match client.put(key.clone(), value.clone()).await {
            Ok(_) => {
                shared.with(|times| times.push(Instant::now()));
                written.acknowledged.insert(key, value);
            }
            Err(ClientError::Unknown { .. }) => written.unknown += 1,
            // Nothing happened, so nothing was promised.
            Err(error) => tracing::warn!("a write failed: {error}"),
        }
    }
    written
}

/// All that was written, by any load.
pub(super) async fn read(client: &Client) -> Result<BTreeMap<Bytes, Bytes>, Failure> {
    let mut found = BTreeMap::new();
    let mut start = Bytes::from_static(PREFIX.as_bytes());
    loop {
        let page = client.range(start.clone(), AFTER_PREFIX, 0).await?;
        if let Some(last) = page.items.last() {
            // The shortest key after it.
            start = [&last.key[..], &[0]].concat().into();
        }
        found.extend(page.items.into_iter().map(|item| (item.key, item.value)));
        if !page.more {
            return Ok(found);
        }
    }
}

/// The keys of `acknowledged` that were not found with their values.
pub(super) fn missing<'a>(
    acknowledged: &'a BTreeMap<Bytes, Bytes>,
    found: &BTreeMap<Bytes, Bytes>,
) -> Vec<&'a Bytes> {
    let lost = acknowledged
        .iter()
        .filter(|(key, value)| found.get(*key) != Some(value));
    lost.map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_and_what_is_altered_is_missing() {
        let map = |pairs: &[(&'static str, &'static str)]| -> BTreeMap<Bytes, Bytes> {
            let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
            pairs
                .iter()
                .map(|&(key, value)| (bytes(key), bytes(value)))
                .collect()
        };
        let acknowledged = map(&[("a", "1"), ("b", "2"), ("c", "3")]);
        assert!(
            missing(
                &acknowledged,
                &map(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")])
            )
            .is_empty()
        );
        assert_eq!(
            missing(&acknowledged, &map(&[("a", "1"), ("c", "0")])),
            ["b", "c"]
        );
    }

    #[test]
    fn the_longest_silence_includes_the_last_answer_before_the_moment() {
        let moment = Instant::now();
        let load = Load {
            shared: Arc::default(),
            writers: Vec::new(),
        };
        let at = |millis: u64| moment + Duration::from_millis(1_000 + millis);
        load.shared
            .with(|times| times.extend([0, 500, 510, 900, 905].map(at)));
        assert_eq!(load.longest_silence(at(501)), Duration::from_millis(390));
        assert_eq!(load.longest_silence(at(100)), Duration::from_millis(500));
        assert_eq!(load.longest_silence(at(2_000)), Duration::ZERO);
    }
}
