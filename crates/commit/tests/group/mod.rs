//! A group of nodes, driven step by step by a script.

use quorate_commit::{
    Command, Commit, Config, Durable, Message, Mode, Output, Record, RequestId, Timer, TxnId, Vote,
};
use quorate_machine::{Effects, Event, Gate, Machine, NodeId, Promise};
use std::collections::{BTreeMap, VecDeque};

type Node = Commit<()>;

/// Nodes, what they have written and sent, and what happened in the last command.
#[derive(Default)]
pub(crate) struct Group {
    configs: BTreeMap<NodeId, Config>,
    up: BTreeMap<NodeId, Up>,
    disks: BTreeMap<NodeId, Durable>,
    wires: BTreeMap<(NodeId, NodeId), VecDeque<Message<()>>>,
    journal: Vec<String>,
}

struct Up {
    machine: Node,
    gate: Gate<Node>,
    unsynced: Vec<Record>,
}

type Result<T = ()> = std::result::Result<T, String>;

impl Group {
    /// Carries out one command; returns what happened.
    pub(crate) fn direct(&mut self, command: &str) -> Result<Vec<String>> {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            ["nodes", count] => {
                let count: u32 = count.parse().map_err(|_| "no number")?;
                let ids: Vec<NodeId> = (1..=count).map(NodeId).collect();
                for id in &ids {
                    let mut config = Config::new(*id, ids.iter().copied());
                    config.remembered = 1;
                    self.configs.insert(*id, config);
                    self.disks.insert(*id, Durable::default());
                    self.start(*id)?;
                }
            }
            ["begin", at, request, rest @ ..] => {
                let mode = match rest.last() {
                    Some(&"agreed") => Mode::NonBlocking,
                    _ => Mode::Blocking,
                };
                let nodes = rest.iter().filter(|word| **word != "agreed");
                let work = nodes.map(|word| Ok((node(word)?, ())));
                let command = Command::Begin {
                    request: self::request(request)?,
                    mode,
                    work: work.collect::<Result<_>>()?,
                };
                self.step(node(at)?, Event::Command(command))?;
            }
            ["ask", at, request, txn] => {
                let (request, txn) = (self::request(request)?, transaction(txn)?);
                self.step(node(at)?, Event::Command(Command::Ask { request, txn }))?;
            }
            [vote @ ("yes" | "no"), at, txn] => {
                let vote = if *vote == "yes" { Vote::Yes } else { Vote::No };
                let txn = transaction(txn)?;
                self.step(node(at)?, Event::Command(Command::Prepared { txn, vote }))?;
            }
            ["done", at, txn] => {
                let txn = transaction(txn)?;
                self.step(node(at)?, Event::Command(Command::Done { txn }))?;
            }
            ["votes", at, txn] => {
                let timer = Timer::Votes(transaction(txn)?);
                self.step(node(at)?, Event::Timeout(timer))?;
            }
            ["waiting", at, txn] => {
                let timer = Timer::Waiting(transaction(txn)?);
                self.step(node(at)?, Event::Timeout(timer))?;
            }
            ["sync", at] => self.sync(node(at)?)?,
            ["deliver", "all"] => while self.deliver_any()? {},
            ["deliver" | "repeat", from, to] => {
                let link = (node(from)?, node(to)?);
                let wire = self.wires.remove(&link).unwrap_or_default();
                if words[0] == "repeat" {
                    self.wires.insert(link, wire.clone());
                }
                if wire.is_empty() {
                    return Err("nothing is on its way".into());
                }
                for message in wire {
                    self.receive(link, message)?;
                }
            }
            ["lose", from, to] => {
                let lost = self.wires.remove(&(node(from)?, node(to)?));
                let lost = lost.ok_or("nothing is on its way")?;
                self.journal
                    .extend(lost.iter().map(|message| format!("lost: {message:?}")));
            }
            ["crash", at] => {
                self.up.remove(&node(at)?).ok_or("it is down")?;
            }
            ["recover", at] => self.start(node(at)?)?,
            _ => return Err("no such command".into()),
        }
        Ok(std::mem::take(&mut self.journal))
    }

    fn start(&mut self, id: NodeId) -> Result {
        let (config, disk) = (&self.configs[&id], &self.disks[&id]);
        let mut fx = Effects::new();
        let machine = Node::start(config, disk, &mut fx);
        let up = Up {
            machine,
            gate: Gate::new(),
            unsynced: Vec::new(),
        };
        self.up.insert(id, up);
        self.settle(id, fx)
    }

    fn step(&mut self, id: NodeId, event: Event<Node>) -> Result {
        let up = self.up.get_mut(&id).ok_or("it is down")?;
        let mut fx = Effects::new();
        up.machine.step(&self.configs[&id], event, &mut fx);
        self.settle(id, fx)
    }

    fn settle(&mut self, id: NodeId, mut fx: Effects<Node>) -> Result {
        let immediate: Vec<_> = fx.drain_immediate().collect();
        let up = self.up.get_mut(&id).ok_or("it is down")?;
        let records: Vec<Record> = up.gate.absorb(&mut fx).collect();
        let written = records
            .iter()
            .map(|record| format!("{id} writes {record:?}"));
        self.journal.extend(written);
        up.unsynced.extend(records);
        for immediate in immediate {
            match immediate {
                Promise::Send { to, message } => self.send(id, to, message)?,
                Promise::Output(output) => self.journal.push(said(id, &output)),
            }
        }
        self.release(id)
    }

    fn sync(&mut self, id: NodeId) -> Result {
        let up = self.up.get_mut(&id).ok_or("it is down")?;
        let records = std::mem::take(&mut up.unsynced);
        up.gate.synced(records.len() as u64);
        let disk = self.disks.entry(id).or_default();
        records.iter().for_each(|record| Node::apply(disk, record));
        self.journal.push(format!("{id} has it on disk"));
        self.release(id)
    }

    fn release(&mut self, id: NodeId) -> Result {
        let mut own = Vec::new();
        while let Some(promise) = self.up.get_mut(&id).and_then(|up| up.gate.release()) {
            match promise {
                Promise::Send { to, message } if to == id => own.push(message),
                Promise::Send { to, message } => self.send(id, to, message)?,
                Promise::Output(output) => self.journal.push(said(id, &output)),
            }
        }
        own.into_iter()
            .try_for_each(|message| self.step(id, Event::Receive { from: id, message }))
    }

    fn send(&mut self, id: NodeId, to: NodeId, message: Message<()>) -> Result {
        if to == id {
            return self.step(id, Event::Receive { from: id, message });
        }
        self.journal.push(format!("{id} -> {to} {message:?}"));
        self.wires.entry((id, to)).or_default().push_back(message);
        Ok(())
    }

    fn receive(&mut self, (from, to): (NodeId, NodeId), message: Message<()>) -> Result {
        if self.up.contains_key(&to) {
            self.step(to, Event::Receive { from, message })
        } else {
            self.journal.push(format!("{to} is down"));
            Ok(())
        }
    }

    /// Delivers what is on its way, or makes durable what is not; whether there was anything.
    fn deliver_any(&mut self) -> Result<bool> {
        let due = self.wires.iter().find(|(_, wire)| !wire.is_empty());
        if let Some(link) = due.map(|(link, _)| *link) {
            let message = self.wires.get_mut(&link).and_then(VecDeque::pop_front);
            let message = message.ok_or("nothing is on its way")?;
            self.receive(link, message)?;
            return Ok(true);
        }
        let busy = self.up.iter().find(|(_, up)| !up.unsynced.is_empty());
        let Some(busy) = busy.map(|(id, _)| *id) else {
            return Ok(false);
        };
        self.sync(busy)?;
        Ok(true)
    }
}

fn said(id: NodeId, output: &Output<()>) -> String {
    match output {
        Output::Begun { .. } | Output::Rejected { .. } | Output::Finished { .. } => {
            format!("{id} tells the caller {output:?}")
        }
        _ => format!("{id} tells its resource {output:?}"),
    }
}

fn node(word: &str) -> Result<NodeId> {
    let number = word.strip_prefix('n').and_then(|rest| rest.parse().ok());
    number.map(NodeId).ok_or(format!("{word} is no node"))
}

fn request(word: &str) -> Result<RequestId> {
    let number = word.strip_prefix('r').and_then(|rest| rest.parse().ok());
    number.map(RequestId).ok_or(format!("{word} is no request"))
}

fn transaction(word: &str) -> Result<TxnId> {
    let mut parts = word.split('.');
    let mut next = || parts.next().ok_or(format!("{word} is no transaction"));
    let number = |text: &str| text.parse().map_err(|_| format!("{text} is no number"));
    Ok(TxnId {
        coordinator: node(next()?)?,
        epoch: number(next()?)?,
        number: number(next()?)?,
    })
}
