//! Paxos, in the end: what is asked is answered.
//!
//! # What is promised
//!
//! **A request is answered**, by the node that was asked and stays up: a proposal with what is decided, a read
//! with that or with the word that nothing was.
//!
//! # What for
//!
//! Paxos is safe without any assumption, and live with these:
//!
//! - **A majority stays up**, or comes back.
//! - **What is sent again and again arrives**: strong fairness of the deliveries of each kind on each link. A
//!   proposer asks again, so a bounded number of losses, or of crashes of others, stops nobody.
//! - **Disks work**: weak fairness of the syncs of each node. **Timers fire**: weak fairness.
//! - **With more than one proposer, time is on their side** now and then: but for a bounded number of times, a
//!   proposer that waits waits until everything sent has arrived and no disk is busy. That is what drawing from
//!   a range that doubles is for.
//!
//! Each of them is dropped in some configuration ([`scope`]), and the property is then refuted by a lasso.
//! Without timing two proposers refuse each other for ever, with every message delivered, every disk synced
//! and every timer fired (Fischer, Lynch and Paterson, 1985). One proposer needs no timing.
//!
//! # The model
//!
//! The nodes run [`quorate_paxos::Paxos`]; clients are reduced to whether each has asked and was answered. Rounds
//! are told apart relative to the lowest alone, once every node has promised one: so their number has no bound,
//! and of a duel that goes on for ever the graph has a cycle.

mod rounds;

use super::{Key, Member, configs, is_too_late};
use crate::{Bounds, Fairness, Liveness, Node, Pattern, Property, Protocol, Request, Scope, State};
use quorate_machine::NodeId;
use quorate_paxos::{Command, Config, Durable, Message, Output, invariants};

/// Whoever asks is answered.
pub const ANSWERED: &str = "a request is answered";

/// In so many states a lasso must be found where something is missing.
const ENOUGH: usize = 100_000;
const KEY: Key = 1;

/// A model of Paxos whose behaviours are judged as wholes.
pub struct PaxosLiveness {
    name: &'static str,
    nodes: Vec<NodeId>,
    configs: Vec<Config>,
    limits: Limits,
    bounds: Bounds,
    missing: Missing,
}

/// What is particular to a configuration.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Nodes.
    pub nodes: u32,
    /// How many of them, from the first, have a client that proposes.
    pub proposers: u32,
    /// Whether the last has one that reads.
    pub reads: bool,
    /// Crashes of all nodes together.
    pub crashes: u8,
    /// Messages that are lost.
    pub losses: u8,
    /// Timers that fire out of time; `None` if they fire at any moment, any number of times.
    pub untimely: Option<u8>,
}

