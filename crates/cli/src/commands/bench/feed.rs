//! `quorate bench broadcast`: messages a second that reach the readers of every member.
//!
//! At each member some clients publish, each its next batch when the last one is durable and answered; and one
//! reader follows everything. What counts is what the readers have in hand, each message once and in the order of
//! its sender: they check it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use hdrhistogram::Histogram;
use quorate_feed::proto::feed_client::FeedClient;
use quorate_feed::proto::{FollowRequest, FollowResponse, Now, follow_request};
use quorate_feed::{BODIES_MAX, BODY_BYTES_MAX, Client, ClientOptions, REQUEST_BYTES_MAX};
use rand::RngCore;
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tonic::Streaming;
use tonic::transport::Uri;

use super::cpu::CpuMeter;
use super::etcd::{channel, words};
use super::{parse_endpoint, print};
use crate::outcome::{Failure, Outcome};

/// A reader may be sent as much at once as a member reads at once.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// How long the readers may take to have what was published last.
const PATIENCE: Duration = Duration::from_secs(30);

/// Options of `quorate bench broadcast`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct FeedArgs {
    /// Client addresses of all members, as host:port.
    #[arg(long, value_delimiter = ',', required = true, value_parser = parse_endpoint)]
    endpoints: Vec<Uri>,

    /// Clients that publish at each member, each with one batch outstanding.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    publishers: u16,

    /// Messages in a batch.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=BODIES_MAX as i64))]
    batch: u16,

    /// Size of a message, of random bytes.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(0..=BODY_BYTES_MAX as i64))]
    payload_bytes: u32,

    /// Measured time.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,

    /// Unmeasured time before.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    warmup_seconds: u64,

    /// Process ids of all members on this machine, to count the CPU time that they use.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=4_194_304))]
    pids: Vec<u32>,

    /// Also write the report to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

const HELP: &str = "\
A delivery is one message in the hands of the reader of one member; with three members each message is delivered
three times. The exit status is 1 when a batch failed or a reader missed something.

Examples:
  quorate bench broadcast --endpoints 127.0.0.1:7201,127.0.0.1:7202,127.0.0.1:7203
  quorate bench broadcast --endpoints 127.0.0.1:7201,127.0.0.1:7202,127.0.0.1:7203 --batch 1 --publishers 64";

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    endpoints: Vec<String>,
    publishers: u16,
    batch: u16,
    payload_bytes: u32,
    seconds: f64,
    published: u64,
    deliveries: u64,
    deliveries_per_second: f64,
    /// Of the reader of each member.
    deliveries_per_second_each: Vec<f64>,
    p50_ms: f64,
    p99_ms: f64,
    errors: u64,
    first_error: Option<String>,
    missed: u64,
    members_cpu_seconds_per_100000_deliveries: Option<f64>,
    client_cpu_seconds_per_100000_deliveries: Option<f64>,
}

/// What publishers and readers share.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    measured: AtomicBool,
    published: AtomicU64,
    missed: AtomicU64,
}

/// What a publisher has seen of its batches.
struct Tally {
    latencies_ns: Histogram<u32>,
    errors: u64,
    first_error: Option<String>,
}

