//! Liveness: what must happen in the end, and what has to be assumed for it.
//!
//! Safety is judged state by state; that something good happens is judged of whole behaviours, which go on
//! for ever. A counterexample is a **lasso**: some steps, and a cycle that goes round for ever (or a state in
//! which nothing happens any more), fair to all whom fairness is owed. [`check_liveness`] looks for one in
//! the whole graph with `quorate-fair`, verifies what it finds by the definitions alone, and draws it as a
//! [`Trace`](crate::Trace) with its cycle marked.
//!
//! A [`Liveness`] belongs to a [`Protocol`] ([`Protocol::liveness`]), whose machine, nodes, clients and
//! bounds are those of the check of safety; a [`Scenario`](crate::Scenario) says it in the same breath as its
//! safety properties.
//!
//! # What is assumed
//!
//! Without any assumption nothing need ever happen. Assumed are, until something else is said:
//!
//! | what | fairness | it means |
//! |---|---|---|
//! | deliveries, per link and kind of message | strong | what is sent again and again arrives in the end |
//! | timers, per node and timer | weak | what stays armed fires |
//! | syncs, per node | weak | a disk that has something to write writes it |
//! | recoveries, per node | weak | what has crashed comes back |
//! | requests, per client | none | nobody has to ask |
//! | crashes, losses, duplications | – | within the bounds they may happen, and never have to |
//!
//! [`Liveness::fair`] changes it for the classes that a [`Pattern`] names. Messages are lost only as often as
//! [`Liveness::losses`] says, or without limit if [`Liveness::lossy`] names them; an order of arrivals is
//! never assumed. To a node that is down the network keeps the latest message of each kind.
//!
//! # Bounds
//!
//! Runs that leave the [`Bounds`](crate::Bounds), those with more messages in flight included, are cut off:
//! [`LivenessReport::cut`] tells whether there are any. What is violated is violated all the same, since
//! what leads outside counts as possible and nothing is fair because of a bound; what holds then holds of the
//! runs that stay inside. Bounds that nothing comes up against say most: a machine that answers each message
//! and sends nothing unasked needs none.
//!
//! # Timing
//!
//! Many protocols promise progress only when time is on their side: no deterministic protocol reaches
//! consensus if it never is (Fischer, Lynch and Paterson, 1985). [`Liveness::timely`] says so in the manner of
//! Dwork, Lynch and Stockmeyer (1988): a timer fires when it is *due*, by a condition on the state such as
//! that nothing is on its way any more, and only a bounded number of times out of time (which it never has
//! to: fairness asks for timers that are due). All those times may be spent at the beginning, so the
//! promise is one for runs that become timely at some unknown moment, whatever state they are in then.
//!
//! # No assumption without a witness
//!
//! An assumption that is not needed is one too many. [`Liveness::without`] names a property and what else to
//! assume; it must then be violated, and the lasso shows by what. What cannot be dropped on the same graph
//! (timing, the bound on losses or crashes) is a configuration of its own that [`must fail`](Liveness::must_fail).

mod check;
mod class;
mod model;
mod report;

pub use check::{LivenessError, check_liveness};
pub use class::{Class, Pattern};
pub use report::{LivenessFinding, LivenessReport};

use crate::{Protocol, State};
use ahash::RandomState;
use quorate_fair::{Fairness, Form};
use quorate_machine::{Machine, NodeId};
use std::hash::Hash;
use std::sync::Arc;

/// What must happen in the end in a protocol, and under which assumptions.
pub struct Liveness<P: Protocol> {
    promises: Vec<Promise<P>>,
    assumed: Vec<(Pattern, Fairness)>,
    without: Vec<Without>,
    timing: Option<Timing<P>>,
    losses: u8,
    lossy: Vec<Pattern>,
    same: Option<Same<P>>,
    fails: bool,
    enough: Option<usize>,
}

type Condition<P> = Arc<dyn Fn(&State<P>, &P) -> bool + Send + Sync>;

/// A property.
#[derive(Clone)]
struct Promise<P: Protocol> {
    name: String,
    form: Form,
    p: Condition<P>,
    /// For *leads to*.
    q: Option<Condition<P>>,
}

/// A property that fails if something else is assumed.
#[derive(Clone, Debug)]
struct Without {
    label: String,
    property: String,
    assumed: Vec<(Pattern, Fairness)>,
}

/// When timers fire.
struct Timing<P: Protocol> {
    untimely: u8,
    due: Due<P>,
    described: &'static str,
}

