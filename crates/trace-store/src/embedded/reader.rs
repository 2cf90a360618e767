//! Reading parts of blocks: they are decompressed, and the latest stay in memory.
//!
//! Who amends a trace reads it twice, for what it has and then for the whole, and traces that are amended at the
//! same time were mostly stored together. So a few parts are enough to read each of them once.

use std::collections::VecDeque;

use bytes::Bytes;
use fjall::Keyspace;
use parking_lot::Mutex;
use zstd::bulk::Decompressor;

use super::block::{FRAGMENT_BYTES_MAX, Kind, LENGTH_BYTES, chunk_key, key};
use crate::StoreError;

/// What stays in memory.
const RECENT_BYTES: usize = 8 << 20;
/// A longer part does not: it would be instead of all others.
const PART_BYTES_MAX: usize = RECENT_BYTES / 8;
/// Decompressors that wait to be used again; each has tables of 160 KiB.
const IDLE_MAX: usize = 4;

/// A part of a block. Blocks are numbered through all partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its summaries.
    Rows { block: u64 },
    /// Spans of some traces.
    Chunk { block: u64, chunk: u32 },
}

/// Reads parts. What is written of a block never changes, so what is in memory stays true.
#[derive(Default)]
pub(crate) struct Reader {
    idle: Mutex<Vec<Decompressor<'static>>>,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    /// The latest last.
    parts: VecDeque<(Part, Bytes)>,
    bytes: usize,
}

impl Reader {
    /// A part, decompressed, which stays in memory for the next who reads it.
    pub(crate) fn read(&self, keyspace: &Keyspace, part: Part) -> Result<Bytes, StoreError> {
        if let Some(found) = self.recent.lock().find(part) {
            return Ok(found);
        }
        let bytes = self.read_once(keyspace, part)?;
        if bytes.len() <= PART_BYTES_MAX {
            self.recent.lock().add(part, bytes.clone());
        }
        Ok(bytes)
    }

    /// A part, decompressed, by one who passes over many of them.
    pub(crate) fn read_once(&self, keyspace: &Keyspace, part: Part) -> Result<Bytes, StoreError> {
        let value = match part {
            Part::Rows { block } => keyspace.get(key(Kind::Rows, block))?,
            Part::Chunk { block, chunk } => keyspace.get(chunk_key(block, chunk))?,
        };
        let value = value.ok_or_else(|| StoreError::damaged("a part of a block is missing"))?;
        let mut decompressor = match self.idle.lock().pop() {
            Some(decompressor) => decompressor,
            None => Decompressor::new()?,
        };
        let bytes = decompress(&value, &mut decompressor)?;
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(decompressor);
        }
        Ok(bytes.into())
    }

    /// Memory of the parts.
    pub(crate) fn bytes(&self) -> usize {
        self.recent.lock().bytes
    }
}

impl Recent {
    fn find(&self, wanted: Part) -> Option<Bytes> {
        let mut latest_first = self.parts.iter().rev();
        let found = latest_first.find(|(part, _)| *part == wanted);
        found.map(|(_, bytes)| bytes.clone())
    }

    fn add(&mut self, part: Part, bytes: Bytes) {
        self.bytes += bytes.len();
        self.parts.push_back((part, bytes));
        while self.bytes > RECENT_BYTES
            && let Some((_, oldest)) = self.parts.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }
}

fn decompress(
    value: &[u8],
    decompressor: &mut Decompressor<'static>,
) -> Result<Vec<u8>, StoreError> {
    let damaged = |what: &str| StoreError::damaged(format!("a part of a block: {what}"));
    let (length, frame) = value
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or_else(|| damaged("it has no length"))?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > FRAGMENT_BYTES_MAX {
        return Err(damaged("it is longer than any"));
    }
    let part = decompressor
        .decompress(frame, length)
        .map_err(|error| damaged(&error.to_string()))?;
    if part.len() != length {
        return Err(damaged("it is not as long as it says"));
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_parts_stay_within_the_bound() {
        let mut recent = Recent::default();
        let part = |number: u64| Part::Chunk {
            block: number / 10,
            chunk: (number % 10) as u32,
        };
        for number in 0..100 {
            recent.add(
                part(number),
                Bytes::from(vec![number as u8; PART_BYTES_MAX]),
            );
            assert!(recent.bytes <= RECENT_BYTES);
        }
        let there = (0..100).filter(|number| recent.find(part(*number)).is_some());
        assert_eq!(there.collect::<Vec<_>>(), (92..100).collect::<Vec<_>>());
        assert_eq!(recent.find(part(95)).unwrap()[0], 95);
        assert_eq!(recent.find(Part::Rows { block: 9 }), None);
    }
}
