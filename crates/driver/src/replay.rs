//! Runs an event log through the machine again.
//!
//! A machine is deterministic, so a recorded life of a node can be checked without the node: the same
//! events must give the same effects, and every restart must have found a state that the disk was
//! allowed to be in. At least the records that were known to be durable, at most those that were
//! written, and exactly those that the steps before had persisted.

use crate::edge::DrivenMachine;
use crate::event_log::{FORMAT, Fingerprint, Line, LoggedEvent, Start, Step, from_hex};
use bytes::{Bytes, BytesMut};
use quorate_machine::{Effects, Event, NodeId};
use quorate_transport::{Malformed, Wire};
use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// What a replay went through without finding a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Starts of the node.
    pub starts: u64,
    /// Steps of the machine, starts included.
    pub steps: u64,
    /// Records that the node has written in all its life, without those that crashes took away.
    pub records: u64,
    /// Records that were written, and not found by a later start: lost in crashes, as is allowed for
    /// records that were not yet durable.
    pub lost: u64,
}

impl fmt::Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} starts, {} steps, {} records, {} lost in crashes before they were durable",
            self.starts, self.steps, self.records, self.lost
        )
    }
}

/// Where a replay and its event log differ, or why they cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum Divergence {
    /// The file cannot be read.
    #[error("{}: {error}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line is not what the format says.
    #[error("{}:{line}: {reason}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// The line, from one.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The machine now wants something else than what was recorded.
    #[error(
        "{}: step {step} differs\n   event: {event}\nexpected: {expected}\n     got: {got}",
        file.display()
    )]
    Effects {
        /// The file.
        file: PathBuf,
        /// The index of the step within its start; zero is the start itself.
        step: u64,
        /// The event that was stepped.
        event: String,
        /// The recorded effects.
        expected: String,
        /// The effects of the replay.
        got: String,
    },
    /// A start found fewer records than were known to be durable, or more than were written.
    #[error(
        "{}: found {found} durable records, where at least {durable} were durable and {written} written",
        file.display()
    )]
    Records {
        /// The file.
        file: PathBuf,
        /// How many it found.
        found: u64,
        /// How many were known to be durable.
        durable: u64,
        /// How many were written.
        written: u64,
    },
    /// A start found other records than those that were written.
    #[error("{}: the {records} durable records are not those that were written", file.display())]
    Fingerprint {
        /// The file.
        file: PathBuf,
        /// How many records it found.
        records: u64,
    },
}

/// Replays all starts of one group on one node, whose files are given in their order.
///
/// `config` must be the machine's configuration of that time. The first start must have been the
/// node's first. A last line that was torn by the end of the process is left out: its effects never
/// left the node.
pub fn replay<M: DrivenMachine>(
    config: &M::Config,
    files: &[impl AsRef<Path>],
) -> Result<ReplayReport, Divergence> {
    let mut replayer = Replayer::<M>::new(config, files);
    while replayer.advance()?.is_some() {}
    Ok(replayer.report())
}

/// What happened next in the life of a node.
#[derive(Clone, Debug)]
pub enum Moment<M: DrivenMachine> {
    /// The process started; the machine's own start is the next moment.
    Started {
        /// The machine of the process before, as that process left it.
        before: Option<M>,
        /// Records that were found durable.
        found: u64,
    },
    /// The machine took a step, with the recorded effects.
    Stepped {
        /// The event; none if this is the machine's start.
        event: Option<Event<M>>,
        /// What the machine wanted done about it.
        effects: Effects<M>,
    },
    /// Records became known to be durable.
    Durable {
        /// All that are, since the first record of the node.
        records: u64,
    },
}

/// Replays as [`replay()`] does, one [`Moment`] after the other, for those who want to look.
pub struct Replayer<'a, M: DrivenMachine> {
    files: VecDeque<PathBuf>,
    /// The file at hand, and its line, from one.
    file: PathBuf,
    lines: Option<BufReader<File>>,
    line: usize,
    text: Vec<u8>,
    life: Life<'a, M>,
}

impl<'a, M: DrivenMachine> Replayer<'a, M> {
    /// A replay that has not begun.
    pub fn new(config: &'a M::Config, files: &[impl AsRef<Path>]) -> Self {
        Replayer {
            files: files.iter().map(|file| file.as_ref().into()).collect(),
            file: PathBuf::new(),
            lines: None,
            line: 0,
            text: Vec::new(),
            life: Life::new(config),
        }
    }

