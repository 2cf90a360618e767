//! Elections: who leads which term.

use crate::{
    Config, Leader, Message, Output, Position, Raft, Record, Refusal, Request, Role, StateMachine,
    Term, Timer,
};
use quorate_machine::{Effects, NodeId, majority};

impl<S: StateMachine> Raft<S> {
    /// The timer fires twice: first the leader is forgotten, which frees this node to vote for
    /// another; then, a random time later, it stands itself. So a node whose leader is well neither
    /// votes nor stands, and two that lost theirs rarely stand at once.
    pub(crate) fn on_election_timeout(&mut self, config: &Config<S>, fx: &mut Effects<Self>) {
        if self.is_leader() {
            return;
        }
        if self.leader.take().is_some() {
            let (start, end) = (*config.election_ticks.start(), *config.election_ticks.end());
            fx.arm(Timer::Election, 1..=end.saturating_sub(start).max(1));
        } else if config.pre_vote {
            self.ask_for_pre_votes(config, fx);
        } else {
            self.stand(config, fx);
        }
    }

    fn ask_for_pre_votes(&mut self, config: &Config<S>, fx: &mut Effects<Self>) {
        self.role = Role::PreCandidate(vec![config.id]);
        fx.arm(Timer::Election, config.election_ticks.clone());
        if majority(config.members.len()) == 1 {
            return self.stand(config, fx);
        }
        for peer in config.peers() {
            let message = Message::RequestPreVote {
                term: self.term.next(),
                last: self.log.last(),
            };
            fx.send(peer, message);
        }
    }

    fn stand(&mut self, config: &Config<S>, fx: &mut Effects<Self>) {
        if self.term.next() == self.term {
            return; // there are no more terms: never vote twice in the last one
        }
        self.role = Role::Candidate(Vec::new());
        self.leader = None;
        self.enter(self.term.next(), Some(config.id), fx);
        fx.arm(Timer::Election, config.election_ticks.clone());
        for peer in config.peers() {
            let message = Message::RequestVote {
                term: self.term,
                last: self.log.last(),
            };
            fx.send(peer, message);
        }
        // Its own vote counts like any other's: once it is on disk.
        let message = Message::Voted {
            term: self.term,
            granted: true,
        };
        fx.send(config.id, message);
    }

    pub(crate) fn enter(&mut self, term: Term, vote: Option<NodeId>, fx: &mut Effects<Self>) {
        self.term = term;
        self.vote = vote;
        fx.persist(Record::Vote { term, vote });
    }

    /// Somebody is ahead: enter their term, and follow whoever leads it.
    pub(crate) fn catch_up_with(&mut self, config: &Config<S>, term: Term, fx: &mut Effects<Self>) {
        self.follow(config, None, fx);
        self.enter(term, None, fx);
    }

    /// Becomes, or stays, a follower in the current term.
    pub(crate) fn follow(
        &mut self,
        config: &Config<S>,
        leader: Option<NodeId>,
        fx: &mut Effects<Self>,
    ) {
        let role = std::mem::replace(&mut self.role, Role::Follower);
        self.leader = leader;
        if let Role::Leader(deposed) = role {
            Self::resign(deposed, leader, fx);
        }
        if leader.is_some() {
            let patience = *config.election_ticks.start();
            fx.arm(Timer::Election, patience..=patience);
        } else {
            fx.arm(Timer::Election, config.election_ticks.clone());
        }
    }

    /// What a deposed leader has not begun will not happen: say so.
    fn resign(deposed: Leader<S>, leader: Option<NodeId>, fx: &mut Effects<Self>) {
        for timer in [Timer::Heartbeat, Timer::Quorum, Timer::Replicate] {
            fx.disarm(timer);
        }
        let proposals = deposed
            .proposals
            .iter()
            .filter_map(|payload| match *payload {
                crate::Payload::Noop => None,
                crate::Payload::Open { nonce, .. } => Some(Request::Open { nonce }),
                crate::Payload::Write {
                    session, sequence, ..
                } => Some(Request::Write { session, sequence }),
            });
        let reads = deposed
            .reads
            .iter()
            .map(|read| Request::Read { id: read.id });
        for request in proposals.chain(reads) {
            let refusal = Refusal::NotLeader { leader };
            fx.output(Output::Refused { request, refusal });
        }
    }

