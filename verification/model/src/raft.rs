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

use crate::{Bounds, Node, Property, Protocol, Request, State, Up};
use quorate_machine::NodeId;
use quorate_raft::{
    Command, Config, Durable, Entry, Index, Log, Message, Outcome, Output, Payload, Position, Raft,
    Replicated, SessionId, StateMachine, Term, Timer, invariants,
};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

/// The replicated object: a list of digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digits(u64);

impl Digits {
    fn with(&self, digit: u8) -> u64 {
        self.0.wrapping_mul(10).wrapping_add(u64::from(digit))
    }
}

impl StateMachine for Digits {
    type Command = u8;
    type Query = ();
    type Response = u64;

    fn apply(&mut self, _: Index, digit: &u8) -> u64 {
        self.0 = self.with(*digit);
        self.0
    }

    fn query(&self, (): &()) -> u64 {
        self.0
    }
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Open a session.
    Open,
    /// Append a digit.
    Append(u8),
    /// Read all digits.
    Read,
}

impl SequentialSpec for Digits {
    type Op = Op;
    type Ret = u64;

    fn invoke(&mut self, op: &Op) -> u64 {
        if let Op::Append(digit) = op {
            self.0 = self.with(*digit);
        }
        self.0
    }
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Client {
    session: Option<SessionId>,
    /// How many operations of its script it has invoked.
    invoked: usize,
    /// The answers so far; one less than `invoked` while an operation is outstanding.
    answers: Vec<u64>,
    /// Whether its outstanding operation has come to nothing: its session expired.
    ended: bool,
}

/// All clients, and what must never change once it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Clients {
    clients: Vec<Client>,
    retries: u8,
    history: LinearizabilityTester<u8, Digits>,
    linearizable: bool,
    /// Whether a command that was sent again was answered as before.
    repeated: bool,
    /// Whether every answer to the same request was the same.
    steady: bool,
    expired: bool,
    /// Every entry that any node has ever known to be committed, whatever crashed since.
    committed: Vec<Entry<u8>>,
    /// The term of the leader that committed each of them.
    committed_in: Vec<Term>,
    /// The leader of each term so far, by term.
    leaders: Vec<Option<NodeId>>,
}

impl Clients {
    fn positions(&self) -> Vec<Position> {
        let positions = self.committed.iter().zip(1..);
        let positions = positions.map(|(entry, index)| Position {
            term: entry.term,
            index: Index(index),
        });
        positions.collect()
    }
}

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
        ],
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
        match *message {
            // A yes counts in its own term only, a no at most tells of a later one.
            Message::Voted { term, granted } if granted => term < receiver.term,
            Message::PreVoted { term, .. } | Message::Voted { term, .. } => term <= receiver.term,
            Message::Appended { term, .. } | Message::Conflicted { term, .. } => {
                term < receiver.term
            }
            // These are answered even if they are late.
            Message::RequestPreVote { .. }
            | Message::RequestVote { .. }
            | Message::Append { .. } => false,
        }
    }

    fn clients(&self) -> Clients {
        let clients = self.sessions.iter().map(|session| Client {
            session: *session,
            invoked: 0,
            answers: Vec::new(),
            ended: false,
        });
        let committed = self.limits.disks.iter().map(|disk| disk.log.entries());
        let committed = committed.max_by_key(|entries| entries.len());
        let committed = committed.unwrap_or_default()[..self.limits.committed.len()].to_vec();
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
        let news = after.commit().0 as usize > clients.committed.len();
        let elected = after.is_leader() && !before.is_leader();
        let known = clients.committed.len().min(after.commit().0 as usize);
        if after.log().entries()[..known] != clients.committed[..known] {
            return Err("a committed entry changed");
        }
        if !news && !elected {
            return Ok(None);
        }
        let mut clients = clients.clone();
        let committed = &after.log().entries()[..after.commit().0 as usize];
        clients.committed.extend_from_slice(&committed[known..]);
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
        let mut all = safety();
        all.extend(reachable(&self.limits));
        all
    }
}

type Found = State<RaftModel>;

fn pairs(state: &Found) -> impl Iterator<Item = (&Raft<Digits>, &Raft<Digits>)> {
    let machines: Vec<_> = state.machines().collect();
    let seconds = machines.clone();
    machines
        .into_iter()
        .enumerate()
        .flat_map(move |(slot, one)| {
            let others: Vec<_> = seconds[slot + 1..].to_vec();
            others.into_iter().map(move |other| (one, other))
        })
}

