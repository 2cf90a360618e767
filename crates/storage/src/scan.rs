//! What a crash may have taken, and what it cannot have taken.
//!
//! The log is written in *rounds*: one write with the batches that were queued, then one sync, then
//! the next round. So when a batch of round *r + 1* is on the disk, round *r* was synced and
//! acknowledged. It follows that
//!
//! - damage in the last round is a torn write: nobody was told of it, and it is cut off;
//! - damage in any earlier round, or a round that is missing, is a disk that lost what it had
//!   promised: the log is refused.
//!
//! The engine's own recovery cuts the newest file at the first thing that it cannot read, whatever
//! follows: of 380 single bits flipped in the middle of a log, 37 made it drop every later batch
//! without an error. Therefore, before it runs, the files are searched for intact frames, damaged
//! places skipped, and recovery is told how far it must leave each file alone.
//!
//! Rounds whose batches were all released are deleted with their files, oldest first. The log's own
//! group says from which round on everything is needed ([`retention`](crate::retention)): files that
//! begin later have lost something. A file system that forgets one deletion and keeps a later one would
//! make it look like damage; those with a journal do not.
//!
//! An opened log begins with an empty round, and a closed one ends with one, so what was there before
//! is never in the last round. What remains undecidable, here as in every log that appends, is a bit
//! that flips in the last round before a crash and the next start.

use crate::OpenError;
use crate::frame::{self, Header};
use crate::log::{LogId, OWN_GROUP};
use crate::retention::{Marks, Progress, Segment};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// What the files hold.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// The highest round of which a frame was found; 0 for an empty log.
    pub(crate) last_round: u64,
    /// How much of each file was acknowledged: everything before the last round.
    pub(crate) acknowledged: HashMap<PathBuf, u64>,
    /// The last acknowledged batch of each group.
    pub(crate) batches: BTreeMap<u64, u64>,
    /// The last batch of each group in the last round.
    pub(crate) last_batches: BTreeMap<u64, u64>,
    /// The files, and what they hold.
    pub(crate) segments: Vec<Segment>,
    /// No round before this one is needed.
    pub(crate) floor: u64,
    /// What the groups have released, and how far they had come then.
    pub(crate) marks: HashMap<u64, Progress>,
}

/// The number of files of the engine in `dir`, and their bytes: a log that was never completely
/// created has little more than a file header.
pub(crate) fn segment_bytes(dir: &Path) -> Result<u64, OpenError> {
    let mut bytes = 0;
    for (_, path) in segments(dir)? {
        let metadata = path.metadata().map_err(OpenError::io("reading", &path))?;
        bytes += metadata.len();
    }
    Ok(bytes)
}

/// Reads all files of the log and says what recovery must keep.
pub(crate) fn scan(dir: &Path, id: LogId) -> Result<Scan, OpenError> {
    let segments = segments(dir)?;
    let mut scanner = Scanner::default();
    let Some((first, oldest)) = segments.first() else {
        return Err(damaged(dir, 0, "all files are missing".to_owned()));
    };
    for (expected, (number, path)) in (*first..).zip(&segments) {
        if *number != expected {
            return Err(damaged(path, 0, format!("file {expected} is missing")));
        }
        let bytes = fs::read(path).map_err(OpenError::io("reading", path))?;
        scanner.file(*number, path, bytes.into(), id)?;
    }
    scanner.finish(oldest)
}

#[derive(Default)]
struct Scanner {
    found: Scan,
    /// Round and position of the frame that has to come next, unless the round is over.
    next: (u64, u32),
    /// Where the frame found last ends.
    end: Option<(PathBuf, u64)>,
    /// How many frames the current round has.
    frames: u32,
    /// The first frame that is missing from the current round, and what comes after it.
    gap: Option<(PathBuf, u64)>,
}

