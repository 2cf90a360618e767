//! Two-phase commit, checked.
//!
//! Nodes run [`quorate_commit::Commit`] as in production. Around them are callers, who begin transactions and ask
//! what has become of them, and one resource a node, which votes as it likes, carries out what it is told whenever
//! it likes, and says again after a crash what it is in doubt about. Callers and resources outlive crashes: what was
//! said to them is what the properties AC1 to AC5 (Bernstein, Hadzilacos and Goodman, 1987, section 7.3) are about.
//!
//! Some configurations are for what the protocol cannot do: plain two-phase commit blocks, and that is found as a
//! state. The non-blocking mode decides in the same situation, which is a question of liveness
//! ([`liveness`]).

pub mod liveness;
mod properties;
mod scopes;
mod surroundings;

pub use scopes::scope;
pub use surroundings::{Answers, Caller, Resource, Surroundings};

use crate::{Bounds, Liveness, Property, Protocol, Request, State};
use quorate_commit::{
    Command, Commit, Config, Decision, Durable, Message, Mode, Output, Phase, Record, RequestId,
    Timer, TxnId, Vote, invariants,
};
use quorate_machine::{Machine, NodeId};
use quorate_paxos as paxos;

/// The machine that is checked: what its resources are asked to do makes no difference.
pub type Node = Commit<()>;

/// A model of two-phase commit: who takes part in what, and bounds.
#[derive(Clone)]
pub struct CommitModel {
    name: String,
    nodes: Vec<NodeId>,
    configs: Vec<Config>,
    limits: Limits,
    bounds: Bounds,
    liveness: Liveness<Self>,
}

/// What is particular to a configuration of the model.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many nodes there are.
    pub nodes: u32,
    /// The transactions, each begun by a caller of its own: the coordinator, and who takes part.
    pub transactions: Vec<(u32, Vec<u32>)>,
    /// Where they are decided.
    pub mode: Mode,
    /// How many times a resource may vote no.
    pub refusals: u8,
    /// How many times callers may ask what has become of their transaction.
    pub questions: u8,
    /// Whether a coordinator may lose patience before all have voted.
    pub impatience: bool,
    /// Ended transactions that a coordinator remembers.
    pub remembered: usize,
    /// Crashes of all nodes together.
    pub crashes: u8,
    /// Nodes that never crash.
    pub steady: Vec<u32>,
    /// Deliveries that leave the message in flight.
    pub duplications: u8,
    /// Messages in flight.
    pub in_flight: usize,
    /// Steps of a node whose records are not durable yet.
    pub unsynced: usize,
    /// What a node has to say, and its disk holds back.
    pub promises: usize,
    /// Rounds of consensus.
    pub rounds: u64,
    /// How far every transaction is at first.
    pub begun: Begun,
    /// Nodes that are down at first, and never come back.
    pub away: Vec<u32>,
}

/// How far a transaction is at first, by what disks hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Nobody has heard of it.
    Not,
    /// Every participant has voted yes.
    Voted,
    /// And its coordinator has proposed to commit, which it and its first participant have accepted.
    Proposed,
}

impl CommitModel {
    /// A model with these limits.
    pub fn new(name: impl Into<String>, limits: Limits) -> Self {
        let nodes: Vec<NodeId> = (1..=limits.nodes).map(NodeId).collect();
        let config = |id: &NodeId| Config {
            remembered: limits.remembered,
            ..Config::new(*id, nodes.iter().copied())
        };
        let mut own = vec![
            ("transactions", limits.transactions.len() as u64),
            ("votes against", limits.refusals.into()),
            ("questions of callers", limits.questions.into()),
            ("ended transactions remembered", limits.remembered as u64),
            ("words repeated while the disk is busy", 0),
            ("promises that wait for a disk", limits.promises as u64),
        ];
        if limits.mode == Mode::NonBlocking {
            own.push(("rounds of consensus", limits.rounds));
            own.push((
                "words of consensus repeated while others are on their way",
                0,
            ));
        }
        if limits.begun != Begun::Not {
            own.push(("votes that are durable at first", voters(&limits)));
        }
        if !limits.away.is_empty() {
            own.push((
                "nodes that are down, and never come back",
                limits.away.len() as u64,
            ));
        }
        if !limits.steady.is_empty() {
            own.push(("nodes that never crash", limits.steady.len() as u64));
        }
        if !limits.impatience {
            own.push(("times that patience is lost without a crash", 0));
        }
        CommitModel {
            name: name.into(),
            configs: nodes.iter().map(config).collect(),
            nodes,
            bounds: Bounds {
                crashes: limits.crashes,
                duplications: limits.duplications,
                in_flight: limits.in_flight,
                unsynced: limits.unsynced,
                own,
            },
            limits,
            liveness: Liveness::default(),
        }
    }

