//! Raft, in the end: a leader leads, and what is submitted is applied.
//!
//! # What is promised
//!
//! - **A leader is elected**, and **a leader stays**: at last one leads for ever and a majority follows it.
//! - **What is submitted is applied**: after a client has submitted a command to some leader, there comes a
//!   moment when every running node, and a majority at that, has applied it, once.
//!
//! # What for
//!
//! Raft is safe without any assumption, and live with these (paper, section 5.6: *broadcast time ≪ election
//! timeout ≪ mean time between failures*):
//!
//! - **A majority stays up**: crashes are bounded, and crashed nodes come back, unless a majority does
//!   without them.
//! - **The network loses a bounded number of messages**, and each of the others arrives: weak fairness of
//!   the deliveries of each kind on each link. Their order is anyone's.
//! - **Disks work**: weak fairness of the syncs of each node.
//! - **Timers fire in time**, all but a bounded number of times. A leader's heartbeat is due when everything
//!   sent before has arrived and no disk is busy; a node's election timer when, moreover, no running node
//!   leads; a leader's quorum check when every running follower has answered it. This is the
//!   inequality, in the manner of Dwork, Lynch and Stockmeyer: up to some moment that nobody knows time is
//!   nobody's friend, and then messages are faster than timers. It includes what randomised timeouts are
//!   for, that candidates do not stand at once.
//! - **Every node's election timer comes first now and then**: strong fairness, the other half of what
//!   timeouts are randomised for. Weak fairness is not enough: a node whose log is behind could always be
//!   first, stand, lose, and be first again.
//! - **Clients try again**: one whose command the leader does not have, when nothing is on its way any
//!   more, submits it again: strong fairness, as leaders come and go.
//!
//! Each of them is dropped in some configuration ([`scope`]), and the property is then refuted by a lasso.
//! Without timing two candidates depose each other for ever, with every message delivered, every disk
//! synced and every timer fired: what Fischer, Lynch and Paterson proved of all such protocols.
//!
//! # The model
//!
//! The nodes run [`quorate_raft::Raft`], as they do for the properties of states; clients are reduced to
//! whether each command was submitted and answered. Terms are told apart relative to each other alone (see
//! `terms.rs`), so their number has no bound: of an election that fails for ever the graph has a cycle.

mod scopes;
mod terms;

pub use scopes::scope;

use super::{Digits, is_too_late};
use crate::liveness::{Moment, is_quiet};
use crate::{Bounds, Fairness, Liveness, Node, Pattern, Property, Protocol, Request, State};
use quorate_machine::{NodeId, majority};
use quorate_raft::{
    Command, Config, Durable, Index, Message, Outcome, Output, Payload, Raft, Replicated,
    SessionId, Timer, invariants,
};

/// In so many states a lasso must be found where something is missing.
const ENOUGH: usize = 60_000;

/// Some node leads at some time.
pub const ELECTED: &str = "a leader is elected";
/// At last one leads for ever.
pub const STAYS: &str = "a leader stays, and a majority follows it";
/// What a client has submitted is applied on all nodes that run.
pub const APPLIED: &str = "a submitted command is applied";

/// A model of Raft whose behaviours are judged as wholes.
pub struct RaftLiveness {
    name: String,
    nodes: Vec<NodeId>,
    configs: Vec<Config<Digits>>,
    limits: Limits,
    bounds: Bounds,
    missing: Missing,
    digests: terms::Digests,
}

/// What is particular to a configuration.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Nodes.
    pub nodes: u32,
    /// Commands, each of a client of its own.
    pub commands: u8,
    /// Crashes of all nodes together; 255 for any number.
    pub crashes: u8,
    /// Messages that are lost.
    pub losses: u8,
    /// Timers that fire out of time.
    pub untimely: u8,
    /// Whether candidates ask first.
    pub pre_vote: bool,
    /// Whether leaders check that they are heard, and step down.
    pub check_quorum: bool,
    /// What the disks hold at the beginning, if not nothing.
    pub disks: Vec<Durable<u8>>,
    /// Runs in which the terms of nodes and messages are further apart are cut off.
    pub spread: u64,
    /// Runs with longer logs are cut off.
    pub entries: u64,
    /// Runs with more messages in flight are cut off.
    pub in_flight: usize,
    /// Runs with more unsynced steps, or promises waiting, of a node are cut off.
    pub unsynced: usize,
}

/// Something that would be superfluous if a property held without it: what the property is without, its
/// name, and what else is assumed.
pub type Superfluous = (&'static str, &'static str, Pattern, Fairness);

/// What a configuration does without, so that its properties must fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing is missing, but for what the same graph may be judged without: a property and what else to
    /// assume.
    Nothing(Vec<Superfluous>),
    /// Timers fire at any moment, any number of times.
    Timing,
    /// Messages of this kind are lost without limit.
    Losses(&'static str),
    /// A bound on crashes.
    Crashes,
    /// Crashed nodes need not come back, and no majority does without them.
    Recovery,
}

