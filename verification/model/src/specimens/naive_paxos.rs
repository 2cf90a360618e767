//! Single-decree Paxos as it is often retold, with one rule left out; each time two nodes decide differently.
//!
//! - **A promise without the ballot** of what was accepted. The proposer cannot tell which of the values that
//!   it hears of is the latest, and only the latest may have been decided.
//! - **Ballots from a counter of each node's own.** Two nodes count to the same number, and an acceptor
//!   takes the proposals of both for one.
//! - **Accepting without promising.** An acceptor that a proposal reached without a question before still
//!   takes an older one afterwards, and what it had accepted, perhaps decided, is gone.
//!
//! With the rules there (Lamport, "Paxos Made Simple", 2001) nothing is wrong with it. Nobody crashes here,
//! so nothing is written to a disk either.

use super::Specimen;
use crate::{Bounds, Scenario, Seen};
use quorate_machine::{Effects, Event, Machine, NodeId, majority};

/// The property that each breaks.
pub const AGREEMENT: &str = "two nodes never decide differently";

/// Which rule is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// None.
    AllKept,
    /// A promise says under which ballot its value was accepted.
    PromisesTellBallots,
    /// A ballot belongs to one node.
    BallotsAreOwned,
    /// To accept is to promise.
    AcceptingPromises,
}

/// Who a node is.
#[derive(Clone, Debug)]
pub struct Member {
    id: NodeId,
    nodes: Vec<NodeId>,
    without: Rule,
}

/// Proposer, acceptor and learner in one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node {
    promised: u8,
    /// Ballot and value.
    accepted: Option<(u8, u8)>,
    ballot: u8,
    value: u8,
    promises: Vec<NodeId>,
    uncovered: Option<(u8, u8)>,
    acceptances: Vec<NodeId>,
    decided: Option<u8>,
}

/// What nodes say; ballots are numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// Promise to accept nothing lower.
    Prepare(u8),
    /// Promised; what was accepted before, and under which ballot.
    Promised(u8, Option<(u8, u8)>),
    /// Accept this value.
    Accept(u8, u8),
    /// Accepted.
    Accepted(u8),
}

impl Machine for Node {
    type Config = Member;
    /// Propose this value.
    type Command = u8;
    type Message = Message;
    type Timer = ();
    type Record = ();
    type Durable = ();
    type Output = ();

    fn apply((): &mut (), (): &()) {}

    fn start(_: &Member, (): &(), _: &mut Effects<Self>) -> Self {
        Node::default()
    }

    fn step(&mut self, config: &Member, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Command(value) => self.prepare(config, value, fx),
            Event::Receive { from, message } => self.receive(config, from, message, fx),
            Event::Timeout(()) => {}
        }
    }

    fn backed(_: NodeId, _: &Message, (): &()) -> bool {
        true // what is promised is in memory, and nobody crashes here
    }
}

impl Node {
    fn prepare(&mut self, config: &Member, value: u8, fx: &mut Effects<Self>) {
        let members = config.nodes.len() as u8;
        let round = self.promised.max(self.ballot) / members + 1;
        self.ballot = match config.without {
            Rule::BallotsAreOwned => self.ballot + 1,
            _ => round * members + config.id.0 as u8 - 1,
        };
        self.value = value;
        for node in &config.nodes {
            fx.send(*node, Message::Prepare(self.ballot));
        }
    }

    fn receive(&mut self, config: &Member, from: NodeId, message: Message, fx: &mut Effects<Self>) {
        let enough = majority(config.nodes.len());
        match message {
            Message::Prepare(ballot) if ballot >= self.promised => {
                self.promised = ballot;
                fx.send(from, Message::Promised(ballot, self.accepted));
            }
            Message::Promised(ballot, accepted) if ballot == self.ballot => {
                let last = config.without == Rule::PromisesTellBallots;
                if accepted.is_some() && (last || accepted > self.uncovered) {
                    self.uncovered = accepted;
                }
                self.promises.push(from);
                if self.promises.len() == enough {
                    let value = self.uncovered.map_or(self.value, |(_, value)| value);
                    self.value = value;
                    for node in &config.nodes {
                        fx.send(*node, Message::Accept(ballot, value));
                    }
                }
            }
            Message::Accept(ballot, value) if ballot >= self.promised => {
                if config.without != Rule::AcceptingPromises {
                    self.promised = ballot;
                }
                self.accepted = Some((ballot, value));
                fx.send(from, Message::Accepted(ballot));
            }
            Message::Accepted(ballot) if ballot == self.ballot => {
                self.acceptances.push(from);
                if self.acceptances.len() == enough {
                    self.decided = Some(self.value);
                }
            }
            _ => {}
        }
    }
}

/// Three nodes, each of which proposes its own number, the first first.
pub fn scenario(without: Rule) -> Scenario<Node> {
    let name = match without {
        Rule::AllKept => "Paxos with all its rules",
        Rule::PromisesTellBallots => "Paxos whose promises tell no ballots",
        Rule::BallotsAreOwned => "Paxos with ballots that nobody owns",
        Rule::AcceptingPromises => "Paxos that accepts without promising",
    };
    let member = move |id, nodes: &[NodeId]| Member {
        id,
        nodes: nodes.to_vec(),
        without,
    };
    Scenario::new(name, 3, member)
        .bounds(Bounds {
            crashes: 0,
            in_flight: 2,
            ..Bounds::default()
        })
        .bound("proposals at other nodes", 0, |state| {
            let mut seen = state.clients().seen().iter();
            seen.all(|seen| match seen {
                Seen::Asked { node, command, .. } => node.0 == u32::from(*command),
                Seen::Told { .. } => true,
            })
        })
        .client([1, 2, 3])
        .always(AGREEMENT, |state| {
            let mut decided = state.machines().filter_map(|node: &Node| node.decided);
            let first = decided.next();
            decided.all(|value| Some(value) == first)
        })
        .sometimes("a node decides", |state| {
            state.machines().any(|node: &Node| node.decided.is_some())
        })
}

/// Without one of its rules.
pub fn specimen(without: Rule) -> Specimen<Scenario<Node>> {
    Specimen {
        protocol: scenario(without),
        breaks: AGREEMENT,
    }
}
