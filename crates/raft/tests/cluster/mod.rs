//! A group of nodes on the table: machines, gates, disks and the wires between them, moved by hand.
//!
//! Nothing happens by itself: a message arrives when [`Cluster::deliver`] says so, a write becomes
//! durable with [`Cluster::sync`], a timer fires with [`Cluster::fire`]. Effects take the same way as in
//! production, through the gate. After every step all properties are evaluated, those of
//! [`quorate_raft::invariants`] and those of the [`ghost`]: the history as an observer outside saw it.

mod ghost;
mod node;
mod register;
pub(crate) mod render;

pub(crate) use node::Node;
pub(crate) use register::{Op, Register};

use ghost::Ghost;
use quorate_machine::{Effects, Event, Machine, NodeId, Promise};
use quorate_raft::{Command, Config, Durable, Message, Output, Raft, Timer, invariants};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The machine under test.
pub(crate) type Member = Raft<Register>;

/// A violated property, or a request that makes no sense, in words.
pub(crate) type Result<T = ()> = std::result::Result<T, String>;

/// From whom, to whom.
pub(crate) type Link = (NodeId, NodeId);

/// What [`Cluster::run`] did.
pub(crate) struct Ran {
    /// How often all that was on the wires was delivered.
    pub(crate) rounds: usize,
    /// How many messages that were.
    pub(crate) messages: usize,
}

/// A group of nodes.
pub(crate) struct Cluster {
    nodes: BTreeMap<NodeId, Node>,
    wires: BTreeMap<Link, VecDeque<Message<Op>>>,
    /// Who can talk to whom: nodes of one side; empty if all can.
    sides: Vec<BTreeSet<NodeId>>,
    ghost: Ghost,
    fx: Effects<Member>,
    journal: Vec<String>,
}

impl Cluster {
    /// Starts nodes `1..=size`; `adjust` may change the configuration, alike on all.
    pub(crate) fn new(size: u32, adjust: impl Fn(&mut Config<Register>)) -> Result<Self> {
        let members: Vec<NodeId> = (1..=size).map(NodeId).collect();
        let mut cluster = Cluster {
            nodes: BTreeMap::new(),
            wires: BTreeMap::new(),
            sides: Vec::new(),
            ghost: Ghost::new(),
            fx: Effects::new(),
            journal: Vec::new(),
        };
        for id in &members {
            let mut config = Config::new(*id, members.iter().copied(), Register::default());
            adjust(&mut config);
            config.validate().map_err(|error| error.to_string())?;
            cluster.nodes.insert(*id, Node::new(config));
            cluster.recover(*id)?;
        }
        cluster.journal.clear();
        Ok(cluster)
    }

    /// All nodes, up or not.
    pub(crate) fn nodes(&self) -> &BTreeMap<NodeId, Node> {
        &self.nodes
    }

    /// The node `id`, if it is up.
    pub(crate) fn raft(&self, id: NodeId) -> Result<&Member> {
        let node = self.nodes.get(&id).and_then(Node::raft);
        node.ok_or_else(|| format!("{id} is down"))
    }

    /// What is on its way, by link.
    pub(crate) fn wires(&self) -> &BTreeMap<Link, VecDeque<Message<Op>>> {
        &self.wires
    }

    /// What has happened since the journal was last taken.
    pub(crate) fn journal(&self) -> &[String] {
        &self.journal
    }

    /// Takes what has happened since it was last taken.
    pub(crate) fn take_journal(&mut self) -> Vec<String> {
        std::mem::take(&mut self.journal)
    }

    /// A client asks.
    pub(crate) fn command(&mut self, id: NodeId, command: Command<Register>) -> Result {
        if let Command::Read { id, .. } = command {
            self.ghost.asked(id);
        }
        self.step(id, Event::Command(command))
    }

    /// Fires `timer` if it is armed; whether it was.
    pub(crate) fn fire(&mut self, id: NodeId, timer: Timer) -> Result<bool> {
        let armed = self.node(id)?.disarm(timer);
        if armed {
            self.step(id, Event::Timeout(timer))?;
        }
        Ok(armed)
    }

