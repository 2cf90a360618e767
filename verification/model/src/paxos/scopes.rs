//! The bounds within which Paxos is checked.

use super::{Limits, Op, PaxosModel};
use crate::Scope;

impl Default for Limits {
    /// Three nodes, two of which propose, and a network and disks that do nothing bad.
    fn default() -> Self {
        Limits {
            nodes: 3,
            scripts: vec![vec![Op::Propose(1, 1)], vec![Op::Propose(1, 2)]],
            homes: Vec::new(),
            rounds: 2,
            retries: 0,
            releases: 0,
            crashes: 0,
            duplications: 0,
            in_flight: 3,
            unsynced: 1,
            repeats: false,
            late_answers: false,
        }
    }
}

/// The configurations of a scope. Each looks at one thing, widely enough for it to go wrong: bounds that
/// are wide everywhere at once would be out of reach.
///
/// Messages are reordered and lost in all of them; crash, duplication and retries are on where the name
/// says so.
pub fn scope(scope: Scope) -> Vec<PaxosModel> {
    let configurations = match scope {
        Scope::Quick => quick(),
        Scope::Ci => [quick(), ci()].concat(),
        Scope::Deep => deep(),
    };
    let models = configurations.into_iter();
    models
        .map(|(name, limits)| PaxosModel::new(name, limits))
        .collect()
}

type Configurations = Vec<(&'static str, Limits)>;

fn base() -> Limits {
    Limits {
        in_flight: 2,
        ..Limits::default()
    }
}

/// Clients at nodes 1, 2 and so on that propose their own numbers.
fn proposers(clients: u8) -> Vec<Vec<Op>> {
    (1..=clients)
        .map(|value| vec![Op::Propose(1, value)])
        .collect()
}

fn quick() -> Configurations {
    vec![
        ("two proposers", base()),
        (
            "one proposer, one reader",
            Limits {
                scripts: vec![vec![Op::Propose(1, 1)], vec![Op::Read(1)]],
                unsynced: 2,
                ..base()
            },
        ),
        (
            "two nodes, one of which proposes and crashes",
            Limits {
                nodes: 2,
                scripts: proposers(1),
                retries: 1,
                crashes: 1,
                ..base()
            },
        ),
        (
            "two nodes",
            Limits {
                nodes: 2,
                rounds: 3,
                in_flight: 4,
                ..base()
            },
        ),
        (
            "one node with crashes",
            Limits {
                nodes: 1,
                scripts: vec![vec![Op::Read(1), Op::Propose(1, 1), Op::Read(1)]],
                rounds: 3,
                crashes: 3,
                unsynced: 2,
                ..base()
            },
        ),
    ]
}

fn ci() -> Configurations {
    vec![
        ("two proposers, three messages in flight", Limits::default()),
        (
            "two proposers and a crash",
            Limits {
                crashes: 1,
                ..base()
            },
        ),
        (
            "a read that joins another, beside a proposal",
            Limits {
                scripts: vec![
                    vec![Op::Propose(1, 1)],
                    vec![Op::Read(1)],
                    vec![Op::Read(1)],
                ],
                homes: vec![1, 2, 2],
                ..base()
            },
        ),
        (
            "a proposer and a reader, and a crash",
            Limits {
                scripts: vec![vec![Op::Propose(1, 1)], vec![Op::Read(1), Op::Read(1)]],
                crashes: 1,
                ..base()
            },
        ),
        (
            "two proposers whose messages arrive twice",
            Limits {
                duplications: 1,
                ..base()
            },
        ),
        (
            "a proposer that asks again",
            Limits {
                scripts: proposers(1),
                repeats: true,
                ..base()
            },
        ),
        (
            "two proposers, and answers that come late",
            Limits {
                late_answers: true,
                ..base()
            },
        ),
        (
            "two proposers, and a release",
            Limits {
                releases: 1,
                ..base()
            },
        ),
        (
            "two decisions",
            Limits {
                scripts: vec![
                    vec![Op::Propose(1, 1), Op::Read(2)],
                    vec![Op::Propose(2, 2), Op::Read(1)],
                ],
                rounds: 1,
                ..base()
            },
        ),
        (
            "four nodes, whose messages arrive twice",
            Limits {
                nodes: 4,
                duplications: 1,
                ..base()
            },
        ),
    ]
}

fn deep() -> Configurations {
    vec![
        (
            "three proposers",
            Limits {
                scripts: proposers(3),
                ..base()
            },
        ),
        (
            "two proposers and two crashes",
            Limits {
                crashes: 2,
                ..base()
            },
        ),
        (
            "a proposer, and readers that crash",
            Limits {
                scripts: vec![
                    vec![Op::Propose(1, 1)],
                    vec![Op::Read(1)],
                    vec![Op::Read(1)],
                ],
                homes: vec![1, 2, 2],
                crashes: 1,
                ..base()
            },
        ),
        ("five nodes", Limits { nodes: 5, ..base() }),
    ]
}
