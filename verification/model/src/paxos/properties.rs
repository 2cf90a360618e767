//! What must hold of Paxos in every state, and what must be reachable.

use super::{Key, Limits, Member, Op, PaxosModel};
use crate::{Envelope, Node, Property, Protocol, State};
use quorate_machine::NodeId;
use quorate_paxos::{Ballot, Durable, Instance, Message, Phase, Proposal, invariants};
use std::collections::{BTreeMap, BTreeSet};

type Found = State<PaxosModel>;

/// What a single step must not do (promises go back, a decision changes, something is accepted below a
/// promise) is refused as it happens, by [`crate::Protocol::stepped`].
pub(super) fn safety() -> Vec<Property<PaxosModel>> {
    vec![
        Property::always("agreement", |state: &Found, _| {
            let decided = &state.clients().decided;
            let keys: BTreeSet<Key> = decided.iter().map(|(key, _)| *key).collect();
            keys.len() == decided.len()
        }),
        Property::always("what is decided was proposed", |state: &Found, model| {
            let mut decided = state.clients().decided.iter();
            decided.all(|(key, value)| model.proposals(*key).any(|one| one == *value))
        }),
        Property::always("a ballot proposes one value", |state: &Found, _| {
            is_function(proposals(state))
        }),
        Property::always(
            "what is decided is on a majority of disks",
            |state: &Found, _| {
                let disks: Vec<_> = state.nodes().map(Node::durable).collect();
                let mut decided = state.clients().decided.iter();
                decided.all(|(key, value)| invariants::is_chosen(&disks, key, value))
            },
        ),
        Property::always("memory and disk agree once synced", |state: &Found, _| {
            let mut running = state.nodes().filter_map(Node::up);
            running.all(|up| !up.unsynced.is_empty() || *up.machine.state() == *up.durable)
        }),
        Property::always("clients see a linearizable history", |state: &Found, _| {
            state.clients().linearizable
        }),
    ]
}

/// Everything that is proposed, in messages, memories and on disks.
fn proposals(state: &Found) -> impl Iterator<Item = (Key, Ballot, u8)> {
    let of = |key: &Key, proposal: &Proposal<u8>| (*key, proposal.ballot, proposal.value);
    let sent = state
        .network()
        .filter_map(move |envelope| match &envelope.message {
            Message::Accept { key, ballot, value } => Some((*key, *ballot, *value)),
            Message::Promised { key, accepted, .. } => Some(of(key, accepted.as_ref()?)),
            _ => None,
        });
    let kept = |known: &Durable<Key, u8>| {
        let instances = known.instances.iter();
        let accepted = instances.filter_map(|(key, instance)| {
            let accepted = instance.acceptor()?.accepted.as_ref()?;
            Some((*key, accepted.ballot, accepted.value))
        });
        accepted.collect::<Vec<_>>()
    };
    let disks = state.nodes().flat_map(move |node| kept(node.durable()));
    let memories = state.machines().flat_map(move |paxos| kept(paxos.state()));
    sent.chain(disks).chain(memories)
}

fn is_function(proposals: impl Iterator<Item = (Key, Ballot, u8)>) -> bool {
    let mut values = BTreeMap::new();
    for (key, ballot, value) in proposals {
        if *values.entry((key, ballot)).or_insert(value) != value {
            return false;
        }
    }
    true
}

/// Evidence that the model reaches what it is there to explore.
pub(super) fn reachable(limits: &Limits) -> Vec<Property<PaxosModel>> {
    let mut all = vec![
        Property::sometimes("a value is decided", |s: &Found, _| {
            !s.clients().decided.is_empty()
        }),
        Property::sometimes("decided, and nobody knows yet", |s: &Found, _| is_secret(s)),
    ];
    let proposes = |script: &&Vec<Op>| script.iter().any(|op| op.value().is_some());
    if limits.scripts.iter().filter(proposes).count() > 1 && limits.rounds > 1 {
        all.extend(duels(limits));
    }
    if limits
        .scripts
        .iter()
        .flatten()
        .any(|op| op.value().is_none())
    {
        all.push(Property::sometimes(
            "a read finds nothing decided",
            |s: &Found, _| {
                let mut clients = s.clients().clients.iter();
                clients.any(|client| client.answers.contains(&None))
            },
        ));
    }
    if !limits.scripts.iter().all(|script| proposes(&script)) {
        all.push(Property::sometimes(
            "a read completes what it finds",
            |s: &Found, m| completes(s, m),
        ));
    }
    if limits.releases > 0 {
        all.push(Property::sometimes(
            "a decision is released",
            |s: &Found, _| {
                let mut disks = s.nodes().map(Node::durable);
                !s.clients().decided.is_empty() && disks.any(|disk| disk.released.is_some())
            },
        ));
    }
    all
}