impl FeedArgs {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let bytes = u64::from(self.payload_bytes) * u64::from(self.batch);
        if bytes > REQUEST_BYTES_MAX as u64 {
            return Err(Failure::Usage(format!(
                "a batch of {bytes} bytes is more than {REQUEST_BYTES_MAX}"
            )));
        }
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::local("starting the client's runtime"))?;
        let report = runtime.block_on(self.measure())?;
        print(&report.table())?;
        if let Some(path) = &self.json {
            super::report::write_json(&report, path)?;
        }
        if let Some(error) = &report.first_error {
            tracing::warn!(error, "some batches failed; this is the first failure");
        }
        Ok(match report.errors == 0 && report.missed == 0 {
            true => Outcome::Holds,
            false => Outcome::Refuted,
        })
    }

    async fn measure(&self) -> Result<Report, Failure> {
        let shared = Arc::new(Shared::default());
        let mut readers = JoinSet::new();
        let mut delivered = Vec::new();
        for endpoint in &self.endpoints {
            let count = Arc::new(AtomicU64::new(0));
            let responses = follow(endpoint).await?;
            readers.spawn(read(responses, count.clone(), shared.clone()));
            delivered.push(count);
        }
        let mut publishers = JoinSet::new();
        for endpoint in &self.endpoints {
            // The clients of a member share its connection.
            let client = client(endpoint)?;
            for _ in 0..self.publishers {
                let bodies = self.bodies();
                publishers.spawn(publish(client.clone(), bodies, shared.clone()));
            }
        }
        tokio::time::sleep(Duration::from_secs(self.warmup_seconds)).await;

        let counts = || -> Vec<u64> {
            let counts = delivered.iter();
            counts.map(|count| count.load(Ordering::Relaxed)).collect()
        };
        let meter = CpuMeter::start(&self.pids)?;
        let (began, before) = (Instant::now(), counts());
        let published = shared.published.load(Ordering::Relaxed);
        shared.measured.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(self.seconds)).await;
        shared.measured.store(false, Ordering::Relaxed);
        let (elapsed, after) = (began.elapsed().as_secs_f64(), counts());
        let published = shared.published.load(Ordering::Relaxed) - published;
        let used = meter.stop()?;

        shared.stop.store(true, Ordering::Relaxed);
        let tally = finish(publishers).await?;
        self.all_delivered(&shared, &counts).await?;
        ended(&mut readers)?;
        let each: Vec<u64> = after.iter().zip(&before).map(|(a, b)| a - b).collect();
        let deliveries: u64 = each.iter().sum();
        let per_unit = |cpu: Option<Duration>| {
            let cpu = cpu.filter(|_| deliveries > 0)?;
            Some(cpu.as_secs_f64() * 100_000.0 / deliveries as f64)
        };
        let ms = |quantile| tally.latencies_ns.value_at_quantile(quantile) as f64 / 1e6;
        Ok(Report {
            endpoints: self.endpoints.iter().map(ToString::to_string).collect(),
            publishers: self.publishers,
            batch: self.batch,
            payload_bytes: self.payload_bytes,
            seconds: elapsed,
            published,
            deliveries,
            deliveries_per_second: deliveries as f64 / elapsed,
            deliveries_per_second_each: each.iter().map(|count| *count as f64 / elapsed).collect(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            errors: tally.errors,
            first_error: tally.first_error,
            missed: shared.missed.load(Ordering::Relaxed),
            members_cpu_seconds_per_100000_deliveries: per_unit(used.members),
            client_cpu_seconds_per_100000_deliveries: per_unit(used.client),
        })
    }

    fn bodies(&self) -> Vec<Bytes> {
        let body = |_| {
            let mut bytes = vec![0; self.payload_bytes as usize];
            rand::rng().fill_bytes(&mut bytes);
            Bytes::from(bytes)
        };
        (0..self.batch).map(body).collect()
    }

    /// Waits until every reader has everything that was published and not missed.
    async fn all_delivered(
        &self,
        shared: &Shared,
        counts: &impl Fn() -> Vec<u64>,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        // What was missed, nobody can wait for.
        while shared.missed.load(Ordering::Relaxed) == 0
            && counts()
                .iter()
                .any(|count| *count < shared.published.load(Ordering::Relaxed))
        {
            if began.elapsed() > PATIENCE {
                let why =
                    format!("a reader lacks messages {PATIENCE:?} after the last was published");
                return Err(Failure::Cluster(why));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

fn client(endpoint: &Uri) -> Result<Client, Failure> {
    let address = endpoint.authority().map(ToString::to_string);
    Ok(Client::new(address, ClientOptions::default())?)
}

async fn follow(endpoint: &Uri) -> Result<Streaming<FollowResponse>, Failure> {
    let failed = |why: String| Failure::Cluster(format!("{endpoint} {why}"));
    let channel = channel(endpoint).await.map_err(failed)?;
    let mut stub = FeedClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let from = Some(follow_request::From::Now(Now {}));
    let responses = stub.follow(FollowRequest { from }).await;
    let mut responses = responses
        .map_err(|status| failed(words(&status)))?
        .into_inner();
    // The first says where reading begins: nothing that is published from here on is before it.
    let began = responses.message().await;
    began.map_err(|status| failed(words(&status)))?;
    Ok(responses)
}

/// Counts what is delivered, and checks that nothing is left out or comes twice.
async fn read(
    mut responses: Streaming<FollowResponse>,
    delivered: Arc<AtomicU64>,
    shared: Arc<Shared>,
) -> Failure {
    let mut next: BTreeMap<u32, u64> = BTreeMap::new();
    loop {
        let response = match responses.message().await {
            Ok(Some(response)) => response,
            Ok(None) => return Failure::Cluster("a member has stopped".into()),
            Err(status) => return Failure::Cluster(words(&status)),
        };
        if let Some(missed) = response.missed {
            shared.missed.fetch_add(missed.messages, Ordering::Relaxed);
            next.clear();
        }
        for told in response.told {
            let expected = next.insert(told.sender, told.first + told.said.len() as u64);
            if expected.is_some_and(|expected| expected != told.first) {
                let (sender, first) = (told.sender, told.first);
                let why =
                    format!("message {first} of member {sender} does not follow the last one");
                return Failure::Cluster(why);
            }
            delivered.fetch_add(told.said.len() as u64, Ordering::Relaxed);
        }
    }
}

async fn publish(client: Client, bodies: Vec<Bytes>, shared: Arc<Shared>) -> Result<Tally, String> {
    let latencies_ns = Histogram::new_with_bounds(1_000, 60_000_000_000, 3);
    let mut tally = Tally {
        latencies_ns: latencies_ns.map_err(|error| error.to_string())?,
        errors: 0,
        first_error: None,
    };
    while !shared.stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        match client.publish("", bodies.iter().cloned()).await {
            Ok(_) => {
                shared
                    .published
                    .fetch_add(bodies.len() as u64, Ordering::Relaxed);
                if shared.measured.load(Ordering::Relaxed) {
                    let nanos = began.elapsed().as_nanos();
                    tally
                        .latencies_ns
                        .saturating_record(u64::try_from(nanos).unwrap_or(u64::MAX));
                }
            }
            Err(error) => {
                tally.errors += 1;
                tally.first_error.get_or_insert(error.to_string());
            }
        }
    }
    Ok(tally)
}

/// All publishers together, once each has had the answer to its last batch.
async fn finish(mut publishers: JoinSet<Result<Tally, String>>) -> Result<Tally, Failure> {
    let mut all: Option<Tally> = None;
    while let Some(ended) = publishers.join_next().await {
        let tally = ended.map_err(|error| Failure::Fault(error.to_string()))?;
        let tally = tally.map_err(Failure::Fault)?;
        all = Some(match all {
            None => tally,
            Some(mut all) => {
                let added = all.latencies_ns.add(&tally.latencies_ns);
                added.map_err(|error| Failure::Fault(error.to_string()))?;
                all.errors += tally.errors;
                all.first_error = all.first_error.or(tally.first_error);
                all
            }
        });
    }
    all.ok_or_else(|| Failure::Usage("nobody publishes".into()))
}

/// A reader reads for ever, unless something is wrong.
fn ended(readers: &mut JoinSet<Failure>) -> Result<(), Failure> {
    match readers.try_join_next() {
        None => Ok(()),
        Some(Ok(failure)) => Err(failure),
        Some(Err(error)) => Err(Failure::Fault(error.to_string())),
    }
}

impl Report {
    fn table(&self) -> String {
        let cpu =
            |figure: Option<f64>| figure.map_or("-".into(), |seconds| format!("{seconds:.2}"));
        let mut columns = vec![(
            "deliveries/s".to_owned(),
            format!("{:.0}", self.deliveries_per_second),
        )];
        for (number, rate) in (1..).zip(&self.deliveries_per_second_each) {
            columns.push((format!("reader_{number}"), format!("{rate:.0}")));
        }
        columns.extend([
            ("p50_ms".to_owned(), format!("{:.3}", self.p50_ms)),
            ("p99_ms".to_owned(), format!("{:.3}", self.p99_ms)),
            ("errors".to_owned(), self.errors.to_string()),
            ("missed".to_owned(), self.missed.to_string()),
            (
                "members_cpu".to_owned(),
                cpu(self.members_cpu_seconds_per_100000_deliveries),
            ),
            (
                "client_cpu".to_owned(),
                cpu(self.client_cpu_seconds_per_100000_deliveries),
            ),
        ]);
        let row = |cells: Vec<&String>| -> String {
            cells.iter().map(|cell| format!("{cell:>13}")).collect()
        };
        let (names, figures): (Vec<_>, Vec<_>) = columns.iter().map(|(n, f)| (n, f)).unzip();
        format!("{}\n{}\n", row(names), row(figures))
    }
}
