//! Raft within the bounds of `MCRaft.tla`, beside `MCRaftRefine.tla`.
//!
//! The nodes run [`quorate_raft::Raft`] in the model checker's own [`System`]: the same steps, gates, disks
//! and crashes. What surrounds them is the specification's:
//!
//! - **The network is all that was ever sent**, and receiving removes nothing: every delivery is one that
//!   leaves the message in the network. Nothing is forgotten as having no effect any more.
//! - **Clients are free**: any session may write any of its numbers, and anyone may read, at any leader and at
//!   any time. An identifier of a read says how much was committed when it arrived.
//! - **Bounds are guards**, and count what the specification's `spent` counts.
//!
//! The history is what the specification's ghosts say, taken from what Rust does: `decided` from the machines'
//! commit, `acked` and `answers` from what they tell the application, as it is promised.

use crate::Value;
use crate::abstraction::{Abstraction, AbstractionError, Names, down};
use crate::bounds::Bounds;
use crate::grain::{self, position, told, up};
use crate::subject::{Move, Subject};
use quorate_machine::NodeId;
use quorate_model::{Action, Protocol, Request, State, System, Up};
use quorate_raft::{
    Command, Config, Entry, Index, Message, Outcome, Output, Raft, Replicated, SessionId,
    StateMachine, Term, Timer,
};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The replicated state, of which the specification says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Nothing;

impl StateMachine for Nothing {
    type Command = ();
    type Query = ();
    type Response = ();
    fn apply(&mut self, _: Index, (): &()) {}
    fn query(&self, (): &()) {}
}

/// The session with this position among the specification's. Beyond any index that a log within bounds has.
fn session(position: usize) -> SessionId {
    SessionId(1_000_000 + position as u64)
}

/// The nodes.
pub type Members = grain::Members<Raft<Nothing>>;

fn members(bounds: &Bounds) -> Members {
    let nodes: Vec<NodeId> = (1..=bounds.servers.len() as u32).map(NodeId).collect();
    let mut genesis = Replicated::new(Nothing);
    for position in 0..bounds.sessions.len() {
        genesis.open(Index(session(position).0), u32::MAX);
    }
    let config = |id: &NodeId| Config {
        pre_vote: bounds.pre_vote,
        check_quorum: bounds.check_quorum,
        batch_entries: bounds.batch_entries,
        window_entries: bounds.window_entries,
        genesis: genesis.clone(),
        ..Config::new(*id, nodes.iter().copied(), Nothing)
    };
    let configs = nodes.iter().map(config).collect();
    Members::new("raft", configs, bounds.max_crashes, bounds.max_unsynced)
}

/// The specification's names.
struct Specified {
    servers: Vec<String>,
    sessions: Vec<String>,
}

impl Names for Specified {
    fn server(&self, node: NodeId) -> Value {
        Value::model(self.servers[node.0 as usize - 1].clone())
    }

    fn session(&self, id: SessionId) -> Value {
        let mut positions = 0..self.sessions.len();
        let position = positions.find(|position| session(*position) == id);
        let name = position.map_or_else(|| id.to_string(), |known| self.sessions[known].clone());
        Value::model(name)
    }

    fn must(&self, read: u64) -> u64 {
        read
    }
}

/// What the specification counts in `spent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Spent {
    elections: u8,
    forgets: u8,
    writes: u8,
    reads: u8,
}

/// What has happened: the specification's ghosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    spent: Spent,
    /// Every entry ever committed, with the term it was committed in.
    decided: Vec<(Entry<()>, Term)>,
    /// The writes that some leader has answered.
    acked: BTreeSet<(SessionId, u64)>,
    /// For each answered read, what it had to see and what it saw.
    answers: BTreeSet<(u64, Index)>,
}

/// Raft, to be compared with `MCRaftRefine.tla`.
pub struct RaftSubject {
    bounds: Bounds,
    system: System<Members>,
    abstraction: Abstraction<Specified>,
}

impl RaftSubject {
    /// Raft within these bounds.
    pub fn new(bounds: Bounds) -> Self {
        let names = Specified {
            servers: bounds.servers.clone(),
            sessions: bounds.sessions.clone(),
        };
        RaftSubject {
            system: System::new(Arc::new(members(&bounds))),
            abstraction: Abstraction::new(names),
            bounds,
        }
    }