impl RaftLiveness {
    /// A model within these limits.
    pub fn new(name: impl Into<String>, limits: Limits, missing: Missing) -> Self {
        let nodes: Vec<NodeId> = (1..=limits.nodes).map(NodeId).collect();
        let mut genesis = Replicated::new(Digits::default());
        for client in 0..limits.commands {
            genesis.open(Index(session(client).0), u32::MAX);
        }
        let configs = nodes.iter().map(|id| Config {
            pre_vote: limits.pre_vote,
            check_quorum: limits.check_quorum,
            max_sessions: u32::MAX,
            genesis: genesis.clone(),
            ..Config::new(*id, nodes.iter().copied(), Digits::default())
        });
        RaftLiveness {
            name: name.into(),
            configs: configs.collect(),
            bounds: bounds(&limits),
            nodes,
            limits,
            missing,
            digests: terms::Digests::default(),
        }
    }

    /// Whether a timer is in time.
    fn due(moment: &Moment<'_, Self>) -> bool {
        match moment.timer {
            Timer::Replicate => true,
            Timer::Heartbeat => moment.protocol.is_at_rest(moment.state),
            Timer::Election => {
                let leads = moment.state.machines().any(Raft::is_leader);
                !leads && moment.protocol.is_at_rest(moment.state)
            }
            Timer::Quorum => all_are_heard(moment) && moment.protocol.is_at_rest(moment.state),
        }
    }

    /// Everything sent has arrived, no disk is busy, and no leader has gathered what it has not begun.
    fn is_at_rest(&self, state: &State<Self>) -> bool {
        let mut running = state.nodes().filter_map(Node::up);
        is_quiet(self, state) && running.all(|up| !up.timers.contains(&Timer::Replicate))
    }

    /// Whether the log of `leader` has the command of `client`.
    fn has(&self, leader: &Raft<Digits>, client: u8) -> bool {
        leader.log().entries().any(|entry| match entry.payload {
            Payload::Write { session: of, .. } => of == session(client),
            Payload::Noop | Payload::Open { .. } => false,
        })
    }
}

/// Every running node has answered the leader whose quorum check it is since the last one.
fn all_are_heard(moment: &Moment<'_, RaftLiveness>) -> bool {
    let nodes = || moment.protocol.nodes.iter().zip(moment.state.nodes());
    let leader = nodes().find(|(id, _)| **id == moment.node);
    let role = leader.and_then(|(_, node)| node.machine()).map(Raft::role);
    let Some(quorate_raft::Role::Leader(leader)) = role else {
        return true;
    };
    let mut heard = leader.progress().iter().zip(nodes());
    heard.all(|(progress, (id, node))| progress.active || *id == moment.node || node.up().is_none())
}

fn bounds(limits: &Limits) -> Bounds {
    Bounds {
        crashes: limits.crashes,
        duplications: 0,
        in_flight: limits.in_flight,
        unsynced: limits.unsynced,
        own: vec![
            ("losses", limits.losses.into()),
            ("timers out of time", limits.untimely.into()),
            ("commands", limits.commands.into()),
            ("terms apart", limits.spread),
            ("log entries", limits.entries),
            ("pre-vote", limits.pre_vote.into()),
            ("check-quorum", limits.check_quorum.into()),
        ],
    }
}

/// The session of a client: beyond any index that a log within the bounds has.
fn session(client: u8) -> SessionId {
    SessionId(1000 + u64::from(client))
}

/// The digit that a client appends.
fn digit(client: u8) -> u8 {
    client + 1
}

/// For each command whether it was submitted, and whether it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    submitted: Vec<bool>,
    answered: Vec<bool>,
}

impl Protocol for RaftLiveness {
    type Machine = Raft<Digits>;
    type Clients = Asked;

    fn name(&self) -> &str {
        &self.name
    }

    fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    fn config(&self, node: NodeId) -> &Config<Digits> {
        &self.configs[node.0 as usize - 1]
    }

    fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    fn disk(&self, node: NodeId) -> Durable<u8> {
        let disk = self.limits.disks.get(node.0 as usize - 1);
        disk.cloned().unwrap_or_default()
    }

    fn is_dead(&self, message: &Message<u8>, receiver: &Durable<u8>) -> bool {
        is_too_late(message, receiver)
    }

    fn clients(&self) -> Asked {
        let none = vec![false; self.limits.commands.into()];
        Asked {
            submitted: none.clone(),
            answered: none,
        }
    }

