//! The participant's side: votes, waits, asks, and does what was decided.

use crate::durable::raise;
use crate::{
    Commit, Config, Decision, Durable, Message, Mode, Output, Record, Timer, TxnId, Vote, Work,
};
use quorate_machine::{Effects, NodeId, Ticks};
use std::collections::BTreeMap;

/// What a participant holds in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Participant {
    joined: BTreeMap<TxnId, Part>,
    /// See [`Durable::latest`].
    latest: BTreeMap<NodeId, TxnId>,
}

/// A transaction in which this node takes part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// Where it is decided.
    pub mode: Mode,
    /// All who do, ascending.
    pub participants: Vec<NodeId>,
    /// How far it is here.
    pub phase: Phase,
}

/// How far a transaction is at a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The resource is preparing its share. The node may still abort by itself.
    Preparing,
    /// Voted yes, and knows no decision. It may do nothing by itself.
    Uncertain,
    /// The decision is known.
    Decided {
        /// The decision.
        decision: Decision,
        /// Whether the resource has carried it out, as far as this life of the node knows.
        done: bool,
    },
}

impl Participant {
    pub(crate) fn recovered(durable: &Durable) -> Self {
        let joined = durable.votes.iter().map(|(txn, joined)| {
            let phase = match joined.decision {
                None => Phase::Uncertain,
                Some(decision) => Phase::Decided {
                    decision,
                    done: false,
                },
            };
            let participants = joined.participants.clone();
            let part = Part {
                mode: joined.mode,
                participants,
                phase,
            };
            (*txn, part)
        });
        Participant {
            joined: joined.collect(),
            latest: durable.latest.clone(),
        }
    }

    /// The transactions in which this node takes part.
    pub fn joined(&self) -> impl ExactSizeIterator<Item = (TxnId, &Part)> {
        self.joined.iter().map(|(txn, part)| (*txn, part))
    }

    /// How far a transaction is here.
    pub fn phase(&self, txn: TxnId) -> Option<Phase> {
        self.joined.get(&txn).map(|part| part.phase)
    }

    /// See [`Durable::latest`].
    pub fn latest(&self) -> &BTreeMap<NodeId, TxnId> {
        &self.latest
    }

    /// Whether another node takes part in a transaction as well.
    pub(crate) fn shares(&self, txn: TxnId, other: NodeId) -> bool {
        let part = self.joined.get(&txn);
        part.is_some_and(|part| part.participants.contains(&other))
    }

    fn is_settled(&self, txn: TxnId) -> bool {
        self.latest.get(&txn.coordinator) >= Some(&txn)
    }
}

type Fx<W> = Effects<Commit<W>>;

impl<W: Work> Commit<W> {
    /// Goes on where the disk says that this node was.
    pub(crate) fn resume(&self, config: &Config, fx: &mut Fx<W>) {
        for (txn, part) in self.participant.joined() {
            if let Phase::Decided { decision, .. } = part.phase {
                instruct(txn, decision, fx);
            }
            fx.arm(Timer::Waiting(txn), part.patience(config));
        }
    }

    pub(crate) fn on_prepare(
        &mut self,
        config: &Config,
        from: NodeId,
        question: Question<W>,
        fx: &mut Fx<W>,
    ) {
        let Question {
            txn,
            mode,
            participants,
            work,
        } = question;
        let concerns = from == txn.coordinator
            && config.admits(&participants)
            && participants.contains(&config.id);
        if !concerns || self.participant.joined.contains_key(&txn) {
            return;
        }
        let full = self.participant.joined.len() >= config.max_joined;
        if full || self.participant.is_settled(txn) {
            let vote = Vote::No;
            return fx.send(from, Message::Voted { txn, vote });
        }
        let phase = Phase::Preparing;
        let part = Part {
            mode,
            participants,
            phase,
        };
        self.participant.joined.insert(txn, part);
        // It claims nothing of the disk. No promise about the transaction can be under way that it would overtake:
        // one that was is settled.
        fx.output_before_sync(Output::Prepare { txn, work });
    }

