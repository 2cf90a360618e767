//! What an observer outside knows: everything that was ever true, which no node may contradict.

use super::{Member, Node, Register, Result};
use quorate_machine::NodeId;
use quorate_raft::{
    Entry, Index, Log, Payload, Position, Replicated, StateMachine, Term, invariants,
};
use std::collections::BTreeMap;

/// An entry that some node once took for committed.
struct Committed {
    entry: Entry<<Register as StateMachine>::Command>,
    position: Position,
    /// The term of the node that said so first; the entry itself may be of an earlier one.
    during: Term,
}

/// The history of a group.
pub(crate) struct Ghost {
    leaders: BTreeMap<Term, NodeId>,
    committed: Vec<Committed>,
    /// The replicated state after each committed entry; first the one before any.
    states: Vec<Replicated<Register>>,
    /// How much was committed anywhere when a read was asked for.
    reads: BTreeMap<u64, Index>,
}

impl Ghost {
    pub(crate) fn new() -> Self {
        Ghost {
            leaders: BTreeMap::new(),
            committed: Vec::new(),
            states: vec![Replicated::new(Register::default())],
            reads: BTreeMap::new(),
        }
    }

    /// How many entries are committed.
    pub(crate) fn committed(&self) -> Index {
        Index(self.committed.len() as u64)
    }

    pub(crate) fn asked(&mut self, read: u64) {
        self.reads.insert(read, self.committed());
    }

    /// A read is linearizable if the state that answers it has all that was committed anywhere when
    /// it was asked.
    pub(crate) fn answered(&self, read: u64, by: &Member) -> Result {
        match self.reads.get(&read) {
            Some(floor) if by.commit() >= *floor => Ok(()),
            Some(floor) => Err(format!(
                "read {read}, asked when {floor} was committed, is answered at {}",
                by.commit()
            )),
            None => Err(format!("read {read} was never asked")),
        }
    }

    /// Notes what `id` has done and compares it with what was known.
    pub(crate) fn observe(&mut self, id: NodeId, raft: &Member) -> Result {
        if raft.is_leader() {
            let first = *self.leaders.entry(raft.term()).or_insert(id);
            if first != id {
                return Err(format!("{first} and {id} both led {}", raft.term()));
            }
        }
        let commit = raft.commit();
        let entries = raft.log().entries().take(commit.0 as usize);
        for (offset, entry) in entries.enumerate() {
            match self.committed.get(offset) {
                Some(known) if known.entry == *entry => {}
                Some(known) => {
                    let (was, at) = (&known.entry, known.position);
                    return Err(format!(
                        "{id} commits {entry:?} at {at:?}, where {was:?} was"
                    ));
                }
                None => self.commit(entry, raft.term()),
            }
        }
        if self.states.get(commit.0 as usize) != Some(raft.replicated()) {
            return Err(format!("{id} has applied {commit} to another state"));
        }
        Ok(())
    }

    fn commit(&mut self, entry: &Entry<<Register as StateMachine>::Command>, during: Term) {
        let index = self.committed().next();
        self.committed.push(Committed {
            entry: entry.clone(),
            position: Position {
                term: entry.term,
                index,
            },
            during,
        });
        let mut state = self.states[self.states.len() - 1].clone();
        match &entry.payload {
            Payload::Noop => {}
            Payload::Open { limit, .. } => drop(state.open(index, *limit)),
            Payload::Write {
                session,
                sequence,
                command,
            } => drop(state.write(index, *session, *sequence, command)),
        }
        self.states.push(state);
    }

    /// The properties of the group as a whole.
    pub(crate) fn check(&self, nodes: &BTreeMap<NodeId, Node>) -> Result {
        let up: Vec<&Member> = nodes.values().filter_map(Node::raft).collect();
        if !invariants::election_safety(up.iter().copied()) {
            return Err("election safety: two leaders of one term".into());
        }
        let logs: Vec<&Log<_>> = up.iter().map(|raft| raft.log()).collect();
        let disks: Vec<&Log<_>> = nodes.values().map(|node| &node.durable().log).collect();
        let all: Vec<&Log<_>> = logs.into_iter().chain(disks.iter().copied()).collect();
        for (slot, a) in all.iter().enumerate() {
            if !all[slot + 1..]
                .iter()
                .all(|b| invariants::log_matching(a, b))
            {
                return Err("log matching: same position, different entries".into());
            }
        }
        for (slot, a) in up.iter().enumerate() {
            let mut others = up[slot + 1..].iter();
            if !others.all(|b| invariants::state_machine_safety(a, b)) {
                return Err("state machine safety: different entries committed".into());
            }
        }
        for leader in up {
            // Committed in an earlier term is not the same as of an earlier term: an old entry that a
            // later leader commits is nothing that a leader in between must have.
            let earlier = self.committed.iter().filter(|c| c.during < leader.term());
            let earlier: Vec<Position> = earlier.map(|c| c.position).collect();
            if !invariants::leader_completeness(leader, &earlier) {
                return Err("leader completeness: a leader lacks a committed entry".into());
            }
        }
        let committed: Vec<Position> = self.committed.iter().map(|c| c.position).collect();
        if !invariants::committed_is_durable(&committed, &disks) {
            return Err("a committed entry is not on a majority of disks".into());
        }
        Ok(())
    }
}
