//! One node that accepts spans, assembles and stores them, as a deterministic
//! [`Machine`]: a durable log, a durable store, and between them the same
//! [`Lifecycle`] and the same [`decide`] that production runs.
//!
//! An offered span is written to the log; once it is there it enters its trace and its sender is told.
//! A quiet trace, or one whose time is up or whose memory is needed, is sealed: in one step its spans go
//! to the sealer, in a later one it is judged and stored, and in a third, when the store has it, it
//! leaves memory and the log may forget it. Between any two of them everything else can happen: more
//! spans, another trace, a crash.
//!
//! A start after a crash offers all that the log holds. What the store has already collapses with it
//! when the trace is judged, and is released from the log a second time.

use std::collections::{BTreeMap, BTreeSet};

use quorate_machine::{Effects, Event, Machine, NodeId, Ticks};
use quorate_trace::{Completeness, SpanId, SpanKey, TraceId, Verdict};

use crate::judge::{Cause, Decision, decide};
use crate::lifecycle::{Lifecycle, Phase, Shared};
use crate::{Base, Millis, OpenSpan};

/// What does not change while the node runs.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its own id.
    pub id: NodeId,
    /// The quiet window.
    pub quiet: Ticks,
    /// How long a trace may be open.
    pub deadline: Ticks,
}

/// A span as far as assembly cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offered {
    /// Its trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanKey,
    /// Its parent, unless it is a root.
    pub parent: Option<SpanId>,
}

/// What a local client asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Take this span.
    Offer(Offered),
    /// Free the memory of this trace.
    Evict(TraceId),
}

/// What the node tells itself once its disk has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// The log has this span.
    Logged(Offered),
    /// The store has this revision.
    Stored {
        /// The trace.
        trace: TraceId,
        /// Its revision.
        revision: u32,
    },
}

/// The timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timer {
    /// A trace's quiet window is over.
    Quiet(TraceId),
    /// A trace's time is up.
    Deadline(TraceId),
    /// The store has answered what it has of a trace: judge it.
    Judge(TraceId),
}

/// One durable write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// To the log: a span.
    Accepted(Offered),
    /// To the store: a revision.
    Stored(TraceId, Fragment),
    /// To the log: these spans of a trace are not needed any more.
    Released(TraceId, Vec<SpanKey>),
}

/// A revision of a trace in the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// Counted from 1.
    pub revision: u32,
    /// The verdict on the trace up to this revision.
    pub completeness: Completeness,
    /// The spans of this revision.
    pub spans: Vec<(SpanKey, Option<SpanId>)>,
}

/// What a crash leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Durable {
    /// Spans that were accepted and not released.
    pub log: BTreeSet<Offered>,
    /// The revisions of each trace.
    pub store: BTreeMap<TraceId, Vec<Fragment>>,
}

/// What the application is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// This span is accepted: acknowledge it.
    Accepted(Offered),
}

/// The machine. See the [module's introduction](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Assembler {
    open: BTreeMap<TraceId, Open>,
    /// What the store answers when it is asked.
    stored: BTreeMap<TraceId, Base>,
}

/// An open trace, and how far its seal is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Open {
    life: Lifecycle<()>,
    seal: Option<Seal>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Seal {
    /// The store was asked what it has.
    Asked {
        spans: Shared<()>,
        cause: Cause,
        quiet: bool,
    },
    /// The store was given the next revision, with these of the spans.
    Given {
        spans: Shared<()>,
        new: Vec<(SpanKey, Option<SpanId>)>,
        verdict: Verdict,
    },
}

/// Which moment it is means nothing here: timers say when.
const NOW: Millis = Millis(0);

type Fx = Effects<Assembler>;

impl Machine for Assembler {
    type Config = NodeConfig;
    type Command = Command;
    type Message = Message;
    type Timer = Timer;
    type Record = Record;
    type Durable = Durable;
    type Output = Output;

    fn apply(durable: &mut Durable, record: &Record) {
        match record {
            Record::Accepted(span) => {
                durable.log.insert(*span);
            }
            Record::Stored(trace, fragment) => {
                let fragments = durable.store.entry(*trace).or_default();
                fragments.push(fragment.clone());
            }
            Record::Released(trace, spans) => {
                let released = |span: &Offered| span.trace == *trace && spans.contains(&span.span);
                durable.log.retain(|span| !released(span));
            }
        }
    }

