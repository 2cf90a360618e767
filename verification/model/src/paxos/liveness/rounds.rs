//! States of Paxos without the numbers of their rounds.
//!
//! Rounds only grow, so a duel that goes on for ever never comes back to a state: in the model as it is, no
//! cycle could show it. But Paxos never asks what number a round has. It asks which of two ballots is higher,
//! and takes the round after the highest that a node knows. So once every node has promised a ballot, all
//! rounds may be moved down together, until the lowest is 1: what the machine does in one of two such states
//! it does in the other, with the rounds of the other. As long as some node has promised nothing, its next
//! round depends on the number 0, and nothing is moved.

use super::PaxosLiveness;
use crate::liveness::digest;
use crate::paxos::{Key, Member};
use crate::{Node, State, Up};
use quorate_machine::{NodeId, Promise};
use quorate_paxos::{Acceptor, Ballot, Durable, Instance, Message, Phase, Proposal, Record, Timer};

/// What of a state makes a difference.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Essence {
    nodes: Vec<u128>,
    /// Sorted: the order in a state is that of its own hashes.
    network: Vec<u128>,
    clients: super::Clients,
    crashes: u8,
}

/// The essence of a state.
pub(super) fn essence(state: &State<PaxosLiveness>) -> Essence {
    let down = lowest(state).saturating_sub(1);
    let network = state.network().map(|envelope| {
        let message = message(&envelope.message, down);
        digest(&(envelope.from, envelope.to, message))
    });
    let mut network: Vec<u128> = network.collect();
    network.sort_unstable();
    Essence {
        nodes: state
            .nodes()
            .map(|node| digest(&moved(node, down)))
            .collect(),
        network,
        clients: state.clients().clone(),
        crashes: state.spent().crashes,
    }
}

/// The lowest round of all; 0 if some node has promised nothing yet.
fn lowest(state: &State<PaxosLiveness>) -> u64 {
    let mut rounds = Vec::new();
    for node in state.nodes() {
        known(node.durable(), &mut rounds);
        let Some(up) = node.up() else {
            continue;
        };
        known(up.machine.state(), &mut rounds);
        for attempt in up.machine.attempts().values() {
            rounds.extend(match attempt.phase() {
                Phase::SetBack { above: 0 } => None,
                Phase::SetBack { above } => Some(*above),
                Phase::Preparing { ballot, .. } => Some(ballot.round),
                Phase::Accepting { proposal, .. } => Some(proposal.ballot.round),
            });
        }
        for record in up.unsynced.iter().flatten() {
            rounds.extend(match record {
                Record::Promised { ballot, .. } => Some(ballot.round),
                Record::Accepted { proposal, .. } => Some(proposal.ballot.round),
                Record::Decided { .. } | Record::Released { .. } => None,
            });
        }
        for promise in up.gate.waiting() {
            if let Promise::Send { message, .. } = promise {
                said(message, &mut rounds);
            }
        }
    }
    for envelope in state.network() {
        said(&envelope.message, &mut rounds);
    }
    rounds.into_iter().min().unwrap_or(0)
}

fn known(durable: &Durable<Key, u8>, rounds: &mut Vec<u64>) {
    let instance = durable.instances.values().next();
    match instance {
        None => rounds.push(0),
        Some(Instance::Decided(_)) => {}
        Some(Instance::Open(acceptor)) => {
            rounds.push(acceptor.promised.round);
            let accepted = acceptor.accepted.as_ref();
            rounds.extend(accepted.map(|proposal| proposal.ballot.round));
        }
    }
}

fn said(message: &Message<Key, u8>, rounds: &mut Vec<u64>) {
    match message {
        Message::Prepare { ballot, .. }
        | Message::Accept { ballot, .. }
        | Message::Accepted { ballot, .. } => rounds.push(ballot.round),
        Message::Promised {
            ballot, accepted, ..
        } => {
            rounds.push(ballot.round);
            rounds.extend(accepted.as_ref().map(|proposal| proposal.ballot.round));
        }
        Message::Refused {
            ballot, promised, ..
        } => rounds.extend([ballot.round, promised.round]),
        Message::Decided { .. } | Message::Released { .. } => {}
    }
}

fn ballot(ballot: Ballot, down: u64) -> Ballot {
    Ballot {
        round: ballot.round.saturating_sub(down),
        ..ballot
    }
}

