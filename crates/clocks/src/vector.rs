//! Vector clocks (Fidge 1988, Mattern 1989).
//!
//! Every process counts its own events, and sends along with each message what it knows of everybody's
//! counts. One event happens before another exactly if its clock is less or equal for every process and
//! less for one.
//!
//! # Form
//!
//! A clock is one array of (process, count), ordered by process, without zeros: a process that is absent
//! counts as zero. So equal clocks are equal values with equal hashes, comparing two is one pass over both,
//! and merging a clock whose processes are all known allocates nothing.

use std::cmp::Ordering;
use std::fmt;

use crate::Causality;

/// The greatest count that is believed of somebody else. Whoever merges it has as many events again before
/// his own count ends.
pub const COUNT_MAX: u64 = u64::MAX / 2;

/// How many events of each process are known.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VectorClock<P> {
    /// Ordered by process, each at most once; no count is zero.
    entries: Vec<(P, u64)>,
}

impl<P> VectorClock<P> {
    /// Of somebody who knows of no event.
    pub const fn new() -> Self {
        VectorClock {
            entries: Vec::new(),
        }
    }
}

impl<P: Copy + Ord> VectorClock<P> {
    /// A clock as it came from outside: processes in any order, each at most once, with a count from 1 to
    /// [`COUNT_MAX`]. How many there may be is for the caller to limit.
    pub fn from_entries(
        entries: impl IntoIterator<Item = (P, u64)>,
    ) -> Result<Self, InvalidClock<P>> {
        let mut entries: Vec<(P, u64)> = entries.into_iter().collect();
        entries.sort_unstable_by_key(|(process, _)| *process);
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(InvalidClock::Duplicate(pair[0].0));
        }
        for (process, count) in &entries {
            match *count {
                0 => return Err(InvalidClock::Zero(*process)),
                1..=COUNT_MAX => {}
                _ => return Err(InvalidClock::TooLarge(*process)),
            }
        }
        Ok(VectorClock { entries })
    }

    /// The count of a process, zero if it is not named.
    pub fn get(&self, process: P) -> u64 {
        match self.find(process) {
            Ok(at) => self.entries[at].1,
            Err(_) => 0,
        }
    }

    /// Sets the count of a process; zero forgets it.
    pub fn set(&mut self, process: P, count: u64) {
        match (self.find(process), count) {
            (Ok(at), 0) => drop(self.entries.remove(at)),
            (Ok(at), count) => self.entries[at].1 = count,
            (Err(_), 0) => {}
            (Err(at), count) => self.entries.insert(at, (process, count)),
        }
    }

    /// Counts an event of a process, and returns its number: the first is 1.
    ///
    /// A count of `u64::MAX` stays, but nobody gets there by counting, and [`VectorClock::from_entries`]
    /// takes nobody near it.
    pub fn increment(&mut self, process: P) -> u64 {
        match self.find(process) {
            Ok(at) => {
                let count = &mut self.entries[at].1;
                *count = count.saturating_add(1);
                *count
            }
            Err(at) => {
                self.entries.insert(at, (process, 1));
                1
            }
        }
    }

    /// Learns what another clock knows: of each process the greater count. Linear in both.
    pub fn merge(&mut self, other: &Self) {
        let missing = self.raise(other);
        if missing > 0 {
            self.insert_missing(other, missing);
        }
    }

    /// Raises the counts of processes that are known here, and returns how many of the other's are not.
    fn raise(&mut self, other: &Self) -> usize {
        let mut missing = 0;
        let mut known = self.entries.iter_mut().peekable();
        for (process, count) in &other.entries {
            while known.next_if(|(mine, _)| mine < process).is_some() {}
            match known.next_if(|(mine, _)| mine == process) {
                Some((_, mine)) => *mine = (*mine).max(*count),
                None => missing += 1,
            }
        }
        missing
    }

    /// Makes room at the end and merges from there, so that each entry is moved at most once.
    fn insert_missing(&mut self, other: &Self, missing: usize) {
        let Some(&filler) = other.entries.first() else {
            return;
        };
        let mut kept = self.entries.len();
        self.entries.resize(kept + missing, filler);
        let mut to = self.entries.len();
        for entry in other.entries.iter().rev() {
            while kept > 0 && self.entries[kept - 1].0 > entry.0 {
                kept -= 1;
                to -= 1;
                self.entries[to] = self.entries[kept];
            }
            // Everything from here on is in its place.
            if to == kept {
                return;
            }
            if kept == 0 || self.entries[kept - 1].0 != entry.0 {
                to -= 1;
                self.entries[to] = *entry;
            }
        }
    }

    /// How two clocks are ordered. Linear in both; it stops where they turn out to be concurrent.
    pub fn compare(&self, other: &Self) -> Causality {
        compare_entries(&self.entries, &other.entries)
    }

    /// Processes with their counts, in order of processes; none is zero.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (P, u64)> + '_ {
        self.entries.iter().copied()
    }

    /// How many processes are named.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no event is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn find(&self, process: P) -> Result<usize, usize> {
        self.entries
            .binary_search_by(|(known, _)| known.cmp(&process))
    }
}