    fn start(config: &NodeConfig, durable: &Durable, fx: &mut Fx) -> Self {
        let mut assembler = Assembler {
            open: BTreeMap::new(),
            stored: BTreeMap::new(),
        };
        for (trace, fragments) in &durable.store {
            for fragment in fragments {
                assembler.learn(*trace, fragment.revision, &fragment.spans);
            }
        }
        for span in &durable.log {
            assembler.enter(config, *span, fx);
        }
        assembler
    }

    fn step(&mut self, config: &NodeConfig, event: Event<Self>, fx: &mut Fx) {
        match event {
            Event::Command(Command::Offer(span)) => {
                fx.persist(Record::Accepted(span));
                // First it enters its trace, then its sender is told.
                fx.send(config.id, Message::Logged(span));
                fx.output(Output::Accepted(span));
            }
            Event::Command(Command::Evict(trace)) => self.ripen(trace, Cause::Evicted, fx),
            // Nobody else knows what this node's disk has.
            Event::Receive { from, .. } if from != config.id => {}
            Event::Receive { message, .. } => match message {
                Message::Logged(span) => self.enter(config, span, fx),
                Message::Stored { trace, revision } => self.stored(config, trace, revision, fx),
            },
            Event::Timeout(Timer::Quiet(trace)) => self.ripen(trace, Cause::Quiet, fx),
            Event::Timeout(Timer::Deadline(trace)) => self.ripen(trace, Cause::Deadline, fx),
            Event::Timeout(Timer::Judge(trace)) => self.judge(config, trace, fx),
        }
    }

    fn backed(_: NodeId, message: &Message, sender: &Durable) -> bool {
        match message {
            Message::Logged(span) => {
                let stored = sender.store.get(&span.trace).into_iter().flatten();
                let mut stored = stored.flat_map(|fragment| &fragment.spans);
                sender.log.contains(span) || stored.any(|(key, _)| *key == span.span)
            }
            Message::Stored { trace, revision } => {
                let mut fragments = sender.store.get(trace).into_iter().flatten();
                fragments.any(|fragment| fragment.revision == *revision)
            }
        }
    }
}

impl Assembler {
    /// A span that the log has enters its trace.
    fn enter(&mut self, config: &NodeConfig, offered: Offered, fx: &mut Fx) {
        let Offered { trace, .. } = offered;
        let open = self.open.entry(trace).or_default();
        let first = open.life.is_empty();
        let span = OpenSpan {
            span: offered.span,
            parent: offered.parent,
            bytes: 1,
            payload: (),
        };
        let fresh = open.life.insert(NOW, span);
        if !fresh || open.life.phase() == Phase::Sealing {
            return;
        }
        fx.arm(Timer::Quiet(trace), config.quiet.clone());
        if first {
            fx.arm(Timer::Deadline(trace), config.deadline.clone());
        }
    }

    /// A trace's spans go to the sealer, who asks the store.
    fn ripen(&mut self, trace: TraceId, cause: Cause, fx: &mut Fx) {
        let Some(open) = self.open.get_mut(&trace) else {
            return;
        };
        let quiet = cause == Cause::Quiet || open.life.phase() == Phase::Collecting;
        let Some(spans) = open.life.ripen() else {
            return;
        };
        open.seal = Some(Seal::Asked {
            spans,
            cause,
            quiet,
        });
        fx.disarm(Timer::Quiet(trace));
        fx.disarm(Timer::Deadline(trace));
        fx.arm(Timer::Judge(trace), 0..=0);
    }

