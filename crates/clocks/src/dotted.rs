//! Dotted version vectors (Preguiça, Baquero, Almeida, Fonte, Gonçalves 2010, "Dotted Version Vectors: Logical
//! Clocks for Optimistic Replication"; Almeida, Baquero, Gonçalves, Preguiça, Fonte 2014, "Scalable and
//! Accurate Causality Tracking for Eventually Consistent Stores").
//!
//! A store keeps of a key what nobody has overwritten: one value, or several *siblings* that were written
//! without knowing of each other. A reader is given them with a *context*, everything that was known; who
//! writes hands the context back, and what is within it is overwritten. Two clients that write through the
//! same replica with the same context are concurrent, and a plain vector clock with one entry per replica
//! cannot say so: the second would seem to have seen the first. One entry per client says it, and grows
//! for ever. Hence the *dot*: the identity of a write, apart from what the write has seen.
//!
//! [`DottedVersion`] is the clock of one value, a dot and a context. [`Siblings`] keeps all values of a key
//! under one clock (the paper's DVVSet): per replica how many writes are known, and the values of the newest
//! of them. It is never larger than one entry a replica and the values that are there.

use std::cmp::Ordering;
use std::fmt;

use crate::{COUNT_MAX, Causality, VectorClock};

/// The identity of an event: the `count`-th of a process, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot<P> {
    /// Whose event.
    pub process: P,
    /// Its number there.
    pub count: u64,
}

/// The clock of a value: the write that made it, and what that write had seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DottedVersion<P> {
    /// The write.
    pub dot: Dot<P>,
    /// What it had seen. The dot is not among it, and may be beyond it by more than one.
    pub context: VectorClock<P>,
}

impl<P: Copy + Ord> VectorClock<P> {
    /// Whether an event is among those that are known.
    pub fn contains(&self, dot: Dot<P>) -> bool {
        self.get(dot.process) >= dot.count
    }
}

impl<P: Copy + Ord> DottedVersion<P> {
    /// How two writes are ordered: by whether one has seen the other. Two look-ups, however large the
    /// contexts are.
    pub fn compare(&self, other: &Self) -> Causality {
        if self.dot == other.dot {
            return Causality::Equal;
        }
        let after = self.context.contains(other.dot);
        let before = other.context.contains(self.dot);
        match (before, after) {
            (true, false) => Causality::Before,
            (false, true) => Causality::After,
            // That both have seen the other is what only a liar says.
            _ => Causality::Concurrent,
        }
    }
}

/// What one replica wrote, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry<P, V> {
    replica: P,
    /// How many of its writes are known.
    count: u64,
    /// Those of the last of them that nobody has overwritten, the newest first.
    values: Vec<V>,
}

impl<P: Copy, V> Entry<P, V> {
    /// How many of its first writes are overwritten.
    fn overwritten(&self) -> u64 {
        self.count - self.values.len() as u64
    }
}

/// All values of a key that nobody has overwritten.
///
/// ```
/// use quorate_clocks::Siblings;
///
/// let mut cart = Siblings::new();
/// let context = cart.context();
/// cart.put('a', &context, "milk");
/// cart.put('a', &context, "eggs"); // by somebody who has not seen the milk
/// assert_eq!(cart.values().count(), 2);
/// let context = cart.context();
/// cart.put('b', &context, "milk and eggs");
/// assert_eq!(cart.values().collect::<Vec<_>>(), [&"milk and eggs"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Siblings<P, V> {
    /// Ordered by replica, each at most once; no count is zero.
    entries: Vec<Entry<P, V>>,
}

impl<P, V> Siblings<P, V> {
    /// Of a key that was never written.
    pub const fn new() -> Self {
        Siblings {
            entries: Vec::new(),
        }
    }
}

