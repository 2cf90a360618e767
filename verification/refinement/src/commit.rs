//! Two-phase commit within the bounds of `MCCommit.tla`.
//!
//! The nodes run [`quorate_commit::Commit`] in the model checker's own [`System`]. What surrounds them is the
//! specification's: the network is all that was ever sent, bounds are guards, and callers and resources are those of
//! `Commit.tla`, which [`Surroundings`] keep for the model checker as well. Here they are history: what was released
//! to the application says all of them.
//!
//! The abstraction names transactions by the request that began them, and forgets what the specification leaves out:
//! the identity that a caller is told. A coordinator must take no part itself: its messages to itself are handled at
//! once, and in the specification they go the way of all others. Only the blocking mode is compared: in the other one
//! the specification has a value that is written once where the machine has Paxos, which is compared by itself.

use crate::bounds::{Constants, constants};
use crate::grain::{self, Members, Terms};
use crate::subject::{Move, Subject};
use crate::{BoundsError, Value};
use quorate_commit::{
    Command, Commit, Config, Decision, Durable, Message, Mode, Open, Outcome, Output, Phase,
    Record, RequestId, Stage, Timer, TxnId, Vote,
};
use quorate_machine::NodeId;
use quorate_model::commit::{Resource, Surroundings};
use quorate_model::{Action, Protocol, Request, State, System};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The machine: what is to be done makes no difference.
pub type Member = Commit<()>;

/// Who coordinates: the first node.
const COORDINATOR: NodeId = NodeId(1);

/// What `MCCommit.tla` declares.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bounds {
    nodes: Vec<String>,
    count: usize,
    remembered: usize,
    max_crashes: u8,
    max_refusals: u8,
    max_impatience: u8,
    max_unsynced: usize,
    patient: bool,
}

impl Bounds {
    fn parse(text: &str) -> Result<Self, BoundsError> {
        let (constants, replaced) = constants(text)?;
        let read = Constants(constants);
        for (name, by) in replaced {
            match (name.as_str(), by.as_str()) {
                ("Coordinator", "OneCoordinates") | ("Participants", "OthersTakePart") => {}
                _ => return Err(BoundsError::Replaced(name, by)),
            }
        }
        if read.flag("NonBlocking")? {
            return Err(BoundsError::Value("NonBlocking", "TRUE".to_owned()));
        }
        let away = read.names("Away")?;
        if !away.is_empty() {
            return Err(BoundsError::Value("Away", away.join(", ")));
        }
        Ok(Bounds {
            nodes: read.names("Node")?,
            count: read.number("Count")?,
            remembered: read.number("Remembered")?,
            max_crashes: read.number("MaxCrashes")?,
            max_refusals: read.number("MaxRefusals")?,
            max_impatience: read.number("MaxImpatience")?,
            max_unsynced: read.number("MaxUnsynced")?,
            patient: read.flag("Patient")?,
        })
    }
}

/// What has happened around the nodes, and what of the bounds is used up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct History {
    surroundings: Surroundings,
    /// The number of each transaction in the specification.
    numbers: BTreeMap<TxnId, u64>,
    refusals: u8,
    impatience: u8,
}

/// The specification's names, in a state with these transactions.
struct Named<'a> {
    bounds: &'a Bounds,
    numbers: &'a BTreeMap<TxnId, u64>,
}

