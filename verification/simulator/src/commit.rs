//! Two-phase commit, simulated.
//!
//! Two to five nodes, each a coordinator, a participant and a member of the consensus, with a resource beside it that
//! votes for or against after any time, and says again what it is in doubt about. Callers begin transactions of any
//! participants, blocking and not, several at a time; they repeat requests and ask what has become of them.
//!
//! What resources and callers were told is held against every vote that was given by
//! [`quorate_commit::invariants::Witness`], which forgets nothing; the rest are the invariants that the model checks.

use crate::subject::{Happened, Subject, View, Violation, Wake};
use crate::{Random, Time};
use quorate_commit::invariants::{self, Witness};
use quorate_commit::{
    Command, Commit, Config, Decision, Durable, Mode, Outcome, Output, Phase, RequestId, TxnId,
    Vote,
};
use quorate_machine::NodeId;
use std::collections::BTreeMap;

type Node = Commit<u64>;

/// How two-phase commit is broken on purpose, to see that it is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Canary {
    /// Not at all.
    #[default]
    None,
    /// A coordinator forgets at a restart what it has committed.
    Amnesia,
}

/// Nodes, resources and callers in one run.
pub struct CommitGroup {
    ids: Vec<NodeId>,
    configs: Vec<Config>,
    canary: Canary,
    callers: Vec<Caller>,
    /// What each resource has heard and said, by transaction.
    resources: Vec<BTreeMap<TxnId, Resource>>,
    /// Of every request, who takes part.
    requests: Vec<Vec<NodeId>>,
    transactions: BTreeMap<TxnId, RequestId>,
    witness: Witness,
    before: Vec<Option<Node>>,
    left: u64,
    against: u64,
    think: Time,
    calm: bool,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    committed: u64,
    aborted: u64,
    unknown: u64,
    uncertain: u64,
    agreed: u64,
    unheard: u64,
}

#[derive(Clone, Debug, Default)]
struct Caller {
    pending: Option<Pending>,
}

#[derive(Clone, Debug)]
struct Pending {
    request: RequestId,
    coordinator: usize,
    txn: Option<TxnId>,
    again_at: Time,
    questions: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct Resource {
    voted: Option<Vote>,
    told: Option<Decision>,
    owes: bool,
}

impl CommitGroup {
    /// A group whose size, patience and callers are drawn.
    pub fn drawn(random: &mut Random, canary: Canary) -> Self {
        let nodes = random.within(2..=5) as u32;
        let ids: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
        let votes = random.within(5..=100) as u32;
        let patience = votes * random.within(1..=3) as u32;
        let repeat = random.within(3..=80) as u32;
        let remembered = random.pick(&[0, 1, 8, 1024]).unwrap_or(8);
        let max_coordinated = random.pick(&[1, 3, 1024]).unwrap_or(3);
        let config = |id: &NodeId| Config {
            vote_ticks: votes..=votes + votes / 2,
            patience_ticks: patience..=patience + votes,
            repeat_ticks: repeat..=2 * repeat,
            remembered,
            max_coordinated,
            ..Config::new(*id, ids.iter().copied())
        };
        CommitGroup {
            configs: ids.iter().map(config).collect(),
            callers: vec![Caller::default(); random.within(1..=4) as usize],
            resources: vec![BTreeMap::new(); ids.len()],
            before: vec![None; ids.len()],
            ids,
            canary,
            requests: Vec::new(),
            transactions: BTreeMap::new(),
            witness: Witness::new(),
            left: random.within(5..=60),
            against: random.within(0..=20),
            think: Time::millis(random.within(10..=300)),
            calm: false,
            counts: Counts::default(),
        }
    }

    /// What a caller does next: begin, repeat, ask, or think.
    fn call(
        &mut self,
        caller: usize,
        now: Time,
        random: &mut Random,
    ) -> Option<(usize, Command<u64>)> {
        let wait = Time::millis(random.within(500..=4_000));
        if let Some(pending) = &mut self.callers[caller].pending {
            if now < pending.again_at {
                return None;
            }
            pending.again_at = now + wait;
            pending.questions += 1;
            let Some(txn) = pending.txn.filter(|_| pending.questions < 5) else {
                // Nobody has told it a name, or nobody knows any more: it gives up.
                self.callers[caller].pending = None;
                return None;
            };
            let request = pending.request;
            return Some((pending.coordinator, Command::Ask { request, txn }));
        }
        if self.left == 0 || self.calm {
            return None;
        }
        self.left -= 1;
        let mut others = self.ids.clone();
        random.shuffle(&mut others);
        others.truncate(random.within(1..=others.len() as u64) as usize);
        others.sort_unstable();
        let request = RequestId(self.requests.len() as u64);
        let work = others.iter().map(|node| (*node, request.0)).collect();
        self.requests.push(others);
        let coordinator = random.below(self.ids.len() as u64) as usize;
        let mode = match random.percent(40) {
            true => Mode::NonBlocking,
            false => Mode::Blocking,
        };
        self.callers[caller].pending = Some(Pending {
            request,
            coordinator,
            txn: None,
            again_at: now + wait,
            questions: 0,
        });
        let begin = Command::Begin {
            request,
            mode,
            work,
        };
        Some((coordinator, begin))
    }

