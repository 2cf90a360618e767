//! Two-phase commit: a transaction over several nodes takes effect on all of them or on none.
//!
//! Every node can coordinate transactions and take part in them; one [`Commit`] is both. What a transaction *does*
//! is not the protocol's business. Each node has a **resource**, a database or whatever else, which is asked to
//! prepare its share of the work and is then told to commit or to abort it.
//!
//! ```text
//!  caller        coordinator              participants               their resources
//!    │   Begin        │    Prepare(work)       │        Prepare(work)        │
//!    ├───────────────►├───────────────────────►├────────────────────────────►│
//!    │                │                        │◄────────────────────────────┤ durable there
//!    │                │    Voted(yes)          │ ▓ voted yes    Prepared(yes)│
//!    │                │◄───────────────────────┤                             │
//!    │   Finished   ▓ │ committed              │                             │
//!    │◄───────────────┤    Decided(commit)     │                             │
//!    │                ├───────────────────────►│                  Commit     │
//!    │                │                        ├────────────────────────────►│
//!    │                │    Acknowledged        │ ▓ decided        Done       │
//!    │              ▓ │◄───────────────────────┤◄────────────────────────────┤ durable there
//!    │          ended │    Forget              │                             │
//!    │                ├───────────────────────►│ ▓ forgotten          ▓ a record, durable before what follows
//! ```
//!
//! The rules are those of Bernstein, Hadzilacos and Goodman, *Concurrency Control and Recovery in Database
//! Systems* (1987), chapter 7, with the presumption of Mohan, Lindsay and Obermarck, *Transaction Management in the
//! R\* Distributed Database Management System* (1986):
//!
//! - **A yes vote is a promise.** It leaves when it is durable in the resource and on this node's disk. From then on
//!   until it knows the decision the participant is *uncertain* and may do nothing by itself.
//! - **A transaction commits at one moment**: when the record at its coordinator is durable. That record is written
//!   only if every participant has voted yes.
//! - **Abort is presumed.** Nothing is written before that moment, and nothing for an abort: a coordinator that does
//!   not know a transaction answers that it is aborted. So a committed one is known until every participant has
//!   acknowledged it.
//! - **Who waits asks.** A participant that is uncertain repeats its vote and asks the other participants; whoever
//!   has decided answers, and whoever has not voted yes gives up its right to, for good, and then answers
//!   "aborted". A participant that has committed repeats its acknowledgement until it is told to forget. The
//!   coordinator repeats nothing.
//!
//! # How little has to be remembered
//!
//! Transactions of one coordinator have identities that grow. A participant keeps one mark for each coordinator:
//! the latest transaction that it has voted yes on or refused for good ([`Durable::latest`]). A question about a
//! transaction that is not later, and that it does not know, gets no yes any more. So a duplicate of an old
//! question cannot prepare anything twice, and a refusal needs no record of its own to be kept. The price: a
//! question that is overtaken by one of a later transaction of the same coordinator is refused. Links between nodes
//! keep their order, so that does not happen without a fault.
//!
//! A coordinator remembers the last [`Config::remembered`] committed transactions that have ended, and of those
//! before them which was the latest. So it can tell a caller of every transaction of its own, whenever it is asked:
//! committed, aborted, or that it does not know any more. It never guesses: what is later than the mark and not
//! remembered was never committed.
//!
//! # What waits for the disk
//!
//! A promise waits for every record before it, and under load there are always some: those of other transactions. A
//! question claims nothing of the disk but the epoch that makes its transaction's identity unique. So the first ones of
//! a life are promises. Once all have said yes to the latest of them, the epoch is known to be durable and no question
//! is left behind: from then on they leave at once ([`Coordinator::is_prompt`]). What a resource is asked claims nothing
//! of its node's disk at all, and neither does what it is told: the decision is durable where it was made. (Where a
//! node gives up its own vote, the refusal is the decision: that is durable first.) So a transaction in blocking mode
//! waits for two syncs until the last resource is told, however many others there are: one at each participant, for
//! the vote, and one at the coordinator, for the decision.
//!
//! # Blocking
//!
//! If the coordinator is down and all other participants are uncertain, these have to wait for it: it may have
//! committed, or not. No protocol with one place for the decision can do better (Bernstein et al., section 7.4).
//!
//! # Non-blocking
//!
//! So a transaction can be decided elsewhere ([`Mode::NonBlocking`]): the decision is a write-once value that the
//! members agree on by consensus ([`quorate_paxos`]), after Gray and Lamport, *Consensus on Transaction Commit*
//! (2006). Nothing else changes:
//!
//! - The coordinator, once all have voted yes, *proposes* to commit. Nobody else ever does.
//! - A participant that is uncertain for too long proposes to abort.
//! - What is decided rules, whoever learns it. With a majority of the members up and in touch every participant
//!   that is up decides, whether the coordinator comes back or not.
//!
//! The record by which a coordinator commits is now the one by which it remembers that it has proposed to, durable
//! before the proposal leaves. So abort is still presumed: a transaction that the coordinator does not know was
//! never proposed, or has ended. The votes do not go through consensus (as they would in Paxos Commit): it costs
//! two more rounds and two more syncs than blocking, one after the other, and nothing while participants vote.
//!
//! What consensus has decided is kept until no earlier transaction of the same coordinator is open
//! ([`Message::Release`]): a participant that stays away keeps the decisions after its own from being forgotten.
//!
//! # What is assumed of others
//!
//! - A resource that has answered [`Command::Prepared`] with yes can commit and can abort, whatever crashes. It takes
//!   [`Output::Commit`] and [`Output::Abort`] any number of times, and answers [`Command::Done`] once its disk has
//!   it. After a restart it says `Prepared` again of what it is in doubt about. What a crash has taken the vote of is
//!   refused then, for good: the resource undoes it, and the question may come a second time.
//! - Members do not lie. What makes no sense is ignored, and nothing panics.

