//! The coordinator's side: asks for votes, decides, remembers what it has committed until all have done it.

use crate::durable::Committed;
use crate::{
    Commit, Config, Decision, Durable, Message, Mode, Outcome, Output, Reason, Record, Rejection,
    RequestId, Timer, TxnId, Vote, Work,
};
use quorate_machine::{Effects, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// What a coordinator holds in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Coordinator {
    /// The last epoch that was written.
    epoch: u64,
    /// Transactions begun in this life. The epoch is this life's as soon as there is one.
    begun: u64,
    /// Questions wait for no disk any more.
    ///
    /// The first ones of a life wait for its epoch, and being promises they leave in their order. So once all
    /// have said yes to the latest, the epoch is durable and none is left behind that a later one could overtake.
    prompt: bool,
    open: BTreeMap<TxnId, Open>,
    /// The open and the remembered transactions by the caller's name for them.
    requests: BTreeMap<RequestId, TxnId>,
    ended: BTreeMap<TxnId, RequestId>,
    forgotten: Option<TxnId>,
}

/// An open transaction at its coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Open {
    /// Where it is decided.
    pub mode: Mode,
    /// The caller's name for it.
    pub request: RequestId,
    /// Who takes part, ascending.
    pub participants: Vec<NodeId>,
    /// How far it is.
    pub stage: Stage,
}

/// How far an open transaction is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// These have not voted.
    Voting(BTreeSet<NodeId>),
    /// All have voted yes, and it is proposed to commit it.
    Proposed,
    /// It is committed, and these have not acknowledged it.
    Committed(BTreeSet<NodeId>),
}

impl Coordinator {
    pub(crate) fn recovered(durable: &Durable) -> Self {
        let open = durable.committed.iter().map(|(txn, committed)| {
            let Committed {
                mode,
                request,
                participants,
            } = committed.clone();
            let stage = match mode {
                Mode::Blocking => Stage::Committed(participants.iter().copied().collect()),
                Mode::NonBlocking => Stage::Proposed,
            };
            (
                *txn,
                Open {
                    mode,
                    request,
                    participants,
                    stage,
                },
            )
        });
        let open: BTreeMap<TxnId, Open> = open.collect();
        let requests = open.iter().map(|(txn, open)| (open.request, *txn));
        let ended = durable.ended.iter().map(|(txn, request)| (*request, *txn));
        Coordinator {
            epoch: durable.epoch,
            begun: 0,
            prompt: false,
            requests: requests.chain(ended).collect(),
            ended: durable.ended.clone(),
            forgotten: durable.forgotten,
            open,
        }
    }

    /// The epoch of the last life that has begun a transaction, this one or an earlier one.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The last transaction that this life of a node has begun.
    pub fn last(&self, id: NodeId) -> Option<TxnId> {
        (self.begun > 0).then_some(TxnId {
            coordinator: id,
            epoch: self.epoch,
            number: self.begun,
        })
    }

    /// Whether the next question leaves at once, whatever waits for the disk: the epoch is known to be durable,
    /// and all questions before have left.
    pub fn is_prompt(&self) -> bool {
        self.prompt
    }

    /// The transactions that are open.
    pub fn open(&self) -> impl ExactSizeIterator<Item = (TxnId, &Open)> {
        self.open.iter().map(|(txn, open)| (*txn, open))
    }

    /// How far an open transaction is.
    pub fn stage(&self, txn: TxnId) -> Option<&Stage> {
        self.open.get(&txn).map(|open| &open.stage)
    }

    /// The transactions that have ended and are remembered.
    pub fn ended(&self) -> &BTreeMap<TxnId, RequestId> {
        &self.ended
    }

    /// The latest transaction that was committed and is not known any more.
    pub fn forgotten(&self) -> Option<TxnId> {
        self.forgotten
    }

    /// Whether a transaction of this coordinator was begun, in this life or an earlier one.
    fn was_begun(&self, txn: TxnId) -> bool {
        txn.epoch < self.epoch
            || (txn.epoch == self.epoch && (self.begun == 0 || txn.number <= self.begun))
    }

    /// What can be said of a transaction now.
    fn outcome(&self, config: &Config, txn: TxnId) -> Outcome {
        if txn.coordinator != config.id || !self.was_begun(txn) {
            return Outcome::Unknown;
        }
        match self.open.get(&txn).map(|open| &open.stage) {
            Some(Stage::Voting(_) | Stage::Proposed) => Outcome::Unknown,
            Some(Stage::Committed(_)) => Outcome::Committed,
            None if self.ended.contains_key(&txn) => Outcome::Committed,
            // Committed and forgotten, or aborted before that: no record says.
            None if Some(txn) <= self.forgotten => Outcome::Unknown,
            None => Outcome::Aborted(Reason::Presumed),
        }
    }

    /// The next identity; with the record that makes it unique, if there is none yet.
    fn next(&mut self, id: NodeId) -> Option<(TxnId, Option<Record>)> {
        let record = if self.begun == 0 {
            self.epoch = self.epoch.checked_add(1)?;
            Some(Record::Epoch(self.epoch))
        } else {
            None
        };
        self.begun = self.begun.checked_add(1)?;
        let txn = TxnId {
            coordinator: id,
            epoch: self.epoch,
            number: self.begun,
        };
        Some((txn, record))
    }

