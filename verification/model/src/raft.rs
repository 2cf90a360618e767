//! Raft, checked.
//!
//! The nodes run [`quorate_raft::Raft`] as it runs in production, over an object that only grows: each
//! command appends a digit, and is answered with all digits so far. So an answer tells the whole order
//! of what came before it, and one wrong bit of history is seen at once; a command applied twice shows.
//!
//! Clients have open sessions from the start, or open them. They submit to whoever leads (others
//! refuse, without any effect), one operation at a time, and may send any old request again, to another
//! leader, before or after its answer: within `retries`. Invocations and answers take no time, which
//! asks most of linearizability: a slower network only allows more orders.

mod clients;
pub mod liveness;
mod properties;
mod scopes;

pub use crate::Scope;
pub use clients::{Clients, Digits, Op};
pub use scopes::scope;

use crate::{Bounds, Node, Property, Protocol, Request, State, Up};
use clients::Client;
use quorate_machine::NodeId;
use quorate_raft::{
    Command, Config, Durable, Index, Message, Outcome, Output, Raft, Replicated, Role, SessionId,
    Term, Timer, invariants,
};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};

/// A model of Raft: nodes, scripts of clients, bounds.
pub struct RaftModel {
    name: String,
    nodes: Vec<NodeId>,
    configs: Vec<Config<Digits>>,
    scripts: Vec<Vec<Op>>,
    sessions: Vec<Option<SessionId>>,
    limits: Limits,
    bounds: Bounds,
}

/// What is particular to a configuration of the model.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Nodes.
    pub nodes: u32,
    /// The highest term.
    pub terms: u64,
    /// The longest log.
    pub entries: u64,
    /// Requests sent again.
    pub retries: u8,
    /// Crashes of all nodes together.
    pub crashes: u8,
    /// Messages that arrive twice.
    pub duplications: u8,
    /// Messages in flight.
    pub in_flight: usize,
    /// Steps whose records are not durable yet, per node.
    pub unsynced: usize,
    /// Promises that wait for a node's disk; a node whose disk has stalled may ask again and again.
    pub waiting: usize,
    /// How many nodes, from the first, stand for election; the others vote.
    pub candidates: u32,
    /// Entries in one append.
    pub batch: usize,
    /// What the disks hold at the beginning, if not nothing.
    pub disks: Vec<Durable<u8>>,
    /// Which entries of those are committed, from the first, in which term.
    pub committed: Vec<Term>,
    /// Whether candidates ask first.
    pub pre_vote: bool,
    /// Whether leaders check that they are heard, and step down.
    pub check_quorum: bool,
    /// Whether answers that come too late to count still arrive. Elsewhere they are forgotten, on the
    /// word of the protocol that it ignores them: here it is put to the test.
    pub late_answers: bool,
    /// Whether the heartbeat timer fires.
    pub heartbeats: bool,
    /// Whether clients open their sessions themselves; of the two that there may be, one expires
    /// when a third is opened.
    pub open_sessions: bool,
    /// What each client does, in order.
    pub scripts: Vec<Vec<Op>>,
}

impl RaftModel {
    /// A model with these limits.
    pub fn new(name: impl Into<String>, limits: Limits) -> Self {
        let nodes: Vec<NodeId> = (1..=limits.nodes).map(NodeId).collect();
        let mut genesis = Replicated::new(Digits::default());
        let sessions: Vec<Option<SessionId>> = (0..limits.scripts.len() as u64)
            .map(|client| {
                // Beyond any index that a log within the bounds has.
                let index = Index(1000 + client);
                (!limits.open_sessions).then(|| genesis.open(index, u32::MAX))
            })
            .collect();
        let configs = nodes.iter().map(|id| Config {
            pre_vote: limits.pre_vote,
            check_quorum: limits.check_quorum,
            batch_entries: limits.batch,
            max_sessions: if limits.open_sessions { 1 } else { u32::MAX },
            genesis: genesis.clone(),
            ..Config::new(*id, nodes.iter().copied(), Digits::default())
        });
        RaftModel {
            name: name.into(),
            configs: configs.collect(),
            bounds: bounds(&limits),
            scripts: limits.scripts.clone(),
            nodes,
            sessions,
            limits,
        }
    }

    /// The operation of `client` that a request names by its number.
    fn op(&self, client: usize, number: usize) -> Option<Op> {
        self.scripts.get(client)?.get(number).copied()
    }

    fn command(&self, client: usize, state: &Client, number: usize) -> Option<Command<Digits>> {
        let token = token(client, number);
        Some(match self.op(client, number)? {
            Op::Open => Command::Open { nonce: token },
            Op::Read => Command::Read {
                id: token,
                query: (),
            },
            Op::Append(digit) => Command::Write {
                session: state.session?,
                sequence: number as u64,
                command: digit,
            },
        })
    }

