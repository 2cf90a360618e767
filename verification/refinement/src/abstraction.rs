//! Raft's machine as `specs/raft/Raft.tla` sees it.
//!
//! The specification has the grain of the machine, so the abstraction forgets little: timers, which follow
//! from the rest of a server's state; what the application is told; the replicated state, which follows from
//! the log; and what a command says beyond its session and number. Everything else is carried over value by
//! value, one function for each variable of the specification:
//!
//! | variable | from | by |
//! |---|---|---|
//! | `node[s]` | the machine | [`Abstraction::machine`], [`down`] |
//! | `disk[s]` | `Durable` | [`Abstraction::durable`] |
//! | `unsynced[s]` | the records of steps that are not durable yet | [`Abstraction::unsynced`] |
//! | `promised[s]` | the gate, its promises grouped by the steps that they wait for | [`Abstraction::promised`] |
//! | `net` | messages | [`Abstraction::message`] |
//!
//! What the specification says in ghost variables (`decided`, `acked`, `answers`) is history, and no function
//! of a state: [`crate::raft`] gathers it beside the run, from what machines commit and say.
//!
//! An entry that opens a session is "one more kind of entry" which the specification leaves out. Here it is
//! the first write of a session of its own ([`Names::opening`]), which has as little effect on others.

mod leading;

use crate::{Value, grain};
use quorate_machine::{Gate, NodeId};
use quorate_raft::{
    Config, Durable, Entry, Flow, Leader, Log, Message, Payload, Position, Progress, Raft, Record,
    Role, SessionId, StateMachine, Term,
};

/// How those who take part in a run are called in the specification, and what it alone remembers of reads.
pub trait Names {
    /// An element of `Server`.
    fn server(&self, node: NodeId) -> Value {
        Value::model(node.to_string())
    }

    /// An element of `Session`.
    fn session(&self, session: SessionId) -> Value {
        Value::model(session.to_string())
    }

    /// The element of `Session` that stands for the entry which opens a session with this nonce.
    fn opening(&self, nonce: u64) -> Value {
        Value::model(format!("open{nonce}"))
    }

    /// How much was committed anywhere when the read with this identifier arrived: the specification's
    /// ghost `must`.
    fn must(&self, read: u64) -> u64;
}

/// Why a machine has no counterpart in the specification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AbstractionError {
    /// A leader's first step is to append an entry of its term.
    #[error("a leader of {0} without an entry of its own term")]
    NoOwnEntry(Term),
    /// The reads that wait at a leader are known only from its `Debug` text.
    #[error("the waiting reads of a leader cannot be told from {0:?}")]
    Reads(String),
}

/// The abstraction from the state of nodes to the variables of `Raft.tla`.
#[derive(Clone, Debug)]
pub struct Abstraction<N> {
    names: N,
}

/// `node[s]` of a server that is down.
pub fn down() -> Value {
    Value::record([("role", Value::string("Down"))])
}

impl<N: Names> Abstraction<N> {
    /// The abstraction that uses these names.
    pub fn new(names: N) -> Self {
        Abstraction { names }
    }

    /// The names.
    pub fn names(&self) -> &N {
        &self.names
    }

    /// `node[s]` of a server that is up.
    ///
    /// # Errors
    ///
    /// If the machine is in no state that the protocol can reach.
    pub fn machine<S: StateMachine>(
        &self,
        config: &Config<S>,
        raft: &Raft<S>,
    ) -> Result<Value, AbstractionError> {
        let (role, votes, lead) = match raft.role() {
            Role::Follower => ("Follower", &[][..], no_lead()),
            Role::PreCandidate(votes) => ("PreCandidate", &votes[..], no_lead()),
            Role::Candidate(votes) => ("Candidate", &votes[..], no_lead()),
            Role::Leader(leader) => ("Leader", &[][..], self.lead(config, raft, leader)?),
        };
        let votes = votes.iter().map(|voter| self.names.server(*voter));
        Ok(Value::record([
            ("role", Value::string(role)),
            ("term", term(raft.term())),
            ("vote", self.server_or_nil(raft.vote())),
            ("log", self.log(raft.log())),
            ("commit", Value::number(raft.commit().0)),
            ("leader", self.server_or_nil(raft.leader())),
            ("votes", Value::set(votes)),
            ("lead", lead),
        ]))
    }

    fn lead<S: StateMachine>(
        &self,
        config: &Config<S>,
        raft: &Raft<S>,
        leader: &Leader<S>,
    ) -> Result<Value, AbstractionError> {
        let proposals = leading::proposals(config, raft);
        let proposals = proposals.iter().map(|payload| self.payload(payload));
        let reads = leading::reads(leader)?;
        let reads = reads.iter().map(|read| {
            Value::record([
                ("round", Value::number(read.round)),
                ("index", Value::number(read.index)),
                ("must", Value::number(self.names.must(read.id))),
            ])
        });
        let members = config.members.iter().map(|id| self.names.server(*id));
        let progress = members.zip(leader.progress().iter().map(progress));
        Ok(Value::record([
            ("first", Value::number(leading::first(raft)?.0)),
            ("proposals", Value::sequence(proposals)),
            ("reads", Value::sequence(reads)),
            ("round", Value::number(leader.round())),
            ("progress", Value::function(progress)),
        ]))
    }

    /// `disk[s]`.
    pub fn durable<C: Clone + Eq>(&self, durable: &Durable<C>) -> Value {
        Value::record([
            ("term", term(durable.term)),
            ("vote", self.server_or_nil(durable.vote)),
            ("log", self.log(&durable.log)),
        ])
    }

