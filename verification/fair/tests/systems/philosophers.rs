//! `Philosophers.tla`.

use super::{Outcome, decide};
use quorate_fair::{Explorer, Fairness, Property, Size};
use stateright::Model;

pub(crate) struct Philosophers {
    pub(crate) count: usize,
    pub(crate) ordered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Thinking,
    Hungry,
    Holding,
    Eating,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Table {
    phase: Vec<Phase>,
    fork: Vec<Option<usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Action {
    Hunger(usize),
    TakeFirst(usize),
    TakeSecond(usize),
    Finish(usize),
}

impl Philosophers {
    fn forks(&self, p: usize) -> (usize, usize) {
        let (left, right) = (p, (p + 1) % self.count);
        if self.ordered && p == self.count - 1 {
            (right, left)
        } else {
            (left, right)
        }
    }
}

impl Model for Philosophers {
    type State = Table;
    type Action = Action;

    fn init_states(&self) -> Vec<Table> {
        vec![Table {
            phase: vec![Phase::Thinking; self.count],
            fork: vec![None; self.count],
        }]
    }

    fn actions(&self, table: &Table, actions: &mut Vec<Action>) {
        for p in 0..self.count {
            let (first, second) = self.forks(p);
            match table.phase[p] {
                Phase::Thinking => actions.push(Action::Hunger(p)),
                Phase::Hungry if table.fork[first].is_none() => actions.push(Action::TakeFirst(p)),
                Phase::Holding if table.fork[second].is_none() => {
                    actions.push(Action::TakeSecond(p));
                }
                Phase::Hungry | Phase::Holding => {}
                Phase::Eating => actions.push(Action::Finish(p)),
            }
        }
    }

    fn next_state(&self, table: &Table, action: Action) -> Option<Table> {
        let mut next = table.clone();
        let (p, phase) = match action {
            Action::Hunger(p) => (p, Phase::Hungry),
            Action::TakeFirst(p) => (p, Phase::Holding),
            Action::TakeSecond(p) => (p, Phase::Eating),
            Action::Finish(p) => (p, Phase::Thinking),
        };
        let (first, second) = self.forks(p);
        next.phase[p] = phase;
        match action {
            Action::Hunger(_) => {}
            Action::TakeFirst(_) => next.fork[first] = Some(p),
            Action::TakeSecond(_) => next.fork[second] = Some(p),
            Action::Finish(_) => (next.fork[first], next.fork[second]) = (None, None),
        }
        Some(next)
    }
}

/// `HungryEat`, with this fairness of the taking of forks.
pub(crate) fn hungry_eat(model: &Philosophers, taking: Fairness) -> Outcome {
    let fairness = |class: &Action| match class {
        Action::Hunger(_) => Fairness::None,
        Action::TakeFirst(_) | Action::TakeSecond(_) => taking,
        Action::Finish(_) => Fairness::Weak,
    };
    decide(
        model,
        |_, action| Some(*action),
        fairness,
        || {
            let eats = |p: usize| {
                let hungry = move |table: &Table| table.phase[p] == Phase::Hungry;
                let eating = move |table: &Table| table.phase[p] == Phase::Eating;
                Property::leads_to(format!("HungryEat({p})"), hungry, eating)
            };
            (0..model.count).map(eats).collect()
        },
    )
}

/// How large the graph is, without properties.
pub(crate) fn size(model: &Philosophers) -> Size {
    let explored = Explorer::new(model, |_, action| Some(*action)).explore();
    explored.expect("few classes").size()
}