impl Named<'_> {
    fn number(&self, txn: TxnId) -> u64 {
        self.numbers.get(&txn).copied().unwrap_or_default()
    }

    fn txn(&self, txn: TxnId) -> Value {
        Value::number(self.number(txn))
    }

    fn txns<'a>(&self, txns: impl IntoIterator<Item = &'a TxnId>) -> Value {
        Value::set(txns.into_iter().map(|txn| self.txn(*txn)))
    }

    fn nodes(&self) -> impl Iterator<Item = NodeId> {
        (1..=self.bounds.nodes.len() as u32).map(NodeId)
    }

    /// A function of all transactions.
    fn each(&self, of: impl Fn(Option<TxnId>, u64) -> Value) -> Value {
        let numbers = 1..=self.bounds.count as u64;
        Value::function(numbers.map(|number| {
            let mut known = self.numbers.iter();
            let txn = known.find(|(_, own)| **own == number).map(|(txn, _)| *txn);
            (Value::number(number), of(txn, number))
        }))
    }

    fn latest(&self, latest: &BTreeMap<NodeId, TxnId>) -> Value {
        Value::function(self.nodes().map(|node| {
            let last = latest.get(&node).map_or(0, |txn| self.number(*txn));
            (self.server(node), Value::number(last))
        }))
    }

    fn open(&self, open: Option<&Open>) -> Value {
        let (stage, missing) = match open.map(|open| &open.stage) {
            None => ("None", None),
            Some(Stage::Voting(missing)) => ("Voting", Some(missing)),
            Some(Stage::Proposed) => ("Proposed", None),
            Some(Stage::Committed(missing)) => ("Committed", Some(missing)),
        };
        let missing = missing.into_iter().flatten();
        Value::record([
            ("stage", Value::string(stage)),
            (
                "missing",
                Value::set(missing.map(|node| self.server(*node))),
            ),
        ])
    }

    fn envelope(&self, kind: &str, txn: TxnId, link: (NodeId, NodeId), says: &str) -> Value {
        Value::record([
            ("kind", Value::string(kind)),
            ("txn", self.txn(txn)),
            ("from", self.server(link.0)),
            ("to", self.server(link.1)),
            ("says", Value::string(says)),
        ])
    }
}

fn said(decision: Decision) -> &'static str {
    match decision {
        Decision::Commit => "Commit",
        Decision::Abort => "Abort",
    }
}

