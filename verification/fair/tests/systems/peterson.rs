//! `Peterson.tla`.

use super::{Outcome, decide};
use quorate_fair::{Fairness, Property};
use stateright::Model;

pub(crate) struct Peterson;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    Idle,
    Yielding,
    Waiting,
    Critical,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Memory {
    pc: [Place; 2],
    flag: [bool; 2],
    turn: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Action {
    Request(usize),
    Yield(usize),
    Enter(usize),
    Leave(usize),
}

impl Model for Peterson {
    type State = Memory;
    type Action = Action;

    fn init_states(&self) -> Vec<Memory> {
        vec![Memory {
            pc: [Place::Idle; 2],
            flag: [false; 2],
            turn: 0,
        }]
    }

    fn actions(&self, memory: &Memory, actions: &mut Vec<Action>) {
        for p in [0, 1] {
            match memory.pc[p] {
                Place::Idle => actions.push(Action::Request(p)),
                Place::Yielding => actions.push(Action::Yield(p)),
                Place::Waiting if !memory.flag[1 - p] || memory.turn == p => {
                    actions.push(Action::Enter(p));
                }
                Place::Waiting => {}
                Place::Critical => actions.push(Action::Leave(p)),
            }
        }
    }

    fn next_state(&self, memory: &Memory, action: Action) -> Option<Memory> {
        let mut next = memory.clone();
        match action {
            Action::Request(p) => (next.pc[p], next.flag[p]) = (Place::Yielding, true),
            Action::Yield(p) => (next.pc[p], next.turn) = (Place::Waiting, 1 - p),
            Action::Enter(p) => next.pc[p] = Place::Critical,
            Action::Leave(p) => (next.pc[p], next.flag[p]) = (Place::Idle, false),
        }
        Some(next)
    }
}

fn fairness(leaving: Fairness) -> impl Fn(&Action) -> Fairness {
    move |class| match class {
        Action::Request(_) => Fairness::None,
        Action::Yield(_) | Action::Enter(_) => Fairness::Weak,
        Action::Leave(_) => leaving,
    }
}

/// `RequestsEnter`, with this fairness of leaving.
pub(crate) fn requests_enter(leaving: Fairness) -> Outcome {
    decide(
        &Peterson,
        |_, action| Some(*action),
        fairness(leaving),
        || {
            let enters = |p: usize| {
                let yielding = move |memory: &Memory| memory.pc[p] == Place::Yielding;
                let critical = move |memory: &Memory| memory.pc[p] == Place::Critical;
                Property::leads_to(format!("RequestsEnter({p})"), yielding, critical)
            };
            [0, 1].map(enters).into()
        },
    )
}

/// `SomebodyEnters`.
pub(crate) fn somebody_enters() -> Outcome {
    let fairness = fairness(Fairness::Weak);
    decide(
        &Peterson,
        |_, action| Some(*action),
        fairness,
        || {
            let critical = |memory: &Memory| memory.pc.contains(&Place::Critical);
            vec![Property::eventually("SomebodyEnters", critical)]
        },
    )
}
