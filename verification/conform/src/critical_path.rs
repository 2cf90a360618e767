//! What a transaction waited for: the chain of messages and syncs that ended in its outcome.
//!
//! The event logs of all members say what happened, and the machine says what of it waited for what. So no
//! host's time is needed to tell the critical path of a transaction: from what was told, back to the sync that
//! it waited for, the step that promised it, the message that made the step, the sync that this waited for,
//! and so on, until a caller's command. Of several votes the last one made the step that decided, and it is
//! the last one's chain that is found.
//!
//! What one member says to itself, and what it says to its resource and is answered, is on the path without
//! being a message. A promise that waits only because earlier records of other steps are not durable yet is told
//! apart: the protocol does not ask for that wait, but the order of a member's records does.

use crate::ConformError;
use crate::run::Life;
use quorate_commit::{
    Command, Commit, Message, Mode, Outcome, Output, RequestId, Timer, TxnId, Work,
};
use quorate_driver::{Divergence, Moment, Replayer};
use quorate_machine::{Effects, Event, Gate, NodeId, Promise, TimerEffect};
use quorate_transport::Wire;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A recorded transaction.
#[derive(Clone, Debug, Serialize)]
pub struct TransactionPath {
    /// The coordinator's name for it, such as `n1.2.35`: member, life, number.
    pub transaction: String,
    /// The caller's name for it.
    pub request: u64,
    /// Whether consensus decides it.
    pub non_blocking: bool,
    /// What the caller was told; nothing if the recording ends before, or the coordinator crashed.
    pub committed: Option<bool>,
    /// From the caller's command until it was told the outcome.
    pub told: Option<Path>,
    /// Of a committed one: until the last resource was told to commit. Last is the longest path.
    pub carried_out: Option<Path>,
    /// All messages about it between members, whether anybody waited for them or not.
    pub messages: u64,
}

/// What happened one after the other, each because of the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Path {
    /// From the first.
    pub hops: Vec<Hop>,
}

/// One thing on a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Hop {
    /// A member was handed something, or told something to its application.
    Step {
        /// The member.
        member: u32,
        /// What it was.
        what: String,
    },
    /// A message arrived.
    Message {
        /// The sender.
        from: u32,
        /// The receiver.
        to: u32,
        /// What it says.
        what: String,
    },
    /// What followed waited until records were durable.
    Sync {
        /// Whose.
        member: u32,
        /// Whether the step before wrote any of them, and not only others did.
        own: bool,
    },
    /// A timer fired.
    Timer {
        /// Whose.
        member: u32,
        /// Which.
        what: String,
    },
}

impl Path {
    /// Messages between members, one after the other.
    pub fn messages(&self) -> usize {
        let is_message = |hop: &&Hop| matches!(hop, Hop::Message { .. });
        self.hops.iter().filter(is_message).count()
    }

    /// Syncs of its own records, one after the other.
    pub fn syncs(&self) -> usize {
        let is_sync = |hop: &&Hop| matches!(hop, Hop::Sync { own: true, .. });
        self.hops.iter().filter(is_sync).count()
    }

    /// Syncs of the records of others, one after the other.
    pub fn waits(&self) -> usize {
        let is_wait = |hop: &&Hop| matches!(hop, Hop::Sync { own: false, .. });
        self.hops.iter().filter(is_wait).count()
    }

    /// Whether something was lost, or somebody was slow: a timer had to fire.
    pub fn has_timers(&self) -> bool {
        let is_timer = |hop: &Hop| matches!(hop, Hop::Timer { .. });
        self.hops.iter().any(is_timer)
    }
}

/// The transactions that the members of `lives` have recorded, in the order of their names.
///
/// # Errors
///
/// If a log cannot be read, or is not what the machine does.
pub fn transactions<W: Work + Wire>(
    lives: &[Life<Commit<W>>],
) -> Result<Vec<TransactionPath>, ConformError> {
    let mut recorded = Recorded::default();
    for life in lives {
        Reader::new(life, &mut recorded).read(life)?;
    }
    Ok(recorded.finish())
}

/// A step: the member's place in the list of lives, and the step's in the member's life.
type At = (usize, usize);

/// When something left a step: at once, or after a sync.
#[derive(Clone, Copy, Debug)]
struct Release {
    step: At,
    synced: bool,
}