impl Terms for Named<'_> {
    type Machine = Member;
    type Error = Infallible;

    fn server(&self, node: NodeId) -> Value {
        let name = self.bounds.nodes.get(node.0 as usize - 1);
        Value::model(name.cloned().unwrap_or_default())
    }

    fn machine(&self, id: NodeId, machine: &Member) -> Result<Value, Infallible> {
        let (coordinator, participant) = (machine.coordinator(), machine.participant());
        let open = |txn: Option<TxnId>| {
            let mut all = coordinator.open();
            let found = all.find(|(of, _)| Some(*of) == txn);
            self.open(found.map(|(_, open)| open))
        };
        let phase = |txn: Option<TxnId>| match txn.and_then(|txn| participant.phase(txn)) {
            None => "None",
            Some(Phase::Preparing) => "Preparing",
            Some(Phase::Uncertain) => "Uncertain",
            Some(Phase::Decided { done: true, .. }) => "Done",
            Some(Phase::Decided { decision, .. }) => said(decision),
        };
        let forgotten = coordinator.forgotten().map_or(0, |txn| self.number(txn));
        let last = coordinator.last(id).map_or(0, |txn| self.number(txn));
        Ok(Value::record([
            ("epoch", Value::number(coordinator.epoch())),
            ("last", Value::number(last)),
            ("prompt", coordinator.is_prompt().into()),
            ("open", self.each(|txn, _| open(txn))),
            ("ended", self.txns(coordinator.ended().keys())),
            ("forgotten", Value::number(forgotten)),
            ("joined", self.each(|txn, _| Value::string(phase(txn)))),
            ("latest", self.latest(participant.latest())),
        ]))
    }

    fn down(&self) -> Value {
        Value::record([("phase", Value::string("Down"))])
    }

    fn durable(&self, disk: &Durable) -> Value {
        let vote = |txn: Option<TxnId>| match txn.and_then(|txn| disk.votes.get(&txn)) {
            None => "None",
            Some(joined) => joined.decision.map_or("Uncertain", said),
        };
        let forgotten = disk.forgotten.map_or(0, |txn| self.number(txn));
        Value::record([
            ("epoch", Value::number(disk.epoch)),
            ("committed", self.txns(disk.committed.keys())),
            ("ended", self.txns(disk.ended.keys())),
            ("forgotten", Value::number(forgotten)),
            ("votes", self.each(|txn, _| Value::string(vote(txn)))),
            ("latest", self.latest(&disk.latest)),
        ])
    }

    fn record(&self, record: &Record) -> Value {
        let about = |kind, txn: &TxnId| [("kind", Value::string(kind)), ("txn", self.txn(*txn))];
        match record {
            Record::Epoch(epoch) => Value::record([
                ("kind", Value::string("Epoch")),
                ("epoch", Value::number(*epoch)),
            ]),
            Record::Committed { txn, .. } => Value::record(about("Committed", txn)),
            Record::Ended { txn, forgets } => {
                let forgets = forgets.map_or(0, |txn| self.number(txn));
                let own = [("forgets", Value::number(forgets))];
                Value::record(about("Ended", txn).into_iter().chain(own))
            }
            Record::Abandoned(txn) => Value::record(about("Abandoned", txn)),
            Record::Voted { txn, .. } => Value::record(about("Voted", txn)),
            Record::Refused(txn) => Value::record(about("Refused", txn)),
            Record::Decided { txn, decision } => {
                let own = [("says", Value::string(said(*decision)))];
                Value::record(about("Decided", txn).into_iter().chain(own))
            }
            Record::Forgotten(txn) => Value::record(about("Forgotten", txn)),
            Record::Consensus(_) => Value::record([("kind", Value::string("Consensus"))]),
        }
    }

    fn message(&self, from: NodeId, to: NodeId, message: &Message<()>) -> Value {
        let (kind, says) = match message {
            Message::Prepare { .. } => ("Prepare", "Nothing"),
            Message::Voted { vote, .. } => match vote {
                Vote::Yes => ("Voted", "Yes"),
                Vote::No => ("Voted", "No"),
            },
            Message::Decided { decision, .. } => ("Decided", said(*decision)),
            Message::Acknowledged { .. } => ("Acknowledged", "Nothing"),
            Message::Forget { .. } => ("Forget", "Nothing"),
            Message::Inquire { .. } => ("Inquire", "Nothing"),
            Message::Answered { decision, .. } => ("Answered", said(*decision)),
            Message::Release { .. } => ("Release", "Nothing"),
            Message::Consensus(_) => ("Consensus", "Nothing"),
        };
        self.envelope(kind, message.txn(), (from, to), says)
    }

    fn output(&self, output: &Output<()>) -> Option<Value> {
        let (kind, txn) = match output {
            Output::Begun { .. } | Output::Rejected { .. } => return None,
            Output::Finished { txn, outcome, .. } => match outcome {
                Outcome::Committed => ("FinishedCommit", txn),
                Outcome::Aborted(_) => ("FinishedAbort", txn),
                Outcome::Unknown => return None,
            },
            Output::Prepare { txn, .. } => ("Prepare", txn),
            Output::Commit { txn } => ("Commit", txn),
            Output::Abort { txn } => ("Abort", txn),
        };
        let told = [("kind", Value::string(kind)), ("txn", self.txn(*txn))];
        Some(Value::record(told))
    }
}

/// Two-phase commit, to be compared with `MCCommit.tla`.
pub struct CommitSubject {
    bounds: Bounds,
    system: System<Members<Member>>,
}

impl CommitSubject {
    /// Two-phase commit within the bounds of a configuration's text.
    ///
    /// # Errors
    ///
    /// If it has no counterpart in Rust.
    pub fn new(text: &str) -> Result<Self, BoundsError> {
        let bounds = Bounds::parse(text)?;
        let ids: Vec<NodeId> = (1..=bounds.nodes.len() as u32).map(NodeId).collect();
        let config = |id: &NodeId| Config {
            remembered: bounds.remembered,
            ..Config::new(*id, ids.iter().copied())
        };
        let configs = ids.iter().map(config).collect();
        let members = Members::new("commit", configs, bounds.max_crashes, bounds.max_unsynced);
        Ok(CommitSubject {
            system: System::new(Arc::new(members)),
            bounds,
        })
    }

