//! The bounds within which causal broadcast is checked.

use super::{BroadcastModel, Limits};
use crate::Scope;

impl Default for Limits {
    /// Three members; the first asks, the second answers; a network and disks that do nothing bad.
    fn default() -> Self {
        Limits {
            broadcasts: vec![1, 1, 0],
            consumers: Vec::new(),
            batch: 1,
            window: 2,
            replies: true,
            repairers: Vec::new(),
            repair_freely: false,
            crashes: 0,
            crashing: Vec::new(),
            duplications: 0,
            in_flight: 3,
            unsynced: 1,
            waiting: 4,
        }
    }
}

/// The configurations of a scope. Each looks at one thing, widely enough for it to go wrong.
///
/// Messages are reordered and lost in all of them; crash, repair and duplication are on where the name
/// says so.
pub fn scope(scope: Scope) -> Vec<BroadcastModel> {
    let configurations = match scope {
        Scope::Quick => quick(),
        Scope::Ci => [quick(), ci()].concat(),
        Scope::Deep => deep(),
    };
    let models = configurations.into_iter();
    models
        .map(|(name, limits)| BroadcastModel::new(name, limits))
        .collect()
}

fn quick() -> Vec<(&'static str, Limits)> {
    vec![
        ("a question and its answer", Limits::default()),
        (
            "two members, batches and a full window",
            Limits {
                broadcasts: vec![3, 0],
                batch: 2,
                in_flight: 2,
                consumers: vec![1, 2],
                ..Limits::default()
            },
        ),
        (
            "two members, repair and a crash",
            Limits {
                broadcasts: vec![1, 1],
                repairers: vec![1, 2],
                crashes: 1,
                crashing: vec![1],
                in_flight: 2,
                ..Limits::default()
            },
        ),
        (
            "a message outlives its sender",
            Limits {
                broadcasts: vec![1, 0, 0],
                repairers: vec![2],
                crashes: 1,
                crashing: vec![1],
                in_flight: 2,
                ..Limits::default()
            },
        ),
    ]
}

fn ci() -> Vec<(&'static str, Limits)> {
    vec![
        (
            "concurrent messages",
            Limits {
                replies: false,
                in_flight: 2,
                ..Limits::default()
            },
        ),
        (
            "a duplicate",
            Limits {
                duplications: 1,
                ..Limits::default()
            },
        ),
        (
            "a question, its answer and a crash",
            Limits {
                crashes: 1,
                crashing: vec![2],
                in_flight: 2,
                ..Limits::default()
            },
        ),
        (
            "two members, everything consumed and collected, a crash",
            Limits {
                broadcasts: vec![2, 0],
                consumers: vec![1, 2],
                repairers: vec![1],
                crashes: 1,
                crashing: vec![2],
                in_flight: 2,
                ..Limits::default()
            },
        ),
    ]
}

fn deep() -> Vec<(&'static str, Limits)> {
    vec![
        (
            "a question, its answer, repair and a crash",
            Limits {
                repairers: vec![1],
                crashes: 1,
                crashing: vec![2],
                in_flight: 2,
                ..Limits::default()
            },
        ),
        (
            "three concurrent messages",
            Limits {
                broadcasts: vec![1, 1, 1],
                replies: false,
                in_flight: 2,
                ..Limits::default()
            },
        ),
        (
            "a message outlives its sender, everybody repairs and may crash",
            Limits {
                broadcasts: vec![1, 0, 0],
                repairers: vec![1, 2, 3],
                crashes: 1,
                crashing: vec![1, 2, 3],
                in_flight: 2,
                ..Limits::default()
            },
        ),
    ]
}
