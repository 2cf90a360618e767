//! What happened on a path, step by step, in terms that need no types: for text, diagrams and JSON.

use crate::Protocol;
use crate::pool::Parts;
use crate::state::{Node, State};
use crate::step::{self, Action, Observer};
use quorate_machine::{Machine, NodeId};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write};

/// An element of stateright's paths: a state, and the action taken there unless it is the last.
pub(crate) type PathStep<P> = (State<P>, Option<Action<<P as Protocol>::Machine>>);

/// A path from the initial state, told step by step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The nodes, in the order of their lanes.
    pub nodes: Vec<String>,
    /// The steps, numbered from 1.
    pub steps: Vec<TraceStep>,
    /// Where it goes on for ever, if it is a lasso.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Cycle>,
}

/// How a [`Trace`] goes on for ever: the steps after the first so many are taken again and again, or, if
/// there are none, nothing happens any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycle {
    /// The steps before it.
    pub after: usize,
    /// What the states at its two ends may differ in.
    pub but_for: Option<String>,
    /// For each class of actions that fairness is owed why the cycle is fair to it.
    pub fairness: Vec<String>,
}

/// One step of a [`Trace`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceStep {
    /// The node that it happens to.
    pub node: String,
    /// What happens.
    pub what: What,
    /// What the node does about it, in order.
    pub effects: Vec<Effect>,
}

/// What happens in a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum What {
    /// A client asks the node.
    Request {
        /// Which client.
        client: u8,
        /// What.
        label: String,
    },
    /// A message arrives at the node.
    Deliver {
        /// Who sent it.
        from: String,
        /// What it says.
        message: String,
        /// The step in which it was sent; 0 if when the nodes started.
        sent_in: usize,
        /// Whether the network keeps it, to deliver it again.
        stays: bool,
    },
    /// The network loses a message to the node.
    Lose {
        /// Who sent it.
        from: String,
        /// What it says.
        message: String,
        /// The step in which it was sent; 0 if when the nodes started.
        sent_in: usize,
    },
    /// A timer of the node fires.
    Timeout {
        /// Which timer.
        timer: String,
    },
    /// The node's oldest unsynced records become durable.
    Sync,
    /// The node crashes.
    Crash {
        /// The records that were not durable.
        lost: Vec<String>,
    },
    /// The node starts again from its disk.
    Recover,
}

/// Something that a node does in a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "value")]
pub enum Effect {
    /// It receives a message that it sent to itself.
    ReceivedOwn(String),
    /// It hands a record to its disk; not durable yet.
    Persisted(String),
    /// It arms a timer.
    Armed(String),
    /// It releases a message.
    Sent {
        /// To whom.
        to: String,
        /// What it says.
        message: String,
    },
    /// It tells the application.
    Told(String),
    /// A record has become durable.
    Durable(String),
    /// It breaks a rule of machines.
    Failed(String),
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::ReceivedOwn(message) => write!(f, "receives from itself: {message}"),
            Effect::Persisted(record) => write!(f, "persists: {record}"),
            Effect::Armed(timer) => write!(f, "arms: {timer}"),
            Effect::Sent { to, message } => write!(f, "sends to {to}: {message}"),
            Effect::Told(output) => write!(f, "tells: {output}"),
            Effect::Durable(record) => write!(f, "durable: {record}"),
            Effect::Failed(reason) => write!(f, "FAILS: {reason}"),
        }
    }
}

impl TraceStep {
    /// What happens, in a line.
    pub fn headline(&self) -> String {
        let node = &self.node;
        match &self.what {
            What::Request { client, label } => format!("client {client} asks {node}: {label}"),
            What::Deliver {
                from,
                message,
                stays,
                ..
            } => {
                let copy = if *stays {
                    " (a copy stays in flight)"
                } else {
                    ""
                };
                format!("{from} → {node}: {message}{copy}")
            }
            What::Lose { from, message, .. } => format!("lost, {from} → {node}: {message}"),
            What::Timeout { timer } => format!("{node} timer fires: {timer}"),
            What::Sync => format!("{node} disk has synced"),
            What::Crash { lost } if lost.is_empty() => format!("{node} crashes"),
            What::Crash { lost } => format!("{node} crashes, losing {}", lost.join(", ")),
            What::Recover => format!("{node} recovers"),
        }
    }