    /// The specification's name of what happens; `None` if it is out of bounds.
    fn name(
        &self,
        state: &State<Members<Member>>,
        history: &History,
        action: &Action<Member>,
    ) -> Option<&'static str> {
        match action {
            Action::Duplicate(envelope) => receives(&envelope.message),
            // The same without the message afterwards.
            Action::Deliver(_) | Action::Lose(_) | Action::Request(_) => None,
            Action::Timeout(_, Timer::Votes(_)) => {
                (history.impatience < self.bounds.max_impatience).then_some("LosesPatience")
            }
            Action::Timeout(node, Timer::Waiting(txn)) => {
                let machine = &grain::up(state, *node)?.machine;
                let uncertain = machine.participant().phase(*txn) == Some(Phase::Uncertain);
                let waits = self.bounds.patient && uncertain && state.spent().crashes == 0;
                (!waits).then_some("Waits")
            }
            Action::Timeout(_, Timer::Consensus { .. }) => None,
            Action::Sync(_) => Some("Syncs"),
            Action::Crash(_) => Some("Crashes"),
            Action::Recover(_) => Some("Recovers"),
        }
    }

    /// What callers and resources may say.
    fn requests(
        &self,
        state: &State<Members<Member>>,
        history: &History,
        out: &mut Vec<Move<Members<Member>>>,
    ) {
        let request = |node, command| {
            Action::Request(Request {
                client: 0,
                node,
                command,
            })
        };
        let callers = history.surroundings.callers();
        let next = callers.iter().position(|caller| !caller.asked);
        if let Some(next) = next.filter(|_| grain::up(state, 0).is_some()) {
            let others = self.system.protocol().nodes();
            let others = others.iter().filter(|node| **node != COORDINATOR);
            let command = Command::Begin {
                request: RequestId(next as u64),
                mode: Mode::Blocking,
                work: others.map(|node| (*node, ())).collect(),
            };
            out.push(Move {
                action: request(COORDINATOR, command),
                name: "Begins",
            });
        }
        for (node, txn, resource) in history.surroundings.resources() {
            let Some(up) = grain::up(state, node.0 as usize - 1) else {
                continue;
            };
            let phase = up.machine.participant().phase(txn);
            let awaited = matches!(phase, Some(Phase::Decided { done: false, .. }));
            let refuses = history.refusals < self.bounds.max_refusals;
            for (command, name) in sayings(*resource, txn, awaited, refuses) {
                out.push(Move {
                    action: request(node, command),
                    name,
                });
            }
        }
    }
}

/// What a resource may say.
fn sayings(
    resource: Resource,
    txn: TxnId,
    awaited: bool,
    refuses: bool,
) -> impl Iterator<Item = (Command<()>, &'static str)> {
    let committed = resource.told == Some(Decision::Commit) || resource.contradicted;
    let open = resource.asked && !committed;
    let again = resource.voted == Some(Vote::Yes) && !resource.done;
    let yes = (open && resource.voted.is_none()) || again;
    let no = open && resource.voted.is_none() && refuses;
    let done = resource.told.is_some() && (!resource.done || awaited);
    let vote = |vote| Command::Prepared { txn, vote };
    [
        yes.then(|| (vote(Vote::Yes), "VotesYes")),
        no.then(|| (vote(Vote::No), "VotesNo")),
        done.then_some((Command::Done { txn }, "Dones")),
    ]
    .into_iter()
    .flatten()
}

fn receives(message: &Message<()>) -> Option<&'static str> {
    Some(match message {
        Message::Prepare { .. } => "ReceivesPrepare",
        Message::Voted { .. } => "ReceivesVoted",
        Message::Decided { .. } => "ReceivesDecided",
        Message::Acknowledged { .. } => "ReceivesAcknowledged",
        Message::Forget { .. } => "ReceivesForget",
        Message::Inquire { .. } => "ReceivesInquire",
        Message::Answered { .. } => "ReceivesAnswered",
        Message::Release { .. } | Message::Consensus(_) => return None,
    })
}

impl Subject for CommitSubject {
    type Protocol = Members<Member>;
    type History = History;
    type Error = Infallible;

