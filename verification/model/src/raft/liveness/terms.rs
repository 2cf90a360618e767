//! States of Raft without the numbers of their terms.
//!
//! Terms only grow, so an election that fails for ever never comes back to a state: in the model as it is,
//! no cycle could show it. But Raft never asks what number a term has. It asks which of two terms is later,
//! whether they are the same, and, of the terms that elections are about (those of nodes, disks and
//! messages), whether one is the next after another. The terms of log entries and of positions in logs are
//! only ever compared.
//!
//! So states are taken for one if they agree after **renumbering**: let *m* be the lowest term that an
//! election is about. Terms from *m* on are moved down together, which keeps their distances; terms below
//! *m*, which only log entries have, are numbered 1, 2, 3 in their order; *m* comes next. It is a
//! bisimulation: what the machine does in one of two such states it does in the other, with the terms of
//! the other. A test here runs two systems whose terms differ side by side, step by step.

use super::RaftLiveness;
use crate::liveness::digest as digest_of;
use crate::raft::Digits;
use crate::{Node, State, Up};
use quorate_machine::{NodeId, Promise};
use quorate_raft::{
    Entry, Index, Message, Output, Position, Raft, Record, Replicated, Role, Term, Timer,
};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What of a state makes a difference: digests of its parts after renumbering.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Essence {
    nodes: Vec<u128>,
    /// Sorted: the order in a state is that of its own hashes.
    network: Vec<u128>,
    clients: u64,
    crashes: u8,
}

/// The essence of a state. Crashes count if there is a limit to them.
pub(super) fn essence(model: &RaftLiveness, state: &State<RaftLiveness>) -> Essence {
    let renumbering = Renumbering::of(state);
    let mut known = model
        .digests
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let known = known.entry(renumbering.clone()).or_default();
    let nodes = state.nodes.iter().map(|node| {
        let digest = known.nodes.entry(node.cached_hash());
        *digest.or_insert_with(|| digest_of(&renumbering.node(node)))
    });
    let nodes = nodes.collect();
    let network = state.network.iter().map(|envelope| {
        let digest = known.envelopes.entry(envelope.cached_hash());
        *digest.or_insert_with(|| {
            let message = renumbering.message(&envelope.message);
            digest_of(&(envelope.from, envelope.to, message))
        })
    });
    let mut network: Vec<u128> = network.collect();
    network.sort_unstable();
    let unlimited = model.limits.crashes == u8::MAX;
    Essence {
        nodes,
        network,
        clients: state.clients.cached_hash(),
        crashes: if unlimited { 0 } else { state.spent().crashes },
    }
}

/// The digests of the parts of states, by renumbering and by hash: there are far fewer parts than states.
#[derive(Default)]
pub(super) struct Digests(Mutex<HashMap<Renumbering, Parts>>);

#[derive(Default)]
struct Parts {
    nodes: HashMap<u64, u128>,
    envelopes: HashMap<u64, u128>,
}

#[derive(PartialEq, Eq, Hash)]
enum EssentialNode {
    Up(Box<Running>),
    Down(Disk),
    Failed,
}

#[derive(PartialEq, Eq, Hash)]
struct Disk {
    term: Term,
    vote: Option<NodeId>,
    log: Vec<Entry<u8>>,
}

/// Everything that [`Up`] and [`Raft`] have. A leader's own state knows of no terms.
#[derive(PartialEq, Eq, Hash)]
struct Running {
    term: Term,
    vote: Option<NodeId>,
    log: Vec<Entry<u8>>,
    commit: Index,
    role: Role<Digits>,
    leader: Option<NodeId>,
    replicated: Replicated<Digits>,
    disk: Disk,
    unsynced: Vec<Vec<Record<u8>>>,
    waiting: Vec<(u64, Promise<Raft<Digits>>)>,
    timers: Vec<Timer>,
}

/// How far apart the terms are that elections are about.
pub(super) fn spread(state: &State<RaftLiveness>) -> u64 {
    let mut terms = Vec::new();
    live_terms(state, &mut terms);
    let (low, high) = (terms.iter().min(), terms.iter().max());
    low.zip(high).map_or(0, |(low, high)| high.0 - low.0)
}

/// The terms that elections are about.
fn live_terms(state: &State<RaftLiveness>, out: &mut Vec<Term>) {
    out.extend(state.network().map(|envelope| envelope.message.term()));
    for node in state.nodes() {
        out.push(node.durable().term);
        let Some(up) = node.up() else {
            continue;
        };
        out.push(up.machine.term());
        let records = up.unsynced.iter().flatten();
        out.extend(records.filter_map(|record| match record {
            Record::Vote { term, .. } => Some(*term),
            Record::Append { .. } => None,
        }));
        out.extend(up.gate.waiting().filter_map(|promise| match promise {
            Promise::Send { message, .. } => Some(message.term()),
            Promise::Output(Output::Became { term, .. }) => Some(*term),
            Promise::Output(_) => None,
        }));
    }
}

