//! Trace assembly, simulated: one node, its disk, and senders that offer spans until they are acknowledged.
//!
//! Traces are random trees. Their spans come in any order and over any length of time, so that windows end
//! between them; some come twice, some never, and some traces are evicted. The invariants are those of
//! [`quorate_assembly::invariants`], as in the model.

use crate::subject::{Happened, Subject, View, Violation, Wake};
use crate::{Random, Time};
use quorate_assembly::machine::{Assembler, Command, NodeConfig, Offered, Output, Record, Timer};
use quorate_assembly::{Phase, invariants};
use quorate_machine::NodeId;
use quorate_trace::{SpanId, SpanKey, TraceId, Verdict};
use std::collections::BTreeSet;

const NODE: NodeId = NodeId(1);

/// A node and its senders in one run.
pub struct AssemblyNode {
    config: NodeConfig,
    senders: Vec<Sender>,
    think: Time,
    evicts: u64,
    accepted: BTreeSet<Offered>,
    before: Option<Assembler>,
    calm: bool,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    offered: u64,
    evicted: u64,
    complete: u64,
    incomplete: u64,
    amended: u64,
}

/// One sender, with the spans that it has yet to offer, and the one that is not acknowledged.
#[derive(Clone, Debug)]
struct Sender {
    spans: Vec<Offered>,
    pending: Option<(Offered, Time)>,
}

impl AssemblyNode {
    /// A node and senders that are drawn.
    pub fn drawn(random: &mut Random) -> Self {
        let senders = random.within(1..=4) as usize;
        let traces = random.within(2..=12) as u8;
        let mut spans: Vec<Offered> = (1..=traces).flat_map(|trace| tree(random, trace)).collect();
        // Some of them never come, some come again.
        spans.retain(|_| random.percent(93));
        let again: Vec<Offered> = spans
            .iter()
            .filter(|_| random.percent(15))
            .copied()
            .collect();
        spans.extend(again);
        let shuffled = random.percent(50);
        if shuffled {
            random.shuffle(&mut spans);
        }
        let mut shares = vec![Vec::new(); senders];
        for span in spans.into_iter().rev() {
            shares[random.below(senders as u64) as usize].push(span);
        }
        let quiet = random.within(5..=200) as u32;
        let deadline = quiet * random.within(1..=8) as u32;
        AssemblyNode {
            config: NodeConfig {
                id: NODE,
                quiet: quiet..=quiet + random.within(0..=20) as u32,
                deadline: deadline..=deadline,
            },
            senders: shares
                .into_iter()
                .map(|spans| Sender {
                    spans,
                    pending: None,
                })
                .collect(),
            think: Time::millis(random.within(5..=400)),
            evicts: random.within(0..=5),
            accepted: BTreeSet::new(),
            before: None,
            calm: false,
            counts: Counts::default(),
        }
    }

    fn at_rest(view: View<'_, Assembler>) -> bool {
        let machine = view.machine(0);
        machine.is_some_and(|machine| machine.traces().next().is_none())
            && view.unsynced(0).next().is_none()
            && !view.is_busy(0)
    }

    /// What must hold of the disk, and of a node that is up.
    fn kept(&self, view: View<'_, Assembler>) -> Result<(), Violation> {
        let Some(disk) = view.durable(0) else {
            return Ok(());
        };
        Violation::unless(
            invariants::sealed_once(disk),
            "sealed exactly once per revision",
            String::new,
        )?;
        Violation::unless(
            invariants::judged_rightly(disk),
            "complete only when complete",
            String::new,
        )?;
        let machine = view.machine(0);
        for span in &self.accepted {
            let durable = invariants::is_durable(span, disk);
            Violation::unless(durable, "acknowledged means durable", || {
                format!("{span:?}")
            })?;
            let kept = machine.is_none_or(|node| invariants::is_kept(span, node, disk));
            Violation::unless(kept, "accepted spans are never lost", || {
                format!("{span:?}")
            })?;
        }
        Ok(())
    }

    /// Whether something will happen to an open trace even if nothing comes any more.
    fn is_watched(view: View<'_, Assembler>, machine: &Assembler, trace: TraceId) -> bool {
        let armed = |timer| view.is_armed(0, timer);
        match machine.phase(&trace) {
            Some(Phase::Active) => armed(Timer::Quiet(trace)) && armed(Timer::Deadline(trace)),
            Some(Phase::Collecting) => armed(Timer::Deadline(trace)),
            // Asked: it will be judged. Given: the disk, or its word that waits at the gate.
            Some(Phase::Sealing) => {
                let stored =
                    |record: &Record| matches!(record, Record::Stored(of, _) if *of == trace);
                armed(Timer::Judge(trace)) || view.unsynced(0).any(stored) || view.is_busy(0)
            }
            None => true,
        }
    }
}

/// The spans of a trace, parents first.
fn tree(random: &mut Random, trace: u8) -> Vec<Offered> {
    let size = random.within(1..=8) as u8;
    let spans = (1..=size).filter_map(|number| {
        let parent = (number > 1).then(|| 1 + random.below(u64::from(number) - 1) as u8);
        Some(Offered {
            trace: TraceId::new([trace; 16])?,
            span: SpanKey {
                id: id(number)?,
                // Few share an identifier and say different things.
                content: u64::from(random.percent(5)),
            },
            parent: parent.and_then(id),
        })
    });
    spans.collect()
}

