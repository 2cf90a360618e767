//! A member: two-phase commit, what takes part in it here, and the callers.

use crate::callers::{Admission, Callers, Outcome, RunError, Standing};
use crate::participant::{self, Instruction, Instructions, Machine, Participant};
use crate::reasons::Reasons;
use crate::{Share, TransactionId, Work};
use bytes::Bytes;
use quorate::driver::{Handle, TrySubmitError};
use quorate::{GroupError, GroupId, Node, NodeId};
use quorate_commit::{self as commit, Command, Config, Mode, Output, Reason, Rejection, TxnId};
use std::io;
use std::sync::Arc;
use tokio::sync::watch;

/// The groups that transactions use on a node; the same on all members.
#[derive(Clone, Copy, Debug)]
pub struct Groups {
    /// Two-phase commit.
    pub commit: GroupId,
    /// What members tell each other beside it: why they vote no.
    pub reasons: GroupId,
}

/// Why transactions do not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The group.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The participant's thread.
    #[error("starting the participant's thread: {0}")]
    Thread(#[from] io::Error),
}

/// This member's part in transactions: it coordinates those of its callers, and takes part in those of all members.
/// Cheap to clone; the clones are one.
///
/// It runs until its [`Node`] is shut down; dropping it does not stop it.
#[derive(Clone)]
pub struct Transactions(Arc<Inner>);

struct Inner {
    node: Node,
    callers: Arc<Callers>,
    handle: Handle<Machine>,
    participant: watch::Receiver<()>,
}

/// The configuration of the machine on member `id`, with ticks of ten milliseconds.
pub fn config(id: NodeId, members: impl IntoIterator<Item = NodeId>) -> Config {
    Config::new(id, members)
}

impl Transactions {
    /// Starts this member's part, with `participant` for the work that is for this member. Must be called within a
    /// tokio runtime, and before [`Node::connect`].
    ///
    /// # Errors
    ///
    /// If the group's records cannot be read.
    pub fn start(
        node: &Node,
        groups: Groups,
        participant: impl Participant,
    ) -> Result<Self, StartError> {
        let members = node.options().members.keys().copied();
        let config = config(node.id(), members);
        let reasons = Arc::new(Reasons::new(node.transport().clone(), groups.reasons));
        node.transport().register(groups.reasons, reasons.clone());
        let (instructions, instructed) = Instructions::new();
        let callers = Arc::new(Callers::default());
        let outputs = Outputs {
            callers: callers.clone(),
            instructions,
            reasons: reasons.clone(),
        };
        let recovered = |durable: &_| {
            outputs.callers.recover(durable);
            move |output| outputs.take(output)
        };
        let handle = node.spawn_recovered::<Machine, _>(groups.commit, config, recovered)?;
        let participant = participant::run(participant, instructed, handle.clone(), reasons)?;
        Ok(Transactions(Arc::new(Inner {
            node: node.clone(),
            callers,
            handle,
            participant,
        })))
    }

    /// A name for a transaction that this member is to coordinate.
    pub fn new_id(&self) -> TransactionId {
        TransactionId {
            coordinator: self.0.node.id(),
            since: self.0.callers.mark(),
            nonce: rand::random(),
        }
    }

    /// Runs a transaction to its outcome. Whoever calls it again with the same id is told of the same transaction: it
    /// never takes effect twice.
    ///
    /// # Errors
    ///
    /// See [`RunError`]. If this future is dropped, the transaction goes on.
    pub async fn run(
        &self,
        id: TransactionId,
        shares: Vec<Share>,
        mode: Mode,
    ) -> Result<Outcome, RunError> {
        if id.coordinator != self.0.node.id() {
            return Err(RunError::NotMine);
        }
        let outcome = match self.0.callers.admit(id)? {
            Admission::Ended(outcome) => return Ok(outcome),
            Admission::Waiting(outcome) => outcome,
            Admission::New(outcome) => {
                self.begin(id, shares, mode);
                outcome
            }
        };
        // An error means that the node has stopped.
        outcome.await.unwrap_or(Err(RunError::Unknown))
    }

