//! `quorate node`: one member of a cluster, with all its services.
//!
//! The process is the member: it stops when it is told to (SIGTERM, SIGINT), and when its disk fails, since
//! a member that cannot write must not go on promising.

mod config;
mod services;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use quorate::{Node, NodeError, serve_clients};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

pub(super) use self::config::NodeConfig;
use self::services::Services;
pub(super) use self::services::{FEED, GROUPS, Group, KV, REGISTERS, TRANSACTIONS};
use crate::outcome::{Failure, Outcome};

/// How long requests under way may take once the member stops.
const DRAIN: Duration = Duration::from_secs(3);

/// Options of `quorate node`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct NodeArgs {
    /// The member's configuration, in TOML.
    #[arg(long, value_name = "FILE", required_unless_present = "example_config")]
    config: Option<PathBuf>,

    /// Print a configuration with comments, to begin with.
    #[arg(long, conflicts_with = "config")]
    example_config: bool,
}

const HELP: &str = "\
Prints one line to standard error when it accepts clients. SIGTERM or SIGINT stop it in good order; a second
one at once. Exit status 74 means that the disk failed: what was acknowledged is safe on the other members.

Examples:
  quorate node --example-config > node1.toml
  quorate node --config node1.toml";

impl NodeArgs {
    /// Runs the member until it is stopped.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let Some(path) = self.config else {
            let written = io::stdout().write_all(config::EXAMPLE.as_bytes());
            written.map_err(Failure::local("writing to standard output"))?;
            return Ok(Outcome::Holds);
        };
        let config = NodeConfig::read(&path)?;
        runtime(config.threads)?.block_on(serve(config))
    }
}

/// One thread for network and protocol by default: handing work between threads costs more CPU than it
/// saves time. The record log has a thread of its own in any case.
fn runtime(threads: u16) -> Result<Runtime, Failure> {
    let mut builder = match threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder
        .worker_threads(usize::from(threads))
        .enable_all()
        .build()
        .map_err(Failure::local("starting the runtime"))
}

async fn serve(config: NodeConfig) -> Result<Outcome, Failure> {
    let mut signals = Signals::new().map_err(Failure::local("listening to signals"))?;
    // First, so that a port that is taken is known before anything is written.
    let address = &config.client_address;
    let listener = TcpListener::bind(address)
        .await
        .map_err(Failure::local(format!(
            "listening for clients on {address}"
        )))?;
    let (cluster, data) = (config.node.cluster.clone(), config.node.data.clone());
    let peer_address = config.peer_address.clone();
    let node = Node::open(config.node.clone()).await.map_err(refusal)?;
    let services = Services::start(&node, &config)?;
    node.connect();

    let (stop, stopped) = oneshot::channel::<()>();
    let mut served = tokio::spawn(serve_clients(services.routes(), listener, async {
        // An error means the same: whoever could say so is gone.
        let _ = stopped.await;
    }));
    let member = node.id().0;
    eprintln!(
        "quorate: member {member} of cluster {cluster} is ready: clients at {address}, peers at \
         {peer_address}, data in {}",
        data.display()
    );

    tokio::select! {
        () = signals.next() => {}
        name = services.stopped() => {
            return Err(Failure::Fault(format!("the {name} has stopped because of a fault")));
        }
        ended = &mut served => {
            let why = ended.map_or_else(|error| error.to_string(), |ended| format!("{ended:?}"));
            return Err(Failure::Fault(format!("clients can no longer connect: {why}")));
        }
    }
    let orderly = async {
        // The groups first: requests that wait for them are then answered, and streams end. A failure of
        // the disk has been reported where it happened, and ends the process.
        let _ = node.shutdown().await;
        let _ = stop.send(());
        // Clients that keep their connection open do not keep the member.
        let _ = tokio::time::timeout(DRAIN, served).await;
    };
    tokio::select! {
        () = orderly => eprintln!("quorate: member {member} has stopped"),
        () = signals.next() => eprintln!("quorate: member {member} stops at once"),
    }
    Ok(Outcome::Holds)
}

fn refusal(error: NodeError) -> Failure {
    match error {
        NodeError::NotAMember(_) | NodeError::SameAddress(..) => Failure::Usage(error.to_string()),
        NodeError::Listen { address, source } => Failure::Local {
            attempt: format!("listening for peers on {address}"),
            source,
        },
        NodeError::Log(_) => Failure::Fault(error.to_string()),
    }
}

/// The signals that ask a process to stop.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
