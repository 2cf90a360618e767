//! What must hold of a group's whole history, looked at step by step.
//!
//! The properties are those of `specs/raft` and of [`quorate_raft::invariants`]. The model checker evaluates
//! them anew in every state, which are small there; here logs are long, so each is put in a form that a step
//! changes little of:
//!
//! - **Election safety**: who has led a term is remembered, for all of history.
//! - **Log matching**: an index and a term determine the entry there and the term before it. So every entry
//!   that any member ever wrote is looked up once.
//! - **State-machine safety**: what was committed first at an index is what all others commit there.
//! - **Leader completeness**: a leader has what was committed in earlier terms, when it begins to lead and
//!   whenever more is.
//! - **Committed is durable**: when an entry is first committed, a majority of disks has it.
//! - **Terms, votes and commit**: they never go back; a vote stands for its term, in memory and on disk.
//!
//! [`History::survey`] evaluates the machine's own invariants on the state as a whole.

use crate::RaftLike;
use crate::member::{Action, Member, Step};
use quorate_machine::{NodeId, majority};
use quorate_raft::{Durable, Entry, Index, Position, Raft, Record, Term, invariants};
use std::collections::{BTreeMap, HashMap};

/// An entry that some member has committed.
#[derive(Clone, Debug)]
pub(crate) struct Decided<C> {
    pub(crate) entry: Entry<C>,
    /// The term of the first member that committed it, when it did.
    pub(crate) by: Term,
}

/// What a member was before its latest step.
#[derive(Clone, Copy, Debug)]
struct Past {
    term: Term,
    vote: Option<NodeId>,
    commit: Index,
    leads: bool,
    last: Index,
}

/// The history so far.
pub(crate) struct History<C> {
    pub(crate) decided: Vec<Decided<C>>,
    leaders: BTreeMap<Term, NodeId>,
    /// By index and term: the entry, and the term of the one before.
    entries: HashMap<(Index, Term), (Entry<C>, Term)>,
    past: Vec<Option<Past>>,
    disk_votes: Vec<(Term, Option<NodeId>)>,
    /// Whether all members' disks are known.
    all_disks: bool,
}

type Held = Result<(), String>;

impl<C: Clone + Eq + std::fmt::Debug> History<C> {
    pub(crate) fn new(members: usize, all_disks: bool) -> Self {
        History {
            decided: Vec::new(),
            leaders: BTreeMap::new(),
            entries: HashMap::new(),
            past: vec![None; members],
            disk_votes: vec![(Term(0), None); members],
            all_disks,
        }
    }