    /// The transactions: the coordinator, and who takes part.
    fn planned(&self) -> impl Iterator<Item = (NodeId, Vec<NodeId>)> {
        let planned = self.limits.transactions.iter();
        planned.map(|(coordinator, participants)| {
            let participants = participants.iter().copied().map(NodeId);
            (NodeId(*coordinator), participants.collect())
        })
    }

    /// The first transaction of each coordinator, if it is begun before anything is looked at.
    fn begun(&self) -> impl Iterator<Item = (RequestId, TxnId, Vec<NodeId>)> {
        let planned = self.planned().filter(|_| self.limits.begun != Begun::Not);
        (0..)
            .map(RequestId)
            .zip(planned)
            .map(|(request, (coordinator, participants))| {
                let txn = TxnId {
                    coordinator,
                    epoch: 1,
                    number: 1,
                };
                (request, txn, participants)
            })
    }

    /// Who takes part in a transaction, by the caller that it was begun for.
    fn participants(&self, surroundings: &Surroundings, txn: TxnId) -> Vec<NodeId> {
        let callers = self.planned().zip(surroundings.callers());
        let mut own = callers.filter(|(_, caller)| caller.txn == Some(txn));
        own.next()
            .map(|((_, participants), _)| participants)
            .unwrap_or_default()
    }

    fn lively(self, liveness: Liveness<Self>) -> Self {
        CommitModel { liveness, ..self }
    }
}

/// Who asks: callers are client 0, and the resource of a node is the client of its number.
const CALLERS: u8 = 0;

fn voters(limits: &Limits) -> u64 {
    let participants = limits
        .transactions
        .iter()
        .map(|(_, participants)| participants.len() as u64);
    participants.sum()
}

fn resource_of(node: NodeId) -> u8 {
    u8::try_from(node.0).unwrap_or(u8::MAX)
}

impl Protocol for CommitModel {
    type Machine = Node;
    type Clients = Surroundings;

    fn name(&self) -> &str {
        &self.name
    }

    fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    fn config(&self, node: NodeId) -> &Config {
        &self.configs[node.0 as usize - 1]
    }

    fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    fn disk(&self, node: NodeId) -> Durable {
        let mut disk = Durable::default();
        let mut write = |record| Node::apply(&mut disk, &record);
        let mode = self.limits.mode;
        for (request, txn, participants) in self.begun() {
            let coordinates = txn.coordinator == node;
            if coordinates {
                write(Record::Epoch(txn.epoch));
            }
            if participants.contains(&node) {
                let participants = participants.clone();
                write(Record::Voted {
                    txn,
                    mode,
                    participants,
                });
            }
            if self.limits.begun != Begun::Proposed {
                continue;
            }
            if coordinates || participants.first() == Some(&node) {
                let proposal = paxos::Proposal {
                    ballot: paxos::Ballot {
                        round: 1,
                        node: txn.coordinator,
                    },
                    value: Decision::Commit,
                };
                let accepted = paxos::Record::Accepted { key: txn, proposal };
                write(Record::Consensus(accepted));
            }
            if coordinates {
                write(Record::Committed {
                    txn,
                    mode,
                    request,
                    participants,
                });
            }
        }
        disk
    }

    fn is_up(&self, node: NodeId) -> bool {
        !self.limits.away.contains(&node.0)
    }

    /// A message that the receiver's disk makes it ignore for ever.
    fn is_dead(&self, message: &Message<()>, receiver: &Durable) -> bool {
        let is_over = |txn: &TxnId| {
            let settled = receiver.latest.get(&txn.coordinator) >= Some(txn);
            settled && !receiver.votes.contains_key(txn)
        };
        match message {
            Message::Decided { txn, .. } | Message::Answered { txn, .. } => {
                let joined = receiver.votes.get(txn);
                is_over(txn) || joined.is_some_and(|joined| joined.decision.is_some())
            }
            Message::Forget { txn } => is_over(txn),
            _ => false,
        }
    }

    fn clients(&self) -> Surroundings {
        let mut surroundings = Surroundings::new(self.limits.transactions.len());
        for (request, txn, participants) in self.begun() {
            let (mode, work) = (self.limits.mode, Vec::new());
            let begin = Command::Begin {
                request,
                mode,
                work,
            };
            surroundings.says(txn.coordinator, &begin);
            surroundings.hears(txn.coordinator, &Output::Begun { request, txn });
            for node in participants {
                surroundings.hears(node, &Output::Prepare { txn, work: () });
                let vote = Vote::Yes;
                surroundings.says(node, &Command::Prepared { txn, vote });
            }
        }
        surroundings
    }