/// What identifies a message: sender, receiver, and a hash of the content.
type Key = (NodeId, NodeId, u64);

#[derive(Debug)]
enum Cause {
    /// A caller, or the start of the process.
    Outside,
    Message(Key, String),
    /// What the member has told its own resource.
    Resource(Release),
    /// What armed the timer.
    Timer(At, String),
}

#[derive(Debug)]
struct Step {
    what: String,
    cause: Cause,
    /// Whether it wrote records.
    writes: bool,
}

/// What is said to whom about a transaction.
#[derive(Debug)]
struct Told {
    release: Release,
    what: String,
}

#[derive(Debug)]
struct Transaction {
    request: RequestId,
    mode: Mode,
    finished: Option<(Told, bool)>,
    commits: Vec<Told>,
    messages: u64,
}

#[derive(Debug, Default)]
struct Recorded {
    members: Vec<NodeId>,
    steps: Vec<Vec<Step>>,
    /// Of equal messages the first receipt is taken for that of the first one.
    sends: HashMap<Key, VecDeque<Release>>,
    transactions: BTreeMap<TxnId, Transaction>,
    /// Messages about transactions; a participant's log may be read before the coordinator's.
    messages: HashMap<TxnId, u64>,
    commits: Vec<(TxnId, Told)>,
}

/// Reads the log of one member.
struct Reader<'a, W: Work> {
    recorded: &'a mut Recorded,
    slot: usize,
    id: NodeId,
    gate: Gate<Commit<W>>,
    /// The steps of the gate's promises.
    promised: VecDeque<usize>,
    /// Records that are known to be durable, in all the member's life.
    durable: u64,
    /// What the resource was told last of a transaction.
    prepare: HashMap<TxnId, Release>,
    decide: HashMap<TxnId, Release>,
    armed: HashMap<Timer, usize>,
    /// Of those that are begun and have no identity yet.
    modes: HashMap<RequestId, Mode>,
}

impl<'a, W: Work + Wire> Reader<'a, W> {
    fn new(life: &Life<Commit<W>>, recorded: &'a mut Recorded) -> Self {
        let slot = recorded.members.len();
        recorded.members.push(life.config.id);
        recorded.steps.push(Vec::new());
        Reader {
            recorded,
            slot,
            id: life.config.id,
            gate: Gate::new(),
            promised: VecDeque::new(),
            durable: 0,
            prepare: HashMap::new(),
            decide: HashMap::new(),
            armed: HashMap::new(),
            modes: HashMap::new(),
        }
    }

    fn read(mut self, life: &Life<Commit<W>>) -> Result<(), ConformError> {
        let mut replayer = Replayer::<Commit<W>>::new(&life.config, &life.logs);
        while let Some(moment) = replayer.advance().map_err(failure)? {
            match moment {
                Moment::Started { found, .. } => self.start(found),
                Moment::Stepped { event, effects } => self.step(event, effects),
                Moment::Durable { records } => {
                    // The replayer has seen to it that these are written.
                    self.gate.synced(records - self.durable);
                    self.durable = records;
                    self.release(true);
                }
            }
        }
        Ok(())
    }

    /// What was not released before will not be.
    fn start(&mut self, found: u64) {
        self.gate = Gate::new();
        self.promised.clear();
        self.durable = found;
        self.prepare.clear();
        self.decide.clear();
        self.armed.clear();
        self.modes.clear();
    }

    fn step(&mut self, event: Option<Event<Commit<W>>>, mut fx: Effects<Commit<W>>) {
        let (what, cause) = match event {
            None => ("starts".to_owned(), Cause::Outside),
            Some(Event::Command(command)) => self.commanded(command),
            Some(Event::Receive { from, message }) => {
                let key = (from, self.id, hash(&message));
                (String::new(), Cause::Message(key, said(&message)))
            }
            Some(Event::Timeout(timer)) => {
                let cause = match self.armed.remove(&timer) {
                    Some(step) => Cause::Timer((self.slot, step), format!("{timer:?}")),
                    None => Cause::Outside,
                };
                (String::new(), cause)
            }
        };
        let steps = &mut self.recorded.steps[self.slot];
        let step = steps.len();
        let writes = !fx.records().is_empty();
        steps.push(Step {
            what,
            cause,
            writes,
        });
        for timer in fx.drain_timers() {
            match timer {
                TimerEffect::Arm(timer, _) => self.armed.insert(timer, step),
                TimerEffect::Disarm(timer) => self.armed.remove(&timer),
            };
        }
        let immediate: Vec<_> = fx.drain_immediate().collect();
        for immediate in immediate {
            self.let_go(immediate, self.left(step, false));
        }
        self.promised.extend(fx.promises().map(|_| step));
        self.gate.absorb(&mut fx).for_each(drop);
        self.release(false);
    }

