//! From the machine's outputs to those who wait for them.
//!
//! Outputs arrive in order on the driver's task, tens of thousands a second, so what is done with one
//! is little: a look into a map, and nothing for those who are not there.

use crate::replica::{Lagged, SubmitError, Tuning};
use crate::{Index, NodeId, Outcome, Pending, RoleName, SessionId, StateMachine, Term};
use quorate_raft::{Output, Refusal, Request};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::sync::{broadcast, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

/// How many changes a subscriber may be behind. Their bytes are shared with the log.
const CHANGES_BEHIND: usize = 4096;

/// What a member knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// This member.
    pub id: NodeId,
    /// The latest term that it has entered; 0 until it takes part after a start.
    pub term: Term,
    /// Its role.
    pub role: RoleName,
    /// The leader that it believes in.
    pub leader: Option<NodeId>,
    /// The last command or opening of a session that it has applied.
    pub applied: Index,
}

/// A command that was applied, and was not a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<S: StateMachine> {
    /// Where in the log.
    pub index: Index,
    /// The command.
    pub command: S::Command,
    /// What came of it.
    pub response: S::Response,
}

/// A stream of changes in the order of the log. It ends with the replica.
pub struct Changes<S: StateMachine>(BroadcastStream<Arc<Change<S>>>);

impl<S: StateMachine> Stream for Changes<S> {
    type Item = Result<Arc<Change<S>>, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx).map(|next| {
            next.map(|change| {
                change.map_err(|BroadcastStreamRecvError::Lagged(missed)| Lagged { missed })
            })
        })
    }
}

/// What becomes of a request.
pub(crate) type Verdict<S> = Result<Answer<S>, SubmitError>;

/// How a request is answered.
pub(crate) enum Answer<S: StateMachine> {
    Opened(SessionId),
    Written(Outcome<S::Response>),
    Read(S::Response),
}

/// What the requests and the driver's task share.
pub(crate) struct Shared<S: StateMachine> {
    id: NodeId,
    /// The requests that wait.
    pub(crate) waiting: Pending<Request, Verdict<S>>,
    /// Numbers of sessions to open and of reads.
    next: AtomicU64,
    leadership: watch::Receiver<Leadership>,
    /// Weak, so that streams of changes end when the driver's callback is dropped.
    changes: broadcast::WeakSender<Arc<Change<S>>>,
    applied: AtomicU64,
}

#[derive(Clone, Copy)]
struct Leadership {
    term: Term,
    role: RoleName,
    leader: Option<NodeId>,
}

impl<S: StateMachine> Shared<S> {
    /// A number for an opening or a read.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn status(&self) -> Status {
        let Leadership { term, role, leader } = *self.leadership.borrow();
        Status {
            id: self.id,
            term,
            role,
            leader,
            applied: Index(self.applied.load(Ordering::Relaxed)),
        }
    }

    pub(crate) async fn knows_leader(&self) -> bool {
        let mut leadership = self.leadership.clone();
        let known = leadership.wait_for(|known| known.leader.is_some()).await;
        known.is_ok()
    }

    pub(crate) fn subscribe(&self) -> Changes<S> {
        let receiver = match self.changes.upgrade() {
            Some(changes) => changes.subscribe(),
            // The replica has stopped: a stream that has ended.
            None => broadcast::channel(1).1,
        };
        Changes(BroadcastStream::new(receiver))
    }
}

/// The driver's callback. It is dropped when the driver stops, for whatever reason.
pub(crate) struct Outputs<S: StateMachine> {
    shared: Arc<Shared<S>>,
    leadership: watch::Sender<Leadership>,
    changes: broadcast::Sender<Arc<Change<S>>>,
}

impl<S: StateMachine> Outputs<S> {
    pub(crate) fn new(id: NodeId, tuning: &Tuning) -> Self {
        let (changes, _) = broadcast::channel(CHANGES_BEHIND);
        let (leadership, watched) = watch::channel(Leadership {
            term: Term(0),
            role: RoleName::Follower,
            leader: None,
        });
        let shared = Shared {
            id,
            waiting: Pending::new(tuning.max_waiting, tuning.max_waiting_bytes),
            // Members tell of the sessions that others open, now and before their restarts; a random
            // beginning keeps this node's numbers apart from those.
            next: AtomicU64::new(rand::random()),
            leadership: watched,
            changes: changes.downgrade(),
            applied: AtomicU64::new(0),
        };
        Outputs {
            shared: Arc::new(shared),
            leadership,
            changes,
        }
    }

    /// What the callback shares with the requests.
    pub(crate) fn shared(&self) -> Arc<Shared<S>> {
        self.shared.clone()
    }

    pub(crate) fn take(&mut self, output: Output<S>) {
        let shared = &self.shared;
        match output {
            Output::Applied {
                index,
                session,
                sequence,
                command,
                outcome,
            } => {
                shared.applied.store(index.0, Ordering::Relaxed);
                self.publish(index, command, &outcome);
                let request = Request::Write { session, sequence };
                shared
                    .waiting
                    .answer(&request, Ok(Answer::Written(outcome)));
            }
            Output::Opened { nonce, session } => {
                // A session is named after the entry that opened it.
                shared.applied.store(session.0, Ordering::Relaxed);
                let request = Request::Open { nonce };
                shared.waiting.answer(&request, Ok(Answer::Opened(session)));
            }
            Output::Answered { id, response } => {
                let request = Request::Read { id };
                shared.waiting.answer(&request, Ok(Answer::Read(response)));
            }
            Output::Refused { request, refusal } => {
                let error = match refusal {
                    Refusal::NotLeader { leader } => SubmitError::NotLeader { leader },
                    Refusal::Busy => SubmitError::Busy,
                };
                shared.waiting.answer(&request, Err(error));
            }
            Output::Became { term, role, leader } => {
                tracing::info!(node = %shared.id, %term, ?role, ?leader, "leadership");
                self.leadership
                    .send_replace(Leadership { term, role, leader });
                if role != RoleName::Leader {
                    shared.waiting.abandon();
                }
            }
        }
    }

    fn publish(&self, index: Index, command: S::Command, outcome: &Outcome<S::Response>) {
        if self.changes.receiver_count() > 0
            && let Outcome::Applied(response) = outcome
        {
            let response = response.clone();
            // An error means that the last subscriber has just left.
            let _ = self.changes.send(Arc::new(Change {
                index,
                command,
                response,
            }));
        }
    }
}

impl<S: StateMachine> Drop for Outputs<S> {
    fn drop(&mut self) {
        self.shared.waiting.stop();
    }
}

#[cfg(test)]
mod tests;