/// The terms of entries and positions: of logs, and of what is said of logs.
fn log_terms(state: &State<RaftLiveness>, out: &mut Vec<Term>) {
    for envelope in state.network() {
        of_message(&envelope.message, out);
    }
    for node in state.nodes() {
        out.extend(node.durable().log.entries().map(|entry| entry.term));
        let Some(up) = node.up() else {
            continue;
        };
        out.extend(up.machine.log().entries().map(|entry| entry.term));
        for record in up.unsynced.iter().flatten() {
            if let Record::Append { entries, .. } = record {
                out.extend(entries.iter().map(|entry| entry.term));
            }
        }
        for promise in up.gate.waiting() {
            if let Promise::Send { message, .. } = promise {
                of_message(message, out);
            }
        }
    }
}

fn of_message(message: &Message<u8>, out: &mut Vec<Term>) {
    match message {
        Message::RequestPreVote { last, .. } | Message::RequestVote { last, .. } => {
            out.push(last.term);
        }
        Message::Append { prev, entries, .. } => {
            out.push(prev.term);
            out.extend(entries.iter().map(|entry| entry.term));
        }
        Message::Conflicted { hint, .. } => out.push(hint.term),
        Message::PreVoted { .. } | Message::Voted { .. } | Message::Appended { .. } => {}
    }
}

/// New numbers for the terms of one state.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Renumbering {
    /// The lowest term that an election is about.
    low: Term,
    /// The terms below it that log entries have, each once, ascending.
    past: Vec<Term>,
}

impl Renumbering {
    fn of(state: &State<RaftLiveness>) -> Self {
        let mut terms = Vec::new();
        live_terms(state, &mut terms);
        let low = terms.iter().min().copied().unwrap_or_default();
        let mut past = Vec::new();
        log_terms(state, &mut past);
        past.retain(|term| Term(0) < *term && *term < low);
        past.sort_unstable();
        past.dedup();
        Renumbering { low, past }
    }

    /// A term that an election is about, or that a log entry has.
    fn term(&self, term: Term) -> Term {
        let past = self.past.len() as u64;
        match term.0.checked_sub(self.low.0) {
            Some(distance) => Term(past + 1 + distance),
            None => Term(1 + self.past.partition_point(|earlier| *earlier < term) as u64),
        }
    }

    /// Before the first entry there is no term.
    fn position(&self, position: Position) -> Position {
        match position.index {
            Index(0) => position,
            index => Position {
                term: self.term(position.term),
                index,
            },
        }
    }

    fn entry(&self, entry: &Entry<u8>) -> Entry<u8> {
        Entry {
            term: self.term(entry.term),
            payload: entry.payload.clone(),
        }
    }

