//! Lassos as people read them.

use crate::fairness::Argument;
use std::fmt;

/// A behaviour that violates a property: a stem, and a cycle that goes on for ever.
#[derive(Clone, Debug)]
pub struct Lasso<S, A, C> {
    /// The state in which it begins.
    pub initial: S,
    /// Its steps, stem and cycle. The last one leads to where the cycle begins.
    pub steps: Vec<LassoStep<S, A, C>>,
    /// How many of the steps are the stem. If that is all of them, nothing happens after them.
    pub stem: usize,
    /// Why the cycle is fair, class by class, in the order of the classes.
    pub fairness: Vec<Argument<C>>,
}

/// A step of a [`Lasso`].
#[derive(Clone, Debug)]
pub struct LassoStep<S, A, C> {
    /// What is done.
    pub action: A,
    /// The same as [`format_action`](stateright::Model::format_action) puts it.
    pub text: String,
    /// The action's class.
    pub class: Option<C>,
    /// The state to which it leads.
    pub state: S,
}

impl<S, A, C> Lasso<S, A, C> {
    /// The state after so many steps.
    pub fn state(&self, steps: usize) -> Option<&S> {
        match steps.checked_sub(1) {
            None => Some(&self.initial),
            Some(step) => self.steps.get(step).map(|step| &step.state),
        }
    }

    /// Whether nothing happens any more after the stem.
    pub fn ends(&self) -> bool {
        self.stem == self.steps.len()
    }

    /// The steps of the cycle.
    pub fn cycle(&self) -> &[LassoStep<S, A, C>] {
        self.steps.get(self.stem..).unwrap_or(&[])
    }

    /// States, each with the action that is taken there, as stateright's paths have them: once round.
    pub fn into_path(self) -> Vec<(S, Option<A>)> {
        let mut path = Vec::with_capacity(self.steps.len() + 1);
        let mut at = self.initial;
        for step in self.steps {
            path.push((at, Some(step.action)));
            at = step.state;
        }
        path.push((at, None));
        path
    }
}

impl<S: fmt::Debug, A, C: fmt::Debug> fmt::Display for Lasso<S, A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "        {:?}", self.initial)?;
        for (number, step) in (1..).zip(&self.steps) {
            if number == self.stem + 1 {
                writeln!(f, "  and then, again and again:")?;
            }
            writeln!(f, "  {number:>4}  {}", step.text)?;
            writeln!(f, "        {:?}", step.state)?;
        }
        match self.stem {
            _ if self.ends() => writeln!(f, "  and then nothing happens any more.")?,
            0 => writeln!(f, "  back to the initial state.")?,
            stem => writeln!(f, "  back to the state after step {stem}.")?,
        }
        if self.fairness.is_empty() {
            return writeln!(f, "  Nothing fair is asked for.");
        }
        writeln!(f, "  It is fair:")?;
        for argument in &self.fairness {
            let Argument {
                class,
                fairness,
                reason,
            } = argument;
            writeln!(f, "    {fairness:<6}  {class:?}: {reason}")?;
        }
        Ok(())
    }
}
