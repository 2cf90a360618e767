//! Verifies a lasso by the definitions alone: model, classes, fairness, property. Nothing of the search
//! that found it is used.

use crate::fairness::Fairness;
use crate::lasso::Lasso;
use crate::property::{Form, Property};
use stateright::Model;
use std::fmt::Debug;

/// Why a lasso is no violation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It begins in a state that is not initial.
    #[error("it does not begin in an initial state")]
    NotInitial,
    /// A step is none of the model's, or leads elsewhere.
    #[error("step {0} is not a step of the model")]
    NotAStep(usize),
    /// Its stem is longer than it is.
    #[error("its cycle begins after its end")]
    NoCycle,
    /// It does not come back to where its cycle begins.
    #[error("its cycle does not close")]
    NotClosed,
    /// It is unfair to a class.
    #[error("it is unfair to {0}")]
    Unfair(String),
    /// The property holds of it.
    #[error("the property holds of it")]
    NotViolated,
}

/// The steps of a model from a state, each with its class and the state that follows: those that change
/// the state.
type Moves<M, C> = Vec<(<M as Model>::Action, Option<C>, <M as Model>::State)>;

impl<S: PartialEq, A: PartialEq, C: PartialEq + Debug> Lasso<S, A, C> {
    /// Walks the lasso in the model and verifies that it is a behaviour, fair, and violates `property`.
    pub fn check<M: Model<State = S, Action = A>>(
        &self,
        model: &M,
        class: impl Fn(&S, &A) -> Option<C>,
        fairness: impl Fn(&C) -> Fairness,
        property: &Property<M>,
    ) -> Result<(), Flaw> {
        let moves = |state: &S| -> Moves<M, C> {
            let steps = model.next_steps(state).into_iter();
            let steps = steps.filter(|(_, next)| next != state);
            let classed = steps.map(|(action, next)| {
                let class = class(state, &action);
                (action, class, next)
            });
            classed.collect()
        };
        if !model.init_states().contains(&self.initial) {
            return Err(Flaw::NotInitial);
        }
        let mut at = &self.initial;
        for (number, step) in (1..).zip(&self.steps) {
            let same = |(action, class, next): &(A, Option<C>, S)| {
                *action == step.action && *class == step.class && *next == step.state
            };
            if !moves(at).iter().any(same) {
                return Err(Flaw::NotAStep(number));
            }
            at = &step.state;
        }
        let home = self.state(self.stem).ok_or(Flaw::NoCycle)?;
        if home != at {
            return Err(Flaw::NotClosed);
        }
        self.is_fair(home, moves, fairness)?;
        if self.violates(property) {
            Ok(())
        } else {
            Err(Flaw::NotViolated)
        }
    }

    /// The states that come again and again.
    fn recurring<'a>(&'a self, home: &'a S) -> impl Iterator<Item = &'a S> {
        let passed = self.cycle().iter().map(|step| &step.state);
        std::iter::once(home).chain(passed)
    }

    fn is_fair(
        &self,
        home: &S,
        moves: impl Fn(&S) -> Vec<(A, Option<C>, S)>,
        fairness: impl Fn(&C) -> Fairness,
    ) -> Result<(), Flaw> {
        let enabled = |state: &S| -> Vec<C> {
            let classes = moves(state).into_iter();
            classes.filter_map(|(_, class, _)| class).collect()
        };
        let enabled: Vec<Vec<C>> = self.recurring(home).map(enabled).collect();
        let taken = |class: &C| {
            let mut steps = self.cycle().iter();
            steps.any(|step| step.class.as_ref() == Some(class))
        };
        // A class that is enabled nowhere in the cycle asks for nothing.
        for class in enabled.iter().flatten() {
            let asks = match fairness(class) {
                Fairness::None => false,
                Fairness::Weak => enabled.iter().all(|enabled| enabled.contains(class)),
                Fairness::Strong => true,
            };
            if asks && !taken(class) {
                return Err(Flaw::Unfair(format!("{class:?}")));
            }
        }
        Ok(())
    }

    fn violates<M: Model<State = S, Action = A>>(&self, property: &Property<M>) -> bool {
        let truths = |predicate: &dyn Fn(&S) -> bool| -> Vec<bool> {
            (0..=self.steps.len())
                .filter_map(|steps| self.state(steps))
                .map(predicate)
                .collect()
        };
        let predicates = property.predicates();
        let Some(p) = predicates.first().map(|p| truths(&**p)) else {
            return false;
        };
        let never_again = |truths: &[bool]| !truths[self.stem..].contains(&true);
        match property.form() {
            Form::Eventually => !p.contains(&true),
            Form::AlwaysEventually => never_again(&p),
            Form::EventuallyAlways => p[self.stem..].contains(&false),
            Form::LeadsTo => {
                let q = predicates.get(1).map(|q| truths(&**q));
                // Some state of P after which, and in which, there is none of Q. All states of the
                // cycle come after any state.
                q.is_some_and(|q| {
                    never_again(&q) && (0..p.len()).any(|at| p[at] && !q[at..].contains(&true))
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Flaw;
    use crate::{Explorer, Fairness, Property};
    use stateright::Model;

    /// Counts to 3, and begins again.
    struct Counter;

    impl Model for Counter {
        type State = u8;
        type Action = u8;

        fn init_states(&self) -> Vec<u8> {
            vec![0]
        }

        fn actions(&self, state: &u8, actions: &mut Vec<u8>) {
            actions.push(*state);
        }

        fn next_state(&self, state: &u8, _: u8) -> Option<u8> {
            Some((state + 1) % 4)
        }
    }

    #[test]
    fn what_is_no_violation_is_refused() {
        let class = |_: &u8, action: &u8| Some(*action);
        let property = || Property::<Counter>::eventually_always("is 0", |state| *state == 0);
        let explored = Explorer::new(&Counter, class)
            .property(property())
            .explore();
        let report = explored.expect("four classes").check(|_| Fairness::Weak);
        let report = report.expect("a deterministic model");
        let lasso = report.properties[0].verdict.lasso().expect("it goes round");
        let judge = |lasso: &crate::Lasso<u8, u8, u8>, property: &Property<Counter>| {
            lasso.check(&Counter, class, |_| Fairness::Weak, property)
        };
        assert_eq!(judge(lasso, &property()), Ok(()));
        let changed = |change: fn(&mut crate::Lasso<u8, u8, u8>)| {
            let mut lasso = lasso.clone();
            change(&mut lasso);
            judge(&lasso, &property())
        };
        assert_eq!(changed(|l| l.initial = 1), Err(Flaw::NotInitial));
        assert_eq!(changed(|l| l.steps[1].state = 3), Err(Flaw::NotAStep(2)));
        assert_eq!(changed(|l| l.stem = 9), Err(Flaw::NoCycle));
        assert_eq!(changed(|l| drop(l.steps.pop())), Err(Flaw::NotClosed));
        let stays = changed(|l| {
            l.steps.truncate(1);
            l.stem = 1;
        });
        assert_eq!(stays, Err(Flaw::Unfair("1".to_owned())));
        let passes = Property::always_eventually("is 0", |state| *state == 0);
        assert_eq!(judge(lasso, &passes), Err(Flaw::NotViolated));
    }
}
