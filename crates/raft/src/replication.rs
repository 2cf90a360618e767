//! Replication: from a command to a committed entry on every log.

use crate::{
    Command, Config, Entry, Flow, Index, Leader, Log, Message, Output, Payload, Position, Raft,
    Record, Refusal, Role, StateMachine, Term, Timer,
};
use quorate_machine::{Effects, NodeId};

/// The content of a [`Message::Append`].
pub(crate) struct Append<C> {
    pub(crate) term: Term,
    pub(crate) prev: Position,
    pub(crate) entries: Vec<Entry<C>>,
    pub(crate) commit: Index,
    pub(crate) round: u64,
}

impl<S: StateMachine> Raft<S> {
    pub(crate) fn on_command(
        &mut self,
        config: &Config<S>,
        command: Command<S>,
        fx: &mut Effects<Self>,
    ) {
        let request = command.request();
        let leader = self.leader;
        let Role::Leader(leading) = &mut self.role else {
            let refusal = Refusal::NotLeader { leader };
            return fx.output(Output::Refused { request, refusal });
        };
        let payload = match command {
            Command::Read { id, query } => return self.on_read(config, id, query, fx),
            Command::Open { nonce } => Payload::Open {
                nonce,
                limit: config.max_sessions,
            },
            Command::Write {
                session,
                sequence,
                command,
            } => Payload::Write {
                session,
                sequence,
                command,
            },
        };
        if leading.propose(config, payload) {
            fx.arm(Timer::Replicate, 0..=0);
        } else {
            let refusal = Refusal::Busy;
            fx.output(Output::Refused { request, refusal });
        }
    }

