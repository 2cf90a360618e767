//! `quorate bench`: what a service does under load, and what that costs it. `broadcast` and `otlp` are in modules of their own.
//!
//! `quorate bench kv`: puts a second, their latency, and the CPU that they cost the members. `quorate bench paxos`:
//! the same of proposals for write-once registers.
//!
//! The loop is closed: each of N clients has at most one put outstanding, so the rate at N clients is what
//! N callers who wait for their answers get. One level of concurrency after another runs against the
//! leader; each level connects afresh, warms up unmeasured, then measures. The same loop drives every
//! target, so the figures of two targets differ by the targets alone.
//!
//! CPU is counted beside time because on one machine the members and the clients share its cores: a rate
//! depends on how many cores there are, CPU seconds per put much less.

mod cpu;
mod etcd;
mod feed;
mod load;
mod otlp;
mod quorate;
mod registers;
mod report;
mod txn;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::Uri;

use self::cpu::CpuMeter;
use self::load::{KvClient, KvTarget, Limit, Workload};
use self::report::{Level, Report};
use crate::outcome::{Failure, Outcome};

/// Keys are written with twelve digits.
const MOST_KEYS: u64 = 1_000_000_000_000;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Put random keys in a closed loop and report rate, latency and CPU.
    Kv(KvArgs),
    /// Propose values for write-once registers in a closed loop and report rate, latency and CPU.
    Paxos(PaxosArgs),
    /// Run transactions between two members in a closed loop and report rate, latency, syncs and messages.
    Txn(txn::TxnArgs),
    /// Publish to a feed at every member, read it at every member, and report deliveries a second.
    Broadcast(feed::FeedArgs),
    /// Send traces to an OTLP endpoint and report rate, latency, CPU and memory.
    Otlp(otlp::OtlpArgs),
}

impl Bench {
    /// Runs the measurement.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        match self {
            Bench::Kv(args) => args.load.run(args.target),
            Bench::Paxos(args) => args.load.run(Target::Registers),
            Bench::Txn(args) => args.run(),
            Bench::Broadcast(args) => args.run(),
            Bench::Otlp(args) => args.run(),
        }
    }
}

/// The service under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Target {
    /// Members run by `quorate node`.
    Quorate,
    /// etcd 3.4 or later, over its v3 gRPC API.
    Etcd,
    /// Write-once registers of members run by `quorate node`: `quorate bench paxos`.
    #[value(skip)]
    Registers,
}

/// Options of `quorate bench kv`.
#[derive(Debug, Args)]
#[command(after_help = KV_HELP)]
pub(crate) struct KvArgs {
    /// The service under load.
    #[arg(long, value_enum)]
    target: Target,

    #[command(flatten)]
    load: LoadArgs,
}

/// Options of `quorate bench paxos`.
#[derive(Debug, Args)]
#[command(after_help = PAXOS_HELP)]
pub(crate) struct PaxosArgs {
    #[command(flatten)]
    load: LoadArgs,
}

/// What load is put on which members.
#[derive(Debug, Args)]
struct LoadArgs {
    /// Client addresses of the members, as host:port or http://host:port. The leader among them gets the load; where
    /// there is none, all of them do.
    #[arg(long, value_delimiter = ',', required = true, value_parser = parse_endpoint)]
    endpoints: Vec<Uri>,

    /// Numbers of clients, each with one put outstanding; measured one after another.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256",
          value_parser = clap::value_parser!(u16).range(1..=4096))]
    clients: Vec<u16>,

    /// HTTP/2 connections that the clients of a level share; never more than it has clients. etcd is at
    /// its best with one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,

    /// Size of a value, of random bytes; at most 1 MiB, below etcd's limit for a request.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(0..=1_048_576))]
    value_bytes: u32,

    /// Keys to choose from, uniformly at random.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=MOST_KEYS))]
    keys: u64,

    /// Measured time of a level.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,

    /// Measured puts of a level, all clients together, in place of a time.
    #[arg(long, conflicts_with = "seconds", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    operations: Option<u64>,

    /// Unmeasured time before each level.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    warmup_seconds: u64,

    /// A put that takes longer counts as an error.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout_seconds: u64,

    /// Process ids of all members on this machine, to count the CPU time that they use.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=4_194_304))]
    pids: Vec<u32>,

    /// Threads of the load generator.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,

    /// Seed of keys and values; a run with the same seed writes the same sequence per client.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Also write the report to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

const PAXOS_HELP: &str = "\
Each put is the proposal of a value for a register of its own, which nobody has named before: two rounds of
messages and three syncs. The clients are spread over all members that are named, for none of them leads.
CPU columns and the exit status are those of `quorate bench kv`.

Examples:
  quorate bench paxos --endpoints 127.0.0.1:7201,127.0.0.1:7202,127.0.0.1:7203
  quorate bench paxos --endpoints 127.0.0.1:7201 --clients 1,64 --value-bytes 16 --seconds 5";

