//! A node: one record log, one connection to every peer, and on them as many protocol groups as you like.
//!
//! ```text
//! group 1: Raft     ─┐                        ┌─► record log (one write and one sync for all of them)
//! group 2: Paxos    ─┼─ one driver for each ──┤
//! group 3: your own ─┘                        └─► transport  (one stream to every peer)
//! ```
//!
//! What the groups run need not have anything in common: a [`Machine`](crate::Machine) is all that the
//! driver knows of any of them. A group has the same number on all nodes.

mod error;
mod options;
mod running;

pub use error::{GroupError, NodeError};
pub use options::{Member, NodeOptions};
pub use running::Running;

use crate::{GroupId, NodeId};
use parking_lot::Mutex;
use quorate_driver::{DrivenMachine, DriverConfig, Handle};
use quorate_storage::{Disk, Options as LogOptions, RecordLog, StorageError};
use quorate_transport::{PeerConfig, Transport};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::service::Routes;

/// Requests that a client's connection may have under way; more wait at the client.
const STREAMS_MAX: u32 = 4096;

/// A node that takes part in groups. Cheap to clone; the clones are one node.
///
/// It runs until [`Node::shutdown`]; dropping it does not stop it. A disk that fails ends the process: a
/// node that cannot write must not go on promising.
///
/// ```
/// use quorate::{GroupId, Index, Node, NodeId, NodeOptions, Replica, StateMachine, Tuning};
/// # #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
/// # struct Count(u64);
/// # impl StateMachine for Count {
/// #     type Command = u64;
/// #     type Query = ();
/// #     type Response = u64;
/// #     fn apply(&mut self, _: Index, add: &u64) -> u64 {
/// #         self.0 += add;
/// #         self.0
/// #     }
/// #     fn query(&self, (): &()) -> u64 {
/// #         self.0
/// #     }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let data = tempfile::tempdir()?;
/// let alone = [(NodeId(1), "127.0.0.1:0")];
/// let node = Node::open(NodeOptions::new("example", NodeId(1), alone, data.path())).await?;
/// // Two groups that share the node's log and its connections.
/// let apples = Replica::start(&node, GroupId(1), Tuning::default(), Count(0))?;
/// let pears = Replica::start(&node, GroupId(2), Tuning::default(), Count(0))?;
/// node.connect();
/// # drop((apples, pears));
/// node.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    options: NodeOptions,
    log: RecordLog,
    transport: Transport,
    /// Taken by [`Node::connect`].
    listener: Mutex<Option<TcpListener>>,
    groups: Mutex<Groups>,
}

/// What ends with the node.
#[derive(Default)]
struct Groups {
    /// How to stop each of the groups.
    stops: BTreeMap<GroupId, Stop>,
    peers: Option<Peers>,
    stopped: bool,
}

type Stop = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// The server that peers connect to. Dropping `stop` ends it.
struct Peers {
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Node {
    /// Opens the record log and this node's address for peers. Nobody is connected before
    /// [`Node::connect`].
    ///
    /// # Errors
    ///
    /// See [`NodeError`].
    pub async fn open(options: NodeOptions) -> Result<Self, NodeError> {
        let address = options.check()?;
        let listening = TcpListener::bind(address).await;
        let listener = listening.map_err(|source| NodeError::Listen {
            address: address.to_owned(),
            source,
        })?;
        Self::open_on(listener, options)
    }

    /// The same with a listener that the caller has opened, for peers to connect to.
    ///
    /// # Errors
    ///
    /// See [`NodeError`].
    pub fn open_on(listener: TcpListener, options: NodeOptions) -> Result<Self, NodeError> {
        options.check()?;
        let log = RecordLog::open(&options.data, LogOptions::default(), Disk::real())?;
        let peers = options.members.iter();
        let peers = peers.map(|(id, member)| (*id, member.peer.clone()));
        let transport = Transport::new(PeerConfig::new(
            options.cluster.clone(),
            options.id,
            peers.collect(),
        ));
        Ok(Node(Arc::new(Inner {
            options,
            log,
            transport,
            listener: Mutex::new(Some(listener)),
            groups: Mutex::default(),
        })))
    }

    /// Starts this node's part of `group` from its durable records.
    ///
    /// `outputs` is called with every output, as it is let go, on the driver's task: it must not block. It is
    /// dropped when the group stops. Reads the group's records before it returns, so it may block; must
    /// be called within a tokio runtime. Start all groups before [`Node::connect`]: messages for a group
    /// that does not run are dropped.
    ///
    /// # Errors
    ///
    /// See [`GroupError`].
    pub fn spawn<M: DrivenMachine>(
        &self,
        group: GroupId,
        config: M::Config,
        outputs: impl FnMut(M::Output) + Send + 'static,
    ) -> Result<Handle<M>, GroupError> {
        self.spawn_recovered(group, config, |_| outputs)
    }

    /// The same for who has to know what was recovered: `recovered` is shown what the group's durable
    /// records come to, and makes the callback for outputs.
    ///
    /// # Errors
    ///
    /// See [`GroupError`].
    pub fn spawn_recovered<M: DrivenMachine, O: FnMut(M::Output) + Send + 'static>(
        &self,
        group: GroupId,
        config: M::Config,
        recovered: impl FnOnce(&M::Durable) -> O,
    ) -> Result<Handle<M>, GroupError> {
        let options = &self.0.options;
        let mut groups = self.0.groups.lock();
        if groups.stopped {
            return Err(GroupError::Stopped);
        }
        if groups.stops.contains_key(&group) {
            return Err(GroupError::Runs(group));
        }
        let driver = DriverConfig {
            tick: options.tick,
            event_log: options.event_log.clone(),
            ..DriverConfig::new(group)
        };
        let (log, transport) = (self.0.log.clone(), self.0.transport.clone());
        let handle =
            quorate_driver::spawn_recovered::<M, O>(driver, config, log, transport, recovered)?;
        let stopping = handle.clone();
        let stop: Stop = Box::new(move || Box::pin(stopping.clone().shutdown()));
        groups.stops.insert(group, stop);
        Ok(handle)
    }

