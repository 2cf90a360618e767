//! The replicated log, in memory.

use crate::{Entry, Index, Position, Term};
use std::fmt;

/// Entries in a block.
const BLOCK: usize = if cfg!(test) { 4 } else { 4096 };

/// The log of one node.
///
/// Invariants, kept by the callers through the checks in [`Log::accepts`]:
/// - indices are contiguous from 1;
/// - terms never decrease along the log.
///
/// Kept in blocks, so that a long log grows without being copied: doubling one vector of a million
/// entries stops a node for as long as an election takes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Log<C> {
    /// Blocks of [`BLOCK`] entries each.
    full: Vec<Box<[Entry<C>]>>,
    /// What follows them: fewer than a block.
    tail: Vec<Entry<C>>,
}

impl<C> Default for Log<C> {
    fn default() -> Self {
        Log {
            full: Vec::new(),
            tail: Vec::new(),
        }
    }
}

/// A plain list: blocks are nobody's business.
impl<C: fmt::Debug> fmt::Debug for Log<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.full.iter().flatten().chain(&self.tail);
        f.debug_list().entries(entries).finish()
    }
}

impl<C: Clone + Eq> Log<C> {
    fn len(&self) -> usize {
        self.full.len() * BLOCK + self.tail.len()
    }

    /// The block at this number; the tail after the full ones.
    fn block(&self, number: usize) -> &[Entry<C>] {
        self.full.get(number).map_or(&self.tail, |block| block)
    }

    /// The position of the last entry.
    pub fn last(&self) -> Position {
        self.position(Index(self.len() as u64))
    }

    /// The entry at `index`.
    pub fn get(&self, index: Index) -> Option<&Entry<C>> {
        let offset = usize::try_from(index.0.checked_sub(1)?).ok()?;
        if offset / BLOCK > self.full.len() {
            return None;
        }
        self.block(offset / BLOCK).get(offset % BLOCK)
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
        let index = index.min(Index(self.len() as u64));
        Position {
            term: self.term_at(index).unwrap_or_default(),
            index,
        }
    }

    /// The entries after `after`.
    pub fn after(&self, after: Index) -> impl Iterator<Item = &Entry<C>> + Clone {
        let offset = self.offset(after);
        let first = offset / BLOCK;
        (first..=self.full.len()).flat_map(move |number| {
            let skipped = if number == first { offset % BLOCK } else { 0 };
            &self.block(number)[skipped..]
        })
    }

    /// Every entry, the first one at index 1.
    pub fn entries(&self) -> impl Iterator<Item = &Entry<C>> + Clone {
        self.after(Index(0))
    }

    /// `after` as a number of entries of this log.
    fn offset(&self, after: Index) -> usize {
        usize::try_from(after.0)
            .unwrap_or(usize::MAX)
            .min(self.len())
    }

    /// Drops everything after `after` and appends `entries` there.
    pub fn splice(&mut self, after: Index, entries: impl IntoIterator<Item = Entry<C>>) {
        let kept = self.offset(after);
        if kept / BLOCK < self.full.len() {
            self.full.truncate(kept / BLOCK + 1);
            self.tail = self.full.pop().unwrap_or_default().into_vec();
        }
        self.tail.truncate(kept % BLOCK);
        for entry in entries {
            self.tail.push(entry);
            if self.tail.len() == BLOCK {
                let full = std::mem::replace(&mut self.tail, Vec::with_capacity(BLOCK));
                self.full.push(full.into_boxed_slice());
            }
        }
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
        // Terms ascend, so the boundary can be searched for.
        let (mut low, mut high) = (0, self.offset(index) as u64);
        while low < high {
            let middle = high - (high - low) / 2;
            if self.term_at(Index(middle)).is_some_and(|at| at <= term) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        self.position(Index(low))
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
    fn blocks_do_not_show() {
        let terms: Vec<u64> = (1..=3 * BLOCK as u64 + 1).collect();
        for length in 0..terms.len() {
            for kept in 0..=length {
                let mut log = log(&terms[..length]);
                log.splice(Index(kept as u64), [entry(100), entry(101)]);
                let mut expected: Vec<_> = terms[..kept].iter().map(|&t| entry(t)).collect();
                expected.extend([entry(100), entry(101)]);
                assert!(log.entries().eq(&expected));
                assert_eq!(log.last(), at(kept as u64 + 2, 101));
                for (offset, entry) in expected.iter().enumerate() {
                    assert_eq!(log.get(Index(offset as u64 + 1)), Some(entry));
                    assert!(log.after(Index(offset as u64)).eq(&expected[offset..]));
                }
                assert_eq!(log.get(Index(kept as u64 + 3)), None);
                assert_eq!(log.get(Index(u64::MAX)), None);
            }
        }
    }

    #[test]
    fn entries_with_descending_terms_are_refused() {
        assert!(Log::accepts(at(1, 1), &[entry(1), entry(3)], Term(3)));
        assert!(!Log::accepts(at(1, 2), &[entry(1)], Term(3)));
        assert!(!Log::accepts(at(1, 1), &[entry(3), entry(2)], Term(3)));
        assert!(!Log::accepts(at(1, 1), &[entry(4)], Term(3)));
    }
}
