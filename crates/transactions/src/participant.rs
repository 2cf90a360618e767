//! What takes part in transactions: a store of any kind, on a thread of its own.

use crate::reasons::Reasons;
use bytes::Bytes;
use parking_lot::Mutex;
use quorate::driver::{Handle, TrySubmitError};
use quorate_commit::{Command, Commit, TxnId, Vote};
use std::collections::HashSet;
use std::error::Error;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// What a member runs: two-phase commit over work that is opaque to it.
pub type Machine = Commit<Bytes>;

/// Questions that may wait for a participant. One that finds no room is answered with no.
const QUESTIONS_MAX: usize = 16 << 10;

/// Transactions whose decision may wait for a participant: more than a member takes part in at a time, and than
/// questions wait. An abort of what was never voted on is told once, so none may be lost for want of room.
const DECISIONS_MAX: usize = 128 << 10;

/// Why a question is answered with no that finds no room.
const OVERLOADED: &str = "too many transactions wait for its store";

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
/// `commit` and `abort` of what the store has voted yes on come at least once, and again until `Done` is said; after a
/// restart too. An `abort` while the vote is still out comes once, and once more if that turns out to be a yes: a store
/// that cannot carry it out must try again by itself, or fail. One about a transaction that the store does not know has
/// nothing to do and is done. `prepare` comes once; a second time at most after a no, an abort or a restart, if the
/// network repeats the coordinator's question.
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
    fn new(txn: TxnId, answers: &Answers, reasons: &Arc<Reasons>) -> Self {
        Voter {
            txn,
            answers: answers.clone(),
            reasons: reasons.clone(),
            is_open: true,
        }
    }

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

/// A decision that the participant is to carry out. Dropped without a word, it is told again; but see
/// [`Participant`] about an abort while the vote is out.
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

/// Instructions that were given and not yet taken.
#[derive(Default)]
struct Waiting {
    questions: usize,
    /// Transactions whose decision is the last that waits of them: telling it again would say nothing.
    decided: HashSet<TxnId>,
}

impl Waiting {
    /// Notes an instruction that is given; `false` if it is not to be.
    fn admit(&mut self, instruction: &Instruction) -> bool {
        match instruction {
            Instruction::Prepare { txn, .. } => {
                let has_room = self.questions < QUESTIONS_MAX;
                if has_room {
                    self.questions += 1;
                    self.decided.remove(txn);
                }
                has_room
            }
            Instruction::Commit(txn) | Instruction::Abort(txn) => {
                let repeats = self.decided.contains(txn);
                let has_room = self.decided.len() < DECISIONS_MAX;
                if !repeats && !has_room {
                    tracing::error!("the participant is too slow: a decision is dropped");
                }
                has_room && self.decided.insert(*txn)
            }
        }
    }

    fn taken(&mut self, instruction: &Instruction) {
        match instruction {
            Instruction::Prepare { .. } => self.questions -= 1,
            Instruction::Commit(txn) | Instruction::Abort(txn) => {
                self.decided.remove(txn);
            }
        }
    }
}

/// The machine's end: instructions go in without waiting.
pub(crate) struct Instructions {
    sender: Sender<Instruction>,
    waiting: Arc<Mutex<Waiting>>,
    refuse: Arc<OnceLock<Refuse>>,
}

/// Votes no for a participant.
type Refuse = Box<dyn Fn(TxnId) + Send + Sync>;

/// The participant's end.
pub(crate) struct Instructed {
    receiver: Receiver<Instruction>,
    waiting: Arc<Mutex<Waiting>>,
    /// Known once the machine runs, and nothing waits before.
    refuse: Arc<OnceLock<Refuse>>,
}

impl Instructions {
    pub(crate) fn new() -> (Self, Instructed) {
        let (sender, receiver) = channel();
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let refuse = Arc::new(OnceLock::new());
        let instructed = Instructed {
            receiver,
            waiting: waiting.clone(),
            refuse: refuse.clone(),
        };
        let instructions = Instructions {
            sender,
            waiting,
            refuse,
        };
        (instructions, instructed)
    }

    pub(crate) fn give(&self, instruction: Instruction) {
        let admitted = self.waiting.lock().admit(&instruction);
        if admitted {
            if self.sender.send(instruction).is_err() {
                tracing::error!("the participant has stopped: an instruction is dropped");
            }
        } else if let Instruction::Prepare { txn, .. } = instruction
            && let Some(refuse) = self.refuse.get()
        {
            refuse(txn);
        }
    }
}

