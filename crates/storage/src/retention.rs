//! What of the log is still needed.
//!
//! A group's batches are numbered, and it releases them from the front. A file can go when every batch
//! in it is released, and only from the front as well: so rounds are contiguous in what is left, and
//! [`scan`](crate::scan) notices whatever else is missing.
//!
//! The engine's own purge is not used, because it moves live batches out of old files to free them. A
//! batch lives as long as a trace is open, here, and a file dies soon after its youngest batch: copying
//! would write most of the log twice. The price is that one group that never releases keeps every file
//! since its first batch.
//!
//! # On the disk
//!
//! Releases become *marks*, written into the log's own group with the next round, whenever that is: a
//! release asks for no write of its own. A mark that a crash takes is one that the caller has to make
//! again. Before files are deleted, one more round says what is no longer needed, and of which groups
//! how many batches there were; deleting begins when that is synced.
//!
//! ```text
//! offset  bytes  the one record of a frame of the log's own group; all numbers little-endian
//!      0      8  the floor: the first round that is needed
//!      8     24  for each mark: group, last batch released, last batch written
//! ```

use crate::GroupId;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap, VecDeque};

const FLOOR_BYTES: usize = 8;
const MARK_BYTES: usize = 24;

/// How far a group has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The last batch that was queued.
    queued: u64,
    /// The last batch that is durable.
    pub(crate) written: u64,
    /// The last batch that is not needed any more; never beyond `written`.
    pub(crate) released: u64,
}

impl Progress {
    /// Of a group whose last batch in the files is `batch`, and of which the marks say `marked`.
    pub(crate) fn found(batch: u64, marked: Progress) -> Progress {
        let written = batch.max(marked.written);
        Progress {
            queued: written,
            written,
            released: marked.released,
        }
    }
}

/// What the log's own group says about the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// No round before this one is needed.
    pub(crate) floor: u64,
    pub(crate) groups: Vec<(u64, Progress)>,
}

impl Marks {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(FLOOR_BYTES + self.groups.len() * MARK_BYTES);
        out.extend_from_slice(&self.floor.to_le_bytes());
        for (group, progress) in &self.groups {
            out.extend_from_slice(&group.to_le_bytes());
            out.extend_from_slice(&progress.released.to_le_bytes());
            out.extend_from_slice(&progress.written.to_le_bytes());
        }
        out.into()
    }

    /// `None` if the bytes are no marks.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Marks> {
        let (floor, groups) = bytes.split_first_chunk::<FLOOR_BYTES>()?;
        let (groups, []) = groups.as_chunks::<MARK_BYTES>() else {
            return None;
        };
        let groups = groups.iter().map(|mark| {
            let (numbers, _) = mark.as_chunks::<8>();
            let number = |at: usize| u64::from_le_bytes(numbers[at]);
            let progress = Progress {
                queued: number(2),
                written: number(2),
                released: number(1),
            };
            (number(0), progress)
        });
        Some(Marks {
            floor: u64::from_le_bytes(*floor),
            groups: groups.collect(),
        })
    }
}

/// One of the engine's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) first_round: u64,
    pub(crate) bytes: u64,
    /// The last batch here of each group that has not released it.
    pub(crate) needed: HashMap<u64, u64>,
}

/// The groups' progress, and which files hold what they need.
#[derive(Debug, Default)]
pub(crate) struct Retention {
    groups: HashMap<u64, Progress>,
    /// Those with needed batches, and the one that is written to; oldest first.
    segments: VecDeque<Segment>,
    /// Bytes of the files before `segments`, which are yet to be deleted.
    dead_bytes: u64,
    /// Deleting is put off until it frees this much: it ends the file that is written to.
    worthwhile_bytes: u64,
    floor: u64,
    /// Released since marks were written.
    changed: BTreeSet<u64>,
}

impl Retention {
    /// Of a log as it was found.
    pub(crate) fn new(
        groups: HashMap<u64, Progress>,
        segments: Vec<Segment>,
        floor: u64,
        worthwhile_bytes: u64,
    ) -> Retention {
        let mut retention = Retention {
            groups,
            segments: segments.into(),
            worthwhile_bytes,
            floor,
            ..Retention::default()
        };
        retention.retire();
        retention
    }

    pub(crate) fn progress(&self, group: GroupId) -> Progress {
        self.groups.get(&group.0).copied().unwrap_or_default()
    }

    /// The number of the group's next batch.
    pub(crate) fn queue(&mut self, group: GroupId) -> u64 {
        let progress = self.groups.entry(group.0).or_default();
        progress.queued += 1;
        progress.queued
    }

    /// A round that ends in `segment` is durable.
    pub(crate) fn written(
        &mut self,
        segment: u64,
        round: u64,
        bytes: u64,
        batches: impl Iterator<Item = (GroupId, u64)>,
    ) {
        if self
            .segments
            .back()
            .is_none_or(|last| last.number < segment)
        {
            self.segments.push_back(Segment {
                number: segment,
                first_round: round,
                ..Segment::default()
            });
        }
        if let Some(last) = self.segments.back_mut() {
            last.bytes += bytes;
            for (group, batch) in batches {
                last.needed.insert(group.0, batch);
                self.groups.entry(group.0).or_default().written = batch;
            }
        }
        self.retire();
    }

