//! The concurrent shell: open traces in shards by the hash of their identifier, each behind a lock of
//! its own. Many threads insert; the sealer takes what is ripe and says what became of it.
//!
//! A trace changes only under its shard's lock, and what takes long happens without: asking the store,
//! judging, storing, freeing. While the sealer has a trace, [`Ripe`] and then [`Sealing`] stand for it:
//! tokens that are not copied and are used up by the next step, so that no trace is sealed twice at once.

use std::sync::Arc;

use quorate_trace::{Completeness, TraceId};

use crate::judge::{Decision, decide};
use crate::lifecycle::{Phase, Shared};
use crate::shard::{Shard, Taken};
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::{Arrival, Base, Cause, Config, Millis, OpenSpan};

/// The open traces of a node. See the [crate's introduction](crate).
pub struct Assembly<S> {
    config: Config,
    shards: Box<[Mutex<Shard<S>>]>,
    hasher: ahash::RandomState,
    /// Memory of all spans, those with the sealer included.
    held_bytes: AtomicU64,
    /// Counts calls of [`Assembly::ripe`]: each begins with another shard.
    turn: AtomicU64,
}

/// What became of spans that were inserted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inserted {
    /// Spans that were new.
    pub fresh: usize,
    /// Spans that collapsed with one that is open.
    pub duplicates: usize,
}

/// A trace to be judged: ask the store for its [`Base`], then [`Assembly::judge`] it, or give it back
/// with [`Assembly::put_back`].
#[must_use = "the trace stays with the sealer for ever"]
pub struct Ripe<S>(Taken<S>);

/// What was judged.
#[must_use = "a trace to be sealed stays with the sealer for ever"]
pub enum Judgement<S> {
    /// Store this, then call [`Assembly::sealed`], or [`Assembly::failed`].
    Seal(Sealing<S>),
    /// Something is missing, or more has come: it waits on.
    Waits,
    /// The store has all of it.
    Nothing {
        /// Spans that collapsed with those of the store.
        duplicates: usize,
    },
}

/// A revision of a trace on its way to the store.
#[must_use = "the trace stays with the sealer for ever"]
pub struct Sealing<S> {
    taken: Taken<S>,
    new: Shared<S>,
    /// The revision, counted from 1.
    pub revision: u32,
    /// The verdict on the whole trace.
    pub completeness: Completeness,
    /// What the store had, if anything.
    pub base: Option<Base>,
}

/// An open trace, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTrace<S> {
    /// Where it is in its life.
    pub phase: Phase,
    /// When the first of its spans arrived.
    pub began: Millis,
    /// Its spans that are not known to be stored.
    pub spans: Vec<OpenSpan<S>>,
}

/// What is open now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Traces whose spans arrive.
    pub active: usize,
    /// Traces of which something is missing.
    pub collecting: usize,
    /// Traces with the sealer.
    pub sealing: usize,
    /// Spans of all of them.
    pub spans: usize,
    /// Memory of these spans.
    pub bytes: u64,
    /// Age of the oldest trace in milliseconds.
    pub oldest_ms: u64,
}

impl Figures {
    /// All open traces.
    pub fn traces(&self) -> usize {
        self.active + self.collecting + self.sealing
    }
}

impl<S> Ripe<S> {
    /// The trace.
    pub fn trace(&self) -> TraceId {
        self.0.trace
    }

    /// Why it is to be judged.
    pub fn cause(&self) -> Cause {
        self.0.cause
    }

    /// Its open spans.
    pub fn spans(&self) -> &[OpenSpan<S>] {
        &self.0.spans
    }
}

impl<S> Sealing<S> {
    /// The trace.
    pub fn trace(&self) -> TraceId {
        self.taken.trace
    }

    /// Why it was judged.
    pub fn cause(&self) -> Cause {
        self.taken.cause
    }

    /// The spans that the store does not have.
    pub fn spans(&self) -> &[OpenSpan<S>] {
        &self.new
    }

    /// When the first of its spans arrived.
    pub fn began(&self) -> Millis {
        self.taken.began
    }

    /// Spans that collapsed with those of the store.
    pub fn duplicates(&self) -> usize {
        self.taken.spans.len() - self.new.len()
    }
}

