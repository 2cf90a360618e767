//! Writers that remember what was acknowledged.

use bytes::Bytes;
use quorate_kv::{Client, ClientError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinHandle;

use crate::wait::until;

/// Keys with their values.
pub type Items = BTreeMap<Bytes, Bytes>;

/// Writers at work, each of which sets keys of its own, one after the other, to values of their own.
/// Dropped, they end.
pub struct Load {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<Items>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
}

impl Load {
    /// Starts `writers` writers; a `name` of its own keeps a load's keys apart from another's.
    pub fn start(client: &Client, name: &str, writers: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = |number| {
            let prefix = format!("{name}/{number}");
            tokio::spawn(write(client.clone(), prefix, shared.clone()))
        };
        let writers = (0..writers).map(writer).collect();
        Load { shared, writers }
    }

    /// How many writes have been acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until `count` more writes than now have been acknowledged.
    pub async fn more(&self, count: usize) {
        let target = self.acknowledged() + count;
        let what = format!("{target} writes are acknowledged");
        until(&what, || self.acknowledged() >= target).await;
    }

    /// Ends the writing; what was acknowledged.
    ///
    /// # Panics
    ///
    /// If a writer has.
    pub async fn stop(mut self) -> Items {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut all = Items::new();
        for writer in self.writers.drain(..) {
            all.append(&mut writer.await.expect("a writer that writes"));
        }
        all
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

async fn write(client: Client, prefix: String, shared: Arc<Shared>) -> Items {
    let mut acknowledged = Items::new();
    for number in 0_u64.. {
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let key = Bytes::from(format!("{prefix}/{number}"));
        let value = Bytes::from(format!("value {number} of {prefix}"));
        match client.put(key.clone(), value.clone()).await {
            Ok(_) => {
                shared.acknowledged.fetch_add(1, Ordering::Relaxed);
                acknowledged.insert(key, value);
            }
            // Nothing was promised.
            Err(ClientError::Unknown { .. } | ClientError::Unavailable { .. }) => {}
            Err(error) => panic!("a write of {prefix} failed: {error}"),
        }
    }
    acknowledged
}

/// Everything in the store.
///
/// # Panics
///
/// If it cannot be read.
pub async fn read_all(client: &Client) -> Items {
    let mut found = Items::new();
    let mut start = Bytes::new();
    loop {
        let page = client.range(start, "", 0).await.expect("a range is read");
        // The shortest key after the last one.
        let last = page.items.last().map(|item| item.key.clone());
        start = [&last.unwrap_or_default()[..], &[0]].concat().into();
        found.extend(page.items.into_iter().map(|item| (item.key, item.value)));
        if !page.more {
            return found;
        }
    }
}

/// Reads everything back and compares it with what was acknowledged.
///
/// # Panics
///
/// If something is not there, or is something else.
pub async fn all_there(client: &Client, acknowledged: &Items) {
    let found = read_all(client).await;
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|(key, value)| found.get(*key) != Some(value))
        .collect();
    let (count, all) = (lost.len(), acknowledged.len());
    assert!(
        lost.is_empty(),
        "{count} of {all} acknowledged writes are lost: {:?}",
        &lost[..1]
    );
}
