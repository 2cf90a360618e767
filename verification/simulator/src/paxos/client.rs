//! One client of a Paxos group: one request at a time, asked again until it is answered.

use super::{History, LINEARIZABLE, Member};
use crate::subject::{Violation, Wake};
use crate::{Random, Time};
use quorate_paxos::{Command, Output, Refusal};

/// Requests that a client still begins once faults are over: the group must serve, not only recover.
const LAST: u32 = 2;
/// Keys that are asked about at the same time.
const WINDOW: u64 = 4;

/// A client.
#[derive(Clone, Debug)]
pub(super) struct Client {
    think: Time,
    releases: bool,
    pending: Option<Pending>,
    /// Requests that it may still begin; without a limit while there are faults.
    left: Option<u32>,
    pub(super) proposals: u64,
    pub(super) beaten: u64,
    pub(super) reads: u64,
    pub(super) undecided: u64,
    pub(super) repeats: u64,
}

/// A request without an answer.
#[derive(Clone, Debug)]
struct Pending {
    request: u64,
    key: u64,
    /// The proposal, unless it is a read.
    value: Option<u64>,
    /// Whether anybody had been told the decision when it was first asked.
    known: bool,
    /// When it is asked again.
    again_at: Time,
    /// Whether the answer to the latest attempt is lost on its way.
    deaf: bool,
}

impl Pending {
    fn command(&self) -> Command<u64, u64> {
        let (request, key) = (self.request, self.key);
        match self.value {
            Some(value) => Command::Propose {
                request,
                key,
                value,
            },
            None => Command::Read { request, key },
        }
    }
}

impl Client {
    pub(super) fn new(think: Time, releases: bool) -> Self {
        Client {
            think,
            releases,
            pending: None,
            left: None,
            proposals: 0,
            beaten: 0,
            reads: 0,
            undecided: 0,
            repeats: 0,
        }
    }

    pub(super) fn wake(
        &mut self,
        now: Time,
        nodes: usize,
        history: &mut History,
        random: &mut Random,
    ) -> Wake<Member> {
        let calm = self.left.is_some();
        let wait = Time::millis(random.within(300..=2_000));
        let deaf = !calm && random.percent(10);
        let ask = if let Some(pending) = &mut self.pending {
            (pending.again_at <= now).then(|| {
                self.repeats += 1;
                pending.again_at = now + wait;
                pending.deaf = deaf;
                pending.command()
            })
        } else if self.left == Some(0) {
            None
        } else if !calm && self.releases && random.percent(3) {
            Some(release(history))
        } else {
            self.left = self.left.map(|left| left - 1);
            let mut pending = choose(history, random);
            pending.again_at = now + wait;
            pending.deaf = deaf;
            Some(self.pending.insert(pending).command())
        };
        let node = random.below(nodes as u64) as usize;
        let pause = if calm { Time::millis(50) } else { self.think };
        Wake {
            ask: ask.map(|command| (node, command)),
            again: Some(Time(1 + random.below(2 * pause.0))),
        }
    }

    /// A node tells something that may be the answer.
    pub(super) fn told(
        &mut self,
        output: &Output<u64, u64>,
        history: &mut History,
    ) -> Result<(), Violation> {
        let (Output::Decided { request, .. }
        | Output::Undecided { request }
        | Output::Refused { request, .. }) = output
        else {
            return Ok(());
        };
        let mine = self.pending.as_ref();
        let Some(pending) = mine.filter(|mine| mine.request == *request && !mine.deaf) else {
            return Ok(());
        };
        match output {
            Output::Decided { value, .. } => {
                history.decide(pending.key, *value)?;
                match pending.value {
                    Some(own) => {
                        self.proposals += 1;
                        self.beaten += u64::from(own != *value);
                    }
                    None => self.reads += 1,
                }
                self.pending = None;
            }
            Output::Undecided { .. } => {
                let right = pending.value.is_none() && !pending.known;
                Violation::unless(right, LINEARIZABLE, || {
                    format!("{} is undecided, and was decided before", pending.key)
                })?;
                self.undecided += 1;
                self.pending = None;
            }
            // Nobody will ever know any more.
            Output::Refused {
                refusal: Refusal::Released,
                ..
            } => self.pending = None,
            // It asks again in time.
            Output::Refused { .. } | Output::Learned { .. } => {}
        }
        Ok(())
    }

    pub(super) fn calm(&mut self, now: Time) {
        self.left = Some(LAST);
        if let Some(pending) = &mut self.pending {
            pending.again_at = now;
            pending.deaf = false;
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.pending.is_none() && self.left == Some(0)
    }
}

/// A request about one of the latest keys, or the next.
fn choose(history: &mut History, random: &mut Random) -> Pending {
    let latest = history.proposed.keys().next_back().copied().unwrap_or(0);
    let low = history.released.max(latest.saturating_sub(WINDOW)).max(1);
    let next = u64::from(random.percent(30));
    let key = random.within(low..=latest.max(low) + next);
    let request = history.token();
    let value = random.percent(60).then_some(request);
    if let Some(value) = value {
        history.proposed.entry(key).or_default().insert(value);
    }
    Pending {
        request,
        key,
        value,
        known: history.decided.contains_key(&key),
        again_at: Time(0),
        deaf: false,
    }
}

/// Everything but the latest keys is released.
fn release(history: &mut History) -> Command<u64, u64> {
    let latest = history.proposed.keys().next_back().copied().unwrap_or(0);
    let below = latest.saturating_sub(WINDOW).max(history.released);
    history.released = below;
    Command::Release { below }
}
