//! The driver's inbox: a queue that counts messages, and the [`Budget`] of their bytes.
#![cfg(loom)]

use loom::sync::{Arc, Mutex};
use loom::thread;
use quorate_concurrency::{explore, explore_up_to};
use quorate_handoff::Budget;
use std::collections::VecDeque;

const LIMIT_BYTES: u64 = 10;

/// A queue of a few messages, in the place of tokio's.
struct Inbox {
    budget: Budget,
    messages: Mutex<Messages>,
}

struct Messages {
    lengths: VecDeque<u64>,
    count_max: usize,
    closed: bool,
}

impl Inbox {
    fn new(count_max: usize) -> Arc<Inbox> {
        Arc::new(Inbox {
            budget: Budget::new(LIMIT_BYTES),
            messages: Mutex::new(Messages {
                lengths: VecDeque::new(),
                count_max,
                closed: false,
            }),
        })
    }

    fn offer(&self, bytes: u64) -> bool {
        self.budget.admit(bytes, || {
            let mut messages = self.messages.lock().expect("no panic");
            let room = !messages.closed && messages.lengths.len() < messages.count_max;
            if room {
                messages.lengths.push_back(bytes);
                let (alone, sum) = (messages.lengths.len() == 1, messages.lengths.iter().sum());
                assert!(alone || LIMIT_BYTES >= sum, "{sum} bytes wait");
            }
            room
        })
    }

    /// Takes all that waits, as a turn does.
    fn take(&self) -> Vec<u64> {
        let mut messages = self.messages.lock().expect("no panic");
        let taken: Vec<u64> = messages.lengths.drain(..).collect();
        drop(messages);
        self.budget.give_back(taken.iter().sum());
        taken
    }

    fn close(&self) {
        self.messages.lock().expect("no panic").closed = true;
    }

    /// Nobody is at it any more: the whole budget is free.
    fn is_free(&self) {
        self.take();
        assert!(self.budget.admit(1, || true));
        assert!(self.budget.admit(LIMIT_BYTES - 1, || true), "some is gone");
        assert!(!self.budget.admit(1, || true), "there is more than before");
    }
}

#[test]
fn messages_that_fit_one_by_one_do_not_pass_the_limit_together() {
    explore(|| {
        let inbox = Inbox::new(10);
        assert!(inbox.offer(4));
        let other = inbox.clone();
        let connection = thread::spawn(move || other.offer(6));
        let mine = inbox.offer(6);
        let theirs = connection.join().expect("no panic");
        assert!(mine ^ theirs, "there is room for one of them");
        assert_eq!(inbox.take(), [4, 6]);
        inbox.is_free();
    });
}

#[test]
fn a_message_that_is_refused_takes_no_room_from_another() {
    explore(|| {
        let inbox = Inbox::new(10);
        assert!(inbox.offer(4));
        let other = inbox.clone();
        let connection = thread::spawn(move || other.offer(100));
        assert!(inbox.offer(6), "there is room for it all the while");
        assert!(!connection.join().expect("no panic"));
        inbox.take();
        inbox.is_free();
    });
}

#[test]
fn a_message_beyond_the_limit_gets_through_alone() {
    explore(|| {
        let inbox = Inbox::new(10);
        let other = inbox.clone();
        let connection = thread::spawn(move || other.offer(100));
        let mine = inbox.offer(100);
        let theirs = connection.join().expect("no panic");
        assert!(mine ^ theirs, "one waits, alone");
        assert_eq!(inbox.take(), [100]);
        inbox.is_free();
    });
}

#[test]
fn bytes_are_given_back_whatever_becomes_of_a_message() {
    explore_up_to(4, || {
        // Room for one: the other may be refused by number, or by the end.
        let inbox = Inbox::new(1);
        let connections = [3, 5].map(|bytes| {
            let other = inbox.clone();
            thread::spawn(move || other.offer(bytes))
        });
        let taken = inbox.take().len();
        inbox.close();
        let offered = connections.map(|connection| connection.join().expect("no panic"));
        let queued = offered.iter().filter(|queued| **queued).count();
        assert_eq!(taken + inbox.take().len(), queued);
        inbox.is_free();
    });
}