mod config;
mod consensus;
mod coordinator;
mod durable;
mod id;
pub mod invariants;
mod message;
mod participant;

pub use config::Config;
pub use coordinator::{Coordinator, Open, Stage};
pub use durable::{Committed, Durable, Joined, Record};
pub use id::{Decision, Mode, Outcome, Reason, Rejection, RequestId, TxnId, Vote};
pub use message::{Command, Message, Output, Timer, Work};
pub use participant::{Part, Participant, Phase};

use durable::Consensus;
use participant::Question;
use quorate_machine::{Effects, Event, Machine, NodeId};
use quorate_paxos as paxos;
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// One node: a coordinator and a participant. See the [crate's introduction](crate).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Commit<W> {
    coordinator: Coordinator,
    participant: Participant,
    /// The consensus on the transactions of each coordinator, as far as any was to be decided.
    consensus: BTreeMap<NodeId, Consensus>,
    /// Work passes through and is never kept.
    work: PhantomData<fn(W)>,
}

impl<W: Work> Commit<W> {
    /// The coordinator's side.
    pub fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// The participant's side.
    pub fn participant(&self) -> &Participant {
        &self.participant
    }

    fn receive(
        &mut self,
        config: &Config,
        from: NodeId,
        message: Message<W>,
        fx: &mut Effects<Self>,
    ) {
        if !config.is_member(from) {
            return; // only members have a say
        }
        match message {
            Message::Prepare {
                txn,
                mode,
                participants,
                work,
            } => {
                let question = Question {
                    txn,
                    mode,
                    participants,
                    work,
                };
                self.on_prepare(config, from, question, fx);
            }
            Message::Voted { txn, vote } => self.on_voted(config, from, txn, vote, fx),
            Message::Decided { txn, decision } if from == txn.coordinator => {
                self.on_decided(txn, decision, fx);
            }
            Message::Acknowledged { txn } => self.on_acknowledged(config, from, txn, fx),
            Message::Forget { txn } if from == txn.coordinator => self.on_forget(txn, fx),
            Message::Inquire { txn } => self.on_inquire(config, from, txn, fx),
            Message::Answered { txn, decision } if self.participant.shares(txn, from) => {
                self.on_decided(txn, decision, fx);
            }
            Message::Release { below } if from == below.coordinator => {
                self.on_release(config, below, fx);
            }
            Message::Consensus(message) => self.on_consensus(config, from, message, fx),
            // Not theirs to say.
            Message::Decided { .. }
            | Message::Forget { .. }
            | Message::Answered { .. }
            | Message::Release { .. } => {}
        }
    }
}

impl<W: Work> Machine for Commit<W> {
    type Config = Config;
    type Command = Command<W>;
    type Message = Message<W>;
    type Timer = Timer;
    type Record = Record;
    type Durable = Durable;
    type Output = Output<W>;

    fn apply(durable: &mut Durable, record: &Record) {
        durable.fold(record);
    }

    fn start(config: &Config, durable: &Durable, fx: &mut Effects<Self>) -> Self {
        let mut commit = Commit {
            coordinator: Coordinator::recovered(durable),
            participant: Participant::recovered(durable),
            consensus: BTreeMap::new(),
            work: PhantomData,
        };
        commit.recover_consensus(config, durable, fx);
        commit.resume(config, fx);
        commit.resume_proposals(config, fx);
        commit
    }

    fn step(&mut self, config: &Config, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Command(Command::Begin {
                request,
                mode,
                work,
            }) => self.begin(config, request, mode, work, fx),
            Event::Command(Command::Ask { request, txn }) => self.ask(config, request, txn, fx),
            Event::Command(Command::Prepared { txn, vote }) => {
                self.on_prepared(config, txn, vote, fx);
            }
            Event::Command(Command::Done { txn }) => self.on_done(txn, fx),
            Event::Receive { from, message } => self.receive(config, from, message, fx),
            Event::Timeout(Timer::Votes(txn)) => self.on_votes_timeout(config, txn, fx),
            Event::Timeout(Timer::Waiting(txn)) => self.on_waiting(config, txn, fx),
            Event::Timeout(Timer::Consensus { coordinator, timer }) => {
                self.on_consensus_timeout(config, coordinator, timer, fx);
            }
        }
        debug_assert_eq!(invariants::node(self), Ok(()));
    }

    fn backed(to: NodeId, message: &Message<W>, sender: &Durable) -> bool {
        match message {
            Message::Prepare { txn, .. } => txn.epoch <= sender.epoch,
            // Whoever has voted yes, or sees to it that it never will, remembers.
            Message::Voted {
                txn,
                vote: Vote::Yes,
            }
            | Message::Inquire { txn } => sender.is_settled(*txn),
            Message::Voted { vote: Vote::No, .. } => true,
            Message::Decided {
                txn,
                decision: Decision::Commit,
            } => sender.has_committed(*txn),
            Message::Decided {
                txn,
                decision: Decision::Abort,
            } => !sender.committed.contains_key(txn) && !sender.ended.contains_key(txn),
            Message::Acknowledged { txn } => sender.has_decided(*txn, Decision::Commit),
            Message::Forget { txn } => {
                !sender.committed.contains_key(txn) && sender.has_committed(*txn)
            }
            Message::Answered { txn, decision } => sender.has_decided(*txn, *decision),
            Message::Release { below } => sender.committed.keys().all(|txn| txn >= below),
            Message::Consensus(message) => {
                let known = sender.consensus.get(&message.key().coordinator);
                let none = paxos::Durable::default();
                Consensus::backed(to, message, known.unwrap_or(&none))
            }
        }
    }
}