    /// What a resource says next: its vote, once more if it may not have been heard, or that it is done.
    fn answer(&mut self, node: usize, random: &mut Random) -> Option<Command<u64>> {
        let machine = self.before[node].as_ref();
        let phase = |txn: TxnId| machine.and_then(|one| one.participant().phase(txn));
        let wants = |(txn, resource): (&TxnId, &Resource)| {
            let unheard = phase(*txn) == Some(Phase::Preparing);
            let doubts = resource.voted == Some(Vote::Yes) && phase(*txn).is_none();
            let doubts = doubts && resource.told.is_none();
            // Whoever is asked answers, though the question may be an old one.
            (resource.owes || unheard || doubts).then_some(*txn)
        };
        let all: Vec<TxnId> = self.resources[node].iter().filter_map(wants).collect();
        let txn = random.pick(&all)?;
        let resource = self.resources[node].get_mut(&txn)?;
        if resource.owes {
            resource.owes = false;
            return Some(Command::Done { txn });
        }
        let drawn = match random.percent(self.against) {
            true => Vote::No,
            false => Vote::Yes,
        };
        let vote = *resource.voted.get_or_insert(drawn);
        self.witness.votes(self.ids[node], txn, vote);
        Some(Command::Prepared { txn, vote })
    }

    fn decided(&mut self, txn: TxnId, decision: Decision, who: &str) -> Result<(), Violation> {
        let request = self.transactions.get(&txn);
        let participants = request.and_then(|request| self.requests.get(request.0 as usize));
        let participants = participants.map_or(&[][..], Vec::as_slice);
        let told = self.witness.told(txn, decision, participants);
        told.map_err(|property| Violation::new(property, format!("{who} of {txn}: {decision:?}")))
    }

    fn instructed(&mut self, node: usize, txn: TxnId, decision: Decision) -> Result<(), Violation> {
        let resource = self.resources[node].entry(txn).or_default();
        resource.told = Some(decision);
        resource.owes = true;
        let who = self.ids[node].to_string();
        self.decided(txn, decision, &who)
    }

    fn finished(
        &mut self,
        request: RequestId,
        txn: TxnId,
        outcome: Outcome,
    ) -> Result<(), Violation> {
        let decision = match outcome {
            Outcome::Committed => Decision::Commit,
            Outcome::Aborted(_) => Decision::Abort,
            Outcome::Unknown => {
                self.counts.unknown += 1;
                return Ok(());
            }
        };
        match decision {
            Decision::Commit => self.counts.committed += 1,
            Decision::Abort => self.counts.aborted += 1,
        }
        for caller in &mut self.callers {
            if caller
                .pending
                .as_ref()
                .is_some_and(|one| one.request == request)
            {
                caller.pending = None;
            }
        }
        self.decided(txn, decision, "a caller is told")
    }
}

impl Subject for CommitGroup {
    type Machine = Node;

    fn nodes(&self) -> &[NodeId] {
        &self.ids
    }

    fn config(&self, node: usize) -> &Config {
        &self.configs[node]
    }

    /// First the callers, then a resource for each node.
    fn clients(&self) -> usize {
        self.callers.len() + self.ids.len()
    }

    fn wake(&mut self, client: usize, now: Time, random: &mut Random) -> Wake<Node> {
        let ask = match client.checked_sub(self.callers.len()) {
            None => self.call(client, now, random),
            Some(node) => self.answer(node, random).map(|command| (node, command)),
        };
        let think = if self.calm {
            Time::millis(10)
        } else {
            self.think
        };
        Wake {
            ask,
            again: Some(Time(1 + random.below(2 * think.0))),
        }
    }

