//! Raft as one deterministic [`Machine`].
//!
//! Raft keeps a log of commands the same on every member, and applies it to a state machine, as long
//! as a majority is up and connected. This is the protocol of Ongaro and Ousterhout, "In Search of an
//! Understandable Consensus Algorithm" (2014), with the parts of Ongaro's dissertation (2014) that a
//! service cannot do without. How it goes, from top to bottom:
//!
//! **Terms and elections** (`election.rs`). Time is cut into [`Term`]s with at most one leader each. A
//! follower that hears no leader forgets it when [`Timer::Election`] first fires, and when it fires
//! again asks everybody whether they would vote for it ([`Message::RequestPreVote`]); a majority of
//! yeses and it enters the next term and asks for votes in earnest. A node votes once per term, for a
//! candidate whose log is at least as up to date as its own, and not while it hears a leader. The
//! record of term and vote is durable before the vote leaves: [`Effects::send`] sees to it. A leader
//! that no longer hears a majority steps down ([`Timer::Quorum`]).
//!
//! **Replication** (`replication.rs`). Commands gather until [`Timer::Replicate`], a timer of zero
//! ticks, fires at the end of the driver's turn; then they become one record, and one
//! [`Message::Append`] per follower. The append leaves before the leader's own disk has it, as it says
//! nothing about that disk; the leader counts itself through an acknowledgement that it promises
//! itself. Appends are pipelined: the next leaves before the last is acknowledged, up to a window. A
//! follower that lacks what precedes an append says where the logs may agree, skipping a term at a
//! time, and the leader probes there until one is accepted. An entry *of the leader's own term* that a
//! majority has on disk is committed, and everything before it (section 5.4.2, Figure 8).
//!
//! **Exactly once** (`session.rs`). Commands belong to sessions; a retried one is answered and not
//! applied again. The session table is part of the replicated state.
//!
//! **Reads** (`read.rs`). A read notes the commit index, waits until a majority has confirmed the
//! leader in a round that began after it, and is answered from the applied state: linearizable without
//! a log entry (dissertation, section 6.4).
//!
//! Properties that must hold are in [`invariants`]; the model checker, the simulator and the tests
//! share them.
//!
//! Caveats: the log is kept in memory and never truncated, members are fixed, and reads always cost a
//! round; snapshots, membership change, leadership transfer and leases are not there yet.

mod config;
mod election;
pub mod invariants;
mod leader;
mod log;
mod message;
mod read;
mod replication;
mod session;
mod types;

pub use config::{Config, ConfigError};
pub use leader::{Flow, Leader, Progress};
pub use log::Log;
pub use message::{Command, Durable, Message, Output, Record, Refusal, Request, RoleName, Timer};
pub use session::{Outcome, Replicated, StateMachine};
pub use types::{Entry, Index, Payload, Position, SessionId, Term};

use quorate_machine::{Effects, Event, Machine, NodeId};

/// What a node is in its term.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Role<S: StateMachine> {
    /// Follows, votes, waits.
    Follower,
    /// Asks whether it could win, with those who said yes.
    PreCandidate(Vec<NodeId>),
    /// Stands for election, with those who voted for it.
    Candidate(Vec<NodeId>),
    /// Leads.
    Leader(Leader<S>),
}

/// One node of a Raft group. See the [crate's introduction](crate).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Raft<S: StateMachine> {
    term: Term,
    vote: Option<NodeId>,
    log: Log<S::Command>,
    /// The last entry known to be committed, and applied: the two never differ between steps.
    commit: Index,
    role: Role<S>,
    /// The leader that this node has heard in this term, lately.
    leader: Option<NodeId>,
    replicated: Replicated<S>,
}

impl<S: StateMachine> Raft<S> {
    /// The current term.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The vote in the current term.
    pub fn vote(&self) -> Option<NodeId> {
        self.vote
    }

    /// The log, including what is not durable yet.
    pub fn log(&self) -> &Log<S::Command> {
        &self.log
    }

    /// The last committed and applied entry.
    pub fn commit(&self) -> Index {
        self.commit
    }

    /// The role.
    pub fn role(&self) -> &Role<S> {
        &self.role
    }

    /// The replicated state as of [`Raft::commit`].
    pub fn replicated(&self) -> &Replicated<S> {
        &self.replicated
    }

