//! The hybrid logical clock (Kulkarni, Demirbas, Madappa, Avva, Leone 2014, "Logical Physical Clocks").
//!
//! A Lamport clock that stays close to physical time: what happens before has the smaller timestamp, and a
//! timestamp says within a stated limit when it was given. It never goes back, even when the machine's clock
//! does.
//!
//! # Form
//!
//! 64 bits: 48 of milliseconds since 1970, which last until the year 10889, then 16 of a counter of events
//! within a millisecond. One integer compares, hashes, indexes and travels faster than a pair, and 65 536
//! events a millisecond are more than a process has. (The paper packs 48 and 16 bits too.) The paper's case
//! distinction, by who had the greatest physical part, is then no more than
//!
//! ```text
//! next = max(physical time with counter 0, own last + 1, received + 1)
//! ```
//!
//! because the successor of a timestamp is its successor as a number. When the counter runs out, it is
//! carried into the milliseconds: the clock stays monotonic and is ahead of physical time by one.
//!
//! # The bound
//!
//! No timestamp is given that is before the physical time it was given at, or ahead of it by more than the
//! limit. Whatever would break that is an error and leaves the clock as it was:
//!
//! - a **peer** whose timestamp is beyond the limit is refused, or one machine with a wrong clock would drag
//!   everybody's into the future, for good;
//! - an **own** past beyond the limit means that the machine's clock was set back, or the counter carried for
//!   that long. To wait as long as the error says mends it; to go back would not.
//!
//! The limit is to be some times what the clocks' synchronisation promises; 500 ms is usual for NTP.

use std::fmt;

/// A hybrid logical time. Ordered as happens-before demands, concurrent events included.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HybridTime(u64);

const COUNTER_BITS: u32 = 16;

/// The last millisecond that 48 bits hold.
const PHYSICAL_MAX_MS: u64 = u64::MAX >> COUNTER_BITS;

impl HybridTime {
    /// Before every other.
    pub const ZERO: HybridTime = HybridTime(0);

    /// From its 64 bits, which order as numbers do.
    pub const fn from_bits(bits: u64) -> Self {
        HybridTime(bits)
    }

    /// Its 64 bits: 48 of milliseconds, 16 of the counter.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Milliseconds since 1970, which are physical time's or ahead of it within the clock's limit.
    pub const fn physical_ms(self) -> u64 {
        self.0 >> COUNTER_BITS
    }

    /// Which event of its millisecond, from zero.
    pub const fn counter(self) -> u16 {
        self.0 as u16
    }

    /// The first of a millisecond.
    const fn first_of(physical_ms: u64) -> Self {
        HybridTime(physical_ms << COUNTER_BITS)
    }

    const fn successor(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(HybridTime(next)),
            None => None,
        }
    }
}

impl fmt::Display for HybridTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.physical_ms(), self.counter())
    }
}

impl fmt::Debug for HybridTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A process's hybrid logical clock. It is told physical time, and reads none.
///
/// ```
/// use quorate_clocks::HybridClock;
///
/// let (mut alice, mut bob) = (HybridClock::new(500), HybridClock::new(500));
/// let sent = alice.tick(1_000)?;
/// // Bob's clock is behind by 300 ms; the receipt is after the sending all the same.
/// let received = bob.observe(700, sent)?;
/// assert!(sent < received && received.physical_ms() == 1_000);
/// # Ok::<(), quorate_clocks::HybridClockError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HybridClock {
    last: HybridTime,
    ahead_max_ms: u64,
}

impl HybridClock {
    /// A clock that never is ahead of physical time by more than `ahead_max_ms`.
    pub const fn new(ahead_max_ms: u64) -> Self {
        HybridClock::resume(HybridTime::ZERO, ahead_max_ms)
    }

    /// Goes on after a timestamp that was kept: after a restart too, time does not go back.
    pub const fn resume(last: HybridTime, ahead_max_ms: u64) -> Self {
        HybridClock { last, ahead_max_ms }
    }

    /// The timestamp given last.
    pub const fn last(&self) -> HybridTime {
        self.last
    }

    /// The timestamp of an event of this process at `physical_ms` since 1970: something inside it, or a
    /// message that it sends.
    pub fn tick(&mut self, physical_ms: u64) -> Result<HybridTime, HybridClockError> {
        self.advance(physical_ms, None)
    }