    /// A client submits its command to a leader when it likes, and again when nothing is on its way any more
    /// and the leader does not have it.
    fn requests(&self, state: &State<Self>, out: &mut Vec<Request<Raft<Digits>>>) {
        let asked = state.clients();
        let nodes = self.nodes.iter().zip(state.nodes());
        let leaders = nodes.filter_map(|(id, node)| Some((*id, node.machine()?)));
        for (node, leader) in leaders.filter(|(_, raft)| raft.is_leader()) {
            for client in 0..self.limits.commands {
                let slot = usize::from(client);
                let again = || !asked.answered[slot] && !self.has(leader, client);
                if asked.submitted[slot] && !(again() && self.is_at_rest(state)) {
                    continue;
                }
                out.push(Request {
                    client,
                    node,
                    command: Command::Write {
                        session: session(client),
                        sequence: 0,
                        command: digit(client),
                    },
                });
            }
        }
    }

    fn requested(&self, asked: &mut Asked, request: &Request<Raft<Digits>>) {
        asked.submitted[usize::from(request.client)] = true;
    }

    fn output(&self, asked: &mut Asked, _: NodeId, output: &Output<Digits>) {
        if let Output::Applied {
            session: of,
            outcome: Outcome::Applied(_) | Outcome::Repeated(_),
            ..
        } = output
        {
            for client in 0..self.limits.commands {
                asked.answered[usize::from(client)] |= session(client) == *of;
            }
        }
    }

    fn stepped(
        &self,
        _: &Asked,
        _: NodeId,
        before: &Raft<Digits>,
        after: &Raft<Digits>,
    ) -> Result<Option<Asked>, &'static str> {
        invariants::step(before, after)?;
        invariants::node(after)?;
        Ok(None)
    }

    fn within(&self, state: &State<Self>) -> bool {
        let mut running = state.nodes().filter_map(Node::up);
        running.all(|up| {
            up.gate.waiting().len() <= 3 * self.limits.unsynced + 1
                && up.machine.log().last().index <= Index(self.limits.entries)
        }) && terms::spread(state) <= self.limits.spread
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Vec::new()
    }

    fn liveness(&self) -> Liveness<Self> {
        let mut liveness = Liveness::default()
            .fair(Pattern::deliveries(), Fairness::Weak)
            .fair(Pattern::timers_of("Election"), Fairness::Strong)
            .fair(Pattern::requests(), Fairness::Strong)
            .losses(self.limits.losses)
            .modulo("the numbers of terms", |model, state| {
                terms::essence(model, state)
            })
            .eventually(ELECTED, |state, _| state.machines().any(Raft::is_leader))
            .eventually_always(STAYS, |state, _| is_led(state));
        if self.limits.commands > 0 {
            liveness = liveness.leads_to(
                APPLIED,
                |state, _| state.clients().submitted.contains(&true),
                |state, model| model.is_applied(state),
            );
        }
        if self.missing != Missing::Timing {
            let described = "timers fire when all has arrived, and elections when nobody leads";
            liveness = liveness.timely(described, self.limits.untimely, RaftLiveness::due);
        }
        match &self.missing {
            Missing::Nothing(without) => {
                for (label, property, pattern, fairness) in without {
                    liveness = liveness.without(*label, *property, pattern.clone(), *fairness);
                }
                liveness
            }
            Missing::Timing => {
                // However fair to everyone else.
                let deliveries = Pattern::deliveries();
                liveness
                    .fair(deliveries, Fairness::Strong)
                    .must_fail(ENOUGH)
            }
            Missing::Losses(kind) => {
                let lossy = Pattern::deliveries_of(*kind);
                liveness.lossy(lossy).must_fail(ENOUGH)
            }
            Missing::Recovery => {
                let recoveries = Pattern::recoveries();
                liveness.fair(recoveries, Fairness::None).must_fail(ENOUGH)
            }
            Missing::Crashes => liveness.must_fail(ENOUGH),
        }
    }
}

/// Whether some node leads and a majority, the node included, takes it for the leader of the same term.
fn is_led(state: &State<RaftLiveness>) -> bool {
    let leaders = state.machines().filter(|raft| raft.is_leader());
    let mut following = leaders.map(|leader| {
        let same =
            |raft: &&Raft<Digits>| raft.leader() == leader.leader() && raft.term() == leader.term();
        state.machines().filter(same).count()
    });
    following.any(|following| following >= majority(state.nodes().len()))
}

impl RaftLiveness {
    /// Whether a majority runs, and all that run have applied every command that was submitted.
    fn is_applied(&self, state: &State<Self>) -> bool {
        let submitted = (0..self.limits.commands).zip(&state.clients().submitted);
        let wanted: Vec<u8> = submitted
            .filter(|(_, submitted)| **submitted)
            .map(|(client, _)| digit(client))
            .collect();
        let has = |raft: &Raft<Digits>| {
            let digits = raft.replicated().state.0;
            wanted.iter().all(|digit| contains(digits, *digit))
        };
        state.machines().count() >= majority(state.nodes().len()) && state.machines().all(has)
    }
}

/// Whether the digit is among the digits, once.
fn contains(mut digits: u64, digit: u8) -> bool {
    let mut times = 0;
    while digits > 0 {
        times += usize::from(digits % 10 == u64::from(digit));
        digits /= 10;
    }
    times == 1
}
