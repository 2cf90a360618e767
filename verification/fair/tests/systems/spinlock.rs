//! `Spinlock.tla`.

use super::{Outcome, decide};
use quorate_fair::{Fairness, Property};
use stateright::Model;

pub(crate) struct Spinlock {
    pub(crate) processes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Idle,
    Trying,
    Critical,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Action {
    Request(usize),
    Acquire(usize),
    Release(usize),
}

impl Model for Spinlock {
    type State = Vec<Place>;
    type Action = Action;

    fn init_states(&self) -> Vec<Vec<Place>> {
        vec![vec![Place::Idle; self.processes]]
    }

    fn actions(&self, pc: &Vec<Place>, actions: &mut Vec<Action>) {
        for (p, place) in pc.iter().enumerate() {
            match place {
                Place::Idle => actions.push(Action::Request(p)),
                Place::Trying if !pc.contains(&Place::Critical) => {
                    actions.push(Action::Acquire(p));
                }
                Place::Trying => {}
                Place::Critical => actions.push(Action::Release(p)),
            }
        }
    }

    fn next_state(&self, pc: &Vec<Place>, action: Action) -> Option<Vec<Place>> {
        let mut next = pc.clone();
        match action {
            Action::Request(p) => next[p] = Place::Trying,
            Action::Acquire(p) => next[p] = Place::Critical,
            Action::Release(p) => next[p] = Place::Idle,
        }
        Some(next)
    }
}

fn decided(acquiring: Fairness, properties: impl Fn() -> Vec<Property<Spinlock>>) -> Outcome {
    let fairness = |class: &Action| match class {
        Action::Request(_) => Fairness::None,
        Action::Acquire(_) => acquiring,
        Action::Release(_) => Fairness::Weak,
    };
    let model = Spinlock { processes: 3 };
    decide(&model, |_, action| Some(*action), fairness, properties)
}

/// `NobodyStarves`, with this fairness of taking the lock.
pub(crate) fn nobody_starves(acquiring: Fairness) -> Outcome {
    decided(acquiring, || {
        let enters = |p: usize| {
            let trying = move |pc: &Vec<Place>| pc[p] == Place::Trying;
            let critical = move |pc: &Vec<Place>| pc[p] == Place::Critical;
            Property::leads_to(format!("NobodyStarves({p})"), trying, critical)
        };
        (0..3).map(enters).collect()
    })
}

/// `SomebodyEnters`.
pub(crate) fn somebody_enters(acquiring: Fairness) -> Outcome {
    decided(acquiring, || {
        let trying = |pc: &Vec<Place>| pc.contains(&Place::Trying);
        let critical = |pc: &Vec<Place>| pc.contains(&Place::Critical);
        vec![Property::leads_to("SomebodyEnters", trying, critical)]
    })
}