    /// The resource has prepared its share, or refuses.
    pub(crate) fn on_prepared(&mut self, config: &Config, txn: TxnId, vote: Vote, fx: &mut Fx<W>) {
        let Some(part) = self.participant.joined.get_mut(&txn) else {
            // It was told to abort before it had prepared, or a crash took the vote. That is final: the question may
            // come a second time, and by then this node would vote yes on what its resource has undone.
            if vote == Vote::Yes {
                self.refuse(txn, fx);
                // A promise: what decides is the refusal.
                fx.output(Output::Abort { txn });
            }
            return;
        };
        match (part.phase, vote) {
            (Phase::Preparing, Vote::Yes) => {
                part.phase = Phase::Uncertain;
                let participants = part.participants.clone();
                let (mode, patience) = (part.mode, part.patience(config));
                raise(&mut self.participant.latest, txn);
                fx.persist(Record::Voted {
                    txn,
                    mode,
                    participants,
                });
                fx.send(txn.coordinator, Message::Voted { txn, vote });
                fx.arm(Timer::Waiting(txn), patience);
            }
            (Phase::Preparing, Vote::No) => {
                self.participant.joined.remove(&txn);
                fx.send(txn.coordinator, Message::Voted { txn, vote });
            }
            (Phase::Decided { decision, .. }, _) => instruct(txn, decision, fx),
            (Phase::Uncertain, _) => {}
        }
    }

    /// A decision arrives: from the coordinator, from another participant, or by consensus.
    pub(crate) fn on_decided(&mut self, txn: TxnId, decision: Decision, fx: &mut Fx<W>) {
        let Some(part) = self.participant.joined.get_mut(&txn) else {
            return;
        };
        match (part.phase, decision) {
            (Phase::Uncertain, _) => {
                part.phase = Phase::Decided {
                    decision,
                    done: false,
                };
                fx.persist(Record::Decided { txn, decision });
                instruct(txn, decision, fx);
            }
            (Phase::Preparing, Decision::Abort) => {
                self.participant.joined.remove(&txn);
                instruct(txn, decision, fx);
            }
            // Nobody commits what this node has not voted on, and no decision is changed.
            (Phase::Preparing, Decision::Commit) | (Phase::Decided { .. }, _) => {}
        }
    }

    /// The resource has done what it was told.
    pub(crate) fn on_done(&mut self, txn: TxnId, fx: &mut Fx<W>) {
        let Some(part) = self.participant.joined.get_mut(&txn) else {
            return;
        };
        let Phase::Decided { decision, done } = &mut part.phase else {
            return;
        };
        match decision {
            Decision::Commit => {
                *done = true;
                fx.send(txn.coordinator, Message::Acknowledged { txn });
            }
            // Nobody needs to hear of it: who asks is told that it is aborted, as of all that is not known.
            Decision::Abort => self.forget(txn, fx),
        }
    }

    /// Every participant has committed. After a restart the resource is asked once more whether it has, and
    /// then the coordinator.
    pub(crate) fn on_forget(&mut self, txn: TxnId, fx: &mut Fx<W>) {
        let done = Phase::Decided {
            decision: Decision::Commit,
            done: true,
        };
        if self.participant.phase(txn) == Some(done) {
            self.forget(txn, fx);
        }
    }

    fn forget(&mut self, txn: TxnId, fx: &mut Fx<W>) {
        self.participant.joined.remove(&txn);
        fx.persist(Record::Forgotten(txn));
        fx.disarm(Timer::Waiting(txn));
    }