/// How two clocks are ordered that are kept as a [`VectorClock`] keeps them, ordered by process and without zeros,
/// but elsewhere: many clocks in one array, for example.
pub fn compare_entries<P: Ord>(one: &[(P, u64)], other: &[(P, u64)]) -> Causality {
    let (mut mine, mut theirs) = (one, other);
    let (mut ahead, mut behind) = (false, false);
    while let ([(p, m), my_rest @ ..], [(q, n), their_rest @ ..]) = (mine, theirs) {
        match p.cmp(q) {
            Ordering::Equal => {
                ahead |= m > n;
                behind |= m < n;
                (mine, theirs) = (my_rest, their_rest);
            }
            Ordering::Less => (ahead, mine) = (true, my_rest),
            Ordering::Greater => (behind, theirs) = (true, their_rest),
        }
        if ahead && behind {
            return Causality::Concurrent;
        }
    }
    Causality::of(ahead || !mine.is_empty(), behind || !theirs.is_empty())
}

impl<P> Default for VectorClock<P> {
    fn default() -> Self {
        Self::new()
    }
}

/// Less is before, greater is after; concurrent clocks have no order.
impl<P: Copy + Ord> PartialOrd for VectorClock<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.compare(other).into()
    }
}

impl<P: fmt::Debug> fmt::Debug for VectorClock<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.entries.iter().map(|(process, count)| (process, count)))
            .finish()
    }
}

/// Why what came from outside is not a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidClock<P> {
    /// A process has a count of zero, which is said by leaving it out.
    Zero(P),
    /// A process is named twice.
    Duplicate(P),
    /// A process has a count beyond [`COUNT_MAX`], which nobody reaches by counting.
    TooLarge(P),
}

impl<P: fmt::Debug> fmt::Display for InvalidClock<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidClock::Zero(process) => write!(f, "the clock counts zero events of {process:?}"),
            InvalidClock::Duplicate(process) => write!(f, "the clock names {process:?} twice"),
            InvalidClock::TooLarge(process) => {
                write!(
                    f,
                    "the clock counts more than {COUNT_MAX} events of {process:?}"
                )
            }
        }
    }
}

