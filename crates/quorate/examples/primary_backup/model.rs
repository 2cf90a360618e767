//! The model: who asks what, and what must hold.

use crate::register::{Command, Config, Held, Output, Register};
use quorate::{Bounds, Scenario, State};

/// Three nodes; a client writes to any of them, and an operator promotes one that need not be the
/// right one, at a moment that need not be the right one.
pub fn scenario(copies: usize) -> Scenario<Register> {
    let config = |me, nodes: &[_]| Config {
        me,
        nodes: nodes.to_vec(),
        copies,
    };
    Scenario::new("primary-backup", 3, config)
        .bounds(Bounds {
            in_flight: 2,
            unsynced: 1,
            ..Bounds::default()
        })
        .client([Command::Write(5)])
        .client([Command::Promote])
        .always("a later primary has every acknowledged write", |state| {
            let lacks = |ours: &Held, safe: &Held| ours.view > safe.view && ours.write < safe.write;
            acknowledged(state).all(|safe| state.machines().all(|node| !lacks(&node.held, safe)))
        })
        .sometimes("a write is acknowledged in the first view", |state| {
            acknowledged(state).any(|held| held.view == 0 && held.value == 5)
        })
        .sometimes("and again in a later one", |state| {
            acknowledged(state).any(|held| held.view > 0 && held.value == 5)
        })
}

/// Whatever was acknowledged so far.
fn acknowledged(state: &State<Scenario<Register>>) -> impl Iterator<Item = &Held> {
    let told = state.clients().told();
    told.filter_map(|output| match output {
        Output::Written(held) => Some(held),
        _ => None,
    })
}
