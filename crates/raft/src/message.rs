//! What goes in and out of the machine.

use crate::{Entry, Index, Log, Outcome, Position, SessionId, StateMachine, Term};
use quorate_machine::NodeId;
use std::fmt;

/// What a local client asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command<S: StateMachine> {
    /// Open a session.
    Open {
        /// Chosen by the client to recognise [`Output::Opened`].
        nonce: u64,
    },
    /// Apply a command once.
    Write {
        /// An open session.
        session: SessionId,
        /// Greater than that of the session's earlier commands; the same in a retry.
        sequence: u64,
        /// For the application.
        command: S::Command,
    },
    /// Answer a query with a state that reflects every write acknowledged before.
    Read {
        /// Chosen by the caller to recognise [`Output::Answered`].
        id: u64,
        /// For the application.
        query: S::Query,
    },
}

impl<S: StateMachine> Command<S> {
    /// What the answer will be recognised by.
    pub fn request(&self) -> Request {
        match *self {
            Command::Open { nonce } => Request::Open { nonce },
            Command::Write {
                session, sequence, ..
            } => Request::Write { session, sequence },
            Command::Read { id, .. } => Request::Read { id },
        }
    }
}

/// Names a client's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// [`Command::Open`].
    Open {
        /// Its nonce.
        nonce: u64,
    },
    /// [`Command::Write`].
    Write {
        /// Its session.
        session: SessionId,
        /// Its sequence number.
        sequence: u64,
    },
    /// [`Command::Read`].
    Read {
        /// Its id.
        id: u64,
    },
}

/// Why a request was not taken. It had no effect and will have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// This node does not lead; the leader that it knows of, if any.
    NotLeader {
        /// Where to try next.
        leader: Option<NodeId>,
    },
    /// Too much is waiting already.
    Busy,
}

/// What the application is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output<S: StateMachine> {
    /// A session was opened; said by every node that applies the entry.
    Opened {
        /// The client's nonce.
        nonce: u64,
        /// The new session.
        session: SessionId,
    },
    /// A command was committed and applied (or found applied before); said by every node, in the
    /// order of the log.
    Applied {
        /// Where in the log.
        index: Index,
        /// The client's session.
        session: SessionId,
        /// The client's number.
        sequence: u64,
        /// The command itself, for those who watch.
        command: S::Command,
        /// What came of it.
        outcome: Outcome<S::Response>,
    },
    /// A linearizable read's answer.
    Answered {
        /// The caller's id.
        id: u64,
        /// The application's answer.
        response: S::Response,
    },
    /// A request was not taken.
    Refused {
        /// Which.
        request: Request,
        /// Why.
        refusal: Refusal,
    },
    /// The node's role, term or known leader changed. A node that stops leading says so here: what
    /// was submitted to it and is not answered yet may or may not be applied later.
    Became {
        /// The current term.
        term: Term,
        /// The new role.
        role: RoleName,
        /// The leader of the term, if known.
        leader: Option<NodeId>,
    },
}

/// The roles of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoleName {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether an election could be won, without disturbing anybody (dissertation, 9.6).
    PreCandidate,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

/// What a peer says.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Message<C> {
    /// Would you vote for me in `term`, which I have not entered yet?
    RequestPreVote {
        /// The term after the sender's own.
        term: Term,
        /// The end of the sender's log.
        last: Position,
    },
    /// Answer to [`Message::RequestPreVote`].
    PreVoted {
        /// If granted the term that was asked for, else the sender's own.
        term: Term,
        /// Whether.
        granted: bool,
    },
    /// Vote for me.
    RequestVote {
        /// The sender's term.
        term: Term,
        /// The end of the sender's log.
        last: Position,
    },
    /// Answer to [`Message::RequestVote`].
    Voted {
        /// The sender's term.
        term: Term,
        /// Whether.
        granted: bool,
    },
    /// Replicates entries; without any, a heartbeat.
    Append {
        /// The leader's term.
        term: Term,
        /// What precedes the entries in the leader's log.
        prev: Position,
        /// The entries.
        entries: Vec<Entry<C>>,
        /// The leader's commit index.
        commit: Index,
        /// The leader's latest read round; echoed.
        round: u64,
    },
    /// The sender's log equals the leader's up to `matched`, durably.
    Appended {
        /// The sender's term.
        term: Term,
        /// How far.
        matched: Index,
        /// The round of the append.
        round: u64,
    },
    /// The sender's log has no entry `refused`; or the leader's term is over, and `term` says so.
    Conflicted {
        /// The sender's term.
        term: Term,
        /// The `prev` index of the append.
        refused: Index,
        /// Where the logs may agree, at the latest.
        hint: Position,
        /// The round of the append.
        round: u64,
    },
}

impl<C> Message<C> {
    /// The term that the message speaks of.
    pub fn term(&self) -> Term {
        match *self {
            Message::RequestPreVote { term, .. }
            | Message::PreVoted { term, .. }
            | Message::RequestVote { term, .. }
            | Message::Voted { term, .. }
            | Message::Append { term, .. }
            | Message::Appended { term, .. }
            | Message::Conflicted { term, .. } => term,
        }
    }
}

/// Short, because counterexamples are read by people.
impl<C: fmt::Debug> fmt::Debug for Message<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = |granted: &bool| if *granted { "yes" } else { "no" };
        match self {
            Message::RequestPreVote { term, last } => {
                write!(f, "RequestPreVote({term}, last {last:?})")
            }
            Message::PreVoted { term, granted } => {
                write!(f, "PreVoted({term}, {})", verdict(granted))
            }
            Message::RequestVote { term, last } => write!(f, "RequestVote({term}, last {last:?})"),
            Message::Voted { term, granted } => write!(f, "Voted({term}, {})", verdict(granted)),
            Message::Append {
                term,
                prev,
                entries,
                commit,
                round,
            } => write!(
                f,
                "Append({term}, after {prev:?}, {entries:?}, commit {commit}, round {round})"
            ),
            Message::Appended {
                term,
                matched,
                round,
            } => write!(f, "Appended({term}, matched {matched}, round {round})"),
            Message::Conflicted {
                term,
                refused,
                hint,
                round,
            } => write!(
                f,
                "Conflicted({term}, refused {refused}, hint {hint:?}, round {round})"
            ),
        }
    }
}

/// One durable write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record<C> {
    /// The node entered `term`, and voted or not. Must be durable before anybody hears of either.
    Vote {
        /// The term.
        term: Term,
        /// For whom.
        vote: Option<NodeId>,
    },
    /// The log after `after` is replaced by `entries`.
    Append {
        /// The last index that is kept.
        after: Index,
        /// What follows it.
        entries: Vec<Entry<C>>,
    },
}

/// What a crash leaves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Durable<C> {
    /// The latest term that the node has entered.
    pub term: Term,
    /// Its vote in that term.
    pub vote: Option<NodeId>,
    /// Its log.
    pub log: Log<C>,
}

impl<C> Default for Durable<C> {
    fn default() -> Self {
        Durable {
            term: Term(0),
            vote: None,
            log: Log::default(),
        }
    }
}

/// The timers of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// No word from a leader: forget it; still none: stand for election.
    Election,
    /// A leader assures its followers.
    Heartbeat,
    /// A leader checks that a quorum still hears it.
    Quorum,
    /// A leader appends and sends what has gathered; of zero ticks.
    Replicate,
}