impl<P: fmt::Debug> std::error::Error for InvalidClock<P> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn clock(entries: &[(u8, u64)]) -> VectorClock<u8> {
        VectorClock::from_entries(entries.iter().copied()).unwrap()
    }

    fn clocks() -> impl Strategy<Value = VectorClock<u8>> {
        let map = proptest::collection::btree_map(0..8_u8, 1..4_u64, 0..6);
        map.prop_map(|map| VectorClock::from_entries(map).unwrap())
    }

    fn counts(clock: &VectorClock<u8>) -> [u64; 8] {
        std::array::from_fn(|process| clock.get(process as u8))
    }

    #[test]
    fn the_four_answers() {
        let first = clock(&[(1, 1)]);
        let then = clock(&[(1, 1), (2, 1)]);
        let elsewhere = clock(&[(3, 1)]);
        assert_eq!(first.compare(&then), Causality::Before);
        assert_eq!(then.compare(&first), Causality::After);
        assert_eq!(then.compare(&then.clone()), Causality::Equal);
        assert_eq!(then.compare(&elsewhere), Causality::Concurrent);
        assert!(first < then && first.partial_cmp(&elsewhere).is_none());
    }

    #[test]
    fn what_is_no_clock_is_refused() {
        let zero = VectorClock::from_entries([(1, 1), (2, 0)]);
        assert_eq!(zero, Err(InvalidClock::Zero(2)));
        let twice = VectorClock::from_entries([(2, 1), (1, 3), (2, 5)]);
        assert_eq!(twice, Err(InvalidClock::Duplicate(2)));
        assert!(VectorClock::from_entries([(2, COUNT_MAX)]).is_ok());
        let beyond = VectorClock::from_entries([(1, 1), (2, COUNT_MAX + 1)]);
        assert_eq!(beyond, Err(InvalidClock::TooLarge(2)));
    }

    #[test]
    fn counting_begins_at_one_and_ends_at_the_maximum() {
        let mut clock = VectorClock::new();
        assert_eq!(clock.increment(7), 1);
        assert_eq!(clock.increment(7), 2);
        clock.set(7, u64::MAX);
        assert_eq!(clock.increment(7), u64::MAX);
        clock.set(7, 0);
        assert_eq!(clock, VectorClock::new());
    }

    #[test]
    fn merging_known_processes_allocates_nothing() {
        let mut all = clock(&[(1, 1), (2, 9), (3, 1)]);
        all.entries.shrink_to_fit();
        let at = all.entries.as_ptr();
        all.merge(&clock(&[(1, 4), (3, 1)]));
        assert_eq!(all, clock(&[(1, 4), (2, 9), (3, 1)]));
        assert_eq!((all.entries.as_ptr(), all.entries.capacity()), (at, 3));
    }

    proptest! {
        #[test]
        fn compare_is_the_order_of_every_component(a in clocks(), b in clocks()) {
            let (x, y) = (counts(&a), counts(&b));
            let ahead = x.iter().zip(&y).any(|(m, n)| m > n);
            let behind = x.iter().zip(&y).any(|(m, n)| m < n);
            prop_assert_eq!(a.compare(&b), Causality::of(ahead, behind));
            prop_assert_eq!(b.compare(&a), a.compare(&b).reverse());
        }

        #[test]
        fn merge_is_the_maximum_of_every_component(a in clocks(), b in clocks()) {
            let mut merged = a.clone();
            merged.merge(&b);
            let (x, y) = (counts(&a), counts(&b));
            let wanted: Vec<(u8, u64)> =
                (0..8).map(|p| (p, x[p as usize].max(y[p as usize]))).filter(|(_, n)| *n > 0).collect();
            prop_assert_eq!(merged.iter().collect::<Vec<_>>(), wanted);
        }

        #[test]
        fn sets_and_counts_are_those_of_a_map(steps in proptest::collection::vec((0..8_u8, 0..5_u64), 0..40)) {
            let mut clock = VectorClock::new();
            let mut map = BTreeMap::new();
            for (process, count) in steps {
                if count == 4 {
                    let number = clock.increment(process);
                    *map.entry(process).or_insert(0) += 1;
                    prop_assert_eq!(number, map[&process]);
                } else {
                    clock.set(process, count);
                    map.insert(process, count);
                }
                map.retain(|_, count| *count > 0);
                prop_assert_eq!(&clock, &VectorClock::from_entries(map.clone()).unwrap());
            }
        }
    }
}
