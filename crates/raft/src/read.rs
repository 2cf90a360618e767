//! Linearizable reads by read index (dissertation, section 6.4).

use crate::leader::PendingRead;
use crate::{Config, Leader, Output, Raft, Refusal, Request, Role, StateMachine, Timer};
use quorate_machine::Effects;

impl<S: StateMachine> Raft<S> {
    pub(crate) fn on_read(
        &mut self,
        config: &Config<S>,
        id: u64,
        query: S::Query,
        fx: &mut Effects<Self>,
    ) {
        let commit = self.commit;
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if leader.reads.len() >= config.max_waiting {
            let request = Request::Read { id };
            let refusal = Refusal::Busy;
            return fx.output(Output::Refused { request, refusal });
        }
        leader.reads.push_back(PendingRead {
            id,
            query,
            round: leader.round.saturating_add(1),
            // Until an entry of its own term is committed, a leader does not know what earlier
            // leaders committed.
            index: commit.max(leader.first),
        });
        fx.arm(Timer::Replicate, 0..=0);
    }

    /// Answers the reads whose round is confirmed and whose index is applied, oldest first.
    pub(crate) fn answer_reads(&mut self, fx: &mut Effects<Self>) {
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        if leader.reads.is_empty() {
            return;
        }
        let confirmed = leader.confirmed_round();
        while let Some(read) = leader.reads.front()
            && read.round <= confirmed
            && read.index <= self.commit
        {
            let id = read.id;
            let response = self.replicated.state.query(&read.query);
            leader.reads.pop_front();
            fx.output(Output::Answered { id, response });
        }
    }
}

impl<S: StateMachine> Leader<S> {
    /// Begins a new round if a read waits for one; whether it did.
    pub(crate) fn begin_round(&mut self, config: &Config<S>) -> bool {
        let wanted = self
            .reads
            .back()
            .is_some_and(|read| read.round > self.round);
        if wanted {
            self.round = self.round.saturating_add(1);
            let round = self.round;
            if let Some(own) = self.of(config, config.id) {
                own.round = round;
            }
        }
        wanted
    }
}
