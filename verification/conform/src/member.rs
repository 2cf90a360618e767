//! The recorded life of one member, told in steps of the specification's grain.
//!
//! An event log says which events were stepped, and how many records were known to be durable when. A
//! specification wants to know more: when which batch became durable, when the process crashed, what was
//! released by which step. All of it follows from the log, the machine and the [`Gate`]:
//!
//! - Each batch of records that a step persisted becomes durable in a step of its own, [`Action::Sync`].
//! - A message to itself that a sync makes due is handled in that step, as in the specification. The driver
//!   steps what else its turn holds before; so here the sync comes later, when the log has the message. No
//!   one else can tell: what the sync released left at the end of the turn in any case.
//! - Where a log ends and another begins there was a crash (an orderly end is one, to the others). What the
//!   next start found durable, and the log did not know of yet, became durable before. What that would have
//!   made due was never sent, since what is known to be durable is logged before anything leaves; for the
//!   specification it was sent and lost.

use crate::Fault;
use quorate_driver::{DrivenMachine, Moment, ReplayReport, Replayer};
use quorate_machine::{Effects, Event, Gate, NodeId, Promise};
use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};

/// What a member did in a step.
#[derive(Clone, Debug)]
pub(crate) enum Action<M: DrivenMachine> {
    /// Started for the first time.
    Start,
    /// Started again.
    Recover,
    /// The machine was handed an event.
    Event(Event<M>),
    /// The oldest batch became durable, and with it these messages of the member to itself were handled.
    Sync(Vec<M::Message>),
    /// The process ended.
    Crash,
}

impl<M: DrivenMachine> fmt::Display for Action<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Start => f.write_str("start"),
            Action::Recover => f.write_str("start after a crash"),
            Action::Event(Event::Command(command)) => write!(f, "command {command:?}"),
            Action::Event(Event::Receive { from, message }) => {
                write!(f, "receive {message:?} from {from}")
            }
            Action::Event(Event::Timeout(timer)) => write!(f, "timeout {timer:?}"),
            Action::Sync(own) if own.is_empty() => f.write_str("sync"),
            Action::Sync(own) => write!(f, "sync, with {own:?} to itself"),
            Action::Crash => f.write_str("crash"),
        }
    }
}

/// A step of a member.
#[derive(Clone, Debug)]
pub(crate) struct Step<M: DrivenMachine> {
    pub(crate) action: Action<M>,
    /// What left for other members, though perhaps not before the process ended.
    pub(crate) sent: Vec<(NodeId, M::Message)>,
    /// What it promised to the application.
    pub(crate) said: Vec<M::Output>,
    /// Whether the step persisted a batch.
    pub(crate) wrote: bool,
}

/// A member as of its latest step.
pub(crate) struct Member<'a, M: DrivenMachine> {
    id: NodeId,
    config: &'a M::Config,
    replayer: Replayer<'a, M>,
    /// The machine before the first start, and the one of a process whose end is being told.
    apart: Option<M>,
    up: bool,
    gate: Gate<M>,
    disk: M::Durable,
    /// Records on the disk, in all the member's life.
    on_disk: u64,
    /// How many are known to be durable: the syncs up to there are due.
    known: u64,
    unsynced: VecDeque<Vec<M::Record>>,
    /// Whether the process has ended, and what is told is what its successor found.
    ending: bool,
    /// Messages to itself that are due and that no sync handles.
    own: VecDeque<M::Message>,
}

impl<'a, M: DrivenMachine> Member<'a, M> {
    /// A member before its first start.
    pub(crate) fn new(id: NodeId, config: &'a M::Config, logs: &[PathBuf]) -> Self {
        let disk = M::Durable::default();
        Member {
            id,
            config,
            replayer: Replayer::new(config, logs),
            apart: Some(M::start(config, &disk, &mut Effects::new())),
            up: true,
            gate: Gate::new(),
            disk,
            on_disk: 0,
            known: 0,
            unsynced: VecDeque::new(),
            ending: false,
            own: VecDeque::new(),
        }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn config(&self) -> &'a M::Config {
        self.config
    }

    /// The machine; none if the member is down. A member that was never started is as good as one that
    /// was and has not heard anything.
    pub(crate) fn machine(&self) -> Option<&M> {
        let machine = self.apart.as_ref().or_else(|| self.replayer.machine());
        machine.filter(|_| self.up)
    }

    pub(crate) fn disk(&self) -> &M::Durable {
        &self.disk
    }

    pub(crate) fn gate(&self) -> &Gate<M> {
        &self.gate
    }

    /// The batches that are not durable, oldest first.
    pub(crate) fn unsynced(&self) -> impl Iterator<Item = &[M::Record]> {
        self.unsynced.iter().map(Vec::as_slice)
    }

    /// The file and the line of the log that the latest step is from.
    pub(crate) fn place(&self) -> (&Path, usize) {
        self.replayer.place()
    }

    pub(crate) fn report(&self) -> ReplayReport {
        self.replayer.report()
    }