impl<P, V> Default for Siblings<P, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Copy + Ord, V> Siblings<P, V> {
    /// As they came from outside: of each replica, in any order, how many of its writes are known and the
    /// values of the last of them, the newest first. How much there may be is for the caller to limit.
    pub fn from_entries(
        entries: impl IntoIterator<Item = (P, u64, Vec<V>)>,
    ) -> Result<Self, InvalidSiblings<P>> {
        let entries = entries.into_iter().map(|(replica, count, values)| Entry {
            replica,
            count,
            values,
        });
        let mut entries: Vec<Entry<P, V>> = entries.collect();
        entries.sort_by_key(|entry| entry.replica);
        if let Some(pair) = entries
            .windows(2)
            .find(|pair| pair[0].replica == pair[1].replica)
        {
            return Err(InvalidSiblings::Duplicate(pair[0].replica));
        }
        for Entry {
            replica,
            count,
            values,
        } in &entries
        {
            if *count == 0 || *count > COUNT_MAX {
                return Err(InvalidSiblings::Count(*replica));
            }
            if values.len() as u64 > *count {
                return Err(InvalidSiblings::TooManyValues(*replica));
            }
        }
        Ok(Siblings { entries })
    }

    /// What a reader is given with the values, and hands back with its write.
    pub fn context(&self) -> VectorClock<P> {
        let mut context = VectorClock::new();
        for entry in &self.entries {
            context.set(entry.replica, entry.count);
        }
        context
    }

    /// The values, each replica's newest first.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().flat_map(|entry| &entry.values)
    }

    /// Per replica: how many of its writes are known, and the values of the last of them, the newest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (P, u64, &[V])> {
        let entries = self.entries.iter();
        entries.map(|entry| (entry.replica, entry.count, entry.values.as_slice()))
    }

    /// Writes a value through a replica: what is within the writer's context is overwritten, the rest stays
    /// beside it. Returns the write's identity.
    pub fn put(&mut self, replica: P, context: &VectorClock<P>, value: V) -> Dot<P> {
        for (seen, count) in context.iter() {
            self.overwrite(seen, count);
        }
        let entry = self.entry(replica);
        entry.count = entry.count.saturating_add(1);
        entry.values.insert(0, value);
        Dot {
            process: replica,
            count: entry.count,
        }
    }

    /// Drops the values of a replica's first `count` writes. Those that have not arrived yet are overwritten
    /// as well, and are so when they do.
    fn overwrite(&mut self, replica: P, count: u64) {
        let entry = self.entry(replica);
        entry.count = entry.count.max(count);
        entry.values.truncate((entry.count - count) as usize);
    }

    fn entry(&mut self, replica: P) -> &mut Entry<P, V> {
        let found = self
            .entries
            .binary_search_by(|entry| entry.replica.cmp(&replica));
        let at = found.unwrap_or_else(|at| {
            let unknown = Entry {
                replica,
                count: 0,
                values: Vec::new(),
            };
            self.entries.insert(at, unknown);
            at
        });
        &mut self.entries[at]
    }

    /// Learns what another replica has: what one of the two knows to be overwritten is, the rest stays.
    pub fn merge(&mut self, other: Self) {
        let mut entries = Vec::with_capacity(self.entries.len().max(other.entries.len()));
        let mut mine = std::mem::take(&mut self.entries).into_iter().peekable();
        let mut theirs = other.entries.into_iter().peekable();
        loop {
            let order = match (mine.peek(), theirs.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(m), Some(t)) => m.replica.cmp(&t.replica),
            };
            match order {
                Ordering::Less => entries.extend(mine.next()),
                Ordering::Greater => entries.extend(theirs.next()),
                Ordering::Equal => {
                    let both = mine.next().zip(theirs.next());
                    entries.extend(both.map(|(mine, theirs)| join(mine, theirs)));
                }
            }
        }
        self.entries = entries;
    }
}

/// What two know of the same replica's writes: the newer count, less what either knows to be overwritten.
fn join<P: Copy, V>(mine: Entry<P, V>, theirs: Entry<P, V>) -> Entry<P, V> {
    let overwritten = mine.overwritten().max(theirs.overwritten());
    let mut newer = match mine.count >= theirs.count {
        true => mine,
        false => theirs,
    };
    let kept = newer.count.saturating_sub(overwritten);
    newer.values.truncate(kept as usize);
    newer
}