    /// The leader that this node believes in: itself if it leads.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// Whether this node leads.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    fn role_name(&self) -> RoleName {
        match self.role {
            Role::Follower => RoleName::Follower,
            Role::PreCandidate(_) => RoleName::PreCandidate,
            Role::Candidate(_) => RoleName::Candidate,
            Role::Leader(_) => RoleName::Leader,
        }
    }

    fn receive(
        &mut self,
        config: &Config<S>,
        from: NodeId,
        message: Message<S::Command>,
        fx: &mut Effects<Self>,
    ) {
        if !config.members.contains(&from) {
            return; // only members have a say
        }
        match message {
            Message::RequestPreVote { term, last } => {
                self.on_request_pre_vote(from, term, last, fx);
            }
            Message::PreVoted { term, granted } => {
                self.on_pre_voted(config, from, term, granted, fx);
            }
            Message::RequestVote { term, last } => {
                self.on_request_vote(config, from, term, last, fx);
            }
            Message::Voted { term, granted } => self.on_voted(config, from, term, granted, fx),
            Message::Append {
                term,
                prev,
                entries,
                commit,
                round,
            } => {
                let append = replication::Append {
                    term,
                    prev,
                    entries,
                    commit,
                    round,
                };
                self.on_append(config, from, append, fx);
            }
            Message::Appended {
                term,
                matched,
                round,
            } => self.on_appended(config, from, term, matched, round, fx),
            Message::Conflicted {
                term,
                refused,
                hint,
                round,
            } => self.on_conflicted(config, from, term, refused, hint, round, fx),
        }
    }
}

impl<S: StateMachine> Machine for Raft<S> {
    type Config = Config<S>;
    type Command = Command<S>;
    type Message = Message<S::Command>;
    type Timer = Timer;
    type Record = Record<S::Command>;
    type Durable = Durable<S::Command>;
    type Output = Output<S>;

    fn apply(durable: &mut Self::Durable, record: &Self::Record) {
        match record {
            Record::Vote { term, vote } => {
                durable.term = *term;
                durable.vote = *vote;
            }
            Record::Append { after, entries } => {
                durable.log.splice(*after, entries.iter().cloned());
            }
        }
    }

    fn start(config: &Config<S>, durable: &Self::Durable, fx: &mut Effects<Self>) -> Self {
        fx.arm(Timer::Election, config.election_ticks.clone());
        Raft {
            term: durable.term,
            vote: durable.vote,
            log: durable.log.clone(),
            commit: Index(0),
            role: Role::Follower,
            leader: None,
            replicated: config.genesis.clone(),
        }
    }

    fn step(&mut self, config: &Config<S>, event: Event<Self>, fx: &mut Effects<Self>) {
        let before = (self.term, self.role_name(), self.leader);
        match event {
            Event::Command(command) => self.on_command(config, command, fx),
            Event::Receive { from, message } => self.receive(config, from, message, fx),
            Event::Timeout(Timer::Election) => self.on_election_timeout(config, fx),
            Event::Timeout(Timer::Heartbeat) => self.on_heartbeat_timeout(config, fx),
            Event::Timeout(Timer::Quorum) => self.on_quorum_timeout(config, fx),
            Event::Timeout(Timer::Replicate) => self.on_replicate(config, fx),
        }
        let after = (self.term, self.role_name(), self.leader);
        if before != after {
            let (term, role, leader) = after;
            fx.output(Output::Became { term, role, leader });
        }
        debug_assert!(invariants::node(self).is_ok());
    }

    fn backed(to: NodeId, message: &Self::Message, sender: &Self::Durable) -> bool {
        // A sender whose disk has entered a later term made its claim in good faith earlier.
        let entered = |term: Term| sender.term >= term;
        match *message {
            Message::RequestPreVote { .. } | Message::PreVoted { .. } => true,
            Message::RequestVote { term, .. }
            | Message::Append { term, .. }
            | Message::Conflicted { term, .. } => entered(term),
            Message::Voted { term, granted } => {
                sender.term > term || (sender.term == term && (!granted || sender.vote == Some(to)))
            }
            Message::Appended { term, matched, .. } => {
                sender.term > term || (sender.term == term && sender.log.last().index >= matched)
            }
        }
    }
}