impl Instructed {
    /// The next one, at the latest after `patience`.
    fn next(&self, patience: Option<Duration>) -> Result<Instruction, RecvTimeoutError> {
        let next = match patience {
            None => self
                .receiver
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
            Some(patience) => self.receiver.recv_timeout(patience),
        };
        next.inspect(|instruction| self.waiting.lock().taken(instruction))
    }

    /// The next one, if there is one.
    fn try_next(&self) -> Option<Instruction> {
        let next = self.receiver.try_recv().ok();
        next.inspect(|instruction| self.waiting.lock().taken(instruction))
    }
}

/// Runs `participant` on a thread until the machine has stopped; what is returned closes when it has ended.
pub(crate) fn run(
    mut participant: impl Participant,
    instructions: Instructed,
    handle: Handle<Machine>,
    reasons: Arc<Reasons>,
) -> std::io::Result<watch::Receiver<()>> {
    let (running, ended) = watch::channel(());
    let answers = Answers {
        handle,
        runtime: tokio::runtime::Handle::current(),
    };
    instructions.refuse.get_or_init(|| {
        let (answers, reasons) = (answers.clone(), reasons.clone());
        Box::new(move |txn| Voter::new(txn, &answers, &reasons).no(OVERLOADED))
    });
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
    instructions: &Instructed,
    answers: &Answers,
    reasons: &Arc<Reasons>,
) -> Result<(), ParticipantError> {
    let carry_out = |participant: &mut _, instruction| {
        carry_out(participant, instruction, answers, reasons);
    };
    let mut rest = participant.idle()?;
    loop {
        match instructions.next(rest) {
            Ok(instruction) => carry_out(participant, instruction),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        for _ in 1..INSTRUCTIONS_AT_ONCE {
            match instructions.try_next() {
                Some(instruction) => carry_out(participant, instruction),
                None => break,
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
            participant.prepare(txn, work, Voter::new(txn, answers, reasons));
        }
        Instruction::Commit(txn) => participant.commit(txn, done(txn)),
        Instruction::Abort(txn) => participant.abort(txn, done(txn)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate::NodeId;

    fn txn(number: u64) -> TxnId {
        TxnId {
            coordinator: NodeId(1),
            epoch: 1,
            number,
        }
    }

    fn ask(number: u64) -> Instruction {
        let work = Bytes::new();
        let txn = txn(number);
        Instruction::Prepare { txn, work }
    }

    fn taken(instructed: &Instructed) -> Vec<(char, u64)> {
        let all = std::iter::from_fn(|| instructed.try_next());
        let all = all.map(|instruction| match instruction {
            Instruction::Prepare { txn, .. } => ('p', txn.number),
            Instruction::Commit(txn) => ('c', txn.number),
            Instruction::Abort(txn) => ('a', txn.number),
        });
        all.collect()
    }

    /// A participant that does nothing for a while: what waits has a limit, and no abort is lost.
    #[test]
    fn questions_find_no_room_and_decisions_do() {
        let (instructions, instructed) = Instructions::new();
        let (refused, refusals) = channel();
        let refuse: Refuse = Box::new(move |txn| refused.send(txn).expect("it is open"));
        assert!(instructed.refuse.set(refuse).is_ok());
        let max = QUESTIONS_MAX as u64;
        for number in 1..=max + 2 {
            instructions.give(ask(number));
        }
        for _ in 0..3 {
            for number in 1..=max {
                instructions.give(Instruction::Abort(txn(number)));
            }
        }
        assert_eq!(
            refusals.try_iter().collect::<Vec<_>>(),
            [txn(max + 1), txn(max + 2)]
        );
        let questions = (1..=max).map(|number| ('p', number));
        let aborts = (1..=max).map(|number| ('a', number));
        assert_eq!(
            taken(&instructed),
            questions.chain(aborts).collect::<Vec<_>>()
        );
        instructions.give(ask(1));
        instructions.give(Instruction::Commit(txn(1)));
        assert_eq!(taken(&instructed), [('p', 1), ('c', 1)], "there is room");
    }

    #[test]
    fn a_decision_is_told_again_after_a_second_question() {
        let (instructions, instructed) = Instructions::new();
        let abort = || Instruction::Abort(txn(1));
        for instruction in [ask(1), abort(), abort(), ask(1), abort()] {
            instructions.give(instruction);
        }
        let order = [('p', 1), ('a', 1), ('p', 1), ('a', 1)];
        assert_eq!(taken(&instructed), order);
        instructions.give(abort());
        assert_eq!(taken(&instructed), [('a', 1)]);
    }
}
