//! What takes part in transactions: a store of any kind, on a thread of its own.

use crate::reasons::Reasons;
use bytes::Bytes;
use quorate::driver::{Handle, TrySubmitError};
use quorate_commit::{Command, Commit, TxnId, Vote};
use std::error::Error;
use std::sync::Arc;
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::time::Duration;
use tokio::sync::watch;

/// What a member runs: two-phase commit over work that is opaque to it.
pub type Machine = Commit<Bytes>;

/// Instructions that may wait for a participant. One that finds no room is dropped: what was to be prepared is not
/// voted on and aborted in time, and decisions are repeated.
const INSTRUCTIONS_MAX: usize = 16 << 10;

/// How many instructions a participant is given before it is told that it may see to its disk.
const INSTRUCTIONS_AT_ONCE: usize = 256;

/// What ends a participant.
pub type ParticipantError = Box<dyn Error + Send + Sync>;

/// A store that takes part in transactions. Its functions are called one after another, on a thread that it has for
/// itself: they may block.
///
/// # What must be durable when
///
/// | when it says | it must, whatever crashes from then on, |
/// |---|---|
/// | [`Voter::yes`] | be able to commit, and to abort; keep others from what it has locked; and name the transaction in [`in_doubt`](Participant::in_doubt) after a restart |
/// | [`Voter::no`] | nothing: as if it had not been asked |
/// | [`Done::say`] | never need to be told again |
///
/// A store that writes to the node's own record log ([`quorate::Node::log`]) may vote yes as soon as it has
/// *appended* what it prepared: the log makes nothing durable before what was appended earlier, so the vote's own
/// record, and the vote, come after it. One sync is enough for both.
///
/// # Idempotence
///
/// `commit` and `abort` come at least once, and again until `Done` is said; after a restart too. One about a
/// transaction that the store does not know has nothing to do and is done. `prepare` comes once; a second time at most
/// after a no, an abort or a restart, if the network repeats the coordinator's question.
pub trait Participant: Send + 'static {
    /// The transactions that it has prepared and knows no outcome of. Asked once, before anything else.
    fn in_doubt(&mut self) -> Vec<TxnId>;

    /// Sees whether it could do `work`, locks what must not change until then, and votes: now or later, here or on
    /// another thread. `work` is what the caller gave for this member, see [`Work`](crate::Work).
    ///
    /// A store does best not to wait for the locks of another transaction: the two might wait for each other.
    fn prepare(&mut self, txn: TxnId, work: Bytes, vote: Voter);

    /// Does what was prepared, and gives up its locks.
    fn commit(&mut self, txn: TxnId, done: Done);

    /// Forgets what was prepared, and gives up its locks.
    fn abort(&mut self, txn: TxnId, done: Done);

    /// Nothing else is to be done just now, or a lot has been done at once: the moment to write what was collected.
    /// Returns after which time it wants to be called again if nothing comes.
    ///
    /// # Errors
    ///
    /// If the store cannot go on: it is told nothing more, and
    /// [`Transactions::stopped`](crate::Transactions::stopped) returns.
    fn idle(&mut self) -> Result<Option<Duration>, ParticipantError> {
        Ok(None)
    }
}

/// The way back to the machine.
#[derive(Clone)]
struct Answers {
    handle: Handle<Machine>,
    runtime: tokio::runtime::Handle,
}

impl Answers {
    /// Hands over without waiting, whatever thread this is.
    fn submit(&self, command: Command<Bytes>) {
        if let Err(TrySubmitError::Full) = self.handle.try_submit(command.clone()) {
            let handle = self.handle.clone();
            // An error means that the node has stopped: it asks again at its next start.
            self.runtime
                .spawn(async move { handle.submit(command).await });
        }
    }
}

/// A question that waits for a vote. Dropped without one, it is a no.
#[must_use]
pub struct Voter {
    txn: TxnId,
    answers: Answers,
    reasons: Arc<Reasons>,
    is_open: bool,
}

impl Voter {
    /// The participant can commit, whatever happens. See [`Participant`].
    pub fn yes(mut self) {
        self.vote(Vote::Yes);
    }