    /// The specification's name of what happens; `None` if it is out of bounds.
    fn name(
        &self,
        state: &State<Members>,
        spent: &Spent,
        action: &Action<Raft<Nothing>>,
    ) -> Option<&'static str> {
        let bounds = &self.bounds;
        let within = |name, spent, max| (spent < max).then_some(name);
        match action {
            Action::Duplicate(envelope) => {
                let name = receives(&envelope.message);
                (bounds.appends || name != "ReceivesAppend").then_some(name)
            }
            // The same without the message afterwards.
            Action::Deliver(_) | Action::Lose(_) => None,
            Action::Timeout(node, Timer::Election) => {
                let raft = machine(state, *node)?;
                if raft.leader().is_some() {
                    within("Forgets", spent.forgets, bounds.max_forgets)
                } else if raft.term() < Term(bounds.max_term) {
                    within("Stands", spent.elections, bounds.max_elections)
                } else {
                    None
                }
            }
            Action::Timeout(_, Timer::Heartbeat) => bounds.heartbeats.then_some("Beats"),
            Action::Timeout(_, Timer::Quorum) => Some("Checks"),
            Action::Timeout(_, Timer::Replicate) => Some("Replicates"),
            Action::Sync(_) => Some("Syncs"),
            Action::Crash(_) => Some("Crashes"),
            Action::Recover(_) => Some("Recovers"),
            Action::Request(request) => match request.command {
                Command::Read { .. } => within("Reads", spent.reads, bounds.max_reads),
                Command::Write { .. } => within("Writes", spent.writes, bounds.max_writes),
                Command::Open { .. } => None,
            },
        }
    }

    /// What clients may ask of a leader.
    fn commands(&self, history: &History) -> Vec<Command<Nothing>> {
        let sessions = (0..self.bounds.sessions.len()).map(session);
        let writes = sessions.flat_map(|session| {
            (1..=self.bounds.max_sequence).map(move |sequence| Command::Write {
                session,
                sequence,
                command: (),
            })
        });
        let read = Command::Read {
            id: history.decided.len() as u64,
            query: (),
        };
        writes.chain([read]).collect()
    }

    fn variables(
        &self,
        state: &State<Members>,
        history: &History,
    ) -> Result<Vec<(&'static str, Value)>, AbstractionError> {
        let (mut nodes, mut disks, mut unsynced, mut promised) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let protocol = self.system.protocol();
        for (id, node) in protocol.nodes().iter().zip(state.nodes()) {
            let server = self.abstraction.names().server(*id);
            disks.push((server.clone(), self.abstraction.durable(node.durable())));
            let (machine, batches, promises) = match node.up() {
                Some(up) => self.running(*id, up)?,
                None => (down(), Value::sequence([]), Value::sequence([])),
            };
            nodes.push((server.clone(), machine));
            unsynced.push((server.clone(), batches));
            promised.push((server, promises));
        }
        let net = state
            .network()
            .map(|sent| self.abstraction.message(sent.from, sent.to, &sent.message));
        let mut variables = vec![
            ("node", Value::function(nodes)),
            ("disk", Value::function(disks)),
            ("unsynced", Value::function(unsynced)),
            ("promised", Value::function(promised)),
            ("net", Value::set(net)),
        ];
        variables.extend(self.ghosts(state, history));
        Ok(variables)
    }

    fn running(
        &self,
        id: NodeId,
        up: &Up<Raft<Nothing>>,
    ) -> Result<(Value, Value, Value), AbstractionError> {
        let config = self.system.protocol().config(id);
        let batches = up.unsynced.iter().map(Vec::as_slice);
        let sizes = up.unsynced.iter().map(Vec::len);
        Ok((
            self.abstraction.machine(config, &up.machine)?,
            self.abstraction.unsynced(batches),
            self.abstraction.promised(id, &up.gate, sizes),
        ))
    }

    fn ghosts(&self, state: &State<Members>, history: &History) -> [(&'static str, Value); 4] {
        let decided = history.decided.iter().map(|(entry, by)| {
            Value::record([
                ("entry", self.abstraction.entry(entry)),
                ("by", Value::number(by.0)),
            ])
        });
        let acked = history.acked.iter().map(|(session, sequence)| {
            Value::record([
                ("session", self.abstraction.names().session(*session)),
                ("sequence", Value::number(*sequence)),
            ])
        });
        let answers = history.answers.iter().map(|(must, saw)| {
            Value::record([
                ("must", Value::number(*must)),
                ("saw", Value::number(saw.0)),
            ])
        });
        let spent = &history.spent;
        let spent = [
            ("elections", spent.elections),
            ("forgets", spent.forgets),
            ("crashes", state.spent().crashes),
            ("writes", spent.writes),
            ("reads", spent.reads),
        ];
        let spent = spent.map(|(what, times)| (what, Value::number(times.into())));
        [
            ("decided", Value::sequence(decided)),
            ("acked", Value::set(acked)),
            ("answers", Value::set(answers)),
            ("spent", Value::record(spent)),
        ]
    }
}