    /// The timestamp of the receipt, at `physical_ms` since 1970, of a message that was sent at `sent`.
    pub fn observe(
        &mut self,
        physical_ms: u64,
        sent: HybridTime,
    ) -> Result<HybridTime, HybridClockError> {
        self.advance(physical_ms, Some(sent))
    }

    fn advance(
        &mut self,
        physical_ms: u64,
        sent: Option<HybridTime>,
    ) -> Result<HybridTime, HybridClockError> {
        if physical_ms > PHYSICAL_MAX_MS {
            return Err(HybridClockError::OutOfRange { physical_ms });
        }
        let limit_ms = self.ahead_max_ms;
        let mut next = HybridTime::first_of(physical_ms);
        if let Some(sent) = sent {
            let after = after(sent, physical_ms, limit_ms);
            let refused = |by_ms| HybridClockError::PeerAhead { by_ms, limit_ms };
            next = next.max(after.map_err(refused)?);
        }
        let after = after(self.last, physical_ms, limit_ms);
        let refused = |by_ms| HybridClockError::Ahead { by_ms, limit_ms };
        next = next.max(after.map_err(refused)?);
        self.last = next;
        Ok(next)
    }
}

/// What follows a timestamp, if that is within the limit; else how far it is ahead.
fn after(time: HybridTime, physical_ms: u64, limit_ms: u64) -> Result<HybridTime, u64> {
    let Some(next) = time.successor() else {
        return Err(PHYSICAL_MAX_MS - physical_ms + 1);
    };
    match next.physical_ms().saturating_sub(physical_ms) {
        ahead_ms if ahead_ms > limit_ms => Err(ahead_ms),
        _ => Ok(next),
    }
}

/// Why no timestamp is given; the clock is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HybridClockError {
    /// A peer's timestamp is too far ahead of this machine's clock: one of the two clocks is wrong.
    PeerAhead {
        /// How far.
        by_ms: u64,
        /// How far it may be.
        limit_ms: u64,
    },
    /// The own last timestamp is too far ahead of this machine's clock, which was set back.
    Ahead {
        /// How far.
        by_ms: u64,
        /// How far it may be.
        limit_ms: u64,
    },
    /// This machine's clock says a time that 48 bits of milliseconds do not hold.
    OutOfRange {
        /// What it says.
        physical_ms: u64,
    },
}

impl HybridClockError {
    /// Whether it is the peer that was refused; otherwise the fault is this machine's.
    pub fn is_the_peers(&self) -> bool {
        matches!(self, HybridClockError::PeerAhead { .. })
    }

    /// After how long this machine's clock has caught up with what it gave out.
    pub fn wait_ms(&self) -> Option<u64> {
        match self {
            HybridClockError::Ahead { by_ms, limit_ms } => Some(by_ms - limit_ms),
            _ => None,
        }
    }
}

impl fmt::Display for HybridClockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HybridClockError::PeerAhead { by_ms, limit_ms } => write!(
                f,
                "a peer's clock is ahead of this machine's by {by_ms} ms, more than {limit_ms} ms"
            ),
            HybridClockError::Ahead { by_ms, limit_ms } => write!(
                f,
                "this machine's clock was set back: it is behind timestamps given before by {by_ms} ms, more than {limit_ms} ms"
            ),
            HybridClockError::OutOfRange { physical_ms } => write!(
                f,
                "this machine's clock says {physical_ms} ms since 1970, after the year 10889"
            ),
        }
    }
}