    /// What pre-vote and check-quorum promise of a step: an election that nobody needs is not begun.
    fn unforced(
        &self,
        node: NodeId,
        before: &Raft<Digits>,
        after: &Raft<Digits>,
    ) -> Result<(), &'static str> {
        let entered = after.term() > before.term();
        if entered && matches!(after.role(), Role::PreCandidate(_)) {
            return Err("asking for pre-votes enters no term");
        }
        let helps = entered && after.vote().is_some_and(|candidate| candidate != node);
        if (self.limits.pre_vote || self.limits.check_quorum) && before.leader().is_some() && helps
        {
            return Err("a node that hears its leader does not help to depose it");
        }
        Ok(())
    }

    fn by_session(&self, clients: &Clients, session: SessionId) -> Option<usize> {
        let mut owners = clients.clients.iter();
        owners.position(|client| client.session == Some(session))
    }

    /// `client` hears `answer` to its operation `number`.
    fn answer(&self, clients: &mut Clients, client: usize, number: usize, answer: u64) {
        let state = &mut clients.clients[client];
        if let Some(earlier) = state.answers.get(number) {
            clients.steady &= *earlier == answer;
            return;
        }
        if number != state.answers.len() || number >= state.invoked || state.ended {
            return;
        }
        state.answers.push(answer);
        if self.op(client, number) != Some(Op::Open) {
            let returned = clients.history.on_return(client as u8, answer);
            clients.linearizable &= returned.is_ok() && clients.history.is_consistent();
        }
    }
}

fn bounds(limits: &Limits) -> Bounds {
    Bounds {
        crashes: limits.crashes,
        duplications: limits.duplications,
        in_flight: limits.in_flight,
        unsynced: limits.unsynced,
        own: vec![
            ("terms", limits.terms),
            ("log entries", limits.entries),
            ("clients", limits.scripts.len() as u64),
            (
                "operations",
                limits.scripts.iter().map(Vec::len).sum::<usize>() as u64,
            ),
            ("retries", limits.retries.into()),
            ("promises waiting a node", limits.waiting as u64),
            ("candidates", limits.candidates.into()),
            ("entries in an append", limits.batch as u64),
            ("pre-vote", limits.pre_vote.into()),
            ("check-quorum", limits.check_quorum.into()),
            ("heartbeats", limits.heartbeats.into()),
            ("answers kept although too late", limits.late_answers.into()),
        ],
    }
}

/// Whether a message to a node with this disk is an answer that comes too late to count.
fn is_too_late(message: &Message<u8>, receiver: &Durable<u8>) -> bool {
    match *message {
        // A yes counts in its own term only, a no at most tells of a later one.
        Message::Voted { term, granted } if granted => term < receiver.term,
        Message::PreVoted { term, .. } | Message::Voted { term, .. } => term <= receiver.term,
        Message::Appended { term, .. } | Message::Conflicted { term, .. } => term < receiver.term,
        // These are answered even if they are late.
        Message::RequestPreVote { .. } | Message::RequestVote { .. } | Message::Append { .. } => {
            false
        }
    }
}

/// Names an operation; small, and unambiguous.
fn token(client: usize, number: usize) -> u64 {
    (client * 16 + number) as u64
}

fn untoken(token: u64) -> (usize, usize) {
    (token as usize / 16, token as usize % 16)
}

