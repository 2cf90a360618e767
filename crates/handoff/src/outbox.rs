//! What waits for one peer, and which of its connections may take it.
//!
//! There is no sender task. The stream that a connection reads its frames from *is* the queue: when the
//! connection has room, it takes the oldest frame, and everything that was queued until then is in it. A
//! burst of messages costs one wake-up and one frame, and a slow peer is felt as a full queue.
//!
//! # One connection after another
//!
//! A peer has at most one connection that counts, the one that was opened last; an older one has ended,
//! whatever its socket still believes. What was queued for it is dropped with it: the peer may have
//! received some of it, and nothing arrives twice. What the older connection's reader still receives is
//! refused, so that messages keep their order across connections.

use crate::sync::Mutex;
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

/// The queue of messages for one peer.
pub struct Outbox<P> {
    limits: OutboxLimits,
    state: Mutex<State<P>>,
    /// Held while what a connection has received is handed on, so that nothing of a newer connection
    /// overtakes it.
    delivering: Mutex<()>,
}

/// How much may wait for one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// A frame takes no further message beyond these bytes; a longer message has a frame for itself.
    pub frame_bytes: usize,
    /// Bytes of all messages that wait.
    pub queue_bytes: usize,
    /// Messages that wait.
    pub queue_messages: usize,
}

/// One of a peer's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection(u64);

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The peer is not connected.
    Disconnected,
    /// Too much waits already.
    Full,
}

/// Stops the task that reads a connection.
pub type StopReader = Box<dyn FnOnce() + Send>;

struct State<P> {
    /// The connection that counts.
    newest: Connection,
    /// It takes messages.
    established: bool,
    /// There will be no other connection.
    closed: bool,
    /// Full frames, then the one being filled.
    frames: VecDeque<Frame<P>>,
    queued_bytes: usize,
    queued_messages: usize,
    /// The connection, if it waits for a frame.
    waiting: Option<Waker>,
    /// Stops the connection's reader when another connection replaces it.
    reader: Option<StopReader>,
}

struct Frame<P> {
    messages: Vec<P>,
    bytes: usize,
}

impl<P> Outbox<P> {
    /// No connection yet.
    pub fn new(limits: OutboxLimits) -> Self {
        Outbox {
            limits,
            state: Mutex::new(State {
                newest: Connection(0),
                established: false,
                closed: false,
                frames: VecDeque::new(),
                queued_bytes: 0,
                queued_messages: 0,
                waiting: None,
                reader: None,
            }),
            delivering: Mutex::new(()),
        }
    }

    /// Queues a message of `bytes`; never waits.
    ///
    /// # Errors
    ///
    /// If it cannot be queued; it is dropped then.
    pub fn push(&self, message: P, bytes: usize) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if !state.established {
            return Err(Refused::Disconnected);
        }
        if state.queued_messages >= self.limits.queue_messages
            || state.queued_bytes + bytes > self.limits.queue_bytes
        {
            return Err(Refused::Full);
        }
        match state.frames.back_mut() {
            Some(frame) if frame.bytes + bytes <= self.limits.frame_bytes => {
                frame.messages.push(message);
                frame.bytes += bytes;
            }
            _ => state.frames.push_back(Frame {
                messages: vec![message],
                bytes,
            }),
        }
        state.queued_bytes += bytes;
        state.queued_messages += 1;
        let waiting = state.waiting.take();
        drop(state);
        if let Some(connection) = waiting {
            connection.wake();
        }
        Ok(())
    }

    /// The next frame of `connection`, or the end once another has replaced it; otherwise wakes the task
    /// when there is one of these.
    pub fn poll_frame(&self, connection: Connection, cx: &mut Context<'_>) -> Poll<Option<Vec<P>>> {
        let mut state = self.state.lock();
        if state.newest != connection {
            return Poll::Ready(None);
        }
        let Some(frame) = state.frames.pop_front() else {
            state.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.queued_messages -= frame.messages.len();
        state.queued_bytes -= frame.bytes;
        Poll::Ready(Some(frame.messages))
    }

    /// A new connection, which ends the one before it and takes no messages yet. `None` once the outbox
    /// is closed.
    pub fn open(&self) -> Option<Connection> {
        let mut state = self.state.lock();
        let ended = state.end();
        let connection = (!state.closed).then_some(state.newest);
        drop(state);
        ended.tell();
        connection
    }

    /// `connection` takes messages from now on. `reader` stops its reader when the connection ends for
    /// another reason than [`Outbox::lost`]; at once, with the answer false, if it has ended already.
    pub fn establish(&self, connection: Connection, reader: Option<StopReader>) -> bool {
        let mut state = self.state.lock();
        if state.newest == connection {
            state.established = true;
            state.reader = reader;
            return true;
        }
        drop(state);
        if let Some(stop) = reader {
            stop();
        }
        false
    }

    /// Runs `deliver`, which hands on something that `connection` has received; false if another has
    /// replaced it. Once a connection has delivered, none that was opened before it does.
    pub fn receive(&self, connection: Connection, deliver: impl FnOnce()) -> bool {
        let _delivering = self.delivering.lock();
        if self.state.lock().newest != connection {
            return false;
        }
        deliver();
        true
    }

    /// Ends `connection`, unless another has replaced it. For its reader, which is not stopped.
    pub fn lost(&self, connection: Connection) {
        let mut state = self.state.lock();
        if state.newest != connection {
            return;
        }
        // Stopping the caller would stop what it still has to do.
        let _caller = state.reader.take();
        let ended = state.end();
        drop(state);
        ended.tell();
    }

    /// Ends the newest connection and refuses any other.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let ended = state.end();
        drop(state);
        ended.tell();
    }

    /// Whether messages can be queued.
    pub fn is_established(&self) -> bool {
        self.state.lock().established
    }
}

impl<P> State<P> {
    /// Ends the newest connection, takes what waits for it, and makes place for the next.
    fn end(&mut self) -> Ended<P> {
        self.newest.0 += 1;
        self.established = false;
        self.queued_bytes = 0;
        self.queued_messages = 0;
        Ended {
            waiting: self.waiting.take(),
            reader: self.reader.take(),
            _frames: std::mem::take(&mut self.frames),
        }
    }
}

/// What is left of a connection. Its tasks are told when the lock is free: what they do then is not known
/// here.
#[must_use]
struct Ended<P> {
    waiting: Option<Waker>,
    reader: Option<StopReader>,
    _frames: VecDeque<Frame<P>>,
}

impl<P> Ended<P> {
    fn tell(self) {
        if let Some(connection) = self.waiting {
            connection.wake();
        }
        if let Some(stop) = self.reader {
            stop();
        }
    }
}
