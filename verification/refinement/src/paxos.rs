//! Paxos within the bounds of `MCPaxos.tla`, beside `MCPaxosRefine.tla`.
//!
//! The nodes run [`quorate_paxos::Paxos`] in the model checker's own [`System`], for one decision: the same steps,
//! gates, disks and crashes. What surrounds them is the specification's: the network is all that was ever
//! sent, and receiving removes nothing; any client of a proposer proposes the proposer's number, any client of a
//! reader reads, at any time; bounds are guards, and count what the specification's `spent` counts.
//!
//! The history is what the specification's ghosts say, taken from what Rust does: `voted` from the records that
//! become durable, `answers` from what readers are told, as it is promised. What had to be seen by a read is
//! part of its identifier. The abstraction forgets timers (armed where something is attempted), identifiers
//! and the order of requests that wait: they are answered together.

use crate::Value;
use crate::bounds::{BoundsError, Constants, constants};
use crate::grain::{self, Members, Terms, position, told};
use crate::subject::{Move, Subject};
use quorate_machine::{NodeId, majority};
use quorate_model::{Action, Node, Protocol, Request, State, System};
use quorate_paxos::{
    Attempt, Ballot, Command, Config, Durable, Instance, Message, Output, Paxos, Phase, Proposal,
    Record, Wish,
};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The machine: keys and values are numbers.
pub type Member = Paxos<u8, u8>;

const KEY: u8 = 1;

/// What `MCPaxos.tla` declares.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bounds {
    servers: usize,
    proposers: Vec<NodeId>,
    readers: Vec<NodeId>,
    max_proposals: u8,
    max_reads: u8,
    max_round: u64,
    max_crashes: u8,
    max_unsynced: usize,
    repeats: bool,
}

impl Bounds {
    fn parse(text: &str) -> Result<Self, BoundsError> {
        let (constants, replaced) = constants(text)?;
        if let Some((name, by)) = replaced.into_iter().next() {
            return Err(BoundsError::Replaced(name, by));
        }
        let read = Constants(constants);
        let nodes = |name| {
            let names = read.names(name)?.into_iter();
            let number = |text: String| match text.parse() {
                Ok(number) => Ok(NodeId(number)),
                Err(_) => Err(BoundsError::Value(name, text)),
            };
            names.map(number).collect::<Result<Vec<_>, _>>()
        };
        let servers = nodes("Server")?;
        if !servers
            .iter()
            .zip(1..)
            .all(|(node, number)| node.0 == number)
        {
            let text = read.text("Server")?.to_owned();
            return Err(BoundsError::Value("Server", text));
        }
        Ok(Bounds {
            servers: servers.len(),
            proposers: nodes("Proposers")?,
            readers: nodes("Readers")?,
            max_proposals: read.number("MaxProposals")?,
            max_reads: read.number("MaxReads")?,
            max_round: read.number("MaxRound")?,
            max_crashes: read.number("MaxCrashes")?,
            max_unsynced: read.number("MaxUnsynced")?,
            repeats: read.flag("Repeats")?,
        })
    }
}

/// The specification's names.
struct Specified;

fn nil() -> Value {
    Value::model("Nil")
}

fn value(value: u8) -> Value {
    Value::number(value.into())
}

fn ballot(ballot: Ballot) -> Value {
    let node = u64::from(ballot.node.0);
    Value::sequence([ballot.round, node].map(Value::number))
}

fn proposal(proposal: &Proposal<u8>) -> Value {
    Value::record([
        ("ballot", ballot(proposal.ballot)),
        ("value", value(proposal.value)),
    ])
}

fn or_nil(known: Option<&Proposal<u8>>) -> Value {
    known.map_or_else(nil, proposal)
}

fn instance(known: Option<&Instance<u8>>) -> Value {
    let (promised, accepted) = match known {
        Some(Instance::Decided(decided)) => {
            return Value::record([
                ("kind", Value::string("Decided")),
                ("value", value(*decided)),
            ]);
        }
        Some(Instance::Open(acceptor)) => (acceptor.promised, acceptor.accepted.as_ref()),
        None => (Ballot::NONE, None),
    };
    Value::record([
        ("kind", Value::string("Open")),
        ("promised", ballot(promised)),
        ("accepted", or_nil(accepted)),
    ])
}

