//! Is what clients saw linearizable?
//!
//! In general that is a search. Here it is arithmetic, because every answer names its place: a write its
//! own number, a read the number of the last write that it saw. The writes have their order from their
//! numbers, a read stands right after the write that it saw, and no other order is possible. So a history
//! is linearizable if, and only if,
//!
//! - every number is given to one write, and every digest is that of the writes up to its number,
//! - an operation's number is not lower than that of any operation that was answered before it was asked,
//!   and higher if it is a write,
//! - nobody saw a write before it was asked for.
//!
//! Answers take no time here, and requests begin when the client first asks: a slower network would only
//! allow more orders.

use super::{Entries, chained};
use crate::Violation;
use quorate_raft::{Outcome, Output, SessionId};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const LINEARIZABLE: &str = "clients see a linearizable history";
const ONCE: &str = "each command is applied once";
const SAME: &str = "every node tells the same of an entry";

/// What was asked for and applied, seen from outside.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Tokens that were asked for are below it.
    tokens: u64,
    applied: BTreeSet<u64>,
    /// The writes in their order, each with the digest of all up to it.
    chains: Vec<(u64, u64)>,
    /// What was told of each index of the log.
    told: BTreeMap<u64, (SessionId, u64, u64, Outcome<Entries>)>,
    /// The highest number that any client was ever answered.
    seen: u64,
}

impl History {
    /// A token that is asked for from now on.
    pub(super) fn token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    /// The lowest number that an operation may have that is asked for now.
    pub(super) fn floor(&self) -> u64 {
        self.seen
    }

    /// A node tells what it has applied: each index of the log means the same to all, for ever.
    pub(super) fn told(&mut self, output: &Output<super::Ledger>) -> Result<(), Violation> {
        let Output::Applied {
            index,
            session,
            sequence,
            command,
            outcome,
        } = output
        else {
            return Ok(());
        };
        let telling = (*session, *sequence, *command, outcome.clone());
        if let Some(known) = self.told.get(&index.0) {
            return Violation::unless(*known == telling, SAME, || {
                format!("{index}: {known:?}, and {telling:?}")
            });
        }
        if let Outcome::Applied(entries) = outcome {
            let before = self.chains.last().map_or(0, |(_, chain)| *chain);
            let chain = chained(before, *command);
            self.chains.push((*command, chain));
            let version = self.chains.len() as u64;
            let right = *entries == Entries { version, chain };
            Violation::unless(right, LINEARIZABLE, || {
                format!("{index} is write {version} and is answered {entries:?}")
            })?;
            let fresh = self.applied.insert(*command);
            Violation::unless(fresh, ONCE, || format!("{command} at {index}"))?;
            Violation::unless(*command <= self.tokens, LINEARIZABLE, || {
                format!("nobody has asked for {command}")
            })?;
        }
        self.told.insert(index.0, telling);
        Ok(())
    }

    /// A client has its answer to a read that was asked for when [`History::floor`] was `floor`.
    pub(super) fn read(&mut self, floor: u64, entries: Entries) -> Result<(), Violation> {
        let chain = match entries.version {
            0 => Some(0),
            version => self.write(version).map(|(_, chain)| chain),
        };
        let fits = entries.version >= floor && chain == Some(entries.chain);
        self.seen = self.seen.max(entries.version);
        Violation::unless(fits, LINEARIZABLE, || {
            format!("read after {floor} writes were seen, answered {entries:?}")
        })
    }

    /// A client has its answer to a write.
    pub(super) fn written(
        &mut self,
        token: u64,
        floor: u64,
        entries: Entries,
    ) -> Result<(), Violation> {
        let fits =
            entries.version > floor && self.write(entries.version) == Some((token, entries.chain));
        self.seen = self.seen.max(entries.version);
        Violation::unless(fits, LINEARIZABLE, || {
            format!("{token} written after {floor} writes were seen, answered {entries:?}")
        })
    }

    fn write(&self, version: u64) -> Option<(u64, u64)> {
        let at = usize::try_from(version.checked_sub(1)?).ok()?;
        self.chains.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_raft::Index;

    fn applied(index: u64, token: u64, version: u64, chain: u64) -> Output<super::super::Ledger> {
        Output::Applied {
            index: Index(index),
            session: SessionId(1),
            sequence: index,
            command: token,
            outcome: Outcome::Applied(Entries { version, chain }),
        }
    }

    fn violated(result: Result<(), Violation>) -> String {
        result.unwrap_err().property
    }

    /// Two writes that have been applied.
    fn two() -> (History, [Entries; 2]) {
        let mut history = History::default();
        let (a, b) = (history.token(), history.token());
        let first = chained(0, a);
        let second = chained(first, b);
        history.told(&applied(1, a, 1, first)).unwrap();
        history.told(&applied(2, b, 2, second)).unwrap();
        let entries = [(1, first), (2, second)];
        (
            history,
            entries.map(|(version, chain)| Entries { version, chain }),
        )
    }

    #[test]
    fn a_read_that_misses_an_answered_write_is_refused() {
        let (mut history, [one, two]) = two();
        history.written(2, 0, two).unwrap();
        let floor = history.floor();
        assert_eq!(violated(history.read(floor, one)), LINEARIZABLE);
        history.read(floor, two).unwrap();
    }

    #[test]
    fn a_read_that_was_asked_before_may_miss_it() {
        let (mut history, [one, two]) = two();
        let floor = history.floor();
        history.written(2, 0, two).unwrap();
        history.read(floor, one).unwrap();
    }

    #[test]
    fn a_write_comes_after_what_was_seen_before_it_was_asked() {
        let (mut history, [one, _]) = two();
        history.read(0, one).unwrap();
        let floor = history.floor();
        assert_eq!(violated(history.written(1, floor, one)), LINEARIZABLE);
    }

    #[test]
    fn what_nobody_wrote_is_refused() {
        let (mut history, [one, _]) = two();
        let other = Entries {
            chain: one.chain ^ 1,
            ..one
        };
        assert_eq!(violated(history.read(0, other)), LINEARIZABLE);
        let beyond = Entries { version: 3, ..one };
        assert_eq!(violated(history.read(0, beyond)), LINEARIZABLE);
        let unasked = chained(history.chains[1].1, 9);
        assert_eq!(
            violated(history.told(&applied(3, 9, 3, unasked))),
            LINEARIZABLE
        );
    }

    #[test]
    fn a_command_that_is_applied_twice_is_refused() {
        let (mut history, [_, two]) = two();
        let again = chained(two.chain, 1);
        assert_eq!(violated(history.told(&applied(3, 1, 3, again))), ONCE);
    }

    #[test]
    fn nodes_that_tell_different_things_of_an_index_are_refused() {
        let (mut history, [one, _]) = two();
        history.told(&applied(1, 1, 1, one.chain)).unwrap();
        assert_eq!(violated(history.told(&applied(1, 2, 1, one.chain))), SAME);
    }
}
