//! Starting, serving, stopping.

use std::fmt::Display;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::serve::ListenerExt;
use quorate_analysis::History;
use quorate_export::forward::{self, Forwarder};
use quorate_intake::{Cors, Intake, Limits, Options};
use quorate_sampling::Policies;
use quorate_storage::{Disk, RecordLog};
use quorate_trace::wire;
use quorate_trace_store::{EmbeddedStore, Retention};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::config::{Config, ConfigError, ForwardProtocol};
use crate::export::Exports;
use crate::pipeline::{Door, Parts, Pipeline, REQUESTS, Stage};
use crate::source::Answers;
use crate::{memory, operation, recover, seal};

/// Space of a gRPC or HTTP body within a record of the log, in bytes.
const RECORD_OVERHEAD: u64 = 1024;

/// How often the log is told what it may forget, and the file system is asked for room.
const UPKEEP: Duration = Duration::from_secs(1);

/// How often old traces are forgotten and the history is saved.
const RETENTION: Duration = Duration::from_secs(60);

/// How long requests under way may take once the collector stops.
const DRAIN: Duration = Duration::from_secs(5);

/// Why a collector does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port.
    #[error("listening on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// A file, a directory or a thread.
    #[error("{attempt}: {source}")]
    Io {
        /// What was attempted.
        attempt: String,
        /// The system's answer.
        source: io::Error,
    },
    /// What is in the data directory cannot be used.
    #[error("{0}")]
    Data(String),
}

impl StartError {
    fn io(attempt: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let attempt = attempt.into();
        move |source| StartError::Io { attempt, source }
    }

    fn data<E: Display>(what: &str) -> impl FnOnce(E) -> Self {
        move |problem| StartError::Data(format!("{what}: {problem}"))
    }
}

/// Where a collector listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// OTLP, meant for gRPC.
    pub grpc: SocketAddr,
    /// OTLP, meant for HTTP.
    pub http: SocketAddr,
    /// Queries, the web page, metrics and health.
    pub query: SocketAddr,
}

/// A collector that starts.
pub type Starting = Pin<Box<dyn Future<Output = Result<Collector, StartError>> + Send>>;

/// A running collector.
pub struct Collector {
    pipeline: Arc<Pipeline>,
    addresses: Addresses,
    history: PathBuf,
    stop_intake: watch::Sender<bool>,
    intake: JoinSet<()>,
    others: JoinSet<()>,
    sealers: Sealers,
}

