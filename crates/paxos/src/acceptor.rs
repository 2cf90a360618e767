//! Acceptors: what makes a decision a decision.
//!
//! An acceptor answers from its disk alone, and never goes back: what it has promised bounds what it will
//! accept, and what it accepts it has also promised. Both records are durable before the answer leaves.

use crate::{Acceptor, Ballot, Config, Instance, Message, Paxos, Proposal, Record};
use quorate_machine::{Effects, NodeId, Value};

impl<K: Value + Ord, V: Value> Paxos<K, V> {
    /// Phase 1b.
    pub(crate) fn on_prepare(
        &mut self,
        config: &Config,
        from: NodeId,
        key: K,
        ballot: Ballot,
        fx: &mut Effects<Self>,
    ) {
        let Some(acceptor) = self.asked(config, from, &key, ballot, fx) else {
            return;
        };
        let accepted = acceptor.accepted.clone();
        if ballot > acceptor.promised {
            acceptor.promised = ballot;
            let key = key.clone();
            fx.persist(Record::Promised { key, ballot });
        }
        let answer = Message::Promised {
            key: key.clone(),
            ballot,
            accepted,
        };
        fx.send(from, answer);
        self.give_way(config, &key, ballot, fx);
    }

    /// Phase 2b.
    pub(crate) fn on_accept(
        &mut self,
        config: &Config,
        from: NodeId,
        key: K,
        proposal: Proposal<V>,
        fx: &mut Effects<Self>,
    ) {
        let ballot = proposal.ballot;
        let Some(acceptor) = self.asked(config, from, &key, ballot, fx) else {
            return;
        };
        let known = acceptor.accepted.as_ref().map(|known| known.ballot);
        if known != Some(ballot) {
            // To accept is to promise as well: an acceptor that a proposal reached before it was asked to
            // promise must not accept a lower one afterwards.
            acceptor.promised = ballot;
            acceptor.accepted = Some(proposal.clone());
            let key = key.clone();
            fx.persist(Record::Accepted { key, proposal });
        }
        let answer = Message::Accepted {
            key: key.clone(),
            ballot,
        };
        fx.send(from, answer);
        self.give_way(config, &key, ballot, fx);
    }

    /// The acceptor that `from` asks about a ballot of its own, if the ballot is not too late; if it is, or
    /// nothing is left to ask about, the answer is given here.
    fn asked(
        &mut self,
        config: &Config,
        from: NodeId,
        key: &K,
        ballot: Ballot,
        fx: &mut Effects<Self>,
    ) -> Option<&mut Acceptor<V>> {
        if ballot.node != from || ballot.round == 0 {
            return None; // nobody else's ballot, and none that is below all
        }
        let key = key.clone();
        if self.state.is_released(&key) {
            fx.send(from, Message::Released { key });
            return None;
        }
        if !self.has_room(config, &key) {
            return None;
        }
        match self.state.instances.entry(key.clone()).or_default() {
            Instance::Decided(value) => {
                let value = value.clone();
                fx.send(from, Message::Decided { key, value });
                None
            }
            Instance::Open(acceptor) if ballot < acceptor.promised => {
                let promised = acceptor.promised;
                let refusal = Message::Refused {
                    key,
                    ballot,
                    promised,
                };
                fx.send(from, refusal);
                None
            }
            Instance::Open(acceptor) => Some(acceptor),
        }
    }
}