/// Row by row the paper's Figure 3, and what clients rely on. What a single step must not do (terms
/// and commit go back, a leader overwrites its log, a committed entry changes, two leaders of one term
/// at different times) is refused as it happens, by [`Protocol::stepped`].
fn safety() -> Vec<Property<RaftModel>> {
    vec![
        Property::always("election safety", |state: &Found, _| {
            invariants::election_safety(state.machines())
        }),
        Property::always("log matching", |state: &Found, _| {
            pairs(state).all(|(a, b)| invariants::log_matching(a.log(), b.log()))
        }),
        Property::always("leader completeness", |state: &Found, _| {
            let clients = state.clients();
            let committed = clients.positions();
            state.machines().all(|raft| {
                // Later terms commit later.
                let earlier = clients
                    .committed_in
                    .partition_point(|term| *term < raft.term());
                invariants::leader_completeness(raft, &committed[..earlier])
            })
        }),
        Property::always("state-machine safety", |state: &Found, _| {
            pairs(state).all(|(a, b)| invariants::state_machine_safety(a, b))
        }),
        Property::always("committed is durable", |state: &Found, _| {
            let disks: Vec<_> = state.nodes().map(|node| &node.durable().log).collect();
            invariants::committed_is_durable(&state.clients().positions(), &disks)
        }),
        Property::always("clients see a linearizable history", |state: &Found, _| {
            state.clients().linearizable
        }),
        Property::always("a retry gets the first answer", |state: &Found, _| {
            state.clients().steady
        }),
        Property::always("each command is applied once", |state: &Found, _| {
            let mut machines = state.machines();
            machines.all(|raft| distinct_digits(raft.replicated().state.0))
        }),
    ]
}

/// Every client appends digits of its own, each once: a digit that is there twice was applied twice.
fn distinct_digits(mut digits: u64) -> bool {
    let mut seen = 0_u16;
    while digits > 0 {
        let bit = 1 << (digits % 10);
        if seen & bit != 0 {
            return false;
        }
        seen |= bit;
        digits /= 10;
    }
    true
}

/// Evidence that the model reaches what it is there to explore.
fn reachable(limits: &Limits) -> Vec<Property<RaftModel>> {
    let mut all = vec![Property::sometimes(
        "a leader is elected",
        |s: &Found, _| s.machines().any(Raft::is_leader),
    )];
    if limits.terms > 1 {
        all.push(Property::sometimes(
            "two nodes lead in different terms at once",
            |s: &Found, _| s.machines().filter(|raft| raft.is_leader()).count() > 1,
        ));
        all.push(Property::sometimes(
            "a new leader leaves uncommitted entries behind",
            |s: &Found, _| s.machines().any(|leader| leaves_behind(leader, s)),
        ));
        all.push(Property::sometimes(
            "a later term commits",
            |s: &Found, _| {
                let last = s.clients().committed.last();
                last.is_some_and(|entry| entry.term > Term(1))
            },
        ));
    }
    let ops: Vec<Op> = limits.scripts.iter().flatten().copied().collect();
    if ops.iter().any(|op| matches!(op, Op::Append(_))) {
        all.push(Property::sometimes(
            "every client has all its answers",
            |s: &Found, model: &RaftModel| {
                let clients = s.clients().clients.iter().zip(&model.scripts);
                clients
                    .into_iter()
                    .all(|(c, script)| c.answers.len() == script.len())
            },
        ));
    }
    if ops.contains(&Op::Read) {
        all.push(Property::sometimes(
            "a read sees a write, by read index",
            |s: &Found, model: &RaftModel| {
                let clients = s.clients().clients.iter().zip(&model.scripts);
                clients.into_iter().any(|(client, script)| {
                    let answers = client.answers.iter().zip(script);
                    answers.into_iter().any(|(a, op)| *op == Op::Read && *a > 0)
                })
            },
        ));
    }
    if limits.retries > 0 && ops.iter().any(|op| matches!(op, Op::Append(_))) {
        all.push(Property::sometimes(
            "a retried command is answered from its session",
            |s: &Found, _| s.clients().repeated,
        ));
    }
    if limits.open_sessions {
        all.push(Property::sometimes("a session expires", |s: &Found, _| {
            s.clients().expired
        }));
    }
    all
}

/// Whether `leader` lacks an entry that another node got in an earlier term.
fn leaves_behind(leader: &Raft<Digits>, state: &Found) -> bool {
    leader.is_leader()
        && state.machines().any(|other| {
            let last = other.log().last();
            last.term < leader.term() && !leader.log().contains(last)
        })
}

/// How much of the state space a check explores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Some twenty seconds.
    #[default]
    Quick,
    /// A few minutes.
    Ci,
    /// An hour.
    Deep,
}

impl Default for Limits {
    /// Three nodes, two terms, one command, and a network and disks that do nothing bad.
    fn default() -> Self {
        Limits {
            nodes: 3,
            terms: 2,
            entries: 3,
            retries: 0,
            crashes: 0,
            duplications: 0,
            in_flight: 3,
            unsynced: 1,
            waiting: 6,
            candidates: 2,
            batch: 2,
            disks: Vec::new(),
            committed: Vec::new(),
            pre_vote: false,
            check_quorum: false,
            heartbeats: false,
            open_sessions: false,
            scripts: vec![vec![Op::Append(1)]],
        }
    }
}

/// The configurations of a scope. Each looks at one thing, widely enough for it to go wrong: bounds that
/// are wide everywhere at once would be out of reach.
///
/// Messages are reordered and lost in all of them; crash, duplication and retries are on where the name
/// says so.
pub fn scope(scope: Scope) -> Vec<RaftModel> {
    let configurations = match scope {
        Scope::Quick => quick(),
        Scope::Ci => [quick(), ci()].concat(),
        Scope::Deep => deep(),
    };
    let models = configurations.into_iter();
    models
        .map(|(name, limits)| RaftModel::new(name, limits))
        .collect()
}