    /// The end of a turn: what has gathered becomes one record and one append per follower.
    pub(crate) fn on_replicate(&mut self, config: &Config<S>, fx: &mut Effects<Self>) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let announce = leader.begin_round(config);
        if !leader.proposals.is_empty() {
            let term = self.term;
            let after = self.log.last().index;
            leader.proposed_bytes = 0;
            let proposals = leader.proposals.drain(..);
            let entries: Vec<_> = proposals.map(|payload| Entry { term, payload }).collect();
            self.log.splice(after, entries.iter().cloned());
            fx.persist(Record::Append { after, entries });
            // Promised to itself: arrives once the record is durable, and counts its own disk.
            let message = Message::Appended {
                term,
                matched: self.log.last().index,
                round: 0,
            };
            fx.send(config.id, message);
        }
        self.send_appends(config, announce, fx);
        self.answer_reads(fx);
    }

    pub(crate) fn on_heartbeat_timeout(&mut self, config: &Config<S>, fx: &mut Effects<Self>) {
        if self.is_leader() {
            self.send_appends(config, true, fx);
            fx.arm(
                Timer::Heartbeat,
                config.heartbeat_ticks..=config.heartbeat_ticks,
            );
        }
    }

    fn send_appends(&mut self, config: &Config<S>, announce: bool, fx: &mut Effects<Self>) {
        for peer in config.peers() {
            self.send_append(config, peer, announce, fx);
        }
    }

    /// Sends `peer` what its flow allows; if `announce`, at least an empty append.
    fn send_append(
        &mut self,
        config: &Config<S>,
        peer: NodeId,
        announce: bool,
        fx: &mut Effects<Self>,
    ) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let round = leader.round;
        let Some(progress) = leader.of(config, peer) else {
            return;
        };
        let last = self.log.last().index;
        let mut silent = announce;
        loop {
            let in_flight = progress
                .next
                .previous()
                .0
                .saturating_sub(progress.matched.0);
            let room = match progress.flow {
                Flow::Probe { awaiting: true } if !silent => 0,
                Flow::Probe { .. } => config.batch_entries,
                Flow::Stream => config.window_entries.saturating_sub(in_flight as usize),
            };
            if !silent && (room == 0 || progress.next > last) {
                return;
            }
            let prev = self.log.position(progress.next.previous());
            let entries = batch(config, self.log.after(prev.index), room);
            match &mut progress.flow {
                Flow::Probe { awaiting } => *awaiting = true,
                Flow::Stream => progress.next = progress.next.plus(entries.len()),
            }
            silent = false;
            let message = Message::Append {
                term: self.term,
                prev,
                entries,
                commit: self.commit,
                round,
            };
            // Claims nothing about this disk beyond the term, which became durable before the first
            // vote left: so the follower's sync runs while the leader's own is in flight
            // (dissertation, section 10.2.1).
            fx.send_before_sync(peer, message);
        }
    }

    pub(crate) fn on_append(
        &mut self,
        config: &Config<S>,
        from: NodeId,
        append: Append<S::Command>,
        fx: &mut Effects<Self>,
    ) {
        let Append {
            term,
            prev,
            entries,
            commit,
            round,
        } = append;
        let well_formed = Log::accepts(prev, &entries, term);
        if !well_formed || from == config.id || (self.is_leader() && term == self.term) {
            return; // no leader that follows the protocol sends this
        }
        if term < self.term {
            // Tell a leader of the past that its term is over.
            return self.refuse(from, prev.index, round, fx);
        }
        self.follow(config, Some(from), fx);
        if term > self.term {
            self.enter(term, None, fx);
        }
        if !self.log.contains(prev) {
            return self.refuse_at(from, prev, round, fx);
        }
        let matched = prev.index.plus(entries.len());
        let known = self.log.matching(prev, &entries);
        let after = prev.index.plus(known);
        if known < entries.len() {
            if after < self.commit {
                return; // committed entries are never replaced, whoever asks
            }
            let news = entries.into_iter().skip(known);
            let entries: Vec<_> = news.collect();
            self.log.splice(after, entries.iter().cloned());
            fx.persist(Record::Append { after, entries });
        }
        let message = Message::Appended {
            term: self.term,
            matched,
            round,
        };
        fx.send(from, message);
        self.commit_to(commit.min(matched), fx);
    }

    fn refuse(&self, to: NodeId, refused: Index, round: u64, fx: &mut Effects<Self>) {
        let message = Message::Conflicted {
            term: self.term,
            refused,
            hint: Position::default(),
            round,
        };
        fx.send(to, message);
    }

    fn refuse_at(&self, to: NodeId, prev: Position, round: u64, fx: &mut Effects<Self>) {
        let message = Message::Conflicted {
            term: self.term,
            refused: prev.index,
            // The entry at `prev` itself is of no use, whatever its term.
            hint: self.log.last_at_most(prev.index.previous(), prev.term),
            round,
        };
        fx.send(to, message);
    }

    pub(crate) fn on_appended(
        &mut self,
        config: &Config<S>,
        from: NodeId,
        term: Term,
        matched: Index,
        round: u64,
        fx: &mut Effects<Self>,
    ) {
        let last = self.log.last().index;
        let Some(leader) = self.heard_by_leader(config, from, term, round, fx) else {
            return;
        };
        let Some(progress) = leader.of(config, from) else {
            return;
        };
        if matched > last {
            return; // it cannot have what was never written
        }
        progress.matched = progress.matched.max(matched);
        progress.next = progress.next.max(progress.matched.next());
        if matched.next() >= progress.next {
            progress.flow = Flow::Stream;
        }
        self.advance_commit(fx);
        if from != config.id {
            self.send_append(config, from, false, fx);
        }
        self.answer_reads(fx);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of the message")]
    pub(crate) fn on_conflicted(
        &mut self,
        config: &Config<S>,
        from: NodeId,
        term: Term,
        refused: Index,
        hint: Position,
        round: u64,
        fx: &mut Effects<Self>,
    ) {
        let agree = self.log.last_at_most(hint.index, hint.term).index;
        let Some(leader) = self.heard_by_leader(config, from, term, round, fx) else {
            return;
        };
        let Some(progress) = leader.of(config, from) else {
            return;
        };
        let stale = refused <= progress.matched || refused >= progress.next;
        if !stale {
            let lowest = progress.matched.next();
            progress.next = agree.next().min(refused).max(lowest);
            progress.flow = Flow::Probe { awaiting: false };
            self.send_append(config, from, false, fx);
        }
        self.answer_reads(fx);
    }

    /// Notes an answer from a follower; `None` if this node does not lead in the answer's term.
    fn heard_by_leader(
        &mut self,
        config: &Config<S>,
        from: NodeId,
        term: Term,
        round: u64,
        fx: &mut Effects<Self>,
    ) -> Option<&mut Leader<S>> {
        if term > self.term {
            self.catch_up_with(config, term, fx);
        }
        let Role::Leader(leader) = &mut self.role else {
            return None;
        };
        if term < self.term || round > leader.round {
            return None;
        }
        let progress = leader.of(config, from)?;
        progress.active = true;
        progress.round = progress.round.max(round);
        Some(leader)
    }

    /// Commits what a majority has, if it ends in an entry of this term: an older entry on a
    /// majority may still be replaced (section 5.4.2, Figure 8).
    fn advance_commit(&mut self, fx: &mut Effects<Self>) {
        if let Role::Leader(leader) = &self.role {
            let durable = leader.durable_on_majority();
            if self.log.term_at(durable) == Some(self.term) {
                self.commit_to(durable, fx);
            }
        }
    }

    /// Applies what was committed, in the order of the log.
    fn commit_to(&mut self, commit: Index, fx: &mut Effects<Self>) {
        while self.commit < commit {
            let index = self.commit.next();
            let Some(entry) = self.log.get(index) else {
                return; // the log ends here: the rest is told again
            };
            match &entry.payload {
                Payload::Noop => {}
                Payload::Open { nonce, limit } => {
                    let session = self.replicated.open(index, *limit);
                    let nonce = *nonce;
                    fx.output(Output::Opened { nonce, session });
                }
                Payload::Write {
                    session,
                    sequence,
                    command,
                } => {
                    let outcome = self.replicated.write(index, *session, *sequence, command);
                    fx.output(Output::Applied {
                        index,
                        session: *session,
                        sequence: *sequence,
                        command: command.clone(),
                        outcome,
                    });
                }
            }
            self.commit = index;
        }
    }
}

/// As many entries as one message may carry.
fn batch<'a, S: StateMachine>(
    config: &Config<S>,
    entries: impl Iterator<Item = &'a Entry<S::Command>>,
    room: usize,
) -> Vec<Entry<S::Command>> {
    let mut bytes = 0;
    let limit = room.min(config.batch_entries);
    let fitting = entries.take(limit).enumerate();
    let fitting = fitting.take_while(|(position, entry)| {
        if let Payload::Write { command, .. } = &entry.payload {
            bytes += S::size_bytes(command);
        }
        *position == 0 || bytes <= config.batch_bytes
    });
    fitting.map(|(_, entry)| entry.clone()).collect()
}
