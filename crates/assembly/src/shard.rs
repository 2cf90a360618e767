//! One shard: the open traces of a part of the identifiers, and when to look at them. No lock: whoever
//! calls holds it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use quorate_trace::TraceId;

use crate::lifecycle::{Lifecycle, Phase, Shared};
use crate::wheel::{Timer, Wheel};
use crate::{Arrival, Cause, Config, Figures, Millis, OpenSpan, OpenTrace};

/// Traces, and their timers.
pub(crate) struct Shard<S> {
    traces: HashMap<TraceId, Open<S>, ahash::RandomState>,
    /// Every trace that is not being sealed has a timer here no later than it is due, named by
    /// [`Open::timer`]. Others mean nothing any more.
    wheel: Wheel,
    /// Timers that have come.
    due: VecDeque<Timer>,
    /// Traces by the arrival of their first span, oldest first, for eviction; with some that have gone.
    ages: VecDeque<Timer>,
    /// Traces that outgrew their memory.
    outgrown: Vec<TraceId>,
    /// Memory of the spans that are not with the sealer.
    open_bytes: u64,
}

struct Open<S> {
    life: Lifecycle<S>,
    /// The timer that counts, [`Millis::NEVER`] without one.
    timer: Millis,
    /// The age under which it is in [`Shard::ages`], [`Millis::NEVER`] if it is not.
    age: Millis,
}

/// Places that are kept free without asking whether they are many.
const SPARE: usize = 1024;

/// Whether most of the places are free. Those that were taken at a peak are not kept for ever; because of the
/// factor, moving what is left costs each that went a constant.
fn is_mostly_free(capacity: usize, len: usize) -> bool {
    capacity > SPARE && capacity / 8 > len
}

/// What an insertion did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) fresh: usize,
    pub(crate) bytes: u64,
}

/// What the sealer gets.
pub(crate) struct Taken<S> {
    pub(crate) trace: TraceId,
    pub(crate) cause: Cause,
    pub(crate) quiet: bool,
    pub(crate) began: Millis,
    pub(crate) bytes: u64,
    pub(crate) spans: Shared<S>,
}

impl<S> Shard<S> {
    pub(crate) fn new(config: &Config) -> Self {
        Shard {
            traces: HashMap::default(),
            wheel: Wheel::new(config.quiet_ms),
            due: VecDeque::new(),
            ages: VecDeque::new(),
            outgrown: Vec::new(),
            open_bytes: 0,
        }
    }

    /// Inserts spans of this shard's traces. Spans of one trace in a row cost one look-up.
    pub(crate) fn insert(
        &mut self,
        config: &Config,
        now: Millis,
        arrivals: impl Iterator<Item = Arrival<S>>,
    ) -> Added {
        let mut added = Added::default();
        let mut arrivals = arrivals.peekable();
        while let Some(first) = arrivals.next() {
            let trace = first.trace;
            let open = self.traces.entry(trace).or_insert_with(Open::new);
            let before = open.life.bytes();
            added.fresh += usize::from(open.life.insert(now, first.into()));
            while let Some(next) = arrivals.next_if(|next| next.trace == trace) {
                added.fresh += usize::from(open.life.insert(now, next.into()));
            }
            let grown = open.life.bytes() - before;
            added.bytes += grown;
            self.open_bytes += grown;
            let limit = config.trace_bytes;
            if before <= limit && open.life.bytes() > limit {
                self.outgrown.push(trace);
            }
            open.schedule(config, trace, &mut self.wheel);
            open.remember(trace, &mut self.ages);
        }
        self.forget_the_gone();
        added
    }

    /// Keeps the ages no longer than twice the open traces, at constant cost for each that was added.
    fn forget_the_gone(&mut self) {
        if self.ages.len() > 2 * self.traces.len() + 64 {
            let traces = &self.traces;
            self.ages.retain(|(age, trace)| {
                let open = traces.get(trace);
                open.is_some_and(|open| open.age == *age)
            });
        }
        if is_mostly_free(self.ages.capacity(), self.ages.len()) {
            self.ages.shrink_to(2 * self.ages.len());
        }
    }

