//! What must hold of Raft in every state, and what must be reachable.

use super::{Digits, Limits, Op, RaftModel};
use crate::{Node, Property, Protocol, State};
use quorate_raft::{Durable, Raft, Term, invariants};

type Found = State<RaftModel>;

fn pairs(state: &Found) -> impl Iterator<Item = (&Raft<Digits>, &Raft<Digits>)> {
    let machines: Vec<_> = state.machines().collect();
    let seconds = machines.clone();
    machines
        .into_iter()
        .enumerate()
        .flat_map(move |(slot, one)| {
            let others: Vec<_> = seconds[slot + 1..].to_vec();
            others.into_iter().map(move |other| (one, other))
        })
}

/// Row by row the paper's Figure 3, and what clients rely on. What a single step must not do (terms
/// and commit go back, a leader overwrites its log, a committed entry changes, two leaders of one term
/// at different times) is refused as it happens, by [`Protocol::stepped`].
pub(super) fn safety() -> Vec<Property<RaftModel>> {
    vec![
        Property::always("election safety", |state: &Found, _| {
            invariants::election_safety(state.machines())
        }),
        Property::always("a term begins with a candidate", |state: &Found, model| {
            begun_by_a_candidate(state, model)
        }),
        Property::always("log matching", |state: &Found, _| {
            pairs(state).all(|(a, b)| invariants::log_matching(a.log(), b.log()))
        }),
        Property::always("leader completeness", |state: &Found, _| {
            let clients = state.clients();
            let committed = clients.positions();
            state.machines().all(|raft| {
                // Later terms commit later.
                let earlier = clients
                    .committed_in
                    .partition_point(|term| *term < raft.term());
                invariants::leader_completeness(raft, &committed[..earlier])
            })
        }),
        Property::always("state-machine safety", |state: &Found, _| {
            pairs(state).all(|(a, b)| invariants::state_machine_safety(a, b))
        }),
        Property::always("committed is durable", |state: &Found, _| {
            let disks: Vec<_> = state.nodes().map(|node| &node.durable().log).collect();
            invariants::committed_is_durable(&state.clients().positions(), &disks)
        }),
        Property::always("memory and disk agree once synced", |state: &Found, _| {
            let mut running = state.nodes().filter_map(Node::up);
            running.all(|up| !up.unsynced.is_empty() || believes(&up.machine, &up.durable))
        }),
        Property::always("clients see a linearizable history", |state: &Found, _| {
            state.clients().linearizable
        }),
        Property::always("a retry gets the first answer", |state: &Found, _| {
            state.clients().steady
        }),
        Property::always("each command is applied once", |state: &Found, _| {
            let mut machines = state.machines();
            machines.all(|raft| distinct_digits(raft.replicated().state.0))
        }),
    ]
}

/// Whether somebody voted for itself in the latest term that a node is in: a term is entered to stand
/// in it, or on hearing of one who does. Asking before (pre-vote) is not enough.
fn begun_by_a_candidate(state: &Found, model: &RaftModel) -> bool {
    let nodes = || model.nodes().iter().zip(state.nodes());
    let votes = nodes().flat_map(|(&id, node)| {
        let disk = node.durable();
        let memory = node.machine().map(|raft| (raft.term(), raft.vote()));
        let votes = memory.into_iter().chain([(disk.term, disk.vote)]);
        votes.map(move |(term, vote)| (term, vote == Some(id)))
    });
    // Ordered by term; in one term, a vote for itself is the greater.
    let latest = votes.max().unwrap_or_default();
    latest.0 == Term(0) || latest.1
}

/// Whether a restart would find what `raft` believes.
fn believes(raft: &Raft<Digits>, disk: &Durable<u8>) -> bool {
    raft.term() == disk.term && raft.vote() == disk.vote && *raft.log() == disk.log
}

/// Every client appends digits of its own, each once: a digit that is there twice was applied twice.
fn distinct_digits(mut digits: u64) -> bool {
    let mut seen = 0_u16;
    while digits > 0 {
        let bit = 1 << (digits % 10);
        if seen & bit != 0 {
            return false;
        }
        seen |= bit;
        digits /= 10;
    }
    true
}

/// Evidence that the model reaches what it is there to explore.
pub(super) fn reachable(limits: &Limits) -> Vec<Property<RaftModel>> {
    let mut all = vec![Property::sometimes(
        "a leader is elected",
        |s: &Found, _| s.machines().any(Raft::is_leader),
    )];
    if limits.terms > 1 {
        all.push(Property::sometimes(
            "two nodes lead in different terms at once",
            |s: &Found, _| s.machines().filter(|raft| raft.is_leader()).count() > 1,
        ));
        all.push(Property::sometimes(
            "a new leader leaves uncommitted entries behind",
            |s: &Found, _| s.machines().any(|leader| leaves_behind(leader, s)),
        ));
        all.push(Property::sometimes(
            "a later term commits",
            |s: &Found, _| {
                let last = s.clients().committed.last();
                last.is_some_and(|entry| entry.term > Term(1))
            },
        ));
    }
    let ops: Vec<Op> = limits.scripts.iter().flatten().copied().collect();
    if ops.iter().any(|op| matches!(op, Op::Append(_))) {
        all.push(Property::sometimes(
            "every client has all its answers",
            |s: &Found, model: &RaftModel| {
                let clients = s.clients().clients.iter().zip(&model.scripts);
                clients
                    .into_iter()
                    .all(|(c, script)| c.answers.len() == script.len())
            },
        ));
    }
    if ops.contains(&Op::Read) {
        all.push(Property::sometimes(
            "a read sees a write, by read index",
            |s: &Found, model: &RaftModel| {
                let clients = s.clients().clients.iter().zip(&model.scripts);
                clients.into_iter().any(|(client, script)| {
                    let answers = client.answers.iter().zip(script);
                    answers.into_iter().any(|(a, op)| *op == Op::Read && *a > 0)
                })
            },
        ));
    }
    if limits.retries > 0 && ops.iter().any(|op| matches!(op, Op::Append(_))) {
        all.push(Property::sometimes(
            "a retried command is answered from its session",
            |s: &Found, _| s.clients().repeated,
        ));
    }
    if limits.open_sessions {
        all.push(Property::sometimes("a session expires", |s: &Found, _| {
            s.clients().expired
        }));
    }
    all
}

/// Whether `leader` lacks an entry that another node got in an earlier term.
fn leaves_behind(leader: &Raft<Digits>, state: &Found) -> bool {
    leader.is_leader()
        && state.machines().any(|other| {
            let last = other.log().last();
            last.term < leader.term() && !leader.log().contains(last)
        })
}
