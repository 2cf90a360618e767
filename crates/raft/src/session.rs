//! The replicated state: the application and its clients' sessions.
//!
//! A client that retries a command cannot know whether the first attempt was applied. Its session
//! remembers the last command and its answer, so a retry is answered and not applied again (Raft
//! paper, section 8; Ongaro's dissertation, section 6.3). The table is part of the replicated state:
//! it is built from the log alone, so every replica decides alike.

use crate::{Index, SessionId};
use quorate_machine::Value;
use std::collections::BTreeMap;

/// What is replicated: a deterministic state machine of the application.
pub trait StateMachine: Value {
    /// Changes the state. Goes through the log.
    type Command: Value;
    /// Asks about the state. Does not go through the log.
    type Query: Value;
    /// The answer to either.
    type Response: Value;

    /// Applies the command at `index` of the log. Equal states and equal commands must give equal
    /// results: no clock, no randomness, no `HashMap` iteration. It runs on the node's own task, so
    /// it should take microseconds.
    fn apply(&mut self, index: Index, command: &Self::Command) -> Self::Response;

    /// Answers a query from the current state.
    fn query(&self, query: &Self::Query) -> Self::Response;

    /// Roughly how many bytes the command takes on the wire; messages are limited by it.
    fn size_bytes(command: &Self::Command) -> usize {
        std::mem::size_of_val(command)
    }
}

/// How a command of a session ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome<R> {
    /// Applied, now.
    Applied(R),
    /// Was applied before: a retry, with the answer of then.
    Repeated(R),
    /// Not applied: the session has moved on to a later command.
    Superseded,
    /// Not applied: the session is unknown or has expired. Whether an earlier attempt was applied
    /// can no longer be told.
    Expired,
}

/// What a session remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Session<R> {
    /// The last command and its answer; `None` until the first.
    last: Option<(u64, R)>,
    /// The entry that used the session last; the least recently used session expires first.
    used: Index,
}

/// The replicated state at some index of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replicated<S: StateMachine> {
    /// The application.
    pub state: S,
    sessions: BTreeMap<SessionId, Session<S::Response>>,
}

impl<S: StateMachine> Replicated<S> {
    /// A state before the first entry.
    pub fn new(state: S) -> Self {
        Replicated {
            state,
            sessions: BTreeMap::new(),
        }
    }

    /// Opens the session that the entry at `index` asks for; beyond `limit` the least recently used
    /// ones expire.
    pub fn open(&mut self, index: Index, limit: u32) -> SessionId {
        while self.sessions.len() >= limit.max(1) as usize {
            let oldest = self.sessions.iter().min_by_key(|(_, s)| s.used);
            let Some((&oldest, _)) = oldest else { break };
            self.sessions.remove(&oldest);
        }
        let id = SessionId(index.0);
        let session = Session {
            last: None,
            used: index,
        };
        self.sessions.insert(id, session);
        id
    }

    /// Applies a session's command unless it was applied before.
    pub fn write(
        &mut self,
        index: Index,
        session: SessionId,
        sequence: u64,
        command: &S::Command,
    ) -> Outcome<S::Response> {
        let Some(session) = self.sessions.get_mut(&session) else {
            return Outcome::Expired;
        };
        session.used = index;
        match &session.last {
            Some((last, response)) if *last == sequence => Outcome::Repeated(response.clone()),
            Some((last, _)) if *last > sequence => Outcome::Superseded,
            _ => {
                let response = self.state.apply(index, command);
                session.last = Some((sequence, response.clone()));
                Outcome::Applied(response)
            }
        }
    }

    /// How many sessions are open.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Sum(u64);
    impl StateMachine for Sum {
        type Command = u64;
        type Query = ();
        type Response = u64;
        fn apply(&mut self, _: Index, command: &u64) -> u64 {
            self.0 += command;
            self.0
        }
        fn query(&self, (): &()) -> u64 {
            self.0
        }
    }

    #[test]
    fn a_retry_is_answered_and_not_applied() {
        let mut replicated = Replicated::new(Sum(0));
        let s = replicated.open(Index(1), 10);
        assert_eq!(replicated.write(Index(2), s, 1, &5), Outcome::Applied(5));
        assert_eq!(replicated.write(Index(3), s, 2, &5), Outcome::Applied(10));
        assert_eq!(replicated.write(Index(4), s, 2, &5), Outcome::Repeated(10));
        assert_eq!(replicated.write(Index(5), s, 1, &5), Outcome::Superseded);
        assert_eq!(replicated.state, Sum(10));
    }

    #[test]
    fn the_least_recently_used_session_expires() {
        let mut replicated = Replicated::new(Sum(0));
        let a = replicated.open(Index(1), 2);
        let b = replicated.open(Index(2), 2);
        replicated.write(Index(3), a, 1, &1);
        let c = replicated.open(Index(4), 2);
        assert_eq!(replicated.sessions(), 2);
        assert_eq!(replicated.write(Index(5), b, 1, &1), Outcome::Expired);
        assert_eq!(replicated.write(Index(6), a, 2, &1), Outcome::Applied(2));
        assert_eq!(replicated.write(Index(7), c, 1, &1), Outcome::Applied(3));
    }
}
