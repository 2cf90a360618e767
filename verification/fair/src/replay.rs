//! From numbers back to states: a lasso is walked again in the model.

use crate::explore::{Explored, hasher};
use crate::fairness::{Argument, Fairness, Reason};
use crate::graph::{Edge, UNLABELLED};
use crate::lasso::{Lasso, LassoStep};
use crate::stem::Outline;
use stateright::Model;
use std::fmt::Debug;
use std::hash::Hash;

/// Why a graph cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A path that was there when the graph was explored is not there any more.
    #[error("the model is not deterministic: step {step} of a path to a violation is gone")]
    NotDeterministic {
        /// The step, from 1; 0 if it is the initial state.
        step: usize,
    },
}

/// A [`Lasso`] of a model.
type LassoOf<M, C> = Lasso<<M as Model>::State, <M as Model>::Action, C>;
type StepOf<M, C> = LassoStep<<M as Model>::State, <M as Model>::Action, C>;

impl<M: Model, C: Clone + Eq + Hash + Ord> Explored<'_, M, C>
where
    M::State: Hash,
    M::Action: Debug,
{
    /// The lasso of this outline, with the reasons why it is fair.
    pub(crate) fn replay(
        &self,
        outline: &Outline,
        fairness: &[Fairness],
    ) -> Result<LassoOf<M, C>, CheckError> {
        let gone = |step| CheckError::NotDeterministic { step };
        let hashes = hasher();
        let first = outline.stem.first().ok_or(gone(0))?;
        let fingerprint = self.graph.fingerprints[*first as usize];
        let initial = self.model.init_states();
        let initial = initial
            .into_iter()
            .find(|state| hashes.hash_one(state) == fingerprint)
            .ok_or(gone(0))?;
        let stem = outline.stem.iter().skip(1).map(|target| (*target, None));
        let cycle = outline.cycle.iter();
        let cycle = cycle.map(|edge| (edge.target, Some(edge.label)));
        let mut steps: Vec<StepOf<M, C>> = Vec::new();
        for (target, label) in stem.chain(cycle) {
            let at = steps.last().map_or(&initial, |step| &step.state);
            let step = self.step(at, target, label);
            let step = step.ok_or(gone(steps.len() + 1))?;
            steps.push(step);
        }
        Ok(Lasso {
            initial,
            steps,
            stem: outline.stem.len().saturating_sub(1),
            fairness: self.arguments(outline, fairness),
        })
    }

    /// The first action that leads from a state to the numbered one, and has the label if one is asked
    /// for.
    fn step(&self, from: &M::State, target: u32, label: Option<u16>) -> Option<StepOf<M, C>> {
        let fingerprint = self.graph.fingerprints[target as usize];
        let hashes = hasher();
        // An action is used up by its step, so all are listed twice, as in `Model::next_steps`.
        let (mut actions, mut kept) = (Vec::new(), Vec::new());
        self.model.actions(from, &mut actions);
        self.model.actions(from, &mut kept);
        actions.into_iter().zip(kept).find_map(|(action, kept)| {
            let class = (self.class)(from, &action);
            if label.is_some_and(|label| self.class_of(label) != class.as_ref()) {
                return None;
            }
            let state = self.model.next_state(from, action)?;
            (hashes.hash_one(&state) == fingerprint).then(|| LassoStep {
                text: self.model.format_action(&kept),
                action: kept,
                class,
                state,
            })
        })
    }

    fn class_of(&self, label: u16) -> Option<&C> {
        self.classes.get(usize::from(label.checked_sub(1)?))
    }

    /// Why the cycle is fair to each class that asks for it.
    fn arguments(&self, outline: &Outline, fairness: &[Fairness]) -> Vec<Argument<C>> {
        let labels = (UNLABELLED + 1..).zip(&self.classes);
        let mut arguments: Vec<Argument<C>> = labels
            .filter_map(|(label, class)| {
                let fairness = fairness[usize::from(label)];
                let reason = self.reason(outline, label, fairness)?;
                Some(Argument {
                    class: class.clone(),
                    fairness,
                    reason,
                })
            })
            .collect();
        arguments.sort_by(|one, other| one.class.cmp(&other.class));
        arguments
    }

    fn reason(&self, outline: &Outline, label: u16, fairness: Fairness) -> Option<Reason> {
        let stem = outline.stem.len().saturating_sub(1);
        let taken = |edge: &Edge| edge.label == label;
        let taken = outline.cycle.iter().position(taken);
        let taken = taken.map(|at| Reason::Taken {
            step: stem + 1 + at,
        });
        // The states of the cycle, each once.
        let home = outline.stem.last().copied();
        let passed = outline.cycle.iter().map(|edge| edge.target);
        let states: Vec<u32> = home.into_iter().chain(passed).collect();
        let disabled = |state: &u32| !self.graph.enables(*state, label);
        if states.iter().all(disabled) {
            return (fairness != Fairness::None).then_some(Reason::NeverEnabled);
        }
        let not_enabled = states.iter().position(disabled);
        match fairness {
            Fairness::None => None,
            Fairness::Strong => taken,
            Fairness::Weak => {
                taken.or(not_enabled.map(|at| Reason::NotEnabled { after: stem + at }))
            }
        }
    }
}
