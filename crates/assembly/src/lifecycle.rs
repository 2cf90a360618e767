//! The life of one open trace, as a pure state machine: no clock, no lock, no I/O.
//!
//! ```text
//!            first span            quiet, and whole
//!   (absent) ──────────▶ Active ───────────────────────▶ Sealing ──── stored ───▶ (absent)
//!                        ▲    │ quiet, something missing  ▲ │  │
//!              new span  │    ▼                           │ │  └─ spans waited ─▶ Active
//!                        Collecting ──────────────────────┘ │
//!                                      deadline, eviction   └─ refused ─▶ Active
//! ```
//!
//! A trace is [`Phase::Active`] while its spans arrive, and [`Phase::Collecting`] once it was quiet for
//! the window and a root or a parent is still missing. In [`Phase::Sealing`] its spans are with the
//! sealer, which asks the store what it has, judges, and stores. Spans that arrive meanwhile wait in the
//! same lifecycle, so that one trace never has two seals in flight; once the sealer is done, they are
//! the beginning of the next revision. Nothing leaves a lifecycle before the store has it.
//!
//! The machine that is model-checked and the concurrent shell of production run this code. Which moment
//! it is, they say: the model any, the shell what the clock shows.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::mem;
use std::sync::Arc;

use quorate_trace::SpanKey;

use crate::{Config, Millis, OpenSpan};

/// Spans up to which looking at each is quicker than keeping an index, and smaller.
const LINEAR_SPANS_MAX: usize = 32;

/// Where an open trace is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Spans arrive, or the quiet window is not over yet.
    Active,
    /// It was quiet; a root or a parent is missing, and there is time.
    Collecting,
    /// Its spans are with the sealer.
    Sealing,
}

/// Spans that are shared with whoever seals or reads them.
pub type Shared<S> = Arc<Vec<OpenSpan<S>>>;

/// An open trace. See the [module's introduction](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lifecycle<S> {
    /// Spans of the next revision. While the trace is being sealed, those that wait.
    open: Vec<OpenSpan<S>>,
    /// What the sealer has.
    sealing: Option<Shared<S>>,
    /// All spans above, if they are many.
    index: Option<Box<Index>>,
    /// When the first of `open` arrived.
    began: Millis,
    /// When the last of `open` arrived.
    touched: Millis,
    /// Memory of `open`.
    bytes: u64,
    collecting: bool,
}

impl<S> Lifecycle<S> {
    /// A trace without spans.
    pub fn new() -> Self {
        Lifecycle {
            open: Vec::new(),
            sealing: None,
            index: None,
            began: Millis::default(),
            touched: Millis::default(),
            bytes: 0,
            collecting: false,
        }
    }

    /// A span arrived. Whether it is new: one that is known collapses with the first.
    pub fn insert(&mut self, now: Millis, span: OpenSpan<S>) -> bool {
        if !self.learn(span.span) {
            return false;
        }
        if self.open.is_empty() {
            self.began = now;
        }
        self.touched = now;
        self.bytes += u64::from(span.bytes);
        self.collecting = false;
        self.open.push(span);
        true
    }

    fn learn(&mut self, key: SpanKey) -> bool {
        if let Some(index) = &mut self.index {
            return index.0.insert(key);
        }
        if self.spans().any(|known| known.span == key) {
            return false;
        }
        if self.len() >= LINEAR_SPANS_MAX {
            let index = self.spans().map(|span| span.span).chain([key]).collect();
            self.index = Some(Box::new(Index(index)));
        }
        true
    }

    /// The spans that are not with the sealer, so that their payloads can be exchanged.
    pub(crate) fn open_mut(&mut self) -> &mut [OpenSpan<S>] {
        &mut self.open
    }

    /// Where it is in its life.
    pub fn phase(&self) -> Phase {
        if self.sealing.is_some() {
            Phase::Sealing
        } else if self.collecting {
            Phase::Collecting
        } else {
            Phase::Active
        }
    }

    /// Hands its spans to the sealer; `None` if the sealer has some already, or there are none.
    pub fn ripen(&mut self) -> Option<Shared<S>> {
        if self.sealing.is_some() || self.open.is_empty() {
            return None;
        }
        let spans = Arc::new(mem::take(&mut self.open));
        self.sealing = Some(Arc::clone(&spans));
        self.bytes = 0;
        self.collecting = false;
        Some(spans)
    }

    /// The sealer needs its spans no longer: the store has them. They are handed back so that they are
    /// freed where the caller wants. What waited is the beginning of the next revision; if nothing did,
    /// the lifecycle is empty and its trace no longer open.
    pub fn sealed(&mut self) -> Option<Shared<S>> {
        let spans = self.sealing.take()?;
        let waited = self.open.iter().map(|span| span.span);
        let many = self.open.len() > LINEAR_SPANS_MAX;
        self.index = many.then(|| Box::new(Index(waited.collect())));
        Some(spans)
    }

    /// Nothing was missing: whether it has no spans and is not open any more.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.sealing.is_none()
    }

    /// Whether spans wait for the seal that is in flight.
    pub fn has_waiting(&self) -> bool {
        self.sealing.is_some() && !self.open.is_empty()
    }

    /// The spans, first those that the sealer has.
    pub fn spans(&self) -> impl Iterator<Item = &OpenSpan<S>> {
        let sealing = self.sealing.iter().flat_map(|spans| spans.iter());
        sealing.chain(&self.open)
    }

    /// How many spans it has.
    pub fn len(&self) -> usize {
        self.open.len() + self.sealing.as_ref().map_or(0, |spans| spans.len())
    }

    /// Memory of its spans, without those that the sealer has.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// When the first of its spans arrived that the sealer does not have.
    pub fn began(&self) -> Millis {
        self.began
    }

    /// Whether nothing new came for the window.
    pub fn is_quiet(&self, now: Millis, config: &Config) -> bool {
        now >= self.touched.after(config.quiet_ms)
    }

    /// Whether its time is up.
    pub fn is_overdue(&self, now: Millis, config: &Config) -> bool {
        now >= self.began.after(config.deadline_ms)
    }

    /// When there is something to do if nothing else happens.
    pub fn due(&self, config: &Config) -> Millis {
        let deadline = self.began.after(config.deadline_ms);
        match self.phase() {
            Phase::Sealing => Millis::NEVER,
            Phase::Collecting => deadline,
            Phase::Active => deadline.min(self.touched.after(config.quiet_ms)),
        }
    }
}

impl<S: Clone> Lifecycle<S> {
    /// The spans come back from the sealer, unsealed, and those that waited join them. `began` is when
    /// the first of them arrived. If the trace was `judged` and nothing came meanwhile, it is collecting.
    pub fn resume(&mut self, began: Millis, judged: bool) {
        let Some(spans) = self.sealing.take() else {
            return;
        };
        let mut spans = Arc::unwrap_or_clone(spans);
        self.collecting = judged && self.open.is_empty();
        self.bytes += spans.iter().map(|span| u64::from(span.bytes)).sum::<u64>();
        spans.append(&mut self.open);
        self.open = spans;
        self.began = began;
    }
}

impl<S> Default for Lifecycle<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// Keys of a trace's spans. It follows from them, so it takes no part in comparing lifecycles.
#[derive(Clone, Debug)]
struct Index(HashSet<SpanKey, ahash::RandomState>);

impl PartialEq for Index {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Index {}

impl Hash for Index {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
