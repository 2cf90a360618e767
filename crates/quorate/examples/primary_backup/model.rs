//! The model: who asks what, and what must hold.

use crate::register::{Command, Config, Held, Output, Register};
use quorate::simulator::{self, Random};
use quorate::{Bounds, Fairness, Pattern, Scenario, State};

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

/// What must happen in the end: a write that the primary has on its disk is acknowledged, although nodes
/// crash and messages are lost, since the primary repeats what is not confirmed.
pub fn progress(copies: usize) -> Scenario<Register> {
    let config = |me, nodes: &[_]| Config {
        me,
        nodes: nodes.to_vec(),
        copies,
    };
    Scenario::new("a write, a crash and a loss", 3, config)
        .bounds(Bounds {
            in_flight: 6, // what is beyond is cut off, not lost
            unsynced: 1,
            ..Bounds::default()
        })
        .client([Command::Write(5)])
        .losses(1)
        .leads_to(ACKNOWLEDGED, is_written, |state| {
            acknowledged(state).next().is_some()
        })
        .lively(|liveness| {
            liveness.without("repeating", ACKNOWLEDGED, Pattern::timers(), Fairness::None)
        })
}

/// Whether a write is on some disk; the first to have it is the primary's.
fn is_written(state: &State<Scenario<Register>>) -> bool {
    state.nodes().any(|node| node.durable().write > 0)
}

const ACKNOWLEDGED: &str = "what the primary has on its disk is acknowledged";

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
