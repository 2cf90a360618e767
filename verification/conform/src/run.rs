//! The validation: one question after the other.
//!
//! The logs are read twice. The first pass replays each by itself and keeps what has to do with other members;
//! from that comes the order. The second pass replays all of them together in that order, so that at each
//! step the state of the whole cluster is at hand.

use crate::member::{Action, Member, Step};
use crate::order::{Disorder, Key, Order, Seen, order};
use crate::raft::{RaftLike, TraceNames};
use crate::report::{Finding, MemberReport, Part, Report, Specification};
use crate::tlc::Tools;
use crate::together::Second;
use crate::windows::Base;
use crate::{ConformError, Fault};
use quorate_driver::{Divergence, DrivenMachine, around_difference, shortened};
use quorate_machine::{Event, NodeId};
use quorate_raft::{Config, Message, StateMachine};
use quorate_refinement::abstraction::Abstraction;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

/// Characters of an event that are shown.
const SHOWN: usize = 300;

/// One member's part of a run.
#[derive(Clone, Debug)]
pub struct Life<M: DrivenMachine> {
    /// Its configuration, as it was then.
    pub config: M::Config,
    /// Its event logs, from its first start on.
    pub logs: Vec<PathBuf>,
}

/// How a validation is to be made.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to ask the specification with, or why not to.
    pub tools: Result<Tools, String>,
    /// Steps in a window.
    pub window: usize,
}

impl Options {
    /// With windows of five hundred steps.
    pub fn new(tools: Result<Tools, String>) -> Self {
        Options { tools, window: 500 }
    }
}

/// Validates the lives of members of one group. Not all members need have one, but the invariants that need
/// all disks, and the specification, are then not asked.
///
/// `progress` is told how many of all steps are done.
///
/// # Errors
///
/// If the lives do not belong together, a file cannot be read, or TLC fails.
pub fn conform<M: RaftLike>(
    lives: &[Life<M>],
    options: &Options,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, ConformError> {
    let cluster = Cluster::new(lives)?;
    let mut report = Report {
        members: Vec::new(),
        matched: None,
        lost: None,
        states: 0,
        committed: 0,
        specification: Specification::Skipped("something was found before".into()),
        findings: Vec::new(),
    };
    let replayed = cluster.replay(&mut report)?;
    if !report.holds() {
        return Ok(report);
    }
    let known: Vec<bool> = cluster.lives.iter().map(Option::is_some).collect();
    let order = order(&replayed.seen, &known);
    (report.matched, report.lost) = (Some(order.matched), Some(order.lost));
    for disorder in &order.disorders {
        let finding = cluster.describe(disorder, &order)?;
        report.findings.push(finding);
    }
    Second::new(&cluster, &order, options, replayed.base)?.run(&mut report, progress)?;
    Ok(report)
}

/// The members of a run, each with its life if there is one.
pub(crate) struct Cluster<'a, M: RaftLike> {
    pub(crate) ids: Vec<NodeId>,
    pub(crate) lives: Vec<Option<&'a Life<M>>>,
}

/// What the first pass keeps.
struct Replayed {
    seen: Vec<Vec<Seen>>,
    base: Base,
}

impl<'a, M: RaftLike> Cluster<'a, M> {
    fn new(lives: &'a [Life<M>]) -> Result<Self, ConformError> {
        let Some(first) = lives.first() else {
            return Err(ConformError::Usage("no event logs".into()));
        };
        let ids = first.config.members.clone();
        let mut of_members = vec![None; ids.len()];
        for life in lives {
            let config = &life.config;
            let slot = ids.iter().position(|id| *id == config.id);
            let slot = slot.filter(|_| same_group(config, &first.config));
            let Some(slot) = slot.and_then(|slot| of_members.get_mut(slot)) else {
                let (one, other) = (first.config.id, config.id);
                return Err(ConformError::Usage(format!(
                    "{one} and {other} are not configured as members of one group"
                )));
            };
            if slot.replace(life).is_some() {
                let id = config.id;
                return Err(ConformError::Usage(format!("{id} is there twice")));
            }
        }
        Ok(Cluster {
            ids,
            lives: of_members,
        })
    }

    fn slot(&self, id: NodeId) -> Option<usize> {
        self.ids.iter().position(|one| *one == id)
    }

