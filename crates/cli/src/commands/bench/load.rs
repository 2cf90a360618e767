//! The closed loop, and what a service must offer to be put under it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::task::JoinSet;

use crate::outcome::Failure;

/// Prefix of every key that is written, so that a shared cluster can be cleaned up afterwards.
const KEY_PREFIX: &str = "bench/";

/// Pause of a client after a failed put: a closed port fails at once and would otherwise be a busy loop.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Latencies are kept from 1 µs to a minute, with three digits.
const LATENCY_RANGE_NS: (u64, u64) = (1_000, 60_000_000_000);

/// A put or a read that the service did not carry out, in words for a person.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ClientError(pub(crate) String);

/// One client of a key-value service, with at most one request outstanding.
pub(crate) trait KvClient: Send + 'static {
    /// Writes a key; returns once the service has acknowledged it as durable.
    fn put(
        &mut self,
        key: Bytes,
        value: Bytes,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;

    /// Reads a key, linearizably.
    fn get(
        &mut self,
        key: Bytes,
    ) -> impl Future<Output = Result<Option<Bytes>, ClientError>> + Send;
}

/// A cluster that clients can be connected to.
pub(crate) trait KvTarget {
    /// The client that this cluster understands.
    type Client: KvClient;

    /// Finds the leader and connects `clients` clients to it over `connections` connections.
    async fn connect(
        &self,
        clients: u16,
        connections: u16,
    ) -> Result<Connected<Self::Client>, Failure>;
}

/// Clients, all connected to the same leader.
pub(crate) struct Connected<C> {
    /// Address of the leader.
    pub(crate) leader: String,
    /// The clients.
    pub(crate) clients: Vec<C>,
}

/// What the clients do.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    /// Number of keys to choose from.
    pub(crate) keys: u64,
    /// Size of every value.
    pub(crate) value_bytes: u32,
    /// When a put is given up.
    pub(crate) timeout: Duration,
    /// Seed of keys and values.
    pub(crate) seed: u64,
}

/// When the clients stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// No put begins after this time; those under way are finished and counted.
    Time(Duration),
    /// This many puts are begun in all.
    Operations(u64),
}

/// What became of the puts.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Latencies of acknowledged puts in nanoseconds.
    pub(crate) latencies_ns: Histogram<u32>,
    /// Puts that failed or timed out.
    pub(crate) errors: u64,
    /// The first failure that was seen.
    pub(crate) first_error: Option<ClientError>,
}

/// The end of a run.
pub(crate) struct Run<C> {
    /// The clients, for the next run.
    pub(crate) clients: Vec<C>,
    /// What became of the puts.
    pub(crate) tally: Tally,
    /// From the first put's beginning to the last one's end.
    pub(crate) elapsed: Duration,
}

/// Lets every client put as fast as it is answered until the limit.
pub(crate) async fn run<C: KvClient>(
    clients: Vec<C>,
    workload: &Workload,
    limit: Limit,
) -> Result<Run<C>, Failure> {
    let begun = Instant::now();
    let allowance = Arc::new(Allowance::new(begun, limit));
    let mut tasks = JoinSet::new();
    for (client, number) in clients.into_iter().zip(0..) {
        let source = Source::new(workload, number);
        tasks.spawn(closed_loop(
            client,
            source,
            workload.timeout,
            allowance.clone(),
        ));
    }

    let mut clients = Vec::with_capacity(tasks.len());
    let mut tally = Tally::new();
    while let Some(ended) = tasks.join_next().await {
        let (client, part) = ended.map_err(|error| {
            Failure::Cluster(format!(
                "a client of the load generator ended early: {error}"
            ))
        })?;
        clients.push(client);
        tally.add(part);
    }
    Ok(Run {
        clients,
        tally,
        elapsed: begun.elapsed(),
    })
}

async fn closed_loop<C: KvClient>(
    mut client: C,
    mut source: Source,
    timeout: Duration,
    allowance: Arc<Allowance>,
) -> (C, Tally) {
    let mut tally = Tally::new();
    while allowance.take() {
        let (key, value) = source.next();
        let begun = Instant::now();
        match tokio::time::timeout(timeout, client.put(key, value)).await {
            Ok(Ok(())) => tally.succeeded(begun.elapsed()),
            Ok(Err(error)) => {
                tally.failed(error);
                tokio::time::sleep(ERROR_PAUSE).await;
            }
            Err(_) => tally.failed(ClientError(format!("no answer within {timeout:?}"))),
        }
    }
    (client, tally)
}

/// The limit, shared by all clients of a run.
struct Allowance {
    begun: Instant,
    limit: Limit,
    taken: AtomicU64,
}

impl Allowance {
    fn new(begun: Instant, limit: Limit) -> Self {
        Allowance {
            begun,
            limit,
            taken: AtomicU64::new(0),
        }
    }

    /// Whether one more put may begin.
    fn take(&self) -> bool {
        match self.limit {
            Limit::Time(length) => self.begun.elapsed() < length,
            Limit::Operations(most) => self.taken.fetch_add(1, Ordering::Relaxed) < most,
        }
    }
}

