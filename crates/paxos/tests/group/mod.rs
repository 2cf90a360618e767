//! A group of nodes that a script directs step by step: a network of wires, and disks that sync when told.

use quorate_machine::{Effects, Event, Gate, Machine, NodeId, Promise, TimerEffect};
use quorate_paxos::{
    Ballot, Command, Config, Durable, Message, Paxos, Record, Slot, Timer, invariants,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

type Member = Paxos<String, String>;
type Said = Message<String, String>;
type Result<T = ()> = std::result::Result<T, String>;
type Link = (NodeId, NodeId);

struct Node {
    config: Config,
    disk: Durable<String, String>,
    /// `None` while it is down.
    machine: Option<Member>,
    gate: Gate<Member>,
    unsynced: VecDeque<Vec<Record<String, String>>>,
    timers: BTreeSet<Timer>,
}

/// The nodes and what is between them.
#[derive(Default)]
pub(crate) struct Group {
    nodes: BTreeMap<NodeId, Node>,
    wires: BTreeMap<Link, VecDeque<Said>>,
    journal: Vec<String>,
    past: Vec<String>,
}

impl Group {
    /// Carries out one command; returns what happened.
    ///
    /// ```text
    /// nodes 3 [open=1] [waiting=1] [keys=1]        start a group, with limits
    /// propose n1 7 k v | read n1 8 k | release n1 k    a client asks, by a number; a key, a value
    /// deliver n1->n2 | drop n1->n2 | duplicate n1->n2  the first message of a wire
    /// sync n1 | run                                everything written is durable; everything, to quiescence
    /// retry n1 [1]                                 fire the timer of an attempt
    /// crash n1 | recover n1 | cut n1               lose what is not durable; drop all that is on its wires
    /// inject n2->n1 prepare k 5.2                  a message that need not have been sent; also promised,
    ///                                              accept k 5.2 v, accepted, refused k 5.2 6.3, decided k v
    /// wires                                        what is in flight
    /// expect n1 knows k v | expect n1 attempts 1 | expect n1 said … | expect n1 never said …
    /// ```
    pub(crate) fn direct(&mut self, command: &str) -> Result<Vec<String>> {
        let words: Vec<&str> = command.split_whitespace().collect();
        if let ["expect", node, rest @ ..] = words.as_slice() {
            return self.expect(node, rest).map(|()| Vec::new());
        }
        if words == ["wires"] {
            return Ok(self.in_flight());
        }
        self.carry_out(&words)?;
        self.check()?;
        self.past.extend(self.journal.iter().cloned());
        Ok(std::mem::take(&mut self.journal))
    }

    fn carry_out(&mut self, words: &[&str]) -> Result {
        match words {
            ["nodes", size, limits @ ..] => self.start(size, limits),
            ["propose", node, request, key, value] => {
                let command = Command::Propose {
                    request: number(request)?,
                    key: key.to_string(),
                    value: value.to_string(),
                };
                self.step(id(node)?, Event::Command(command))
            }
            ["read", node, request, key] => {
                let command = Command::Read {
                    request: number(request)?,
                    key: key.to_string(),
                };
                self.step(id(node)?, Event::Command(command))
            }
            ["release", node, below] => {
                let below = below.to_string();
                self.step(id(node)?, Event::Command(Command::Release { below }))
            }
            ["deliver", wire] => self.deliver(link(wire)?, false),
            ["duplicate", wire] => self.deliver(link(wire)?, true),
            ["drop", wire] => self.take(link(wire)?).map(drop),
            ["sync", node] => self.sync(id(node)?),
            ["run"] => self.run(),
            ["retry", node] => self.fire(id(node)?, 0),
            ["retry", node, slot] => self.fire(id(node)?, number(slot)? as u32),
            ["crash", node] => self.crash(id(node)?),
            ["recover", node] => self.recover(id(node)?),
            ["cut", node] => {
                let node = id(node)?;
                self.wires
                    .retain(|(from, to), _| *from != node && *to != node);
                Ok(())
            }
            ["inject", wire, message @ ..] => {
                let (from, to) = link(wire)?;
                let message = parse(message)?;
                self.journal
                    .push(format!("{to} <- {from} {message:?}, made up"));
                self.step(to, Event::Receive { from, message })
            }
            _ => Err("no such command".to_owned()),
        }
    }

    fn start(&mut self, size: &str, limits: &[&str]) -> Result {
        let ids: Vec<NodeId> = (1..=number(size)? as u32).map(NodeId).collect();
        for own in &ids {
            let mut config = Config::new(*own, ids.iter().copied());
            for limit in limits {
                match limit.split_once('=') {
                    Some(("open", limit)) => config.open_max = number(limit)? as u32,
                    Some(("waiting", limit)) => config.waiting_max = number(limit)? as usize,
                    Some(("keys", limit)) => config.keys_max = number(limit)? as usize,
                    _ => return Err(format!("{limit} is no limit")),
                }
            }
            config.validate().map_err(|error| error.to_string())?;
            let node = Node {
                config,
                disk: Durable::default(),
                machine: None,
                gate: Gate::new(),
                unsynced: VecDeque::new(),
                timers: BTreeSet::new(),
            };
            self.nodes.insert(*own, node);
            self.recover(*own)?;
        }
        self.journal.clear();
        Ok(())
    }

    fn node(&mut self, id: NodeId) -> Result<&mut Node> {
        self.nodes
            .get_mut(&id)
            .ok_or_else(|| format!("no node {id}"))
    }

    fn step(&mut self, id: NodeId, event: Event<Member>) -> Result {
        let node = self.node(id)?;
        let machine = node.machine.as_mut();
        let machine = machine.ok_or_else(|| format!("{id} is down"))?;
        let before = machine.clone();
        let mut fx = Effects::new();
        machine.step(&node.config, event, &mut fx);
        invariants::step(&before, machine)?;
        invariants::node(&node.config, machine)?;
        self.settle(id, fx)
    }

    fn settle(&mut self, id: NodeId, mut fx: Effects<Member>) -> Result {
        let node = self.node(id)?;
        for effect in fx.drain_timers() {
            match effect {
                TimerEffect::Arm(timer, _) => drop(node.timers.insert(timer)),
                TimerEffect::Disarm(timer) => drop(node.timers.remove(&timer)),
            }
        }
        let promised = fx.promises().count();
        let records: Vec<_> = node.gate.absorb(&mut fx).collect();
        let written = records.iter().map(|one| format!("{id} writes {one:?}"));
        let written: Vec<String> = written.collect();
        if !records.is_empty() {
            node.unsynced.push_back(records);
        }
        self.journal.extend(written);
        self.release(id)?;
        let waiting = self.node(id)?.gate.waiting();
        let earlier = waiting.len().saturating_sub(promised);
        let held = waiting.skip(earlier).map(|promise| match promise {
            Promise::Send { to, message } if *to == id => {
                format!("{id} holds {message:?} for itself")
            }
            Promise::Send { to, message } => format!("{id} holds {message:?} for {to}"),
            Promise::Output(output) => format!("{id} holds {output:?}"),
        });
        let held: Vec<String> = held.collect();
        self.journal.extend(held);
        Ok(())
    }

    /// Lets go what is due; what a node told itself is its next event.
    fn release(&mut self, id: NodeId) -> Result {
        while let Some(promise) = self.node(id)?.gate.release() {
            match promise {
                Promise::Send { to, message } if to == id => {
                    let from = id;
                    self.step(id, Event::Receive { from, message })?;
                }
                Promise::Send { to, message } => {
                    self.journal.push(format!("{id} -> {to} {message:?}"));
                    self.wires.entry((id, to)).or_default().push_back(message);
                }
                Promise::Output(output) => self.journal.push(format!("{id} says {output:?}")),
            }
        }
        Ok(())
    }

    fn take(&mut self, wire: Link) -> Result<Said> {
        let first = self.wires.get_mut(&wire).and_then(VecDeque::pop_front);
        first.ok_or_else(|| format!("nothing from {} to {}", wire.0, wire.1))
    }

    fn deliver(&mut self, (from, to): Link, stays: bool) -> Result {
        let message = self.take((from, to))?;
        if stays {
            let wire = self.wires.entry((from, to)).or_default();
            wire.push_front(message.clone());
        }
        if self.node(to)?.machine.is_none() {
            self.journal
                .push(format!("{to} is down and misses {message:?}"));
            return Ok(());
        }
        self.journal.push(format!("{to} <- {from} {message:?}"));
        self.step(to, Event::Receive { from, message })
    }

    /// Everything written becomes durable, step by step.
    fn sync(&mut self, id: NodeId) -> Result {
        while let Some(records) = self.node(id)?.unsynced.pop_front() {
            let node = self.node(id)?;
            for record in &records {
                Member::apply(&mut node.disk, record);
            }
            node.gate.synced(records.len() as u64);
            self.journal.push(format!("{id} has on disk what it wrote"));
            self.release(id)?;
        }
        Ok(())
    }

    fn run(&mut self) -> Result {
        for _ in 0..100 {
            let ids: Vec<NodeId> = self.nodes.keys().copied().collect();
            for id in ids {
                self.sync(id)?;
            }
            let mut busy = self.wires.iter().filter(|(_, wire)| !wire.is_empty());
            let Some((wire, _)) = busy.next() else {
                return Ok(());
            };
            let wire = *wire;
            self.deliver(wire, false)?;
        }
        Err("the group never falls silent".to_owned())
    }

    fn fire(&mut self, id: NodeId, slot: u32) -> Result {
        let timer = Timer::Retry(Slot(slot));
        if !self.node(id)?.timers.remove(&timer) {
            return Err(format!("{id} has not armed {timer:?}"));
        }
        self.step(id, Event::Timeout(timer))
    }

    fn crash(&mut self, id: NodeId) -> Result {
        let node = self.node(id)?;
        node.machine = None;
        node.gate = Gate::new();
        node.timers.clear();
        let lost = node.unsynced.drain(..).count();
        self.journal
            .push(format!("{id} crashes, {lost} writes lost"));
        Ok(())
    }

    fn recover(&mut self, id: NodeId) -> Result {
        let node = self.node(id)?;
        let mut fx = Effects::new();
        node.machine = Some(Member::start(&node.config, &node.disk, &mut fx));
        self.journal.push(format!("{id} starts"));
        self.settle(id, fx)
    }

    fn in_flight(&self) -> Vec<String> {
        let wires = self.wires.iter();
        let all = wires.flat_map(|((from, to), wire)| {
            wire.iter()
                .map(move |message| format!("{from} -> {to} {message:?}"))
        });
        let all: Vec<String> = all.collect();
        if all.is_empty() {
            return vec!["nothing".to_owned()];
        }
        all
    }

    /// Agreement, and that disks back what is on the wires.
    fn check(&self) -> Result {
        let machines = || self.nodes.values().filter_map(|node| node.machine.as_ref());
        let keys: BTreeSet<&String> = machines()
            .flat_map(|one| one.state().instances.keys())
            .collect();
        if !keys
            .into_iter()
            .all(|key| invariants::agreement(machines(), key))
        {
            return Err("agreement".to_owned());
        }
        for ((from, to), wire) in &self.wires {
            let disk = &self.nodes[from].disk;
            if let Some(message) = wire.iter().find(|one| !Member::backed(*to, one, disk)) {
                return Err(format!("the disk of {from} does not back {message:?}"));
            }
        }
        Ok(())
    }

    fn expect(&self, node: &str, words: &[&str]) -> Result {
        let said = |rest: &[&str]| {
            let line = format!("{node} says {}", rest.join(" "));
            self.past.contains(&line)
        };
        let machine = self
            .nodes
            .get(&id(node)?)
            .and_then(|node| node.machine.as_ref());
        let holds = match words {
            ["said", rest @ ..] => said(rest),
            ["never", "said", rest @ ..] => !said(rest),
            ["knows", key, value] => {
                let known = machine.and_then(|one| one.decided(&key.to_string()));
                known.is_some_and(|known| known == value)
            }
            ["knows", key] => machine.is_some_and(|one| one.decided(&key.to_string()).is_none()),
            ["attempts", count] => {
                let open = machine.map(|one| one.attempts().len() as u64);
                open == Some(number(count)?)
            }
            _ => return Err("no such expectation".to_owned()),
        };
        holds.then_some(()).ok_or_else(|| "it is not so".to_owned())
    }
}

fn number(word: &str) -> Result<u64> {
    word.parse().map_err(|_| format!("{word} is no number"))
}

fn id(word: &str) -> Result<NodeId> {
    let number = word.strip_prefix('n').and_then(|word| word.parse().ok());
    number
        .map(NodeId)
        .ok_or_else(|| format!("{word} is no node"))
}

fn link(word: &str) -> Result<Link> {
    let (from, to) = word
        .split_once("->")
        .ok_or_else(|| format!("{word} is no wire"))?;
    Ok((id(from)?, id(to)?))
}

fn ballot(word: &str) -> Result<Ballot> {
    let (round, node) = word
        .split_once('.')
        .ok_or_else(|| format!("{word} is no ballot"))?;
    Ok(Ballot {
        round: number(round)?,
        node: NodeId(number(node)? as u32),
    })
}

fn parse(words: &[&str]) -> Result<Said> {
    Ok(match *words {
        ["prepare", key, of] => Message::Prepare {
            key: key.to_owned(),
            ballot: ballot(of)?,
        },
        ["promised", key, of] => Message::Promised {
            key: key.to_owned(),
            ballot: ballot(of)?,
            accepted: None,
        },
        ["accept", key, of, value] => Message::Accept {
            key: key.to_owned(),
            ballot: ballot(of)?,
            value: value.to_owned(),
        },
        ["accepted", key, of] => Message::Accepted {
            key: key.to_owned(),
            ballot: ballot(of)?,
        },
        ["refused", key, of, higher] => Message::Refused {
            key: key.to_owned(),
            ballot: ballot(of)?,
            promised: ballot(higher)?,
        },
        ["decided", key, value] => Message::Decided {
            key: key.to_owned(),
            value: value.to_owned(),
        },
        _ => return Err("no such message".to_owned()),
    })
}
