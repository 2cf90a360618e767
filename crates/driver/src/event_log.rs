//! The event log: what happened to a machine, and what it wanted done about it.
//!
//! One file per start of a driver, one JSON value per line:
//!
//! ```json
//! {"start":{"format":1,"node":1,"group":7,"number":1,"durable":0,"fingerprint":"cbf29ce484222325"}}
//! {"step":{"index":0,"event":"start","effects":"Effects { records: [], … }"}}
//! {"step":{"index":1,"event":{"receive":{"from":2,"message":"0a01"}},"effects":"Effects { … }"}}
//! {"durable":3}
//! ```
//!
//! Messages, commands and timers are in hexadecimal, in their own encoding; effects are their `Debug`
//! text, which is what replays are compared by. `durable` is the number of records, since the start of
//! the process, that are known to be on disk.
//!
//! A turn's lines are written with one write(2) before any effect of the turn leaves the node, without
//! a sync: they survive the process, which is what a replay after `kill -9` needs, not the machine.

use crate::edge::DrivenMachine;
use bytes::BytesMut;
use quorate_machine::{Effects, Event, GroupId, NodeId};
use quorate_transport::Wire;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Version of the format of the file.
pub(crate) const FORMAT: u32 = 1;

/// More than a first line has.
const START_BYTES: u64 = 4096;

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Line {
    Start(Start),
    Step(Step),
    Durable(u64),
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) format: u32,
    pub(crate) node: u32,
    pub(crate) group: u64,
    /// Counts the starts of the node that were recorded, from one.
    pub(crate) number: u64,
    /// The records that were found durable.
    pub(crate) durable: u64,
    /// Hash of these records, in hexadecimal.
    pub(crate) fingerprint: String,
}

/// One step; the one with index zero is the machine's start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) index: u64,
    pub(crate) event: LoggedEvent,
    pub(crate) effects: String,
}

/// An event with its content in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LoggedEvent {
    Start,
    Command(String),
    Receive { from: u32, message: String },
    Timeout(String),
}

/// How many records there are, and a hash of them in order. Equal for equal sequences; for others it
/// differs but for accidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    pub(crate) records: u64,
    hash: u64,
}

impl Default for Fingerprint {
    fn default() -> Self {
        Fingerprint {
            records: 0,
            hash: 0xcbf2_9ce4_8422_2325,
        }
    }
}

impl Fingerprint {
    /// Adds the encoding of one more record. FNV-1a: the same in every version of the program, unlike
    /// the standard library's hasher.
    pub fn add(&mut self, record: &[u8]) {
        self.records += 1;
        let length = (record.len() as u64).to_le_bytes();
        for byte in length.iter().chain(record) {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    pub(crate) fn text(&self) -> String {
        format!("{:016x}", self.hash)
    }
}

/// Writes the event log of one start: the driver's own, and that of whoever drives a machine otherwise.
///
/// Each step is an event, but for the first, and the effects that it had. Lines are kept until they are
/// [flushed](Recorder::flush), which must come before any effect of these steps leaves the node.
pub struct Recorder {
    file: File,
    /// Lines that are not written yet.
    lines: Vec<u8>,
    index: u64,
    /// The event whose effects come next.
    event: LoggedEvent,
    /// Records that were durable at the start.
    recovered: u64,
    broken: bool,
    block: BytesMut,
}

impl Recorder {
    /// Begins the file of a new start in `folder`, which is created if missing.
    ///
    /// # Errors
    ///
    /// If the folder or the file cannot be created.
    pub fn create(
        folder: &Path,
        node: NodeId,
        group: GroupId,
        recovered: Fingerprint,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (file, number) = next_file(folder, node, group)?;
        let mut recorder = Recorder {
            file,
            lines: Vec::new(),
            index: 0,
            event: LoggedEvent::Start,
            recovered: recovered.records,
            broken: false,
            block: BytesMut::new(),
        };
        recorder.line(&Line::Start(Start {
            format: FORMAT,
            node: node.0,
            group: group.0,
            number,
            durable: recovered.records,
            fingerprint: recovered.text(),
        }));
        Ok(recorder)
    }

    /// The next step's event.
    pub fn event<M: DrivenMachine>(&mut self, event: &Event<M>) {
        self.event = match event {
            Event::Command(command) => LoggedEvent::Command(self.hex(command)),
            Event::Receive { from, message } => LoggedEvent::Receive {
                from: from.0,
                message: self.hex(message),
            },
            Event::Timeout(timer) => LoggedEvent::Timeout(self.hex(timer)),
        };
    }

    /// The effects of that step.
    pub fn effects<M: DrivenMachine>(&mut self, fx: &Effects<M>) {
        let step = Step {
            index: self.index,
            event: std::mem::replace(&mut self.event, LoggedEvent::Start),
            effects: format!("{fx:?}"),
        };
        self.line(&Line::Step(step));
        self.index += 1;
    }

    /// So many records have become durable since the start, all together.
    pub fn durable(&mut self, records: u64) {
        self.line(&Line::Durable(self.recovered + records));
    }

    /// Hands the lines of the turn to the operating system.
    pub fn flush(&mut self) {
        if self.broken || self.lines.is_empty() {
            return;
        }
        // The node works without its event log, and what is in it stays a valid beginning.
        if let Err(error) = self.file.write_all(&self.lines) {
            tracing::error!(%error, "the event log ends here");
            self.broken = true;
        }
        self.lines.clear();
    }

    fn line(&mut self, line: &Line) {
        if self.broken {
            return;
        }
        // Writing to memory does not fail, and the types are made of strings and numbers.
        if let Err(error) = serde_json::to_writer(&mut self.lines, line) {
            tracing::error!(%error, "the event log ends here");
            self.broken = true;
        }
        self.lines.push(b'\n');
    }

    fn hex(&mut self, value: &impl Wire) -> String {
        self.block.clear();
        value.encode(&mut self.block);
        to_hex(&self.block)
    }
}

/// The event logs of one group on one node in `folder`, in the order of the starts: what
/// [`replay`](crate::replay()) takes.
///
/// # Errors
///
/// If the folder cannot be read.
pub fn event_logs(folder: &Path, node: NodeId, group: GroupId) -> io::Result<Vec<PathBuf>> {
    let prefix = format!("{node}-{group}-");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(&prefix)?.strip_suffix(".jsonl"))
            .and_then(|number| number.parse::<u64>().ok());
        if let Some(number) = number {
            files.push((number, folder.join(name)));
        }
    }
    files.sort_unstable();
    Ok(files.into_iter().map(|(_, file)| file).collect())
}