/// What a configuration does without, so that its property must fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing is missing, but for what the same graph may be judged without: what it is, and the classes to
    /// which nobody is fair.
    Nothing(Vec<(&'static str, Pattern)>),
    /// Nothing is missing, although crashed nodes need not come back.
    Recovery,
    /// Timing, with two proposers.
    Timing,
    /// Crashed nodes need not come back, and no majority does without them.
    Majority,
}

/// The configurations of a scope.
pub fn scope(scope: Scope) -> Vec<PaxosLiveness> {
    let configurations = match scope {
        Scope::Quick => quick(),
        Scope::Ci => [quick(), ci()].concat(),
        Scope::Deep => deep(),
    };
    let models = configurations.into_iter();
    models
        .map(|(name, limits, missing)| PaxosLiveness::new(name, limits, missing))
        .collect()
}

type Named = (&'static str, Limits, Missing);

const ONE: Limits = Limits {
    nodes: 3,
    proposers: 1,
    reads: false,
    crashes: 0,
    losses: 0,
    untimely: Some(0),
};

const TWO: Limits = Limits {
    proposers: 2,
    ..ONE
};

fn quick() -> Vec<Named> {
    vec![
        (
            "one proposer, and two lost messages",
            Limits { losses: 2, ..ONE },
            Missing::Nothing(vec![
                ("proposers that ask again", Pattern::timers()),
                ("disks that sync", Pattern::syncs()),
                ("promises that arrive", Pattern::deliveries_of("Promised")),
                (
                    "acceptances that arrive",
                    Pattern::deliveries_of("Accepted"),
                ),
            ]),
        ),
        (
            "one proposer, whose timer fires at any moment",
            Limits {
                nodes: 2,
                untimely: None,
                ..ONE
            },
            Missing::Nothing(Vec::new()),
        ),
        (
            "two proposers in time, and a lost message",
            Limits {
                nodes: 2,
                losses: 1,
                ..TWO
            },
            Missing::Nothing(vec![("proposers that try again", Pattern::timers())]),
        ),
        (
            "no timing",
            Limits {
                nodes: 2,
                untimely: None,
                ..TWO
            },
            Missing::Timing,
        ),
    ]
}

fn ci() -> Vec<Named> {
    vec![
        (
            "two proposers of three in time",
            TWO,
            Missing::Nothing(Vec::new()),
        ),
        (
            "a proposer and a reader in time, but for once",
            Limits {
                nodes: 2,
                reads: true,
                untimely: Some(1),
                ..ONE
            },
            Missing::Nothing(Vec::new()),
        ),
        (
            "one proposer, and another node that does not come back",
            Limits { crashes: 1, ..ONE },
            Missing::Recovery,
        ),
        (
            "no majority comes back",
            Limits { crashes: 2, ..ONE },
            Missing::Majority,
        ),
    ]
}

fn deep() -> Vec<Named> {
    vec![(
        "two proposers of three in time, but for once",
        Limits {
            untimely: Some(1),
            ..TWO
        },
        Missing::Nothing(Vec::new()),
    )]
}

impl PaxosLiveness {
    /// A model within these limits.
    pub fn new(name: &'static str, limits: Limits, missing: Missing) -> Self {
        let nodes: Vec<NodeId> = (1..=limits.nodes).map(NodeId).collect();
        PaxosLiveness {
            name,
            configs: configs(&nodes),
            nodes,
            bounds: Bounds {
                crashes: limits.crashes,
                duplications: 0,
                in_flight: 20,
                unsynced: 3,
                own: vec![
                    ("proposers", limits.proposers.into()),
                    ("readers", limits.reads.into()),
                    ("losses", limits.losses.into()),
                    (
                        "timers out of time",
                        limits.untimely.unwrap_or(u8::MAX).into(),
                    ),
                ],
            },
            limits,
            missing,
        }
    }

    /// The nodes that are asked, each by a client of its own: with which value, if it is a proposal.
    fn asked(&self) -> impl Iterator<Item = (NodeId, Option<u8>)> {
        let proposals = (1..=self.limits.proposers).map(|node| (NodeId(node), Some(node as u8)));
        let reader = self
            .limits
            .reads
            .then_some((NodeId(self.limits.nodes), None));
        proposals.chain(reader)
    }

    /// Whether the clients that have asked were answered, or their nodes have crashed since.
    fn all_answered(&self, state: &State<Self>) -> bool {
        let mut clients = self.asked().zip(state.clients().0.iter());
        clients.all(|((node, _), phase)| {
            *phase != Asking::Asked || (self.limits.crashes > 0 && has_forgotten(state, node))
        })
    }
}

/// Whether a node that was asked is not attempting anything.
fn has_forgotten(state: &State<PaxosLiveness>, node: NodeId) -> bool {
    let node = state.nodes().nth(node.0 as usize - 1);
    let machine = node.and_then(Node::machine);
    machine.is_none_or(|paxos| paxos.attempts().is_empty())
}

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Asking {
    Idle,
    Asked,
    Answered,
}

/// The clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Clients(Vec<Asking>);

impl Protocol for PaxosLiveness {
    type Machine = Member;
    type Clients = Clients;

    fn name(&self) -> &str {
        self.name
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

    fn is_dead(&self, message: &Message<Key, u8>, receiver: &Durable<Key, u8>) -> bool {
        is_too_late(message, receiver)
    }

    fn clients(&self) -> Clients {
        Clients(self.asked().map(|_| Asking::Idle).collect())
    }

    fn requests(&self, state: &State<Self>, out: &mut Vec<Request<Member>>) {
        let clients = (0_u8..).zip(self.asked()).zip(&state.clients().0);
        let idle = clients.filter(|(_, phase)| **phase == Asking::Idle);
        out.extend(idle.map(|((client, (node, value)), _)| {
            let (request, key) = (client.into(), KEY);
            let command = match value {
                Some(value) => Command::Propose {
                    request,
                    key,
                    value,
                },
                None => Command::Read { request, key },
            };
            Request {
                client,
                node,
                command,
            }
        }));
    }

    fn requested(&self, clients: &mut Clients, request: &Request<Member>) {
        clients.0[usize::from(request.client)] = Asking::Asked;
    }

    fn output(&self, clients: &mut Clients, _: NodeId, output: &Output<Key, u8>) {
        if let Output::Decided { request, .. } | Output::Undecided { request } = output {
            clients.0[*request as usize] = Asking::Answered;
        }
    }

    fn stepped(
        &self,
        _: &Clients,
        node: NodeId,
        before: &Member,
        after: &Member,
    ) -> Result<Option<Clients>, &'static str> {
        invariants::step(before, after)?;
        invariants::node(self.config(node), after)?;
        Ok(None)
    }

    fn within(&self, state: &State<Self>) -> bool {
        let mut running = state.nodes().filter_map(Node::up);
        running.all(|up| up.gate.waiting().len() <= 16)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Vec::new()
    }

    fn liveness(&self) -> Liveness<Self> {
        let mut liveness = Liveness::default().losses(self.limits.losses).leads_to(
            ANSWERED,
            |state: &State<Self>, _: &Self| state.clients().0.contains(&Asking::Asked),
            |state: &State<Self>, model: &Self| model.all_answered(state),
        );
        if let Some(untimely) = self.limits.untimely {
            let described = "proposers wait until all has arrived";
            liveness = liveness.timely(described, untimely, |moment| moment.is_quiet());
        }
        let recoveries = Pattern::recoveries();
        match &self.missing {
            Missing::Nothing(without) => without.iter().fold(liveness, |liveness, (what, whom)| {
                liveness.without(*what, ANSWERED, whom.clone(), Fairness::None)
            }),
            Missing::Recovery => liveness.fair(recoveries, Fairness::None),
            Missing::Timing => liveness
                .modulo("the numbers of rounds", |_, state| rounds::essence(state))
                .must_fail(ENOUGH),
            Missing::Majority => liveness.fair(recoveries, Fairness::None).must_fail(ENOUGH),
        }
    }
}
