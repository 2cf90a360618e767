//! Requests that wait for the outputs that answer them.
//!
//! A service hands a request to a machine and learns from an output, some time later and on the driver's
//! task, what came of it. [`Pending`] is what the two share: a map with limits, in which a request is
//! counted until it is answered, whether or not anybody still waits for it. The machine holds it as long.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use tokio::sync::oneshot;

/// The requests that wait, each named by an `R` and answered by an `A`.
#[derive(Debug)]
pub struct Pending<R, A> {
    limit: usize,
    limit_bytes: usize,
    waiting: Mutex<Waiting<R, A>>,
}

#[derive(Debug)]
struct Waiting<R, A> {
    requests: HashMap<R, (oneshot::Sender<A>, usize)>,
    bytes: usize,
    stopped: bool,
}

/// A request that waits now.
#[derive(Debug)]
pub struct Entered<A> {
    /// Where its answer will be. An error means that nobody will tell any more: the group has stopped, what
    /// was waited for is [abandoned](Pending::abandon), or the same request was made again.
    pub answer: oneshot::Receiver<A>,
    /// Whether it is new, and so to be handed to the machine; otherwise the same request waits already.
    pub new: bool,
}

/// Why a request may not wait. It had no effect and will have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Too many are waiting, or too many bytes of them.
    #[error("too much is waiting")]
    Busy,
    /// The group has stopped.
    #[error("the group has stopped")]
    Stopped,
}

impl<R: Eq + Hash, A> Pending<R, A> {
    /// Room for `limit` requests, and for `limit_bytes` of their contents.
    pub fn new(limit: usize, limit_bytes: usize) -> Self {
        Pending {
            limit,
            limit_bytes,
            waiting: Mutex::new(Waiting {
                requests: HashMap::new(),
                bytes: 0,
                stopped: false,
            }),
        }
    }

    /// Lets a request of `bytes` wait for its answer.
    ///
    /// Of two that wait for the same request the later one gets the answer: the earlier one's caller has
    /// most likely given up.
    ///
    /// # Errors
    ///
    /// See [`Rejected`].
    pub fn enter(&self, request: R, bytes: usize) -> Result<Entered<A>, Rejected> {
        let (sender, answer) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        if waiting.stopped {
            return Err(Rejected::Stopped);
        }
        if let Some((earlier, _)) = waiting.requests.get_mut(&request) {
            *earlier = sender;
            return Ok(Entered { answer, new: false });
        }
        // One beyond the limit still has to get through when it is alone.
        let too_long = waiting.bytes > 0 && waiting.bytes.saturating_add(bytes) > self.limit_bytes;
        if too_long || waiting.requests.len() >= self.limit {
            return Err(Rejected::Busy);
        }
        waiting.bytes = waiting.bytes.saturating_add(bytes);
        waiting.requests.insert(request, (sender, bytes));
        Ok(Entered { answer, new: true })
    }

    /// Answers a request, if it waits. Its caller may be gone; what was to happen has happened all the same.
    pub fn answer(&self, request: &R, answer: A) {
        if let Some(sender) = self.waiting.lock().take(request) {
            let _ = sender.send(answer);
        }
    }

    /// A request will not be answered: the machine was not given it.
    pub fn forget(&self, request: &R) {
        self.waiting.lock().take(request);
    }

    /// Nobody can tell any more what becomes of the requests that wait now.
    pub fn abandon(&self) {
        let mut waiting = self.waiting.lock();
        waiting.bytes = 0;
        // Their receivers learn of it when the senders are dropped.
        waiting.requests.clear();
    }

    /// [Abandons](Pending::abandon) what waits, and lets nothing wait any more.
    pub fn stop(&self) {
        self.waiting.lock().stopped = true;
        self.abandon();
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.waiting.lock().requests.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<R: Eq + Hash, A> Waiting<R, A> {
    fn take(&mut self, request: &R) -> Option<oneshot::Sender<A>> {
        let (sender, bytes) = self.requests.remove(request)?;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oneshot::error::TryRecvError;

    fn enter(pending: &Pending<u8, char>, request: u8, bytes: usize) -> oneshot::Receiver<char> {
        let entered = pending.enter(request, bytes).unwrap();
        assert!(entered.new);
        entered.answer
    }

    #[test]
    fn a_request_counts_until_it_is_answered() {
        let pending = Pending::new(2, 100);
        let mut first = enter(&pending, 1, 60);
        assert_eq!(pending.enter(2, 60).unwrap_err(), Rejected::Busy);
        drop(enter(&pending, 2, 40));
        assert_eq!(pending.enter(3, 0).unwrap_err(), Rejected::Busy);
        pending.answer(&1, 'a');
        assert_eq!(first.try_recv(), Ok('a'));
        pending.forget(&2);
        assert!(pending.is_empty());
        // Longer than may wait, and alone.
        enter(&pending, 3, 1_000);
    }

    #[test]
    fn the_later_of_two_that_ask_the_same_is_answered() {
        let pending = Pending::new(1, 0);
        let mut first = enter(&pending, 1, 0);
        let mut again = pending.enter(1, 0).unwrap();
        assert!(!again.new);
        pending.answer(&1, 'a');
        assert_eq!(first.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(again.answer.try_recv(), Ok('a'));
    }

    #[test]
    fn what_is_abandoned_learns_of_it_and_what_comes_after_the_end_is_rejected() {
        let pending = Pending::new(8, 100);
        let mut first = enter(&pending, 1, 100);
        pending.abandon();
        assert_eq!(first.try_recv(), Err(TryRecvError::Closed));
        let mut again = enter(&pending, 1, 100);
        pending.stop();
        assert_eq!(again.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(pending.enter(1, 0).unwrap_err(), Rejected::Stopped);
    }
}
