//! Clients that record what they asked and were answered.

use crate::linearizability::{Answer, Operation, Recorded, Value};
use bytes::Bytes;
use quorate_kv::client::Swapped;
use quorate_kv::{Client, ClientError, Expected, Item};
use rand::Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

use crate::wait::eventually;

/// The clock of all clients of one history.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Default for Clock {
    fn default() -> Self {
        Clock(Instant::now())
    }
}

impl Clock {
    /// The time since the history's beginning.
    pub fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Clients at work on a few keys. Dropped, they end.
pub struct Recording {
    /// Their clock.
    pub clock: Clock,
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Vec<Recorded>>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    operations: AtomicUsize,
}

impl Recording {
    /// Lets each of `clients` get, put and swap random ones of `keys` keys, one after the other.
    pub fn start(clients: Vec<Client>, keys: usize) -> Self {
        let (clock, shared) = (Clock::default(), Arc::new(Shared::default()));
        let spawn = |(number, client)| {
            let worker = Worker {
                number,
                client,
                clock,
                written: 0,
                seen: vec![None; keys],
            };
            tokio::spawn(worker.work(shared.clone()))
        };
        let clients = clients.into_iter().enumerate().map(spawn).collect();
        Recording {
            clock,
            shared,
            clients,
        }
    }

    /// How many operations have been answered, or given up with an unknown outcome.
    pub fn operations(&self) -> usize {
        self.shared.operations.load(Ordering::Relaxed)
    }

    /// Waits until there are `count` more operations than now.
    ///
    /// # Panics
    ///
    /// If a client has ended.
    pub async fn more(&self, count: usize) {
        let target = self.operations() + count;
        let what = format!("{target} operations are recorded");
        eventually(&what, || async {
            let ended = self.clients.iter().any(JoinHandle::is_finished);
            assert!(!ended, "a client has ended early");
            (self.operations() >= target).then_some(())
        })
        .await;
    }

    /// Ends the history.
    ///
    /// # Panics
    ///
    /// If a client has.
    pub async fn stop(mut self) -> Vec<Recorded> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut history = Vec::new();
        for client in self.clients.drain(..) {
            history.extend(client.await.expect("a client that asks"));
        }
        history
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// A key's name in the store.
pub fn key(key: usize) -> Bytes {
    format!("register {key}").into()
}

/// What an item holds, as it is in a history.
///
/// # Panics
///
/// If it is nothing that a history's client has written.
pub fn value(item: Option<&Item>) -> Value {
    let item = item?;
    let text = std::str::from_utf8(&item.value).ok();
    let number = text.and_then(|text| text.parse().ok());
    Some(number.unwrap_or_else(|| panic!("a value that nobody has written: {item:?}")))
}

fn bytes(value: u64) -> Bytes {
    value.to_string().into()
}

/// One client.
struct Worker {
    number: usize,
    client: Client,
    clock: Clock,
    written: u64,
    /// What it last saw of each key: what a swap expects.
    seen: Vec<Value>,
}

impl Worker {
    async fn work(mut self, shared: Arc<Shared>) -> Vec<Recorded> {
        let mut history = Vec::new();
        while !shared.stop.load(Ordering::Relaxed) {
            let key = rand::rng().random_range(0..self.seen.len());
            let operation = self.choose(key);
            let called = self.clock.now();
            let answer = match self.ask(key, operation).await {
                Ok(answer) => Some(answer),
                Err(ClientError::Unknown { .. }) => None,
                // Nothing happened: if it did, somebody reads what nobody has written.
                Err(ClientError::Unavailable { .. }) => continue,
                Err(error) => panic!("client {}: {operation:?}: {error}", self.number),
            };
            if let Some(Answer::Got(value) | Answer::Mismatched(value)) = answer {
                self.seen[key] = value;
            }
            let now = self.clock.now();
            history.push(Recorded {
                client: self.number,
                key,
                operation,
                called,
                returned: answer.map(|answer| (now, answer)),
            });
            shared.operations.fetch_add(1, Ordering::Relaxed);
        }
        history
    }

    /// A value that nobody else writes.
    fn fresh(&mut self) -> u64 {
        self.written += 1;
        self.number as u64 * 1_000_000_000 + self.written
    }

    fn choose(&mut self, key: usize) -> Operation {
        match rand::rng().random_range(0..10) {
            0..4 => Operation::Get,
            4..7 => Operation::Put(self.fresh()),
            _ => Operation::CompareAndSwap {
                expected: self.seen[key],
                new: self.fresh(),
            },
        }
    }

    async fn ask(&self, at: usize, operation: Operation) -> Result<Answer, ClientError> {
        let key = key(at);
        match operation {
            Operation::Get => {
                let item = self.client.get(key).await?;
                Ok(Answer::Got(value(item.as_ref())))
            }
            Operation::Put(new) => {
                self.client.put(key, bytes(new)).await?;
                Ok(Answer::Written)
            }
            Operation::CompareAndSwap { expected, new } => {
                let expected = match expected {
                    Some(value) => Expected::Value(bytes(value)),
                    None => Expected::Absent,
                };
                let swapped = self.client.compare_and_swap(key, expected, bytes(new));
                Ok(match swapped.await? {
                    Swapped {
                        revision: Some(_), ..
                    } => Answer::Swapped,
                    Swapped { current, .. } => Answer::Mismatched(value(current.as_ref())),
                })
            }
        }
    }
}