    /// The next moment; nothing once the last file has ended.
    ///
    /// # Errors
    ///
    /// Where the replay and the event log differ. What comes after is of no worth.
    pub fn advance(&mut self) -> Result<Option<Moment<M>>, Divergence> {
        if self.read_line()? {
            let place = Place {
                file: &self.file,
                line: self.line,
            };
            let line = serde_json::from_slice(&self.text).map_err(|error| place.invalid(error))?;
            return self.life.line(&place, line).map(Some);
        }
        Ok(None)
    }

    /// Reads the next whole line, of the next file if need be; whether there is one.
    fn read_line(&mut self) -> Result<bool, Divergence> {
        loop {
            let Some(lines) = &mut self.lines else {
                let Some(file) = self.files.pop_front() else {
                    return Ok(false);
                };
                self.file = file;
                self.line = 0;
                let opened = File::open(&self.file).map_err(|error| self.unreadable(error))?;
                self.lines = Some(BufReader::new(opened));
                continue;
            };
            self.text.clear();
            let read = lines.read_until(b'\n', &mut self.text);
            read.map_err(|error| self.unreadable(error))?;
            // What follows the last newline is a torn line.
            if self.text.ends_with(b"\n") {
                self.line += 1;
                return Ok(true);
            }
            self.lines = None;
            self.life.ended = true;
        }
    }

    fn unreadable(&self, error: io::Error) -> Divergence {
        Divergence::Unreadable {
            file: self.file.clone(),
            error,
        }
    }

    /// The machine as of the last moment; of a process that has ended, as it left it.
    pub fn machine(&self) -> Option<&M> {
        self.life.machine.as_ref()
    }

    /// The file and the line, from one, of the last moment.
    pub fn place(&self) -> (&Path, usize) {
        (&self.file, self.line)
    }

    /// What was gone through so far.
    pub fn report(&self) -> ReplayReport {
        self.life.report()
    }
}

/// A line, for errors.
struct Place<'a> {
    file: &'a Path,
    line: usize,
}

impl Place<'_> {
    fn invalid(&self, reason: impl fmt::Display) -> Divergence {
        Divergence::Invalid {
            file: self.file.into(),
            line: self.line,
            reason: reason.to_string(),
        }
    }
}

/// One node's group through all its starts.
struct Life<'a, M: DrivenMachine> {
    config: &'a M::Config,
    /// Which node and group this is, and the number of its latest start.
    identity: Option<(u32, u64, u64)>,
    /// The machine of the latest start.
    machine: Option<M>,
    /// Whether its file has ended.
    ended: bool,
    next_step: u64,
    /// The effects of the start, until they are compared.
    fx: Effects<M>,
    /// All records written and not lost, each with the fingerprint of the records up to it.
    written: Vec<(M::Record, Fingerprint)>,
    /// How many of them were recorded as durable.
    durable: u64,
    block: BytesMut,
    starts: u64,
    steps: u64,
    lost: u64,
}

impl<'a, M: DrivenMachine> Life<'a, M> {
    fn new(config: &'a M::Config) -> Self {
        Life {
            config,
            identity: None,
            machine: None,
            ended: true,
            next_step: 0,
            fx: Effects::new(),
            written: Vec::new(),
            durable: 0,
            block: BytesMut::new(),
            starts: 0,
            steps: 0,
            lost: 0,
        }
    }

    fn report(&self) -> ReplayReport {
        ReplayReport {
            starts: self.starts,
            steps: self.steps,
            records: self.written.len() as u64,
            lost: self.lost,
        }
    }

    fn line(&mut self, place: &Place<'_>, line: Line) -> Result<Moment<M>, Divergence> {
        match line {
            Line::Start(start) => self.start(place, &start),
            Line::Step(step) => self.step(place, step),
            Line::Durable(records) if !self.ended => {
                let written = self.written.len() as u64;
                if !(self.durable..=written).contains(&records) {
                    return Err(place.invalid(format_args!(
                        "{records} records durable, after {} of {written}",
                        self.durable
                    )));
                }
                self.durable = records;
                Ok(Moment::Durable { records })
            }
            Line::Durable(_) => Err(place.invalid("durable records before a start")),
        }
    }

