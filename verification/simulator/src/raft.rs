//! Raft, simulated.
//!
//! Three or five nodes with a configuration drawn from the seed: with and without pre-vote and
//! check-quorum, large and tiny batches and windows, patient and hasty elections. They replicate a
//! [`Ledger`], whose every answer tells the whole history before it, to clients that open sessions, write,
//! read, ask the wrong node, lose answers and ask again.
//!
//! The invariants are those of [`quorate_raft::invariants`], which the model checker uses too. What
//! compares whole logs is evaluated when a step has changed a log, a commit index, a term, a vote or a
//! role: nothing else can make it fail.

mod clients;
mod history;

use crate::subject::{Happened, Subject, View, Violation, Wake};
use crate::{Random, Time};
use clients::Client;
use history::History;
use quorate_machine::{NodeId, majority};
use quorate_raft::{
    Config, Durable, Index, Output, Position, Raft, Refusal, Replicated, StateMachine, Term,
    invariants,
};
use std::collections::BTreeMap;

/// The replicated object: every write is chained to all before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    version: u64,
    chain: u64,
}

/// What a ledger answers: how many writes there have been, and a digest of all of them in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entries {
    version: u64,
    chain: u64,
}

/// The digest of a chain that goes on with `token`.
fn chained(chain: u64, token: u64) -> u64 {
    // SplitMix64's finalizer: unlike a sum, it tells orders apart.
    let mut mixed = chain.rotate_left(17) ^ token.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

impl StateMachine for Ledger {
    type Command = u64;
    type Query = ();
    type Response = Entries;

    fn apply(&mut self, _: Index, token: &u64) -> Entries {
        self.version += 1;
        self.chain = chained(self.chain, *token);
        self.query(&())
    }

    fn query(&self, (): &()) -> Entries {
        Entries {
            version: self.version,
            chain: self.chain,
        }
    }
}

/// How a Raft is broken on purpose, to see that it is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Canary {
    /// Not at all.
    #[default]
    None,
    /// A node forgets at a restart for whom it has voted.
    Amnesia,
    /// Disks say that they have what they do not have yet.
    LyingDisks,
}

/// The names of the properties that compare nodes.
const ELECTION: &str = "election safety: one leader per term";
const MATCHING: &str = "log matching";
const STATE_MACHINE: &str = "state-machine safety";
const COMPLETENESS: &str = "leader completeness";
const DURABLE: &str = "what is committed is on a majority of disks";
const VOTE: &str = "a vote stands for its term, across crashes";
const MEMORY: &str = "memory and disk agree once synced";

/// A group in one run.
pub struct RaftGroup {
    ids: Vec<NodeId>,
    configs: Vec<Config<Ledger>>,
    canary: Canary,
    clients: Vec<Client>,
    history: History,
    /// Each node as it was when it last changed.
    before: Vec<Option<Raft<Ledger>>>,
    leaders: BTreeMap<Term, NodeId>,
    votes: BTreeMap<(usize, Term), NodeId>,
    /// Everything that was ever known to be committed, and the term in which it was.
    committed: Vec<Position>,
    committed_in: Vec<Term>,
}

impl RaftGroup {
    /// A group whose size and configuration are drawn.
    pub fn drawn(random: &mut Random, canary: Canary) -> Self {
        let nodes = if random.percent(60) { 3 } else { 5 };
        let ids: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
        let clients = random.within(2..=6) as usize;
        let patience = random.within(10..=40) as u32;
        let spread = random.within(5..=40) as u32;
        let model = Config {
            election_ticks: patience..=patience + spread,
            heartbeat_ticks: random.within(1..=u64::from(patience / 3)) as u32,
            pre_vote: random.percent(60),
            check_quorum: random.percent(60),
            batch_entries: random.pick(&[1, 2, 8, 1024]).unwrap_or(1),
            window_entries: random.pick(&[1, 4, 1024]).unwrap_or(1),
            max_waiting: random.pick(&[2, 16, 1024]).unwrap_or(2),
            max_sessions: random
                .pick(&[clients as u32, clients as u32 + 1, 1024])
                .unwrap_or(1024),
            ..Config::new(ids[0], ids.iter().copied(), Ledger::default())
        };
        let configs = ids.iter().map(|id| Config {
            id: *id,
            genesis: Replicated::new(Ledger::default()),
            ..model.clone()
        });
        // Logs are compared as a whole, so that runs are many rather than long: some 200 operations each.
        let think = Time::millis(random.within(20..=200) * clients as u64);
        RaftGroup {
            configs: configs.collect(),
            before: vec![None; ids.len()],
            clients: (0..clients)
                .map(|number| Client::new(number, think))
                .collect(),
            history: History::default(),
            ids,
            canary,
            leaders: BTreeMap::new(),
            votes: BTreeMap::new(),
            committed: Vec::new(),
            committed_in: Vec::new(),
        }
    }