const KV_HELP: &str = "\
CPU columns are seconds of user and system time per 10 000 puts: of the processes given by --pids together,
and of this command itself. The exit status is 1 when a put failed, since figures with failures in them do
not compare.

Examples:
  quorate bench kv --target etcd --endpoints 127.0.0.1:2379,127.0.0.1:22379,127.0.0.1:32379
  quorate bench kv --target etcd --endpoints 127.0.0.1:2379 --clients 64 --seconds 30 --pids 4711,4712,4713
  quorate bench kv --target etcd --endpoints 127.0.0.1:2379 --operations 50000 --json etcd.json";

/// Reads `host:port` or `http://host:port`.
fn parse_endpoint(text: &str) -> Result<Uri, String> {
    let absolute = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let uri: Uri = absolute
        .parse()
        .map_err(|error| format!("not an address: {error}"))?;
    if uri.scheme_str() != Some("http") {
        return Err("only plain http:// is supported".into());
    }
    if uri.port_u16().is_none() {
        return Err("a port is missing; write host:port".into());
    }
    if uri.path() != "/" || uri.query().is_some() {
        return Err("an address has no path; write host:port".into());
    }
    Ok(uri)
}

impl LoadArgs {
    fn run(self, target: Target) -> Result<Outcome, Failure> {
        let (runtime, report) = (self.runtime()?, Report::new(target, &self));
        let report = match target {
            Target::Quorate => {
                let quorate = quorate::Quorate::new(&self.endpoints);
                runtime.block_on(self.measure(&quorate, report))?
            }
            Target::Etcd => {
                let etcd = etcd::Etcd::new(&self.endpoints);
                runtime.block_on(self.measure(&etcd, report))?
            }
            Target::Registers => {
                let registers = registers::Registers::new(&self.endpoints);
                runtime.block_on(self.measure(&registers, report))?
            }
        };
        if let Some(path) = &self.json {
            report.write_json(path)?;
        }
        match report.first_error() {
            Some(error) => {
                tracing::warn!(error, "some puts failed; this is the first failure");
                Ok(Outcome::Refuted)
            }
            None => Ok(Outcome::Holds),
        }
    }

    /// One thread by default: on a machine shared with the members, a work-stealing pool spends CPU on
    /// waking threads that the members then lack.
    fn runtime(&self) -> Result<Runtime, Failure> {
        let mut builder = match self.threads {
            1 => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        builder
            .worker_threads(usize::from(self.threads))
            .enable_all()
            .build()
            .map_err(Failure::local("starting the client's runtime"))
    }

    /// Measures every level and prints its row as soon as it is known.
    async fn measure<T: KvTarget>(
        &self,
        target: &T,
        mut report: Report,
    ) -> Result<Report, Failure> {
        print(&Report::table_header())?;
        for &clients in &self.clients {
            let level = self.measure_level(target, clients).await?;
            print(&level.table_row())?;
            report.levels.push(level);
        }
        Ok(report)
    }

    async fn measure_level<T: KvTarget>(&self, target: &T, clients: u16) -> Result<Level, Failure> {
        let connections = self.connections.min(clients);
        let mut connected = target.connect(clients, connections).await?;
        tracing::info!(leader = %connected.leader, clients, connections, "connected");
        if let Some(client) = connected.clients.first_mut() {
            prove_round_trip(client, self.seed).await?;
        }

        let workload = self.workload();
        let warm_up = Limit::Time(Duration::from_secs(self.warmup_seconds));
        let warm = load::run(connected.clients, &workload, warm_up).await?;

        let meter = CpuMeter::start(&self.pids)?;
        let run = load::run(warm.clients, &workload, self.limit()).await?;
        let used = meter.stop()?;
        Ok(Level::new(
            clients,
            connected.leader,
            &run.tally,
            run.elapsed,
            used,
        ))
    }

    fn workload(&self) -> Workload {
        Workload {
            keys: self.keys,
            value_bytes: self.value_bytes,
            timeout: Duration::from_secs(self.timeout_seconds),
            seed: self.seed,
        }
    }

    fn limit(&self) -> Limit {
        match self.operations {
            Some(operations) => Limit::Operations(operations),
            None => Limit::Time(Duration::from_secs(self.seconds)),
        }
    }
}

/// Writes one value and reads it back, so that no figure is ever given for a service that drops its puts.
async fn prove_round_trip<C: KvClient>(client: &mut C, seed: u64) -> Result<(), Failure> {
    let (key, value) = load::probe(seed);
    let refused = |error| Failure::Cluster(format!("the first put failed: {error}"));
    client
        .put(key.clone(), value.clone())
        .await
        .map_err(refused)?;
    let read = client.get(key).await;
    let found =
        read.map_err(|error| Failure::Cluster(format!("the first read failed: {error}")))?;
    if found.as_ref() == Some(&value) {
        Ok(())
    } else {
        Err(Failure::Cluster(
            "a value that was just put is not what a read returns".into(),
        ))
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(Failure::local("writing to standard output"))
}

#[cfg(test)]
mod tests;