impl Collector {
    /// Opens the data directory, takes up what was accepted before, and serves. Returns when spans are
    /// taken; queries are answered before. From now on the process is given no huge pages.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub fn start(config: Config) -> Starting {
        // Boxed here, so that it is compiled here and not once more in every program that awaits it.
        Box::pin(Collector::begin(config))
    }

    async fn begin(config: Config) -> Result<Collector, StartError> {
        config.check()?;
        memory::refuse_huge_pages();
        // First, so that a port that is taken is known before anything is written.
        let listeners = Listeners::bind(&config).await?;
        let addresses = listeners.addresses()?;
        let history = config.data.dir.join("history.json");
        let opening = {
            let (config, runtime) = (config.clone(), Handle::current());
            tokio::task::spawn_blocking(move || open(&config, &runtime))
        };
        let parts = opening
            .await
            .map_err(|error| StartError::Data(error.to_string()))??;
        let pipeline = Pipeline::new(config, parts);
        let sealers = Sealers::start(&pipeline)?;
        let mut others = JoinSet::new();
        others.spawn(serve_queries(listeners.query, Arc::clone(&pipeline)));

        let recovering = Arc::clone(&pipeline);
        let recovered = tokio::task::spawn_blocking(move || recover::recover(&recovering))
            .await
            .map_err(|error| StartError::Data(error.to_string()))?
            .map_err(StartError::data("reading back what was accepted"))?;
        if recovered > 0 {
            tracing::info!(requests = recovered, "took up what was accepted before");
        }
        others.spawn(keep_up(Arc::clone(&pipeline)));
        others.spawn(retain(Arc::clone(&pipeline), history.clone()));
        pipeline.set_stage(Stage::Serving);

        let (stop_intake, stopped) = watch::channel(false);
        let options = intake_options(&pipeline)?;
        let server = Intake::new(Arc::new(Door(Arc::clone(&pipeline))), options);
        let mut intake = JoinSet::new();
        for listener in [listeners.grpc, listeners.http] {
            let mut stopped = stopped.clone();
            intake.spawn(server.clone().serve(listener, async move {
                // An error means the same: whoever could say so is gone.
                let _ = stopped.wait_for(|stop| *stop).await;
            }));
        }
        Ok(Collector {
            pipeline,
            addresses,
            history,
            stop_intake,
            intake,
            others,
            sealers,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Waits until a part of it ends, which none should; says which.
    pub async fn ended(&mut self) -> String {
        tokio::select! {
            Some(ended) = self.intake.join_next() => {
                format!("spans can no longer be taken: {ended:?}")
            }
            Some(ended) = self.others.join_next() => {
                format!("a service of the collector has ended: {ended:?}")
            }
        }
    }

    /// Takes no more spans, answers the requests under way, and closes what is open on disk. Returns how
    /// many traces are open; they are in the log, and assembled on after the next start.
    ///
    /// # Errors
    ///
    /// If the log cannot be closed in order; what was acknowledged is safe all the same.
    pub async fn stop(mut self) -> Result<usize, String> {
        self.pipeline.set_stage(Stage::Stopping);
        self.stop_intake.send_replace(true);
        let drained = async { while self.intake.join_next().await.is_some() {} };
        if timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("connections are closed with requests under way");
            self.intake.shutdown().await;
        }
        self.others.shutdown().await;
        let Collector {
            pipeline,
            history,
            sealers,
            ..
        } = self;
        let closing = tokio::task::spawn_blocking(move || {
            sealers.stop();
            save_history(&pipeline, &history);
            release(&pipeline);
            let open = pipeline.assembly.figures(pipeline.now()).traces();
            let closed = pipeline.log.clone().close();
            closed.map(|()| open).map_err(|error| error.to_string())
        });
        closing.await.map_err(|error| error.to_string())?
    }
}

/// The ports, taken.
struct Listeners {
    grpc: TcpListener,
    http: TcpListener,
    query: TcpListener,
}

impl Listeners {
    async fn bind(config: &Config) -> Result<Self, StartError> {
        let listen = &config.listen;
        Ok(Listeners {
            grpc: bind(listen.grpc).await?,
            http: bind(listen.http).await?,
            query: bind(listen.query).await?,
        })
    }

    fn addresses(&self) -> Result<Addresses, StartError> {
        let address = |listener: &TcpListener| {
            let address = listener.local_addr();
            address.map_err(StartError::io("asking for the address of a port"))
        };
        Ok(Addresses {
            grpc: address(&self.grpc)?,
            http: address(&self.http)?,
            query: address(&self.query)?,
        })
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| StartError::Listen { address, source })
}

/// Opens everything in the data directory; blocks.
fn open(config: &Config, runtime: &Handle) -> Result<Parts, StartError> {
    let dir = &config.data.dir;
    fs::create_dir_all(dir).map_err(StartError::io(format!("making {}", dir.display())))?;
    let options = quorate_storage::Options {
        max_record_bytes: (config.intake.decompressed.as_u64() + RECORD_OVERHEAD) as usize,
        commit_interval: config.intake.commit_interval,
        ..quorate_storage::Options::default()
    };
    let log = RecordLog::open(&dir.join("log"), options, Disk::real())
        .map_err(StartError::data("the log of accepted spans"))?;
    let store =
        EmbeddedStore::open(&dir.join("store")).map_err(StartError::data("the store of traces"))?;
    let policies = Policies::new(&config.sampling.policy)
        .map_err(|error| ConfigError::Invalid(format!("sampling: {error}")))?;
    Ok(Parts {
        log,
        store: Arc::new(store),
        exports: exports(config, runtime)?,
        policies,
        history: read_history(&dir.join("history.json")),
    })
}

fn exports(config: &Config, runtime: &Handle) -> Result<Exports, StartError> {
    let mut exports = Exports::default();
    if let Some(wanted) = &config.forward {
        let protocol = match wanted.protocol {
            ForwardProtocol::Grpc => forward::Protocol::Grpc,
            ForwardProtocol::Http => forward::Protocol::Http,
        };
        let forward = forward::Config {
            gzip: wanted.gzip,
            headers: wanted.headers.clone().into_iter().collect(),
            queue_bytes: wanted.queue.as_u64(),
            ..forward::Config::new(&wanted.endpoint, protocol)
        };
        let forwarder = Forwarder::open(&config.data.dir.join("forward"), forward, runtime)
            .map_err(StartError::data("forwarding"))?;
        exports.forward_to(forwarder);
    }
    #[cfg(feature = "parquet")]
    if let Some(wanted) = &config.archive {
        use quorate_export::archive::{self, Archive};
        let archive = archive::Config {
            file_bytes: wanted.file_size.as_u64(),
            file_age: wanted.file_age,
            queue_bytes: wanted.queue.as_u64(),
            ..archive::Config::default()
        };
        let archive = Archive::open(
            &config.data.dir.join("archive"),
            &wanted.url,
            archive,
            runtime,
        )
        .map_err(StartError::data("archiving"))?;
        exports.archive_in(archive);
    }
    Ok(exports)
}

/// The history is a help, not a record: without it latencies are learnt anew.
fn read_history(path: &Path) -> History {
    let Ok(text) = fs::read(path) else {
        return History::default();
    };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::warn!(path = %path.display(), %error, "the history of latencies is learnt anew");
        History::default()
    })
}

