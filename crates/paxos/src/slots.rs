//! Small names for the attempts of a node, so that a timer's name need not hold a key.

use crate::Slot;
use std::collections::{BTreeMap, BTreeSet};

/// Which attempt has which slot; a new one gets the lowest that is free.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slots<K> {
    keys: BTreeMap<Slot, K>,
    /// Slots that were given back, below the highest ever taken since all were free.
    free: BTreeSet<Slot>,
}

impl<K> Default for Slots<K> {
    fn default() -> Self {
        Slots {
            keys: BTreeMap::new(),
            free: BTreeSet::new(),
        }
    }
}

impl<K> Slots<K> {
    /// Whose slot it is.
    pub(crate) fn key(&self, slot: Slot) -> Option<&K> {
        self.keys.get(&slot)
    }

    /// Takes a slot for `key`; `None` if `limit` of them are taken.
    pub(crate) fn take(&mut self, key: K, limit: u32) -> Option<Slot> {
        if self.keys.len() >= limit as usize {
            return None;
        }
        // Every slot below the first that was never taken is taken or free.
        let next = (self.keys.len() + self.free.len()) as u32;
        let slot = self.free.pop_first().unwrap_or(Slot(next));
        self.keys.insert(slot, key);
        Some(slot)
    }

    /// Gives a slot back.
    pub(crate) fn give_back(&mut self, slot: Slot) {
        if self.keys.remove(&slot).is_some() {
            self.free.insert(slot);
        }
        if self.keys.is_empty() {
            self.free.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_slot_is_taken_and_none_beyond_the_limit() {
        let mut slots = Slots::default();
        assert_eq!(slots.take('a', 2), Some(Slot(0)));
        assert_eq!(slots.take('b', 2), Some(Slot(1)));
        assert_eq!(slots.take('c', 2), None);
        slots.give_back(Slot(0));
        slots.give_back(Slot(0)); // once is enough
        assert_eq!(slots.key(Slot(0)), None);
        assert_eq!(slots.take('c', 2), Some(Slot(0)));
        assert_eq!(slots.key(Slot(0)), Some(&'c'));
        assert_eq!(slots.take('d', 3), Some(Slot(2)));
    }

    #[test]
    fn once_all_are_free_it_is_as_if_none_had_been_taken() {
        let mut slots = Slots::default();
        for key in ['a', 'b', 'c'] {
            slots.take(key, 8);
        }
        for slot in [2, 0, 1] {
            slots.give_back(Slot(slot));
        }
        assert_eq!(slots, Slots::default());
    }
}
