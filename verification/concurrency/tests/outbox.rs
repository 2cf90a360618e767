//! What waits for a peer: drivers that send, the connection that takes, the one that replaces it, and the
//! transport that shuts down. The transport's [`Outbox`].
#![cfg(loom)]

use loom::future::block_on;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use quorate_concurrency::explore;
use quorate_handoff::{Connection, Outbox, OutboxLimits, Refused};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

const BYTES: usize = 10;

/// Room for two messages, and one in a frame.
const LIMITS: OutboxLimits = OutboxLimits {
    frame_bytes: BYTES,
    queue_bytes: 2 * BYTES,
    queue_messages: 2,
};

type Shared = Arc<Outbox<u32>>;

fn established(limits: OutboxLimits) -> (Shared, Connection) {
    let outbox = Arc::new(Outbox::new(limits));
    let connection = outbox.open().expect("it is not closed");
    assert!(outbox.establish(connection, None));
    (outbox, connection)
}

/// Waits for the next frame, as a connection's task does.
fn next(outbox: &Shared, connection: Connection) -> Option<Vec<u32>> {
    block_on(poll_fn(|cx| outbox.poll_frame(connection, cx)))
}

/// All that the connection gets without waiting.
fn rest(outbox: &Shared, connection: Connection) -> Vec<u32> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut messages = Vec::new();
    while let Poll::Ready(Some(frame)) = outbox.poll_frame(connection, &mut cx) {
        messages.extend(frame);
    }
    messages
}

/// As much as at first can be queued, and no more.
fn has_all_its_room(outbox: &Shared, connection: Connection) {
    assert_eq!(rest(outbox, connection), []);
    assert_eq!(outbox.push(7, BYTES), Ok(()));
    assert_eq!(outbox.push(8, BYTES), Ok(()));
    assert_eq!(outbox.push(9, BYTES), Err(Refused::Full));
    assert_eq!(rest(outbox, connection), [7, 8]);
}

#[test]
fn a_connection_that_waits_gets_every_message_in_order() {
    explore(|| {
        let (outbox, connection) = established(LIMITS);
        let other = outbox.clone();
        let driver = thread::spawn(move || {
            assert_eq!(other.push(1, BYTES), Ok(()));
            assert_eq!(other.push(2, BYTES), Ok(()));
        });
        let mut got = Vec::new();
        while got.len() < 2 {
            got.extend(next(&outbox, connection).expect("it has not ended"));
        }
        assert_eq!(got, [1, 2]);
        driver.join().expect("no panic");
        has_all_its_room(&outbox, connection);
    });
}

#[test]
fn two_drivers_share_the_room_while_a_connection_takes() {
    explore(|| {
        let (outbox, connection) = established(LIMITS);
        assert_eq!(outbox.push(1, BYTES), Ok(()));
        let drivers = [2, 3].map(|message| {
            let other = outbox.clone();
            thread::spawn(move || other.push(message, BYTES))
        });
        let mut got = next(&outbox, connection).expect("a frame");
        assert_eq!(got, [1]);
        let pushed = drivers.map(|driver| driver.join().expect("no panic"));
        // One fits beside the first; the other too, if that has been taken before.
        assert!(pushed.contains(&Ok(())));
        got.extend(rest(&outbox, connection));
        let queued = pushed.iter().filter(|pushed| pushed.is_ok()).count();
        assert_eq!(got.len(), 1 + queued);
        has_all_its_room(&outbox, connection);
    });
}

#[test]
fn a_connection_that_is_replaced_ends_and_leaves_nothing_to_the_next() {
    explore(|| {
        let (outbox, old) = established(LIMITS);
        assert_eq!(outbox.push(1, BYTES), Ok(()));
        let other = outbox.clone();
        let stream = thread::spawn(move || {
            let mut got = Vec::new();
            while let Some(frame) = next(&other, old) {
                got.extend(frame);
            }
            got
        });
        let new = outbox.open().expect("it is not closed");
        assert_eq!(outbox.push(2, BYTES), Err(Refused::Disconnected));
        assert!(outbox.establish(new, None));
        assert_eq!(outbox.push(3, BYTES), Ok(()));
        let got = stream.join().expect("it ends");
        assert!(got.is_empty() || got == [1], "{got:?} on the old one");
        assert_eq!(rest(&outbox, new), [3]);
        has_all_its_room(&outbox, new);
    });
}