    /// The store has answered.
    fn judge(&mut self, config: &NodeConfig, trace: TraceId, fx: &mut Fx) {
        let base = self.stored.get(&trace);
        let Some(open) = self.open.get_mut(&trace) else {
            return;
        };
        let Some(Seal::Asked {
            spans,
            cause,
            quiet,
        }) = open.seal.take()
        else {
            return;
        };
        match decide(&spans, base, cause, quiet) {
            Decision::Known => self.release(config, trace, &spans, fx),
            Decision::Seal { .. } if cause == Cause::Quiet && open.life.has_waiting() => {
                open.wait(config, trace, fx);
            }
            Decision::Wait => open.wait(config, trace, fx),
            Decision::Seal { completeness, new } => {
                let all = spans.iter().map(|span| (span.span, span.parent));
                let new: Vec<_> = match new {
                    None => all.collect(),
                    Some(new) => (0..)
                        .zip(all)
                        .filter(|(at, _)| new.contains(at))
                        .map(|(_, span)| span)
                        .collect(),
                };
                let revision = base.map_or(0, |base| base.revision) + 1;
                let verdict = completeness.verdict;
                let fragment = Fragment {
                    revision,
                    completeness,
                    spans: new.clone(),
                };
                fx.persist(Record::Stored(trace, fragment));
                fx.send(config.id, Message::Stored { trace, revision });
                open.seal = Some(Seal::Given {
                    spans,
                    new,
                    verdict,
                });
            }
        }
    }

    /// The store has a revision.
    fn stored(&mut self, config: &NodeConfig, trace: TraceId, revision: u32, fx: &mut Fx) {
        let open = self.open.get_mut(&trace);
        if let Some(Seal::Given { spans, new, .. }) = open.and_then(|open| open.seal.take()) {
            self.learn(trace, revision, &new);
            self.release(config, trace, &spans, fx);
        }
    }

    /// The store has all that the sealer had: it leaves memory, and the log may forget it.
    fn release(&mut self, config: &NodeConfig, trace: TraceId, spans: &Shared<()>, fx: &mut Fx) {
        let spans = spans.iter().map(|span| span.span).collect();
        fx.persist(Record::Released(trace, spans));
        let Some(open) = self.open.get_mut(&trace) else {
            return;
        };
        open.life.sealed();
        if open.life.is_empty() {
            self.open.remove(&trace);
        } else {
            // What waited begins the next revision.
            fx.arm(Timer::Quiet(trace), config.quiet.clone());
            fx.arm(Timer::Deadline(trace), config.deadline.clone());
        }
    }

    fn learn(&mut self, trace: TraceId, revision: u32, spans: &[(SpanKey, Option<SpanId>)]) {
        let base = self.stored.entry(trace).or_default();
        base.revision = revision;
        base.spans.extend_from_slice(spans);
    }

    /// Where an open trace is in its life.
    pub fn phase(&self, trace: &TraceId) -> Option<Phase> {
        self.open.get(trace).map(|open| open.life.phase())
    }

    /// The traces that are open.
    pub fn traces(&self) -> impl Iterator<Item = TraceId> {
        self.open.keys().copied()
    }

    /// Whether an open trace has this span.
    pub fn holds(&self, span: &Offered) -> bool {
        let open = self.open.get(&span.trace);
        open.is_some_and(|open| open.life.spans().any(|held| held.span == span.span))
    }

    /// How many spans an open trace has.
    pub fn spans(&self, trace: &TraceId) -> usize {
        self.open.get(trace).map_or(0, |open| open.life.len())
    }

    /// Whether a trace that is to be judged was quiet.
    pub fn was_quiet(&self, trace: &TraceId) -> Option<bool> {
        match self.open.get(trace)?.seal.as_ref()? {
            Seal::Asked { quiet, .. } => Some(*quiet),
            Seal::Given { .. } => None,
        }
    }

    /// The verdict with which a trace is on its way to the store.
    pub fn verdict(&self, trace: &TraceId) -> Option<Verdict> {
        match self.open.get(trace)?.seal.as_ref()? {
            Seal::Asked { .. } => None,
            Seal::Given { verdict, .. } => Some(*verdict),
        }
    }

    /// Whether spans wait for the seal of their trace.
    pub fn has_waiting(&self, trace: &TraceId) -> bool {
        let open = self.open.get(trace);
        open.is_some_and(|open| open.life.has_waiting())
    }
}

impl Open {
    /// The spans come back from the sealer: something is missing, or has come meanwhile.
    fn wait(&mut self, config: &NodeConfig, trace: TraceId, fx: &mut Fx) {
        self.life.resume(NOW, true);
        if self.life.phase() == Phase::Active {
            fx.arm(Timer::Quiet(trace), config.quiet.clone());
        }
        fx.arm(Timer::Deadline(trace), config.deadline.clone());
    }
}
