//! `quorate collector`: takes spans, assembles traces, and answers questions about them.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use quorate_collector::{Collector, Config, ConfigError, DOCUMENTED, StartError};
use tokio::runtime::Builder;

use super::node::Signals;
use crate::outcome::{Failure, Outcome};

/// Options of `quorate collector`.
#[derive(Debug, Args)]
#[command(after_help = HELP, args_conflicts_with_subcommands = true)]
pub(crate) struct CollectorArgs {
    #[command(subcommand)]
    action: Option<Action>,

    /// The configuration, in TOML. Without it everything has its default.
    #[arg(long, value_name = "FILE", env = "QUORATE_COLLECTOR_CONFIG")]
    config: Option<PathBuf>,

    /// Where to keep data, in place of the configuration's `data.dir`.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Where to take OTLP over gRPC, in place of `listen.grpc`.
    #[arg(long, value_name = "ADDRESS")]
    grpc: Option<SocketAddr>,

    /// Where to take OTLP over HTTP, in place of `listen.http`.
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,

    /// Where to answer queries and serve the web page, in place of `listen.query`.
    #[arg(long, value_name = "ADDRESS")]
    query: Option<SocketAddr>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print or check a configuration.
    #[command(subcommand)]
    Config(ConfigAction),
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Print a configuration with every key, its default and what it means.
    Print,
    /// Check a file; says what is wrong and where.
    Check {
        /// The file.
        file: PathBuf,
    },
}

const HELP: &str = "\
Point any OpenTelemetry SDK at it: OTLP over gRPC on port 4317, over HTTP on port 4318. Look at traces at
http://127.0.0.1:16686, with Grafana's Jaeger data source at the same address, or its Tempo data source at
http://127.0.0.1:16686/tempo.

A client is answered when its spans are on disk. SIGTERM or SIGINT stop the collector in good order; traces
that are open stay in its log and are assembled on after the next start. Exit status 74 means that the disk
failed.

Examples:
  quorate collector
  quorate collector --data /var/lib/quorate --grpc 0.0.0.0:4317 --http 0.0.0.0:4318
  quorate collector config print > collector.toml
  quorate collector config check collector.toml
  quorate collector --config collector.toml";

impl CollectorArgs {
    /// Runs the collector until it is stopped.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        if let Some(Action::Config(action)) = self.action {
            return action.run();
        }
        let config = self.configuration().map_err(usage)?;
        let runtime = Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(Failure::local("starting the runtime"))?;
        runtime.block_on(serve(config))
    }

    fn configuration(self) -> Result<Config, ConfigError> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        let listen = &mut config.listen;
        listen.grpc = self.grpc.unwrap_or(listen.grpc);
        listen.http = self.http.unwrap_or(listen.http);
        listen.query = self.query.unwrap_or(listen.query);
        if let Some(dir) = self.data {
            config.data.dir = dir;
        }
        config.check()?;
        Ok(config)
    }
}

impl ConfigAction {
    fn run(self) -> Result<Outcome, Failure> {
        match self {
            ConfigAction::Print => {
                let written = io::stdout().write_all(DOCUMENTED.as_bytes());
                written.map_err(Failure::local("writing to standard output"))?;
            }
            ConfigAction::Check { file } => {
                Config::read(&file).map_err(usage)?;
                eprintln!("quorate: {} is in order", file.display());
            }
        }
        Ok(Outcome::Holds)
    }
}

async fn serve(config: Config) -> Result<Outcome, Failure> {
    let mut signals = Signals::new().map_err(Failure::local("listening to signals"))?;
    let data = config.data.dir.clone();
    let mut collector = Collector::start(config).await.map_err(refusal)?;
    let addresses = collector.addresses();
    eprintln!(
        "quorate: the collector is ready: OTLP/gRPC on {}, OTLP/HTTP on http://{}/v1/traces,\n\
         quorate: traces at http://{}, data in {}",
        addresses.grpc,
        addresses.http,
        addresses.query,
        data.display()
    );
    tokio::select! {
        () = signals.next() => {}
        why = collector.ended() => return Err(Failure::Fault(why)),
    }
    tokio::select! {
        saved = collector.stop() => match saved {
            Ok(open) if open > 0 => eprintln!(
                "quorate: the collector has stopped; {open} open traces go on after the next start"
            ),
            Ok(_) => eprintln!("quorate: the collector has stopped"),
            Err(error) => return Err(Failure::Fault(error)),
        },
        () = signals.next() => eprintln!("quorate: the collector stops at once"),
    }
    Ok(Outcome::Holds)
}

fn usage(error: ConfigError) -> Failure {
    match error {
        ConfigError::Read { path, source } => Failure::Local {
            attempt: format!("reading {}", path.display()),
            source,
        },
        ConfigError::Parse { .. } | ConfigError::Invalid(_) => Failure::Usage(error.to_string()),
    }
}

fn refusal(error: StartError) -> Failure {
    match error {
        StartError::Config(error) => usage(error),
        StartError::Listen { address, source } => Failure::Local {
            attempt: format!("listening on {address}"),
            source,
        },
        StartError::Io { attempt, source } => Failure::Local { attempt, source },
        StartError::Data(problem) => Failure::Fault(problem),
    }
}