    /// The group needs its batches only after `up_to`; those that are not durable stay all the same.
    pub(crate) fn release(&mut self, group: GroupId, up_to: u64) {
        let Some(progress) = self.groups.get_mut(&group.0) else {
            return;
        };
        let up_to = up_to.min(progress.written);
        if up_to <= progress.released {
            return;
        }
        progress.released = up_to;
        self.changed.insert(group.0);
        let Some(oldest) = self.segments.front_mut() else {
            return;
        };
        if oldest
            .needed
            .get(&group.0)
            .is_some_and(|last| *last <= up_to)
        {
            oldest.needed.remove(&group.0);
            self.retire();
        }
    }

    /// Takes from the front the files that nobody needs, except for the last.
    fn retire(&mut self) {
        while let Some(oldest) = self.segments.front_mut() {
            let groups = &self.groups;
            let released = |group: &u64| groups.get(group).map_or(0, |progress| progress.released);
            oldest.needed.retain(|group, last| *last > released(group));
            if !oldest.needed.is_empty() || self.segments.len() == 1 {
                return;
            }
            self.dead_bytes += self.segments.pop_front().map_or(0, |file| file.bytes);
        }
    }

    /// Whether there is enough to be deleted.
    pub(crate) fn is_due(&self) -> bool {
        self.dead_bytes > self.worthwhile_bytes
    }

    /// The releases that no mark on the disk tells of; they are taken to be written next.
    pub(crate) fn take_changes(&mut self) -> Option<Marks> {
        if self.changed.is_empty() {
            return None;
        }
        let changed = std::mem::take(&mut self.changed);
        let groups = changed
            .into_iter()
            .map(|group| (group, self.groups[&group]));
        Some(Marks {
            floor: self.floor,
            groups: groups.collect(),
        })
    }

    /// All there is to know, to be written in `round` before files are deleted.
    pub(crate) fn take_all(&mut self, round: u64) -> Marks {
        self.changed.clear();
        // The file that is written to may be needed by nobody, and is deleted if the round takes a new
        // one.
        let needed = self.segments.iter().find(|file| !file.needed.is_empty());
        self.floor = needed.map_or(round, |file| file.first_round);
        Marks {
            floor: self.floor,
            groups: self.groups.iter().map(|(g, p)| (*g, *p)).collect(),
        }
    }

    /// Files with smaller numbers than `first` are gone.
    pub(crate) fn deleted(&mut self, first: u64) {
        self.segments.retain(|file| file.number >= first);
        self.dead_bytes = 0;
    }

    /// Bytes of batches that are on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.dead_bytes + self.segments.iter().map(|file| file.bytes).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: GroupId = GroupId(1);
    const B: GroupId = GroupId(2);

    /// Three files: A's batch 1 and B's 1, A's 2, A's 3.
    fn three_files() -> Retention {
        let mut retention = Retention::new(HashMap::new(), vec![], 1, 99);
        for (file, group) in [(1, A), (1, B), (2, A), (3, A)] {
            let batch = retention.queue(group);
            let round = file * 10 + batch;
            retention.written(file, round, 100, std::iter::once((group, batch)));
        }
        retention
    }

    #[test]
    fn a_file_goes_when_all_groups_have_released_it() {
        let mut retention = three_files();
        retention.release(A, 2);
        assert!(!retention.is_due());
        retention.release(B, 1);
        assert!(retention.is_due());
        assert_eq!(retention.bytes(), 400);
        assert_eq!(retention.take_all(50).floor, 33);
        retention.deleted(3);
        assert!(!retention.is_due());
        assert_eq!(retention.bytes(), 100);
    }

    #[test]
    fn what_is_not_durable_is_not_released() {
        let mut retention = three_files();
        assert_eq!(retention.queue(B), 2);
        retention.release(B, 2);
        assert_eq!(retention.progress(B).released, 1);
        retention.release(GroupId(77), 5);
        assert_eq!(retention.progress(GroupId(77)), Progress::default());
    }

    #[test]
    fn the_last_file_stays_and_the_floor_is_the_next_round_when_nothing_is_needed() {
        let mut retention = three_files();
        retention.release(B, 9);
        retention.release(A, 9);
        assert!(retention.is_due());
        assert_eq!(retention.segments.len(), 1);
        assert_eq!(retention.take_all(50).floor, 50);
    }

    #[test]
    fn marks_are_told_once_and_survive_their_encoding() {
        let mut retention = three_files();
        assert_eq!(retention.take_changes(), None);
        retention.release(A, 2);
        let marks = retention.take_changes().unwrap();
        assert_eq!(marks.groups.len(), 1);
        assert_eq!(Marks::decode(&marks.encode()).as_ref(), Some(&marks));
        assert_eq!(retention.take_changes(), None);
        assert_eq!(Marks::decode(&marks.encode()[..20]), None);
    }
}