    fn entries<'a>(&self, entries: impl Iterator<Item = &'a Entry<u8>>) -> Vec<Entry<u8>> {
        entries.map(|entry| self.entry(entry)).collect()
    }

    fn message(&self, message: &Message<u8>) -> Message<u8> {
        let mut message = message.clone();
        match &mut message {
            Message::RequestPreVote { term, last } | Message::RequestVote { term, last } => {
                *term = self.term(*term);
                *last = self.position(*last);
            }
            Message::PreVoted { term, .. }
            | Message::Voted { term, .. }
            | Message::Appended { term, .. } => *term = self.term(*term),
            Message::Append {
                term,
                prev,
                entries,
                ..
            } => {
                *term = self.term(*term);
                *prev = self.position(*prev);
                *entries = self.entries(entries.iter());
            }
            Message::Conflicted { term, hint, .. } => {
                *term = self.term(*term);
                *hint = self.position(*hint);
            }
        }
        message
    }

    fn record(&self, record: &Record<u8>) -> Record<u8> {
        match record {
            Record::Vote { term, vote } => Record::Vote {
                term: self.term(*term),
                vote: *vote,
            },
            Record::Append { after, entries } => Record::Append {
                after: *after,
                entries: self.entries(entries.iter()),
            },
        }
    }

    fn promise(&self, promise: Promise<Raft<Digits>>) -> Promise<Raft<Digits>> {
        match promise {
            Promise::Send { to, message } => Promise::Send {
                to,
                message: self.message(&message),
            },
            Promise::Output(Output::Became { term, role, leader }) => {
                let term = self.term(term);
                Promise::Output(Output::Became { term, role, leader })
            }
            output => output,
        }
    }

    /// The promises of a node, each with the number of outstanding records that it waits for.
    fn waiting(&self, up: &Up<Raft<Digits>>) -> Vec<(u64, Promise<Raft<Digits>>)> {
        let mut gate = up.gate.clone();
        let mut waiting = Vec::with_capacity(gate.waiting().len());
        let mut synced = 0;
        while gate.unsynced() > 0 {
            gate.synced(1);
            synced += 1;
            while let Some(promise) = gate.release() {
                waiting.push((synced, self.promise(promise)));
            }
        }
        waiting
    }

    fn node(&self, node: &Node<Raft<Digits>>) -> EssentialNode {
        let disk = node.durable();
        let disk = Disk {
            term: self.term(disk.term),
            vote: disk.vote,
            log: self.entries(disk.log.entries()),
        };
        match node {
            Node::Up(up) => EssentialNode::Up(Box::new(Running {
                term: self.term(up.machine.term()),
                vote: up.machine.vote(),
                log: self.entries(up.machine.log().entries()),
                commit: up.machine.commit(),
                role: up.machine.role().clone(),
                leader: up.machine.leader(),
                replicated: up.machine.replicated().clone(),
                disk,
                unsynced: (up.unsynced.iter())
                    .map(|records| records.iter().map(|record| self.record(record)).collect())
                    .collect(),
                waiting: self.waiting(up),
                timers: up.timers.clone(),
            })),
            Node::Down { .. } => EssentialNode::Down(disk),
            Node::Failed { .. } => EssentialNode::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::liveness::{Limits, Missing};
    use crate::{Protocol, System, step::Action};
    use quorate_raft::{Durable, Log, Payload};
    use stateright::Model;
    use std::collections::{HashSet, VecDeque};
    use std::sync::Arc;

    /// Pairs of states that are looked at: some thousands of them have a leader.
    const PAIRS: usize = 12_000;

    /// Nodes that differ in terms, votes and logs; only the terms themselves are given.
    fn system(past: [u64; 2], live: [u64; 2]) -> System<RaftLiveness> {
        let disk = |term: u64, entries: &[u64]| {
            let mut log = Log::default();
            let noop = |term: &u64| Entry {
                term: Term(*term),
                payload: Payload::Noop,
            };
            log.splice(Index(0), entries.iter().map(noop));
            Durable {
                term: Term(term),
                vote: None,
                log,
            }
        };
        let limits = Limits {
            commands: 1,
            crashes: 1,
            check_quorum: true,
            disks: vec![
                disk(live[0], &past),
                disk(live[1], &past[..1]),
                disk(live[0], &[]),
            ],
            ..Limits::default()
        };
        let model = RaftLiveness::new("terms", limits, Missing::Nothing(Vec::new()));
        System::new(Arc::new(model))
    }

    /// The steps from a state: what is done, told without terms, the essence and the state that follow.
    fn steps(
        system: &System<RaftLiveness>,
        state: &State<RaftLiveness>,
    ) -> Vec<(String, u128, State<RaftLiveness>)> {
        let terms = Renumbering::of(state);
        let told = |action: &Action<Raft<Digits>>| match action {
            Action::Deliver(envelope) => {
                let message = terms.message(&envelope.message);
                format!("{} {} {message:?}", envelope.from, envelope.to)
            }
            other => format!("{other:?}"),
        };
        let steps = system.next_steps(state).into_iter();
        let mut steps: Vec<_> = steps
            .map(|(action, next)| {
                let essence = digest_of(&essence(system.protocol(), &next));
                (told(&action), essence, next)
            })
            .collect();
        steps.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
        steps
    }

    /// Two systems whose terms differ in everything that is said to make no difference do the same,
    /// step by step.
    #[test]
    fn what_the_numbers_of_terms_are_makes_no_difference() {
        let low = system([1, 2], [3, 4]);
        let high = system([5, 9], [20, 21]);
        let initial = (low.init_states().remove(0), high.init_states().remove(0));
        let mut seen = HashSet::new();
        let mut pairs = VecDeque::from([initial]);
        let (mut looked_at, mut led) = (0, 0);
        while let Some((one, other)) = pairs.pop_front() {
            looked_at += 1;
            led += usize::from(one.machines().any(Raft::is_leader));
            let (from_one, from_other) = (steps(&low, &one), steps(&high, &other));
            let same = |(told, essence, _): &(String, u128, _)| (told.clone(), *essence);
            let left: Vec<_> = from_one.iter().map(same).collect();
            let right: Vec<_> = from_other.iter().map(same).collect();
            assert_eq!(left, right, "{one:#?}\n{other:#?}");
            for ((_, essence, one), (_, _, other)) in from_one.into_iter().zip(from_other) {
                let within = low.protocol().within(&one) && one.network().len() <= 2;
                if within && seen.len() < PAIRS && seen.insert(essence) {
                    pairs.push_back((one, other));
                }
            }
        }
        assert!(
            looked_at >= PAIRS && led > 0,
            "{looked_at} pairs, {led} with a leader"
        );
    }

    /// What does make a difference is not renumbered away.
    #[test]
    fn distances_of_elections_and_the_order_of_entries_count() {
        let essence_of = |system: System<RaftLiveness>| {
            digest_of(&essence(system.protocol(), &system.init_states()[0]))
        };
        let base = essence_of(system([1, 2], [3, 4]));
        assert_eq!(base, essence_of(system([1, 3], [4, 5])));
        assert_ne!(base, essence_of(system([1, 2], [3, 5])));
        assert_ne!(base, essence_of(system([1, 1], [3, 4])));
        assert_ne!(base, essence_of(system([1, 3], [3, 4])));
    }
}