impl Subject for RaftSubject {
    type Protocol = Members;
    type History = History;
    type Error = AbstractionError;

    fn system(&self) -> &System<Members> {
        &self.system
    }

    fn history(&self) -> History {
        History::default()
    }

    fn actions(&self, state: &State<Members>, history: &History, out: &mut Vec<Move<Members>>) {
        let mut actions = Vec::new();
        stateright::Model::actions(&self.system, state, &mut actions);
        let commands = self.commands(history);
        for (node, running) in self.system.protocol().nodes().iter().zip(state.nodes()) {
            if running.machine().is_some_and(Raft::is_leader) {
                actions.extend(commands.iter().map(|command| {
                    Action::Request(Request {
                        client: 0,
                        node: *node,
                        command: command.clone(),
                    })
                }));
            }
        }
        out.extend(actions.into_iter().filter_map(|action| {
            let name = self.name(state, &history.spent, &action)?;
            Some(Move { action, name })
        }));
    }

    fn identify(&self, state: &State<Members>, history: &History, hasher: &mut impl Hasher) {
        for (id, node) in self.system.protocol().nodes().iter().zip(state.nodes()) {
            node.durable().hash(hasher);
            let Some(up) = node.up() else {
                false.hash(hasher);
                continue;
            };
            (true, &up.machine, &up.unsynced, &up.timers).hash(hasher);
            // Promises for the same step leave together, into a network that is a set: their order and number
            // make no difference, and while a disk is slow the same is promised again and again. What is said
            // to the application is in the history by now.
            let steps = up.unsynced.iter().map(Vec::len);
            self.abstraction.promised(*id, &up.gate, steps).hash(hasher);
        }
        let network = state.network();
        network.len().hash(hasher);
        network.for_each(|envelope| envelope.hash(hasher));
        (state.spent().crashes, history).hash(hasher);
    }

    fn follow(
        &self,
        before: &State<Members>,
        history: &History,
        step: &Move<Members>,
        after: &State<Members>,
    ) -> History {
        let mut history = history.clone();
        match step.name {
            "Stands" => history.spent.elections += 1,
            "Forgets" => history.spent.forgets += 1,
            "Writes" => history.spent.writes += 1,
            "Reads" => history.spent.reads += 1,
            _ => {}
        }
        let node = position(&step.action);
        let (Some(_), Some(raft)) = (machine(before, node), machine(after, node)) else {
            return history; // a crash or a recovery
        };
        let known = history.decided.len();
        let news = raft.log().entries().take(raft.commit().0 as usize);
        let news = news.skip(known).map(|entry| (entry.clone(), raft.term()));
        history.decided.extend(news);
        for output in told(before, after, node) {
            match output {
                Output::Applied {
                    session,
                    sequence,
                    outcome: Outcome::Applied(()) | Outcome::Repeated(()),
                    ..
                } if raft.is_leader() => {
                    history.acked.insert((session, sequence));
                }
                Output::Answered { id, .. } => {
                    history.answers.insert((id, raft.commit()));
                }
                _ => {}
            }
        }
        history
    }

    fn abstraction(
        &self,
        state: &State<Members>,
        history: &History,
    ) -> Result<Value, AbstractionError> {
        Ok(Value::record(self.variables(state, history)?))
    }
}

fn machine(state: &State<Members>, node: usize) -> Option<&Raft<Nothing>> {
    up(state, node).map(|up| &up.machine)
}

fn receives(message: &Message<()>) -> &'static str {
    match message {
        Message::RequestPreVote { .. } => "ReceivesRequestPreVote",
        Message::PreVoted { .. } => "ReceivesPreVoted",
        Message::RequestVote { .. } => "ReceivesRequestVote",
        Message::Voted { .. } => "ReceivesVoted",
        Message::Append { .. } => "ReceivesAppend",
        Message::Appended { .. } => "ReceivesAppended",
        Message::Conflicted { .. } => "ReceivesConflicted",
    }
}
