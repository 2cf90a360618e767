//! What must hold: of a node at any time, and of a whole group at any time.
//!
//! The names are the paper's (Figure 3) and those of `specs/raft`. The model checker evaluates them in
//! every state; debug builds evaluate [`node`] after every step.

use crate::{Index, Log, Position, Raft, Role, StateMachine};
use std::collections::BTreeMap;

/// What must hold of one node by itself.
pub fn node<S: StateMachine>(raft: &Raft<S>) -> Result<(), &'static str> {
    let last = raft.log().last();
    if raft.commit() > last.index {
        return Err("commit is within the log");
    }
    if last.term > raft.term() {
        return Err("no entry is of a term to come");
    }
    if let Role::Leader(leader) = raft.role() {
        if leader.progress().iter().any(|p| p.matched > last.index) {
            return Err("no member has more than the leader");
        }
        if leader.progress().iter().any(|p| p.next <= p.matched) {
            return Err("what is acknowledged is not sent again");
        }
        if leader.progress().iter().any(|p| p.round > leader.round()) {
            return Err("no round is acknowledged before it began");
        }
    }
    Ok(())
}

/// Election safety: at most one leader per term.
pub fn election_safety<'a, S: StateMachine>(nodes: impl Iterator<Item = &'a Raft<S>>) -> bool {
    let mut leaders = BTreeMap::new();
    for (slot, raft) in nodes.enumerate().filter(|(_, raft)| raft.is_leader()) {
        if leaders.insert(raft.term(), slot).is_some() {
            return false;
        }
    }
    true
}

/// Log matching of two logs: where they share a position, they are the same up to it.
pub fn log_matching<C: Clone + Eq>(a: &Log<C>, b: &Log<C>) -> bool {
    let common = a.entries().zip(b.entries());
    let agree: Vec<(bool, bool)> = common.map(|(a, b)| (a.term == b.term, a == b)).collect();
    match agree.iter().rposition(|(same_term, _)| *same_term) {
        Some(last) => agree[..=last].iter().all(|(_, same)| *same),
        None => true,
    }
}

/// State-machine safety of two nodes: what both have committed is the same.
pub fn state_machine_safety<S: StateMachine>(a: &Raft<S>, b: &Raft<S>) -> bool {
    let shared = a.commit().min(b.commit()).0 as usize;
    let (a, b) = (a.log().entries(), b.log().entries());
    a.take(shared).eq(b.take(shared))
}

/// Leader completeness: `leader` has everything that was committed while an earlier term's leader
/// led. (An entry *of* an earlier term that a later leader commits is nothing that a leader in between
/// must have.)
pub fn leader_completeness<S: StateMachine>(leader: &Raft<S>, earlier: &[Position]) -> bool {
    !leader.is_leader() || earlier.iter().all(|p| leader.log().contains(*p))
}

/// Committed is durable: a majority of disks has every committed entry.
pub fn committed_is_durable<C: Clone + Eq>(committed: &[Position], disks: &[&Log<C>]) -> bool {
    committed.iter().all(|position| {
        let holders = disks.iter().filter(|log| log.contains(*position));
        holders.count() >= quorate_machine::majority(disks.len())
    })
}

/// What a step may do to one node: terms and commit indices never go back, a vote is not changed
/// within its term, committed entries stay, and a leader only appends to its log.
pub fn step<S: StateMachine>(before: &Raft<S>, after: &Raft<S>) -> Result<(), &'static str> {
    if after.term() < before.term() {
        return Err("terms never go back");
    }
    if after.commit() < before.commit() {
        return Err("commit never goes back");
    }
    let same_term = after.term() == before.term();
    if same_term && before.vote().is_some() && after.vote() != before.vote() {
        return Err("a vote stands for its term");
    }
    let kept = |upto: Index| {
        let upto = upto.0 as usize;
        let (before, after) = (before.log().entries(), after.log().entries());
        before.take(upto).eq(after.take(upto))
    };
    if !kept(before.commit()) {
        return Err("committed entries stay");
    }
    if same_term && before.is_leader() && !kept(before.log().last().index) {
        return Err("a leader only appends to its log");
    }
    Ok(())
}
