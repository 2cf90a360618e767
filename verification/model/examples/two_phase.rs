//! Two-phase commit as in `specs/fair/TwoPhase.tla`, by stateright's breadth-first search and by the graph of
//! `quorate-fair`: the same number of distinct states as TLC finds, and what they cost.
//!
//! ```text
//! cargo run --release -p quorate-model --example two_phase -- 8 [threads]
//! ```

#![expect(
    clippy::print_stdout,
    reason = "a program that prints its measurements"
)]

use quorate_fair::Explorer;
use stateright::{Checker, Model, Property};
use std::error::Error;
use std::time::Instant;

/// Resource managers, each a bit; the transaction manager; all that was ever sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct State {
    prepared: u16,
    committed: u16,
    aborted: u16,
    /// Whose preparedness was sent, and whose the transaction manager has heard of.
    said: u16,
    heard: u16,
    /// To commit or not.
    decision: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Decide(bool),
    Hear(u16),
    Prepare(u16),
    GiveUp(u16),
    Learn(u16),
}

/// So many resource managers.
struct TwoPhase(u8);

impl Model for TwoPhase {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.decision.is_none() {
            actions.push(Action::Decide(false));
            if state.heard == (1 << self.0) - 1 {
                actions.push(Action::Decide(true));
            }
        }
        let done = state.prepared | state.committed | state.aborted;
        for manager in (0..self.0).map(|manager| 1 << manager) {
            if done & manager == 0 {
                actions.extend([Action::Prepare(manager), Action::GiveUp(manager)]);
            }
            match state.decision {
                None if state.said & !state.heard & manager != 0 => {
                    actions.push(Action::Hear(manager));
                }
                None => {}
                Some(_) => actions.push(Action::Learn(manager)),
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        match action {
            Action::Decide(what) => next.decision = Some(what),
            Action::Hear(manager) => next.heard |= manager,
            Action::Prepare(manager) => {
                next.prepared |= manager;
                next.said |= manager;
            }
            Action::GiveUp(manager) => next.aborted |= manager,
            Action::Learn(manager) => {
                next.prepared &= !manager;
                next.committed &= !manager;
                next.aborted &= !manager;
                match state.decision {
                    Some(true) => next.committed |= manager,
                    _ => next.aborted |= manager,
                }
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("consistent", |_, state: &State| {
            state.committed == 0 || state.aborted == 0
        })]
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let managers: u8 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let threads: usize = arguments.next().map_or(Ok(2), |text| text.parse())?;
    if !(1..=15).contains(&managers) {
        return Err("between 1 and 15 resource managers".into());
    }
    let begun = Instant::now();
    let checker = TwoPhase(managers).checker().threads(threads);
    let checker = checker.spawn_bfs().join();
    checker.assert_properties();
    let (unique, states) = (checker.unique_state_count(), checker.state_count());
    let rate = states as f64 / begun.elapsed().as_secs_f64();
    println!(
        "stateright, breadth first: {unique} distinct, {states} generated, {rate:.0} a second on {threads} threads"
    );
    drop(checker);

    let begun = Instant::now();
    let model = TwoPhase(managers);
    let explored = Explorer::new(&model, |_, _| None::<()>).explore();
    let size = explored?.size();
    let rate = size.edges as f64 / begun.elapsed().as_secs_f64();
    println!(
        "quorate-fair, whole graph: {} distinct, {} edges, {rate:.0} a second on one thread, {:.1} bytes a state, {:.1} an edge",
        size.states,
        size.edges,
        size.state_bytes as f64 / size.states as f64,
        size.edge_bytes as f64 / size.edges as f64,
    );
    Ok(())
}