fn id(number: u8) -> Option<SpanId> {
    SpanId::new([0, 0, 0, 0, 0, 0, 0, number])
}

impl Subject for AssemblyNode {
    type Machine = Assembler;

    fn nodes(&self) -> &[NodeId] {
        &[NODE]
    }

    fn config(&self, _: usize) -> &NodeConfig {
        &self.config
    }

    fn clients(&self) -> usize {
        self.senders.len()
    }

    fn wake(&mut self, client: usize, now: Time, random: &mut Random) -> Wake<Assembler> {
        let sender = &mut self.senders[client];
        let wait = Time::millis(random.within(200..=1_000));
        let evicts = self.evicts > 0 && !self.calm && random.percent(5);
        let traces: Vec<TraceId> = self.before.iter().flat_map(Assembler::traces).collect();
        let command = match (&mut sender.pending, random.pick(&traces)) {
            (_, Some(trace)) if evicts => {
                self.evicts -= 1;
                self.counts.evicted += 1;
                Some(Command::Evict(trace))
            }
            (Some((span, again_at)), _) => (*again_at <= now).then(|| {
                *again_at = now + wait;
                Command::Offer(*span)
            }),
            (pending, _) => sender.spans.pop().map(|span| {
                self.counts.offered += 1;
                *pending = Some((span, now + wait));
                Command::Offer(span)
            }),
        };
        let think = if self.calm {
            Time::millis(5)
        } else {
            self.think
        };
        let over = self.calm && sender.pending.is_none() && sender.spans.is_empty();
        Wake {
            ask: command.map(|command| (0, command)),
            again: (!over).then(|| Time(1 + random.below(2 * think.0))),
        }
    }

    fn told(&mut self, _: usize, _: Time, output: &Output) -> Result<(), Violation> {
        let Output::Accepted(span) = output;
        self.accepted.insert(*span);
        for sender in &mut self.senders {
            if sender.pending.is_some_and(|(pending, _)| pending == *span) {
                sender.pending = None;
            }
        }
        Ok(())
    }

    fn check(
        &mut self,
        view: View<'_, Assembler>,
        _: usize,
        what: Happened,
    ) -> Result<(), Violation> {
        let machine = view.machine(0);
        if let (Some(before), Some(after)) = (&self.before, machine) {
            let step = invariants::step(before, after);
            step.map_err(|reason| Violation::new(reason, format!("{what:?}")))?;
            for trace in after.traces() {
                let watched = Self::is_watched(view, after, trace);
                let property = "an open trace is never forgotten";
                Violation::unless(watched, property, || format!("{trace:?}"))?;
            }
        }
        if self.before.as_ref() != machine || what != Happened::Stepped {
            self.kept(view)?;
            self.before = machine.cloned();
        }
        if what == Happened::Synced
            && let Some(disk) = view.durable(0)
        {
            let revisions = || disk.store.values().map(Vec::as_slice);
            let last = |verdict| {
                let last = revisions().filter_map(<[_]>::last);
                last.filter(|f| f.completeness.verdict == verdict).count() as u64
            };
            self.counts.complete = last(Verdict::Complete);
            self.counts.incomplete = last(Verdict::Incomplete);
            self.counts.amended = revisions().filter(|all| all.len() > 1).count() as u64;
        }
        Ok(())
    }

    fn calm(&mut self, _: Time) {
        self.calm = true;
    }

    /// The rest of the spans is offered within seconds, and a trace is open for a deadline, waits once more
    /// if something came meanwhile, and again for a duplicate.
    fn patience(&self) -> Time {
        let deadline = u64::from(*self.config.deadline.end());
        Time::seconds(60) + Time(4 * deadline * self.tick().0)
    }

    fn settled(&self, view: View<'_, Assembler>) -> Result<(), String> {
        let waits = |sender: &Sender| sender.pending.is_some() || !sender.spans.is_empty();
        if self.senders.iter().any(waits) {
            return Err("spans are not accepted".to_owned());
        }
        if !Self::at_rest(view) {
            return Err("traces are open".to_owned());
        }
        let Some(disk) = view.durable(0) else {
            return Err("there is no disk".to_owned());
        };
        if !disk.log.is_empty() {
            return Err(format!("at rest the log has {} spans", disk.log.len()));
        }
        let stored_once = |span: &&Offered| invariants::occurrences(span, disk) == 1;
        match self.accepted.iter().find(|span| !stored_once(span)) {
            Some(span) => Err(format!("not stored once: {span:?}")),
            None => Ok(()),
        }
    }

    fn coverage(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("spans offered", self.counts.offered),
            ("spans accepted", self.accepted.len() as u64),
            ("evictions", self.counts.evicted),
            ("traces complete", self.counts.complete),
            ("traces incomplete", self.counts.incomplete),
            ("traces amended", self.counts.amended),
        ]
    }
}