impl Protocol for RaftModel {
    type Machine = Raft<Digits>;
    type Clients = Clients;

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
        !self.limits.late_answers && is_too_late(message, receiver)
    }

    fn clients(&self) -> Clients {
        let clients = self.sessions.iter().map(|session| Client {
            session: *session,
            invoked: 0,
            answers: Vec::new(),
            ended: false,
        });
        let disks = self.limits.disks.iter();
        // The most up-to-date log has all that is committed.
        let latest = disks.max_by_key(|disk| disk.log.last());
        let entries = latest.into_iter().flat_map(|disk| disk.log.entries());
        let committed: Vec<_> = entries.take(self.limits.committed.len()).cloned().collect();
        Clients {
            clients: clients.collect(),
            retries: 0,
            history: LinearizabilityTester::new(Digits::default()),
            linearizable: true,
            repeated: false,
            steady: true,
            expired: false,
            committed,
            committed_in: self.limits.committed.clone(),
            leaders: Vec::new(),
        }
    }

    fn requests(&self, state: &State<Self>, out: &mut Vec<Request<Raft<Digits>>>) {
        let clients = state.clients();
        let nodes = self.nodes.iter().zip(state.nodes());
        let leaders = nodes.filter(|(_, node)| node.machine().is_some_and(Raft::is_leader));
        for (&node, _) in leaders {
            for (slot, client) in clients.clients.iter().enumerate() {
                let idle = client.answers.len() == client.invoked && !client.ended;
                let again = clients.retries < self.limits.retries;
                let first = if again { 0 } else { client.invoked };
                let last = client.invoked + usize::from(idle);
                let numbers = (first..last).filter_map(|n| self.command(slot, client, n));
                out.extend(numbers.map(|command| Request {
                    client: slot as u8,
                    node,
                    command,
                }));
            }
        }
    }

    fn requested(&self, clients: &mut Clients, request: &Request<Raft<Digits>>) {
        let slot = usize::from(request.client);
        let number = match &request.command {
            Command::Open { nonce } => untoken(*nonce).1,
            Command::Read { id, .. } => untoken(*id).1,
            Command::Write { sequence, .. } => *sequence as usize,
        };
        let client = &mut clients.clients[slot];
        if number < client.invoked {
            clients.retries += 1;
            return;
        }
        client.invoked += 1;
        if let Some(op) = self.op(slot, number)
            && op != Op::Open
        {
            let invoked = clients.history.on_invoke(request.client, op);
            clients.linearizable &= invoked.is_ok();
        }
    }

    fn output(&self, clients: &mut Clients, _: NodeId, output: &Output<Digits>) {
        match output {
            Output::Opened { nonce, session } => {
                let (client, number) = untoken(*nonce);
                let state = &mut clients.clients[client];
                if state.answers.len() == number {
                    state.session = Some(*session);
                    self.answer(clients, client, number, 0);
                }
            }
            Output::Applied {
                session,
                sequence,
                outcome,
                ..
            } => {
                let Some(client) = self.by_session(clients, *session) else {
                    return;
                };
                match outcome {
                    Outcome::Applied(answer) => {
                        self.answer(clients, client, *sequence as usize, *answer);
                    }
                    Outcome::Repeated(answer) => {
                        clients.repeated = true;
                        self.answer(clients, client, *sequence as usize, *answer);
                    }
                    Outcome::Superseded => {}
                    Outcome::Expired => {
                        clients.expired = true;
                        let state = &mut clients.clients[client];
                        state.ended |= *sequence as usize == state.answers.len();
                    }
                }
            }
            Output::Answered { id, response } => {
                let (client, number) = untoken(*id);
                // A read sent again may see more; only the first answer counts.
                if clients.clients[client].answers.len() == number {
                    self.answer(clients, client, number, *response);
                }
            }
            Output::Refused { .. } | Output::Became { .. } => {}
        }
    }

    fn stepped(
        &self,
        clients: &Clients,
        node: NodeId,
        before: &Raft<Digits>,
        after: &Raft<Digits>,
    ) -> Result<Option<Clients>, &'static str> {
        invariants::step(before, after)?;
        invariants::node(after)?;
        self.unforced(node, before, after)?;
        let news = after.commit().0 as usize > clients.committed.len();
        let elected = after.is_leader() && !before.is_leader();
        let known = clients.committed.len().min(after.commit().0 as usize);
        let unchanged = after.log().entries().take(known);
        if !unchanged.eq(&clients.committed[..known]) {
            return Err("a committed entry changed");
        }
        if !news && !elected {
            return Ok(None);
        }
        let mut clients = clients.clone();
        let committed = after.log().entries().take(after.commit().0 as usize);
        clients.committed.extend(committed.skip(known).cloned());
        clients
            .committed_in
            .resize(clients.committed.len(), after.term());
        if elected {
            let term = after.term().0 as usize;
            clients
                .leaders
                .resize(clients.leaders.len().max(term + 1), None);
            let leader = &mut clients.leaders[term];
            if leader.is_some_and(|other| other != node) {
                return Err("election safety: two leaders in one term");
            }
            *leader = Some(node);
        }
        Ok(Some(clients))
    }

    fn fires(&self, state: &State<Self>, node: NodeId, timer: Timer) -> bool {
        match timer {
            Timer::Heartbeat => self.limits.heartbeats,
            Timer::Election => {
                let machine = state.nodes().nth(node.0 as usize - 1);
                machine.and_then(Node::machine).is_some_and(|raft| {
                    let stands = raft.leader().is_none();
                    // A campaign beyond the last term leads nowhere.
                    raft.term() < Term(self.limits.terms)
                        && (!stands || node.0 <= self.limits.candidates)
                })
            }
            Timer::Quorum | Timer::Replicate => true,
        }
    }

    fn within(&self, state: &State<Self>) -> bool {
        let waiting = |up: &Up<_>| up.gate.waiting().len();
        let mut running = state.nodes().filter_map(Node::up);
        running.all(|up| waiting(up) <= self.limits.waiting)
            && state.machines().all(|raft| {
                raft.term() <= Term(self.limits.terms)
                    && raft.log().last().index <= Index(self.limits.entries)
            })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = properties::safety();
        all.extend(properties::reachable(&self.limits));
        all
    }
}
