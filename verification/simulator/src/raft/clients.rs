//! One client of a Raft group: one operation at a time, asked again until it is answered.

use super::history::History;
use super::{Entries, Ledger};
use crate::subject::{Violation, Wake};
use crate::{Random, Time};
use quorate_raft::{Command, Outcome, Output, Raft, Request, SessionId};

/// Operations that a client still begins once faults are over: the group must serve, not only recover.
const LAST: u32 = 2;
const SUPERSEDED: &str = "a client's latest command is not superseded";

/// A client.
#[derive(Clone, Debug)]
pub(super) struct Client {
    number: usize,
    think: Time,
    session: Option<SessionId>,
    sequence: u64,
    pending: Option<Pending>,
    /// Whom it asks.
    node: usize,
    /// Operations that it may still begin; without a limit while there are faults.
    left: Option<u32>,
    pub(super) writes: u64,
    pub(super) reads: u64,
    pub(super) repeats: u64,
    pub(super) expired: u64,
}

/// An operation without an answer.
#[derive(Clone, Debug)]
struct Pending {
    command: Command<Ledger>,
    request: Request,
    /// What had been seen by anybody when it was first asked.
    floor: u64,
    /// When it is asked again; now, if it was refused.
    again_at: Time,
    /// Whether the answer to the latest attempt is lost on its way.
    deaf: bool,
}

impl Client {
    pub(super) fn new(number: usize, think: Time) -> Self {
        Client {
            number,
            think,
            session: None,
            sequence: 0,
            pending: None,
            node: 0,
            left: None,
            writes: 0,
            reads: 0,
            repeats: 0,
            expired: 0,
        }
    }

    pub(super) fn wake(
        &mut self,
        now: Time,
        nodes: usize,
        history: &mut History,
        random: &mut Random,
    ) -> Wake<Raft<Ledger>> {
        let calm = self.left.is_some();
        let wait = Time::millis(random.within(300..=2_000));
        let deaf = !calm && random.percent(10);
        let ask = if let Some(pending) = &mut self.pending {
            (pending.again_at <= now).then(|| {
                // A node that did not answer may be down; one that refused may know better by now.
                if random.percent(50) {
                    self.node = random.below(nodes as u64) as usize;
                }
                self.repeats += 1;
                pending.again_at = now + wait;
                pending.deaf = deaf;
                pending.command.clone()
            })
        } else if self.left != Some(0) {
            let command = self.choose(history, random);
            self.left = self.left.map(|left| left - 1);
            self.pending = Some(Pending {
                request: command.request(),
                command: command.clone(),
                floor: history.floor(),
                again_at: now + wait,
                deaf,
            });
            Some(command)
        } else {
            None
        };
        let pause = if calm { Time::millis(50) } else { self.think };
        Wake {
            ask: ask.map(|command| (self.node, command)),
            again: Some(Time(1 + random.below(2 * pause.0))),
        }
    }

    fn choose(&mut self, history: &mut History, random: &mut Random) -> Command<Ledger> {
        let token = history.token();
        match self.session {
            // Unique among all clients, as tokens are.
            _ if random.percent(30) => Command::Read {
                id: token,
                query: (),
            },
            Some(session) if random.percent(95) => {
                self.sequence += 1;
                Command::Write {
                    session,
                    sequence: self.sequence,
                    command: token,
                }
            }
            _ => Command::Open { nonce: token },
        }
    }

    /// A node does not take the request.
    pub(super) fn refused(&mut self, node: usize, request: Request, hint: Option<usize>) {
        if let Some(pending) = &mut self.pending
            && pending.request == request
            && !pending.deaf
            && node == self.node
        {
            pending.again_at = Time(0);
            self.node = hint.unwrap_or(node);
        }
    }

    /// A node tells something that may be the answer.
    pub(super) fn told(
        &mut self,
        output: &Output<Ledger>,
        history: &mut History,
    ) -> Result<(), Violation> {
        let Some(pending) = self.pending.as_ref().filter(|pending| !pending.deaf) else {
            return Ok(());
        };
        let floor = pending.floor;
        match (output, pending.request) {
            (Output::Opened { nonce, session }, Request::Open { nonce: mine })
                if *nonce == mine =>
            {
                self.session = Some(*session);
                self.sequence = 0;
                self.pending = None;
            }
            (Output::Answered { id, response }, Request::Read { id: mine }) if *id == mine => {
                self.reads += 1;
                self.pending = None;
                return history.read(floor, *response);
            }
            (Output::Applied { outcome, .. }, request) if request_of(output) == Some(request) => {
                return self.written(outcome.clone(), history);
            }
            _ => {}
        }
        Ok(())
    }

    /// Its write has come to an end.
    fn written(
        &mut self,
        outcome: Outcome<Entries>,
        history: &mut History,
    ) -> Result<(), Violation> {
        let Some(pending) = self.pending.take() else {
            return Ok(());
        };
        let Command::Write { command, .. } = pending.command else {
            return Ok(());
        };
        match outcome {
            Outcome::Applied(entries) | Outcome::Repeated(entries) => {
                self.writes += 1;
                history.written(command, pending.floor, entries)
            }
            Outcome::Superseded => {
                let reason = format!("client {}: {:?}", self.number, pending.request);
                Err(Violation::new(SUPERSEDED, reason))
            }
            Outcome::Expired => {
                // Whether it was applied cannot be told: as an operation it never ends.
                self.expired += 1;
                self.session = None;
                Ok(())
            }
        }
    }

    /// Faults are over.
    pub(super) fn calm(&mut self, now: Time) {
        self.left = Some(LAST);
        if let Some(pending) = &mut self.pending {
            pending.deaf = false;
            pending.again_at = now;
        }
    }

    /// Whether it has done everything that it wanted.
    pub(super) fn is_done(&self) -> bool {
        self.pending.is_none() && self.left == Some(0)
    }
}

fn request_of(output: &Output<Ledger>) -> Option<Request> {
    match *output {
        Output::Applied {
            session, sequence, ..
        } => Some(Request::Write { session, sequence }),
        _ => None,
    }
}