    /// Below this, none of its transactions is open.
    fn earliest(&self, id: NodeId) -> TxnId {
        let next = TxnId {
            coordinator: id,
            epoch: self.epoch.saturating_add(u64::from(self.begun == 0)),
            number: self.begun.saturating_add(1),
        };
        self.open.keys().next().copied().unwrap_or(next)
    }

    /// Takes a committed transaction from the open to the ended ones; which one is forgotten for it.
    fn end(&mut self, txn: TxnId, remembered: usize) -> Option<TxnId> {
        let open = self.open.remove(&txn)?;
        self.ended.insert(txn, open.request);
        if self.ended.len() <= remembered {
            return None;
        }
        let (oldest, request) = self.ended.pop_first()?;
        self.requests.remove(&request);
        self.forgotten = self.forgotten.max(Some(oldest));
        Some(oldest)
    }
}

type Fx<W> = Effects<Commit<W>>;

impl<W: Work> Commit<W> {
    pub(crate) fn begin(
        &mut self,
        config: &Config,
        request: RequestId,
        mode: Mode,
        mut work: Vec<(NodeId, W)>,
        fx: &mut Fx<W>,
    ) {
        if let Some(txn) = self.coordinator.requests.get(&request).copied() {
            return self.repeated(config, request, txn, fx);
        }
        work.sort_by_key(|(node, _)| *node);
        let participants: Vec<NodeId> = work.iter().map(|(node, _)| *node).collect();
        let rejection = if !config.admits(&participants) {
            Some(Rejection::Invalid)
        } else if self.coordinator.open.len() >= config.max_coordinated {
            Some(Rejection::Busy)
        } else {
            None
        };
        let begun = match rejection {
            Some(_) => None,
            None => self.coordinator.next(config.id),
        };
        let Some((txn, record)) = begun else {
            let rejection = rejection.unwrap_or(Rejection::Busy);
            return fx.output(Output::Rejected { request, rejection });
        };
        if let Some(record) = record {
            fx.persist(record);
        }
        fx.output(Output::Begun { request, txn });
        for (node, work) in work {
            let participants = participants.clone();
            let prepare = Message::Prepare {
                txn,
                mode,
                participants,
                work,
            };
            if self.coordinator.prompt {
                // It claims nothing of the disk but the epoch: records of other transactions can wait.
                fx.send_before_sync(node, prepare);
            } else {
                fx.send(node, prepare);
            }
        }
        fx.arm(Timer::Votes(txn), config.vote_ticks.clone());
        let open = Open {
            mode,
            request,
            stage: Stage::Voting(participants.iter().copied().collect()),
            participants,
        };
        self.coordinator.open.insert(txn, open);
        self.coordinator.requests.insert(request, txn);
    }

    /// A caller asks for what it has asked before.
    fn repeated(&mut self, config: &Config, request: RequestId, txn: TxnId, fx: &mut Fx<W>) {
        fx.output(Output::Begun { request, txn });
        let outcome = self.coordinator.outcome(config, txn);
        if outcome != Outcome::Unknown {
            fx.output(Output::Finished {
                request,
                txn,
                outcome,
            });
        }
    }

    pub(crate) fn ask(&self, config: &Config, request: RequestId, txn: TxnId, fx: &mut Fx<W>) {
        let outcome = self.coordinator.outcome(config, txn);
        fx.output(Output::Finished {
            request,
            txn,
            outcome,
        });
    }

    pub(crate) fn on_voted(
        &mut self,
        config: &Config,
        from: NodeId,
        txn: TxnId,
        vote: Vote,
        fx: &mut Fx<W>,
    ) {
        if txn.coordinator != config.id || !self.coordinator.was_begun(txn) {
            return;
        }
        let Some(open) = self.coordinator.open.get_mut(&txn) else {
            // Presumed abort: what is committed is known until the voter has acknowledged it. Who votes on what
            // has ended voted before that.
            if vote == Vote::Yes && !self.coordinator.ended.contains_key(&txn) {
                let decision = Decision::Abort;
                fx.send(from, Message::Decided { txn, decision });
            }
            return;
        };
        match &mut open.stage {
            Stage::Voting(missing) if open.participants.contains(&from) => match vote {
                Vote::No => self.abort(txn, Reason::Refused(from), fx),
                Vote::Yes => {
                    missing.remove(&from);
                    if missing.is_empty() {
                        self.commit(config, txn, fx);
                    }
                }
            },
            Stage::Committed(_) if open.participants.contains(&from) => {
                let decision = Decision::Commit;
                fx.send(from, Message::Decided { txn, decision });
            }
            _ => {}
        }
    }

