//! The search for an order of the operations on one key.

use super::{Recorded, Value};
use std::collections::HashSet;
use std::time::Duration;

/// Partial orders that are remembered before the search is given up.
const REMEMBERED_MAX: usize = 2_000_000;

/// How a search ended; operations are given by their indices.
pub(super) enum Found {
    Order,
    None {
        longest: Vec<usize>,
        stuck: Vec<usize>,
    },
    GivenUp,
}

/// A moment at which an operation is called or returns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Call,
    Return,
}

/// Calls and returns in the order of time, as a list from which operations can be lifted and to which
/// they can be put back, in the reverse order. Index zero is the list's head.
struct Moments {
    what: Vec<(Moment, usize)>,
    next: Vec<usize>,
    prev: Vec<usize>,
    /// Where an operation's return is; nowhere if it has none.
    returns: Vec<Option<usize>>,
}

/// The end of the list is its head again.
const HEAD: usize = 0;

impl Moments {
    fn new(history: &[Recorded]) -> Self {
        let mut times: Vec<(Duration, Moment, usize)> = Vec::new();
        for (index, recorded) in history.iter().enumerate() {
            times.push((recorded.called, Moment::Call, index));
            if let Some((returned, _)) = recorded.returned {
                times.push((returned, Moment::Return, index));
            }
        }
        // At the same reading of the clock anything may have come first, so calls do: this only
        // allows more orders.
        times.sort_by_key(|(time, moment, _)| (*time, *moment == Moment::Return));

        let mut returns = vec![None; history.len()];
        let mut what = vec![(Moment::Call, usize::MAX)];
        for (_, moment, index) in times {
            if moment == Moment::Return {
                returns[index] = Some(what.len());
            }
            what.push((moment, index));
        }
        let count = what.len();
        Moments {
            what,
            next: (0..count).map(|at| (at + 1) % count).collect(),
            prev: (0..count).map(|at| (at + count - 1) % count).collect(),
            returns,
        }
    }

    fn lift(&mut self, call: usize) {
        self.unlink(call);
        if let Some(returned) = self.returns[self.what[call].1] {
            self.unlink(returned);
        }
    }

    fn put_back(&mut self, call: usize) {
        if let Some(returned) = self.returns[self.what[call].1] {
            self.relink(returned);
        }
        self.relink(call);
    }

    fn unlink(&mut self, at: usize) {
        let (prev, next) = (self.prev[at], self.next[at]);
        self.next[prev] = next;
        self.prev[next] = prev;
    }

    /// What was lifted still knows its neighbours.
    fn relink(&mut self, at: usize) {
        let (prev, next) = (self.prev[at], self.next[at]);
        self.next[prev] = at;
        self.prev[next] = at;
    }

    /// The operations that have been called and not lifted when the first of them returns; the returned
    /// one comes last.
    fn stuck(&self) -> Vec<usize> {
        let mut stuck = Vec::new();
        let mut at = self.next[HEAD];
        while at != HEAD {
            let (moment, index) = self.what[at];
            if moment == Moment::Return {
                stuck.retain(|&called| called != index);
                stuck.push(index);
                break;
            }
            stuck.push(index);
            at = self.next[at];
        }
        stuck
    }
}

/// A set of operations.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Taken(Box<[u64]>);

impl Taken {
    fn none_of(count: usize) -> Self {
        Taken(vec![0; count.div_ceil(64)].into())
    }

    fn toggle(&mut self, index: usize) {
        self.0[index / 64] ^= 1 << (index % 64);
    }
}

/// Looks for an order of `history`, all of it on one key that is empty at first.
pub(super) fn search(history: &[Recorded]) -> Found {
    let mut moments = Moments::new(history);
    let mut held: Value = None;
    let mut taken = Taken::none_of(history.len());
    let mut tried: HashSet<(Taken, Value)> = HashSet::new();
    // The order so far: each call with the value before it.
    let mut order: Vec<(usize, Value)> = Vec::new();
    let mut left = history
        .iter()
        .filter(|operation| operation.returned.is_some())
        .count();
    let (mut longest, mut stuck) = (Vec::new(), Vec::new());
    let mut at = moments.next[HEAD];
    // Operations that have not returned may be left over.
    while left > 0 {
        let (moment, index) = moments.what[at];
        if at != HEAD && moment == Moment::Call {
            if let Some(leaves) = history[index].step(held) {
                taken.toggle(index);
                if tried.insert((taken.clone(), leaves)) {
                    if tried.len() > REMEMBERED_MAX {
                        return Found::GivenUp;
                    }
                    left -= usize::from(history[index].returned.is_some());
                    moments.lift(at);
                    order.push((at, held));
                    held = leaves;
                    at = moments.next[HEAD];
                    continue;
                }
                taken.toggle(index);
            }
            at = moments.next[at];
            continue;
        }
        // Somebody returns who fits nowhere before: back.
        if stuck.is_empty() || order.len() > longest.len() {
            longest = order
                .iter()
                .map(|&(call, _)| moments.what[call].1)
                .collect();
            stuck = moments.stuck();
        }
        let Some((call, before)) = order.pop() else {
            return Found::None { longest, stuck };
        };
        let index = moments.what[call].1;
        left += usize::from(history[index].returned.is_some());
        taken.toggle(index);
        moments.put_back(call);
        held = before;
        at = moments.next[call];
    }
    Found::Order
}