    fn requests(&self, state: &State<Self>, out: &mut Vec<Request<Node>>) {
        let surroundings = state.clients();
        let callers = self.planned().zip(surroundings.callers());
        for (number, ((coordinator, participants), caller)) in (0..).zip(callers) {
            let command = if !caller.asked {
                Command::Begin {
                    request: RequestId(number),
                    mode: self.limits.mode,
                    work: participants.iter().map(|node| (*node, ())).collect(),
                }
            } else if surroundings.questions() < self.limits.questions
                && let Some(txn) = caller.txn
            {
                let request = RequestId(number);
                Command::Ask { request, txn }
            } else {
                continue;
            };
            out.push(Request {
                client: CALLERS,
                node: coordinator,
                command,
            });
        }
        let crashed = state.spent().crashes > 0;
        let refuses = surroundings.refusals() < self.limits.refusals;
        for (node, txn, resource) in surroundings.resources() {
            let nodes = self.nodes.iter().zip(state.nodes());
            let mut own = nodes.filter(|(id, _)| **id == node);
            let awaited = own.any(|(_, node)| {
                let phase = node.machine().and_then(|one| one.participant().phase(txn));
                matches!(phase, Some(Phase::Decided { done: false, .. }))
            });
            let commands = resource.commands(txn, crashed, refuses, awaited);
            out.extend(commands.map(|command| Request {
                client: resource_of(node),
                node,
                command,
            }));
        }
    }

    fn requested(&self, surroundings: &mut Surroundings, request: &Request<Node>) {
        surroundings.says(request.node, &request.command);
    }

    fn output(&self, surroundings: &mut Surroundings, from: NodeId, output: &Output<()>) {
        surroundings.hears(from, output);
    }

    fn stepped(
        &self,
        _: &Surroundings,
        _: NodeId,
        before: &Node,
        after: &Node,
    ) -> Result<Option<Surroundings>, &'static str> {
        invariants::step(before, after).map(|()| None)
    }

    fn fires(&self, state: &State<Self>, node: NodeId, timer: Timer) -> bool {
        let nodes = self.nodes.iter().zip(state.nodes());
        let up = nodes.filter(|(id, _)| **id == node);
        let mut up = up.filter_map(|(_, node)| node.up());
        up.any(|up| {
            let machine = &up.machine;
            match timer {
                // To propose again adds nothing as long as the consensus has room.
                Timer::Votes(_) if !self.limits.impatience => false,
                // Consensus says again what may be lost once nothing else is on its way.
                Timer::Consensus { .. } => crate::liveness::is_quiet(self, state),
                // What was said again may still wait for the disk: to say it a third time adds nothing.
                Timer::Waiting(_) if up.gate.waiting().len() > 0 => false,
                // A participant waits for longer than its coordinator, unless that has crashed.
                Timer::Waiting(txn)
                    if !self.limits.impatience
                        && self.limits.away.is_empty()
                        && state.spent().crashes == 0 =>
                {
                    machine.participant().phase(txn) != Some(Phase::Uncertain)
                }
                _ => true,
            }
        })
    }

    fn within(&self, state: &State<Self>) -> bool {
        let rounds = state.nodes().flat_map(|node| match node.machine() {
            Some(machine) => machine
                .consensus()
                .map(|(_, part)| highest(part.state()))
                .max(),
            None => node.durable().consensus.values().map(highest).max(),
        });
        let mut nodes = self.nodes.iter().zip(state.nodes());
        let misplaced = nodes.any(|(id, node)| match node.up() {
            Some(_) => self.limits.away.contains(&id.0),
            None => self.limits.steady.contains(&id.0),
        });
        let mut up = state.nodes().filter_map(crate::Node::up);
        !misplaced
            && rounds.max().unwrap_or_default() <= self.limits.rounds
            && up.all(|up| up.gate.waiting().len() <= self.limits.promises)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = properties::safety(&self.limits);
        all.extend(properties::reachable(&self.limits));
        all
    }

    fn liveness(&self) -> Liveness<Self> {
        self.liveness.clone()
    }

    fn label(&self, request: &Request<Node>) -> String {
        match &request.command {
            Command::Begin { request, work, .. } => {
                let nodes: Vec<NodeId> = work.iter().map(|(node, ())| *node).collect();
                format!("begins {request} at {nodes:?}")
            }
            Command::Ask { txn, .. } => format!("asks about {txn}"),
            Command::Prepared { txn, vote } => match vote {
                Vote::Yes => format!("has prepared {txn}"),
                Vote::No => format!("refuses {txn}"),
            },
            Command::Done { txn } => format!("has done {txn}"),
        }
    }
}

/// The highest round that a member has heard of.
fn highest(known: &paxos::Durable<TxnId, Decision>) -> u64 {
    let open = known
        .instances
        .values()
        .filter_map(|instance| match instance {
            paxos::Instance::Open(acceptor) => Some(acceptor.promised.round),
            paxos::Instance::Decided(_) => None,
        });
    open.max().unwrap_or_default()
}