fn nodes(nodes: &[NodeId]) -> Value {
    Value::set(nodes.iter().map(|node| Specified.server(*node)))
}

fn phase(phase: &Phase<u8>) -> Value {
    match phase {
        Phase::Preparing {
            ballot: of,
            promised,
            uncovered,
        } => Value::record([
            ("kind", Value::string("Preparing")),
            ("ballot", ballot(*of)),
            ("promised", nodes(promised)),
            ("uncovered", or_nil(uncovered.as_ref())),
        ]),
        Phase::Accepting {
            proposal: of,
            accepted,
        } => Value::record([
            ("kind", Value::string("Accepting")),
            ("proposal", proposal(of)),
            ("accepted", nodes(accepted)),
        ]),
        Phase::SetBack { above } => Value::record([
            ("kind", Value::string("SetBack")),
            ("above", Value::number(*above)),
        ]),
    }
}

fn attempt(attempt: &Attempt<u8>) -> Value {
    let waiting = attempt.requests().map(|(request, wish)| match wish {
        Wish::Decision => Value::record([("wish", Value::string("Decision"))]),
        Wish::Answer { covered } => Value::record([
            ("wish", Value::string("Answer")),
            ("covered", covered.into()),
            ("must", must(request)),
        ]),
    });
    Value::record([
        ("value", attempt.value().map_or_else(nil, |own| value(*own))),
        ("waiting", Value::set(waiting)),
        ("phase", phase(attempt.phase())),
    ])
}

/// A request's identifier: a number of its own, and what it has to see.
fn identifier(number: u8, must: Option<u8>) -> u64 {
    u64::from(number) << 8 | u64::from(must.unwrap_or(0))
}

/// What the request with this identifier has to see.
fn must(request: u64) -> Value {
    let known = (request & 0xff) as u8;
    Value::set((known > 0).then(|| value(known)))
}

impl Terms for Specified {
    type Machine = Member;
    type Error = Infallible;

    fn server(&self, node: NodeId) -> Value {
        Value::number(node.0.into())
    }

    fn machine(&self, _: NodeId, paxos: &Member) -> Result<Value, Infallible> {
        Ok(Value::record([
            ("up", true.into()),
            ("known", instance(paxos.state().instances.get(&KEY))),
            (
                "attempt",
                paxos.attempts().get(&KEY).map_or_else(nil, attempt),
            ),
        ]))
    }

    fn down(&self) -> Value {
        Value::record([("up", false.into())])
    }

    fn durable(&self, durable: &Durable<u8, u8>) -> Value {
        instance(durable.instances.get(&KEY))
    }

    fn record(&self, record: &Record<u8, u8>) -> Value {
        match record {
            Record::Promised { ballot: of, .. } => {
                Value::record([("kind", Value::string("Promised")), ("ballot", ballot(*of))])
            }
            Record::Accepted { proposal: of, .. } => Value::record([
                ("kind", Value::string("Accepted")),
                ("proposal", proposal(of)),
            ]),
            Record::Decided { value: of, .. } => {
                Value::record([("kind", Value::string("Decided")), ("value", value(*of))])
            }
            Record::Released { below } => Value::record([
                ("kind", Value::string("Released")),
                ("below", value(*below)),
            ]),
        }
    }

    fn message(&self, from: NodeId, to: NodeId, message: &Message<u8, u8>) -> Value {
        let (kind, own) = match message {
            Message::Prepare { ballot: of, .. } => ("Prepare", vec![("ballot", ballot(*of))]),
            Message::Promised {
                ballot: of,
                accepted,
                ..
            } => (
                "Promised",
                vec![
                    ("ballot", ballot(*of)),
                    ("accepted", or_nil(accepted.as_ref())),
                ],
            ),
            Message::Accept {
                ballot: of,
                value: proposed,
                ..
            } => (
                "Accept",
                vec![("ballot", ballot(*of)), ("value", value(*proposed))],
            ),
            Message::Accepted { ballot: of, .. } => ("Accepted", vec![("ballot", ballot(*of))]),
            Message::Refused {
                ballot: of,
                promised,
                ..
            } => (
                "Refused",
                vec![("ballot", ballot(*of)), ("promised", ballot(*promised))],
            ),
            Message::Decided { value: decided, .. } => {
                ("Decided", vec![("value", value(*decided))])
            }
            Message::Released { .. } => ("Released", Vec::new()),
        };
        let envelope = [
            ("kind", Value::string(kind)),
            ("from", self.server(from)),
            ("to", self.server(to)),
        ];
        Value::record(envelope.into_iter().chain(own))
    }
}