type Due<P> = Arc<dyn Fn(&Moment<'_, P>) -> bool + Send + Sync>;

/// Which states are the same.
struct Same<P: Protocol> {
    but_for: &'static str,
    digest: Digest<P>,
}

type Digest<P> = Arc<dyn Fn(&P, &State<P>) -> u128 + Send + Sync>;

/// A timer of a node in a state, about to fire.
pub struct Moment<'a, P: Protocol> {
    /// The protocol.
    pub protocol: &'a P,
    /// The state.
    pub state: &'a State<P>,
    /// The node.
    pub node: NodeId,
    /// The timer.
    pub timer: <P::Machine as Machine>::Timer,
}

impl<P: Protocol> Moment<'_, P> {
    /// Whether all that was sent to running nodes has arrived, and no disk is busy.
    pub fn is_quiet(&self) -> bool {
        is_quiet(self.protocol, self.state)
    }
}

/// Whether all that was sent to running nodes has arrived, and no disk is busy.
pub fn is_quiet<P: Protocol>(protocol: &P, state: &State<P>) -> bool {
    let nodes = || protocol.nodes().iter().zip(state.nodes());
    let awaited = state.network().any(|envelope| {
        let mut receiver = nodes().filter(|(id, _)| **id == envelope.to);
        receiver.any(|(_, node)| node.up().is_some())
    });
    !awaited && nodes().all(|(_, node)| node.up().is_none_or(|up| up.unsynced.is_empty()))
}

impl<P: Protocol> Default for Liveness<P> {
    fn default() -> Self {
        Liveness {
            promises: Vec::new(),
            assumed: vec![
                (Pattern::deliveries(), Fairness::Strong),
                (Pattern::timers(), Fairness::Weak),
                (Pattern::syncs(), Fairness::Weak),
                (Pattern::recoveries(), Fairness::Weak),
            ],
            without: Vec::new(),
            timing: None,
            losses: 0,
            lossy: Vec::new(),
            same: None,
            fails: false,
            enough: None,
        }
    }
}

impl<P: Protocol> Clone for Liveness<P> {
    fn clone(&self) -> Self {
        Liveness {
            promises: self.promises.iter().map(Promise::cloned).collect(),
            assumed: self.assumed.clone(),
            without: self.without.clone(),
            timing: self.timing.as_ref().map(|timing| Timing {
                due: Arc::clone(&timing.due),
                ..*timing
            }),
            losses: self.losses,
            lossy: self.lossy.clone(),
            same: self.same.as_ref().map(|same| Same {
                digest: Arc::clone(&same.digest),
                ..*same
            }),
            fails: self.fails,
            enough: self.enough,
        }
    }
}

impl<P: Protocol> Promise<P> {
    fn cloned(&self) -> Self {
        Promise {
            name: self.name.clone(),
            form: self.form,
            p: Arc::clone(&self.p),
            q: self.q.clone(),
        }
    }
}

impl<P: Protocol> Liveness<P> {
    /// Every behaviour comes to a state of which `p` is true.
    #[must_use]
    pub fn eventually(self, name: impl Into<String>, p: impl Of<P>) -> Self {
        self.promise(name, Form::Eventually, Arc::new(p), None)
    }

    /// Every behaviour comes to states of which `p` is true again and again.
    #[must_use]
    pub fn always_eventually(self, name: impl Into<String>, p: impl Of<P>) -> Self {
        self.promise(name, Form::AlwaysEventually, Arc::new(p), None)
    }

    /// Of every behaviour `p` is at last true for ever.
    #[must_use]
    pub fn eventually_always(self, name: impl Into<String>, p: impl Of<P>) -> Self {
        self.promise(name, Form::EventuallyAlways, Arc::new(p), None)
    }

    /// After every state of which `p` is true, or in it, comes one of which `q` is.
    #[must_use]
    pub fn leads_to(self, name: impl Into<String>, p: impl Of<P>, q: impl Of<P>) -> Self {
        self.promise(name, Form::LeadsTo, Arc::new(p), Some(Arc::new(q)))
    }

    fn promise(
        mut self,
        name: impl Into<String>,
        form: Form,
        p: Condition<P>,
        q: Option<Condition<P>>,
    ) -> Self {
        self.promises.push(Promise {
            name: name.into(),
            form,
            p,
            q,
        });
        self
    }

    /// Assumes this fairness of the classes that the pattern names; of two patterns that name a class the
    /// later counts.
    #[must_use]
    pub fn fair(mut self, pattern: Pattern, fairness: Fairness) -> Self {
        self.assumed.retain(|(earlier, _)| *earlier != pattern);
        self.assumed.push((pattern, fairness));
        self
    }

