//! A hybrid logical clock that resets its counter when its own past was the maximum.
//!
//! The counter is there for events that physical time does not tell apart. It begins anew when physical time
//! has moved on, and it is tempting to say: whenever no *message* was ahead. But then nothing was ahead of
//! the own past either, except itself, and the next timestamp is before the last one. The rule of Kulkarni et
//! al. 2014 (figure 5) counts on; [`quorate_clocks::HybridClock`] has it.

use super::Specimen;
use crate::{Bounds, Scenario};
use quorate_clocks::{HybridClock, HybridTime};
use quorate_machine::{Effects, Event, Machine, NodeId};

/// The property that it breaks.
pub const NEVER_BACK: &str = "no clock goes back";

/// Ahead of the readings below by more than they differ.
const AHEAD_MAX_MS: u64 = 10;

/// Who else there is, and which of the two rules holds.
#[derive(Clone, Debug)]
pub struct Rule {
    others: Vec<NodeId>,
    counts_on: bool,
}

/// A process with a hybrid logical clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// What its physical clock says, in milliseconds.
    reading_ms: u64,
    /// The timestamps of its events.
    given: Vec<HybridTime>,
}

impl Machine for Process {
    type Config = Rule;
    /// The physical clock says this, and something happens.
    type Command = u64;
    /// Something happened there, at this time.
    type Message = HybridTime;
    type Timer = ();
    type Record = ();
    type Durable = ();
    type Output = ();

    fn apply((): &mut (), (): &()) {}

    fn start(_: &Rule, (): &(), _: &mut Effects<Self>) -> Self {
        Process::default()
    }

    fn step(&mut self, rule: &Rule, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Command(reading_ms) => {
                self.reading_ms = reading_ms;
                if let Some(time) = self.happens(rule, None) {
                    rule.others.iter().for_each(|other| fx.send(*other, time));
                }
            }
            Event::Receive { message, .. } => {
                self.happens(rule, Some(message));
            }
            Event::Timeout(()) => {}
        }
    }

    fn backed(_: NodeId, _: &HybridTime, (): &()) -> bool {
        true // clocks are in memory, and nobody crashes here
    }
}

impl Process {
    fn happens(&mut self, rule: &Rule, sent: Option<HybridTime>) -> Option<HybridTime> {
        let last = self.given.last().copied().unwrap_or_default();
        let time = if rule.counts_on {
            let mut clock = HybridClock::resume(last, AHEAD_MAX_MS);
            let given = match sent {
                Some(sent) => clock.observe(self.reading_ms, sent),
                None => clock.tick(self.reading_ms),
            };
            given.ok()?
        } else {
            resetting(last, self.reading_ms, sent.unwrap_or_default())
        };
        self.given.push(time);
        Some(time)
    }
}

/// The wrong rule.
fn resetting(last: HybridTime, reading_ms: u64, sent: HybridTime) -> HybridTime {
    let greatest_ms = last.physical_ms().max(reading_ms).max(sent.physical_ms());
    let is_the_messages = greatest_ms > last.physical_ms() && greatest_ms == sent.physical_ms();
    let counter = match is_the_messages {
        true => u64::from(sent.counter()) + 1,
        false => 0,
    };
    HybridTime::from_bits(greatest_ms << 16 | counter)
}

/// Two processes, on whose clocks three readings appear in any order.
pub fn scenario(counts_on: bool) -> Scenario<Process> {
    let name = match counts_on {
        true => "a hybrid clock that counts on",
        false => "a hybrid clock that resets its counter",
    };
    let rule = move |me: NodeId, nodes: &[NodeId]| Rule {
        others: nodes.iter().copied().filter(|node| *node != me).collect(),
        counts_on,
    };
    Scenario::new(name, 2, rule)
        .bounds(Bounds {
            crashes: 0,
            ..Bounds::default()
        })
        .client([1])
        .client([1])
        .client([2])
        .always(NEVER_BACK, |state| {
            let goes_back =
                |process: &Process| process.given.windows(2).any(|pair| pair[0] > pair[1]);
            !state.machines().any(goes_back)
        })
        .sometimes("a message is ahead of its receiver's clock", |state| {
            state.machines().any(|process: &Process| {
                let times = &process.given;
                times
                    .last()
                    .is_some_and(|last| last.physical_ms() > process.reading_ms)
            })
        })
}

/// With the counter reset.
pub fn specimen() -> Specimen<Scenario<Process>> {
    Specimen {
        protocol: scenario(false),
        breaks: NEVER_BACK,
    }
}