impl Scanner {
    fn file(&mut self, number: u64, path: &Path, bytes: Bytes, id: LogId) -> Result<(), OpenError> {
        let mut segment = Segment {
            number,
            bytes: bytes.len() as u64,
            ..Segment::default()
        };
        let mut at = 0;
        while let Some((offset, header, length)) = next_frame(&bytes, at, id) {
            // Damage begins where the last intact frame of this file ended.
            self.frame(path, at as u64, header)?;
            if segment.first_round == 0 {
                segment.first_round = header.round;
            }
            if header.group == OWN_GROUP.0 {
                self.marks(path, offset, &bytes.slice(offset..offset + length))?;
            } else {
                segment.needed.insert(header.group, header.batch);
            }
            at = offset + length;
            self.end = Some((path.to_owned(), at as u64));
        }
        if segment.first_round > 0 {
            self.found.segments.push(segment);
        }
        Ok(())
    }

    /// Reads what the log's own group says.
    fn marks(&mut self, path: &Path, at: usize, frame: &Bytes) -> Result<(), OpenError> {
        for record in frame::records(frame).unwrap_or_default() {
            let Some(marks) = Marks::decode(&record) else {
                let problem = "the log's own record cannot be read".to_owned();
                return Err(damaged(path, at as u64, problem));
            };
            self.found.floor = marks.floor;
            self.found.marks.extend(marks.groups);
        }
        Ok(())
    }

    fn finish(self, oldest: &Path) -> Result<Scan, OpenError> {
        let found = self.found;
        let first_round = found.segments.first().map(|file| file.first_round);
        if first_round.is_some_and(|first| first > found.floor.max(1)) {
            let problem = format!("round {} is missing, before this file", found.floor.max(1));
            return Err(damaged(oldest, 0, problem));
        }
        Ok(found)
    }

    fn frame(&mut self, path: &Path, at: u64, header: Header) -> Result<(), OpenError> {
        let (round, position) = self.next;
        if header.round > self.found.last_round {
            let is_first = self.found.last_round == 0;
            let complete = position == self.frames && self.gap.is_none();
            if !is_first && (!complete || header.round != self.found.last_round + 1) {
                let (file, offset) = self.gap.take().unwrap_or((path.to_owned(), at));
                let problem = format!("a batch is missing, though round {} follows", header.round);
                return Err(damaged(&file, offset, problem));
            }
            self.begin_round(header);
        } else if header.round != round || header.position < position {
            let problem = format!("a batch of round {} is out of place", header.round);
            return Err(damaged(path, at, problem));
        }
        if header.position != self.next.1 && self.gap.is_none() {
            self.gap = Some((path.to_owned(), at));
        }
        self.next = (header.round, header.position + 1);
        self.found.last_batches.insert(header.group, header.batch);
        Ok(())
    }

    /// A new round has begun: what came before was acknowledged.
    fn begin_round(&mut self, header: Header) {
        if let Some((path, bytes)) = self.end.take() {
            self.found.acknowledged.insert(path, bytes);
        }
        let before = std::mem::take(&mut self.found.last_batches);
        self.found.batches.extend(before);
        self.found.last_round = header.round;
        self.frames = header.frames;
        self.next = (header.round, 0);
    }
}

/// The next intact frame at or after `from`: where, what, how long.
fn next_frame(bytes: &[u8], from: usize, id: LogId) -> Option<(usize, Header, usize)> {
    let mut at = from;
    loop {
        // The id is random, so it is found hardly anywhere but in frames.
        let found = bytes.get(at + frame::ID_OFFSET..)?;
        at += found.windows(id.0.len()).position(|bytes| *bytes == id.0)?;
        if let Some((header, length)) = frame::decode(&bytes[at..], id) {
            return Some((at, header, length));
        }
        at += 1;
    }
}

/// The engine's files by number.
fn segments(dir: &Path) -> Result<Vec<(u64, PathBuf)>, OpenError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(OpenError::io("reading", dir))? {
        let path = entry.map_err(OpenError::io("reading", dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_suffix(".raftlog")?.parse().ok());
        if let Some(number) = number {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

pub(crate) fn damaged(file: &Path, offset: u64, problem: String) -> OpenError {
    OpenError::Damaged {
        file: file.to_owned(),
        offset,
        problem,
    }
}
