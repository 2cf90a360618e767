//! Chance, from a seed.
//!
//! The words come from ChaCha8, a published cipher, and every draw is made of them here, so that a seed
//! that found something years ago finds it still. Each part of a simulation draws from a stream of its
//! own: taking one fault out of a run leaves alone what the others draw.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::ops::RangeInclusive;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// Stream number `stream` of `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut words = ChaCha8Rng::seed_from_u64(seed);
        words.set_stream(stream);
        Random(words)
    }

    /// A number below `bound`; 0 if the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Lemire's multiplication without its rejection: the bias is below 2^-32 for all that is drawn.
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number of the range.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (start, end) = range.into_inner();
        start + self.below(end.saturating_sub(start).saturating_add(1))
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A number of which half are below `scale`, a quarter above twice that, and so on: few are very large.
    pub fn heavy_tail(&mut self, scale: u64) -> u64 {
        let doublings = u64::from(self.0.next_u64().leading_zeros()).min(12);
        self.below(scale.max(1)) << doublings
    }

    /// One of `all`, which is not empty.
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let at = usize::try_from(self.below(all.len() as u64)).unwrap_or_default();
        all.get(at).copied()
    }

    /// `all` in a random order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            all.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_for_ever() {
        let mut random = Random::new(7, 1);
        let drawn: Vec<u64> = (0..5).map(|_| random.below(1000)).collect();
        assert_eq!(drawn, [992, 9, 721, 528, 58]);
    }

    #[test]
    fn streams_of_a_seed_differ() {
        let draw = |stream| Random::new(1, stream).below(u64::MAX);
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn draws_stay_within_and_reach_both_ends() {
        let mut random = Random::new(3, 0);
        let drawn: std::collections::BTreeSet<u64> =
            (0..200).map(|_| random.within(4..=6)).collect();
        assert_eq!(drawn, [4, 5, 6].into());
        assert_eq!(random.below(0), 0);
    }
}