    fn system(&self) -> &System<Members<Member>> {
        &self.system
    }

    fn history(&self) -> History {
        History {
            surroundings: Surroundings::new(self.bounds.count),
            numbers: BTreeMap::new(),
            refusals: 0,
            impatience: 0,
        }
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
            let name = self.name(state, history, &action)?;
            Some(Move { action, name })
        }));
        self.requests(state, history, out);
    }

    fn identify(
        &self,
        state: &State<Members<Member>>,
        history: &History,
        hasher: &mut impl Hasher,
    ) {
        let named = Named {
            bounds: &self.bounds,
            numbers: &history.numbers,
        };
        for (at, node) in state.nodes().enumerate() {
            node.durable().hash(hasher);
            let Some(up) = node.up() else {
                false.hash(hasher);
                continue;
            };
            (true, &up.machine, &up.unsynced, &up.timers).hash(hasher);
            // Promises for the same step leave together, into sets: their order and number make no difference.
            let steps = up.unsynced.iter().map(Vec::len);
            grain::waiting(&named, NodeId(at as u32 + 1), &up.gate, steps).hash(hasher);
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
            "VotesNo" => history.refusals += 1,
            "LosesPatience" => history.impatience += 1,
            _ => {}
        }
        if let Action::Request(request) = &step.action {
            history.surroundings.says(request.node, &request.command);
        }
        let coordinator = grain::up(after, 0).map(|up| up.machine.coordinator());
        for (txn, open) in coordinator.into_iter().flat_map(|one| one.open()) {
            history.numbers.insert(txn, open.request.0 + 1);
        }
        let node = NodeId(grain::position(&step.action) as u32 + 1);
        for output in &after.clients()[before.clients().len()..] {
            history.surroundings.hears(node, output);
        }
        history
    }

    fn abstraction(
        &self,
        state: &State<Members<Member>>,
        history: &History,
    ) -> Result<Value, Infallible> {
        let named = Named {
            bounds: &self.bounds,
            numbers: &history.numbers,
        };
        let surroundings = &history.surroundings;
        let mut variables = grain::variables(&named, self.system.protocol(), state)?;
        let resource = |node: NodeId, txn: Option<TxnId>| {
            let resource = txn.map(|txn| surroundings.resource(node, txn));
            let Resource {
                asked,
                voted,
                told,
                done,
                contradicted,
                ..
            } = resource.unwrap_or_default();
            let voted = match voted {
                None => "None",
                Some(Vote::Yes) => "Yes",
                Some(Vote::No) => "No",
            };
            let both = [Decision::Commit, Decision::Abort];
            let told = both
                .into_iter()
                .filter(|one| contradicted || told == Some(*one));
            Value::record([
                ("asked", asked.into()),
                ("voted", Value::string(voted)),
                ("told", Value::set(told.map(|one| Value::string(said(one))))),
                ("done", done.into()),
            ])
        };
        let resources = named.nodes().map(|node| {
            let each = named.each(|txn, _| resource(node, txn));
            (named.server(node), each)
        });
        let caller = |number: u64| {
            let caller = surroundings.callers().get(number as usize - 1).cloned();
            let caller = caller.unwrap_or_default();
            let told = [
                (caller.answers.committed, Decision::Commit),
                (caller.answers.aborted, Decision::Abort),
            ];
            let told = told.into_iter().filter(|(told, _)| *told);
            Value::record([
                ("asked", caller.asked.into()),
                (
                    "told",
                    Value::set(told.map(|(_, one)| Value::string(said(one)))),
                ),
            ])
        };
        let spent = [
            ("crashes", state.spent().crashes),
            ("refusals", history.refusals),
            ("impatience", history.impatience),
        ];
        let spent = spent.map(|(what, times)| (what, Value::number(times.into())));
        variables.extend([
            ("resource", Value::function(resources)),
            ("caller", named.each(|_, number| caller(number))),
            ("agreed", named.each(|_, _| Value::string("None"))),
            ("spent", Value::record(spent)),
        ]);
        Ok(Value::record(variables))
    }
}
