//! The model: who asks what, and what must hold.

use crate::register::{Command, Config, Held, Output, Register};
use quorate::simulator::{self, Random};
use quorate::{Bounds, Scenario, State};

/// Three nodes; a client writes to any of them, and an operator promotes one that need not be the
/// right one, at a moment that need not be the right one.
pub fn scenario(copies: usize) -> Scenario<Register> {
    let config = |me, nodes: &[_]| Config {
        me,
        nodes: nodes.to_vec(),
        copies,
    };
    Scenario::new("three nodes", 3, config)
        .bounds(Bounds {
            in_flight: 2,
            unsynced: 1,
            ..Bounds::default()
        })
        .client([Command::Write(5)])
        .client([Command::Promote])
        .always(KEPT, |state| {
            acknowledged(state).all(|safe| state.machines().all(|node| !lacks(&node.held, safe)))
        })
        .sometimes("a write is acknowledged in the first view", |state| {
            acknowledged(state).any(|held| held.view == 0 && held.value == 5)
        })
        .sometimes("and again in a later one", |state| {
            acknowledged(state).any(|held| held.view > 0 && held.value == 5)
        })
}

/// The same nodes in virtual time, for much longer: many writes, now and then a promotion.
pub fn simulation(copies: usize) -> simulator::Scenario<Register> {
    let config = |me, nodes: &[_]| Config {
        me,
        nodes: nodes.to_vec(),
        copies,
    };
    let ask = |random: &mut Random| match random.below(10) {
        0 => Command::Promote,
        1 | 2 => Command::Read,
        _ => Command::Write(random.below(100) as u32),
    };
    simulator::Scenario::<Register>::new(3, config)
        .client(ask)
        .client(ask)
        .always(KEPT, |view, told| {
            let mut safe = told.iter().filter_map(|(_, output)| written(output));
            safe.all(|safe| view.machines().all(|(_, node)| !lacks(&node.held, safe)))
        })
}

const KEPT: &str = "a later primary has every acknowledged write";

fn lacks(ours: &Held, safe: &Held) -> bool {
    ours.view > safe.view && ours.write < safe.write
}

fn written(output: &Output) -> Option<&Held> {
    match output {
        Output::Written(held) => Some(held),
        _ => None,
    }
}

/// Whatever was acknowledged so far.
fn acknowledged(state: &State<Scenario<Register>>) -> impl Iterator<Item = &Held> {
    let told = state.clients().told();
    told.filter_map(written)
}