    /// The participant cannot, for a reason that the caller is told.
    pub fn no(mut self, reason: &str) {
        self.reasons.tell(self.txn, reason);
        self.vote(Vote::No);
    }

    fn vote(&mut self, vote: Vote) {
        self.is_open = false;
        let txn = self.txn;
        self.answers.submit(Command::Prepared { txn, vote });
    }
}

impl Drop for Voter {
    fn drop(&mut self) {
        if self.is_open {
            self.vote(Vote::No);
        }
    }
}

/// A decision that the participant is to carry out. Dropped without a word, it is told again.
#[must_use]
pub struct Done {
    txn: TxnId,
    answers: Answers,
}

impl Done {
    /// It is carried out, durably.
    pub fn say(self) {
        self.answers.submit(Command::Done { txn: self.txn });
    }
}

/// What the machine tells its resource.
pub(crate) enum Instruction {
    Prepare { txn: TxnId, work: Bytes },
    Commit(TxnId),
    Abort(TxnId),
}

/// The machine's end: instructions go in without waiting.
pub(crate) struct Instructions(SyncSender<Instruction>);

impl Instructions {
    pub(crate) fn new() -> (Self, Receiver<Instruction>) {
        let (sender, receiver) = sync_channel(INSTRUCTIONS_MAX);
        (Instructions(sender), receiver)
    }

    pub(crate) fn give(&self, instruction: Instruction) {
        match self.0.try_send(instruction) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                tracing::warn!("the participant is too slow: an instruction is dropped");
            }
            Err(TrySendError::Disconnected(_)) => {
                tracing::error!("the participant has stopped: an instruction is dropped");
            }
        }
    }
}

/// Runs `participant` on a thread until the machine has stopped; what is returned closes when it has ended.
pub(crate) fn run(
    mut participant: impl Participant,
    instructions: Receiver<Instruction>,
    handle: Handle<Machine>,
    reasons: Arc<Reasons>,
) -> std::io::Result<watch::Receiver<()>> {
    let (running, ended) = watch::channel(());
    let answers = Answers {
        handle,
        runtime: tokio::runtime::Handle::current(),
    };
    let thread = std::thread::Builder::new().name("participant".to_owned());
    thread.spawn(move || {
        let _running = running;
        for txn in participant.in_doubt() {
            let vote = Vote::Yes;
            answers.submit(Command::Prepared { txn, vote });
        }
        let served = serve(&mut participant, &instructions, &answers, &reasons);
        if let Err(error) = served {
            tracing::error!(error, "the participant cannot go on");
        }
        // First: a file that it has open is free once it has ended.
        drop(participant);
    })?;
    Ok(ended)
}

fn serve(
    participant: &mut impl Participant,
    instructions: &Receiver<Instruction>,
    answers: &Answers,
    reasons: &Arc<Reasons>,
) -> Result<(), ParticipantError> {
    let carry_out = |participant: &mut _, instruction| {
        carry_out(participant, instruction, answers, reasons);
    };
    let mut rest = participant.idle()?;
    loop {
        let first = match rest {
            None => instructions
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
            Some(rest) => instructions.recv_timeout(rest),
        };
        match first {
            Ok(instruction) => carry_out(participant, instruction),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        for _ in 1..INSTRUCTIONS_AT_ONCE {
            match instructions.try_recv() {
                Ok(instruction) => carry_out(participant, instruction),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        rest = participant.idle()?;
    }
}

fn carry_out(
    participant: &mut impl Participant,
    instruction: Instruction,
    answers: &Answers,
    reasons: &Arc<Reasons>,
) {
    let done = |txn| Done {
        txn,
        answers: answers.clone(),
    };
    match instruction {
        Instruction::Prepare { txn, work } => {
            let vote = Voter {
                txn,
                answers: answers.clone(),
                reasons: reasons.clone(),
                is_open: true,
            };
            participant.prepare(txn, work, vote);
        }
        Instruction::Commit(txn) => participant.commit(txn, done(txn)),
        Instruction::Abort(txn) => participant.abort(txn, done(txn)),
    }
}