fn base() -> Limits {
    Limits {
        in_flight: 2,
        ..Limits::default()
    }
}

fn no_clients() -> Limits {
    Limits {
        entries: 2,
        scripts: Vec::new(),
        ..base()
    }
}

fn quick() -> Vec<(&'static str, Limits)> {
    let (disks, committed) = figure_8();
    vec![
        (
            "elections",
            Limits {
                in_flight: 3,
                ..no_clients()
            },
        ),
        (
            "elections with a crash",
            Limits {
                crashes: 1,
                ..no_clients()
            },
        ),
        (
            "pre-vote and check-quorum",
            Limits {
                in_flight: 1,
                pre_vote: true,
                check_quorum: true,
                ..no_clients()
            },
        ),
        ("a command and two leaders", base()),
        (
            "a read and two leaders",
            Limits {
                scripts: vec![vec![Op::Append(1), Op::Read]],
                ..base()
            },
        ),
        (
            "Figure 8",
            Limits {
                terms: 4,
                batch: 1,
                disks,
                committed,
                scripts: Vec::new(),
                ..base()
            },
        ),
        (
            "duplicated appends",
            Limits {
                terms: 1,
                batch: 1,
                duplications: 1,
                scripts: vec![vec![Op::Append(1), Op::Append(2)]],
                ..base()
            },
        ),
        (
            "sessions that expire",
            Limits {
                terms: 1,
                entries: 5,
                in_flight: 1,
                open_sessions: true,
                scripts: vec![vec![Op::Open, Op::Append(1)], vec![Op::Open, Op::Append(2)]],
                ..base()
            },
        ),
    ]
}

fn ci() -> Vec<(&'static str, Limits)> {
    vec![
        (
            "three candidates",
            Limits {
                candidates: 3,
                ..no_clients()
            },
        ),
        (
            "a retry, two leaders",
            Limits {
                entries: 4,
                retries: 1,
                ..base()
            },
        ),
        (
            "a command, two leaders and a crash",
            Limits {
                crashes: 1,
                ..base()
            },
        ),
        (
            "two clients of one leader",
            Limits {
                terms: 1,
                in_flight: 3,
                scripts: vec![vec![Op::Append(1)], vec![Op::Append(2)]],
                ..base()
            },
        ),
        (
            "a reader beside a writer",
            Limits {
                terms: 1,
                entries: 2,
                in_flight: 3,
                scripts: vec![vec![Op::Append(1)], vec![Op::Read]],
                ..base()
            },
        ),
        (
            "pre-vote, more in flight",
            Limits {
                pre_vote: true,
                ..no_clients()
            },
        ),
    ]
}

fn deep() -> Vec<(&'static str, Limits)> {
    let (disks, committed) = figure_8();
    vec![
        (
            "three candidates, a crash",
            Limits {
                candidates: 3,
                crashes: 1,
                ..no_clients()
            },
        ),
        (
            "a retry, two leaders, a crash",
            Limits {
                entries: 4,
                retries: 1,
                crashes: 1,
                ..base()
            },
        ),
        (
            "Figure 8 with a crash and a command",
            Limits {
                terms: 4,
                batch: 1,
                crashes: 1,
                disks,
                committed,
                scripts: Vec::new(),
                ..base()
            },
        ),
        (
            "a reader beside a writer, two leaders",
            Limits {
                scripts: vec![vec![Op::Append(1)], vec![Op::Read]],
                ..base()
            },
        ),
        (
            "pre-vote, check-quorum and a crash",
            Limits {
                crashes: 1,
                pre_vote: true,
                check_quorum: true,
                in_flight: 1,
                ..no_clients()
            },
        ),
        (
            "a command, heartbeats and a duplicate",
            Limits {
                terms: 1,
                entries: 2,
                duplications: 1,
                heartbeats: true,
                batch: 1,
                ..base()
            },
        ),
    ]
}

/// The disks of Figure 8 (b): the leader of term 1 got a command to nobody, a second node has led term
/// 2 by itself, and all have crashed.
pub fn figure_8() -> (Vec<Durable<u8>>, Vec<Term>) {
    let noop = |term| Entry {
        term: Term(term),
        payload: Payload::Noop,
    };
    let command = Entry {
        term: Term(1),
        payload: Payload::Write {
            session: SessionId(1000),
            sequence: 0,
            command: 1,
        },
    };
    let disk = |vote, entries: &[Entry<u8>]| {
        let mut log = Log::default();
        log.splice(Index(0), entries.iter().cloned());
        Durable {
            term: Term(2),
            vote,
            log,
        }
    };
    let disks = vec![
        disk(None, &[noop(1), command]),
        disk(Some(NodeId(2)), &[noop(1), noop(2)]),
        disk(Some(NodeId(2)), &[noop(1)]),
    ];
    (disks, vec![Term(1)])
}