impl<S> Assembly<S> {
    /// No open traces.
    pub fn new(config: Config) -> Self {
        let count = config.shards.clamp(1, 1 << 16).next_power_of_two();
        let shard = |_| Mutex::new(Shard::new(&config));
        Assembly {
            shards: (0..count).map(shard).collect(),
            config,
            hasher: ahash::RandomState::new(),
            held_bytes: AtomicU64::new(0),
            turn: AtomicU64::new(0),
        }
    }

    /// Takes in spans that have become durable. Each shard is locked once.
    pub fn insert(&self, now: Millis, arrivals: Vec<Arrival<S>>) -> Inserted {
        const NONE: u32 = u32::MAX;
        let all = arrivals.len();
        // Chains by shard: `heads` has the first of each, `next` what follows.
        let mut heads = vec![NONE; self.shards.len()];
        let mut next = vec![NONE; all];
        for (at, arrival) in arrivals.iter().enumerate().rev() {
            let head = &mut heads[self.shard_of(&arrival.trace)];
            next[at] = *head;
            *head = at as u32;
        }
        let mut arrivals: Vec<Option<Arrival<S>>> = arrivals.into_iter().map(Some).collect();
        let (mut fresh, mut bytes) = (0, 0);
        for (shard, head) in self.shards.iter().zip(heads) {
            if head == NONE {
                continue;
            }
            let mut at = head;
            let chain = std::iter::from_fn(|| {
                let arrival = arrivals.get_mut(at as usize)?.take();
                at = next[at as usize];
                arrival
            });
            let added = shard.lock().insert(&self.config, now, chain);
            fresh += added.fresh;
            bytes += added.bytes;
        }
        self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        Inserted {
            fresh,
            duplicates: all - fresh,
        }
    }

    /// Takes up to `max` traces for the sealer: those whose window or deadline is over, those that
    /// outgrew [`Config::trace_bytes`], and the oldest while memory is short. Call it often, until it
    /// returns fewer than `max`.
    pub fn ripe(&self, now: Millis, max: usize) -> Vec<Ripe<S>> {
        let mut taken = Vec::new();
        let mut open_bytes = 0;
        // If a sealer does not keep up, one shard alone may have `max`; none may wait for the others to
        // have nothing.
        let first = self.turn.fetch_add(1, Ordering::Relaxed) as usize % self.shards.len();
        let (later, sooner) = self.shards.split_at(first);
        for shard in sooner.iter().chain(later) {
            let mut shard = shard.lock();
            shard.take_due(&self.config, now, max, &mut taken);
            open_bytes += shard.open_bytes();
        }
        let excess = open_bytes.saturating_sub(self.config.evict_above_bytes());
        if excess > 0 {
            self.evict(now, max, excess, &mut taken);
        }
        taken.into_iter().map(Ripe).collect()
    }

    /// Takes the oldest traces of all shards until `excess` bytes are with the sealer.
    fn evict(&self, now: Millis, max: usize, mut excess: u64, taken: &mut Vec<Taken<S>>) {
        let oldest = |shard: &Mutex<Shard<S>>| shard.lock().oldest();
        let mut ages: Vec<Option<Millis>> = self.shards.iter().map(oldest).collect();
        while taken.len() < max && excess > 0 {
            let known = ages.iter().enumerate();
            let known = known.filter_map(|(at, age)| age.map(|age| (age, at)));
            let Some((_, at)) = known.min() else {
                return;
            };
            let mut shard = self.shards[at].lock();
            if let Some(evicted) = shard.take_oldest(&self.config, now) {
                excess = excess.saturating_sub(evicted.bytes);
                taken.push(evicted);
            }
            ages[at] = shard.oldest();
        }
    }