    /// Delivers the `nth` message of a link; if `keep`, it stays to be delivered again.
    pub(crate) fn deliver(&mut self, link: Link, nth: usize, keep: bool) -> Result {
        let message = self.take(link, nth, keep)?;
        self.receive(link, message)
    }

    /// Hands over a message that need not have been sent.
    pub(crate) fn receive(&mut self, (from, to): Link, message: Message<Op>) -> Result {
        if self.raft(to).is_err() {
            self.journal
                .push(format!("{to} is down and misses {message:?}"));
            return Ok(());
        }
        self.journal.push(format!("{to} <- {from} {message:?}"));
        self.step(to, Event::Receive { from, message })
    }

    /// Loses the `nth` message of a link.
    pub(crate) fn lose(&mut self, link: Link, nth: usize) -> Result {
        let message = self.take(link, nth, false)?;
        let (from, to) = link;
        self.journal.push(format!("{from} -x {to} {message:?}"));
        Ok(())
    }

    fn take(&mut self, link: Link, nth: usize, keep: bool) -> Result<Message<Op>> {
        let wire = self.wires.entry(link).or_default();
        let message = if keep {
            wire.get(nth).cloned()
        } else {
            wire.remove(nth)
        };
        message.ok_or_else(|| format!("no such message from {} to {}", link.0, link.1))
    }

    /// Makes the oldest `steps` outstanding writes durable, each of one step.
    pub(crate) fn sync(&mut self, id: NodeId, steps: usize) -> Result {
        for _ in 0..steps {
            let Some(records) = self.node(id)?.sync_one() else {
                break;
            };
            let records: Vec<String> = records.iter().map(render::record).collect();
            self.journal
                .push(format!("{id} has on disk {}", records.join(", ")));
            self.release(id, 0)?;
            self.answer_self(id)?;
            self.check()?;
        }
        Ok(())
    }

    /// The node dies. Of what it wrote and nobody was told of, the oldest `survive` are on disk.
    pub(crate) fn crash(&mut self, id: NodeId, survive: usize) -> Result {
        let lost = self.node(id)?.crash(survive);
        self.journal
            .push(format!("{id} crashes, {lost} writes lost"));
        self.check()
    }

    /// The node starts from its disk.
    pub(crate) fn recover(&mut self, id: NodeId) -> Result {
        let Some(node) = self.nodes.get_mut(&id) else {
            return Err(format!("no node {id}"));
        };
        node.start(&mut self.fx);
        let durable = node.durable();
        let (term, terms) = (durable.term, render::terms(durable.log.entries()));
        let vote = durable
            .vote
            .map_or(String::new(), |vote| format!(", voted {vote}"));
        self.journal
            .push(format!("{id} starts in {term}{vote}, log {terms}"));
        self.absorb(id)?;
        self.check()
    }

    /// Gives a node a past.
    pub(crate) fn restart_from(&mut self, id: NodeId, durable: Durable<Op>) -> Result {
        self.node(id)?.replace_disk(durable);
        self.recover(id)
    }

    /// Cuts the wires between the sides; what was on them is lost.
    pub(crate) fn partition(&mut self, sides: Vec<BTreeSet<NodeId>>) {
        self.sides = sides;
        let cut: Vec<Link> = self
            .wires
            .keys()
            .copied()
            .filter(|link| self.cut(*link))
            .collect();
        for link in cut {
            self.wires.remove(&link);
        }
    }

    fn cut(&self, (from, to): Link) -> bool {
        let side = |id| self.sides.iter().position(|side| side.contains(&id));
        !self.sides.is_empty() && side(from) != side(to)
    }

    /// Everything is synced and delivered, in rounds, until nothing is left to do.
    ///
    /// A round first syncs every disk (if `disks`), then delivers what is then on the wires.
    pub(crate) fn run(&mut self, disks: bool) -> Result<Ran> {
        let (mut rounds, mut messages) = (0, 0);
        // Far beyond what any scenario needs: a group that keeps talking without timers is broken.
        while rounds < 1000 {
            if disks {
                let ids: Vec<NodeId> = self.nodes.keys().copied().collect();
                for id in ids {
                    self.sync(id, usize::MAX)?;
                }
            }
            let lengths: Vec<(Link, usize)> = self
                .wires
                .iter()
                .map(|(link, wire)| (*link, wire.len()))
                .collect();
            let due: usize = lengths.iter().map(|(_, length)| length).sum();
            if due == 0 {
                return Ok(Ran { rounds, messages });
            }
            for (link, length) in lengths {
                for _ in 0..length {
                    self.deliver(link, 0, false)?;
                }
            }
            rounds += 1;
            messages += due;
        }
        Err("the group never falls silent".into())
    }

