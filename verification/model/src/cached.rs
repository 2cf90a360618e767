//! Values that are shared between states and hashed once.

use ahash::RandomState;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// A shared, immutable value with its hash.
///
/// A step changes one node and a few messages; everything else of a state is shared with the state
/// before, and costs a pointer to copy and eight bytes to hash.
///
/// The hash has 64 bits under fixed seeds, as stateright's own fingerprint of a whole state has, so
/// that the same state has the same fingerprint in every run. Two distinct states among *n* share a
/// fingerprint with a probability of about *n*² / 2⁶⁵: 2.7 in 10 000 at 100 million states. The
/// parts that are cached here are far fewer than the states that they make up, and add next to
/// nothing to that. A collision hides a state; it never invents a violation, since a counterexample
/// is replayed before it is shown.
pub struct Cached<T>(Arc<Inner<T>>);

struct Inner<T> {
    hash: u64,
    value: T,
}

/// The 64-bit hash of `value` under the checker's fixed seeds.
pub(crate) fn fixed_hash<T: Hash + ?Sized>(value: &T) -> u64 {
    // Any four constants will do; these are the first digits of pi, to hide nothing.
    RandomState::with_seeds(
        0x243f_6a88_85a3_08d3,
        0x1319_8a2e_0370_7344,
        0xa409_3822_299f_31d0,
        0x082e_fa98_ec4e_6c89,
    )
    .hash_one(value)
}

impl<T: Hash> Cached<T> {
    /// Hashes `value` and keeps it.
    pub fn new(value: T) -> Self {
        Cached(Arc::new(Inner {
            hash: fixed_hash(&value),
            value,
        }))
    }
}

impl<T> Cached<T> {
    /// The hash of the value, computed when it was made.
    pub fn cached_hash(&self) -> u64 {
        self.0.hash
    }

    /// Whether both are the same allocation.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Clone for Cached<T> {
    fn clone(&self) -> Self {
        Cached(Arc::clone(&self.0))
    }
}

impl<T> Deref for Cached<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: PartialEq> PartialEq for Cached<T> {
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || (self.0.hash == other.0.hash && self.0.value == other.0.value)
    }
}

impl<T: Eq> Eq for Cached<T> {}

impl<T> Hash for Cached<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl<T: fmt::Debug> fmt::Debug for Cached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cached_hash_is_the_hash_of_the_value() {
        let value = vec![Some(1_u8), None, Some(3)];
        assert_eq!(Cached::new(value.clone()).cached_hash(), fixed_hash(&value));
    }

    #[test]
    fn equal_values_are_equal_wherever_they_were_made() {
        let one = Cached::new(String::from("same"));
        let other = Cached::new(String::from("same"));
        assert!(!one.is(&other));
        assert_eq!(one, other);
        assert_eq!(fixed_hash(&one), fixed_hash(&other));
        assert_ne!(one, Cached::new(String::from("different")));
    }
}
