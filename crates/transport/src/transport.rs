//! The transport's handle, and what happens to what arrives.

use crate::config::PeerConfig;
use crate::frame::{Frame, Hello, PROTOCOL_VERSIONS};
use crate::link::{Link, PeerStats};
use crate::{Malformed, dial, proto, serve};
use bytes::Bytes;
use quorate_handoff::Connection;
use quorate_machine::{GroupId, NodeId};
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::task::AbortHandle;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;
use tonic::{Code, Status, Streaming};

/// Takes the messages of one group.
pub trait Inbound: Send + Sync + 'static {
    /// A message arrived from `from`. Called on the connection's task: it must not block.
    ///
    /// A message that does not parse is counted and logged as the fault of `from`, and dropped.
    fn receive(&self, from: NodeId, payload: Bytes) -> Result<(), Malformed>;
}

/// This node's connections to its peers. Cheap to clone; the clones are one transport.
#[derive(Clone)]
pub struct Transport(Arc<Shared>);

type Groups = HashMap<GroupId, Arc<dyn Inbound>>;

pub(crate) struct Shared {
    pub(crate) config: PeerConfig,
    links: BTreeMap<NodeId, Arc<Link>>,
    /// Replaced as a whole when a group comes or goes, so that a reader locks once a frame.
    groups: RwLock<Arc<Groups>>,
    dialers: Mutex<Vec<AbortHandle>>,
    stopped: AtomicBool,
}

impl Transport {
    /// A transport without connections: [`Transport::dial`] makes some, [`Transport::service`]
    /// accepts the others.
    pub fn new(config: PeerConfig) -> Self {
        let links = config
            .peers
            .keys()
            .filter(|peer| **peer != config.me)
            .map(|&peer| (peer, Link::new(peer, config.limits)))
            .collect();
        Transport(Arc::new(Shared {
            config,
            links,
            groups: RwLock::default(),
            dialers: Mutex::default(),
            stopped: AtomicBool::new(false),
        }))
    }

    /// This node.
    pub fn me(&self) -> NodeId {
        self.0.config.me
    }

    /// Hands the messages of `group` to `inbound` from now on.
    pub fn register(&self, group: GroupId, inbound: Arc<dyn Inbound>) {
        self.0.change_groups(|groups| {
            groups.insert(group, inbound);
        });
    }

    /// Drops the messages of `group` from now on.
    pub fn unregister(&self, group: GroupId) {
        self.0.change_groups(|groups| {
            groups.remove(&group);
        });
    }

    /// Queues a message for the group's part on node `to`. Never waits: a message that cannot be
    /// queued is dropped and counted. One to this node itself, or to a node that is no peer, is a
    /// fault of the caller; it is logged and dropped.
    pub fn send(&self, to: NodeId, group: GroupId, payload: Bytes) {
        match self.0.links.get(&to) {
            Some(link) => link.send(group, payload),
            None => tracing::error!(%to, %group, "a message to a node that is no peer, dropped"),
        }
    }

    /// The gRPC service at which peers with lower ids connect; add it to a [`server`](crate::server).
    pub fn service(
        &self,
    ) -> impl Service<
        http::Request<Body>,
        Response = http::Response<Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + NamedService
    + Clone
    + Send
    + Sync
    + use<> {
        serve::service(self.0.clone())
    }

    /// Connects to the peers with higher ids, and connects again whenever a connection is lost, until
    /// [`Transport::shutdown`]. Must be called within a tokio runtime; a second call changes nothing.
    pub fn dial(&self) {
        let mut dialers = self.0.dialers();
        if !dialers.is_empty() || self.0.stopped.load(Ordering::SeqCst) {
            return;
        }
        for link in self.0.links.values().filter(|link| link.peer > self.me()) {
            let task = tokio::spawn(dial::keep_connected(self.0.clone(), link.clone()));
            dialers.push(task.abort_handle());
        }
    }

    /// Ends all connections and makes no more. Queued messages are lost.
    pub fn shutdown(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        for dialer in self.0.dialers().drain(..) {
            dialer.abort();
        }
        for link in self.0.links.values() {
            link.close();
        }
        self.0.change_groups(Groups::clear);
    }

    /// The counters of every peer.
    pub fn stats(&self) -> BTreeMap<NodeId, PeerStats> {
        let links = self.0.links.iter();
        links.map(|(&peer, link)| (peer, link.stats())).collect()
    }
}

impl Shared {
    pub(crate) fn link(&self, peer: NodeId) -> Option<&Arc<Link>> {
        self.links.get(&peer)
    }

    /// What this node says first to `peer`.
    pub(crate) fn hello(&self, peer: NodeId) -> Hello {
        Hello {
            cluster: self.config.cluster.clone(),
            from: self.config.me,
            to: peer,
            versions: PROTOCOL_VERSIONS,
        }
    }

    /// Hands on what `link`'s peer sends on `connection`, until it ends or another replaces it; returns
    /// why, if it was an error.
    pub(crate) async fn read(
        &self,
        link: &Link,
        connection: Connection,
        mut frames: Streaming<proto::Frame>,
    ) -> Result<(), Status> {
        loop {
            match frames.message().await {
                Ok(Some(frame)) => {
                    if !link.receive(connection, || self.deliver(link, frame)) {
                        return Ok(());
                    }
                }
                Ok(None) => return Ok(()),
                Err(status) => {
                    // The codes with which tonic reports a frame that does not parse or is too
                    // long; where the next frame begins is then unknown.
                    if matches!(status.code(), Code::Internal | Code::OutOfRange) {
                        malformed(link, status.message());
                    }
                    return Err(status);
                }
            }
        }
    }

    fn deliver(&self, link: &Link, frame: proto::Frame) {
        let packets = match Frame::try_from(frame) {
            Ok(Frame::Packets(packets)) => packets,
            Ok(Frame::Hello(_)) => return malformed(link, "a second hello"),
            Err(error) => return malformed(link, error),
        };
        let count = packets.len() as u64;
        link.counters.received.fetch_add(count, Ordering::Relaxed);
        let groups = self
            .groups
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for packet in packets {
            if packet.payload.len() > self.config.limits.message_bytes {
                malformed(link, format_args!("{} bytes", packet.payload.len()));
                continue;
            }
            let group = GroupId(packet.group);
            let Some(inbound) = groups.get(&group) else {
                let unknown = &link.counters.unknown_group;
                unknown.fetch_add(1, Ordering::Relaxed);
                link.complain(|| {
                    format!("a message for {group}, which does not run here, dropped")
                });
                continue;
            };
            if let Err(error) = inbound.receive(link.peer, packet.payload) {
                malformed(link, format_args!("{group}: {error}"));
            }
        }
    }

    fn dialers(&self) -> std::sync::MutexGuard<'_, Vec<AbortHandle>> {
        self.dialers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_groups(&self, change: impl FnOnce(&mut Groups)) {
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Groups::clone(&groups);
        change(&mut changed);
        *groups = Arc::new(changed);
    }
}

/// Counts and logs something of the peer that does not parse.
fn malformed(link: &Link, what: impl std::fmt::Display) {
    link.counters.malformed.fetch_add(1, Ordering::Relaxed);
    link.complain(|| format!("malformed, dropped: {what}"));
}