    /// Starts this node's part of `group`, and keeps its outputs for [`Running::next`], up to `outputs`
    /// of them. A group whose application falls further behind stops: it must neither skip an output nor
    /// collect them for ever.
    ///
    /// # Errors
    ///
    /// See [`GroupError`].
    pub fn run<M: DrivenMachine>(
        &self,
        group: GroupId,
        config: M::Config,
        outputs: usize,
    ) -> Result<Running<M>, GroupError> {
        Running::start(self, group, config, outputs)
    }

    /// Lets peers connect, and connects to them as they come up. Must be called within a tokio runtime; a
    /// second call changes nothing.
    pub fn connect(&self) {
        let mut groups = self.0.groups.lock();
        let Some(listener) = self.0.listener.lock().take() else {
            return;
        };
        if groups.stopped {
            return;
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = quorate_transport::server()
            .add_service(self.0.transport.service())
            .serve_with_incoming_shutdown(quorate_transport::incoming(listener), async {
                // An error means the same: whoever could say so is gone.
                let _ = stopped.await;
            });
        let server = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "peers cannot connect any more");
            }
        });
        groups.peers = Some(Peers { stop, server });
        self.0.transport.dial();
    }

    /// This node.
    pub fn id(&self) -> NodeId {
        self.0.options.id
    }

    /// What the node was opened with.
    pub fn options(&self) -> &NodeOptions {
        &self.0.options
    }

    /// The record log that all groups share, for records of an application's own under groups that no
    /// machine uses. A batch is durable only with all that were appended before it, of whichever group: what
    /// is appended before a machine is told of it is durable before the machine's promise leaves, by the
    /// same sync.
    pub fn log(&self) -> &RecordLog {
        &self.0.log
    }

    /// The node's connections, for their counters.
    pub fn transport(&self) -> &Transport {
        &self.0.transport
    }

    /// Stops all groups in good order: what is under way to the disk gets there, and what waited for it is
    /// released. Then connections and data directory are given up.
    ///
    /// # Errors
    ///
    /// If the disk has failed.
    pub async fn shutdown(self) -> Result<(), StorageError> {
        let (stops, peers) = {
            let mut groups = self.0.groups.lock();
            groups.stopped = true;
            (std::mem::take(&mut groups.stops), groups.peers.take())
        };
        let stops = stops.into_values().map(|stop| tokio::spawn(stop()));
        for stopped in stops.collect::<Vec<_>>() {
            // An error means that a machine panicked, which was reported where it happened.
            let _ = stopped.await;
        }
        self.0.transport.shutdown();
        if let Some(Peers { stop, server }) = peers {
            drop(stop);
            let _ = server.await;
        }
        let log = self.0.log.clone();
        // Closing waits for the log's thread.
        let closed = tokio::task::spawn_blocking(move || log.close()).await;
        closed.unwrap_or(Ok(()))
    }
}

/// Serves `services` to the clients that connect to `listener`, until `stop` is ready and the requests
/// under way have been answered.
///
/// # Errors
///
/// If connections can no longer be accepted.
pub async fn serve_clients(
    services: Routes,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    quorate_transport::server()
        .max_concurrent_streams(Some(STREAMS_MAX))
        .add_routes(services)
        .serve_with_incoming_shutdown(quorate_transport::incoming(listener), stop)
        .await
}