    /// Takes a step of the member at `at` into the history.
    pub(crate) fn observe<M, S>(
        &mut self,
        members: &[Member<'_, M>],
        at: usize,
        step: &Step<M>,
    ) -> Held
    where
        S: quorate_raft::StateMachine<Command = C>,
        M: RaftLike<State = S>,
    {
        let member = &members[at];
        let id = member.id();
        let mut held = Ok(());
        if let Action::Sync(_) = step.action {
            held = self.on_disk(at, id, member.disk());
        }
        let Some(raft) = member.machine().map(RaftLike::raft) else {
            self.past[at] = None;
            return held;
        };
        held = held.and(invariants::node(raft).map_err(|broken| format!("{id}: not so: {broken}")));
        let now = past(raft);
        let before = self.past[at].replace(now);
        if let Some(before) = before {
            held = held.and(forward(id, before, now));
        }
        if step.wrote {
            let batch = member.unsynced().last().unwrap_or_default();
            let wrote = self.wrote(id, raft, before, batch);
            held = held.and(wrote);
        }
        if now.leads && before.is_none_or(|before| !before.leads || before.term != now.term) {
            let leads = self.leads(id, raft);
            held = held.and(leads);
        }
        let known = before.map_or(Index(0), |before| before.commit);
        let committed = self.committed(members, at, raft, known);
        held.and(committed)
    }

    fn on_disk(&mut self, at: usize, id: NodeId, disk: &Durable<C>) -> Held {
        let (term, vote) = std::mem::replace(&mut self.disk_votes[at], (disk.term, disk.vote));
        if disk.term < term {
            return Err(format!(
                "{id}: its disk goes back to {} from {term}",
                disk.term
            ));
        }
        if disk.term == term && vote.is_some() && disk.vote != vote {
            return Err(format!(
                "{id}: a vote stands for its term, but in {term} its disk has {vote:?} and then {:?}",
                disk.vote
            ));
        }
        Ok(())
    }

    /// Log matching of what was written, and that leaders only append.
    fn wrote<S>(
        &mut self,
        id: NodeId,
        raft: &Raft<S>,
        before: Option<Past>,
        batch: &[Record<C>],
    ) -> Held
    where
        S: quorate_raft::StateMachine<Command = C>,
    {
        for record in batch {
            let Record::Append { after, entries } = record else {
                continue;
            };
            if let Some(before) = before {
                if *after < before.commit {
                    return Err(format!(
                        "{id}: committed entries stay, but those after {after} go"
                    ));
                }
                if before.leads && before.term == raft.term() && *after < before.last {
                    return Err(format!(
                        "{id}: a leader only appends, but drops what follows {after}"
                    ));
                }
            }
            // Within one step a later record may replace what an earlier one wrote; both were in the log.
            let mut previous = raft.log().term_at(*after).unwrap_or_default();
            for (entry, offset) in entries.iter().zip(1..) {
                let index = after.plus(offset);
                let key = (index, entry.term);
                let (known, follows) = self
                    .entries
                    .entry(key)
                    .or_insert_with(|| (entry.clone(), previous));
                if known != entry || *follows != previous {
                    return Err(format!(
                        "log matching: at {index} {id} has {entry:?} after {previous}, another log has \
                         {known:?} after {follows}"
                    ));
                }
                previous = entry.term;
            }
        }
        Ok(())
    }

    fn leads<S>(&mut self, id: NodeId, raft: &Raft<S>) -> Held
    where
        S: quorate_raft::StateMachine<Command = C>,
    {
        let first = *self.leaders.entry(raft.term()).or_insert(id);
        if first != id {
            return Err(format!(
                "election safety: {first} and {id} both lead {}",
                raft.term()
            ));
        }
        for (decided, index) in self.decided.iter().zip(1..) {
            complete(id, raft, Index(index), decided)?;
        }
        Ok(())
    }

    /// What the member at `at` has committed since `known`.
    fn committed<M, S>(
        &mut self,
        members: &[Member<'_, M>],
        at: usize,
        raft: &Raft<S>,
        known: Index,
    ) -> Held
    where
        S: quorate_raft::StateMachine<Command = C>,
        M: RaftLike<State = S>,
    {
        let id = members[at].id();
        let mut held = Ok(());
        for index in (known.0 + 1..=raft.commit().0).map(Index) {
            let Some(entry) = raft.log().get(index) else {
                return Err(format!(
                    "{id}: committed {index}, which its log does not have"
                ));
            };
            held = held.and(match self.decided.get(index.0 as usize - 1) {
                Some(first) if first.entry == *entry => Ok(()),
                Some(first) => Err(format!(
                    "state-machine safety: at {index} {id} commits {entry:?}, but committed is {:?}",
                    first.entry
                )),
                None => self.decide(members, at, index, entry, raft.term()),
            });
        }
        held
    }

    /// The member at `at` is the first to commit this entry.
    fn decide<M, S>(
        &mut self,
        members: &[Member<'_, M>],
        at: usize,
        index: Index,
        entry: &Entry<C>,
        by: Term,
    ) -> Held
    where
        S: quorate_raft::StateMachine<Command = C>,
        M: RaftLike<State = S>,
    {
        let entry = entry.clone();
        let position = Position {
            term: entry.term,
            index,
        };
        let decided = Decided { entry, by };
        let mut held = Ok(());
        let disks: Vec<_> = members.iter().map(|member| &member.disk().log).collect();
        if self.all_disks && !invariants::committed_is_durable(&[position], &disks) {
            let (id, few) = (members[at].id(), majority(disks.len()));
            held = Err(format!(
                "committed is durable: {id} commits {position:?}, which fewer than {few} disks have"
            ));
        }
        for other in members {
            if let Some(leader) = other.machine().map(RaftLike::raft)
                && leader.is_leader()
            {
                held = held.and(complete(other.id(), leader, index, &decided));
            }
        }
        self.decided.push(decided);
        held
    }

    /// The machine's own invariants of the state as a whole.
    pub(crate) fn survey<M, S>(&self, members: &[Member<'_, M>]) -> Held
    where
        S: quorate_raft::StateMachine<Command = C>,
        M: RaftLike<State = S>,
    {
        let alive = || members.iter().filter_map(Member::machine).map(M::raft);
        if !invariants::election_safety(alive()) {
            return Err("election safety: two members lead in one term".into());
        }
        let disks = members.iter().map(|member| &member.disk().log);
        let logs: Vec<_> = alive().map(Raft::log).chain(disks).collect();
        for (place, one) in logs.iter().enumerate() {
            for other in &logs[place + 1..] {
                if !invariants::log_matching(one, other) {
                    return Err(
                        "log matching: two logs share a position and differ before it".into(),
                    );
                }
            }
        }
        for one in alive() {
            if !alive().all(|other| invariants::state_machine_safety(one, other)) {
                return Err("state-machine safety: two members committed different entries".into());
            }
            let earlier = self.decided.iter().zip(1..);
            let earlier = earlier.filter(|(decided, _)| decided.by < one.term());
            let earlier: Vec<_> = earlier
                .map(|(decided, index)| Position {
                    term: decided.entry.term,
                    index: Index(index),
                })
                .collect();
            if !invariants::leader_completeness(one, &earlier) {
                return Err("leader completeness: a leader lacks what was committed before".into());
            }
        }
        Ok(())
    }
}

fn past<S: quorate_raft::StateMachine>(raft: &Raft<S>) -> Past {
    Past {
        term: raft.term(),
        vote: raft.vote(),
        commit: raft.commit(),
        leads: raft.is_leader(),
        last: raft.log().last().index,
    }
}

fn forward(id: NodeId, before: Past, now: Past) -> Held {
    if now.term < before.term {
        return Err(format!(
            "{id}: terms never go back, but {} to {}",
            before.term, now.term
        ));
    }
    if now.commit < before.commit {
        return Err(format!(
            "{id}: commit never goes back, but {} to {}",
            before.commit, now.commit
        ));
    }
    if now.term == before.term && before.vote.is_some() && now.vote != before.vote {
        return Err(format!(
            "{id}: a vote stands for its term, but in {} it is {:?} and then {:?}",
            now.term, before.vote, now.vote
        ));
    }
    Ok(())
}

fn complete<S>(id: NodeId, leader: &Raft<S>, index: Index, decided: &Decided<S::Command>) -> Held
where
    S: quorate_raft::StateMachine,
{
    if decided.by >= leader.term() || leader.log().get(index) == Some(&decided.entry) {
        return Ok(());
    }
    Err(format!(
        "leader completeness: {id} leads {} without {:?} at {index}, which was committed in {}",
        leader.term(),
        decided.entry,
        decided.by
    ))
}
