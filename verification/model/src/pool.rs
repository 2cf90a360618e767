//! One copy of each part of a state.
//!
//! There are far fewer distinct nodes, messages and client histories than combinations of them: some
//! thousands in millions of states. So every part that a transition makes is looked up here, and the
//! states that a search holds share it. What was once made is kept until the search ends.

use crate::Protocol;
use crate::cached::Cached;
use crate::state::{Envelope, Node};
use quorate_machine::Machine;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

/// Enough that workers seldom meet at one.
const SHARDS: usize = 64;

/// The parts of states of one system.
pub(crate) struct Parts<P: Protocol> {
    pub(crate) nodes: Pool<Node<P::Machine>>,
    pub(crate) durables: Pool<<P::Machine as Machine>::Durable>,
    pub(crate) envelopes: Pool<Envelope<P::Machine>>,
    pub(crate) clients: Pool<P::Clients>,
}

impl<P: Protocol> Default for Parts<P> {
    fn default() -> Self {
        Parts {
            nodes: Pool::default(),
            durables: Pool::default(),
            envelopes: Pool::default(),
            clients: Pool::default(),
        }
    }
}

/// Distinct values, by their cached hashes.
pub(crate) struct Pool<T> {
    shards: [Mutex<Shard<T>>; SHARDS],
}

type Shard<T> = HashMap<u64, Cached<T>, BuildHasherDefault<AsIs>>;

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool {
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl<T: Hash + Eq> Pool<T> {
    /// The copy of `value` that all states share.
    pub(crate) fn share(&self, value: T) -> Cached<T> {
        let new = Cached::new(value);
        let hash = new.cached_hash();
        // The table inside takes the high and the low bits; these are neither.
        let shard = &self.shards[(hash >> 32) as usize % SHARDS];
        // A worker that panicked while it held the lock left the map as it was.
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = shard.entry(hash).or_insert_with(|| new.clone());
        // Of two values with one hash, only the first is shared.
        if *kept == new { kept.clone() } else { new }
    }
}

/// Hashes a value that is a hash already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_become_one() {
        let pool = Pool::default();
        let (one, same, other) = (pool.share(1), pool.share(1), pool.share(2));
        assert!(one.is(&same));
        assert!(!one.is(&other));
    }

    #[test]
    fn values_that_collide_stay_apart() {
        #[derive(Debug, PartialEq, Eq)]
        struct Colliding(u8);
        impl Hash for Colliding {
            fn hash<H: Hasher>(&self, _: &mut H) {}
        }
        let pool = Pool::default();
        pool.share(Colliding(1));
        assert_eq!(*pool.share(Colliding(2)), Colliding(2));
        assert_eq!(*pool.share(Colliding(1)), Colliding(1));
    }
}