    /// All have voted yes.
    fn commit(&mut self, config: &Config, txn: TxnId, fx: &mut Fx<W>) {
        self.coordinator.prompt |= self.coordinator.last(config.id) == Some(txn);
        let Some(open) = self.coordinator.open.get_mut(&txn) else {
            return;
        };
        // The caller, and anybody else, is told once it is durable. A proposal leaves no earlier, either: from
        // then on this node may not forget the transaction before everybody has it.
        fx.persist(Record::Committed {
            txn,
            mode: open.mode,
            request: open.request,
            participants: open.participants.clone(),
        });
        match open.mode {
            Mode::Blocking => {
                fx.disarm(Timer::Votes(txn));
                self.committed(txn, fx);
                self.announce(txn, fx);
            }
            Mode::NonBlocking => {
                open.stage = Stage::Proposed;
                self.propose_again(config, txn, fx);
            }
        }
    }

    fn propose_again(&mut self, config: &Config, txn: TxnId, fx: &mut Fx<W>) {
        // The consensus sees to itself, unless it had no room for this one.
        fx.arm(Timer::Votes(txn), config.vote_ticks.clone());
        self.propose(config, txn, Decision::Commit, fx);
    }

    /// Consensus has decided.
    pub(crate) fn on_learned(&mut self, txn: TxnId, decision: Decision, fx: &mut Fx<W>) {
        let open = self.coordinator.open.get(&txn);
        let Some(Stage::Proposed) = open.map(|open| &open.stage) else {
            return;
        };
        match decision {
            // The consensus tells the participants.
            Decision::Commit => {
                fx.disarm(Timer::Votes(txn));
                self.committed(txn, fx);
            }
            Decision::Abort => {
                fx.persist(Record::Abandoned(txn));
                self.abort(txn, Reason::Overtaken, fx);
            }
        }
    }

    /// Goes on where the disk says that this node was.
    pub(crate) fn resume_proposals(&mut self, config: &Config, fx: &mut Fx<W>) {
        let open = self.coordinator.open.iter();
        let proposed = open.filter(|(_, open)| open.stage == Stage::Proposed);
        let proposed: Vec<TxnId> = proposed.map(|(txn, _)| *txn).collect();
        for txn in proposed {
            self.propose_again(config, txn, fx);
        }
    }

    /// From now on a transaction is known to be committed.
    fn committed(&mut self, txn: TxnId, fx: &mut Fx<W>) {
        let Some(open) = self.coordinator.open.get_mut(&txn) else {
            return;
        };
        open.stage = Stage::Committed(open.participants.iter().copied().collect());
        fx.output(Output::Finished {
            request: open.request,
            txn,
            outcome: Outcome::Committed,
        });
    }

    /// Tells the participants of a committed transaction.
    fn announce(&self, txn: TxnId, fx: &mut Fx<W>) {
        let decision = Decision::Commit;
        let open = self.coordinator.open.get(&txn);
        for node in open.into_iter().flat_map(|open| &open.participants) {
            fx.send(*node, Message::Decided { txn, decision });
        }
    }

    /// Aborts a transaction that cannot be committed any more. No record says so: what is not known to be
    /// committed is presumed to be aborted.
    fn abort(&mut self, txn: TxnId, reason: Reason, fx: &mut Fx<W>) {
        let Some(open) = self.coordinator.open.remove(&txn) else {
            return;
        };
        self.coordinator.requests.remove(&open.request);
        fx.disarm(Timer::Votes(txn));
        fx.output(Output::Finished {
            request: open.request,
            txn,
            outcome: Outcome::Aborted(reason),
        });
        let decision = Decision::Abort;
        let told = open.participants.into_iter();
        for node in told.filter(|node| reason != Reason::Refused(*node)) {
            fx.send(node, Message::Decided { txn, decision });
        }
    }

    pub(crate) fn on_votes_timeout(&mut self, config: &Config, txn: TxnId, fx: &mut Fx<W>) {
        match self.coordinator.stage(txn) {
            Some(Stage::Voting(_)) => self.abort(txn, Reason::TimedOut, fx),
            Some(Stage::Proposed) => self.propose_again(config, txn, fx),
            Some(Stage::Committed(_)) | None => {}
        }
    }

    pub(crate) fn on_acknowledged(
        &mut self,
        config: &Config,
        from: NodeId,
        txn: TxnId,
        fx: &mut Fx<W>,
    ) {
        if txn.coordinator != config.id || !self.coordinator.was_begun(txn) {
            return;
        }
        let Some(open) = self.coordinator.open.get_mut(&txn) else {
            // It has ended: the participant has not heard so.
            return fx.send(from, Message::Forget { txn });
        };
        let Stage::Committed(missing) = &mut open.stage else {
            return;
        };
        missing.remove(&from);
        if !missing.is_empty() {
            return;
        }
        let (mode, participants) = (open.mode, std::mem::take(&mut open.participants));
        let forgets = self.coordinator.end(txn, config.remembered);
        fx.persist(Record::Ended { txn, forgets });
        // Once it is durable: who has forgotten does not acknowledge a second time.
        for node in participants {
            fx.send(node, Message::Forget { txn });
        }
        if mode == Mode::NonBlocking {
            let below = self.coordinator.earliest(config.id);
            for node in &config.members {
                fx.send(*node, Message::Release { below });
            }
        }
    }
}