    fn told(&mut self, node: usize, _: Time, output: &Output<u64>) -> Result<(), Violation> {
        match output {
            Output::Begun { request, txn } => {
                self.transactions.insert(*txn, *request);
                for caller in &mut self.callers {
                    if let Some(pending) = &mut caller.pending
                        && pending.request == *request
                    {
                        pending.txn = Some(*txn);
                    }
                }
                Ok(())
            }
            Output::Rejected { request, .. } => {
                for caller in &mut self.callers {
                    if caller
                        .pending
                        .as_ref()
                        .is_some_and(|one| one.request == *request)
                    {
                        caller.pending = None;
                    }
                }
                Ok(())
            }
            Output::Finished {
                request,
                txn,
                outcome,
            } => self.finished(*request, *txn, *outcome),
            Output::Prepare { txn, .. } => {
                self.resources[node].entry(*txn).or_default();
                Ok(())
            }
            Output::Commit { txn } => self.instructed(node, *txn, Decision::Commit),
            Output::Abort { txn } => self.instructed(node, *txn, Decision::Abort),
        }
    }

    fn check(
        &mut self,
        view: View<'_, Node>,
        node: usize,
        what: Happened,
    ) -> Result<(), Violation> {
        let machine = view.machine(node);
        if let (Some(before), Some(after)) = (&self.before[node], machine) {
            let step = invariants::step(before, after);
            let step = step.and_then(|()| invariants::node(after));
            step.map_err(|reason| Violation::new(reason, format!("{what:?}")))?;
            let mut joined = after.participant().joined();
            let uncertain = joined.any(|(_, part)| part.phase == Phase::Uncertain);
            self.counts.uncertain += u64::from(uncertain);
        }
        self.before[node] = machine.cloned();
        if what == Happened::Crashed {
            // It had not come to what it was told yet. That it was told is not forgotten here (`witness`).
            for resource in self.resources[node].values_mut() {
                if std::mem::take(&mut resource.owes) {
                    resource.told = None;
                    self.counts.unheard += 1;
                }
            }
        }
        if what == Happened::Synced {
            let agree = invariants::agreement(view.disks());
            let property = "no disk decides otherwise than another";
            Violation::unless(agree, property, || format!("{}", self.ids[node]))?;
            if let (Some(machine), Some(disk)) = (machine, view.durable(node))
                && view.unsynced(node).next().is_none()
            {
                let same = invariants::memory_is_disk(machine, disk);
                let property = "memory and disk agree once synced";
                Violation::unless(same, property, || format!("{}", self.ids[node]))?;
            }
            let known = view.disks().flat_map(|disk| disk.consensus.values());
            let known = known.map(|known| known.instances.len() as u64);
            self.counts.agreed = self.counts.agreed.max(known.sum());
        }
        Ok(())
    }

    fn calm(&mut self, _: Time) {
        self.calm = true;
    }

    fn patience(&self) -> Time {
        let ticks = self
            .configs
            .iter()
            .map(|config| u64::from(*config.patience_ticks.end()));
        Time::seconds(60) + Time(40 * ticks.max().unwrap_or_default() * self.tick().0)
    }

    fn settled(&self, view: View<'_, Node>) -> Result<(), String> {
        for (node, machine) in view.machines() {
            let id = self.ids[node];
            if let Some((txn, part)) = machine.participant().joined().next() {
                return Err(format!("{id} is not through with {txn}: {:?}", part.phase));
            }
            if let Some((txn, open)) = machine.coordinator().open().next() {
                return Err(format!("{txn} is open at {id}: {:?}", open.stage));
            }
        }
        if self.callers.iter().any(|caller| caller.pending.is_some()) {
            return Err("a caller waits".to_owned());
        }
        for (txn, request) in &self.transactions {
            let committed = self.witness.decision(*txn) == Some(Decision::Commit);
            for participant in self.requests.get(request.0 as usize).into_iter().flatten() {
                let node = self.ids.iter().position(|id| id == participant);
                let resource = node.and_then(|node| self.resources[node].get(txn));
                let told = resource.and_then(|resource| resource.told);
                if committed && told != Some(Decision::Commit) {
                    return Err(format!("{participant} has not committed {txn}"));
                }
            }
        }
        Ok(())
    }

    fn coverage(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("transactions begun", self.transactions.len() as u64),
            ("outcomes told: committed", self.counts.committed),
            ("outcomes told: aborted", self.counts.aborted),
            ("outcomes told: unknown", self.counts.unknown),
            ("steps with someone uncertain", self.counts.uncertain),
            (
                "decisions that a crash took before a resource came to them",
                self.counts.unheard,
            ),
            (
                "decisions of consensus on disks at a time",
                self.counts.agreed,
            ),
        ]
    }

    fn recovered(&self, mut durable: Durable) -> Durable {
        if self.canary == Canary::Amnesia {
            durable.committed.clear();
        }
        durable
    }
}
