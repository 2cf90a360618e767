//! The replicated log, in memory.

use crate::{Entry, Index, Position, Term};

/// The log of one node.
///
/// Invariants, kept by the callers through the checks in [`Log::accepts`]:
/// - indices are contiguous from 1;
/// - terms never decrease along the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Log<C> {
    entries: Vec<Entry<C>>,
}

impl<C> Default for Log<C> {
    fn default() -> Self {
        Log {
            entries: Vec::new(),
        }
    }
}

impl<C: Clone + Eq> Log<C> {
    /// The position of the last entry.
    pub fn last(&self) -> Position {
        Position {
            term: self.entries.last().map_or(Term(0), |entry| entry.term),
            index: Index(self.entries.len() as u64),
        }
    }

    /// The entry at `index`.
    pub fn get(&self, index: Index) -> Option<&Entry<C>> {
        let offset = usize::try_from(index.0.checked_sub(1)?).ok()?;
        self.entries.get(offset)
    }

    /// The term at `index`: 0 before the first entry, `None` past the last.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == Index(0) {
            Some(Term(0))
        } else {
            self.get(index).map(|entry| entry.term)
        }
    }

    /// Whether the log has this very entry.
    pub fn contains(&self, position: Position) -> bool {
        self.term_at(position.index) == Some(position.term)
    }

    /// The position at `index`, which is clamped to the log.
    pub fn position(&self, index: Index) -> Position {
        let index = index.min(self.last().index);
        Position {
            term: self.term_at(index).unwrap_or_default(),
            index,
        }
    }

    /// The entries after `after`.
    pub fn after(&self, after: Index) -> &[Entry<C>] {
        let offset = usize::try_from(after.0)
            .unwrap_or(usize::MAX)
            .min(self.entries.len());
        &self.entries[offset..]
    }

    /// Every entry, the first one at index 1.
    pub fn entries(&self) -> &[Entry<C>] {
        &self.entries
    }

    /// Drops everything after `after` and appends `entries` there.
    pub fn splice(&mut self, after: Index, entries: impl IntoIterator<Item = Entry<C>>) {
        let offset = usize::try_from(after.0).unwrap_or(usize::MAX);
        self.entries.truncate(offset);
        self.entries.extend(entries);
    }

    /// Whether `entries` may follow `prev` in a leader's log of `term`: terms ascend and end by `term`.
    pub fn accepts(prev: Position, entries: &[Entry<C>], term: Term) -> bool {
        let mut floor = prev.term;
        entries.iter().all(|entry| {
            let ascends = entry.term >= floor;
            floor = entry.term;
            ascends
        }) && floor <= term
    }

    /// How many of `entries`, said to follow `prev`, the log already has.
    pub fn matching(&self, prev: Position, entries: &[Entry<C>]) -> usize {
        self.after(prev.index)
            .iter()
            .zip(entries)
            .take_while(|(ours, theirs)| ours.term == theirs.term)
            .count()
    }

    /// The last position at or before `index` whose term is at most `term`.
    ///
    /// Both sides of a conflict use it to skip whole terms at a time, so that a diverged follower is
    /// found in a round per diverged term rather than per entry (section 5.3, as etcd's
    /// `findConflictByTerm`).
    pub fn last_at_most(&self, index: Index, term: Term) -> Position {
        let end = usize::try_from(index.0)
            .unwrap_or(usize::MAX)
            .min(self.entries.len());
        // Terms ascend, so the boundary can be searched for.
        let within = self.entries[..end].partition_point(|entry| entry.term <= term);
        self.position(Index(within as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Payload;

    fn log(terms: &[u64]) -> Log<u8> {
        let mut log = Log::default();
        log.splice(Index(0), terms.iter().map(|&term| entry(term)));
        log
    }

    fn entry(term: u64) -> Entry<u8> {
        Entry {
            term: Term(term),
            payload: Payload::Noop,
        }
    }

    fn at(index: u64, term: u64) -> Position {
        Position {
            term: Term(term),
            index: Index(index),
        }
    }

    #[test]
    fn positions_compare_by_term_before_index() {
        assert!(at(1, 2) > at(9, 1));
        assert!(at(2, 1) > at(1, 1));
    }

    #[test]
    fn the_position_before_the_first_entry_is_always_there() {
        assert!(log(&[]).contains(at(0, 0)));
        assert!(log(&[1]).contains(at(0, 0)));
        assert!(!log(&[1]).contains(at(2, 1)));
    }

    #[test]
    fn whole_terms_are_skipped_in_a_conflict() {
        let log = log(&[1, 1, 2, 4, 4, 5]);
        assert_eq!(log.last_at_most(Index(6), Term(3)), at(3, 2));
        assert_eq!(log.last_at_most(Index(4), Term(9)), at(4, 4));
        assert_eq!(log.last_at_most(Index(6), Term(0)), at(0, 0));
    }

    #[test]
    fn entries_with_descending_terms_are_refused() {
        assert!(Log::accepts(at(1, 1), &[entry(1), entry(3)], Term(3)));
        assert!(!Log::accepts(at(1, 2), &[entry(1)], Term(3)));
        assert!(!Log::accepts(at(1, 1), &[entry(3), entry(2)], Term(3)));
        assert!(!Log::accepts(at(1, 1), &[entry(4)], Term(3)));
    }
}