    /// What can only fail if a node has changed.
    fn changed(&mut self, view: View<'_, Raft<Ledger>>, node: usize) -> Result<(), Violation> {
        let Some(raft) = view.machine(node) else {
            return Ok(());
        };
        let who = self.ids[node];
        let name = |reason: &str| Violation::new(reason, format!("{who} in {}", raft.term()));
        if let Some(before) = &self.before[node] {
            invariants::step(before, raft).map_err(name)?;
        }
        let newly = raft.is_leader() && !self.before[node].as_ref().is_some_and(Raft::is_leader);
        if newly {
            let term = raft.term();
            let first = *self.leaders.entry(term).or_insert(who);
            Violation::unless(first == who, ELECTION, || {
                format!("{first} and {who} in {term}")
            })?;
        }
        for (other, peer) in view.machines().filter(|(other, _)| *other != node) {
            let other = self.ids[other];
            let both = || format!("{who} and {other}");
            let matching = invariants::log_matching(raft.log(), peer.log());
            Violation::unless(matching, MATCHING, both)?;
            let same = invariants::state_machine_safety(raft, peer);
            Violation::unless(same, STATE_MACHINE, both)?;
        }
        let grows = self.learn(raft);
        if grows {
            self.durable(view)?;
        }
        let earlier = self
            .committed_in
            .partition_point(|term| *term < raft.term());
        let complete = invariants::leader_completeness(raft, &self.committed[..earlier]);
        Violation::unless(complete, COMPLETENESS, || {
            format!("{who} in {}", raft.term())
        })?;
        self.before[node] = Some(raft.clone());
        Ok(())
    }

    /// Remembers what has become committed; whether anything has.
    fn learn(&mut self, raft: &Raft<Ledger>) -> bool {
        let known = self.committed.len() as u64;
        for index in known + 1..=raft.commit().0 {
            self.committed.push(raft.log().position(Index(index)));
            self.committed_in.push(raft.term());
        }
        raft.commit().0 > known
    }

    fn durable(&self, view: View<'_, Raft<Ledger>>) -> Result<(), Violation> {
        let disks: Vec<_> = view.disks().map(|disk| &disk.log).collect();
        let there = invariants::committed_is_durable(&self.committed, &disks);
        Violation::unless(there, DURABLE, || {
            format!("up to {:?}", self.committed.last())
        })
    }

    /// What a disk says of a vote stands for its term, whatever crashed since.
    fn voted(&mut self, view: View<'_, Raft<Ledger>>, node: usize) -> Result<(), Violation> {
        let Some((disk, vote)) = view.durable(node).and_then(|disk| Some((disk, disk.vote?)))
        else {
            return Ok(());
        };
        let first = *self.votes.entry((node, disk.term)).or_insert(vote);
        Violation::unless(first == vote, VOTE, || {
            let who = self.ids[node];
            format!("{who} for {first} and {vote} in {}", disk.term)
        })
    }

    /// Whether something changed that the comparisons read.
    fn is_news(&self, node: usize, raft: &Raft<Ledger>) -> bool {
        let told = |raft: &Raft<Ledger>| {
            let end = (raft.log().last(), raft.commit());
            (raft.term(), raft.vote(), raft.is_leader(), end)
        };
        let before = self.before[node].as_ref();
        before.is_none_or(|before| told(before) != told(raft))
    }
}

impl Subject for RaftGroup {
    type Machine = Raft<Ledger>;

    fn nodes(&self) -> &[NodeId] {
        &self.ids
    }

    fn config(&self, node: usize) -> &Config<Ledger> {
        &self.configs[node]
    }

    fn clients(&self) -> usize {
        self.clients.len()
    }

