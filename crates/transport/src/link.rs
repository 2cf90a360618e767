//! One peer: the queue towards it, its counters, and which of its connections is the current one.
//!
//! There is no sender task. The stream that a connection reads its frames from *is* the queue: when
//! HTTP/2 has room, it takes the oldest frame, and everything that was queued until then is in it. A
//! burst of messages costs one wake-up and one frame, and a slow peer is felt as a full queue.

use crate::config::{Limits, PACKET_OVERHEAD};
use crate::frame::{Frame, Hello};
use crate::proto::{self, Packet};
use bytes::Bytes;
use quorate_machine::{GroupId, NodeId};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;
use tokio_stream::Stream;

/// One peer as this node sees it.
pub(crate) struct Link {
    pub(crate) peer: NodeId,
    pub(crate) counters: Counters,
    limits: Limits,
    state: Mutex<State>,
    complaint: Mutex<Complaint>,
}

struct State {
    /// The number of the newest connection. An older one has ended, whatever TCP still believes.
    connection: u64,
    /// Both hellos of the newest connection were accepted.
    established: bool,
    /// Full frames, then the one being filled.
    frames: VecDeque<Vec<Packet>>,
    /// Bytes of the frame being filled.
    filling_bytes: usize,
    queued_bytes: usize,
    queued_messages: usize,
    /// The newest connection, if it waits for a frame.
    waiting: Option<Waker>,
    /// The task that reads the newest connection, if it must be stopped when another replaces it.
    reader: Option<AbortHandle>,
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
            state: Mutex::new(State {
                connection: 0,
                established: false,
                frames: VecDeque::new(),
                filling_bytes: 0,
                queued_bytes: 0,
                queued_messages: 0,
                waiting: None,
                reader: None,
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
        let mut state = self.state();
        if !state.established {
            self.counters.dropped_disconnected.fetch_add(1, Relaxed);
            return;
        }
        if state.queued_messages >= self.limits.queue_messages
            || state.queued_bytes + bytes > self.limits.queue_bytes
        {
            self.counters.dropped_full.fetch_add(1, Relaxed);
            return;
        }
        let packet = Packet {
            group: group.0,
            payload,
        };
        let frame_is_full = state.filling_bytes + bytes > self.limits.frame_bytes;
        match state.frames.back_mut() {
            Some(frame) if !frame_is_full => {
                frame.push(packet);
                state.filling_bytes += bytes;
            }
            _ => {
                state.frames.push_back(vec![packet]);
                state.filling_bytes = bytes;
            }
        }
        state.queued_bytes += bytes;
        state.queued_messages += 1;
        let waiting = state.waiting.take();
        drop(state);
        if let Some(connection) = waiting {
            connection.wake();
        }
    }

    /// A new connection, which replaces any older one. It starts with `hello` and sends nothing else
    /// until it is established.
    pub(crate) fn open(self: &Arc<Self>, hello: Hello) -> Outgoing {
        let mut state = self.state();
        state.end();
        Outgoing {
            link: self.clone(),
            connection: state.connection,
            hello: Some(hello),
        }
    }

    /// Both hellos of `connection` were accepted: its queue, empty, takes messages. `reader` is
    /// stopped when the connection is replaced. False if that has happened already.
    pub(crate) fn establish(&self, connection: u64, reader: Option<AbortHandle>) -> bool {
        let mut state = self.state();
        if state.connection != connection {
            return false;
        }
        state.established = true;
        state.reader = reader;
        self.counters.connections.fetch_add(1, Relaxed);
        true
    }

    /// Ends `connection` if it is still the newest.
    pub(crate) fn lost(&self, connection: u64) {
        let mut state = self.state();
        if state.connection == connection {
            // The reader is the caller; stopping it here would stop what it still has to do.
            state.reader = None;
            state.end();
        }
    }

    /// Ends the newest connection.
    pub(crate) fn close(&self) {
        self.state().end();
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
            connected: self.state().established,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned one is as good as any.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends the newest connection, drops what waits for it, and makes place for the next.
    fn end(&mut self) {
        self.connection += 1;
        self.established = false;
        self.frames.clear();
        self.filling_bytes = 0;
        self.queued_bytes = 0;
        self.queued_messages = 0;
        if let Some(reader) = self.reader.take() {
            reader.abort();
        }
        if let Some(connection) = self.waiting.take() {
            connection.wake();
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
    connection: u64,
    hello: Option<Hello>,
}

impl Outgoing {
    pub(crate) fn connection(&self) -> u64 {
        self.connection
    }
}

impl Stream for Outgoing {
    type Item = proto::Frame;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<proto::Frame>> {
        if let Some(hello) = self.hello.take() {
            return Poll::Ready(Some(Frame::Hello(hello).into()));
        }
        let mut state = self.link.state();
        if state.connection != self.connection {
            return Poll::Ready(None);
        }
        let Some(packets) = state.frames.pop_front() else {
            state.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.queued_messages -= packets.len();
        state.queued_bytes -= packets
            .iter()
            .map(|packet| packet.payload.len() + PACKET_OVERHEAD)
            .sum::<usize>();
        if state.frames.is_empty() {
            state.filling_bytes = 0;
        }
        drop(state);
        let sent = &self.link.counters.sent;
        sent.fetch_add(packets.len() as u64, Relaxed);
        Poll::Ready(Some(Frame::Packets(packets).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_stream::StreamExt;

    const GROUP: GroupId = GroupId(1);

    fn link(limits: Limits) -> (Arc<Link>, Outgoing) {
        let link = Link::new(NodeId(2), limits);
        let mut outgoing = link.open(Hello {
            cluster: String::new(),
            from: NodeId(1),
            to: NodeId(2),
            versions: 1..=1,
        });
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
        let (link, outgoing) = link(Limits {
            message_bytes: 10,
            ..Limits::default()
        });
        assert!(link.establish(outgoing.connection(), None));
        link.send(GROUP, Bytes::from(vec![0; 11]));
        link.send(GROUP, Bytes::from(vec![0; 10]));
        assert_eq!(link.stats().dropped_oversize, 1);
        assert_eq!(link.state().queued_messages, 1);
    }

    #[test]
    fn a_new_connection_ends_the_old_one_and_starts_empty() {
        let (link, mut old) = link(Limits::default());
        link.send(GROUP, Bytes::new()); // not established yet
        assert_eq!(link.stats().dropped_disconnected, 1);
        assert!(link.establish(old.connection(), None));
        link.send(GROUP, Bytes::new());

        let mut new = link.open(old_hello());
        assert_eq!(take(&mut old), None);
        link.lost(old.connection()); // too late to matter
        assert!(!link.establish(old.connection(), None));
        assert!(link.establish(new.connection(), None));
        assert!(new.hello.take().is_some());
        assert_eq!(take(&mut new), Some(vec![]));
        assert_eq!(link.stats().reconnects, 1);
    }

    fn old_hello() -> Hello {
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
    }
}