/// A client's sequence of keys and values.
struct Source {
    random: SmallRng,
    keys: u64,
    value_bytes: usize,
}

impl Source {
    fn new(workload: &Workload, client: u64) -> Self {
        // A stride keeps client 1 of seed 1 apart from client 0 of seed 2.
        let seed = workload.seed.wrapping_mul(1 << 32).wrapping_add(client);
        Source {
            random: SmallRng::seed_from_u64(seed),
            keys: workload.keys,
            value_bytes: workload.value_bytes as usize,
        }
    }

    fn next(&mut self) -> (Bytes, Bytes) {
        // Of one width, so that every put is of one size.
        let key = format!("{KEY_PREFIX}{:012}", self.random.random_range(0..self.keys));
        let mut value = vec![0; self.value_bytes];
        self.random.fill_bytes(&mut value);
        (key.into(), value.into())
    }
}

/// A key beside those of the load, and a value that no earlier process wrote there.
pub(crate) fn probe(seed: u64) -> (Bytes, Bytes) {
    let key = format!("{KEY_PREFIX}probe");
    let value = format!("{seed}/{:032x}", rand::random::<u128>());
    (key.into(), value.into())
}

impl Tally {
    pub(crate) fn new() -> Self {
        let (low, high) = LATENCY_RANGE_NS;
        Tally {
            latencies_ns: Histogram::new_with_bounds(low, high, 3)
                .expect("the bounds are constants that the histogram accepts"),
            errors: 0,
            first_error: None,
        }
    }

    pub(crate) fn succeeded(&mut self, latency: Duration) {
        let latency_ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latencies_ns.saturating_record(latency_ns);
    }

    pub(crate) fn failed(&mut self, error: ClientError) {
        self.errors += 1;
        self.first_error.get_or_insert(error);
    }

    fn add(&mut self, part: Tally) {
        self.latencies_ns
            .add(part.latencies_ns)
            .expect("all tallies have the same bounds");
        self.errors += part.errors;
        self.first_error = self.first_error.take().or(part.first_error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Acknowledges everything except every `fails_every`-th put.
    struct Scripted {
        puts: Arc<AtomicU64>,
        fails_every: u64,
    }

    impl KvClient for Scripted {
        async fn put(&mut self, _key: Bytes, _value: Bytes) -> Result<(), ClientError> {
            let number = self.puts.fetch_add(1, Ordering::Relaxed) + 1;
            if number.is_multiple_of(self.fails_every) {
                return Err(ClientError(format!("put {number} refused")));
            }
            Ok(())
        }

        async fn get(&mut self, _key: Bytes) -> Result<Option<Bytes>, ClientError> {
            Ok(None)
        }
    }

    fn workload() -> Workload {
        Workload {
            keys: 10,
            value_bytes: 16,
            timeout: Duration::from_secs(5),
            seed: 7,
        }
    }

    fn scripted(clients: usize, fails_every: u64) -> (Vec<Scripted>, Arc<AtomicU64>) {
        let puts = Arc::new(AtomicU64::new(0));
        let client = || Scripted {
            puts: puts.clone(),
            fails_every,
        };
        ((0..clients).map(|_| client()).collect(), puts)
    }

    #[tokio::test]
    async fn exactly_the_asked_number_of_puts_is_made_and_counted() {
        let (clients, puts) = scripted(3, u64::MAX);
        let run = run(clients, &workload(), Limit::Operations(100))
            .await
            .unwrap();
        assert_eq!(puts.load(Ordering::Relaxed), 100);
        assert_eq!(run.tally.latencies_ns.len(), 100);
        assert_eq!(run.tally.errors, 0);
        assert_eq!(run.clients.len(), 3);
    }

    #[tokio::test]
    async fn failed_puts_are_counted_apart_and_the_first_is_kept() {
        let (clients, _) = scripted(1, 10);
        let run = run(clients, &workload(), Limit::Operations(30))
            .await
            .unwrap();
        assert_eq!(run.tally.latencies_ns.len(), 27);
        assert_eq!(run.tally.errors, 3);
        assert_eq!(run.tally.first_error.unwrap().to_string(), "put 10 refused");
    }

    #[tokio::test]
    async fn no_time_means_no_put() {
        let (clients, puts) = scripted(2, u64::MAX);
        run(clients, &workload(), Limit::Time(Duration::ZERO))
            .await
            .unwrap();
        assert_eq!(puts.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_client_repeats_its_sequence_and_no_other_clients() {
        let take = |client| {
            let mut source = Source::new(&workload(), client);
            (0..20).map(|_| source.next()).collect::<Vec<_>>()
        };
        assert_eq!(take(0), take(0));
        assert_ne!(take(0), take(1));
    }

    #[test]
    fn keys_stay_in_range_and_values_have_their_size() {
        let mut source = Source::new(&workload(), 0);
        for _ in 0..200 {
            let (key, value) = source.next();
            let number = key.strip_prefix(b"bench/").unwrap();
            let number: u64 = std::str::from_utf8(number).unwrap().parse().unwrap();
            assert!(number < 10);
            assert_eq!(value.len(), 16);
        }
    }
}