/// What has happened: the specification's ghosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    proposals: u8,
    reads: u8,
    /// For each server every proposal that its disk ever accepted.
    voted: BTreeMap<NodeId, BTreeSet<(Ballot, u8)>>,
    /// For each answered read, what it had to see and what it saw.
    answers: BTreeSet<(u64, Option<u8>)>,
}

impl History {
    /// What a majority of disks has accepted under one ballot.
    fn chosen(&self, servers: usize) -> Option<u8> {
        let voted = || self.voted.values().flatten();
        let votes = |one: &(Ballot, u8)| voted().filter(|other| *other == one).count();
        let mut chosen = voted().filter(|one| votes(one) >= majority(servers));
        chosen.next().map(|(_, value)| *value)
    }
}

/// Paxos, to be compared with `MCPaxosRefine.tla`.
pub struct PaxosSubject {
    bounds: Bounds,
    system: System<Members<Member>>,
}

impl PaxosSubject {
    /// Paxos within the bounds of a configuration's text.
    ///
    /// # Errors
    ///
    /// If it has no counterpart in Rust.
    pub fn new(text: &str) -> Result<Self, BoundsError> {
        let bounds = Bounds::parse(text)?;
        let ids: Vec<NodeId> = (1..=bounds.servers as u32).map(NodeId).collect();
        let config = |id: &NodeId| Config {
            doublings_max: 0,
            ..Config::new(*id, ids.iter().copied())
        };
        let configs = ids.iter().map(config).collect();
        let members = Members::new("paxos", configs, bounds.max_crashes, bounds.max_unsynced);
        let max_round = bounds.max_round;
        let members = members.within(move |state| {
            let mut machines = state.machines();
            machines.all(|paxos| next_round(paxos) <= max_round + 1)
        });
        Ok(PaxosSubject {
            system: System::new(Arc::new(members)),
            bounds,
        })
    }

    /// Whether a node may begin a ballot in the next round, if it has to.
    fn may_begin(&self, paxos: &Member) -> bool {
        let above = match paxos.attempts().get(&KEY).map(Attempt::phase) {
            Some(Phase::SetBack { above }) => *above,
            _ => 0,
        };
        paxos.decided(&KEY).is_some() || next_round(paxos).max(above + 1) <= self.bounds.max_round
    }

    /// The specification's name of what happens; `None` if it is out of bounds.
    fn name(
        &self,
        state: &State<Members<Member>>,
        action: &Action<Member>,
    ) -> Option<&'static str> {
        match action {
            Action::Duplicate(envelope) => Some(receives(&envelope.message)),
            // The same without the message afterwards.
            Action::Deliver(_) | Action::Lose(_) | Action::Request(_) => None,
            Action::Timeout(node, _) => {
                let paxos = &grain::up(state, *node)?.machine;
                let may = match paxos.attempts().get(&KEY)?.phase() {
                    Phase::SetBack { .. } => self.may_begin(paxos),
                    Phase::Preparing { .. } | Phase::Accepting { .. } => self.bounds.repeats,
                };
                may.then_some("Retries")
            }
            Action::Sync(_) => Some("Syncs"),
            Action::Crash(_) => Some("Crashes"),
            Action::Recover(_) => Some("Recovers"),
        }
    }

    /// What the clients of a node may ask.
    fn requests(&self, node: NodeId, paxos: &Member, history: &History) -> Vec<Request<Member>> {
        let bounds = &self.bounds;
        if !paxos.attempts().contains_key(&KEY) && !self.may_begin(paxos) {
            return Vec::new();
        }
        let number = history.proposals + history.reads + 1;
        let proposes = bounds.proposers.contains(&node) && history.proposals < bounds.max_proposals;
        let proposal = proposes.then(|| Command::Propose {
            request: identifier(number, None),
            key: KEY,
            value: node.0 as u8,
        });
        let reads = bounds.readers.contains(&node) && history.reads < bounds.max_reads;
        let read = reads.then(|| Command::Read {
            request: identifier(number, history.chosen(bounds.servers)),
            key: KEY,
        });
        let commands = proposal.into_iter().chain(read);
        let request = |command| Request {
            client: 0,
            node,
            command,
        };
        commands.map(request).collect()
    }
}

