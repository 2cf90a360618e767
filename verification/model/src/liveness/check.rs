//! The search, within its limits, and the judgement of what it found.

use super::model::{Live, LiveState};
use super::report::{LivenessFinding, LivenessReport};
use super::{Class, Pattern, Promise};
use crate::check::rss_bytes;
use crate::step::Action;
use crate::trace::Cycle;
use crate::{CheckError, Options, Progress, Protocol, Stop, Trace, Verdict};
use quorate_fair::{
    Argument, ExploreError, Explored, Explorer, Fairness, Flaw, Lasso, Property, PropertyReport,
    Reason,
};
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Why a check of liveness gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LivenessError {
    /// The graph cannot be built.
    #[error(transparent)]
    Graph(#[from] ExploreError),
    /// The graph cannot be judged.
    #[error(transparent)]
    Judgement(#[from] quorate_fair::CheckError),
    /// What was found to violate a property does not: two states that were taken for one differ.
    #[error("the lasso against \"{property}\" is none: {flaw}")]
    NotALasso {
        /// The property.
        property: String,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// [`Liveness::without`](crate::Liveness::without) names a property that is not there.
    #[error("there is no property \"{0}\"")]
    NoSuchProperty(String),
}

/// The property, graph and lasso of a protocol.
type LiveProperty<P> = Property<Live<P>>;
type LiveGraph<'m, P> = Explored<'m, Live<P>, Class>;
type LiveLasso<P> = Lasso<LiveState<P>, Action<<P as Protocol>::Machine>, Class>;
type LiveReport<P> = PropertyReport<LiveState<P>, Action<<P as Protocol>::Machine>, Class>;

/// Decides what [`Protocol::liveness`] promises, on the whole graph of `protocol` within its bounds.
///
/// Of the options the limits, the interrupt and the progress count; the search has one thread.
///
/// # Errors
///
/// See [`CheckError`]. A violated property is no error.
///
/// # Panics
///
/// As [`System::new`](crate::System::new).
pub fn check_liveness<P: Protocol>(
    protocol: P,
    mut options: Options,
) -> Result<LivenessReport, CheckError> {
    let began = Instant::now();
    let protocol = Arc::new(protocol);
    let live = Live::new(Arc::clone(&protocol), protocol.liveness());
    let most = options.states_max.unwrap_or(usize::MAX);
    let most = live.liveness.enough.map_or(most, |enough| most.min(enough));
    let watch = Watch::new(began);
    let explored = Explorer::new(&live, |state, action| live.class(state, action))
        .properties(live.liveness.promises.iter().map(|p| p.property(&protocol)))
        .max_states(most)
        .progress(|progress| watch.look(&mut options, progress))
        .explore()
        .map_err(LivenessError::from)?;
    if explored.size().states == 0 {
        return Err(CheckError::NothingExplored);
    }
    let judge = Judge {
        live: &live,
        explored: &explored,
        protocol: &protocol,
    };
    let properties = judge.all()?;
    let mut verdicts = properties.iter().map(|finding| finding.verdict);
    let refuted = verdicts.all(|verdict| verdict == Verdict::Refuted);
    let size = explored.size();
    Ok(LivenessReport {
        protocol: protocol.name().to_owned(),
        bounds: protocol.bounds().list(protocol.nodes().len()),
        assumptions: live.liveness.described(),
        states: size.states,
        edges: size.edges,
        depth: size.depth,
        cut: explored.bounded(),
        seconds: began.elapsed().as_secs_f64(),
        peak_rss_bytes: watch.peak_rss_bytes.get().max(rss_bytes()),
        initial_rss_bytes: watch.initial_rss_bytes,
        // A search for a lasso ends where it was told to, and has ended well if there is one.
        stopped: (explored.stop().filter(|_| !refuted)).map(|stop| watch.reason(stop)),
        properties,
    })
}

impl<P: Protocol> Promise<P> {
    /// The property as the engine wants it.
    fn property(&self, protocol: &Arc<P>) -> LiveProperty<P> {
        let condition = |condition: &super::Condition<P>| {
            let (condition, protocol) = (Arc::clone(condition), Arc::clone(protocol));
            move |state: &LiveState<P>| condition(&state.whole, &protocol)
        };
        let (name, p) = (self.name.as_str(), condition(&self.p));
        match (self.form, &self.q) {
            (quorate_fair::Form::LeadsTo, Some(q)) => Property::leads_to(name, p, condition(q)),
            (quorate_fair::Form::AlwaysEventually, _) => Property::always_eventually(name, p),
            (quorate_fair::Form::EventuallyAlways, _) => Property::eventually_always(name, p),
            _ => Property::eventually(name, p),
        }
    }
}

/// Judges one graph.
struct Judge<'a, 'm, P: Protocol> {
    live: &'m Live<P>,
    explored: &'a LiveGraph<'m, P>,
    protocol: &'a Arc<P>,
}

impl<P: Protocol> Judge<'_, '_, P> {
    /// Every property as assumed, and those that must fail without something.
    fn all(&self) -> Result<Vec<LivenessFinding>, LivenessError> {
        let liveness = &self.live.liveness;
        let mut findings = Vec::new();
        for promise in &liveness.promises {
            findings.push(self.one(promise, None, &[])?);
        }
        for without in &liveness.without {
            let mut promises = liveness.promises.iter();
            let promise = promises.find(|promise| promise.name == without.property);
            let missing = || LivenessError::NoSuchProperty(without.property.clone());
            let label = Some(without.label.clone());
            findings.push(self.one(promise.ok_or_else(missing)?, label, &without.assumed)?);
        }
        Ok(findings)
    }

    fn one(
        &self,
        promise: &Promise<P>,
        without: Option<String>,
        instead: &[(Pattern, Fairness)],
    ) -> Result<LivenessFinding, LivenessError> {
        let fairness = |class: &Class| {
            let mut changed = instead.iter();
            let changed = changed.find(|(pattern, _)| pattern.matches(class));
            changed.map_or_else(|| self.live.liveness.fairness(class), |(_, f)| *f)
        };
        let missing = || LivenessError::NoSuchProperty(promise.name.clone());
        let decided = self.explored.decide(&promise.name, fairness)?;
        let decided: LiveReport<P> = decided.ok_or_else(missing)?;
        let must_fail = self.live.liveness.fails || without.is_some();
        let lasso = decided.verdict.lasso();
        if let Some(lasso) = lasso {
            self.verify(promise, lasso, fairness)?;
        }
        Ok(LivenessFinding {
            name: decided.name,
            form: decided.form.to_string(),
            without,
            verdict: match (&decided.verdict, must_fail) {
                (quorate_fair::Verdict::Holds, false) => Verdict::Holds,
                (quorate_fair::Verdict::Holds, true) => Verdict::Survived,
                (quorate_fair::Verdict::Violated(_), false) => Verdict::Violated,
                (quorate_fair::Verdict::Violated(_), true) => Verdict::Refuted,
                (quorate_fair::Verdict::Undecided, _) => Verdict::Undecided,
            },
            region: decided.region,
            components: decided.components,
            seconds: decided.time.as_secs_f64(),
            length: lasso.map(|lasso| lasso.steps.len()),
            trace: lasso.map(|lasso| self.trace(lasso)),
        })
    }

    /// By the definitions alone, with nothing of the search.
    fn verify(
        &self,
        promise: &Promise<P>,
        lasso: &LiveLasso<P>,
        fairness: impl Fn(&Class) -> Fairness,
    ) -> Result<(), LivenessError> {
        let property = promise.property(self.protocol);
        let class = |state: &LiveState<P>, action: &_| self.live.class(state, action);
        let verified = lasso.check(self.live, class, fairness, &property);
        verified.map_err(|flaw| LivenessError::NotALasso {
            property: promise.name.clone(),
            flaw,
        })
    }

    fn trace(&self, lasso: &LiveLasso<P>) -> Trace {
        let whole = lasso.clone().into_path().into_iter();
        let path: Vec<_> = whole.map(|(state, action)| (state.whole, action)).collect();
        let mut trace = Trace::new(&**self.protocol, &path);
        trace.cycle = Some(Cycle {
            after: lasso.stem,
            but_for: self
                .live
                .liveness
                .same
                .as_ref()
                .map(|same| same.but_for.to_owned()),
            fairness: arguments(&lasso.fairness),
        });
        trace
    }
}

/// Why a cycle is fair, a line for each class; what is enabled nowhere in it is only counted.
fn arguments(fairness: &[Argument<Class>]) -> Vec<String> {
    let idle = |argument: &&Argument<Class>| argument.reason == Reason::NeverEnabled;
    let busy = fairness.iter().filter(|argument| !idle(argument));
    let mut lines: Vec<String> = busy
        .map(|one| format!("{} ({}): {}", one.class, one.fairness, one.reason))
        .collect();
    match fairness.iter().filter(idle).count() {
        0 => {}
        1 => lines.push("one more class: enabled nowhere in the cycle".to_owned()),
        more => lines.push(format!("{more} more classes: enabled nowhere in the cycle")),
    }
    lines
}

/// Watches the limits of a search.
struct Watch {
    began: Instant,
    initial_rss_bytes: Option<u64>,
    peak_rss_bytes: Cell<Option<u64>>,
    told: RefCell<(Duration, usize)>,
    stopped: Cell<Option<Stop>>,
}

impl Watch {
    fn new(began: Instant) -> Self {
        let rss = rss_bytes();
        Watch {
            began,
            initial_rss_bytes: rss,
            peak_rss_bytes: Cell::new(rss),
            told: RefCell::new((Duration::ZERO, 0)),
            stopped: Cell::new(None),
        }
    }

    fn look(&self, options: &mut Options, found: quorate_fair::Progress) -> ControlFlow<()> {
        let rss = rss_bytes();
        self.peak_rss_bytes.set(self.peak_rss_bytes.get().max(rss));
        let elapsed = self.began.elapsed();
        let mut told = self.told.borrow_mut();
        if elapsed - told.0 >= PROGRESS_INTERVAL {
            let seconds = (elapsed - told.0).as_secs_f64();
            let progress = Progress {
                shortening: false,
                states: found.edges,
                unique: found.states,
                rate: found.edges.saturating_sub(told.1) as f64 / seconds,
                depth: 0,
                rss_bytes: rss,
                elapsed,
            };
            *told = (elapsed, found.edges);
            if let Some(listener) = &mut options.progress {
                listener(&progress);
            }
        }
        let interrupt = options.interrupt.as_ref();
        let over = |value: Option<u64>, limit: Option<u64>| match (value, limit) {
            (Some(value), Some(limit)) => value >= limit,
            _ => false,
        };
        let stop = if interrupt.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            Some(Stop::Interrupted)
        } else if options.timeout.is_some_and(|limit| elapsed >= limit) {
            Some(Stop::Time)
        } else if over(rss, options.rss_max_bytes) {
            Some(Stop::Memory)
        } else {
            None
        };
        self.stopped.set(stop);
        match stop {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }

    fn reason(&self, stop: quorate_fair::Stop) -> Stop {
        match stop {
            quorate_fair::Stop::MaxStates | quorate_fair::Stop::MaxEdges => Stop::States,
            quorate_fair::Stop::Interrupted => self.stopped.get().unwrap_or(Stop::Interrupted),
        }
    }
}