/// Why what came from outside are no siblings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidSiblings<P> {
    /// A replica is named twice.
    Duplicate(P),
    /// A replica has a count of zero, or one beyond [`COUNT_MAX`].
    Count(P),
    /// A replica has more values than writes.
    TooManyValues(P),
}

impl<P: fmt::Debug> fmt::Display for InvalidSiblings<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidSiblings::Duplicate(replica) => write!(f, "{replica:?} is named twice"),
            InvalidSiblings::Count(replica) => {
                write!(f, "{replica:?} has no count from 1 to {COUNT_MAX}")
            }
            InvalidSiblings::TooManyValues(replica) => {
                write!(f, "{replica:?} has more values than writes")
            }
        }
    }
}

impl<P: fmt::Debug> std::error::Error for InvalidSiblings<P> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clients_of_one_replica_are_concurrent() {
        let nothing = VectorClock::new();
        let mut siblings = Siblings::new();
        let first = siblings.put(1, &nothing, "first");
        let context = siblings.context();
        let second = siblings.put(1, &nothing, "second");
        assert_eq!(siblings.values().collect::<Vec<_>>(), [&"second", &"first"]);
        let first = DottedVersion {
            dot: first,
            context: nothing.clone(),
        };
        let second = DottedVersion {
            dot: second,
            context: nothing,
        };
        assert_eq!(first.compare(&second), Causality::Concurrent);
        // Who has read the first overwrites it, and not the second.
        let third = siblings.put(1, &context, "third");
        assert_eq!(siblings.values().collect::<Vec<_>>(), [&"third", &"second"]);
        let third = DottedVersion {
            dot: third,
            context,
        };
        assert_eq!(first.compare(&third), Causality::Before);
        assert_eq!(third.compare(&second), Causality::Concurrent);
        assert_eq!(third.compare(&third), Causality::Equal);
    }

    #[test]
    fn a_replica_that_is_behind_brings_nothing_back() {
        let mut siblings = Siblings::new();
        siblings.put(1, &VectorClock::new(), "old");
        let behind = siblings.clone();
        let context = siblings.context();
        siblings.put(2, &context, "new");
        let ahead = siblings.clone();
        siblings.merge(behind.clone());
        assert_eq!(siblings, ahead);
        let mut behind = behind;
        behind.merge(ahead.clone());
        assert_eq!(behind, ahead);
    }

    #[test]
    fn what_was_overwritten_before_it_arrived_stays_so() {
        let mut there = Siblings::new();
        there.put(1, &VectorClock::new(), "read there");
        let mut here = Siblings::new();
        here.put(2, &there.context(), "written here");
        here.merge(there);
        assert_eq!(here.values().collect::<Vec<_>>(), [&"written here"]);
    }

    #[test]
    fn what_are_no_siblings_is_refused() {
        let refused = |entries: &[(u8, u64, Vec<char>)]| {
            Siblings::from_entries(entries.iter().cloned()).unwrap_err()
        };
        let zero = refused(&[(1, 0, vec![])]);
        assert_eq!(zero, InvalidSiblings::Count(1));
        let large = refused(&[(1, COUNT_MAX + 1, vec![])]);
        assert_eq!(large, InvalidSiblings::Count(1));
        let twice = refused(&[(1, 1, vec![]), (2, 1, vec![]), (1, 2, vec![])]);
        assert_eq!(twice, InvalidSiblings::Duplicate(1));
        let many = refused(&[(1, 1, vec!['a', 'b'])]);
        assert_eq!(many, InvalidSiblings::TooManyValues(1));
    }

    #[test]
    fn entries_make_the_same_siblings_again() {
        let mut siblings = Siblings::new();
        siblings.put(2, &VectorClock::new(), "a");
        siblings.put(1, &VectorClock::new(), "b");
        siblings.put(2, &siblings.context(), "c");
        let entries = siblings.entries();
        let entries = entries.map(|(replica, count, values)| (replica, count, values.to_vec()));
        assert_eq!(Siblings::from_entries(entries), Ok(siblings.clone()));
    }
}
