//! A run as a module that extends `TraceRaft.tla`.
//!
//! A long run is cut into windows of some hundred steps. Each starts from a state of the machines and ends in
//! the one that the next starts from, so that together they are one behaviour; apart, they keep the set of
//! messages small, which in the specification only grows, and TLC checks them in parallel. Some windows make a
//! module.
//!
//! What repeats is written once: a message has a number, and a log is a beginning of `Base`, with the rest
//! after it.

use crate::history::History;
use crate::member::Member;
use crate::raft::{RaftLike, Specified, TraceNames, seen};
use quorate_machine::{NodeId, Promise};
use quorate_raft::{Message, StateMachine};
use quorate_refinement::Value;
use quorate_refinement::abstraction::{Abstraction, AbstractionError, Names, down};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The whole state between two windows.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The variables but `net`, as fields of a record.
    fields: String,
    /// The messages that are received later.
    net: Vec<Value>,
    /// How much of `Base` and of `By` it refers to.
    base: usize,
    by: usize,
}

/// The steps of one window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    pub(crate) steps: Vec<String>,
    /// What was seen after each.
    pub(crate) seen: Vec<Value>,
}

/// What a run has in common with itself from beginning to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Base {
    /// A log that most logs begin like.
    log: Vec<Value>,
    /// The entries that were decided, and in which terms, so far.
    decided: Vec<Value>,
    by: Vec<Value>,
}

impl Base {
    /// With this log.
    pub(crate) fn new(log: Vec<Value>) -> Self {
        Base {
            log,
            ..Base::default()
        }
    }

    /// Takes note of what was decided since.
    pub(crate) fn decided<C: Clone + Eq + std::fmt::Debug>(&mut self, history: &History<C>) {
        let names = Abstraction::new(TraceNames::default());
        for decided in &history.decided[self.decided.len()..] {
            self.decided.push(names.entry(&decided.entry));
            self.by.push(Value::number(decided.by.0));
        }
    }

    /// An expression for a log: what it has in common with the base, and the rest. With it, how much that is.
    fn shorten(&self, log: &[Value]) -> (Value, usize) {
        let common = log.iter().zip(&self.log);
        let common = common.take_while(|(one, other)| one == other).count();
        if common == 0 {
            return (Value::sequence(log.iter().cloned()), 0);
        }
        let rest = &log[common..];
        let mut text = format!("SubSeq(Base, 1, {common})");
        if !rest.is_empty() {
            let _ = write!(text, " \\o {}", Value::sequence(rest.iter().cloned()));
        }
        // An expression in the place of a value.
        (Value::model(format!("({text})")), common)
    }

    /// The same for the log of a record, whatever else the record has.
    fn shorten_log(&self, record: Value, used: &mut usize) -> Value {
        let Value::Record(mut fields) = record else {
            return record;
        };
        if let Some(Value::Sequence(log)) = fields.get("log") {
            let (short, common) = self.shorten(log);
            *used = (*used).max(common);
            fields.insert("log".into(), short);
        }
        Value::Record(fields)
    }
}

/// The state as of now, with the messages `net` that are received later.
pub(crate) fn state<M: RaftLike>(
    base: &Base,
    members: &[Member<'_, M>],
    names: &[TraceNames],
    net: Vec<Value>,
) -> Result<State, AbstractionError> {
    let mut used = 0;
    let [mut node, mut disk, mut unsynced, mut promised] = [const { Vec::new() }; 4];
    for (member, names) in members.iter().zip(names) {
        let abstraction = Abstraction::new(names.clone());
        let server = names.server(member.id());
        let machine = match member.machine() {
            Some(machine) => abstraction.machine(member.config(), machine.raft())?,
            None => down(),
        };
        node.push((server.clone(), base.shorten_log(machine, &mut used)));
        let durable = abstraction.durable(member.disk());
        disk.push((server.clone(), base.shorten_log(durable, &mut used)));
        unsynced.push((server.clone(), abstraction.unsynced(member.unsynced())));
        promised.push((server, promises(&abstraction, member)));
    }
    let (log, common) = base.shorten(&base.decided);
    let by = base.decided.len();
    let decided = format!("DecidedOf({log}, SubSeq(By, 1, {by}))");
    let mut fields = String::new();
    for (name, value) in [
        ("node", node),
        ("disk", disk),
        ("unsynced", unsynced),
        ("promised", promised),
    ] {
        let _ = write!(fields, "{name} |-> {},\n  ", Value::function(value));
    }
    let _ = write!(fields, "decided |-> {decided}");
    Ok(State {
        fields,
        net,
        base: used.max(common),
        by,
    })
}

/// `promised` of one server: what its gate lets go of as one batch after the other becomes durable.
fn promises<M: RaftLike>(abstraction: &Abstraction<TraceNames>, member: &Member<'_, M>) -> Value {
    let mut gate = member.gate().clone();
    let mut promises = Vec::new();
    for (batch, needs) in member.unsynced().zip(1..) {
        gate.synced(batch.len() as u64);
        let mut messages = BTreeSet::new();
        while let Some(promise) = gate.release() {
            if let Promise::Send { to, message } = promise {
                messages.insert(abstraction.message(member.id(), to, &message));
            }
        }
        if !messages.is_empty() {
            promises.push(Value::record([
                ("needs", Value::number(needs)),
                ("messages", Value::Set(messages)),
            ]));
        }
    }
    Value::Sequence(promises)
}

/// Some windows, and the states between them.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    states: Vec<State>,
    pub(crate) windows: Vec<Window>,
    current: Window,
    /// Messages by number, from one.
    messages: BTreeMap<Value, usize>,
    texts: Vec<String>,
}

