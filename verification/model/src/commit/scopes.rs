//! The bounds within which two-phase commit is checked.

use super::{Begun, CommitModel, Limits};
use crate::Scope;
use quorate_commit::Mode;

/// The configurations of a scope.
pub fn scope(scope: Scope) -> Vec<CommitModel> {
    let configurations = match scope {
        Scope::Quick => quick(),
        Scope::Ci => [quick(), ci()].concat(),
        Scope::Deep => deep(),
    };
    let models = configurations.into_iter();
    models
        .map(|(name, limits)| CommitModel::new(name, limits))
        .collect()
}

/// A coordinator that takes no part itself, and two participants.
pub(super) fn base() -> Limits {
    Limits {
        nodes: 3,
        transactions: vec![(1, vec![2, 3])],
        mode: Mode::Blocking,
        refusals: 0,
        questions: 0,
        impatience: true,
        remembered: 1,
        crashes: 0,
        steady: Vec::new(),
        duplications: 0,
        in_flight: 4,
        unsynced: 2,
        promises: 4,
        rounds: 0,
        begun: Begun::Not,
        away: Vec::new(),
    }
}

/// A coordinator that takes part, and another participant.
fn pair() -> Limits {
    Limits {
        nodes: 2,
        transactions: vec![(1, vec![1, 2])],
        ..base()
    }
}

/// Consensus of all three decides.
fn agreed() -> Limits {
    Limits {
        mode: Mode::NonBlocking,
        impatience: false,
        crashes: 1,
        in_flight: 2,
        unsynced: 1,
        promises: 5,
        rounds: 1,
        ..base()
    }
}

fn quick() -> Vec<(&'static str, Limits)> {
    vec![
        (
            "all vote yes and nothing fails",
            Limits {
                impatience: false,
                ..base()
            },
        ),
        (
            "a vote against and lost messages",
            Limits {
                refusals: 1,
                in_flight: 3,
                ..base()
            },
        ),
        (
            "a coordinator that takes part, and a crash",
            Limits {
                crashes: 1,
                ..pair()
            },
        ),
        (
            "two participants and a crash",
            Limits {
                crashes: 1,
                in_flight: 2,
                unsynced: 1,
                ..base()
            },
        ),
        (
            "a caller that asks, and a crash",
            Limits {
                questions: 1,
                remembered: 0,
                crashes: 1,
                in_flight: 2,
                ..pair()
            },
        ),
    ]
}

fn ci() -> Vec<(&'static str, Limits)> {
    vec![
        (
            "two participants, a crash, and more on its way",
            Limits {
                crashes: 1,
                in_flight: 3,
                ..base()
            },
        ),
        (
            "a caller that asks, nothing remembered, and two crashes",
            Limits {
                questions: 2,
                remembered: 0,
                crashes: 2,
                in_flight: 3,
                ..pair()
            },
        ),
        (
            "duplicates, a vote against and a crash",
            Limits {
                refusals: 1,
                crashes: 1,
                duplications: 1,
                in_flight: 2,
                ..pair()
            },
        ),
        (
            "two transactions that share their participants",
            Limits {
                transactions: vec![(1, vec![1, 2]), (1, vec![1, 2])],
                in_flight: 2,
                unsynced: 1,
                ..pair()
            },
        ),
        (
            "two coordinators and a crash",
            Limits {
                transactions: vec![(1, vec![2]), (2, vec![1])],
                crashes: 1,
                in_flight: 2,
                unsynced: 1,
                ..pair()
            },
        ),
        (
            "decided by consensus, and a coordinator that crashes",
            Limits {
                steady: vec![2, 3],
                ..agreed()
            },
        ),
    ]
}

fn deep() -> Vec<(&'static str, Limits)> {
    vec![
        (
            "three participants, one of them the coordinator, and a crash",
            Limits {
                transactions: vec![(1, vec![1, 2, 3])],
                crashes: 1,
                in_flight: 2,
                ..base()
            },
        ),
        (
            "two participants and two crashes",
            Limits {
                crashes: 2,
                in_flight: 3,
                ..base()
            },
        ),
        ("decided by consensus, and a crash", agreed()),
        (
            "decided by consensus, and more on its way",
            Limits {
                in_flight: 3,
                ..agreed()
            },
        ),
    ]
}
