//! Who waits for an outcome, and what is still known of the transactions that callers have asked for.
//!
//! A request that is repeated must never take effect twice, whatever was lost: an answer, a connection, this member's
//! memory. What is known of past requests is limited, so there are requests that are not known although they were
//! carried out. They are recognised by their age ([`TransactionId`]): of everything that is forgotten here, `horizon`
//! is the latest, and an id that was made before it is refused unless it is known. An id that was made later and is
//! not known was never carried out: if it had been, it would be later than the horizon, and so be known.
//!
//! After a restart what was committed is known from the disk. What was open then, and is not committed, never will be.

use crate::TransactionId;
use crate::id::Mark;
use parking_lot::Mutex;
use quorate_commit::{Durable, Mode, RequestId, TxnId};
use std::collections::{HashMap, VecDeque};
use tokio::sync::oneshot;

/// Transactions without an outcome, at most.
const OPEN_MAX: usize = 16 << 10;
/// Outcomes that are remembered, at most. More than the machine keeps on the disk.
const OUTCOMES_MAX: usize = 64 << 10;
/// Callers that wait for one transaction, at most.
const WAITERS_MAX: usize = 16;

/// What has become of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it has taken effect, or will at every participant that comes back.
    Committed,
    /// None of it has, or will.
    Aborted {
        /// Why, in words.
        reason: String,
    },
}

/// What a member knows of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its outcome.
    Ended(Outcome),
    /// It is not decided, as far as the member knows.
    Open,
    /// The member knows no such transaction: it has not committed, and has no effect unless it is run again.
    NotKnown,
    /// So old that the member no longer knows whether there was such a transaction.
    Forgotten,
}

/// Why a transaction was not run to its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Too much is open: nothing happened.
    #[error("too many transactions are open")]
    Busy,
    /// The transaction cannot be: nothing happened.
    #[error("no members, too many, or one that is none")]
    Invalid,
    /// The id is another member's.
    #[error("the id is for another member to coordinate")]
    NotMine,
    /// Too old: see [`Standing::Forgotten`]. This attempt did not happen.
    #[error("the id is so old that it cannot be told whether the transaction was carried out")]
    Forgotten,
    /// The outcome is not known: ask again with the same id.
    #[error("the outcome is not known yet")]
    Unknown,
}

type Verdict = Result<Outcome, RunError>;

/// What is known of callers and their transactions.
#[derive(Default)]
pub(crate) struct Callers(Mutex<Table>);

#[derive(Default)]
struct Table {
    known: HashMap<RequestId, Known>,
    open: usize,
    /// The outcomes, the oldest first.
    ended: VecDeque<(RequestId, Mark)>,
    /// Of what is forgotten, the latest.
    horizon: Mark,
    /// Of what was begun, the latest.
    last: Mark,
    stopped: bool,
}

enum Known {
    Open(Vec<oneshot::Sender<Verdict>>),
    Ended(Outcome),
}

/// What to do about a request.
pub(crate) enum Admission {
    /// It is new, and to be handed to the machine; the outcome comes here.
    New(oneshot::Receiver<Verdict>),
    /// It is under way; the outcome comes here.
    Waiting(oneshot::Receiver<Verdict>),
    /// It has ended.
    Ended(Outcome),
}

impl Callers {
    /// Takes over what the disk knows; before anything else.
    pub(crate) fn recover(&self, durable: &Durable) {
        let table = &mut *self.0.lock();
        table.horizon = durable.forgotten.map_or(Mark::default(), Mark::from);
        // Before everything that this life begins, and after everything that earlier ones have.
        table.last = Mark {
            epoch: durable.epoch.saturating_add(1),
            number: 0,
        };
        for (txn, request) in &durable.ended {
            table.remember(*request, *txn);
        }
        for (txn, committed) in &durable.committed {
            match committed.mode {
                Mode::Blocking => table.remember(committed.request, *txn),
                // Proposed, perhaps decided: the machine will tell.
                Mode::NonBlocking => {
                    let nobody = Known::Open(Vec::new());
                    table.known.insert(committed.request, nobody);
                    table.open += 1;
                }
            }
        }
    }

