//! Where the revisions of a trace are.
//!
//! ```text
//! offset  bytes  all numbers big-endian
//!      0      4  the partition
//!      4     28  for each revision: revision, block, row, chunk, offset in the chunk, length
//! ```

use fjall::compaction::filter::{
    CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::reader::Part;
use crate::StoreError;

const LOCATION_BYTES: usize = 28;

/// All revisions of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The partition that all of them are in.
    pub(crate) partition: u32,
    /// In the order in which they were put.
    pub(crate) revisions: Vec<Location>,
}

/// Where a revision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) revision: u32,
    pub(crate) block: u64,
    /// Its summary, among those of the block.
    pub(crate) row: u32,
    /// The chunk of the block that its spans are in.
    pub(crate) chunk: u32,
    /// Where in that chunk, when it is decompressed.
    pub(crate) offset: u32,
    /// Zero if the spans were dropped.
    pub(crate) length: u32,
}

impl Location {
    /// The part of the block that its summary is in.
    pub(crate) fn rows(&self) -> Part {
        Part::Rows { block: self.block }
    }

    /// The part of the block that its spans are in.
    pub(crate) fn chunk(&self) -> Part {
        Part::Chunk {
            block: self.block,
            chunk: self.chunk,
        }
    }
}

impl Head {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.revisions.len() * LOCATION_BYTES);
        out.extend_from_slice(&self.partition.to_be_bytes());
        for location in &self.revisions {
            out.extend_from_slice(&location.revision.to_be_bytes());
            out.extend_from_slice(&location.block.to_be_bytes());
            out.extend_from_slice(&location.row.to_be_bytes());
            out.extend_from_slice(&location.chunk.to_be_bytes());
            out.extend_from_slice(&location.offset.to_be_bytes());
            out.extend_from_slice(&location.length.to_be_bytes());
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Head, StoreError> {
        let damaged = || StoreError::damaged("a trace's list of revisions cannot be read");
        let (partition, rest) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (locations, rest) = rest.as_chunks::<LOCATION_BYTES>();
        if locations.is_empty() || !rest.is_empty() {
            return Err(damaged());
        }
        let location = |bytes: &[u8; LOCATION_BYTES]| {
            let (words, _) = bytes.as_chunks::<4>();
            let word = |at: usize| u32::from_be_bytes(words[at]);
            Location {
                revision: word(0),
                block: u64::from(word(1)) << 32 | u64::from(word(2)),
                row: word(3),
                chunk: word(4),
                offset: word(5),
                length: word(6),
            }
        };
        Ok(Head {
            partition: u32::from_be_bytes(*partition),
            revisions: locations.iter().map(location).collect(),
        })
    }

    /// The highest revision.
    pub(crate) fn latest(&self) -> Option<&Location> {
        self.revisions
            .iter()
            .max_by_key(|location| location.revision)
    }

    pub(crate) fn has(&self, revision: u32) -> bool {
        let mut revisions = self.revisions.iter();
        revisions.any(|location| location.revision == revision)
    }
}

/// Forgets the heads of expired traces when the tree is compacted anyway, so that expiry costs no
/// deletions. Until then they are recognised by their partition.
#[derive(Clone)]
pub(crate) struct ExpiredHeads {
    /// The oldest partition that is there.
    pub(crate) oldest: Arc<AtomicU32>,
}

impl Factory for ExpiredHeads {
    fn name(&self) -> &str {
        "expired traces"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(ExpiredBefore(self.oldest.load(Ordering::Acquire)))
    }
}

struct ExpiredBefore(u32);

impl CompactionFilter for ExpiredBefore {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let value = item.value()?;
        let partition = value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        Ok(match partition {
            // An older head that this one hides is of an expired partition too: it may come to light.
            Some(partition) if partition < self.0 => Verdict::Destroy,
            _ => Verdict::Keep,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_round_trips_and_garbage_is_refused() {
        let location = |revision| Location {
            revision,
            block: 1 << 40,
            row: 2,
            chunk: 3,
            offset: 4,
            length: 5,
        };
        let head = Head {
            partition: 7,
            revisions: vec![location(2), location(1)],
        };
        let bytes = head.encode();
        assert_eq!(Head::decode(&bytes).unwrap(), head);
        assert_eq!(head.latest(), Some(&location(2)));
        assert!(Head::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Head::decode(&bytes[..4]).is_err());
    }
}