    /// `property` must be violated if this is assumed of the pattern's classes instead; `label` says of what
    /// the run is then without.
    #[must_use]
    pub fn without(
        mut self,
        label: impl Into<String>,
        property: impl Into<String>,
        pattern: Pattern,
        fairness: Fairness,
    ) -> Self {
        self.without.push(Without {
            label: label.into(),
            property: property.into(),
            assumed: vec![(pattern, fairness)],
        });
        self
    }

    /// Timers fire when they are `due`, and up to `untimely` times at any other moment. `described` says in
    /// a few words when they are due.
    #[must_use]
    pub fn timely(
        mut self,
        described: &'static str,
        untimely: u8,
        due: impl Fn(&Moment<'_, P>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.timing = Some(Timing {
            untimely,
            due: Arc::new(due),
            described,
        });
        self
    }

    /// Up to so many messages are lost in a run.
    #[must_use]
    pub fn losses(mut self, losses: u8) -> Self {
        self.losses = losses;
        self
    }

    /// The messages whose deliveries the pattern names may be lost, however many.
    #[must_use]
    pub fn lossy(mut self, pattern: Pattern) -> Self {
        self.lossy.push(pattern);
        self
    }

    /// States that differ only in something that makes no difference are one: those of which `essence` is
    /// the same. It has to be a bisimulation: two such states must offer the same actions by class,
    /// leading to states that are the same again, and no property may tell them apart. `but_for` names
    /// what is ignored.
    #[must_use]
    pub fn modulo<E: Hash>(
        mut self,
        but_for: &'static str,
        essence: impl Fn(&P, &State<P>) -> E + Send + Sync + 'static,
    ) -> Self {
        self.same = Some(Same {
            but_for,
            digest: Arc::new(move |protocol, state| digest(&essence(protocol, state))),
        });
        self
    }

    /// Something that is needed is not assumed: every property must be violated, and by a lasso among the
    /// first so many states. What is violated there is violated in the whole graph, which may have no end.
    #[must_use]
    pub fn must_fail(mut self, states: usize) -> Self {
        self.fails = true;
        self.enough = Some(states);
        self
    }

    /// Whether nothing is promised.
    pub fn is_empty(&self) -> bool {
        self.promises.is_empty()
    }

    /// The digest of what counts in a state.
    fn digest(&self, protocol: &P, state: &State<P>) -> u128 {
        match &self.same {
            Some(same) => (same.digest)(protocol, state),
            None => digest(state),
        }
    }

    /// What is assumed of a class.
    fn fairness(&self, class: &Class) -> Fairness {
        fairness(&self.assumed, class)
    }

    /// What is assumed, in words.
    fn described(&self) -> Vec<String> {
        let fair = self.assumed.iter();
        let mut all: Vec<String> = fair
            .map(|(pattern, fairness)| format!("{pattern}: {fairness}"))
            .collect();
        match &self.timing {
            Some(Timing {
                untimely,
                described,
                ..
            }) => all.push(format!("{described}, but for {untimely} times")),
            None => all.push("timers fire at any moment".to_owned()),
        }
        all.push(format!("losses: {}", self.losses));
        let lossy = self.lossy.iter();
        all.extend(lossy.map(|pattern| format!("{pattern} are lost without limit")));
        if let Some(same) = &self.same {
            all.push(format!("states are the same but for {}", same.but_for));
        }
        all
    }
}

/// The last pattern that names a class counts.
fn fairness(assumed: &[(Pattern, Fairness)], class: &Class) -> Fairness {
    let mut latest = assumed.iter().rev();
    let found = latest.find(|(pattern, _)| pattern.matches(class));
    found.map_or(Fairness::None, |(_, fairness)| *fairness)
}

/// A condition of a property.
pub trait Of<P: Protocol>: Fn(&State<P>, &P) -> bool + Send + Sync + 'static {}
impl<P: Protocol, F: Fn(&State<P>, &P) -> bool + Send + Sync + 'static> Of<P> for F {}

/// 128 bits under fixed seeds: of *n* states two share one with a probability of about *n*² / 2¹²⁹.
pub(crate) fn digest<T: Hash + ?Sized>(value: &T) -> u128 {
    let half = |seed| RandomState::with_seeds(seed, !seed, seed << 7, 11).hash_one(value);
    u128::from(half(0x517c_c1b7_2722_0a95)) << 64 | u128::from(half(0x9e37_79b9_7f4a_7c15))
}
