//! The armed timers of one machine.

use quorate_machine::Ticks;
use rand::Rng;
use rand::rngs::StdRng;
use std::time::Duration;
use tokio::time::Instant;

/// A machine has a handful of timers, so a list is the fastest set of them.
pub(crate) struct Timers<T> {
    armed: Vec<(T, Due)>,
    tick: Duration,
    random: StdRng,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Zero ticks: once the events at hand are stepped.
    AtOnce,
    At(Instant),
}

impl<T: Copy + Eq> Timers<T> {
    pub(crate) fn new(tick: Duration, random: StdRng) -> Self {
        Timers {
            armed: Vec::new(),
            tick,
            random,
        }
    }

    /// Arms `timer`, or arms it anew, to fire after a number of ticks drawn from `ticks`.
    pub(crate) fn arm(&mut self, timer: T, ticks: Ticks, now: Instant) {
        let (least, most) = (*ticks.start(), *ticks.end());
        // An empty range would be the machine's mistake; its start is as good an answer as any.
        let drawn = self.random.random_range(least..=most.max(least));
        let due = match drawn {
            0 => Due::AtOnce,
            drawn => Due::At(now + self.tick * drawn),
        };
        match self.armed.iter_mut().find(|(armed, _)| *armed == timer) {
            Some(entry) => entry.1 = due,
            None => self.armed.push((timer, due)),
        }
    }

    pub(crate) fn disarm(&mut self, timer: T) {
        self.armed.retain(|(armed, _)| *armed != timer);
    }

    pub(crate) fn len(&self) -> usize {
        self.armed.len()
    }

    /// Disarms and returns the timer that has been due the longest, if any is due at `now`.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<T> {
        let due = |&(_, due): &(T, Due)| match due {
            Due::At(at) if at <= now => Some(at),
            _ => None,
        };
        let longest = (0..self.armed.len())
            .filter_map(|index| due(&self.armed[index]).map(|at| (at, index)))
            .min()?;
        // `remove`, not `swap_remove`: timers that are due together fire in the order of arming.
        Some(self.armed.remove(longest.1).0)
    }

    /// Disarms and returns a timer of zero ticks.
    pub(crate) fn take_zero(&mut self) -> Option<T> {
        let zero = self.armed.iter().position(|(_, due)| *due == Due::AtOnce)?;
        Some(self.armed.remove(zero).0)
    }

    /// Number of armed timers of zero ticks.
    pub(crate) fn zeros(&self) -> usize {
        let zeros = self.armed.iter().filter(|(_, due)| *due == Due::AtOnce);
        zeros.count()
    }

    /// When the next timer is due, apart from those of zero ticks.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        let instants = self.armed.iter().filter_map(|(_, due)| match due {
            Due::At(at) => Some(*at),
            Due::AtOnce => None,
        });
        instants.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const TICK: Duration = Duration::from_millis(10);

    fn timers() -> Timers<char> {
        Timers::new(TICK, StdRng::seed_from_u64(1))
    }

    #[test]
    fn due_timers_fire_once_and_in_the_order_of_their_deadlines() {
        let (mut timers, now) = (timers(), Instant::now());
        timers.arm('b', 2..=2, now);
        timers.arm('a', 1..=1, now);
        timers.arm('z', 0..=0, now);
        timers.arm('c', 9..=9, now);
        assert_eq!(timers.earliest(), Some(now + TICK));
        assert_eq!(timers.take_due(now), None);
        let late = now + 5 * TICK;
        assert_eq!(timers.take_due(late), Some('a'));
        assert_eq!(timers.take_due(late), Some('b'));
        assert_eq!(timers.take_due(late), None);
        assert_eq!(timers.zeros(), 1);
        assert_eq!(timers.take_zero(), Some('z'));
        assert_eq!(timers.take_zero(), None);
        assert_eq!(timers.len(), 1);
    }

    #[test]
    fn arming_again_replaces_and_disarming_removes() {
        let (mut timers, now) = (timers(), Instant::now());
        timers.arm('a', 1..=1, now);
        timers.arm('a', 3..=3, now);
        assert_eq!(timers.earliest(), Some(now + 3 * TICK));
        timers.arm('a', 0..=0, now);
        assert_eq!(timers.earliest(), None);
        timers.disarm('a');
        assert_eq!(timers.len(), 0);
    }

    #[test]
    fn draws_cover_the_range_and_nothing_else() {
        let (mut timers, now) = (timers(), Instant::now());
        let mut drawn = std::collections::BTreeSet::new();
        for _ in 0..200 {
            timers.arm('a', 3..=5, now);
            drawn.extend(timers.earliest().map(|at| at - now));
        }
        assert_eq!(drawn, [3, 4, 5].map(|ticks| TICK * ticks).into());
    }

    #[test]
    #[allow(clippy::reversed_empty_ranges)]
    fn an_empty_range_is_its_start() {
        let (mut timers, now) = (timers(), Instant::now());
        timers.arm('a', 4..=2, now);
        assert_eq!(timers.earliest(), Some(now + 4 * TICK));
    }
}