    /// The effects, one a line.
    pub fn effects_text(&self) -> String {
        let lines: Vec<_> = self.effects.iter().map(Effect::to_string).collect();
        lines.join("\n")
    }
}

/// A numbered list of steps, each with its effects below it.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in (1..).zip(&self.steps) {
            if self
                .cycle
                .as_ref()
                .is_some_and(|cycle| cycle.after + 1 == number)
            {
                writeln!(f, "      and then, again and again:")?;
            }
            write!(f, "{number:>4}. {}", step.headline())?;
            if let What::Deliver { sent_in, .. } | What::Lose { sent_in, .. } = step.what {
                write!(f, "  [sent in {sent_in}]")?;
            }
            f.write_char('\n')?;
            for effect in &step.effects {
                writeln!(f, "        {effect}")?;
            }
        }
        if let Some(cycle) = &self.cycle {
            writeln!(f, "      {}", cycle.closing(self.steps.len()))?;
            if !cycle.fairness.is_empty() {
                writeln!(f, "      It is fair:")?;
            }
            for argument in &cycle.fairness {
                writeln!(f, "        {argument}")?;
            }
        }
        Ok(())
    }
}

impl Cycle {
    /// How a trace of so many steps comes back.
    pub fn closing(&self, steps: usize) -> String {
        let home = match self.after {
            0 => "the initial state".to_owned(),
            after => format!("the state after step {after}"),
        };
        match &self.but_for {
            _ if self.after >= steps => "And then nothing happens any more.".to_owned(),
            Some(but_for) => format!("Back to {home}, but for {but_for}."),
            None => format!("Back to {home}."),
        }
    }
}

impl Trace {
    /// Tells `path` by playing it again.
    pub(crate) fn new<P: Protocol>(protocol: &P, path: &[PathStep<P>]) -> Self {
        let mut in_flight = InFlight::default();
        if let Some((start, _)) = path.first() {
            for envelope in start.network() {
                let (from, to) = (envelope.from.to_string(), envelope.to.to_string());
                in_flight.sent(0, from, to, format!("{:?}", envelope.message));
            }
        }
        let taken = path
            .iter()
            .filter_map(|(state, action)| Some((state, action.as_ref()?)));
        let mut steps = Vec::new();
        for (number, (state, action)) in (1..).zip(taken) {
            let mut step = Trace::step(protocol, state, action);
            in_flight.resolve(number, &mut step);
            steps.push(step);
        }
        Trace {
            nodes: protocol.nodes().iter().map(NodeId::to_string).collect(),
            steps,
            cycle: None,
        }
    }

    /// One step alone; it does not know when its message was sent.
    pub(crate) fn step<P: Protocol>(
        protocol: &P,
        before: &State<P>,
        action: &Action<P::Machine>,
    ) -> TraceStep {
        let mut recorder = Recorder::default();
        step::successor(protocol, &Parts::default(), before, action, &mut recorder);
        let lost = match action {
            Action::Crash(node) => unsynced(&before.nodes[*node]),
            _ => Vec::new(),
        };
        let (node, what) = tell(protocol, action, lost);
        TraceStep {
            node,
            what,
            effects: recorder.0,
        }
    }
}

/// An action in a line.
pub(crate) fn describe<P: Protocol>(protocol: &P, action: &Action<P::Machine>) -> String {
    let (node, what) = tell(protocol, action, Vec::new());
    TraceStep {
        node,
        what,
        effects: Vec::new(),
    }
    .headline()
}

