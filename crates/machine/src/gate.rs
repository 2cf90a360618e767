//! The only code that knows "persist before send".

use crate::{Effects, Machine, Promise};
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

/// Holds back promises until the records before them are durable.
///
/// The model checker's node, the simulator and the production driver all pass their effects through
/// a gate:
///
/// ```text
/// step ─► Effects ─► Gate::absorb ─► records ─► the disk
///                        │ promises                 │
///                        ▼                          ▼
///                      waiting ◄──────────── Gate::synced(n)
///                        │
///                        ▼
///                   Gate::release ─► the network, the application, the node itself
/// ```
///
/// Records are counted, not kept: the caller writes them in the order in which they were absorbed.
#[derive(Clone, Debug)]
pub struct Gate<M: Machine> {
    /// Records absorbed since the start.
    absorbed: u64,
    /// How many of them, from the first, are durable.
    durable: u64,
    /// Each promise with the number of records that must be durable before it; never decreasing.
    waiting: VecDeque<(u64, Promise<M>)>,
}

/// Gates are equal when the same promises wait for the same number of outstanding records; how many
/// records came before does not matter, so that a checker sees finitely many gates.
impl<M: Machine> PartialEq for Gate<M> {
    fn eq(&self, other: &Self) -> bool {
        self.unsynced() == other.unsynced() && self.relative().eq(other.relative())
    }
}

impl<M: Machine> Eq for Gate<M> {}

impl<M: Machine> Hash for Gate<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.unsynced().hash(state);
        state.write_usize(self.waiting.len());
        for entry in self.relative() {
            entry.hash(state);
        }
    }
}

impl<M: Machine> Default for Gate<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Machine> Gate<M> {
    /// An empty gate, for a node that has just started.
    pub fn new() -> Self {
        Gate {
            absorbed: 0,
            durable: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Takes the records and promises of a step; returns the records, to be written in this order.
    ///
    /// The records of one call must become durable together or not at all. What does not wait for them, and
    /// timers, stay in `effects`: they are not the gate's business.
    pub fn absorb<'a>(
        &mut self,
        effects: &'a mut Effects<M>,
    ) -> impl ExactSizeIterator<Item = M::Record> + use<'a, M> {
        let before = self.absorbed;
        for (records_before, promise) in effects.promises.drain(..) {
            // A step's records are one atomic write, so a promise after the first waits for all of
            // them; one before the first waits only for earlier steps.
            let needs = if records_before == 0 {
                before
            } else {
                before + effects.records.len() as u64
            };
            self.waiting.push_back((needs, promise));
        }
        self.absorbed += effects.records.len() as u64;
        effects.records.drain(..)
    }

    /// The oldest `records` outstanding records have become durable.
    ///
    /// # Panics
    ///
    /// If fewer are outstanding: the caller would release promises that nothing backs.
    pub fn synced(&mut self, records: u64) {
        assert!(
            records <= self.unsynced(),
            "{records} records reported durable, {} outstanding",
            self.unsynced()
        );
        self.durable += records;
    }

    /// Takes the next promise that is due, in the order in which promises were made.
    pub fn release(&mut self) -> Option<Promise<M>> {
        match self.waiting.front() {
            Some((needs, _)) if *needs <= self.durable => {
                self.waiting.pop_front().map(|(_, promise)| promise)
            }
            _ => None,
        }
    }

    /// Records absorbed and not yet durable.
    pub fn unsynced(&self) -> u64 {
        self.absorbed - self.durable
    }

    /// Promises held back.
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = &Promise<M>> {
        self.waiting.iter().map(|(_, promise)| promise)
    }

