//! `quorate bench otlp`: spans a second that an OTLP endpoint acknowledges, and what they cost it.
//!
//! The endpoint may be anything that speaks OTLP, so that collectors can be compared under one load: traces
//! of 8 to 20 spans with ten attributes each, some 466 bytes a span, interleaved over requests of 100 to 500
//! spans ([`corpus`]). Requests are encoded once; sending one costs a copy and a few writes.

mod client;
mod corpus;
mod load;
mod report;
mod trace;
mod wire;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tonic::transport::Uri;

use self::client::Client;
use self::corpus::{Corpus, Shape};
use self::load::{Load, Plan};
use self::report::{Figures, Report};
use super::cpu::{CpuMeter, peak_memory};
use super::{parse_endpoint, print};
use crate::outcome::{Failure, Outcome};

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// gRPC.
    Grpc,
    /// HTTP/1.1 with protobuf.
    Http,
}

/// Options of `quorate bench otlp`.
#[derive(Debug, Args)]
#[command(after_help = OTLP_HELP)]
pub(crate) struct OtlpArgs {
    /// The endpoint, as host:port or http://host:port.
    #[arg(long, default_value = "127.0.0.1:4317", value_parser = parse_endpoint)]
    endpoint: Uri,

    /// What is spoken.
    #[arg(long, value_enum, default_value = "grpc")]
    protocol: Protocol,

    /// Connections.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,

    /// Requests under way on each connection; over HTTP/1.1 each of them has a connection of its own.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    in_flight: u16,

    /// Spans a second; as fast as they are acknowledged unless given.
    #[arg(long, value_parser = parse_rate)]
    rate: Option<f64>,

    /// Measured time.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    seconds: u64,

    /// Unmeasured time before.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    warmup_seconds: u64,

    /// Send so many cycles of whole traces and measure all of them, in place of a time.
    #[arg(long, conflicts_with_all = ["seconds", "warmup_seconds"],
          value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    cycles: Option<u64>,

    /// Traces of a cycle, 14 spans each on average; they are kept in memory, encoded.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    traces: u32,

    /// Share of spans, from 0 to 1, that come after all others of their cycle.
    #[arg(long, default_value_t = 0.0, value_parser = parse_share)]
    late: f64,

    /// How long after.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    late_seconds: u64,

    /// Share of spans that are sent twice.
    #[arg(long, default_value_t = 0.0, value_parser = parse_share)]
    duplicate: f64,

    /// Share of inner spans that are never sent.
    #[arg(long, default_value_t = 0.0, value_parser = parse_share)]
    missing: f64,

    /// A request without an answer for so long is sent again.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout_seconds: u64,

    /// Process id of the server on this machine, to count its CPU time and memory.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4_194_304))]
    pid: Option<u32>,

    /// Threads of the load generator.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,

    /// Seed of the traces; trace ids differ from run to run all the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Also write the report to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

const OTLP_HELP: &str = "\
Without --rate, every connection has --in-flight requests outstanding all the time. With it, latency counts from
the moment at which a request was due, so that a server that stalls does not look better by delaying the load.
What is refused for lack of room is sent again, as an SDK does. The exit status is 1 when requests failed or spans
were refused for good.

Examples:
  quorate bench otlp
  quorate bench otlp --protocol http --endpoint 127.0.0.1:4318 --connections 16
  quorate bench otlp --rate 50000 --seconds 60 --pid $(pidof otelcol) --json figures.json
  quorate bench otlp --cycles 10 --late 0.01 --duplicate 0.01 --missing 0.01";

fn parse_share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number".to_string())?;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err("a share is between 0 and 1".into())
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_string())?;
    if (1.0..=1e9).contains(&rate) {
        Ok(rate)
    } else {
        Err("a rate is between 1 and 1 000 000 000".into())
    }
}

impl OtlpArgs {
    pub(super) fn run(self) -> Result<Outcome, Failure> {
        let corpus = Corpus::new(&Shape {
            traces: self.traces,
            late: self.late,
            duplicate: self.duplicate,
            missing: self.missing,
            seed: self.seed,
        });
        let figures = self.runtime()?.block_on(self.measure(corpus))?;
        print(&figures.figures.text())?;
        if let Some(path) = &self.json {
            let write = || -> std::io::Result<()> {
                let mut text = serde_json::to_string_pretty(&figures)?;
                text.push('\n');
                fs::write(path, text)
            };
            write().map_err(Failure::local(format!("writing {}", path.display())))?;
        }
        if let Some(error) = &figures.figures.first_error {
            tracing::warn!(error, "some requests failed; this is the first failure");
        }
        if figures.figures.is_clean() {
            Ok(Outcome::Holds)
        } else {
            Ok(Outcome::Refuted)
        }
    }

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

    fn authority(&self) -> String {
        let authority = self.endpoint.authority();
        authority.map_or(String::new(), ToString::to_string)
    }

    async fn measure(&self, corpus: Corpus) -> Result<Report, Failure> {
        let pids: Vec<u32> = self.pid.into_iter().collect();
        let load = Load::new(
            corpus,
            Plan {
                authority: self.authority(),
                protocol: self.protocol,
                rate: self.rate,
                late_by: Duration::from_secs(self.late_seconds),
                timeout: Duration::from_secs(self.timeout_seconds),
                cycles: self.cycles,
                first_cycle: rand::random(),
            },
        );
        let mut workers = self.workers(&load).await?;
        if self.cycles.is_none() {
            tokio::time::sleep(Duration::from_secs(self.warmup_seconds)).await;
            load.take_tally();
        }
        let meter = CpuMeter::start(&pids)?;
        let begun = Instant::now();
        if self.cycles.is_none() {
            tokio::time::sleep(Duration::from_secs(self.seconds)).await;
        } else {
            join(&mut workers).await?;
        }
        let elapsed = begun.elapsed();
        let tally = load.take_tally();
        let used = meter.stop()?;
        let peak = self.pid.map(peak_memory).transpose()?;
        load.stop();
        join(&mut workers).await?;
        let corpus = load.corpus();
        Ok(Report {
            endpoint: self.endpoint.to_string(),
            protocol: self.protocol,
            connections: self.connections,
            in_flight: self.in_flight,
            rate: self.rate,
            seed: self.seed,
            cycle: corpus.counts,
            cycles: load.cycles(),
            bytes_per_span: corpus.bytes() as f64 / corpus.sent_spans() as f64,
            figures: Figures::new(&tally, elapsed, used, peak),
        })
    }

    async fn workers(&self, load: &Arc<Load>) -> Result<JoinSet<()>, Failure> {
        let authority = self.authority();
        let mut clients = Vec::new();
        for _ in 0..self.connections {
            let mut first: Option<Client> = None;
            for _ in 0..self.in_flight {
                let client = match first.as_ref().and_then(Client::share) {
                    Some(client) => client,
                    None => Client::connect(&authority, self.protocol)
                        .await
                        .map_err(|error| Failure::Cluster(format!("{authority}: {error}")))?,
                };
                first = first.or_else(|| client.share());
                clients.push(client);
            }
        }
        let mut workers = JoinSet::new();
        for client in clients {
            workers.spawn(load.clone().work(client));
        }
        Ok(workers)
    }
}

async fn join(workers: &mut JoinSet<()>) -> Result<(), Failure> {
    while let Some(ended) = workers.join_next().await {
        let early = |error| Failure::Fault(format!("the load generator ended early: {error}"));
        ended.map_err(early)?;
    }
    Ok(())
}