    /// A configuration, alike for all members.
    pub(crate) fn config(&self) -> &'a Config<M::State> {
        let life = self.lives.iter().flatten().next();
        // `new` takes one life at least.
        &life.expect("a life").config
    }

    fn key(
        &self,
        from: NodeId,
        to: NodeId,
        message: &Message<<M::State as StateMachine>::Command>,
    ) -> Option<Key> {
        let mut hasher = DefaultHasher::new();
        message.hash(&mut hasher);
        Some((self.slot(from)?, self.slot(to)?, hasher.finish()))
    }

    /// The first pass.
    fn replay(&self, report: &mut Report) -> Result<Replayed, ConformError> {
        let mut seen = Vec::new();
        let mut longest = Vec::new();
        for (id, life) in self.ids.iter().zip(&self.lives) {
            let Some(life) = life else {
                seen.push(Vec::new());
                report.members.push(absent(*id));
                continue;
            };
            let mut member = Member::<M>::new(*id, &life.config, &life.logs);
            let mut of_member = Vec::new();
            let ended = loop {
                match member.advance() {
                    Ok(Some(step)) => of_member.push(self.seen(*id, &step)),
                    Ok(None) => break None,
                    Err(fault) => break Some(fault),
                }
            };
            report
                .members
                .push(described(*id, &member, &of_member, ended.is_none()));
            if let Some(fault) = ended {
                report.findings.push(finding_of(&member, fault)?);
            }
            let log = &member.disk().log;
            if log.last().index.0 as usize > longest.len() {
                let names = Abstraction::new(TraceNames::default());
                longest = log.entries().map(|entry| names.entry(entry)).collect();
            }
            seen.push(of_member);
        }
        let base = Base::new(longest);
        Ok(Replayed { seen, base })
    }

    /// What the step of a member has to do with others.
    pub(crate) fn seen(&self, id: NodeId, step: &Step<M>) -> Seen {
        let received = match &step.action {
            Action::Event(Event::Receive { from, message }) if *from != id => {
                self.key(*from, id, message)
            }
            _ => None,
        };
        let sent = step.sent.iter();
        let sent = sent.filter_map(|(to, message)| self.key(id, *to, message));
        Seen {
            received,
            sent: sent.collect(),
        }
    }

    /// A disorder in words.
    fn describe(&self, disorder: &Disorder, order: &Order) -> Result<Finding, ConformError> {
        let (at, mut what) = match disorder {
            Disorder::Unsent(at) => (
                *at,
                "no log of the sender has this message, or not as often as it was received \
                 (the logs of members that still run are read one after another: stop them first)"
                    .to_owned(),
            ),
            Disorder::Cycle(cycle) => (
                cycle[0],
                "this was received before anything could have caused it to be sent:".to_owned(),
            ),
        };
        let mut finding = self.at(Part::Order, at)?;
        if let Disorder::Cycle(cycle) = disorder {
            for step in &cycle[1..] {
                let cause = self.at(Part::Order, *step)?;
                let (file, line) = (cause.file.display(), cause.line);
                what += &format!(
                    "\nonly after member {}, {file}:{line}: {}",
                    cause.member, cause.event
                );
            }
            what += "\nand that only after the first";
        }
        finding.what = what;
        let before = (0..order.sequence.len()).rev();
        let mut before = before.filter(|number| order.sequence[*number] == at.0);
        finding.clock = before
            .next()
            .map_or_else(Vec::new, |n| order.clocks[n].clone());
        Ok(finding)
    }

    /// A finding about a step that is known by its number only.
    fn at(&self, part: Part, (slot, number): (usize, usize)) -> Result<Finding, ConformError> {
        let life = self.lives[slot].expect("a step of a member without a life");
        let mut member = Member::<M>::new(self.ids[slot], &life.config, &life.logs);
        for _ in 0..number {
            // The first pass has been here.
            let _ = member.advance();
        }
        let step = member.advance().ok().flatten();
        Ok(finding(part, &member, step.as_ref(), String::new()))
    }
}

fn same_group<S: StateMachine>(one: &Config<S>, other: &Config<S>) -> bool {
    let what = |config: &Config<S>| {
        (
            config.members.clone(),
            (config.pre_vote, config.check_quorum),
            (config.batch_entries, config.window_entries),
        )
    };
    what(one) == what(other)
}

fn absent(id: NodeId) -> MemberReport {
    MemberReport {
        member: id.0,
        recorded: false,
        incarnations: 0,
        events: 0,
        steps: 0,
        records: 0,
        lost_records: 0,
        identical: false,
    }
}

fn described<M: DrivenMachine>(
    id: NodeId,
    member: &Member<'_, M>,
    steps: &[Seen],
    identical: bool,
) -> MemberReport {
    let replayed = member.report();
    MemberReport {
        recorded: true,
        incarnations: replayed.starts,
        events: replayed.steps,
        steps: steps.len() as u64,
        records: replayed.records,
        lost_records: replayed.lost,
        identical,
        ..absent(id)
    }
}

/// Where a log differs, as a finding; that it cannot be read is none.
fn finding_of<M: DrivenMachine>(
    member: &Member<'_, M>,
    fault: Fault,
) -> Result<Finding, ConformError> {
    if let Fault::Replay(Divergence::Unreadable { file, error }) = fault {
        return Err(ConformError::Local {
            attempt: format!("reading {}", file.display()),
            source: error,
        });
    }
    let mut finding = finding::<M>(Part::Replay, member, None, fault.to_string());
    if let Fault::Replay(Divergence::Effects {
        step,
        event,
        expected,
        got,
        ..
    }) = fault
    {
        finding.event = shortened(&event, SHOWN);
        let (recorded, replayed) = around_difference(&expected, &got, SHOWN);
        finding.what = format!(
            "step {step} of this start has other effects\nrecorded: {recorded}\nreplayed: {replayed}"
        );
    }
    Ok(finding)
}

/// A finding about the latest step of a member.
pub(crate) fn finding<M: DrivenMachine>(
    part: Part,
    member: &Member<'_, M>,
    step: Option<&Step<M>>,
    what: String,
) -> Finding {
    let (file, line) = member.place();
    Finding {
        part,
        member: member.id().0,
        file: file.into(),
        line,
        event: step.map_or_else(String::new, |step| {
            shortened(&step.action.to_string(), SHOWN)
        }),
        clock: Vec::new(),
        what,
    }
}