/// The round that a node would begin.
fn next_round(paxos: &Member) -> u64 {
    let instance = paxos.state().instances.get(&KEY);
    let acceptor = instance.and_then(Instance::acceptor);
    acceptor.map_or(0, |acceptor| acceptor.promised.round) + 1
}

fn receives(message: &Message<u8, u8>) -> &'static str {
    match message {
        Message::Prepare { .. } => "ReceivesPrepare",
        Message::Promised { .. } => "ReceivesPromised",
        Message::Accept { .. } => "ReceivesAccept",
        Message::Accepted { .. } => "ReceivesAccepted",
        Message::Refused { .. } => "ReceivesRefused",
        Message::Decided { .. } => "ReceivesDecided",
        Message::Released { .. } => "ReceivesReleased",
    }
}

impl Subject for PaxosSubject {
    type Protocol = Members<Member>;
    type History = History;
    type Error = Infallible;

    fn system(&self) -> &System<Members<Member>> {
        &self.system
    }

    fn history(&self) -> History {
        History::default()
    }

    fn actions(
        &self,
        state: &State<Members<Member>>,
        history: &History,
        out: &mut Vec<Move<Members<Member>>>,
    ) {
        let mut actions = Vec::new();
        stateright::Model::actions(&self.system, state, &mut actions);
        out.extend(actions.into_iter().filter_map(|action| {
            let name = self.name(state, &action)?;
            Some(Move { action, name })
        }));
        for (node, running) in self.system.protocol().nodes().iter().zip(state.nodes()) {
            let Some(paxos) = running.machine() else {
                continue;
            };
            let requests = self.requests(*node, paxos, history).into_iter();
            out.extend(requests.map(|request| Move {
                name: match request.command {
                    Command::Propose { .. } => "Proposes",
                    Command::Read { .. } | Command::Release { .. } => "Asks",
                },
                action: Action::Request(request),
            }));
        }
    }

    fn identify(
        &self,
        state: &State<Members<Member>>,
        history: &History,
        hasher: &mut impl Hasher,
    ) {
        for node in state.nodes() {
            node.durable().hash(hasher);
            let Some(up) = node.up() else {
                false.hash(hasher);
                continue;
            };
            let attempts = up.machine.attempts().get(&KEY).map(attempt);
            (true, up.machine.state(), attempts).hash(hasher);
            (&up.unsynced, &up.timers).hash(hasher);
            // Promises for the same step leave together, into a network that is a set: their order and number
            // make no difference. What is said to the application is in the history by now.
            let steps = up.unsynced.iter().map(Vec::len);
            let own = NodeId(0); // the same in every promise
            let promised = grain::promised(&up.gate, steps, |to, message| {
                Specified.message(own, to, message)
            });
            promised.hash(hasher);
        }
        let network = state.network();
        network.len().hash(hasher);
        network.for_each(|envelope| envelope.hash(hasher));
        (state.spent().crashes, history).hash(hasher);
    }

