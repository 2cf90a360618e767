//! Lamport's clock (Lamport 1978, "Time, Clocks, and the Ordering of Events in a Distributed System").
//!
//! One number. Every event gets a greater one than all events that it can know of, so what happens before
//! has the smaller number; of numbers alone nothing follows, since concurrent events are numbered too. With
//! the process as tie-break, (number, process) is a total order of all events that respects happens-before.

use std::fmt;

use crate::COUNT_MAX;

/// A process's logical time.
///
/// ```
/// use quorate_clocks::LamportClock;
///
/// let (mut alice, mut bob) = (LamportClock::new(), LamportClock::new());
/// let sent = alice.tick();
/// let received = bob.observe(sent)?;
/// assert!(sent < received);
/// # Ok::<(), quorate_clocks::ImplausibleTime>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LamportClock {
    time: u64,
}

impl LamportClock {
    /// Before the first event.
    pub const fn new() -> Self {
        LamportClock { time: 0 }
    }

    /// Goes on from a time that was kept.
    pub const fn resume(time: u64) -> Self {
        LamportClock { time }
    }

    /// The time of the last event; zero before the first.
    pub const fn time(&self) -> u64 {
        self.time
    }

    /// The time of an event of this process: something inside it, or a message that it sends.
    ///
    /// `u64::MAX` stays, but nobody gets there by counting, and [`observe`](Self::observe) takes nobody
    /// near it.
    pub fn tick(&mut self) -> u64 {
        self.time = self.time.saturating_add(1);
        self.time
    }

    /// The time of the receipt of a message that was sent at `sent`. A time that nobody reaches by counting
    /// is refused, and the clock stays as it was.
    pub fn observe(&mut self, sent: u64) -> Result<u64, ImplausibleTime> {
        if sent > COUNT_MAX {
            return Err(ImplausibleTime { sent });
        }
        self.time = self.time.max(sent);
        Ok(self.tick())
    }
}

/// A peer claims a time that nobody reaches by counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImplausibleTime {
    /// What it claims.
    pub sent: u64,
}

impl fmt::Display for ImplausibleTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ImplausibleTime { sent } = self;
        write!(f, "a peer's logical time is {sent}, beyond {COUNT_MAX}")
    }
}

impl std::error::Error for ImplausibleTime {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_after_the_sending_and_after_what_was_before() {
        let mut clock = LamportClock::new();
        assert_eq!(clock.tick(), 1);
        assert_eq!(clock.observe(7), Ok(8));
        assert_eq!(clock.observe(3), Ok(9));
        assert_eq!(LamportClock::resume(clock.time()).tick(), 10);
    }

    #[test]
    fn a_peer_cannot_bring_the_numbers_to_their_end() {
        let mut clock = LamportClock::new();
        let sent = COUNT_MAX + 1;
        assert_eq!(clock.observe(sent), Err(ImplausibleTime { sent }));
        assert_eq!(clock.time(), 0);
        assert_eq!(clock.observe(COUNT_MAX), Ok(COUNT_MAX + 1));
        assert_eq!(clock.tick(), COUNT_MAX + 2);
    }
}
