//! What must hold: of a node at any time, of what a step does to it, and of a whole group at any time.
//!
//! The names are those of `specs/paxos`. The model checker evaluates them in every state, the simulator after
//! every step; debug builds evaluate [`node`] after every step.

use crate::{Ballot, Config, Durable, Instance, Paxos, Phase, Proposal};
use quorate_machine::{Value, majority};

/// What must hold of one node by itself.
///
/// # Errors
///
/// What does not.
pub fn node<K: Value + Ord, V: Value>(
    config: &Config,
    paxos: &Paxos<K, V>,
) -> Result<(), &'static str> {
    for instance in paxos.state().instances.values() {
        let acceptor = instance.acceptor();
        let accepted = acceptor.and_then(|acceptor| acceptor.accepted.as_ref());
        if let (Some(acceptor), Some(accepted)) = (acceptor, accepted)
            && accepted.ballot > acceptor.promised
        {
            return Err("to accept is to promise");
        }
    }
    if paxos
        .state()
        .instances
        .keys()
        .any(|key| paxos.state().is_released(key))
    {
        return Err("what is released is gone");
    }
    for (key, attempt) in paxos.attempts() {
        if attempt.waiting() == 0 && attempt.value.is_none() {
            return Err("an attempt is for somebody");
        }
        if attempt.waiting() > config.waiting_max {
            return Err("no more wait than may");
        }
        let Some(Instance::Open(acceptor)) = paxos.state().instances.get(key) else {
            return Err("what is decided is not attempted");
        };
        if let Some(ballot) = attempt.ballot()
            && ballot != acceptor.promised
        {
            return Err("a proposer keeps its own promise");
        }
        if let Phase::Accepting { proposal, .. } = attempt.phase()
            && acceptor.accepted.as_ref() != Some(proposal)
        {
            return Err("a proposer accepts what it proposes");
        }
    }
    if paxos.attempts().len() > config.open_max as usize {
        return Err("no more is attempted than may be");
    }
    Ok(())
}

/// Promises never go back, and decisions never change: what one instance may become of another.
///
/// # Errors
///
/// What happened that must not.
pub fn instance<V: Value>(before: &Instance<V>, after: &Instance<V>) -> Result<(), &'static str> {
    match (before, after) {
        (Instance::Decided(before), Instance::Decided(after)) if before == after => Ok(()),
        (Instance::Decided(_), _) => Err("a learner decides once"),
        (Instance::Open(_), Instance::Decided(_)) => Ok(()),
        (Instance::Open(before), Instance::Open(after)) => {
            let ballot = |proposal: &Option<Proposal<V>>| {
                let ballot = proposal.as_ref().map(|proposal| proposal.ballot);
                ballot.unwrap_or(Ballot::NONE)
            };
            let (was, is) = (&before.accepted, &after.accepted);
            if after.promised < before.promised {
                Err("promises never go back")
            } else if was != is && (ballot(is) <= ballot(was) || ballot(is) < before.promised) {
                Err("nothing is accepted below a promise")
            } else {
                Ok(())
            }
        }
    }
}

/// What a step may do to one node.
///
/// # Errors
///
/// What it must not have done.
pub fn step<K: Value + Ord, V: Value>(
    before: &Paxos<K, V>,
    after: &Paxos<K, V>,
) -> Result<(), &'static str> {
    let (before, after) = (before.state(), after.state());
    if after.released < before.released {
        return Err("what is released stays released");
    }
    let kept = before
        .instances
        .iter()
        .filter(|(key, _)| !after.is_released(key));
    for (key, was) in kept {
        let is = after.instances.get(key);
        instance(was, is.ok_or("what is not released is kept")?)?;
    }
    Ok(())
}

/// Agreement: whatever two nodes know to be decided is the same.
pub fn agreement<'a, K: Value + Ord, V: Value>(
    nodes: impl Iterator<Item = &'a Paxos<K, V>> + Clone,
    key: &K,
) -> bool {
    let mut known = nodes.filter_map(|node| node.decided(key));
    let first = known.next();
    known.all(|value| Some(value) == first)
}

/// Chosen is durable: a majority of disks has accepted `value`, all under one ballot or later ones, or knows it
/// to be decided.
pub fn is_chosen<K: Value + Ord, V: Value>(disks: &[&Durable<K, V>], key: &K, value: &V) -> bool {
    // Who has released it had a part in it, or takes none in anything else.
    let settled = |disk: &Durable<K, V>| {
        let instance = disk.instances.get(key);
        disk.is_released(key) || instance.and_then(Instance::decided) == Some(value)
    };
    let accepted = |disk: &Durable<K, V>| {
        let acceptor = disk.instances.get(key).and_then(Instance::acceptor);
        let proposal = acceptor.and_then(|acceptor| acceptor.accepted.as_ref());
        let same = proposal.filter(|proposal| proposal.value == *value);
        same.map(|proposal| proposal.ballot)
    };
    let ballots = disks.iter().filter_map(|disk| accepted(disk));
    let mut ballots = ballots.chain([Ballot::NONE]);
    // Whoever has accepted the value under a higher ballot may have done so under this one before.
    ballots.any(|ballot| {
        let holders = disks
            .iter()
            .filter(|disk| settled(disk) || accepted(disk) >= Some(ballot));
        holders.count() >= majority(disks.len())
    })
}
