//! `Ring.tla`.

use super::{Outcome, decide};
use quorate_fair::{Fairness, Property};
use stateright::Model;

pub(crate) struct Ring {
    pub(crate) machines: usize,
    pub(crate) values: u8,
}

type X = Vec<u8>;

fn has_token(x: &X, i: usize) -> bool {
    match i {
        0 => x.first() == x.last(),
        i => x[i] != x[i - 1],
    }
}

impl Model for Ring {
    type State = X;
    type Action = usize;

    fn init_states(&self) -> Vec<X> {
        let add = |all: Vec<X>| -> Vec<X> {
            let with = |x: X| (0..self.values).map(move |value| [&x[..], &[value]].concat());
            all.into_iter().flat_map(with).collect()
        };
        (0..self.machines).fold(vec![Vec::new()], |all, _| add(all))
    }

    fn actions(&self, x: &X, actions: &mut Vec<usize>) {
        actions.extend((0..self.machines).filter(|i| has_token(x, *i)));
    }

    fn next_state(&self, x: &X, i: usize) -> Option<X> {
        let mut next = x.clone();
        next[i] = match i {
            0 => (x[0] + 1) % self.values,
            i => x[i - 1],
        };
        Some(next)
    }
}

/// `Stabilizes`; all moves are one class.
pub(crate) fn stabilizes(model: &Ring, moving: Fairness) -> Outcome {
    let machines = model.machines;
    let legitimate = move |x: &X| (0..machines).filter(|i| has_token(x, *i)).count() == 1;
    decide(
        model,
        |_, _| Some("Next"),
        |_| moving,
        || vec![Property::eventually_always("Stabilizes", legitimate)],
    )
}

/// `Circulates`; all moves are one class.
pub(crate) fn circulates(model: &Ring, moving: Fairness) -> Outcome {
    decide(
        model,
        |_, _| Some("Next"),
        |_| moving,
        || {
            let comes = |i| {
                Property::always_eventually(format!("Circulates({i})"), move |x| has_token(x, i))
            };
            (0..model.machines).map(comes).collect()
        },
    )
}