    fn start(&mut self, place: &Place<'_>, start: &Start) -> Result<Moment<M>, Divergence> {
        if start.format != FORMAT {
            let format = start.format;
            return Err(place.invalid(format_args!("format {format}, expected {FORMAT}")));
        }
        if !self.ended {
            return Err(place.invalid("a second start"));
        }
        if let Some((node, group, number)) = self.identity
            && ((node, group) != (start.node, start.group) || start.number <= number)
        {
            return Err(place.invalid(format_args!(
                "start {} of node {} and group {} after start {number} of {node} and {group}",
                start.number, start.node, start.group
            )));
        }
        let written = self.written.len() as u64;
        if !(self.durable..=written).contains(&start.durable) {
            return Err(Divergence::Records {
                file: place.file.into(),
                found: start.durable,
                durable: self.durable,
                written,
            });
        }
        self.lost += written - start.durable;
        self.written.truncate(start.durable as usize);
        let fingerprint = self.fingerprint();
        if fingerprint.text() != start.fingerprint {
            return Err(Divergence::Fingerprint {
                file: place.file.into(),
                records: start.durable,
            });
        }
        let mut durable = M::Durable::default();
        for (record, _) in &self.written {
            M::apply(&mut durable, record);
        }
        self.fx = Effects::new();
        let machine = M::start(self.config, &durable, &mut self.fx);
        let before = self.machine.replace(machine);
        self.ended = false;
        self.identity = Some((start.node, start.group, start.number));
        self.durable = start.durable;
        self.next_step = 0;
        self.starts += 1;
        let found = start.durable;
        Ok(Moment::Started { before, found })
    }

    fn step(&mut self, place: &Place<'_>, step: Step) -> Result<Moment<M>, Divergence> {
        let machine = self.machine.as_mut().filter(|_| !self.ended);
        let Some(machine) = machine else {
            return Err(place.invalid("a step before a start"));
        };
        if step.index != self.next_step {
            let expected = self.next_step;
            return Err(place.invalid(format_args!("step {}, expected {expected}", step.index)));
        }
        let event = event::<M>(&step.event).map_err(|error| place.invalid(error))?;
        if event.is_some() != (step.index > 0) {
            return Err(place.invalid("a start that is not the first step, or none"));
        }
        if let Some(event) = &event {
            machine.step(self.config, event.clone(), &mut self.fx);
        }
        let got = format!("{:?}", self.fx);
        if got != step.effects {
            return Err(Divergence::Effects {
                file: place.file.into(),
                step: step.index,
                event: describe::<M>(&step.event),
                expected: step.effects,
                got,
            });
        }
        let effects = std::mem::take(&mut self.fx);
        self.write(&effects);
        self.next_step += 1;
        self.steps += 1;
        Ok(Moment::Stepped { event, effects })
    }

    /// Writes the step's records.
    fn write(&mut self, effects: &Effects<M>) {
        let mut fingerprint = self.fingerprint();
        for record in effects.records() {
            self.block.clear();
            record.encode(&mut self.block);
            fingerprint.add(&self.block);
            self.written.push((record.clone(), fingerprint));
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        self.written
            .last()
            .map_or_else(Fingerprint::default, |(_, fingerprint)| *fingerprint)
    }
}

/// The event of a recorded step; none for a start.
fn event<M: DrivenMachine>(event: &LoggedEvent) -> Result<Option<Event<M>>, Malformed> {
    Ok(Some(match event {
        LoggedEvent::Start => return Ok(None),
        LoggedEvent::Command(command) => Event::Command(decode(command)?),
        LoggedEvent::Timeout(timer) => Event::Timeout(decode(timer)?),
        LoggedEvent::Receive { from, message } => Event::Receive {
            from: NodeId(*from),
            message: decode(message)?,
        },
    }))
}

/// The event as a reader wants it.
fn describe<M: DrivenMachine>(logged: &LoggedEvent) -> String {
    match event::<M>(logged) {
        Ok(Some(event)) => format!("{event:?}"),
        _ => format!("{logged:?}"),
    }
}

fn decode<T: Wire>(hex: &str) -> Result<T, Malformed> {
    let bytes = from_hex(hex).ok_or_else(|| Malformed::new("not hexadecimal"))?;
    T::decode(Bytes::from(bytes))
}
