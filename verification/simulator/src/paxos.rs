//! Paxos, simulated.
//!
//! Three or five nodes with limits and patience drawn from the seed make decisions for keys that grow: some clients
//! propose, some read, several ask about the same key at different nodes, and in some runs what is old is
//! released. Who is not answered asks again, elsewhere.
//!
//! The invariants are those of [`quorate_paxos::invariants`], which the model checker uses too. Clients see a
//! linearizable history if, and only if, every answer about a key names the same value, one that was proposed
//! before, and nobody is told *undecided* who asked after anybody was told a value: a decision is written once.

mod client;

use crate::subject::{Happened, Subject, View, Violation, Wake};
use crate::{Random, Time};
use client::Client;
use quorate_machine::{NodeId, majority};
use quorate_paxos::{Ballot, Config, Durable, Instance, Output, Paxos, invariants};
use std::collections::{BTreeMap, BTreeSet};

/// Keys and values are numbers; every proposal has a value of its own.
type Member = Paxos<u64, u64>;

const AGREEMENT: &str = "agreement";
const PROPOSED: &str = "what is decided was proposed";
const LINEARIZABLE: &str = "clients see a linearizable history";
const DURABLE: &str = "what is decided is on a majority of disks";
const BALLOT: &str = "a ballot proposes one value";
const MEMORY: &str = "memory and disk agree once synced";

/// How a Paxos is broken on purpose, to see that it is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Canary {
    /// Not at all.
    #[default]
    None,
    /// A node forgets at a restart what it has promised and accepted.
    Amnesia,
}

/// What anybody has asked for and was told.
#[derive(Debug, Default)]
struct History {
    /// Numbers for requests and values are above it.
    tokens: u64,
    /// For each key what was proposed.
    proposed: BTreeMap<u64, BTreeSet<u64>>,
    /// For each key what anybody was told.
    decided: BTreeMap<u64, u64>,
    /// The lowest key that is kept anywhere.
    released: u64,
}

impl History {
    fn token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    /// Somebody is told that `value` is decided.
    fn decide(&mut self, key: u64, value: u64) -> Result<(), Violation> {
        let proposed = self.proposed.get(&key);
        let proposed = proposed.is_some_and(|values| values.contains(&value));
        Violation::unless(proposed, PROPOSED, || format!("{value} for {key}"))?;
        let first = *self.decided.entry(key).or_insert(value);
        Violation::unless(first == value, AGREEMENT, || {
            format!("{first} and {value} for {key}")
        })
    }
}

/// A group in one run.
pub struct PaxosGroup {
    ids: Vec<NodeId>,
    configs: Vec<Config>,
    canary: Canary,
    clients: Vec<Client>,
    history: History,
    /// Each node as it was when it last changed.
    before: Vec<Option<Member>>,
    /// What was ever accepted under a ballot, by any disk.
    accepted: BTreeMap<(u64, Ballot), u64>,
}

impl PaxosGroup {
    /// A group whose size and configuration are drawn.
    pub fn drawn(random: &mut Random, canary: Canary) -> Self {
        let nodes = if random.percent(60) { 3 } else { 5 };
        let ids: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
        let patience = random.within(5..=40) as u32;
        let backoff = random.within(1..=20) as u32;
        let model = Config {
            retry_ticks: patience..=2 * patience,
            backoff_ticks: 1..=backoff + 1,
            doublings_max: random.within(0..=6) as u8,
            open_max: random.pick(&[1, 4, 1024]).unwrap_or(4),
            waiting_max: random.pick(&[1, 4, 1024]).unwrap_or(4),
            ..Config::new(ids[0], ids.iter().copied())
        };
        let clients = random.within(2..=8);
        let think = Time::millis(random.within(20..=200) * clients);
        let releases = random.percent(30);
        PaxosGroup {
            configs: ids
                .iter()
                .map(|id| Config {
                    id: *id,
                    ..model.clone()
                })
                .collect(),
            before: vec![None; ids.len()],
            clients: (0..clients).map(|_| Client::new(think, releases)).collect(),
            history: History::default(),
            ids,
            canary,
            accepted: BTreeMap::new(),
        }
    }

    /// A majority of disks has everything that anybody was told and that is kept everywhere.
    fn durable(&self, view: View<'_, Member>) -> Result<(), Violation> {
        let disks: Vec<&Durable<u64, u64>> = view.disks().collect();
        let kept = self.history.decided.range(self.history.released..);
        for (key, value) in kept {
            let chosen = invariants::is_chosen(&disks, key, value);
            Violation::unless(chosen, DURABLE, || format!("{value} for {key}"))?;
        }
        Ok(())
    }

