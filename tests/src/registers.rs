//! Clients of write-once registers that record what they asked and were answered, and whether that can be.
//!
//! A history of such registers is easy to judge: it is linearizable if each register has one moment at which it was
//! decided, after which everybody is told the same and before which everybody is told nothing.

use bytes::Bytes;
use quorate_register::{Client, ClientError, Held};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

use crate::wait::until;

/// Registers that are asked for at the same time.
const AT_ONCE: usize = 8;

/// Operations after which clients go on from one register to the next.
const OPERATIONS_EACH: usize = 10;

/// One operation of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Which register.
    pub register: usize,
    /// The value that was proposed; nothing if it was a read.
    pub proposed: Option<u64>,
    /// When the operation began.
    pub called: Duration,
    /// When it was answered, and with which value if any; nothing if it was never answered.
    pub answered: Option<(Duration, Option<u64>)>,
}

/// What the clients of one history share.
#[derive(Debug)]
struct Shared {
    began: Instant,
    stop: AtomicBool,
    operations: AtomicUsize,
}

/// Clients at work. Dropped, they end.
pub struct Recording {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Vec<Recorded>>>,
}

impl Recording {
    /// Lets each of `clients` propose values of its own for registers, and read them, one after the other: mostly
    /// such as the others ask for at the same time, sometimes one that was asked for before.
    pub fn start(clients: Vec<Client>, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            began: Instant::now(),
            stop: AtomicBool::new(false),
            operations: AtomicUsize::new(0),
        });
        let worker = |(number, client)| Worker {
            client,
            dice: SmallRng::seed_from_u64(seed.wrapping_add(number)),
            next_value: number << 32,
            shared: shared.clone(),
        };
        let workers = (1..).zip(clients).map(worker);
        let clients = workers.map(|worker| tokio::spawn(worker.work())).collect();
        Recording { shared, clients }
    }

    /// Waits until `count` more operations have ended.
    ///
    /// # Panics
    ///
    /// If a client has.
    pub async fn more(&self, count: usize) {
        let operations = || self.shared.operations.load(Ordering::Relaxed);
        let target = operations() + count;
        let what = format!("{target} operations have ended");
        until(&what, || {
            let ended = self.clients.iter().any(JoinHandle::is_finished);
            assert!(!ended, "a client has ended early");
            operations() >= target
        })
        .await;
    }

    /// Ends the clients' work; what they have recorded, and what goes on recording in the same history.
    ///
    /// # Panics
    ///
    /// If a client has.
    pub async fn stop(mut self) -> History {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut recorded = Vec::new();
        for client in self.clients.drain(..) {
            recorded.extend(client.await.expect("a client that asks"));
        }
        History {
            recorded,
            began: self.shared.began,
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// A register's name in the cluster.
fn name(register: usize) -> String {
    format!("register {register}")
}

/// # Panics
///
/// If it is nothing that a history's client has proposed.
fn number(value: &Bytes) -> u64 {
    let text = std::str::from_utf8(value).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("a value that nobody has proposed: {value:?}"))
}

/// One client.
struct Worker {
    client: Client,
    dice: SmallRng,
    next_value: u64,
    shared: Arc<Shared>,
}

impl Worker {
    async fn work(mut self) -> Vec<Recorded> {
        let mut history = Vec::new();
        while !self.shared.stop.load(Ordering::Relaxed) {
            let register = self.choose();
            let proposed = self.dice.random_bool(0.6).then(|| self.fresh());
            let called = self.shared.began.elapsed();
            let answer = match ask(&self.client, register, proposed).await {
                Ok(value) => Some(value),
                Err(ClientError::Unknown { .. }) => None,
                // Nothing happened: if it did, somebody is told what nobody has proposed.
                Err(ClientError::Unavailable { .. }) => continue,
                Err(error) => panic!("{proposed:?} for {}: {error}", name(register)),
            };
            let now = self.shared.began.elapsed();
            history.push(Recorded {
                register,
                proposed,
                called,
                answered: answer.map(|value| (now, value)),
            });
            self.shared.operations.fetch_add(1, Ordering::Relaxed);
        }
        history
    }

    fn choose(&mut self) -> usize {
        let first = self.shared.operations.load(Ordering::Relaxed) / OPERATIONS_EACH;
        match self.dice.random_bool(0.1) {
            true => self.dice.random_range(0..=first),
            false => first + self.dice.random_range(0..AT_ONCE),
        }
    }

    /// A value that nobody else proposes.
    fn fresh(&mut self) -> u64 {
        self.next_value += 1;
        self.next_value
    }
}

async fn ask(
    client: &Client,
    register: usize,
    proposed: Option<u64>,
) -> Result<Option<u64>, ClientError> {
    let key = name(register);
    match proposed {
        None => Ok(client.read(key).await?.as_ref().map(number)),
        Some(value) => Ok(Some(match client.propose(key, value.to_string()).await? {
            Held::Proposed => value,
            Held::Other(other) => number(&other),
        })),
    }
}

/// What was recorded.
#[derive(Debug)]
pub struct History {
    /// The operations, of all clients.
    pub recorded: Vec<Recorded>,
    began: Instant,
}

impl History {
    /// The registers that were asked for.
    pub fn registers(&self) -> usize {
        let last = self.recorded.iter().map(|one| one.register).max();
        last.map_or(0, |last| last + 1)
    }

    /// Reads every register, and records the answers.
    ///
    /// # Panics
    ///
    /// If one cannot be read.
    pub async fn read_all(&mut self, client: &Client) {
        for register in 0..self.registers() {
            let called = self.began.elapsed();
            let value = ask(client, register, None).await;
            let value = value.unwrap_or_else(|error| panic!("{}: {error}", name(register)));
            self.recorded.push(Recorded {
                register,
                proposed: None,
                called,
                answered: Some((self.began.elapsed(), value)),
            });
        }
    }

    /// Whether each register had a moment at which it was decided, for ever.
    ///
    /// # Errors
    ///
    /// Of a register for which that cannot be, why.
    pub fn check(&self) -> Result<(), String> {
        let mut registers = BTreeMap::<usize, Vec<&Recorded>>::new();
        for one in &self.recorded {
            registers.entry(one.register).or_default().push(one);
        }
        for (register, history) in registers {
            check(&history).map_err(|why| format!("{}: {why}", name(register)))?;
        }
        Ok(())
    }
}

/// Whether there is a moment of decision that explains all that was said of one register: after the proposal of what
/// is held and the last question that was answered with nothing had begun, before anybody was told the value.
fn check(history: &[&Recorded]) -> Result<(), String> {
    let told = || {
        let answered = history.iter().filter_map(|one| one.answered);
        answered.filter_map(|(at, value)| Some((at, value?)))
    };
    let Some((first, value)) = told().min() else {
        return Ok(()); // nobody was told anything
    };
    if let Some((at, other)) = told().find(|(_, other)| *other != value) {
        return Err(format!(
            "{value} was told at {first:?}, and {other} at {at:?}"
        ));
    }
    let proposals = history.iter().filter(|one| one.proposed == Some(value));
    let Some(proposed) = proposals.map(|one| one.called).min() else {
        return Err(format!("{value} was told, which nobody has proposed"));
    };
    if proposed > first {
        return Err(format!(
            "{value} was told at {first:?}, and proposed only at {proposed:?}"
        ));
    }
    let nothing = history.iter().filter(|one| {
        let answer = one.answered.map(|(_, value)| value);
        answer == Some(None)
    });
    match nothing.map(|one| one.called).max() {
        Some(asked) if asked > first => Err(format!(
            "{value} was told at {first:?}, and nothing to who asked at {asked:?}"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    fn operation(
        proposed: Option<u64>,
        called: u64,
        answered: Option<(u64, Option<u64>)>,
    ) -> Recorded {
        Recorded {
            register: 0,
            proposed,
            called: millis(called),
            answered: answered.map(|(at, value)| (millis(at), value)),
        }
    }

    fn propose(value: u64, called: u64, at: u64, held: u64) -> Recorded {
        operation(Some(value), called, Some((at, Some(held))))
    }

    fn read(called: u64, at: u64, held: Option<u64>) -> Recorded {
        operation(None, called, Some((at, held)))
    }

    fn judged(recorded: Vec<Recorded>) -> Result<(), String> {
        let began = Instant::now();
        History { recorded, began }.check()
    }

    #[test]
    fn what_is_decided_once_is_fine() {
        let history = vec![
            read(0, 5, None),
            propose(1, 1, 10, 2),
            propose(2, 2, 12, 2),
            // Asked before anybody was told, answered after.
            read(9, 20, None),
            read(11, 13, Some(2)),
            operation(Some(3), 0, None),
        ];
        assert_eq!(judged(history), Ok(()));
        // The proposer was never answered.
        let history = vec![operation(Some(3), 0, None), read(1, 2, Some(3))];
        assert_eq!(judged(history), Ok(()));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let cases = [
            (
                vec![propose(1, 0, 10, 1), propose(2, 0, 11, 2)],
                "and 2 at 11ms",
            ),
            (vec![read(0, 10, Some(7))], "which nobody has proposed"),
            (
                vec![read(0, 10, Some(7)), propose(7, 11, 12, 7)],
                "proposed only at 11ms",
            ),
            (
                vec![propose(1, 0, 10, 1), read(11, 12, None)],
                "nothing to who asked at 11ms",
            ),
        ];
        for (history, why) in cases {
            let refused = judged(history).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
