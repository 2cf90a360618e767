//! The bounds within which assembly is checked.

use super::{AssemblyModel, Limits};
use crate::Scope;

/// The configurations of a scope. Spans come in any order in all of them.
pub fn scope(scope: Scope) -> Vec<AssemblyModel> {
    let configurations = match scope {
        Scope::Quick => quick(),
        Scope::Ci => [quick(), ci()].concat(),
        Scope::Deep => deep(),
    };
    let models = configurations.into_iter();
    models
        .map(|(name, limits)| AssemblyModel::new(name, limits))
        .collect()
}

/// A root, its child, and a child of that.
fn chain() -> Vec<(u8, u8, u8)> {
    vec![(1, 1, 0), (1, 2, 1), (1, 3, 2)]
}

fn base() -> Limits {
    Limits {
        spans: chain(),
        duplicates: 0,
        evictions: 0,
        crashes: 0,
        unsynced: 2,
    }
}

fn quick() -> Vec<(&'static str, Limits)> {
    vec![
        (
            "a trace and a crash",
            Limits {
                crashes: 1,
                ..base()
            },
        ),
        (
            "a trace, a duplicate, an eviction and a crash",
            Limits {
                duplicates: 1,
                evictions: 1,
                crashes: 1,
                ..base()
            },
        ),
        (
            "two spans that name each other",
            Limits {
                spans: vec![(1, 1, 2), (1, 2, 1)],
                crashes: 1,
                ..base()
            },
        ),
        (
            "two spans that share an identifier",
            Limits {
                spans: vec![(1, 1, 0), (1, 2, 1), (1, 12, 1)],
                duplicates: 1,
                crashes: 1,
                ..base()
            },
        ),
        (
            "two traces",
            Limits {
                spans: vec![(1, 1, 0), (1, 2, 1), (2, 1, 0), (2, 2, 1)],
                ..base()
            },
        ),
    ]
}

fn ci() -> Vec<(&'static str, Limits)> {
    vec![
        (
            "a trace of four spans, deep writes and a crash",
            Limits {
                spans: vec![(1, 1, 0), (1, 2, 1), (1, 3, 1), (1, 4, 3)],
                crashes: 1,
                unsynced: 3,
                ..base()
            },
        ),
        (
            "a trace of four spans, an eviction and a crash",
            Limits {
                spans: vec![(1, 1, 0), (1, 2, 1), (1, 3, 1), (1, 4, 3)],
                evictions: 1,
                crashes: 1,
                ..base()
            },
        ),
        (
            "a trace, a duplicate and two crashes",
            Limits {
                duplicates: 1,
                crashes: 2,
                ..base()
            },
        ),
        (
            "two traces and a crash",
            Limits {
                spans: vec![(1, 1, 0), (1, 2, 1), (2, 1, 0), (2, 2, 1)],
                crashes: 1,
                ..base()
            },
        ),
    ]
}

fn deep() -> Vec<(&'static str, Limits)> {
    vec![
        (
            "four spans, a duplicate, an eviction and crashes",
            Limits {
                spans: vec![(1, 1, 0), (1, 2, 1), (1, 3, 1), (1, 4, 3)],
                duplicates: 1,
                evictions: 1,
                crashes: 2,
                ..base()
            },
        ),
        (
            "two traces, a duplicate, an eviction and a crash",
            Limits {
                spans: vec![(1, 1, 0), (1, 2, 1), (1, 3, 2), (2, 1, 0), (2, 2, 1)],
                duplicates: 1,
                evictions: 1,
                crashes: 1,
                ..base()
            },
        ),
    ]
}
