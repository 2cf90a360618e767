//! One order of all events of all members, by causality alone.
//!
//! Clocks of hosts disagree, and events within a millisecond have no order that anybody could read off them.
//! But a message is sent before it is received, and a member's log has the order of its own events. Together
//! this is Lamport's *happened before*, which vector clocks decide: each step's clock counts, member by member,
//! the steps that it can have heard of. (Fidge 1988, Mattern 1989.) Any order that agrees with it is one that
//! could have been, and all of them show the same to every member.
//!
//! Logs do not number messages, so a receipt is matched with a send of equal content between the same two
//! members: the first receipt with the first send, the second with the second. The network delivers a
//! message once at most; if it lost some of several equal ones, the true send is the matched one or a later
//! one, so that no order is claimed that was not there.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

/// What identifies a message: sender and receiver, as places in the list of members, and a hash of the
/// content.
pub(crate) type Key = (usize, usize, u64);

/// What a step has to do with others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The message that it received.
    pub(crate) received: Option<Key>,
    /// What it sent.
    pub(crate) sent: Vec<Key>,
}

/// A step: the member's place in the list, and the step's in the member's life.
pub(crate) type At = (usize, usize);

/// What is wrong with the messages of some logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Disorder {
    /// What this step received was never sent, or received more often than sent.
    Unsent(At),
    /// Each of these steps received what the one after it sent, later than it received; the last what
    /// the first sent.
    Cycle(Vec<At>),
}

/// One order of all steps.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// The members whose step is next, one after the other.
    pub(crate) sequence: Vec<usize>,
    /// The vector clocks of the steps, in this order.
    pub(crate) clocks: Vec<Vec<u32>>,
    /// Receipts with their sends.
    pub(crate) matched: u64,
    /// Sends without receipts.
    pub(crate) lost: u64,
    /// How often each message is received.
    pub(crate) receipts: HashMap<Key, u64>,
    /// What is wrong; the sequence then holds the steps that do not depend on it.
    pub(crate) disorders: Vec<Disorder>,
}

/// Orders the steps of members by their messages. Only members in `known` have logs.
pub(crate) fn order(lives: &[Vec<Seen>], known: &[bool]) -> Order {
    let mut sorter = Sorter::new(lives, known);
    sorter.sort();
    sorter.finish()
}

struct Sorter<'a> {
    lives: &'a [Vec<Seen>],
    /// Per member and step: the send of what the step receives.
    sources: Vec<Vec<Option<At>>>,
    /// Per member: the clocks of its steps so far.
    clocks: Vec<Vec<Vec<u32>>>,
    order: Order,
}

impl<'a> Sorter<'a> {
    fn new(lives: &'a [Vec<Seen>], known: &[bool]) -> Self {
        let mut order = Order::default();
        let mut sends: HashMap<Key, VecDeque<At>> = HashMap::new();
        for (member, life) in lives.iter().enumerate() {
            for (step, seen) in life.iter().enumerate() {
                for key in seen.sent.iter().filter(|key| known[key.1]) {
                    sends.entry(*key).or_default().push_back((member, step));
                }
            }
        }
        let mut sources = Vec::new();
        for (member, life) in lives.iter().enumerate() {
            let mut of_member = vec![None; life.len()];
            for (step, seen) in life.iter().enumerate() {
                let Some(key) = seen.received.filter(|key| known[key.0]) else {
                    continue;
                };
                *order.receipts.entry(key).or_default() += 1;
                let source = sends.get_mut(&key).and_then(VecDeque::pop_front);
                match source {
                    Some(source) => {
                        of_member[step] = Some(source);
                        order.matched += 1;
                    }
                    None => order.disorders.push(Disorder::Unsent((member, step))),
                }
            }
            sources.push(of_member);
        }
        order.lost = sends.values().map(|left| left.len() as u64).sum();
        Sorter {
            lives,
            sources,
            clocks: vec![Vec::new(); lives.len()],
            order,
        }
    }