/// The node and the group of the event log at `file`, and the number of the start; nothing if its first
/// line says none of it.
///
/// # Errors
///
/// If the file cannot be read.
pub fn event_log_node(file: &Path) -> io::Result<Option<(NodeId, GroupId, u64)>> {
    let mut first = Vec::new();
    let mut start = BufReader::new(File::open(file)?).take(START_BYTES);
    start.read_until(b'\n', &mut first)?;
    Ok(match serde_json::from_slice(&first) {
        Ok(Line::Start(start)) => Some((NodeId(start.node), GroupId(start.group), start.number)),
        _ => None,
    })
}

/// The file of the first start that has none.
fn next_file(folder: &Path, node: NodeId, group: GroupId) -> io::Result<(File, u64)> {
    let mut number = 1;
    loop {
        let path = folder.join(format!("{node}-{group}-{number:06}.jsonl"));
        match OpenOptions::new().create_new(true).append(true).open(path) {
            Ok(file) => return Ok((file, number)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pair = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_hexadecimal_is_refused() {
        for text in ["0", "0g", "é0", "+1"] {
            assert_eq!(from_hex(text), None, "{text}");
        }
    }

    #[test]
    fn a_fingerprint_tells_where_records_end() {
        let mut one = Fingerprint::default();
        one.add(b"ab");
        one.add(b"");
        let mut other = Fingerprint::default();
        other.add(b"a");
        other.add(b"b");
        assert_ne!(one.text(), other.text());
    }

    #[test]
    fn event_logs_are_found_in_the_order_of_the_starts() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let ours = |number: &str| folder.path().join(format!("n1-g2-{number}.jsonl"));
        for number in ["1000000", "000002", "000001", "x"] {
            std::fs::write(ours(number), "").expect("a file");
        }
        std::fs::write(folder.path().join("n11-g2-000001.jsonl"), "").expect("a file");
        let found = event_logs(folder.path(), NodeId(1), GroupId(2)).expect("a folder");
        assert_eq!(found, ["000001", "000002", "1000000"].map(ours));
        assert!(event_logs(&ours("none"), NodeId(1), GroupId(2)).is_err());
    }

    #[test]
    fn an_event_log_says_whose_it_is() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let (node, group) = (NodeId(3), GroupId(7));
        Recorder::create(folder.path(), node, group, Fingerprint::default())
            .expect("a file")
            .flush();
        let files = event_logs(folder.path(), node, group).expect("a folder");
        let said = event_log_node(&files[0]).expect("a file");
        assert_eq!(said, Some((node, group, 1)));
        std::fs::write(&files[0], "{\"durable\":1}\n").expect("a file");
        assert_eq!(event_log_node(&files[0]).expect("a file"), None);
    }

    proptest! {
        #[test]
        fn hexadecimal_comes_back(bytes: Vec<u8>) {
            prop_assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        }
    }
}
