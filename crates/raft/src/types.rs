//! The words of the protocol: terms, indices, entries.

use std::fmt;

/// A period with at most one leader; terms only grow (Raft paper, section 5.1).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Term(pub u64);

impl Term {
    /// The term after this one.
    #[must_use]
    pub const fn next(self) -> Term {
        Term(self.0.saturating_add(1))
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A position in the log. The first entry has index 1; 0 is the position before it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Index(pub u64);

impl Index {
    /// The index after this one.
    #[must_use]
    pub const fn next(self) -> Index {
        Index(self.0.saturating_add(1))
    }

    /// The index before this one; of 0, 0 itself.
    #[must_use]
    pub const fn previous(self) -> Index {
        Index(self.0.saturating_sub(1))
    }

    /// The index `entries` further on.
    #[must_use]
    pub const fn plus(self, entries: usize) -> Index {
        Index(self.0.saturating_add(entries as u64))
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i{}", self.0)
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// An index together with the term of the entry there; two logs that share a position are the same
/// up to it (log matching).
///
/// Ordered by term, then index: the greater position belongs to the more up-to-date log
/// (section 5.4.1).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The term of the entry; of the position before the first entry, 0.
    pub term: Term,
    /// Where the entry is.
    pub index: Index,
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

/// A client session: the index of the entry that opened it, hence unique for ever.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What an entry of the log says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Payload<C> {
    /// Nothing. A new leader's first entry: committing it commits everything before (section 8).
    Noop,
    /// Opens a session.
    Open {
        /// Chosen by the client to recognise the answer.
        nonce: u64,
        /// How many sessions may be open; the least recently used beyond it expire. Stamped by the
        /// leader, so that every replica expires the same ones.
        limit: u32,
    },
    /// A command of a session.
    Write {
        /// The client's session.
        session: SessionId,
        /// Numbers the session's commands, ascending; a retry repeats the number.
        sequence: u64,
        /// For the application.
        command: C,
    },
}

/// An entry of the log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Entry<C> {
    /// The term of the leader that created it.
    pub term: Term,
    /// What it says.
    pub payload: Payload<C>,
}

impl<C: fmt::Debug> fmt::Debug for Entry<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.term)?;
        match &self.payload {
            Payload::Noop => f.write_str("noop"),
            Payload::Open { nonce, limit } => write!(f, "open({nonce}, limit {limit})"),
            Payload::Write {
                session,
                sequence,
                command,
            } => write!(f, "{session}#{sequence}={command:?}"),
        }
    }
}