    fn begin(&self, id: TransactionId, shares: Vec<Share>, mode: Mode) {
        let work = shares.into_iter().map(|Share { member, operations }| {
            let work = Work { id, operations };
            (member, work.encode())
        });
        let begin = Command::Begin {
            request: id.request(),
            mode,
            work: work.collect(),
        };
        match self.0.handle.try_submit(begin) {
            Ok(()) => {}
            Err(TrySubmitError::Full) => self.0.callers.refused(id.request(), RunError::Busy),
            // Those who wait are told when the driver's end is dropped.
            Err(TrySubmitError::Closed(_)) => {
                self.0.callers.refused(id.request(), RunError::Unknown);
            }
        }
    }

    /// What this member knows of a transaction that it coordinates.
    pub fn standing(&self, id: TransactionId) -> Standing {
        match id.coordinator == self.0.node.id() {
            true => self.0.callers.standing(id),
            false => Standing::NotKnown,
        }
    }

    /// How many transactions of callers here have no outcome yet.
    pub fn open(&self) -> usize {
        self.0.callers.open()
    }

    /// How many messages this member has sent to others because of transactions.
    pub fn messages_sent(&self) -> u64 {
        self.0.handle.stats().sent
    }

    /// The node that it runs on.
    pub fn node(&self) -> &Node {
        &self.0.node
    }

    /// Returns once the member's part has stopped: with its node, or because of a fault, such as a participant that
    /// cannot go on.
    pub async fn stopped(&self) {
        let mut participant = self.0.participant.clone();
        tokio::select! {
            () = self.0.handle.stopped() => {}
            // Nothing is ever sent: it ends with the thread.
            _ = participant.changed() => {}
        }
    }

    /// Returns once the participant has ended, which it does when the node was shut down: its files are closed then.
    pub async fn participant_ended(&self) {
        let mut participant = self.0.participant.clone();
        let _ = participant.changed().await;
    }
}

/// The machine's end. It is dropped when the machine stops.
struct Outputs {
    callers: Arc<Callers>,
    instructions: Instructions,
    reasons: Arc<Reasons>,
}

impl Outputs {
    fn take(&self, output: Output<Bytes>) {
        match output {
            Output::Prepare { txn, work } => {
                self.instructions.give(Instruction::Prepare { txn, work });
            }
            Output::Commit { txn } => self.instructions.give(Instruction::Commit(txn)),
            Output::Abort { txn } => self.instructions.give(Instruction::Abort(txn)),
            Output::Begun { txn, .. } => self.callers.begun(txn),
            Output::Rejected { request, rejection } => {
                let why = match rejection {
                    Rejection::Busy => RunError::Busy,
                    Rejection::Invalid => RunError::Invalid,
                };
                self.callers.refused(request, why);
            }
            Output::Finished {
                request,
                txn,
                outcome,
            } => match outcome {
                commit::Outcome::Committed => {
                    self.callers.ended(request, txn, Outcome::Committed);
                }
                commit::Outcome::Aborted(why) => {
                    let reason = self.words(txn, why);
                    self.callers
                        .ended(request, txn, Outcome::Aborted { reason });
                }
                // Not yet.
                commit::Outcome::Unknown => {}
            },
        }
    }

    fn words(&self, txn: TxnId, reason: Reason) -> String {
        match reason {
            Reason::Refused(member) => match self.reasons.take(txn, member) {
                Some(reason) => format!("member {}: {reason}", member.0),
                None => format!("member {} cannot take part", member.0),
            },
            Reason::TimedOut => "not every participant has voted in time".to_owned(),
            Reason::Overtaken => {
                "a participant had waited too long for the coordinator, and the members agreed to abort"
                    .to_owned()
            }
            Reason::Presumed => "the coordinator has no record of a commit".to_owned(),
        }
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        self.callers.stop();
    }
}