    /// What a disk has accepted is the only value of its ballot, for ever.
    fn voted(&mut self, disk: &Durable<u64, u64>) -> Result<(), Violation> {
        for (key, instance) in &disk.instances {
            let acceptor = instance.acceptor();
            let Some(vote) = acceptor.and_then(|acceptor| acceptor.accepted.as_ref()) else {
                continue;
            };
            let known = self.accepted.entry((*key, vote.ballot));
            let first = *known.or_insert(vote.value);
            Violation::unless(first == vote.value, BALLOT, || {
                format!("{first} and {} under {} for {key}", vote.value, vote.ballot)
            })?;
        }
        Ok(())
    }
}

impl Subject for PaxosGroup {
    type Machine = Member;

    fn nodes(&self) -> &[NodeId] {
        &self.ids
    }

    fn config(&self, node: usize) -> &Config {
        &self.configs[node]
    }

    fn clients(&self) -> usize {
        self.clients.len()
    }

    fn wake(&mut self, client: usize, now: Time, random: &mut Random) -> Wake<Member> {
        let reach = self.ids.len();
        self.clients[client].wake(now, reach, &mut self.history, random)
    }

    fn told(&mut self, _: usize, _: Time, output: &Output<u64, u64>) -> Result<(), Violation> {
        if let Output::Learned { key, value } = output {
            return self.history.decide(*key, *value);
        }
        for client in &mut self.clients {
            client.told(output, &mut self.history)?;
        }
        Ok(())
    }

    fn check(
        &mut self,
        view: View<'_, Member>,
        node: usize,
        what: Happened,
    ) -> Result<(), Violation> {
        let who = self.ids[node];
        if what == Happened::Crashed {
            self.before[node] = None;
            return self.durable(view);
        }
        let Some(paxos) = view.machine(node) else {
            return Ok(());
        };
        let named = |reason: &str| Violation::new(reason, who.to_string());
        invariants::node(&self.configs[node], paxos).map_err(named)?;
        if what == Happened::Synced
            && let Some(disk) = view.durable(node)
        {
            self.durable(view)?;
            self.voted(disk)?;
            let agree = view.unsynced(node).next().is_some() || paxos.state() == disk;
            Violation::unless(agree, MEMORY, || who.to_string())?;
        }
        if self.before[node].as_ref() != Some(paxos) {
            if let Some(before) = &self.before[node] {
                invariants::step(before, paxos).map_err(named)?;
            }
            self.before[node] = Some(paxos.clone());
        }
        Ok(())
    }

    fn core(&self, random: &mut Random) -> Vec<usize> {
        let mut nodes: Vec<usize> = (0..self.ids.len()).collect();
        random.shuffle(&mut nodes);
        if random.percent(50) {
            nodes.truncate(majority(self.ids.len()));
        }
        nodes
    }

    fn calm(&mut self, now: Time) {
        for client in &mut self.clients {
            client.calm(now);
        }
    }

    /// An attempt waits for a second at most to ask again, some fifteen when it was set back often, and a
    /// client gives a node up after two.
    fn patience(&self) -> Time {
        Time::seconds(120)
    }

    fn settled(&self, view: View<'_, Member>) -> Result<(), String> {
        if let Some(client) = self.clients.iter().find(|client| !client.is_done()) {
            return Err(format!("not done: {client:?}"));
        }
        let mut machines = view.machines();
        match machines.find(|(_, paxos)| !paxos.attempts().is_empty()) {
            Some((node, paxos)) => {
                let keys: Vec<_> = paxos.attempts().keys().collect();
                Err(format!("{} still attempts {keys:?}", self.ids[node]))
            }
            None => Ok(()),
        }
    }

    fn coverage(&self) -> Vec<(&'static str, u64)> {
        let sum = |of: fn(&Client) -> u64| self.clients.iter().map(of).sum();
        vec![
            ("decisions", self.history.decided.len() as u64),
            ("proposals answered", sum(|client| client.proposals)),
            ("another's value decided", sum(|client| client.beaten)),
            ("reads of a decision", sum(|client| client.reads)),
            ("reads of nothing", sum(|client| client.undecided)),
            ("requests repeated", sum(|client| client.repeats)),
            ("keys released", self.history.released),
        ]
    }

    fn recovered(&self, mut durable: Durable<u64, u64>) -> Durable<u64, u64> {
        if self.canary == Canary::Amnesia {
            let known = |_: &u64, instance: &mut Instance<u64>| instance.decided().is_some();
            durable.instances.retain(known);
        }
        durable
    }
}
