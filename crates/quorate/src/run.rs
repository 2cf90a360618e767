//! Runs a machine of one's own as a node of a real cluster.
//!
//! [`run`] puts together what a node needs: the record log in a data directory, one connection to every
//! peer, and the driver between them and the machine. What a model checker has tried in every order
//! happens here once, on a clock, a disk and a network.

use quorate_driver::{Closed, DrivenMachine, DriverConfig, Handle, StartError};
use quorate_machine::{GroupId, NodeId};
use quorate_storage::{Disk, OpenError, Options, RecordLog};
use quorate_transport::{PeerConfig, Transport};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

/// A node run by [`run`] has one machine, so one group.
const GROUP: GroupId = GroupId(1);

/// Which node of which cluster to run, and where it keeps its records.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The cluster's id; nodes of another cluster are refused.
    pub cluster: String,
    /// This node.
    pub me: NodeId,
    /// All nodes with their addresses, `host:port`. This node listens on its own.
    pub peers: BTreeMap<NodeId, String>,
    /// The directory of this node's records. No other node may use it.
    pub data: PathBuf,
    /// The length of a timer tick; ten milliseconds by default.
    pub tick: Duration,
    /// How many outputs may wait for [`Running::next`]; 65 536 by default. A node whose application
    /// falls further behind stops, since it must neither skip an output nor collect them for ever.
    pub outputs: usize,
    /// A directory in which to record every event, for [`replay`](quorate_driver::replay()).
    pub event_log: Option<PathBuf>,
}

impl RunOptions {
    /// Node `me` of `cluster`, with its records in `data` and default limits.
    pub fn new(
        cluster: impl Into<String>,
        me: NodeId,
        peers: BTreeMap<NodeId, String>,
        data: impl Into<PathBuf>,
    ) -> Self {
        RunOptions {
            cluster: cluster.into(),
            me,
            peers,
            data: data.into(),
            tick: Duration::from_millis(10),
            outputs: 64 << 10,
            event_log: None,
        }
    }
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The options contradict each other.
    #[error("{0} is not among the nodes of the cluster")]
    NotAMember(NodeId),
    /// This node's address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The records cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The records cannot be read, or are not this machine's.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// A node that runs. Dropped without [`Running::shutdown`] it stops as in a crash.
pub struct Running<M: DrivenMachine> {
    handle: Handle<M>,
    outputs: mpsc::Receiver<M::Output>,
    transport: Transport,
    log: RecordLog,
    /// Dropped, it ends the server.
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

/// Starts node `options.me` from its records and connects it to its peers, as these come up.
///
/// Must be called within a tokio runtime. A disk that fails later ends the process: a node that
/// cannot write must not go on promising.
///
/// # Errors
///
/// See [`RunError`].
pub async fn run<M: DrivenMachine>(
    options: RunOptions,
    config: M::Config,
) -> Result<Running<M>, RunError> {
    let address = options.peers.get(&options.me);
    let address = address.ok_or(RunError::NotAMember(options.me))?;
    let listening = TcpListener::bind(address).await;
    let listener = listening.map_err(|source| RunError::Listen {
        address: address.clone(),
        source,
    })?;
    let log = RecordLog::open(&options.data, Options::default(), Disk::real())?;
    let peers = PeerConfig::new(options.cluster, options.me, options.peers);
    let transport = Transport::new(peers);
    let driver = DriverConfig {
        tick: options.tick,
        event_log: options.event_log,
        ..DriverConfig::new(GROUP)
    };
    let (sender, outputs) = mpsc::channel(options.outputs.max(1));
    let overrun = Arc::new(Notify::new());
    let tell = until_full(sender, overrun.clone());
    let handle = quorate_driver::spawn::<M>(driver, config, log.clone(), transport.clone(), tell)?;
    tokio::spawn(stop_when_overrun(handle.clone(), overrun));
    let (stop, stopped) = oneshot::channel();
    let server = serve(&transport, listener, stopped);
    transport.dial();
    Ok(Running {
        handle,
        outputs,
        transport,
        log,
        stop,
        server,
    })
}

/// Hands outputs to the application; after the first that finds no room, none any more, so that what
/// the application got has no gap.
fn until_full<T: Send>(
    sender: mpsc::Sender<T>,
    overrun: Arc<Notify>,
) -> impl FnMut(T) + Send + use<T> {
    let mut sender = Some(sender);
    move |output| {
        let full = sender.as_ref().is_some_and(|sender| {
            let sent = sender.try_send(output);
            matches!(sent, Err(mpsc::error::TrySendError::Full(_)))
        });
        if full {
            sender = None;
            overrun.notify_one();
        }
    }
}

async fn stop_when_overrun<M: DrivenMachine>(handle: Handle<M>, overrun: Arc<Notify>) {
    let stopped = handle.clone();
    tokio::select! {
        () = overrun.notified() => {
            tracing::error!("the application is too far behind with outputs: the node stops");
            handle.shutdown().await;
        }
        () = stopped.stopped() => {}
    }
}

fn serve(
    transport: &Transport,
    listener: TcpListener,
    stopped: oneshot::Receiver<()>,
) -> JoinHandle<()> {
    let serving = quorate_transport::server()
        .add_service(transport.service())
        .serve_with_incoming_shutdown(quorate_transport::incoming(listener), async {
            // An error means that the node was dropped.
            let _ = stopped.await;
        });
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "peers cannot connect any more");
        }
    })
}

impl<M: DrivenMachine> Running<M> {
    /// Gives the machine a command, once there is room for it. What becomes of it, the machine's
    /// outputs tell.
    ///
    /// # Errors
    ///
    /// If the node has stopped.
    pub async fn submit(&self, command: M::Command) -> Result<(), Closed> {
        self.handle.submit(command).await
    }

    /// The next output, in the order in which the machine made them; `None` once the node has stopped.
    pub async fn next(&mut self) -> Option<M::Output> {
        self.outputs.recv().await
    }

    /// The driver's handle, to submit from elsewhere.
    pub fn handle(&self) -> Handle<M> {
        self.handle.clone()
    }

    /// Stops the node: waits for what its disk is about to hold, releases what waited for it, and
    /// closes its records and connections.
    ///
    /// # Errors
    ///
    /// If the disk failed.
    pub async fn shutdown(self) -> Result<(), quorate_storage::StorageError> {
        self.handle.shutdown().await;
        self.transport.shutdown();
        drop(self.stop);
        // An error means that the server panicked, which was reported where it happened.
        let _ = self.server.await;
        self.log.close()
    }
}
