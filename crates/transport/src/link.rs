//! One peer: the queue towards it, its counters, and which of its connections is the current one.
//!
//! What tasks and threads share of it is an [`Outbox`]: queue and connections. The stream that HTTP/2
//! reads frames from takes them there.

use crate::config::{Limits, PACKET_OVERHEAD};
use crate::frame::{Frame, Hello};
use crate::proto::{self, Packet};
use bytes::Bytes;
use quorate_handoff::{Connection, Outbox, OutboxLimits, Refused};
use quorate_machine::{GroupId, NodeId};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;
use tokio_stream::Stream;

/// One peer as this node sees it.
pub(crate) struct Link {
    pub(crate) peer: NodeId,
    pub(crate) counters: Counters,
    limits: Limits,
    outbox: Outbox<Packet>,
    complaint: Mutex<Complaint>,
}

/// What happened between this node and one peer since the start.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) dropped_full: AtomicU64,
    pub(crate) dropped_disconnected: AtomicU64,
    pub(crate) dropped_oversize: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) unknown_group: AtomicU64,
    pub(crate) failures: AtomicU64,
    connections: AtomicU64,
}

/// A copy of a peer's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerStats {
    /// Messages handed to the connection.
    pub sent: u64,
    /// Messages received, whether or not anyone wanted them.
    pub received: u64,
    /// Messages not sent because the queue was full: the peer, or the way to it, is too slow.
    pub dropped_full: u64,
    /// Messages not sent because the peer was not connected.
    pub dropped_disconnected: u64,
    /// Messages not sent because they exceed the limit on messages.
    pub dropped_oversize: u64,
    /// Frames and messages of the peer that did not parse or were too long.
    pub malformed: u64,
    /// Messages of the peer for groups that this node does not run.
    pub unknown_group: u64,
    /// Attempts of this node to connect to the peer that failed, and connections that broke.
    pub failures: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// Whether messages can be sent now.
    pub connected: bool,
}

impl Link {
    pub(crate) fn new(peer: NodeId, limits: Limits) -> Arc<Self> {
        Arc::new(Link {
            peer,
            limits,
            counters: Counters::default(),
            outbox: Outbox::new(OutboxLimits {
                frame_bytes: limits.frame_bytes,
                queue_bytes: limits.queue_bytes,
                queue_messages: limits.queue_messages,
            }),
            complaint: Mutex::new(Complaint::default()),
        })
    }

    /// Queues a message, or drops and counts it.
    pub(crate) fn send(&self, group: GroupId, payload: Bytes) {
        let bytes = payload.len() + PACKET_OVERHEAD;
        if payload.len() > self.limits.message_bytes {
            self.counters.dropped_oversize.fetch_add(1, Relaxed);
            self.complain(|| {
                format!(
                    "a message of {} bytes for {group} exceeds the limit of {}, dropped",
                    payload.len(),
                    self.limits.message_bytes
                )
            });
            return;
        }
        let packet = Packet {
            group: group.0,
            payload,
        };
        match self.outbox.push(packet, bytes) {
            Ok(()) => {}
            Err(Refused::Disconnected) => {
                self.counters.dropped_disconnected.fetch_add(1, Relaxed);
            }
            Err(Refused::Full) => {
                self.counters.dropped_full.fetch_add(1, Relaxed);
            }
        }
    }

    /// A new connection, which replaces any older one. It starts with `hello` and sends nothing else
    /// until it is established. `None` after [`Link::close`].
    pub(crate) fn open(self: &Arc<Self>, hello: Hello) -> Option<Outgoing> {
        let connection = self.outbox.open()?;
        Some(Outgoing {
            link: self.clone(),
            connection,
            hello: Some(hello),
        })
    }

    /// Both hellos of `connection` were accepted: its queue, empty, takes messages. `reader` is
    /// stopped when the connection is replaced. False if that has happened already.
    pub(crate) fn establish(&self, connection: Connection, reader: Option<AbortHandle>) -> bool {
        let reader = reader.map(|task| Box::new(move || task.abort()) as _);
        let established = self.outbox.establish(connection, reader);
        if established {
            self.counters.connections.fetch_add(1, Relaxed);
        }
        established
    }

    /// Hands on what `connection` has received; false if it has been replaced.
    pub(crate) fn receive(&self, connection: Connection, deliver: impl FnOnce()) -> bool {
        self.outbox.receive(connection, deliver)
    }

    /// Ends `connection` if it is still the newest. Called by its reader.
    pub(crate) fn lost(&self, connection: Connection) {
        self.outbox.lost(connection);
    }

    /// Ends the newest connection, for good.
    pub(crate) fn close(&self) {
        self.outbox.close();
    }

    /// Logs what is wrong with the peer, at most once a second.
    pub(crate) fn complain(&self, what: impl FnOnce() -> String) {
        let mut complaint = self
            .complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if complaint.not_before.is_some_and(|then| now < then) {
            complaint.withheld += 1;
            return;
        }
        let withheld = std::mem::take(&mut complaint.withheld);
        complaint.not_before = Some(now + Duration::from_secs(1));
        drop(complaint);
        tracing::warn!(peer = %self.peer, withheld, "{}", what());
    }

    pub(crate) fn stats(&self) -> PeerStats {
        let counters = &self.counters;
        PeerStats {
            sent: counters.sent.load(Relaxed),
            received: counters.received.load(Relaxed),
            dropped_full: counters.dropped_full.load(Relaxed),
            dropped_disconnected: counters.dropped_disconnected.load(Relaxed),
            dropped_oversize: counters.dropped_oversize.load(Relaxed),
            malformed: counters.malformed.load(Relaxed),
            unknown_group: counters.unknown_group.load(Relaxed),
            failures: counters.failures.load(Relaxed),
            reconnects: counters.connections.load(Relaxed).saturating_sub(1),
            connected: self.outbox.is_established(),
        }
    }
}