/// What two proposers of one decision come to.
fn duels(limits: &Limits) -> Vec<Property<PaxosModel>> {
    let mut all = vec![
        Property::sometimes("a proposer is set back", |s: &Found, _| {
            phases(s).any(|phase| matches!(phase, Phase::SetBack { .. }))
        }),
        Property::sometimes("a proposer takes up another's value", |s: &Found, m| {
            takes_up(s, m)
        }),
        Property::sometimes("every client has all its answers", |s: &Found, m| {
            let clients = s.clients().clients.iter().zip(&m.limits.scripts);
            clients
                .into_iter()
                .all(|(client, script)| client.answers.len() == script.len())
        }),
    ];
    // Two nodes are both needed for any majority, so that neither can accept alone and be outvoted.
    if limits.nodes > 2 {
        all.extend([
            Property::sometimes("two proposers are in phase 2 at once", |s: &Found, _| {
                in_phase_2(s) > 1
            }),
            Property::sometimes(
                "different values were accepted by two who promise",
                |s: &Found, _| differing(s),
            ),
        ]);
    }
    all
}

fn phases(state: &Found) -> impl Iterator<Item = &Phase<u8>> {
    let attempts = state.machines().flat_map(|paxos| paxos.attempts().values());
    attempts.map(quorate_paxos::Attempt::phase)
}

fn in_phase_2(state: &Found) -> usize {
    let phases = phases(state);
    phases
        .filter(|phase| matches!(phase, Phase::Accepting { .. }))
        .count()
}

/// A majority of disks has accepted something under one ballot, and no running node knows that it is decided.
fn is_secret(state: &Found) -> bool {
    let accepted = state.nodes().filter_map(|node| {
        let instance = node.durable().instances.values().next();
        instance?.acceptor()?.accepted.as_ref()
    });
    let ballots: Vec<Ballot> = accepted.map(|proposal| proposal.ballot).collect();
    let enough = quorate_machine::majority(state.nodes().len());
    let same = |ballot: &Ballot| ballots.iter().filter(|other| *other == ballot).count();
    let known = |paxos: &Member| {
        paxos
            .state()
            .instances
            .values()
            .any(|i| i.decided().is_some())
    };
    ballots.iter().any(|ballot| same(ballot) >= enough) && !state.machines().any(known)
}

/// A node proposes what only clients of other nodes have proposed.
fn takes_up(state: &Found, model: &PaxosModel) -> bool {
    let mut proposed = proposed(state, model);
    proposed.any(|(node, value)| {
        let own = model.ops_at(node).filter_map(|op| op.value());
        let own: Vec<u8> = own.collect();
        !own.is_empty() && !own.contains(&value)
    })
}

/// A node all of whose clients only read proposes.
fn completes(state: &Found, model: &PaxosModel) -> bool {
    let mut proposed = proposed(state, model);
    proposed.any(|(node, _)| model.ops_at(node).all(|op| op.value().is_none()))
}

/// Which nodes are in phase 2, and with which value.
fn proposed<'a>(
    state: &'a Found,
    model: &'a PaxosModel,
) -> impl Iterator<Item = (NodeId, u8)> + 'a {
    let nodes = model.nodes().iter().zip(state.nodes());
    let machines = nodes.filter_map(|(id, node)| Some((*id, node.machine()?)));
    machines.flat_map(|(id, paxos)| {
        let attempts = paxos.attempts().values();
        attempts.filter_map(move |attempt| match attempt.phase() {
            Phase::Accepting { proposal, .. } => Some((id, proposal.value)),
            Phase::Preparing { .. } | Phase::SetBack { .. } => None,
        })
    })
}

/// Two promises of one ballot uncover different values: which of them counts makes the difference.
fn differing(state: &Found) -> bool {
    let promises = |envelope: &Envelope<Member>| match &envelope.message {
        Message::Promised {
            ballot, accepted, ..
        } => Some((*ballot, accepted.clone()?)),
        _ => None,
    };
    let promised: Vec<_> = state.network().filter_map(promises).collect();
    let own = state.machines().flat_map(|paxos| {
        let instances = paxos.state().instances.values();
        let acceptors = instances.filter_map(Instance::acceptor);
        acceptors.filter_map(|one| Some((one.promised, one.accepted.clone()?)))
    });
    let own: Vec<_> = own.filter(|(ballot, _)| *ballot > Ballot::NONE).collect();
    promised.iter().any(|(ballot, accepted)| {
        let mut others = promised.iter().chain(&own);
        others.any(|(other, theirs)| ballot == other && accepted.value != theirs.value)
    })
}
