//! What is assumed of a class of actions, and why a cycle satisfies it.

use std::fmt;

/// What is assumed of a class of actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fairness {
    /// Nothing: it may be left out for ever, however often it is enabled.
    None,
    /// Weak fairness: if it is enabled from some moment on without interruption, it is taken in the end.
    Weak,
    /// Strong fairness: if it is enabled again and again, even with interruptions, it is taken in the end.
    Strong,
}

impl fmt::Display for Fairness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Fairness::None => "none",
            Fairness::Weak => "weak",
            Fairness::Strong => "strong",
        })
    }
}

/// Why a lasso is fair to one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument<C> {
    /// The class.
    pub class: C,
    /// What is assumed of it.
    pub fairness: Fairness,
    /// Why the cycle satisfies that.
    pub reason: Reason,
}

/// Why a cycle is fair to a class. Steps are counted from 1 at the beginning of the lasso; a cycle in
/// which nothing happens any more has no steps, and its only state is the one after the stem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is taken in this step of the cycle.
    Taken {
        /// The step.
        step: usize,
    },
    /// It is not enabled in the state after this step, which comes again and again: enough for weak
    /// fairness.
    NotEnabled {
        /// The step; 0 for the initial state.
        after: usize,
    },
    /// It is enabled nowhere in the cycle.
    NeverEnabled,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Taken { step } => write!(f, "taken in step {step}"),
            Reason::NotEnabled { after: 0 } => write!(f, "not enabled in the initial state"),
            Reason::NotEnabled { after } => write!(f, "not enabled after step {after}"),
            Reason::NeverEnabled => write!(f, "enabled nowhere in the cycle"),
        }
    }
}