    /// Another participant is uncertain.
    ///
    /// Who is uncertain too cannot help. Who knows the decision tells it. Who has not voted yes aborts, and may
    /// never vote yes afterwards. Who knows nothing of the transaction has never voted yes on it, or has
    /// forgotten it: aborted, or committed, and then the one who asked has long committed as well
    /// ([`Message::Forget`]) and takes no notice of the answer.
    pub(crate) fn on_inquire(&mut self, config: &Config, from: NodeId, txn: TxnId, fx: &mut Fx<W>) {
        if !config.is_member(txn.coordinator) {
            return;
        }
        let decision = match self.participant.phase(txn) {
            Some(Phase::Uncertain) => return,
            Some(Phase::Decided { decision, .. }) => decision,
            Some(Phase::Preparing) => {
                self.participant.joined.remove(&txn);
                // First: what the resource is told to undo must not be voted on after a crash.
                self.refuse(txn, fx);
                fx.output(Output::Abort { txn });
                Decision::Abort
            }
            None => {
                self.refuse(txn, fx);
                Decision::Abort
            }
        };
        fx.send(from, Message::Answered { txn, decision });
    }

    /// Sees to it that this node never votes yes on a transaction that it has not voted on.
    fn refuse(&mut self, txn: TxnId, fx: &mut Fx<W>) {
        if !self.participant.is_settled(txn) {
            raise(&mut self.participant.latest, txn);
            fx.persist(Record::Refused(txn));
        }
    }

    /// Has waited long enough: asks again.
    pub(crate) fn on_waiting(&mut self, config: &Config, txn: TxnId, fx: &mut Fx<W>) {
        let Some(part) = self.participant.joined.get(&txn) else {
            return;
        };
        match part.phase {
            Phase::Preparing => return,
            Phase::Uncertain => {
                let vote = Vote::Yes;
                fx.send(txn.coordinator, Message::Voted { txn, vote });
                match part.mode {
                    Mode::Blocking => {
                        let asked = part.participants.iter();
                        let me = [config.id, txn.coordinator];
                        for node in asked.filter(|node| !me.contains(node)) {
                            fx.send(*node, Message::Inquire { txn });
                        }
                    }
                    Mode::NonBlocking => self.propose(config, txn, Decision::Abort, fx),
                }
            }
            Phase::Decided {
                decision: Decision::Commit,
                done: true,
            } => fx.send(txn.coordinator, Message::Acknowledged { txn }),
            Phase::Decided { decision, .. } => instruct(txn, decision, fx),
        }
        if let Some(part) = self.participant.joined.get(&txn) {
            fx.arm(Timer::Waiting(txn), part.patience(config));
        }
    }

    /// A transaction of its coordinator is not open. One that this node is uncertain of is not committed, then:
    /// that would wait for this node to acknowledge it.
    pub(crate) fn on_not_open(&mut self, txn: TxnId, fx: &mut Fx<W>) {
        if self.participant.phase(txn) == Some(Phase::Uncertain) {
            self.on_decided(txn, Decision::Abort, fx);
        }
    }
}

impl Part {
    /// For how long this node waits before it asks again, or takes matters in its own hands.
    fn patience(&self, config: &Config) -> Ticks {
        match self.phase {
            Phase::Preparing | Phase::Uncertain => config.patience_ticks.clone(),
            Phase::Decided { .. } => config.repeat_ticks.clone(),
        }
    }
}

/// A coordinator's question.
pub(crate) struct Question<W> {
    pub(crate) txn: TxnId,
    pub(crate) mode: Mode,
    pub(crate) participants: Vec<NodeId>,
    pub(crate) work: W,
}

/// Tells the resource what was decided elsewhere, at once. It is durable there, and an abort is presumed: that this
/// node's disk has it too is not claimed, and is what the acknowledgement waits for. The resource is asked at once as well: so
/// it hears of what one transaction came to before it is asked about the next, and an abort before a question that
/// comes a second time.
fn instruct<W: Work>(txn: TxnId, decision: Decision, fx: &mut Fx<W>) {
    fx.output_before_sync(match decision {
        Decision::Commit => Output::Commit { txn },
        Decision::Abort => Output::Abort { txn },
    });
}