    fn follow(
        &self,
        before: &State<Members<Member>>,
        history: &History,
        step: &Move<Members<Member>>,
        after: &State<Members<Member>>,
    ) -> History {
        let mut history = history.clone();
        match step.name {
            "Proposes" => history.proposals += 1,
            "Asks" => history.reads += 1,
            _ => {}
        }
        let node = position(&step.action);
        if let Action::Sync(_) = step.action {
            let batch = grain::up(before, node).and_then(|up| up.unsynced.front());
            for record in batch.into_iter().flatten() {
                if let Record::Accepted { proposal, .. } = record {
                    let voted = history.voted.entry(NodeId(node as u32 + 1)).or_default();
                    voted.insert((proposal.ballot, proposal.value));
                }
            }
        }
        let reads = reading(before, node, &step.action);
        for output in told(before, after, node) {
            let (request, saw) = match output {
                Output::Decided { request, value } => (request, Some(value)),
                Output::Undecided { request } => (request, None),
                Output::Refused { .. } | Output::Learned { .. } => continue,
            };
            if reads.contains(&request) {
                history.answers.insert((request & 0xff, saw));
            }
        }
        history
    }

    fn abstraction(
        &self,
        state: &State<Members<Member>>,
        history: &History,
    ) -> Result<Value, Infallible> {
        let members = self.system.protocol();
        let mut variables = grain::variables(&Specified, members, state)?;
        let voted = members.nodes().iter().map(|node| {
            let voted = history.voted.get(node).into_iter().flatten();
            let proposals = voted.map(|(ballot, value)| Proposal {
                ballot: *ballot,
                value: *value,
            });
            (
                Specified.server(*node),
                Value::set(proposals.map(|one| proposal(&one))),
            )
        });
        let answers = history.answers.iter().map(|(seen, saw)| {
            Value::record([("must", must(*seen)), ("saw", saw.map_or_else(nil, value))])
        });
        let spent = [
            ("proposals", history.proposals),
            ("reads", history.reads),
            ("crashes", state.spent().crashes),
        ];
        let spent = spent.map(|(what, times)| (what, Value::number(times.into())));
        variables.extend([
            ("voted", Value::function(voted)),
            ("answers", Value::set(answers)),
            ("spent", Value::record(spent)),
        ]);
        Ok(Value::record(variables))
    }
}

/// The reads that a node may answer in a step: those that wait, and the one that is asked.
fn reading(before: &State<Members<Member>>, node: usize, action: &Action<Member>) -> BTreeSet<u64> {
    let machine = before.nodes().nth(node).and_then(Node::machine);
    let attempts = machine
        .into_iter()
        .flat_map(|paxos| paxos.attempts().values());
    let waiting = attempts.flat_map(Attempt::requests);
    let mut reads: BTreeSet<u64> = waiting
        .filter(|(_, wish)| *wish != Wish::Decision)
        .map(|(request, _)| request)
        .collect();
    if let Action::Request(request) = action
        && let Command::Read { request, .. } = request.command
    {
        reads.insert(request);
    }
    reads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_as_tlc_reads_it() {
        let text = "CONSTANTS
    Server = {1, 2, 3}
    Proposers = {1, 2}
    Readers = {}
    MaxProposals = 2
    MaxReads = 0
    MaxRound = 2
    MaxCrashes = 1
    MaxUnsynced = 1
    Repeats = FALSE
";
        let bounds = Bounds::parse(text).unwrap();
        assert_eq!(bounds.servers, 3);
        assert_eq!(bounds.proposers, [NodeId(1), NodeId(2)]);
        assert_eq!((bounds.max_round, bounds.max_crashes), (2, 1));
        let other = Bounds::parse(&text.replace("{1, 2, 3}", "{1, 3}"));
        assert!(matches!(other, Err(BoundsError::Value("Server", _))));
        let replaced = Bounds::parse(&format!("{text}    Raise <- NoRaise\n"));
        assert!(matches!(replaced, Err(BoundsError::Replaced(..))));
    }

    #[test]
    fn chosen_takes_a_majority_under_one_ballot() {
        let mut history = History::default();
        let ballot = |round| Ballot {
            round,
            node: NodeId(1),
        };
        let mut vote = |node, round, value| {
            let voted = history.voted.entry(NodeId(node)).or_default();
            voted.insert((ballot(round), value));
            history.chosen(3)
        };
        assert_eq!(vote(1, 1, 7), None);
        assert_eq!(vote(2, 2, 7), None);
        assert_eq!(vote(3, 2, 7), Some(7));
    }
}