    /// Takes up to `max` traces whose quiet window or deadline is over, or that outgrew their memory.
    pub(crate) fn take_due(
        &mut self,
        config: &Config,
        now: Millis,
        max: usize,
        out: &mut Vec<Taken<S>>,
    ) {
        self.wheel.turn(now, &mut self.due);
        while out.len() < max {
            let Some(trace) = self.outgrown.pop() else {
                break;
            };
            out.extend(self.take(config, now, trace, Cause::Evicted));
        }
        while out.len() < max {
            let Some((due, trace)) = self.due.pop_front() else {
                break;
            };
            let Some(open) = self.traces.get_mut(&trace) else {
                continue;
            };
            if open.timer != due {
                continue;
            }
            open.timer = Millis::NEVER;
            if open.life.is_overdue(now, config) {
                out.extend(self.take(config, now, trace, Cause::Deadline));
            } else if open.life.is_quiet(now, config) {
                out.extend(self.take(config, now, trace, Cause::Quiet));
            } else {
                open.schedule(config, trace, &mut self.wheel);
            }
        }
    }

    /// When the oldest trace began that is not being sealed.
    pub(crate) fn oldest(&mut self) -> Option<Millis> {
        while let Some((age, trace)) = self.ages.front() {
            if let Some(open) = self.traces.get_mut(trace)
                && open.age == *age
            {
                if open.life.phase() != Phase::Sealing {
                    return Some(*age);
                }
                open.age = Millis::NEVER;
            }
            self.ages.pop_front();
        }
        None
    }

    /// Takes the oldest trace, to free its memory.
    pub(crate) fn take_oldest(&mut self, config: &Config, now: Millis) -> Option<Taken<S>> {
        self.oldest()?;
        let (_, trace) = self.ages.pop_front()?;
        if let Some(open) = self.traces.get_mut(&trace) {
            open.age = Millis::NEVER;
        }
        self.take(config, now, trace, Cause::Evicted)
    }

    /// Takes every trace that is not being sealed.
    pub(crate) fn take_all(&mut self, config: &Config, now: Millis, out: &mut Vec<Taken<S>>) {
        let traces: Vec<TraceId> = self.traces.keys().copied().collect();
        for trace in traces {
            out.extend(self.take(config, now, trace, Cause::Evicted));
        }
    }

    fn take(
        &mut self,
        config: &Config,
        now: Millis,
        trace: TraceId,
        cause: Cause,
    ) -> Option<Taken<S>> {
        let open = self.traces.get_mut(&trace)?;
        let quiet = open.life.is_quiet(now, config);
        let (began, bytes) = (open.life.began(), open.life.bytes());
        let spans = open.life.ripen()?;
        open.timer = Millis::NEVER;
        self.open_bytes -= bytes;
        Some(Taken {
            trace,
            cause,
            quiet,
            began,
            bytes,
            spans,
        })
    }

    /// Whether spans came while the trace was being sealed.
    pub(crate) fn has_waiting(&self, trace: &TraceId) -> bool {
        let open = self.traces.get(trace);
        open.is_some_and(|open| open.life.has_waiting())
    }

    /// The store has the spans that the sealer had. They are returned, to be freed without the lock.
    pub(crate) fn sealed(&mut self, config: &Config, trace: TraceId) -> Option<Shared<S>> {
        let Entry::Occupied(mut entry) = self.traces.entry(trace) else {
            return None;
        };
        let open = entry.get_mut();
        let spans = open.life.sealed();
        if open.life.is_empty() {
            entry.remove();
            self.shrink();
            return spans;
        }
        // What waited began later than what is gone, and so does its age.
        open.age = Millis::NEVER;
        if open.life.bytes() > config.trace_bytes {
            self.outgrown.push(trace);
        }
        open.schedule(config, trace, &mut self.wheel);
        open.remember(trace, &mut self.ages);
        spans
    }

    fn shrink(&mut self) {
        if is_mostly_free(self.traces.capacity(), self.traces.len()) {
            self.traces.shrink_to(2 * self.traces.len());
        }
        if is_mostly_free(self.due.capacity(), self.due.len()) {
            self.due.shrink_to(2 * self.due.len());
        }
    }

    /// Copies the spans of a trace.
    pub(crate) fn open(&self, trace: &TraceId) -> Option<OpenTrace<S>>
    where
        S: Clone,
    {
        let open = self.traces.get(trace)?;
        Some(OpenTrace {
            phase: open.life.phase(),
            began: open.life.began(),
            spans: open.life.spans().cloned().collect(),
        })
    }