fn unsynced<M: Machine>(node: &Node<M>) -> Vec<String> {
    let records = node.up().into_iter().flat_map(|up| &up.unsynced).flatten();
    records.map(|record| format!("{record:?}")).collect()
}

fn tell<P: Protocol>(
    protocol: &P,
    action: &Action<P::Machine>,
    lost: Vec<String>,
) -> (String, What) {
    let name = |index: &usize| protocol.nodes()[*index].to_string();
    match action {
        Action::Request(request) => (
            request.node.to_string(),
            What::Request {
                client: request.client,
                label: protocol.label(request),
            },
        ),
        Action::Deliver(envelope) | Action::Duplicate(envelope) => (
            envelope.to.to_string(),
            What::Deliver {
                from: envelope.from.to_string(),
                message: format!("{:?}", envelope.message),
                sent_in: 0,
                stays: matches!(action, Action::Duplicate(_)),
            },
        ),
        Action::Lose(envelope) => (
            envelope.to.to_string(),
            What::Lose {
                from: envelope.from.to_string(),
                message: format!("{:?}", envelope.message),
                sent_in: 0,
            },
        ),
        Action::Timeout(node, timer) => {
            let timer = format!("{timer:?}");
            (name(node), What::Timeout { timer })
        }
        Action::Sync(node) => (name(node), What::Sync),
        Action::Crash(node) => (name(node), What::Crash { lost }),
        Action::Recover(node) => (name(node), What::Recover),
    }
}

/// Finds the step in which a message was sent: of equal messages, the oldest.
#[derive(Default)]
struct InFlight(Vec<Sent>);

struct Sent {
    step: usize,
    from: String,
    to: String,
    message: String,
}

impl InFlight {
    fn sent(&mut self, step: usize, from: String, to: String, message: String) {
        let same = |sent: &Sent| sent.from == from && sent.to == to && sent.message == message;
        // The network is a set: sent again while it is in flight, it is the same message.
        if self.0.iter().any(same) {
            return;
        }
        self.0.push(Sent {
            step,
            from,
            to,
            message,
        });
    }

    fn resolve(&mut self, number: usize, step: &mut TraceStep) {
        let keep = matches!(step.what, What::Deliver { stays: true, .. });
        if let What::Deliver {
            from,
            message,
            sent_in,
            ..
        }
        | What::Lose {
            from,
            message,
            sent_in,
        } = &mut step.what
        {
            let this = |sent: &Sent| {
                sent.to == step.node && sent.from == *from && sent.message == *message
            };
            if let Some(position) = self.0.iter().position(this) {
                *sent_in = self.0[position].step;
                if !keep {
                    self.0.remove(position);
                }
            }
        }
        for effect in &step.effects {
            if let Effect::Sent { to, message } = effect {
                self.sent(number, step.node.clone(), to.clone(), message.clone());
            }
        }
    }
}

/// Writes down what happens within a transition.
#[derive(Default)]
struct Recorder(Vec<Effect>);

impl<M: Machine> Observer<M> for Recorder {
    fn received_own(&mut self, message: &M::Message) {
        self.0.push(Effect::ReceivedOwn(format!("{message:?}")));
    }
    fn persisted(&mut self, record: &M::Record) {
        self.0.push(Effect::Persisted(format!("{record:?}")));
    }
    fn armed(&mut self, timer: &M::Timer) {
        self.0.push(Effect::Armed(format!("{timer:?}")));
    }
    fn sent(&mut self, to: NodeId, message: &M::Message) {
        self.0.push(Effect::Sent {
            to: to.to_string(),
            message: format!("{message:?}"),
        });
    }
    fn told(&mut self, output: &M::Output) {
        self.0.push(Effect::Told(format!("{output:?}")));
    }
    fn durable(&mut self, record: &M::Record) {
        self.0.push(Effect::Durable(format!("{record:?}")));
    }
    fn failed(&mut self, reason: &str) {
        self.0.push(Effect::Failed(reason.to_owned()));
    }
}