    /// How far this member is.
    pub(crate) fn mark(&self) -> Mark {
        self.0.lock().last
    }

    /// How many transactions have no outcome yet.
    pub(crate) fn open(&self) -> usize {
        self.0.lock().open
    }

    /// A caller wants the transaction `id`, for the first time or again.
    pub(crate) fn admit(&self, id: TransactionId) -> Result<Admission, RunError> {
        let table = &mut *self.0.lock();
        if table.stopped {
            return Err(RunError::Unknown);
        }
        let (sender, receiver) = oneshot::channel();
        match table.known.get_mut(&id.request()) {
            Some(Known::Ended(outcome)) => return Ok(Admission::Ended(outcome.clone())),
            Some(Known::Open(waiters)) => {
                waiters.retain(|waiter| !waiter.is_closed());
                if waiters.len() >= WAITERS_MAX {
                    return Err(RunError::Unknown);
                }
                waiters.push(sender);
                return Ok(Admission::Waiting(receiver));
            }
            None if id.since < table.horizon => return Err(RunError::Forgotten),
            None if table.open >= OPEN_MAX => return Err(RunError::Busy),
            None => {}
        }
        table.known.insert(id.request(), Known::Open(vec![sender]));
        table.open += 1;
        Ok(Admission::New(receiver))
    }

    /// What is known of the transaction `id`.
    pub(crate) fn standing(&self, id: TransactionId) -> Standing {
        let table = self.0.lock();
        match table.known.get(&id.request()) {
            Some(Known::Ended(outcome)) => Standing::Ended(outcome.clone()),
            Some(Known::Open(_)) => Standing::Open,
            None if id.since < table.horizon => Standing::Forgotten,
            None => Standing::NotKnown,
        }
    }

    /// The machine has begun a transaction.
    pub(crate) fn begun(&self, txn: TxnId) {
        let mut table = self.0.lock();
        table.last = table.last.max(txn.into());
    }

    /// The machine has not begun it, and never will.
    pub(crate) fn refused(&self, request: RequestId, why: RunError) {
        let mut table = self.0.lock();
        if let Some(Known::Open(_)) = table.known.get(&request) {
            table.open -= 1;
            let waiters = table.known.remove(&request);
            drop(table);
            tell(waiters, &Err(why));
        }
    }

    /// A transaction has its outcome.
    pub(crate) fn ended(&self, request: RequestId, txn: TxnId, outcome: Outcome) {
        let mut table = self.0.lock();
        let Some(Known::Open(_)) = table.known.get(&request) else {
            return;
        };
        table.open -= 1;
        let known = Known::Ended(outcome.clone());
        let waiters = table.known.insert(request, known);
        table.ended.push_back((request, txn.into()));
        table.forget();
        drop(table);
        tell(waiters, &Ok(outcome));
    }

    /// Nobody will be told anything any more.
    pub(crate) fn stop(&self) {
        let mut table = self.0.lock();
        table.stopped = true;
        let known = std::mem::take(&mut table.known);
        drop(table);
        for known in known.into_values() {
            tell(Some(known), &Err(RunError::Unknown));
        }
    }
}

impl Table {
    fn remember(&mut self, request: RequestId, txn: TxnId) {
        let committed = Known::Ended(Outcome::Committed);
        self.known.insert(request, committed);
        self.ended.push_back((request, txn.into()));
        self.forget();
    }

    /// Makes room.
    fn forget(&mut self) {
        while self.ended.len() > OUTCOMES_MAX
            && let Some((request, mark)) = self.ended.pop_front()
        {
            self.known.remove(&request);
            self.horizon = self.horizon.max(mark);
        }
    }
}

fn tell(known: Option<Known>, verdict: &Verdict) {
    if let Some(Known::Open(waiters)) = known {
        for waiter in waiters {
            // Whoever has gone can ask again.
            let _ = waiter.send(verdict.clone());
        }
    }
}

#[cfg(test)]
mod tests;
