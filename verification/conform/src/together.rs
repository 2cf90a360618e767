//! The second pass: all lives at once, in the order of causality.
//!
//! At each step the state of the whole cluster is at hand, for the invariants, and for the specification, which
//! is told each step and now and then the whole state.

use crate::ConformError;
use crate::history::History;
use crate::member::{Member, Step};
use crate::order::{Key, Order};
use crate::raft::{Beforehand, RaftLike, Specified, TraceNames, specified};
use crate::report::{Finding, Part, Report, Specification};
use crate::run::{Cluster, Life, Options, finding};
use crate::validation::Validation;
use crate::windows::{Base, Parameters};
use quorate_machine::NodeId;
use quorate_raft::{Config, StateMachine};
use quorate_refinement::Value;
use quorate_refinement::abstraction::Abstraction;
use std::collections::HashMap;

/// All members, at the same step of the order.
pub(crate) struct Second<'a, M: RaftLike> {
    cluster: &'a Cluster<'a, M>,
    order: &'a Order,
    members: Vec<Member<'a, M>>,
    names: Vec<TraceNames>,
    beforehand: Vec<Option<Beforehand>>,
    history: History<<M::State as StateMachine>::Command>,
    base: Base,
    /// Messages on their way, with how often each is still received.
    awaited: HashMap<Key, u64>,
    on_their_way: HashMap<Key, Value>,
    validation: Option<Validation<'a>>,
    /// Why the specification is not asked, if it was not for something in the logs.
    without_tools: String,
    window: usize,
}

impl<'a, M: RaftLike> Second<'a, M> {
    pub(crate) fn new(
        cluster: &'a Cluster<'a, M>,
        order: &'a Order,
        options: &'a Options,
        base: Base,
    ) -> Result<Self, ConformError> {
        let member = |(id, life): (&NodeId, &Option<&'a Life<M>>)| {
            let config = life.map_or_else(|| cluster.config(), |life| &life.config);
            let logs = life.map_or(&[][..], |life| &life.logs);
            Member::new(*id, config, logs)
        };
        let members: Vec<_> = cluster.ids.iter().zip(&cluster.lives).map(member).collect();
        let count = members.len();
        // Where something is missing from a log, so may be what was written.
        let all_disks = order.disorders.is_empty() && cluster.lives.iter().all(Option::is_some);
        let validation = match &options.tools {
            Ok(tools) if all_disks => Some(Validation::new(tools, parameters(cluster.config()))?),
            _ => None,
        };
        Ok(Second {
            cluster,
            order,
            members,
            names: vec![TraceNames::default(); count],
            beforehand: vec![None; count],
            history: History::new(count, all_disks),
            base,
            awaited: order.receipts.clone(),
            on_their_way: HashMap::new(),
            validation,
            without_tools: options.tools.as_ref().err().cloned().unwrap_or_default(),
            window: options.window.max(1),
        })
    }

    /// Takes all steps.
    pub(crate) fn run(
        mut self,
        report: &mut Report,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), ConformError> {
        let all = self.order.sequence.len();
        let mut broken = false;
        self.cut(report)?;
        for number in 0..all {
            let slot = self.order.sequence[number];
            // The first pass has been here.
            let Ok(Some(step)) = self.members[slot].advance() else {
                break;
            };
            let mut held = self.history.observe(&self.members, slot, &step);
            if held.is_ok() && ((number + 1).is_multiple_of(self.window) || number + 1 == all) {
                held = self.history.survey(&self.members);
            }
            // What follows a violation is only its consequences.
            if !broken {
                report.states += 1;
                if let Err(what) = held {
                    broken = true;
                    let member = &self.members[slot];
                    let mut finding = finding(Part::Invariants, member, Some(&step), what);
                    finding.clock.clone_from(&self.order.clocks[number]);
                    report.findings.push(finding);
                }
            }
            self.base.decided(&self.history);
            self.validate(number, slot, &step);
            let due = self
                .validation
                .as_ref()
                .is_some_and(|v| v.since_cut() >= self.window);
            if due || number + 1 == all {
                self.cut(report)?;
                progress(number as u64 + 1, all as u64);
            }
        }
        report.committed = self.history.decided.len() as u64;
        self.conclude(report)
    }

    /// Notes the step for the specification.
    fn validate(&mut self, number: usize, slot: usize, step: &Step<M>) {
        let member = &self.members[slot];
        let names = &mut self.names[slot];
        let before = self.beforehand[slot];
        let specified = specified(names, step, before.as_ref());
        if let Specified::Read(id) = specified {
            names.musts.insert(id, self.history.decided.len() as u64);
        }
        let raft = member.machine().map(RaftLike::raft);
        self.beforehand[slot] =
            raft.map(|raft| Beforehand::after(raft, &specified, before.as_ref()));
        let Some(validation) = &mut self.validation else {
            return;
        };
        let seen = self.cluster.seen(member.id(), step);
        if let Some(key) = seen.received
            && let Some(awaited) = self.awaited.get_mut(&key)
        {
            *awaited -= 1;
            if *awaited == 0 {
                self.on_their_way.remove(&key);
            }
        }
        let abstraction = Abstraction::new(TraceNames::default());
        for ((to, message), key) in step.sent.iter().zip(seen.sent) {
            if self.awaited.get(&key).is_some_and(|awaited| *awaited > 0) {
                let message = || abstraction.message(member.id(), *to, message);
                self.on_their_way.entry(key).or_insert_with(message);
            }
        }
        let about = finding(Part::Specification, member, Some(step), String::new());
        let about = Finding {
            clock: self.order.clocks[number].clone(),
            ..about
        };
        validation.step(names, member, &specified, step, about);
    }

    /// Ends a window here, and begins the next.
    fn cut(&mut self, report: &mut Report) -> Result<(), ConformError> {
        let Some(validation) = &mut self.validation else {
            return Ok(());
        };
        let net = self.on_their_way.values().cloned().collect();
        validation.cut(&self.base, &self.members, &self.names, net, report)
    }

    fn conclude(mut self, report: &mut Report) -> Result<(), ConformError> {
        if let Some(validation) = self.validation.take() {
            return validation.finish(&self.base, report);
        }
        report.specification = Specification::Skipped(if !self.order.disorders.is_empty() {
            "the messages have no order".into()
        } else if let Some(missing) = self.cluster.lives.iter().position(Option::is_none) {
            format!("the logs of {} are missing", self.cluster.ids[missing])
        } else {
            self.without_tools
        });
        Ok(())
    }
}

fn parameters<S: StateMachine>(config: &Config<S>) -> Parameters {
    Parameters {
        members: config.members.clone(),
        pre_vote: config.pre_vote,
        check_quorum: config.check_quorum,
        batch_entries: config.batch_entries,
        window_entries: config.window_entries,
    }
}