    fn node(&mut self, id: NodeId) -> Result<&mut Node> {
        let node = self.nodes.get_mut(&id);
        node.ok_or_else(|| format!("no node {id}"))
    }

    fn step(&mut self, id: NodeId, event: Event<Member>) -> Result {
        self.step_once(id, event)?;
        self.answer_self(id)?;
        self.check()
    }

    fn step_once(&mut self, id: NodeId, event: Event<Member>) -> Result {
        let before = self.raft(id)?.clone();
        let Some(node) = self.nodes.get_mut(&id) else {
            return Err(format!("no node {id}"));
        };
        let after = node.step(event, &mut self.fx)?;
        invariants::step(&before, after).and_then(|()| invariants::node(after))?;
        for promise in self.fx.promises() {
            if let Promise::Output(Output::Answered { id, .. }) = promise {
                self.ghost.answered(*id, after)?;
            }
        }
        self.absorb(id)
    }

    /// Messages of a node to itself are its next events.
    fn answer_self(&mut self, id: NodeId) -> Result {
        while let Some(message) = self.node(id)?.next_for_self() {
            self.step_once(id, Event::Receive { from: id, message })?;
        }
        Ok(())
    }

    /// Takes the effects of a step the way that the production driver does.
    fn absorb(&mut self, id: NodeId) -> Result {
        let promised = self.fx.promises().count();
        let Some(node) = self.nodes.get_mut(&id) else {
            return Err(format!("no node {id}"));
        };
        for record in node.absorb(&mut self.fx) {
            self.journal
                .push(format!("{id} writes {}", render::record(record)));
        }
        let immediate: Vec<_> = self.fx.drain_immediate().collect();
        for immediate in immediate {
            self.let_go(id, immediate)?;
        }
        self.release(id, promised)
    }

    /// Lets go what is due; of the `promised` latest, tells which are held.
    fn release(&mut self, id: NodeId, promised: usize) -> Result {
        while let Some(promise) = self.node(id)?.release() {
            self.let_go(id, promise)?;
        }
        let held: Vec<String> = self.node(id)?.held(promised);
        let held = held.iter().map(|promise| format!("{id} holds {promise}"));
        self.journal.extend(held);
        Ok(())
    }

    fn let_go(&mut self, id: NodeId, promise: Promise<Member>) -> Result {
        match promise {
            Promise::Send { to, message } if to == id => self.node(id)?.keep_for_self(message),
            Promise::Send { to, message } => self.send(id, to, message),
            Promise::Output(_) => {
                let line = format!("{id} {}", render::promise(id, &promise));
                self.journal.push(line);
            }
        }
        Ok(())
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: Message<Op>) {
        if self.cut((from, to)) {
            self.journal.push(format!("{from} -x {to} {message:?}"));
        } else {
            self.journal.push(format!("{from} -> {to} {message:?}"));
            self.wires.entry((from, to)).or_default().push_back(message);
        }
    }

    fn check(&mut self) -> Result {
        for (id, node) in &self.nodes {
            if let Some(raft) = node.raft() {
                self.ghost.observe(*id, raft)?;
            }
        }
        self.ghost.check(&self.nodes)?;
        for ((from, to), wire) in &self.wires {
            let disk = self.nodes.get(from).map(Node::durable);
            let unbacked = disk.and_then(|disk| {
                let mut messages = wire.iter();
                messages.find(|message| !Member::backed(*to, message, disk))
            });
            if let Some(message) = unbacked {
                return Err(format!(
                    "the disk of {from} does not back {message:?} to {to}"
                ));
            }
        }
        Ok(())
    }
}