    /// Takes the next step; nothing if there is none.
    pub(crate) fn advance(&mut self) -> Result<Option<Step<M>>, Fault> {
        loop {
            if let Some(step) = self.sync()? {
                return Ok(Some(step));
            }
            if self.ending {
                return Ok(Some(self.crash()));
            }
            let Some(moment) = self.replayer.advance()? else {
                return Ok(None);
            };
            match moment {
                Moment::Durable { records } => self.known = records,
                Moment::Started { before, found } => {
                    // A start that was killed before its machine's is as if it had not been.
                    self.ending = before.is_some() && self.up;
                    self.apart = before.filter(|_| self.ending);
                    self.known = found;
                }
                Moment::Stepped {
                    event: None,
                    effects,
                } => {
                    let action = if self.up {
                        Action::Start
                    } else {
                        Action::Recover
                    };
                    self.up = true;
                    return Ok(Some(self.absorb(action, effects)));
                }
                Moment::Stepped {
                    event: Some(Event::Receive { from, message }),
                    effects,
                } if from == self.id => return self.receive_own(message, effects).map(Some),
                Moment::Stepped {
                    event: Some(event),
                    effects,
                } => return Ok(Some(self.absorb(Action::Event(event), effects))),
            }
        }
    }

    /// The oldest batch becomes durable, if it is known to and nothing of the log has to come before.
    fn sync(&mut self) -> Result<Option<Step<M>>, Fault> {
        if self.on_disk >= self.known {
            return Ok(None);
        }
        let records = self.unsynced.front().map_or(0, |batch| batch.len() as u64);
        if records == 0 || self.on_disk + records > self.known {
            return Err(self.fault("the records of one step are not durable together"));
        }
        let mut gate = self.gate.clone();
        gate.synced(records);
        let (own, sent) = self.due(&mut gate);
        if !own.is_empty() && !self.ending {
            return Ok(None);
        }
        self.land(gate);
        let mut step = Step {
            action: Action::Sync(own.clone()),
            sent,
            said: Vec::new(),
            wrote: false,
        };
        for message in own {
            let mut fx = Effects::new();
            let from = self.id;
            if let Some(machine) = &mut self.apart {
                machine.step(self.config, Event::Receive { from, message }, &mut fx);
            }
            self.take(fx, &mut step);
        }
        Ok(Some(step))
    }

    /// The log has a message of the member to itself.
    fn receive_own(&mut self, message: M::Message, fx: Effects<M>) -> Result<Step<M>, Fault> {
        if self.own.front() == Some(&message) {
            self.own.pop_front();
            let from = self.id;
            return Ok(self.absorb(Action::Event(Event::Receive { from, message }), fx));
        }
        let records = self.unsynced.front().map_or(0, |batch| batch.len() as u64);
        let mut gate = self.gate.clone();
        let (mut own, mut sent) = (Vec::new(), Vec::new());
        if self.on_disk < self.known {
            gate.synced(records);
            (own, sent) = self.due(&mut gate);
        }
        if own.first() != Some(&message) {
            return Err(self.fault(format_args!(
                "the member receives {message:?} from itself, which is not due"
            )));
        }
        self.land(gate);
        self.own.extend(own.split_off(1));
        let mut step = Step {
            action: Action::Sync(own),
            sent: Vec::new(),
            said: Vec::new(),
            wrote: false,
        };
        step.sent.append(&mut sent);
        self.take(fx, &mut step);
        Ok(step)
    }

    /// What a gate lets go of: to the member itself, and to others.
    #[expect(clippy::type_complexity, reason = "two lists")]
    fn due(&self, gate: &mut Gate<M>) -> (Vec<M::Message>, Vec<(NodeId, M::Message)>) {
        let (mut own, mut sent) = (Vec::new(), Vec::new());
        while let Some(promise) = gate.release() {
            match promise {
                Promise::Send { to, message } if to == self.id => own.push(message),
                Promise::Send { to, message } => sent.push((to, message)),
                Promise::Output(_) => {}
            }
        }
        (own, sent)
    }

    /// The oldest batch is on the disk.
    fn land(&mut self, gate: Gate<M>) {
        for record in self.unsynced.pop_front().into_iter().flatten() {
            M::apply(&mut self.disk, &record);
            self.on_disk += 1;
        }
        self.gate = gate;
    }

    fn absorb(&mut self, action: Action<M>, fx: Effects<M>) -> Step<M> {
        let mut step = Step {
            action,
            sent: Vec::new(),
            said: Vec::new(),
            wrote: false,
        };
        self.take(fx, &mut step);
        step
    }

    /// Takes the effects of a step apart.
    fn take(&mut self, mut fx: Effects<M>, step: &mut Step<M>) {
        for immediate in fx.drain_immediate() {
            match immediate {
                Promise::Send { to, message } if to == self.id => self.own.push_back(message),
                Promise::Send { to, message } => step.sent.push((to, message)),
                Promise::Output(output) => step.said.push(output),
            }
        }
        step.said
            .extend(fx.promises().filter_map(|promise| match promise {
                Promise::Output(output) => Some(output.clone()),
                Promise::Send { .. } => None,
            }));
        let batch: Vec<_> = self.gate.absorb(&mut fx).collect();
        if !batch.is_empty() {
            self.unsynced.push_back(batch);
            step.wrote = true;
        }
        let mut gate = std::mem::take(&mut self.gate);
        let (own, sent) = self.due(&mut gate);
        self.gate = gate;
        self.own.extend(own);
        step.sent.extend(sent);
    }

    fn crash(&mut self) -> Step<M> {
        self.ending = false;
        self.apart = None;
        self.up = false;
        self.gate = Gate::new();
        self.unsynced.clear();
        self.own.clear();
        Step {
            action: Action::Crash,
            sent: Vec::new(),
            said: Vec::new(),
            wrote: false,
        }
    }

    fn fault(&self, reason: impl fmt::Display) -> Fault {
        let (file, line) = self.place();
        Fault::Grain {
            file: file.into(),
            line,
            reason: reason.to_string(),
        }
    }
}