    /// `unsynced[s]`, from the records of each step that is not durable yet, oldest step first.
    pub fn unsynced<'a, C: 'a>(&self, batches: impl IntoIterator<Item = &'a [Record<C>]>) -> Value {
        let batch =
            |records: &[Record<C>]| Value::sequence(records.iter().map(|one| self.record(one)));
        Value::sequence(batches.into_iter().map(batch))
    }

    /// `promised[s]`, from the gate and the number of records in each step that is not durable yet, oldest
    /// first. What is promised to the application is left out.
    pub fn promised<S: StateMachine>(
        &self,
        node: NodeId,
        gate: &Gate<Raft<S>>,
        batches: impl IntoIterator<Item = usize>,
    ) -> Value {
        grain::promised(gate, batches, |to, message| self.message(node, to, message))
    }

    /// An element of `net`.
    pub fn message<C>(&self, from: NodeId, to: NodeId, message: &Message<C>) -> Value {
        let (kind, own) = self.content(message);
        let envelope = [
            ("kind", Value::string(kind)),
            ("from", self.names.server(from)),
            ("to", self.names.server(to)),
            ("term", term(message.term())),
        ];
        Value::record(envelope.into_iter().chain(own))
    }

    /// The kind of a message, and the fields of its own.
    fn content<C>(&self, message: &Message<C>) -> (&'static str, Vec<(&'static str, Value)>) {
        match message {
            Message::RequestPreVote { last, .. } => {
                ("RequestPreVote", vec![("last", position(*last))])
            }
            Message::PreVoted { granted, .. } => ("PreVoted", vec![("granted", (*granted).into())]),
            Message::RequestVote { last, .. } => ("RequestVote", vec![("last", position(*last))]),
            Message::Voted { granted, .. } => ("Voted", vec![("granted", (*granted).into())]),
            Message::Append {
                prev,
                entries,
                commit,
                round,
                ..
            } => (
                "Append",
                vec![
                    ("prev", position(*prev)),
                    ("entries", self.entries(entries)),
                    ("commit", Value::number(commit.0)),
                    ("round", Value::number(*round)),
                ],
            ),
            Message::Appended { matched, round, .. } => (
                "Appended",
                vec![
                    ("matched", Value::number(matched.0)),
                    ("round", Value::number(*round)),
                ],
            ),
            Message::Conflicted {
                refused,
                hint,
                round,
                ..
            } => (
                "Conflicted",
                vec![
                    ("refused", Value::number(refused.0)),
                    ("hint", position(*hint)),
                    ("round", Value::number(*round)),
                ],
            ),
        }
    }

    fn record<C>(&self, record: &Record<C>) -> Value {
        match record {
            Record::Vote { term: at, vote } => Value::record([
                ("kind", Value::string("Vote")),
                ("term", term(*at)),
                ("vote", self.server_or_nil(*vote)),
            ]),
            Record::Append { after, entries } => Value::record([
                ("kind", Value::string("Append")),
                ("after", Value::number(after.0)),
                ("entries", self.entries(entries)),
            ]),
        }
    }

    fn log<C: Clone + Eq>(&self, log: &Log<C>) -> Value {
        self.entries(log.entries())
    }

    fn entries<'a, C: 'a>(&self, entries: impl IntoIterator<Item = &'a Entry<C>>) -> Value {
        Value::sequence(entries.into_iter().map(|entry| self.entry(entry)))
    }

    /// An entry of a log.
    pub fn entry<C>(&self, entry: &Entry<C>) -> Value {
        let (session, sequence) = self.named(&entry.payload);
        Value::record([
            ("term", term(entry.term)),
            ("session", session),
            ("sequence", sequence),
        ])
    }

    fn payload<C>(&self, payload: &Payload<C>) -> Value {
        let (session, sequence) = self.named(payload);
        Value::record([("session", session), ("sequence", sequence)])
    }

    fn named<C>(&self, payload: &Payload<C>) -> (Value, Value) {
        match payload {
            Payload::Noop => (nil(), Value::Int(0)),
            Payload::Open { nonce, .. } => (self.names.opening(*nonce), Value::Int(1)),
            Payload::Write {
                session, sequence, ..
            } => (self.names.session(*session), Value::number(*sequence)),
        }
    }

    fn server_or_nil(&self, node: Option<NodeId>) -> Value {
        node.map_or_else(nil, |node| self.names.server(node))
    }
}

/// The model value `Nil`.
pub fn nil() -> Value {
    Value::model("Nil")
}

/// `NoLead`: what a server knows as a leader when it is none.
fn no_lead() -> Value {
    Value::record([("first", Value::Int(0))])
}

fn term(term: Term) -> Value {
    Value::number(term.0)
}

fn position(position: Position) -> Value {
    Value::record([
        ("term", term(position.term)),
        ("index", Value::number(position.index.0)),
    ])
}

fn progress(progress: &Progress) -> Value {
    let flow = match progress.flow {
        Flow::Probe { awaiting: false } => "Probe",
        Flow::Probe { awaiting: true } => "Awaiting",
        Flow::Stream => "Stream",
    };
    Value::record([
        ("matched", Value::number(progress.matched.0)),
        ("next", Value::number(progress.next.0)),
        ("flow", Value::string(flow)),
        ("round", Value::number(progress.round)),
        ("active", progress.active.into()),
    ])
}
