//! A timing wheel: millions of timers at constant cost each.
//!
//! A timer is put into the slot of its time, modulo the wheel's circumference. Every turn of a slot
//! hands out what is due and leaves what is due in a later round. Timers are never moved or removed:
//! whoever is handed one asks whether it still means something. That makes arming a timer one push onto
//! a vector, which is what an arriving span can afford.

use std::collections::VecDeque;

use quorate_trace::TraceId;

use crate::Millis;

/// Slots of a wheel.
const SLOTS: u64 = 256;
/// Slots that pass in one quiet window: the accuracy of a timer, as a part of that window.
const PER_WINDOW: u64 = 16;

/// A timer: when, and for which trace.
pub(crate) type Timer = (Millis, TraceId);

/// Timers by their time. Hands out a timer never early, and late by at most a sixteenth of the window.
pub(crate) struct Wheel {
    slots: Box<[Vec<Timer>]>,
    granule_ms: u64,
    /// The first tick (time in granules) whose timers were not handed out yet.
    next: u64,
    len: usize,
}

impl Wheel {
    /// A wheel for timers that are mostly about `window_ms` ahead.
    pub(crate) fn new(window_ms: u64) -> Self {
        Wheel {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            granule_ms: (window_ms / PER_WINDOW).max(1),
            next: 0,
            len: 0,
        }
    }

    /// Arms a timer.
    pub(crate) fn arm(&mut self, due: Millis, trace: TraceId) {
        let tick = self.tick_of(due).max(self.next);
        self.slots[(tick % SLOTS) as usize].push((due, trace));
        self.len += 1;
    }

    /// Moves the timers that are due at `now` to `out`.
    pub(crate) fn turn(&mut self, now: Millis, out: &mut VecDeque<Timer>) {
        let passed = now.0 / self.granule_ms;
        // A whole round visits every slot: more would find nothing.
        let first = self.next.max((passed + 1).saturating_sub(SLOTS));
        for tick in first..=passed {
            if self.len == 0 {
                break;
            }
            let granule_ms = self.granule_ms;
            let slot = &mut self.slots[(tick % SLOTS) as usize];
            let before = out.len();
            out.extend(slot.extract_if(.., |(due, _)| due.0.div_ceil(granule_ms) <= passed));
            self.len -= out.len() - before;
            if slot.is_empty() && slot.capacity() > 1024 {
                // A burst's memory is not kept for ever.
                *slot = Vec::new();
            }
        }
        self.next = self.next.max(passed + 1);
    }

    fn tick_of(&self, due: Millis) -> u64 {
        due.0.div_ceil(self.granule_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trace(number: u64) -> TraceId {
        TraceId::new((u128::from(number) + 1).to_be_bytes()).unwrap()
    }

    proptest! {
        #[test]
        fn every_timer_comes_once_never_early_and_hardly_late(
            window in 1_u64..2_000,
            start in 0_u64..100_000_000,
            timers in prop::collection::vec((0_u64..20_000, 0_u64..300_000), 1..50),
        ) {
            let mut wheel = Wheel::new(window);
            let mut timers = timers;
            timers.sort_unstable();
            let (mut armed, mut came) = (Vec::new(), Vec::new());
            let mut out = VecDeque::new();
            let mut now = start;
            for (number, (gap, ahead)) in (0..).zip(timers) {
                now += gap;
                wheel.turn(Millis(now), &mut out);
                came.extend(out.drain(..).map(|timer| (now, timer)));
                armed.push((Millis(now + ahead), trace(number)));
                wheel.arm(Millis(now + ahead), trace(number));
            }
            let end = armed.iter().map(|(due, _)| due.0).max().unwrap();
            let granule = (window / PER_WINDOW).max(1);
            while now <= end + granule {
                now += granule;
                wheel.turn(Millis(now), &mut out);
                for timer in out.drain(..) {
                    prop_assert!(now < timer.0.0 + 20_000 + 2 * granule);
                    came.push((now, timer));
                }
            }
            prop_assert!(came.iter().all(|(now, (due, _))| *now >= due.0));
            let mut came: Vec<_> = came.into_iter().map(|(_, timer)| timer).collect();
            came.sort_unstable();
            armed.sort_unstable();
            prop_assert_eq!(came, armed);
            prop_assert_eq!(wheel.len, 0);
        }
    }
}
