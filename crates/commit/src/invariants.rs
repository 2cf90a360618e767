//! What must hold: of a node at any time, of what a step does to it, and of all disks together.
//!
//! The names AC1 to AC5 are those of Bernstein, Hadzilacos and Goodman, section 7.3, and of `specs/commit`. The
//! model checker and the simulator evaluate these; debug builds evaluate [`node`] after every step.

use crate::{Commit, Decision, Durable, Mode, Phase, Stage, TxnId, Vote, Work};
use quorate_machine::NodeId;
use quorate_paxos as paxos;
use std::collections::BTreeMap;

/// What must hold of one node by itself.
///
/// # Errors
///
/// What does not.
pub fn node<W: Work>(commit: &Commit<W>) -> Result<(), &'static str> {
    let (coordinator, participant) = (commit.coordinator(), commit.participant());
    for (txn, open) in coordinator.open() {
        if coordinator.ended().contains_key(&txn) {
            return Err("what is open has not ended");
        }
        let (Stage::Voting(missing) | Stage::Committed(missing)) = &open.stage else {
            continue;
        };
        if missing.is_empty() || missing.iter().any(|node| !open.participants.contains(node)) {
            return Err("an open transaction waits for some of its participants");
        }
    }
    for (txn, part) in participant.joined() {
        let latest = participant.latest().get(&txn.coordinator);
        if part.phase != Phase::Preparing && latest < Some(&txn) {
            return Err("the mark is not below what was voted on");
        }
    }
    Ok(())
}

/// What a step may do to one node: a participant leaves uncertainty by a decision alone, no decision is
/// changed, a committed transaction ends by acknowledgement alone, and marks never go back.
///
/// # Errors
///
/// What it must not do.
pub fn step<W: Work>(before: &Commit<W>, after: &Commit<W>) -> Result<(), &'static str> {
    let (was, is) = (before.participant(), after.participant());
    for (txn, part) in was.joined() {
        let now = is.phase(txn);
        match (part.phase, now) {
            (Phase::Uncertain, None | Some(Phase::Preparing)) => {
                return Err("an uncertain participant does nothing by itself");
            }
            (Phase::Decided { .. }, Some(Phase::Preparing | Phase::Uncertain)) => {
                return Err("AC2: a decision is not undone");
            }
            (Phase::Decided { decision, .. }, Some(Phase::Decided { decision: now, .. }))
                if decision != now =>
            {
                return Err("AC2: a decision is not undone");
            }
            (Phase::Preparing, Some(Phase::Decided { .. })) => {
                return Err("nobody decides without having voted");
            }
            _ => {}
        }
    }
    for (coordinator, latest) in was.latest() {
        if is.latest().get(coordinator) < Some(latest) {
            return Err("a mark never goes back");
        }
    }
    let ended = |txn| {
        let coordinator = after.coordinator();
        coordinator.ended().contains_key(&txn) || Some(txn) <= coordinator.forgotten()
    };
    let mut open = before.coordinator().open();
    let lost = open.any(|(txn, open)| {
        let now = after.coordinator().stage(txn);
        matches!(open.stage, Stage::Committed(_))
            && !matches!(now, Some(Stage::Committed(_)))
            && !ended(txn)
    });
    if lost {
        return Err("what is committed is known until it has ended");
    }
    Ok(())
}

/// AC1 on disks: no two participants have decided differently, nor one otherwise than the coordinator or consensus.
pub fn agreement<'a>(disks: impl IntoIterator<Item = &'a Durable>) -> bool {
    let mut decided = BTreeMap::new();
    disks.into_iter().all(|disk| {
        let votes = disk.votes.iter();
        let votes = votes.filter_map(|(txn, joined)| Some((*txn, joined.decision?)));
        let blocking = disk.committed.iter();
        let blocking = blocking.filter(|(_, committed)| committed.mode == Mode::Blocking);
        let committed = blocking.map(|(txn, _)| txn).chain(disk.ended.keys());
        let committed = committed.map(|txn| (*txn, Decision::Commit));
        let agreed = disk.consensus.values().flat_map(|part| &part.instances);
        let agreed = agreed.filter_map(|(txn, one)| Some((*txn, *one.decided()?)));
        let mut all = votes.chain(committed).chain(agreed);
        all.all(|(txn, decision)| *decided.entry(txn).or_insert(decision) == decision)
    })
}

/// Whether memory says what the disk says, for a node all of whose records are durable.
pub fn memory_is_disk<W: Work>(commit: &Commit<W>, disk: &Durable) -> bool {
    let coordinator = commit.coordinator();
    let committed = coordinator
        .open()
        .filter(|(_, open)| !matches!(open.stage, Stage::Voting(_)))
        .map(|(txn, open)| (txn, open.mode, open.request, &open.participants));
    let recorded = disk.committed.iter();
    let recorded = recorded.map(|(txn, one)| (*txn, one.mode, one.request, &one.participants));
    let participant = commit.participant();
    let voted = participant.joined().filter_map(|(txn, part)| {
        let decision = match part.phase {
            Phase::Preparing => return None,
            Phase::Uncertain => None,
            Phase::Decided { decision, .. } => Some(decision),
        };
        Some((txn, part.mode, &part.participants, decision))
    });
    let votes = disk.votes.iter();
    let votes = votes.map(|(txn, one)| (*txn, one.mode, &one.participants, one.decision));
    let known = |part: &paxos::Paxos<_, _>| part.state() != &paxos::Durable::default();
    let consensus = commit.consensus().filter(|(_, part)| known(part));
    let consensus = consensus.map(|(node, part)| (node, part.state()));
    committed.eq(recorded)
        && voted.eq(votes)
        && coordinator.epoch() == disk.epoch
        && *coordinator.ended() == disk.ended
        && coordinator.forgotten() == disk.forgotten
        && *participant.latest() == disk.latest
        && consensus.eq(disk.consensus.iter().map(|(node, known)| (*node, known)))
}

/// Every vote that a resource gave, and what resources and callers were told: what AC1 to AC3 are said of,
/// beyond all forgetting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Witness {
    votes: BTreeMap<(TxnId, NodeId), Vote>,
    told: BTreeMap<TxnId, Decision>,
}

impl Witness {
    /// Nothing was seen.
    pub fn new() -> Self {
        Witness::default()
    }

    /// The resource of `node` votes.
    pub fn votes(&mut self, node: NodeId, txn: TxnId, vote: Vote) {
        self.votes.entry((txn, node)).or_insert(vote);
    }

    /// Somebody, anywhere, is told what was decided.
    ///
    /// # Errors
    ///
    /// If somebody was told otherwise before (AC1, AC2), or it is to be committed although one of its
    /// `participants` has not voted yes (AC3).
    pub fn told(
        &mut self,
        txn: TxnId,
        decision: Decision,
        participants: &[NodeId],
    ) -> Result<(), &'static str> {
        let yes = |node: &NodeId| self.votes.get(&(txn, *node)) == Some(&Vote::Yes);
        if decision == Decision::Commit && !participants.iter().all(yes) {
            return Err(AC3);
        }
        match *self.told.entry(txn).or_insert(decision) == decision {
            true => Ok(()),
            false => Err(AC1),
        }
    }

    /// What was told of a transaction.
    pub fn decision(&self, txn: TxnId) -> Option<Decision> {
        self.told.get(&txn).copied()
    }
}

/// No two are told differently.
pub const AC1: &str = "AC1: all who decide decide the same";
/// Unanimity.
pub const AC3: &str = "AC3: commit only if all have voted yes";