    /// Takes every trace that is not with the sealer, for a shutdown that leaves nothing open.
    pub fn drain(&self, now: Millis) -> Vec<Ripe<S>> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            shard.lock().take_all(&self.config, now, &mut taken);
        }
        taken.into_iter().map(Ripe).collect()
    }

    /// The store has this revision, durably. Its spans are freed, and those that came meanwhile are the
    /// beginning of the next one.
    pub fn sealed(&self, sealing: Sealing<S>) {
        self.finish(&sealing.taken);
    }

    fn finish(&self, taken: &Taken<S>) {
        let shard = &self.shards[self.shard_of(&taken.trace)];
        let spans = shard.lock().sealed(&self.config, taken.trace);
        self.held_bytes.fetch_sub(taken.bytes, Ordering::Relaxed);
        // Freed here, without the lock.
        drop(spans);
    }

    /// Memory of all open spans, those with the sealer included. Who inserts takes no more when it comes to
    /// [`Config::memory_bytes`], because the sealer does not keep up: what is refused will be sent again.
    pub fn bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Exchanges the payloads of a trace's spans for which `new` has another, unless the trace is with
    /// the sealer. For a trace that waits for long and whose payloads keep more in memory than they should.
    pub fn exchange(&self, trace: &TraceId, new: impl FnMut(&OpenSpan<S>) -> Option<S>) {
        let gone = self.shards[self.shard_of(trace)]
            .lock()
            .exchange(trace, new);
        // Freed here, without the lock.
        drop(gone);
    }

    /// What is open; walks over all open traces.
    pub fn figures(&self, now: Millis) -> Figures {
        let mut figures = Figures {
            bytes: self.bytes(),
            ..Figures::default()
        };
        for shard in &self.shards {
            shard.lock().count(now, &mut figures);
        }
        figures
    }

    fn shard_of(&self, trace: &TraceId) -> usize {
        // A power of two.
        (self.hasher.hash_one(trace) as usize) & (self.shards.len() - 1)
    }
}

impl<S: Clone> Assembly<S> {
    /// Judges a trace over what the store has of it.
    pub fn judge(&self, ripe: Ripe<S>, base: Option<Base>) -> Judgement<S> {
        let Ripe(taken) = ripe;
        match decide(&taken.spans, base.as_ref(), taken.cause, taken.quiet) {
            Decision::Wait => {
                self.wait(taken);
                Judgement::Waits
            }
            Decision::Known => {
                self.finish(&taken);
                Judgement::Nothing {
                    duplicates: taken.spans.len(),
                }
            }
            // It is not quiet any more.
            Decision::Seal { .. } if taken.cause == Cause::Quiet && self.has_waiting(&taken) => {
                self.wait(taken);
                Judgement::Waits
            }
            Decision::Seal { completeness, new } => {
                let new = match new {
                    None => Arc::clone(&taken.spans),
                    Some(new) => {
                        let new = new.iter().map(|at| taken.spans[*at as usize].clone());
                        Arc::new(new.collect())
                    }
                };
                Judgement::Seal(Sealing {
                    taken,
                    new,
                    revision: base.as_ref().map_or(0, |base| base.revision) + 1,
                    completeness,
                    base,
                })
            }
        }
    }

    fn wait(&self, taken: Taken<S>) {
        let shard = &self.shards[self.shard_of(&taken.trace)];
        shard.lock().wait(&self.config, taken);
    }

    fn has_waiting(&self, taken: &Taken<S>) -> bool {
        let shard = &self.shards[self.shard_of(&taken.trace)];
        shard.lock().has_waiting(&taken.trace)
    }

    /// The store refused: nothing is lost, and the trace is judged again after a quiet window.
    pub fn failed(&self, now: Millis, sealing: Sealing<S>) {
        let Sealing { taken, new, .. } = sealing;
        drop(new);
        self.give_back(now, taken);
    }

    /// The store could not be asked: the trace is judged again after a quiet window.
    pub fn put_back(&self, now: Millis, ripe: Ripe<S>) {
        self.give_back(now, ripe.0);
    }

    fn give_back(&self, now: Millis, taken: Taken<S>) {
        let shard = &self.shards[self.shard_of(&taken.trace)];
        shard.lock().failed(&self.config, now, taken);
    }

    /// A trace as it is now, `None` if it is not open. Its spans leave it only after the store has them:
    /// who asks here first and the store afterwards misses none, and sees some twice.
    pub fn open(&self, trace: &TraceId) -> Option<OpenTrace<S>> {
        self.shards[self.shard_of(trace)].lock().open(trace)
    }
}