/// The parameters of the specification.
#[derive(Clone, Debug)]
pub(crate) struct Parameters {
    pub(crate) members: Vec<NodeId>,
    pub(crate) pre_vote: bool,
    pub(crate) check_quorum: bool,
    pub(crate) batch_entries: usize,
    pub(crate) window_entries: usize,
}

impl Module {
    /// A module whose first window starts from this state.
    pub(crate) fn new(start: State) -> Self {
        Module {
            states: vec![start],
            windows: Vec::new(),
            current: Window::default(),
            messages: BTreeMap::new(),
            texts: Vec::new(),
        }
    }

    /// Steps in all its windows.
    pub(crate) fn steps(&self) -> usize {
        let whole: usize = self.windows.iter().map(|window| window.seen.len()).sum();
        whole + self.current.seen.len()
    }

    /// Steps since the last cut.
    pub(crate) fn since_cut(&self) -> usize {
        self.current.seen.len()
    }

    fn number(&mut self, message: Value) -> usize {
        let texts = &mut self.texts;
        *self.messages.entry(message).or_insert_with_key(|message| {
            texts.push(message.to_string());
            texts.len()
        })
    }

    /// Adds a step.
    pub(crate) fn step<S: StateMachine, M: RaftLike<State = S>>(
        &mut self,
        names: &TraceNames,
        member: &Member<'_, M>,
        specified: &Specified<'_, S::Command>,
        sent: &[(NodeId, Message<S::Command>)],
    ) {
        // Messages say nothing of reads.
        let abstraction = Abstraction::new(TraceNames::default());
        let id = member.id();
        let (action, argument) = match specified {
            Specified::Stutter => ("Stutter", "0".to_owned()),
            Specified::Plain(action) => (*action, "0".to_owned()),
            Specified::Receive(from, message) => {
                let message = abstraction.message(*from, id, message);
                ("Receive", self.number(message).to_string())
            }
            Specified::Write(write) => ("ClientWrite", write.to_string()),
            Specified::Read(_) => ("ClientRead", "0".to_owned()),
        };
        let sent = sent.iter();
        let sent = sent.map(|(to, message)| abstraction.message(id, *to, message));
        let sent: BTreeSet<usize> = sent.map(|message| self.number(message)).collect();
        let sent = Value::set(sent.into_iter().map(|number| Value::number(number as u64)));
        let seen = seen(names, member.machine().map(RaftLike::raft));
        let server = names.server(id);
        self.current.steps.push(format!(
            "<<\"{action}\", {server}, {argument}, {sent}, {seen}>>"
        ));
        self.current.seen.push(seen);
    }

    /// Ends the window in this state, which the next one starts from.
    pub(crate) fn cut(&mut self, state: State) {
        let window = std::mem::take(&mut self.current);
        self.windows.push(window);
        self.states.push(state);
    }

    /// The module's text and that of its configuration.
    pub(crate) fn text(
        &mut self,
        name: &str,
        base: &Base,
        parameters: &Parameters,
    ) -> (String, String) {
        let mut body = String::new();
        for number in 0..self.states.len() {
            let net = std::mem::take(&mut self.states[number].net);
            let net = net
                .into_iter()
                .map(|message| self.number(message))
                .map(|number| Value::number(number as u64));
            let net = Value::set(net);
            let fields = &self.states[number].fields;
            let _ = write!(
                body,
                "State{number} == [\n  {fields},\n  net |-> {net}]\n\n"
            );
        }
        let mut windows = Vec::new();
        for (number, window) in self.windows.iter().enumerate() {
            let steps = window.steps.join(",\n  ");
            let _ = write!(body, "Steps{number} == <<\n  {steps}>>\n\n");
            let end = number + 1;
            windows.push(format!(
                "[start |-> State{number}, steps |-> Steps{number}, end |-> State{end}]"
            ));
        }
        let entries = self.states.iter().map(|state| state.base).max();
        let terms = self.states.iter().map(|state| state.by).max();
        let beginning = |values: &[Value], length: Option<usize>| {
            let length = length.unwrap_or_default().min(values.len());
            Value::sequence(values[..length].iter().cloned())
        };
        let members = parameters.members.iter().map(ToString::to_string);
        let members: Vec<_> = members.collect();
        let members = members.join(", ");
        let module = format!(
            "---- MODULE {name} ----\nEXTENDS TraceRaft\nCONSTANTS {members}\n\n\
             Base == {}\n\nBy == {}\n\nTheMembers == <<{members}>>\n\n\
             AnySession == STRING\n\nTheMessages == <<\n  {}>>\n\n{body}\
             TheWindows == <<\n  {}>>\n====\n",
            beginning(&base.log, entries),
            beginning(&base.by, terms),
            self.texts.join(",\n  "),
            windows.join(",\n  "),
        );
        (module, configuration(parameters))
    }
}

fn configuration(parameters: &Parameters) -> String {
    let members: Vec<_> = parameters.members.iter().map(ToString::to_string).collect();
    let bool = |value: bool| Value::from(value);
    let mut text = String::from("SPECIFICATION TraceSpec\nCONSTANTS\n    Nil = Nil\n");
    for member in &members {
        let _ = writeln!(text, "    {member} = {member}");
    }
    let _ = write!(
        text,
        "    Server = {{{}}}\n    PreVote = {}\n    CheckQuorum = {}\n    BatchEntries = {}\n    \
         WindowEntries = {}\n    Session <- AnySession\n    Members <- TheMembers\n    \
         Message <- TheMessages\n    Window <- TheWindows\n",
        members.join(", "),
        bool(parameters.pre_vote),
        bool(parameters.check_quorum),
        parameters.batch_entries,
        parameters.window_entries,
    );
    text
}