fn proposal(known: &Proposal<u8>, down: u64) -> Proposal<u8> {
    Proposal {
        ballot: ballot(known.ballot, down),
        value: known.value,
    }
}

fn message(message: &Message<Key, u8>, down: u64) -> Message<Key, u8> {
    let mut moved = message.clone();
    match &mut moved {
        Message::Prepare { ballot: of, .. }
        | Message::Accept { ballot: of, .. }
        | Message::Accepted { ballot: of, .. } => *of = ballot(*of, down),
        Message::Promised {
            ballot: of,
            accepted,
            ..
        } => {
            *of = ballot(*of, down);
            *accepted = accepted.as_ref().map(|one| proposal(one, down));
        }
        Message::Refused {
            ballot: of,
            promised,
            ..
        } => {
            *of = ballot(*of, down);
            *promised = ballot(*promised, down);
        }
        Message::Decided { .. } | Message::Released { .. } => {}
    }
    moved
}

fn record(written: &Record<Key, u8>, down: u64) -> Record<Key, u8> {
    let mut moved = written.clone();
    match &mut moved {
        Record::Promised { ballot: of, .. } => *of = ballot(*of, down),
        Record::Accepted { proposal: one, .. } => *one = proposal(one, down),
        Record::Decided { .. } | Record::Released { .. } => {}
    }
    moved
}

fn durable(known: &Durable<Key, u8>, down: u64) -> Durable<Key, u8> {
    let mut moved = known.clone();
    for instance in moved.instances.values_mut() {
        if let Instance::Open(Acceptor { promised, accepted }) = instance {
            *promised = ballot(*promised, down);
            *accepted = accepted.as_ref().map(|one| proposal(one, down));
        }
    }
    moved
}

fn phase(known: &Phase<u8>, down: u64) -> Phase<u8> {
    let mut moved = known.clone();
    match &mut moved {
        Phase::Preparing {
            ballot: of,
            uncovered,
            ..
        } => {
            *of = ballot(*of, down);
            *uncovered = uncovered.as_ref().map(|one| proposal(one, down));
        }
        Phase::Accepting { proposal: one, .. } => *one = proposal(one, down),
        Phase::SetBack { above } => *above = above.saturating_sub(down),
    }
    moved
}

#[derive(Hash)]
enum Moved {
    Up(Box<Running>),
    Down(Durable<Key, u8>),
    Failed,
}

/// Everything that [`Up`] and [`Member`] have. Each node has one client, whose request an attempt is for.
#[derive(Hash)]
struct Running {
    state: Durable<Key, u8>,
    attempts: Vec<(usize, Phase<u8>)>,
    disk: Durable<Key, u8>,
    unsynced: Vec<Vec<Record<Key, u8>>>,
    waiting: Vec<(usize, Waits)>,
    timers: Vec<Timer>,
}

/// A promise, what it is told with and to whom; to the application if to nobody.
type Waits = (Option<(NodeId, Message<Key, u8>)>, String);

fn moved(node: &Node<Member>, down: u64) -> Moved {
    match node {
        Node::Up(up) => {
            let attempts = up.machine.attempts().values();
            let batches = up.unsynced.iter();
            Moved::Up(Box::new(Running {
                state: durable(up.machine.state(), down),
                attempts: attempts
                    .map(|one| (one.waiting(), phase(one.phase(), down)))
                    .collect(),
                disk: durable(&up.durable, down),
                unsynced: batches
                    .map(|batch| batch.iter().map(|one| record(one, down)).collect())
                    .collect(),
                waiting: waiting(up, down),
                timers: up.timers.clone(),
            }))
        }
        Node::Down { durable: disk } => Moved::Down(durable(disk, down)),
        Node::Failed { .. } => Moved::Failed,
    }
}

/// What waits, each with the number of steps whose records it waits for. A gate does not say, but lets go of a
/// promise as soon as they are durable.
fn waiting(up: &Up<Member>, down: u64) -> Vec<(usize, Waits)> {
    let mut gate = up.gate.clone();
    let mut waiting = Vec::new();
    for (steps, batch) in (1..).zip(&up.unsynced) {
        gate.synced(batch.len() as u64);
        while let Some(promise) = gate.release() {
            waiting.push((
                steps,
                match promise {
                    Promise::Send { to, message: told } => {
                        (Some((to, message(&told, down))), String::new())
                    }
                    Promise::Output(output) => (None, format!("{output:?}")),
                },
            ));
        }
    }
    waiting
}
