//! Raft's steps as actions of `Raft.tla`.

use crate::member::{Action, Step};
use quorate_driver::DrivenMachine;
use quorate_machine::{Event, NodeId};
use quorate_raft::{
    Command, Config, Durable, Flow, Message, Output, Raft, Record, Role, StateMachine, Timer,
};
use quorate_refinement::Value;
use quorate_refinement::abstraction::{Names, nil};
use std::collections::BTreeMap;

/// A machine that is Raft, or wraps it.
pub trait RaftLike:
    DrivenMachine<
        Config = Config<Self::State>,
        Command = Command<Self::State>,
        Message = Message<<Self::State as StateMachine>::Command>,
        Timer = Timer,
        Record = Record<<Self::State as StateMachine>::Command>,
        Durable = Durable<<Self::State as StateMachine>::Command>,
        Output = Output<Self::State>,
    >
{
    /// What is replicated.
    type State: StateMachine;

    /// The Raft that it is.
    fn raft(&self) -> &Raft<Self::State>;
}

impl<S: StateMachine> RaftLike for Raft<S>
where
    Raft<S>: DrivenMachine<
            Config = Config<S>,
            Command = Command<S>,
            Message = Message<S::Command>,
            Timer = Timer,
            Record = Record<S::Command>,
            Durable = Durable<S::Command>,
            Output = Output<S>,
        >,
{
    type State = S;

    fn raft(&self) -> &Raft<S> {
        self
    }
}

/// How those who take part are called in the specification. Members are model values; sessions, of which
/// there are many, are strings, which need not be declared.
#[derive(Clone, Debug, Default)]
pub(crate) struct TraceNames {
    /// How much was committed anywhere when a read arrived, by its identifier.
    pub(crate) musts: BTreeMap<u64, u64>,
}

impl Names for TraceNames {
    fn session(&self, session: quorate_raft::SessionId) -> Value {
        Value::string(session.to_string())
    }

    fn opening(&self, nonce: u64) -> Value {
        Value::string(format!("open{nonce}"))
    }

    fn must(&self, read: u64) -> u64 {
        self.musts.get(&read).copied().unwrap_or_default()
    }
}

/// What a step is in the specification.
#[derive(Debug)]
pub(crate) enum Specified<'a, C> {
    /// Nothing: no variable changes.
    Stutter,
    /// An action of the server that took the step.
    Plain(&'static str),
    /// `Receive`.
    Receive(NodeId, &'a Message<C>),
    /// `ClientWrite`, of this.
    Write(Value),
    /// `ClientRead`, of the read with this identifier.
    Read(u64),
}

/// Which action of the specification a step is, given the machine before and after it. What a machine
/// ignores, such as a command that it refuses, is none.
pub(crate) fn specified<'a, M: RaftLike>(
    names: &TraceNames,
    step: &'a Step<M>,
    before: Option<&Beforehand>,
) -> Specified<'a, <M::State as StateMachine>::Command> {
    let led = before.is_some_and(|before| before.led);
    let plain_if = |applies: bool, name| {
        if applies {
            Specified::Plain(name)
        } else {
            Specified::Stutter
        }
    };
    match &step.action {
        Action::Start => Specified::Stutter,
        Action::Recover => Specified::Plain("Recover"),
        Action::Crash => Specified::Plain("Crash"),
        Action::Sync(_) => Specified::Plain("Sync"),
        Action::Event(Event::Receive { from, message }) => Specified::Receive(*from, message),
        Action::Event(Event::Timeout(Timer::Election)) => plain_if(!led, "Timeout"),
        Action::Event(Event::Timeout(Timer::Heartbeat)) => plain_if(led, "Heartbeat"),
        Action::Event(Event::Timeout(Timer::Quorum)) => plain_if(led, "QuorumCheck"),
        Action::Event(Event::Timeout(Timer::Replicate)) => {
            let wants = before.is_some_and(|before| before.wants_to_replicate);
            plain_if(led && (wants || !step.sent.is_empty()), "Replicate")
        }
        Action::Event(Event::Command(command)) => {
            let refused = step
                .said
                .iter()
                .any(|output| matches!(output, Output::Refused { .. }));
            if !led || refused {
                return Specified::Stutter;
            }
            match command {
                Command::Read { id, .. } => Specified::Read(*id),
                Command::Open { nonce } => {
                    Specified::Write(write(names.opening(*nonce), Value::Int(1)))
                }
                Command::Write {
                    session, sequence, ..
                } => Specified::Write(write(names.session(*session), Value::number(*sequence))),
            }
        }
    }
}

fn write(session: Value, sequence: Value) -> Value {
    Value::record([("session", session), ("sequence", sequence)])
}

/// What has to be known of a machine before a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beforehand {
    led: bool,
    /// Whether a command or a read has come since the leader last replicated.
    pub(crate) wants_to_replicate: bool,
}

impl Beforehand {
    /// The machine as it is now, after a step that was `specified` so.
    pub(crate) fn after<S: StateMachine, C>(
        raft: &Raft<S>,
        specified: &Specified<'_, C>,
        before: Option<&Beforehand>,
    ) -> Self {
        let wants = match specified {
            Specified::Write(_) | Specified::Read(_) => true,
            Specified::Plain("Replicate") => false,
            _ => before.is_some_and(|before| before.wants_to_replicate),
        };
        Beforehand {
            led: raft.is_leader(),
            wants_to_replicate: wants && raft.is_leader(),
        }
    }
}

/// What is seen of a server after a step: `Seen` in `TraceRaft.tla`.
pub(crate) fn seen<S: StateMachine>(names: &TraceNames, raft: Option<&Raft<S>>) -> Value {
    let Some(raft) = raft else {
        return Value::record([("role", Value::string("Down"))]);
    };
    let server = |node: Option<NodeId>| node.map_or_else(nil, |node| names.server(node));
    let (role, votes, round, progress) = match raft.role() {
        Role::Follower => ("Follower", &[][..], 0, Vec::new()),
        Role::PreCandidate(votes) => ("PreCandidate", &votes[..], 0, Vec::new()),
        Role::Candidate(votes) => ("Candidate", &votes[..], 0, Vec::new()),
        Role::Leader(leader) => {
            let progress = leader.progress().iter().map(|progress| {
                let flow = match progress.flow {
                    Flow::Probe { awaiting: false } => "Probe",
                    Flow::Probe { awaiting: true } => "Awaiting",
                    Flow::Stream => "Stream",
                };
                Value::sequence([
                    Value::number(progress.matched.0),
                    Value::number(progress.next.0),
                    Value::string(flow),
                    Value::number(progress.round),
                    progress.active.into(),
                ])
            });
            ("Leader", &[][..], leader.round(), progress.collect())
        }
    };
    let last = raft.log().last();
    Value::record([
        ("role", Value::string(role)),
        ("term", Value::number(raft.term().0)),
        ("vote", server(raft.vote())),
        ("commit", Value::number(raft.commit().0)),
        ("leader", server(raft.leader())),
        (
            "votes",
            Value::set(votes.iter().map(|id| names.server(*id))),
        ),
        ("length", Value::number(last.index.0)),
        ("last", Value::number(last.term.0)),
        ("round", Value::number(round)),
        ("progress", Value::Sequence(progress)),
    ])
}