    /// Exchanges payloads of a trace that is not being sealed. What goes is returned, to be freed without
    /// the lock.
    pub(crate) fn exchange(
        &mut self,
        trace: &TraceId,
        mut new: impl FnMut(&OpenSpan<S>) -> Option<S>,
    ) -> Vec<S> {
        let mut gone = Vec::new();
        if let Some(open) = self.traces.get_mut(trace)
            && open.life.phase() != Phase::Sealing
        {
            for span in open.life.open_mut() {
                if let Some(payload) = new(span) {
                    gone.push(std::mem::replace(&mut span.payload, payload));
                }
            }
        }
        gone
    }

    pub(crate) fn open_bytes(&self) -> u64 {
        self.open_bytes
    }

    /// Adds this shard to `figures`.
    pub(crate) fn count(&self, now: Millis, figures: &mut Figures) {
        for open in self.traces.values() {
            match open.life.phase() {
                Phase::Active => figures.active += 1,
                Phase::Collecting => figures.collecting += 1,
                Phase::Sealing => figures.sealing += 1,
            }
            figures.spans += open.life.len();
            figures.oldest_ms = figures.oldest_ms.max(now.since(open.life.began()));
        }
    }
}

impl<S: Clone> Shard<S> {
    /// The sealer judged that there is more to wait for.
    pub(crate) fn wait(&mut self, config: &Config, taken: Taken<S>) {
        let trace = taken.trace;
        let Some(open) = self.traces.get_mut(&trace) else {
            return;
        };
        self.open_bytes += open.resume(taken, true);
        if open.life.bytes() > config.trace_bytes {
            self.outgrown.push(trace);
        }
        open.schedule(config, trace, &mut self.wheel);
        open.remember(trace, &mut self.ages);
    }

    /// The sealer failed. It may try again after a quiet window, not at once.
    pub(crate) fn failed(&mut self, config: &Config, now: Millis, taken: Taken<S>) {
        let trace = taken.trace;
        let Some(open) = self.traces.get_mut(&trace) else {
            return;
        };
        self.open_bytes += open.resume(taken, false);
        open.timer = now.after(config.quiet_ms);
        self.wheel.arm(open.timer, trace);
        open.remember(trace, &mut self.ages);
    }
}

impl<S> Open<S> {
    fn new() -> Self {
        Open {
            life: Lifecycle::new(),
            timer: Millis::NEVER,
            age: Millis::NEVER,
        }
    }

    /// Sees to it that there is a timer no later than there is something to do.
    fn schedule(&mut self, config: &Config, trace: TraceId, wheel: &mut Wheel) {
        let due = self.life.due(config);
        if due < self.timer {
            self.timer = due;
            wheel.arm(due, trace);
        }
    }

    /// Sees to it that it can be found by its age, unless it is being sealed.
    fn remember(&mut self, trace: TraceId, ages: &mut VecDeque<Timer>) {
        if self.age == Millis::NEVER && self.life.phase() != Phase::Sealing {
            self.age = self.life.began();
            ages.push_back((self.age, trace));
        }
    }
}

impl<S: Clone> Open<S> {
    /// Takes the spans back from the sealer; the memory that is open again.
    fn resume(&mut self, taken: Taken<S>, judged: bool) -> u64 {
        let before = self.life.bytes();
        let Taken { began, spans, .. } = taken;
        // So that the lifecycle's share is the only one, and nothing is copied.
        drop(spans);
        self.life.resume(began, judged);
        self.life.bytes() - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_trace::{SpanId, SpanKey};

    fn arrival(number: u64) -> Arrival<()> {
        Arrival {
            trace: TraceId::new((u128::from(number) + 1).to_be_bytes()).unwrap(),
            span: SpanKey {
                id: SpanId::new([1; 8]).unwrap(),
                content: 0,
            },
            parent: None,
            bytes: 100,
            payload: (),
        }
    }

    #[test]
    fn places_of_a_peak_are_not_kept() {
        let config = Config::default();
        let mut shard = Shard::new(&config);
        shard.insert(&config, Millis(0), (0..100_000).map(arrival));
        assert!(shard.traces.capacity() >= 100_000);
        let mut taken = Vec::new();
        shard.take_due(&config, Millis(60_000), usize::MAX, &mut taken);
        assert_eq!(taken.len(), 100_000);
        for taken in taken {
            shard.sealed(&config, taken.trace);
        }
        shard.insert(&config, Millis(60_000), std::iter::once(arrival(0)));
        assert!(shard.traces.capacity() <= 2 * SPARE);
        assert!(shard.ages.capacity() <= 2 * SPARE);
        assert!(shard.due.capacity() <= 2 * SPARE);
    }
}
