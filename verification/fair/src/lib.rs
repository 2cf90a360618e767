//! Liveness of any [`stateright::Model`], decided on its whole graph under stated fairness.
//!
//! *Something good happens in the end* is not refuted by a path that has not come there yet, but by a
//! behaviour that never does. In a finite graph such a behaviour can be taken to be a **lasso**: a stem,
//! and a cycle that goes round for ever. stateright's own `eventually` looks at paths that end and so
//! does not see cycles; here they are what is searched for.
//!
//! Nearly every system has *some* cycle in which nothing good happens: the scheduler never lets the node
//! run, the network never delivers. So a liveness property always rests on **fairness**, and says little
//! unless that is stated. It is stated per class of actions, the user's own partition of them (the
//! delivery of each kind of message on each link, each timer, the recovery of each node):
//!
//! - [`Fairness::Weak`]: what stays enabled is taken in the end;
//! - [`Fairness::Strong`]: what is enabled again and again is taken in the end;
//! - [`Fairness::None`]: it may be left out for ever.
//!
//! An [`Explorer`] walks the graph once; [`Explored::check`] then decides every [`Property`] under any
//! assignment of fairness to the classes, so that one graph tells which assumptions a property needs. A
//! violation is a [`Lasso`] with the argument for each class why the cycle is fair to it, and
//! [`Lasso::check`] verifies one without any of the machinery that found it.
//!
//! ```
//! use quorate_fair::{Explorer, Fairness, Property, Verdict};
//! # use stateright::Model;
//! # struct Light;
//! # impl Model for Light {
//! #     type State = bool;
//! #     type Action = &'static str;
//! #     fn init_states(&self) -> Vec<bool> { vec![false] }
//! #     fn actions(&self, _: &bool, actions: &mut Vec<&'static str>) { actions.push("switch") }
//! #     fn next_state(&self, on: &bool, _: &'static str) -> Option<bool> { Some(!on) }
//! # }
//! // A light that its switch turns on and off.
//! let explored = Explorer::new(&Light, |_on, action| Some(*action))
//!     .property(Property::always_eventually("is on", |on| *on))
//!     .explore()?;
//!
//! let fair = explored.check(|_| Fairness::Weak)?;
//! assert!(matches!(fair.properties[0].verdict, Verdict::Holds));
//!
//! // Nobody need ever touch the switch.
//! let unfair = explored.check(|_| Fairness::None)?;
//! assert!(matches!(unfair.properties[0].verdict, Verdict::Violated(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The meaning is TLA+'s
//!
//! A behaviour is an infinite sequence of states; between two of them an action of the model is taken, or
//! nothing happens (a **stuttering** step, always allowed). So every state may be the last one in which
//! anything happens, if no fair class is enabled there: a deadlock is a behaviour, and no special case.
//! An action that leads back to the same state is a stuttering step, neither enabled nor taken for the
//! purposes of fairness, as in TLA+'s `WF_vars(A)`, which speaks of `<<A>>_vars`. A class of several
//! actions is fair as their disjunction is: that one of them is taken satisfies it. The verdicts and the
//! numbers of states agree with TLC's on the specifications in `specs/fair`.
//!
//! # The decision
//!
//! The negation of each property asks for a cycle in a part of the graph, the *bad region* (for *P leads
//! to Q*: what can be reached from a state of P without ever passing Q). Its strongly connected components
//! are judged one by one (Emerson and Lei, *Modalities for model checking*, 1987; the condition of Streett):
//! a weakly fair class that is enabled in all states of a component and never taken within it refutes the
//! component and everything in it. A strongly fair class that is enabled somewhere and never taken within
//! is only satisfied by avoiding the states where it is enabled: these are taken away, and the components
//! of the rest are judged in turn. What is left allows a cycle that is fair to all.
//!
//! # Bounds
//!
//! States outside of [`within_boundary`](stateright::Model::within_boundary) are not explored. An action
//! that leads there is enabled all the same, so no cycle is called fair because of the bound: a violation
//! is one of the unbounded model too, while [`Verdict::Holds`] then holds only of the behaviours that stay
//! inside ([`Report::bounded`]). Likewise at the limit on states ([`Explorer::max_states`]), except that
//! a property not violated in what was seen is [`Verdict::Undecided`].
//!
//! States are known by a 64-bit hash and two of the same hash are taken for one, as stateright does.

mod bad;
mod bits;
mod components;
mod cycle;
mod explore;
mod fairness;
mod graph;
mod lasso;
mod property;
mod replay;
mod report;
mod stem;
mod validate;

pub use explore::{ExploreError, Explored, Explorer, Progress};
pub use fairness::{Argument, Fairness, Reason};
pub use lasso::{Lasso, LassoStep};
pub use property::{Form, Property};
pub use replay::CheckError;
pub use report::{ClassReport, PropertyReport, Report, Size, Stop, Verdict};
pub use validate::Flaw;