    fn wake(&mut self, client: usize, now: Time, random: &mut Random) -> Wake<Raft<Ledger>> {
        let reach = self.ids.len();
        self.clients[client].wake(now, reach, &mut self.history, random)
    }

    fn told(&mut self, node: usize, _: Time, output: &Output<Ledger>) -> Result<(), Violation> {
        self.history.told(output)?;
        if let Output::Refused { request, refusal } = output {
            let hint = match refusal {
                Refusal::NotLeader { leader: Some(id) } => {
                    self.ids.iter().position(|other| other == id)
                }
                Refusal::NotLeader { leader: None } | Refusal::Busy => None,
            };
            for client in &mut self.clients {
                client.refused(node, *request, hint);
            }
            return Ok(());
        }
        for client in &mut self.clients {
            client.told(output, &mut self.history)?;
        }
        Ok(())
    }

    fn check(
        &mut self,
        view: View<'_, Raft<Ledger>>,
        node: usize,
        what: Happened,
    ) -> Result<(), Violation> {
        let who = self.ids[node];
        if what == Happened::Crashed {
            self.before[node] = None;
            return self.durable(view);
        }
        let Some(raft) = view.machine(node) else {
            return Ok(());
        };
        let own = invariants::node(raft);
        own.map_err(|reason| Violation::new(reason, who.to_string()))?;
        let safe = invariants::election_safety(view.machines().map(|(_, raft)| raft));
        Violation::unless(safe, ELECTION, || who.to_string())?;
        if what == Happened::Synced {
            self.durable(view)?;
            self.voted(view, node)?;
            let disk = view.durable(node);
            let agree = disk.is_none_or(|disk| believes(raft, disk));
            let agree = view.unsynced(node).next().is_some() || agree;
            Violation::unless(agree, MEMORY, || who.to_string())?;
        }
        if self.is_news(node, raft) {
            self.changed(view, node)?;
        }
        Ok(())
    }

    fn core(&self, random: &mut Random) -> Vec<usize> {
        let mut nodes: Vec<usize> = (0..self.ids.len()).collect();
        random.shuffle(&mut nodes);
        let enough = majority(nodes.len());
        nodes.truncate(if random.percent(50) {
            enough
        } else {
            self.ids.len()
        });
        nodes
    }

    fn calm(&mut self, now: Time) {
        for client in &mut self.clients {
            client.calm(now);
        }
    }

    /// A term lasts two election timeouts at most, an election is decided after a few of them, and a
    /// client gives a node up after two seconds.
    fn patience(&self) -> Time {
        Time::seconds(60)
    }

    fn settled(&self, view: View<'_, Raft<Ledger>>) -> Result<(), String> {
        if let Some(client) = self.clients.iter().find(|client| !client.is_done()) {
            return Err(format!("not done: {client:?}"));
        }
        let mut machines = view.machines();
        let Some((first, one)) = machines.next() else {
            return Err("nobody is up".to_owned());
        };
        for (other, raft) in machines {
            let same = one.commit() == raft.commit()
                && one.log() == raft.log()
                && one.replicated() == raft.replicated();
            if !same {
                let (first, other) = (self.ids[first], self.ids[other]);
                return Err(format!("{first} and {other} differ"));
            }
        }
        if one.commit() != one.log().last().index {
            return Err(format!("committed up to {} only", one.commit()));
        }
        Ok(())
    }

    fn coverage(&self) -> Vec<(&'static str, u64)> {
        let sum = |of: fn(&Client) -> u64| self.clients.iter().map(of).sum();
        vec![
            ("terms with a leader", self.leaders.len() as u64),
            ("committed entries", self.committed.len() as u64),
            ("writes answered", sum(|client| client.writes)),
            ("reads answered", sum(|client| client.reads)),
            ("requests repeated", sum(|client| client.repeats)),
            ("sessions expired", sum(|client| client.expired)),
        ]
    }

    fn recovered(&self, mut durable: Durable<u64>) -> Durable<u64> {
        if self.canary == Canary::Amnesia {
            durable.vote = None;
        }
        durable
    }

    fn disks_lie(&self) -> bool {
        self.canary == Canary::LyingDisks
    }
}

/// Whether a restart would find what `raft` believes.
fn believes(raft: &Raft<Ledger>, disk: &Durable<u64>) -> bool {
    raft.term() == disk.term && raft.vote() == disk.vote && *raft.log() == disk.log
}