    /// Takes steps in the order of what they can have heard of: the sum of a clock's components grows along
    /// every chain of causes.
    fn sort(&mut self) {
        let mut ready = BinaryHeap::new();
        // Per member: who waits for a step of it.
        let mut waiting: Vec<Vec<(usize, usize)>> = vec![Vec::new(); self.lives.len()];
        let mut woken: Vec<usize> = (0..self.lives.len()).collect();
        loop {
            while let Some(member) = woken.pop() {
                let step = self.clocks[member].len();
                if step >= self.lives[member].len() {
                    continue;
                }
                match self.sources[member][step] {
                    Some((from, at)) if self.clocks[from].len() <= at => {
                        waiting[from].push((at, member));
                    }
                    _ => {
                        let sum: u64 = self.clock(member).iter().map(|c| u64::from(*c)).sum();
                        ready.push(Reverse((sum, member)));
                    }
                }
            }
            let Some(Reverse((_, member))) = ready.pop() else {
                break;
            };
            let clock = self.clock(member);
            self.clocks[member].push(clock.clone());
            self.order.sequence.push(member);
            self.order.clocks.push(clock);
            let done = self.clocks[member].len();
            woken.push(member);
            waiting[member].retain(|(at, who)| {
                let due = *at < done;
                if due {
                    woken.push(*who);
                }
                !due
            });
        }
    }

    /// The clock of a member's next step.
    fn clock(&self, member: usize) -> Vec<u32> {
        let step = self.clocks[member].len();
        let none = vec![0; self.lives.len()];
        let mut clock = self.clocks[member].last().cloned().unwrap_or(none);
        if let Some((from, at)) = self.sources[member][step] {
            for (mine, theirs) in clock.iter_mut().zip(&self.clocks[from][at]) {
                *mine = (*mine).max(*theirs);
            }
        }
        clock[member] += 1;
        clock
    }

    /// Steps that are left wait for each other.
    fn finish(mut self) -> Order {
        let stuck = |member: usize| {
            let step = self.clocks[member].len();
            (step < self.lives[member].len()).then_some((member, step))
        };
        let first = (0..self.lives.len()).find_map(stuck);
        let mut path: Vec<At> = Vec::new();
        let mut next = first;
        while let Some(at) = next {
            if let Some(begin) = path.iter().position(|seen| *seen == at) {
                let cycle = path.split_off(begin);
                self.order.disorders.push(Disorder::Cycle(cycle));
                break;
            }
            path.push(at);
            next = self.sources[at.0][at.1].and_then(|(from, _)| stuck(from));
        }
        self.order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sends(to: usize, content: u64) -> impl Fn(usize) -> Seen {
        move |from| Seen {
            received: None,
            sent: vec![(from, to, content)],
        }
    }

    fn receives(from: usize, content: u64) -> impl Fn(usize) -> Seen {
        move |to| Seen {
            received: Some((from, to, content)),
            sent: Vec::new(),
        }
    }

    fn order_of(lives: &[&[&dyn Fn(usize) -> Seen]]) -> Order {
        let lives: Vec<Vec<Seen>> = lives
            .iter()
            .enumerate()
            .map(|(member, life)| life.iter().map(|step| step(member)).collect())
            .collect();
        order(&lives, &vec![true; lives.len()])
    }

    #[test]
    fn a_receipt_comes_after_its_send() {
        let found = order_of(&[&[&receives(1, 7)], &[&sends(2, 1), &sends(0, 7)], &[]]);
        assert_eq!(found.sequence, [1, 1, 0]);
        assert_eq!(found.clocks[2], [1, 2, 0]);
        assert_eq!((found.matched, found.lost), (1, 1));
        assert_eq!(found.disorders, []);
    }

    #[test]
    fn of_equal_messages_the_first_receipt_has_the_first_send() {
        let found = order_of(&[
            &[&receives(1, 7), &sends(1, 8)],
            &[&sends(0, 7), &receives(0, 8), &sends(0, 7)],
        ]);
        assert_eq!(found.sequence, [1, 0, 0, 1, 1]);
        assert_eq!((found.matched, found.lost), (2, 1));
    }

    #[test]
    fn what_was_never_sent_cannot_be_received() {
        let found = order_of(&[&[&receives(1, 7), &receives(1, 7)], &[&sends(0, 7)]]);
        assert_eq!(found.disorders, [Disorder::Unsent((0, 1))]);
    }

    #[test]
    fn messages_from_members_without_a_log_are_left_out() {
        let lives = [vec![receives(1, 7)(0), sends(1, 8)(0)], Vec::new()];
        let found = order(&lives, &[true, false]);
        assert_eq!(found.disorders, []);
        assert_eq!((found.matched, found.lost), (0, 0));
        assert_eq!(found.sequence, [0, 0]);
    }

    #[test]
    fn causes_that_follow_their_effects_are_a_cycle() {
        let found = order_of(&[
            &[&sends(1, 1), &receives(1, 7), &sends(1, 8)],
            &[&receives(0, 8), &sends(0, 7)],
        ]);
        assert_eq!(found.sequence, [0]);
        assert_eq!(found.disorders, [Disorder::Cycle(vec![(0, 1), (1, 0)])]);
    }
}