impl std::error::Error for HybridClockError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(physical_ms: u64, counter: u16) -> HybridTime {
        HybridTime::from_bits(physical_ms << COUNTER_BITS | u64::from(counter))
    }

    #[test]
    fn the_cases_of_the_paper() {
        // Figure 6: the physical clock leads, then the own past, then the message, then both.
        let mut clock = HybridClock::new(10);
        assert_eq!(clock.tick(5), Ok(time(5, 0)));
        assert_eq!(clock.tick(5), Ok(time(5, 1)), "the own past leads");
        assert_eq!(clock.observe(6, time(3, 9)), Ok(time(6, 0)));
        assert_eq!(clock.observe(6, time(9, 4)), Ok(time(9, 5)));
        assert_eq!(clock.observe(6, time(9, 2)), Ok(time(9, 6)));
        assert_eq!(clock.observe(6, time(9, 20)), Ok(time(9, 21)));
        assert_eq!(clock.observe(6, time(4, 20)), Ok(time(9, 22)));
        assert_eq!(clock.tick(10), Ok(time(10, 0)));
    }

    #[test]
    fn a_peer_beyond_the_limit_is_refused_and_leaves_no_trace() {
        let mut clock = HybridClock::new(500);
        clock.tick(1_000).unwrap();
        let before = clock;
        let hours_ahead = clock.observe(1_000, time(7_201_000, 0));
        let by_ms = 7_200_000;
        let limit_ms = 500;
        assert_eq!(
            hours_ahead,
            Err(HybridClockError::PeerAhead { by_ms, limit_ms })
        );
        assert!(hours_ahead.unwrap_err().is_the_peers());
        assert_eq!(clock, before);
        assert_eq!(clock.observe(1_000, time(1_500, 3)), Ok(time(1_500, 4)));
    }

    #[test]
    fn a_machine_that_was_set_back_waits_until_it_has_caught_up() {
        let mut clock = HybridClock::new(500);
        clock.tick(10_000).unwrap();
        assert_eq!(clock.tick(9_500), Ok(time(10_000, 1)));
        let refused = clock.tick(9_000).unwrap_err();
        assert_eq!(
            (refused.is_the_peers(), refused.wait_ms()),
            (false, Some(500))
        );
        assert_eq!(clock.tick(9_500), Ok(time(10_000, 2)));
    }

    #[test]
    fn a_counter_that_runs_out_is_carried() {
        let mut clock = HybridClock::resume(time(7, u16::MAX), 1);
        assert_eq!(clock.tick(7), Ok(time(8, 0)));
        let mut clock = HybridClock::resume(time(8, u16::MAX), 1);
        assert_eq!(clock.tick(7).unwrap_err().wait_ms(), Some(1));
        let edge = clock.observe(8, time(9, u16::MAX)).unwrap_err();
        assert!(edge.is_the_peers());
    }

    #[test]
    fn the_first_and_the_last_of_times() {
        let mut clock = HybridClock::new(u64::MAX);
        assert_eq!(clock.tick(0), Ok(time(0, 1)));
        assert!(clock.observe(0, HybridTime::from_bits(u64::MAX)).is_err());
        assert!(clock.tick(u64::MAX).is_err());
        assert_eq!(clock.last(), time(0, 1));
        assert_eq!(clock.tick(PHYSICAL_MAX_MS), Ok(time(PHYSICAL_MAX_MS, 0)));
        let mut clock = HybridClock::resume(HybridTime::from_bits(u64::MAX), u64::MAX);
        assert!(clock.tick(PHYSICAL_MAX_MS).is_err());
    }

    proptest! {
        /// Any readings of the physical clock, backwards too, and any peers.
        #[test]
        fn it_never_goes_back_and_stays_within_its_bound(
            limit_ms in 0..20_u64,
            events in proptest::collection::vec(
                (0..40_u64, proptest::option::of((0..60_u64, any::<u16>()))), 1..60),
        ) {
            let mut clock = HybridClock::new(limit_ms);
            for (physical_ms, sent) in events {
                let before = clock.last();
                let sent = sent.map(|(ms, counter)| time(ms, counter));
                let given = match sent {
                    Some(sent) => clock.observe(physical_ms, sent),
                    None => clock.tick(physical_ms),
                };
                match given {
                    Ok(given) => {
                        prop_assert!(given > before && Some(given) > sent);
                        prop_assert!(given.physical_ms() >= physical_ms);
                        prop_assert!(given.physical_ms() - physical_ms <= limit_ms);
                        prop_assert_eq!(clock.last(), given);
                    }
                    Err(refused) => {
                        prop_assert_eq!(clock.last(), before);
                        // Whose fault it is: the one whose successor would be out of bounds.
                        let ahead = |time: HybridTime| (time.to_bits() + 1) >> COUNTER_BITS > physical_ms + limit_ms;
                        prop_assert_eq!(refused.is_the_peers(), sent.is_some_and(ahead));
                        prop_assert!(refused.is_the_peers() || ahead(before));
                    }
                }
            }
        }
    }
}