#[test]
fn a_message_that_is_sent_meanwhile_is_on_one_connection_at_most() {
    explore(|| {
        let (outbox, old) = established(LIMITS);
        let other = outbox.clone();
        let driver = thread::spawn(move || {
            let first = other.push(1, BYTES);
            (first, other.push(2, BYTES))
        });
        let mut got = rest(&outbox, old);
        let new = outbox.open().expect("it is not closed");
        assert_eq!(rest(&outbox, new), [], "it takes none yet");
        assert!(outbox.establish(new, None));
        assert_eq!(rest(&outbox, old), []);
        got.extend(rest(&outbox, new));
        let (first, second) = driver.join().expect("no panic");
        got.extend(rest(&outbox, new));
        let queued = usize::from(first.is_ok()) + usize::from(second.is_ok());
        assert!(got.len() <= queued && got.is_sorted(), "{got:?}");
        has_all_its_room(&outbox, new);
    });
}

#[test]
fn a_replaced_connection_delivers_nothing_after_the_new_one() {
    explore(|| {
        let (outbox, old) = established(LIMITS);
        let delivered = Arc::new(Mutex::new(Vec::new()));
        let (other, theirs) = (outbox.clone(), delivered.clone());
        let reader = thread::spawn(move || {
            // What the machine's inbox does is not under any lock of the transport.
            other.receive(old, || {
                theirs.lock().expect("no panic").push("old, first half");
                thread::yield_now();
                theirs.lock().expect("no panic").push("old, second half");
            })
        });
        let new = outbox.open().expect("it is not closed");
        assert!(outbox.establish(new, None));
        assert!(outbox.receive(new, || delivered.lock().expect("no panic").push("new")));
        let was_taken = reader.join().expect("no panic");
        let delivered = delivered.lock().expect("no panic");
        match was_taken {
            true => assert_eq!(*delivered, ["old, first half", "old, second half", "new"]),
            false => assert_eq!(*delivered, ["new"]),
        }
    });
}

#[test]
fn the_reader_of_a_replaced_connection_is_stopped_once() {
    explore(|| {
        let outbox: Shared = Arc::new(Outbox::new(LIMITS));
        let old = outbox.open().expect("it is not closed");
        let stops = Arc::new(AtomicUsize::new(0));
        let (other, theirs) = (outbox.clone(), stops.clone());
        let accepting = thread::spawn(move || {
            let stop = Box::new(move || {
                theirs.fetch_add(1, Ordering::Relaxed);
            });
            other.establish(old, Some(stop))
        });
        let new = outbox.open().expect("it is not closed");
        accepting.join().expect("no panic");
        assert_eq!(stops.load(Ordering::Relaxed), 1);
        assert_eq!(outbox.push(1, BYTES), Err(Refused::Disconnected));
        assert!(outbox.establish(new, None));
        outbox.close();
        assert_eq!(stops.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_reader_that_ends_by_itself_is_not_stopped() {
    explore(|| {
        let outbox: Shared = Arc::new(Outbox::new(LIMITS));
        let connection = outbox.open().expect("it is not closed");
        let stopped = Arc::new(AtomicBool::new(false));
        let (other, theirs) = (outbox.clone(), stopped.clone());
        let accepting = thread::spawn(move || {
            let stop = Box::new(move || theirs.store(true, Ordering::Relaxed));
            other.establish(connection, Some(stop))
        });
        outbox.lost(connection);
        let was_established = accepting.join().expect("no panic");
        // Stopped only if it came too late to be the connection.
        assert_eq!(stopped.load(Ordering::Relaxed), !was_established);
        assert!(!outbox.is_established());
    });
}

#[test]
fn nothing_is_open_after_a_close() {
    explore(|| {
        let (outbox, first) = established(LIMITS);
        let other = outbox.clone();
        let accepting = thread::spawn(move || match other.open() {
            Some(connection) => {
                let _established = other.establish(connection, None);
                // Whoever waits on it is told.
                assert_eq!(next(&other, connection), None);
            }
            None => assert_eq!(other.push(1, BYTES), Err(Refused::Disconnected)),
        });
        let another = outbox.clone();
        let stream = thread::spawn(move || next(&another, first));
        outbox.close();
        assert_eq!(stream.join().expect("no panic"), None);
        accepting.join().expect("no panic");
        assert!(!outbox.is_established());
        assert_eq!(outbox.push(1, BYTES), Err(Refused::Disconnected));
        assert_eq!(outbox.open(), None);
    });
}