    /// Whether this node believes that its term's leader is well. It does not help to depose it
    /// (dissertation, section 4.2.3).
    fn content(&self) -> bool {
        self.leader.is_some()
    }

    /// A log that ends here may lead: it has every entry that this node knows to be durable anywhere.
    fn up_to_date(&self, last: Position) -> bool {
        last >= self.log.last()
    }

    pub(crate) fn on_request_pre_vote(
        &mut self,
        from: NodeId,
        term: Term,
        last: Position,
        fx: &mut Effects<Self>,
    ) {
        let granted = term > self.term && !self.content() && self.up_to_date(last);
        // A refusal carries the voter's own term, so that a candidate left behind can catch up with
        // it and ask again: otherwise a later term at a node with a shorter log would block elections.
        let term = if granted { term } else { self.term };
        fx.send(from, Message::PreVoted { term, granted });
    }

    pub(crate) fn on_pre_voted(
        &mut self,
        config: &Config<S>,
        from: NodeId,
        term: Term,
        granted: bool,
        fx: &mut Effects<Self>,
    ) {
        if !granted {
            if term > self.term {
                self.catch_up_with(config, term, fx);
            }
            return;
        }
        if term != self.term.next() {
            return; // an answer to an earlier question
        }
        if let Role::PreCandidate(granted) = &mut self.role
            && count(granted, from) >= majority(config.members.len())
        {
            self.stand(config, fx);
        }
    }

    pub(crate) fn on_request_vote(
        &mut self,
        config: &Config<S>,
        from: NodeId,
        term: Term,
        last: Position,
        fx: &mut Effects<Self>,
    ) {
        let undisturbed = config.pre_vote || config.check_quorum;
        if undisturbed && self.content() && term > self.term {
            return;
        }
        let ahead = term > self.term;
        if ahead {
            self.follow(config, None, fx);
            self.term = term;
            self.vote = None;
        }
        let free = self.vote.is_none_or(|vote| vote == from);
        let granted = term == self.term && free && self.leader.is_none() && self.up_to_date(last);
        let newly = granted && self.vote.is_none();
        if newly {
            self.vote = Some(from);
            fx.arm(Timer::Election, config.election_ticks.clone());
        }
        if ahead || newly {
            self.enter(self.term, self.vote, fx);
        }
        let term = self.term;
        fx.send(from, Message::Voted { term, granted });
    }

    pub(crate) fn on_voted(
        &mut self,
        config: &Config<S>,
        from: NodeId,
        term: Term,
        granted: bool,
        fx: &mut Effects<Self>,
    ) {
        if term > self.term {
            return self.catch_up_with(config, term, fx);
        }
        if term < self.term || !granted {
            return; // an answer to an earlier question, or no
        }
        if let Role::Candidate(votes) = &mut self.role
            && count(votes, from) >= majority(config.members.len())
        {
            self.lead(config, fx);
        }
    }

    fn lead(&mut self, config: &Config<S>, fx: &mut Effects<Self>) {
        self.role = Role::Leader(Leader::new(config, self.log.last().index));
        self.leader = Some(config.id);
        fx.disarm(Timer::Election);
        if config.check_quorum {
            let patience = *config.election_ticks.start();
            fx.arm(Timer::Quorum, patience..=patience);
        }
        // The first entry, of no effect, goes out at once: it announces the leader, and committing
        // it commits what earlier terms left (section 5.4.2).
        self.on_replicate(config, fx);
        fx.arm(
            Timer::Heartbeat,
            config.heartbeat_ticks..=config.heartbeat_ticks,
        );
    }

    /// A leader that a majority does not answer may have been replaced without knowing: it steps
    /// down, so that its clients look elsewhere (dissertation, section 6.2).
    pub(crate) fn on_quorum_timeout(&mut self, config: &Config<S>, fx: &mut Effects<Self>) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if leader.check_quorum(config) {
            let patience = *config.election_ticks.start();
            fx.arm(Timer::Quorum, patience..=patience);
        } else {
            self.follow(config, None, fx);
        }
    }
}

/// Adds a voter once, and counts them.
fn count(voters: &mut Vec<NodeId>, voter: NodeId) -> usize {
    if let Err(slot) = voters.binary_search(&voter) {
        voters.insert(slot, voter);
    }
    voters.len()
}
