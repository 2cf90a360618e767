//! The protocols that are simulated here.

use crate::assembly::AssemblyNode;
use crate::broadcast::{self, BroadcastGroup};
use crate::commit::{self, CommitGroup};
use crate::paxos::{self, PaxosGroup};
use crate::raft::{Canary, RaftGroup};
use crate::report::RunReport;
use crate::run::{Plan, run};

/// A protocol of [`PROTOCOLS`].
#[derive(Clone, Copy)]
pub struct Registered {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is simulated, in a line.
    pub about: &'static str,
    /// Whether it is broken on purpose: a simulator that finds nothing in it is no good.
    pub canary: bool,
    /// One run.
    pub run: fn(&Plan) -> RunReport,
}

/// Every protocol that is simulated here; a new one adds its line.
pub const PROTOCOLS: &[Registered] = &[
    Registered {
        name: "raft",
        about: "three or five nodes and clients of a replicated ledger",
        canary: false,
        run: |plan| run(plan, |random| RaftGroup::drawn(random, Canary::None)),
    },
    Registered {
        name: "paxos",
        about: "three or five nodes that make decisions, and clients that propose and read",
        canary: false,
        run: |plan| {
            run(plan, |random| {
                PaxosGroup::drawn(random, paxos::Canary::None)
            })
        },
    },
    Registered {
        name: "assembly",
        about: "one node that assembles traces, and senders of spans",
        canary: false,
        run: |plan| run(plan, AssemblyNode::drawn),
    },
    Registered {
        name: "broadcast",
        about: "two to five members of a causal broadcast, and applications that answer each other",
        canary: false,
        run: |plan| {
            run(plan, |random| {
                BroadcastGroup::drawn(random, broadcast::Canary::None)
            })
        },
    },
    Registered {
        name: "broadcast-amnesia",
        about: "canary: a member of a causal broadcast comes back with an empty disk",
        canary: true,
        run: |plan| {
            run(plan, |random| {
                BroadcastGroup::drawn(random, broadcast::Canary::Amnesia)
            })
        },
    },
    Registered {
        name: "commit",
        about: "two to five nodes that commit transactions, their resources and callers",
        canary: false,
        run: |plan| {
            run(plan, |random| {
                CommitGroup::drawn(random, commit::Canary::None)
            })
        },
    },
    Registered {
        name: "commit-amnesia",
        about: "canary: a coordinator forgets at a restart what it has committed",
        canary: true,
        run: |plan| {
            run(plan, |random| {
                CommitGroup::drawn(random, commit::Canary::Amnesia)
            })
        },
    },
    Registered {
        name: "raft-amnesia",
        about: "canary: a node forgets at a restart for whom it has voted",
        canary: true,
        run: |plan| run(plan, |random| RaftGroup::drawn(random, Canary::Amnesia)),
    },
    Registered {
        name: "raft-lying-disks",
        about: "canary: disks say that they have what they do not have yet",
        canary: true,
        run: |plan| run(plan, |random| RaftGroup::drawn(random, Canary::LyingDisks)),
    },
    Registered {
        name: "paxos-amnesia",
        about: "canary: a node forgets at a restart what it has promised and accepted",
        canary: true,
        run: |plan| {
            run(plan, |random| {
                PaxosGroup::drawn(random, paxos::Canary::Amnesia)
            })
        },
    },
];