    fn relative(&self) -> impl Iterator<Item = (u64, &Promise<M>)> {
        self.waiting
            .iter()
            .map(|(needs, promise)| (needs.saturating_sub(self.durable), promise))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;
    use crate::inert::Inert;
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    fn released(gate: &mut Gate<Inert>) -> Vec<u8> {
        std::iter::from_fn(|| gate.release())
            .map(|promise| match promise {
                Promise::Send { message, .. } => message,
                Promise::Output(output) => output,
            })
            .collect()
    }

    fn hash(gate: &Gate<Inert>) -> u64 {
        BuildHasherDefault::<DefaultHasher>::default().hash_one(gate)
    }

    #[test]
    fn promises_wait_for_the_records_before_them() {
        let mut gate = Gate::<Inert>::new();
        let mut fx = Effects::new();
        fx.output(1); // before any record: due at once
        fx.persist(0);
        fx.send(NodeId(2), 2); // after the record: waits
        assert_eq!(gate.absorb(&mut fx).count(), 1);
        assert_eq!(released(&mut gate), [1]);
        assert_eq!(released(&mut gate), []);

        fx.output(3); // a later step without records still waits for the earlier record
        assert_eq!(gate.absorb(&mut fx).count(), 0);
        assert_eq!(released(&mut gate), []);

        gate.synced(1);
        assert_eq!(released(&mut gate), [2, 3]);
    }

    #[test]
    fn a_sync_releases_only_what_it_covers() {
        let mut gate = Gate::<Inert>::new();
        let mut fx = Effects::new();
        for step in 1..=3 {
            fx.persist(step);
            fx.output(step);
            gate.absorb(&mut fx).for_each(drop);
        }
        gate.synced(2);
        assert_eq!(released(&mut gate), [1, 2]);
        assert_eq!(gate.unsynced(), 1);
    }

    #[test]
    fn equality_and_hash_ignore_how_much_came_before() {
        let mut fresh = Gate::<Inert>::new();
        let mut old = Gate::<Inert>::new();
        let mut fx = Effects::new();
        fx.persist(0);
        old.absorb(&mut fx).for_each(drop);
        old.synced(1);
        for gate in [&mut fresh, &mut old] {
            fx.persist(1);
            fx.output(1);
            gate.absorb(&mut fx).for_each(drop);
        }
        assert_eq!(fresh, old);
        assert_eq!(hash(&fresh), hash(&old));
        old.synced(1);
        assert_ne!(fresh, old);
    }

    /// A gate after a step with this record, if any, and this promise, whose record is durable if `synced`.
    fn gate(record: Option<u8>, promise: u8, synced: bool) -> Gate<Inert> {
        let mut gate = Gate::new();
        let mut fx = Effects::new();
        record.into_iter().for_each(|record| fx.persist(record));
        fx.output(promise);
        gate.absorb(&mut fx).for_each(drop);
        if synced {
            gate.synced(gate.unsynced());
        }
        gate
    }

    /// A checker takes equal states for one, and looks for equal ones among those with equal hashes: gates
    /// that go on differently must not be equal, and should not share a hash.
    #[test]
    fn gates_that_go_on_differently_are_not_equal() {
        let waits = gate(Some(0), 1, false);
        for other in [
            gate(Some(0), 2, false), // another promise
            gate(None, 1, false),    // due at once
            gate(Some(0), 1, true),  // due since the sync
            Gate::new(),
        ] {
            assert_ne!(waits, other);
            assert_ne!(hash(&waits), hash(&other));
        }
        // Due is due, whatever it has waited for.
        assert_eq!(gate(Some(0), 1, true), gate(None, 1, false));
        assert_eq!(hash(&gate(Some(0), 1, true)), hash(&gate(None, 1, false)));

        // Equal promises, and something in flight behind them.
        let (mut longer, mut fx) = (gate(Some(0), 1, false), Effects::new());
        fx.persist(2);
        longer.absorb(&mut fx).for_each(drop);
        assert_ne!(waits, longer);
        assert_ne!(hash(&waits), hash(&longer));
        assert_eq!(longer.waiting().len(), 1);
    }

    #[test]
    #[should_panic(expected = "outstanding")]
    fn reporting_more_than_was_absorbed_is_refused() {
        Gate::<Inert>::new().synced(1);
    }
}