/// Limits how often one peer's faults are logged.
#[derive(Default)]
struct Complaint {
    not_before: Option<Instant>,
    withheld: u64,
}

/// The frames of one connection, in order; ends when the connection is replaced or lost.
pub(crate) struct Outgoing {
    link: Arc<Link>,
    connection: Connection,
    hello: Option<Hello>,
}

impl Outgoing {
    pub(crate) fn connection(&self) -> Connection {
        self.connection
    }
}

impl Stream for Outgoing {
    type Item = proto::Frame;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<proto::Frame>> {
        if let Some(hello) = self.hello.take() {
            return Poll::Ready(Some(Frame::Hello(hello).into()));
        }
        let Some(packets) = ready!(self.link.outbox.poll_frame(self.connection, cx)) else {
            return Poll::Ready(None);
        };
        let sent = &self.link.counters.sent;
        sent.fetch_add(packets.len() as u64, Relaxed);
        Poll::Ready(Some(Frame::Packets(packets).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use tokio_stream::StreamExt;

    const GROUP: GroupId = GroupId(1);

    fn link(limits: Limits) -> (Arc<Link>, Outgoing) {
        let link = Link::new(NodeId(2), limits);
        let mut outgoing = link.open(hello()).unwrap();
        outgoing.hello = None;
        (link, outgoing)
    }

    fn take(outgoing: &mut Outgoing) -> Option<Vec<usize>> {
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(outgoing).poll_next(&mut cx) {
            Poll::Ready(frame) => {
                frame.map(|f| f.packets.iter().map(|p| p.payload.len()).collect())
            }
            Poll::Pending => Some(Vec::new()),
        }
    }

    #[test]
    fn a_burst_is_one_frame_until_it_is_full() {
        let (link, mut outgoing) = link(Limits {
            frame_bytes: 3 * (100 + PACKET_OVERHEAD),
            ..Limits::default()
        });
        assert!(link.establish(outgoing.connection(), None));
        for bytes in [100, 100, 100, 100, 5000, 100] {
            link.send(GROUP, Bytes::from(vec![0; bytes]));
        }
        assert_eq!(take(&mut outgoing), Some(vec![100; 3]));
        assert_eq!(take(&mut outgoing), Some(vec![100]));
        assert_eq!(take(&mut outgoing), Some(vec![5000]));
        assert_eq!(take(&mut outgoing), Some(vec![100]));
        assert_eq!(take(&mut outgoing), Some(vec![]));
        assert_eq!(link.stats().sent, 6);
    }

    #[test]
    fn a_full_queue_drops_and_counts_until_there_is_room() {
        let (link, mut outgoing) = link(Limits {
            queue_messages: 2,
            queue_bytes: 1000,
            ..Limits::default()
        });
        assert!(link.establish(outgoing.connection(), None));
        for _ in 0..5 {
            link.send(GROUP, Bytes::new());
        }
        assert_eq!(link.stats().dropped_full, 3);
        assert_eq!(take(&mut outgoing), Some(vec![0, 0]));
        link.send(GROUP, Bytes::from(vec![0; 900]));
        link.send(GROUP, Bytes::from(vec![0; 100]));
        assert_eq!(link.stats().dropped_full, 4);
        assert_eq!(take(&mut outgoing), Some(vec![900]));
    }

    #[test]
    fn oversize_messages_are_dropped_and_counted() {
        let (link, mut outgoing) = link(Limits {
            message_bytes: 10,
            ..Limits::default()
        });
        assert!(link.establish(outgoing.connection(), None));
        link.send(GROUP, Bytes::from(vec![0; 11]));
        link.send(GROUP, Bytes::from(vec![0; 10]));
        assert_eq!(link.stats().dropped_oversize, 1);
        assert_eq!(take(&mut outgoing), Some(vec![10]));
    }

    #[test]
    fn a_new_connection_ends_the_old_one_and_starts_empty() {
        let (link, mut old) = link(Limits::default());
        link.send(GROUP, Bytes::new()); // not established yet
        assert_eq!(link.stats().dropped_disconnected, 1);
        assert!(link.establish(old.connection(), None));
        link.send(GROUP, Bytes::new());

        let mut new = link.open(hello()).unwrap();
        assert_eq!(take(&mut old), None);
        link.lost(old.connection()); // too late to matter
        assert!(!link.establish(old.connection(), None));
        assert!(link.establish(new.connection(), None));
        assert!(new.hello.take().is_some());
        assert_eq!(take(&mut new), Some(vec![]));
        assert_eq!(link.stats().reconnects, 1);
    }

    fn hello() -> Hello {
        Hello {
            cluster: String::new(),
            from: NodeId(1),
            to: NodeId(2),
            versions: 1..=1,
        }
    }

    #[tokio::test]
    async fn a_waiting_connection_is_woken_by_a_message_and_by_its_end() {
        let (link, mut outgoing) = link(Limits::default());
        assert!(link.establish(outgoing.connection(), None));
        let reader = tokio::spawn(async move {
            let first = outgoing.next().await.map(|frame| frame.packets.len());
            (first, outgoing.next().await)
        });
        tokio::task::yield_now().await;
        link.send(GROUP, Bytes::new());
        tokio::task::yield_now().await;
        link.close();
        assert_eq!(reader.await.unwrap(), (Some(1), None));
        assert!(link.open(hello()).is_none(), "closed for good");
    }
}