/// Saves through a second file, so that a crash leaves the old or the new one.
fn save_history(pipeline: &Pipeline, path: &Path) {
    let history = Arc::clone(&pipeline.history.read());
    let written = serde_json::to_vec(&*history)
        .map_err(io::Error::other)
        .and_then(|text| fs::write(path.with_extension("new"), text))
        .and_then(|()| fs::rename(path.with_extension("new"), path));
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "the history of latencies is not saved");
    }
}

fn intake_options(pipeline: &Pipeline) -> Result<Options, StartError> {
    let intake = &pipeline.config.intake;
    let origins = intake.cors_origins.iter().map(String::as_str);
    let cors = if intake.cors_origins.is_empty() {
        None
    } else {
        let cors = Cors::new(origins);
        Some(cors.map_err(|error| ConfigError::Invalid(format!("intake.cors_origins: {error}")))?)
    };
    Ok(Options {
        limits: Limits {
            message_bytes: intake.message.as_u64() as usize,
            decompressed_bytes: intake.decompressed.as_u64() as usize,
            buffered_bytes: intake.buffered.as_u64() as usize,
            wire: wire::Limits {
                attributes: intake.attributes,
                nesting: intake.nesting,
            },
            connections: intake.connections,
            header_timeout: intake.timeout,
            body_timeout: intake.timeout,
            drain_timeout: DRAIN,
            ..Limits::default()
        },
        cors,
        stats: Arc::clone(&pipeline.intake),
    })
}

async fn serve_queries(listener: TcpListener, pipeline: Arc<Pipeline>) {
    let answers = Arc::new(Answers::new(Arc::clone(&pipeline)));
    let app = operation::router(pipeline).merge(quorate_query::router(
        answers,
        quorate_query::Limits::default(),
    ));
    let listener = listener.tap_io(|stream| {
        // Without it small answers wait for the acknowledgement of earlier ones.
        let _ = stream.set_nodelay(true);
    });
    if let Err(error) = axum::serve(listener, app).await {
        tracing::error!(%error, "queries can no longer be answered");
    }
}

/// Lets the log forget what is in the store, and watches the disk.
async fn keep_up(pipeline: Arc<Pipeline>) {
    let mut ticks = interval(UPKEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        release(&pipeline);
        pipeline.disk.look();
    }
}

fn release(pipeline: &Pipeline) {
    pipeline.log.release(REQUESTS, pipeline.positions.settled());
}

/// Forgets old traces, and saves the history.
async fn retain(pipeline: Arc<Pipeline>, history: PathBuf) {
    let mut ticks = interval(RETENTION);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (pipeline, history) = (Arc::clone(&pipeline), history.clone());
        let work = tokio::task::spawn_blocking(move || {
            let store = &pipeline.config.store;
            let retention = Retention {
                max_age: store.max_age,
                max_bytes: store.max_size.as_u64(),
            };
            match pipeline.store.expire(&retention) {
                Ok(expired) => drop(pipeline.metrics.traces_expired.inc_by(expired.traces)),
                Err(error) => tracing::error!(%error, "old traces cannot be forgotten"),
            }
            save_history(&pipeline, &history);
        });
        if let Err(error) = work.await {
            tracing::error!(%error, "forgetting old traces has failed");
        }
    }
}

/// The threads that seal.
struct Sealers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Sealers {
    fn start(pipeline: &Arc<Pipeline>) -> Result<Self, StartError> {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..pipeline.config.assembly.sealers).map(|number| {
            let (pipeline, stop) = (Arc::clone(pipeline), Arc::clone(&stop));
            std::thread::Builder::new()
                .name(format!("sealer-{number}"))
                .spawn(move || seal::run(&pipeline, &stop))
                .map_err(StartError::io("starting a thread"))
        });
        Ok(Sealers {
            threads: threads.collect::<Result<_, _>>()?,
            stop,
        })
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a sealer has panicked; its traces are in the log");
            }
        }
    }
}