    fn left(&self, step: usize, synced: bool) -> Release {
        Release {
            step: (self.slot, step),
            synced,
        }
    }

    /// What the application says, and why.
    fn commanded(&mut self, command: Command<W>) -> (String, Cause) {
        let because = |release: Option<&Release>| match release {
            Some(release) => Cause::Resource(*release),
            // Said again after a restart.
            None => Cause::Outside,
        };
        match command {
            Command::Begin { request, mode, .. } => {
                self.modes.insert(request, mode);
                ("a caller begins it".to_owned(), Cause::Outside)
            }
            Command::Ask { .. } => ("a caller asks".to_owned(), Cause::Outside),
            Command::Prepared { txn, vote } => {
                let what = format!("the resource has prepared: {vote:?}");
                (what, because(self.prepare.get(&txn)))
            }
            Command::Done { txn } => {
                let what = "the resource has carried it out".to_owned();
                (what, because(self.decide.get(&txn)))
            }
        }
    }

    fn release(&mut self, synced: bool) {
        while let Some(promise) = self.gate.release() {
            let Some(step) = self.promised.pop_front() else {
                return; // Each promise of the gate has its step.
            };
            let release = self.left(step, synced);
            self.let_go(promise, release);
        }
    }

    fn let_go(&mut self, promise: Promise<Commit<W>>, release: Release) {
        match promise {
            Promise::Send { to, message } => self.sent(to, &message, release),
            Promise::Output(output) => self.told(&output, release),
        }
    }

    fn sent(&mut self, to: NodeId, message: &Message<W>, release: Release) {
        let key = (self.id, to, hash(message));
        self.recorded
            .sends
            .entry(key)
            .or_default()
            .push_back(release);
        if to != self.id && !matches!(message, Message::Release { .. }) {
            *self.recorded.messages.entry(message.txn()).or_default() += 1;
        }
    }

    fn told(&mut self, output: &Output<W>, release: Release) {
        match output {
            Output::Begun { request, txn } => {
                let begun = Transaction {
                    request: *request,
                    mode: self.modes.remove(request).unwrap_or(Mode::Blocking),
                    finished: None,
                    commits: Vec::new(),
                    messages: 0,
                };
                // Repeated when a request is.
                self.recorded.transactions.entry(*txn).or_insert(begun);
            }
            Output::Rejected { request, .. } => {
                self.modes.remove(request);
            }
            Output::Finished { txn, outcome, .. } => {
                let (what, committed) = match outcome {
                    Outcome::Committed => ("the caller is told: committed", true),
                    Outcome::Aborted(_) => ("the caller is told: aborted", false),
                    Outcome::Unknown => return,
                };
                let told = Told {
                    release,
                    what: what.to_owned(),
                };
                if let Some(transaction) = self.recorded.transactions.get_mut(txn) {
                    transaction.finished.get_or_insert((told, committed));
                }
            }
            Output::Prepare { txn, .. } => {
                self.prepare.insert(*txn, release);
            }
            Output::Commit { txn } => {
                let what = "the resource is told to commit".to_owned();
                if self.decide.insert(*txn, release).is_none() {
                    let told = Told { release, what };
                    self.recorded.commits.push((*txn, told));
                }
            }
            Output::Abort { txn } => {
                self.decide.insert(*txn, release);
            }
        }
    }
}

impl Recorded {
    fn finish(mut self) -> Vec<TransactionPath> {
        for (txn, told) in std::mem::take(&mut self.commits) {
            if let Some(transaction) = self.transactions.get_mut(&txn) {
                transaction.commits.push(told);
            }
        }
        for (txn, messages) in &self.messages {
            if let Some(transaction) = self.transactions.get_mut(txn) {
                transaction.messages = *messages;
            }
        }
        let sources = self.sources();
        let path = |told: &Told| self.path(told, &sources);
        let all = self.transactions.iter().map(|(txn, transaction)| {
            let paths = transaction.commits.iter().map(path);
            let length = |path: &Path| (path.messages() + path.syncs(), path.waits());
            TransactionPath {
                transaction: txn.to_string(),
                request: transaction.request.0,
                non_blocking: transaction.mode == Mode::NonBlocking,
                committed: transaction
                    .finished
                    .as_ref()
                    .map(|(_, committed)| *committed),
                told: transaction.finished.as_ref().map(|(told, _)| path(told)),
                carried_out: paths.max_by_key(length),
                messages: transaction.messages,
            }
        });
        all.collect()
    }

    /// Of each step that received a message, when that was sent. Nothing if the sender's log has it not.
    fn sources(&mut self) -> HashMap<At, Release> {
        let mut sends = std::mem::take(&mut self.sends);
        let mut sources = HashMap::new();
        for (slot, steps) in self.steps.iter().enumerate() {
            for (number, step) in steps.iter().enumerate() {
                let Cause::Message(key, _) = &step.cause else {
                    continue;
                };
                if let Some(release) = sends.get_mut(key).and_then(VecDeque::pop_front) {
                    sources.insert((slot, number), release);
                }
            }
        }
        sources
    }

    /// From what was told back to what nothing recorded has caused.
    fn path(&self, told: &Told, sources: &HashMap<At, Release>) -> Path {
        let mut hops = vec![Hop::Step {
            member: self.member(told.release.step),
            what: told.what.clone(),
        }];
        let mut next = Some(told.release);
        // No chain of causes is longer than all steps, unless logs are not of one run.
        let steps: usize = self.steps.iter().map(Vec::len).sum();
        for _ in 0..=steps {
            let Some(Release { step: at, synced }) = next else {
                break;
            };
            let member = self.member(at);
            let step = &self.steps[at.0][at.1];
            if synced {
                let own = step.writes;
                hops.push(Hop::Sync { member, own });
            }
            if !step.what.is_empty() {
                hops.push(Hop::Step {
                    member,
                    what: step.what.clone(),
                });
            }
            next = match &step.cause {
                Cause::Outside => None,
                Cause::Resource(release) => Some(*release),
                Cause::Timer(armed, what) => {
                    let what = what.clone();
                    hops.push(Hop::Timer { member, what });
                    Some(Release {
                        step: *armed,
                        synced: false,
                    })
                }
                Cause::Message(key, what) => {
                    if key.0 != key.1 {
                        hops.push(Hop::Message {
                            from: key.0.0,
                            to: key.1.0,
                            what: what.clone(),
                        });
                    }
                    sources.get(&at).copied()
                }
            };
        }
        hops.reverse();
        Path { hops }
    }

    fn member(&self, at: At) -> u32 {
        self.members[at.0].0
    }
}

fn hash<W: Work>(message: &Message<W>) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.hash(&mut hasher);
    hasher.finish()
}

/// A message in a word or two.
fn said<W: Work>(message: &Message<W>) -> String {
    match message {
        Message::Prepare { .. } => "Prepare".to_owned(),
        Message::Voted { vote, .. } => format!("Voted {vote:?}"),
        Message::Decided { decision, .. } => format!("Decided {decision:?}"),
        Message::Acknowledged { .. } => "Acknowledged".to_owned(),
        Message::Forget { .. } => "Forget".to_owned(),
        Message::Inquire { .. } => "Inquire".to_owned(),
        Message::Answered { decision, .. } => format!("Answered {decision:?}"),
        Message::Release { .. } => "Release".to_owned(),
        Message::Consensus(message) => {
            let whole = format!("{message:?}");
            let name = whole.split([' ', '(']).next().unwrap_or_default();
            format!("Paxos {name}")
        }
    }
}

fn failure(divergence: Divergence) -> ConformError {
    match divergence {
        Divergence::Unreadable { file, error } => ConformError::Local {
            attempt: format!("reading {}", file.display()),
            source: error,
        },
        other => ConformError::Replay(other),
    }
}

#[cfg(test)]
mod tests;
