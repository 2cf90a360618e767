//! A batch as bytes.
//!
//! ```text
//! offset  bytes  all numbers little-endian
//!      0      8  the batch's number within its group, from 1
//!      8      8  the log's id: random, so that no record's content can pass for a frame
//!     16      4  CRC-32 of everything else in the frame
//!     20      4  length of the frame
//!     24      8  round: the number of the write that carried it, from 1
//!     32      4  position within the round, from 0
//!     36      4  frames in the round
//!     40      8  group
//!     48      4  records
//!     52         each record: 4 bytes of length, then its bytes
//! ```
//!
//! The engine below has checksums of its own. These exist because of what it does not keep: with
//! round, position and id, [`scan`](crate::scan) tells a torn tail from a damaged middle.

use crate::log::LogId;
use bytes::Bytes;

/// Where the log's id is, from a frame's start.
pub(crate) const ID_OFFSET: usize = 8;
const CRC_OFFSET: usize = 16;
const RECORDS_OFFSET: usize = 48;
pub(crate) const HEADER_BYTES: usize = 52;
pub(crate) const RECORD_HEADER_BYTES: usize = 4;

/// Everything in a frame but its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The batch's number within its group.
    pub(crate) batch: u64,
    pub(crate) round: u64,
    pub(crate) position: u32,
    pub(crate) frames: u32,
    pub(crate) group: u64,
}

/// How long the frame of these records is.
pub(crate) fn frame_bytes(records: &[Bytes]) -> usize {
    let content: usize = records.iter().map(Bytes::len).sum();
    HEADER_BYTES + content + records.len() * RECORD_HEADER_BYTES
}

/// Replaces `out` by the frame. The frame is within [`MAX_BATCH_BYTES`](crate::MAX_BATCH_BYTES), so
/// lengths fit.
pub(crate) fn encode(out: &mut Vec<u8>, id: LogId, header: Header, records: &[Bytes]) {
    let length = frame_bytes(records);
    debug_assert!(length <= crate::MAX_BATCH_BYTES);
    out.clear();
    out.reserve(length);
    out.extend_from_slice(&header.batch.to_le_bytes());
    out.extend_from_slice(&id.0);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.extend_from_slice(&header.round.to_le_bytes());
    out.extend_from_slice(&header.position.to_le_bytes());
    out.extend_from_slice(&header.frames.to_le_bytes());
    out.extend_from_slice(&header.group.to_le_bytes());
    out.extend_from_slice(&(records.len() as u32).to_le_bytes());
    for record in records {
        out.extend_from_slice(&(record.len() as u32).to_le_bytes());
        out.extend_from_slice(record);
    }
    let crc = checksum(out).to_le_bytes();
    out[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc);
}

/// The frame at the start of `bytes` and its length; `None` if there is no intact one.
pub(crate) fn decode(bytes: &[u8], id: LogId) -> Option<(Header, usize)> {
    if bytes.get(ID_OFFSET..CRC_OFFSET)? != id.0 {
        return None;
    }
    let length = u32_at(bytes, 20)? as usize;
    if length < HEADER_BYTES {
        return None;
    }
    let frame = bytes.get(..length)?;
    if u32_at(frame, CRC_OFFSET)? != checksum(frame) {
        return None;
    }
    let header = Header {
        batch: u64_at(frame, 0)?,
        round: u64_at(frame, 24)?,
        position: u32_at(frame, 32)?,
        frames: u32_at(frame, 36)?,
        group: u64_at(frame, 40)?,
    };
    Some((header, length))
}

/// The records of an intact frame, as slices of it; `None` if their lengths do not add up.
pub(crate) fn records(frame: &Bytes) -> Option<Vec<Bytes>> {
    let count = u32_at(frame, RECORDS_OFFSET)? as usize;
    let mut at = HEADER_BYTES;
    let mut records = Vec::with_capacity(count.min(frame.len() / RECORD_HEADER_BYTES));
    for _ in 0..count {
        let start = at + RECORD_HEADER_BYTES;
        let end = start.checked_add(u32_at(frame, at)? as usize)?;
        if end > frame.len() {
            return None;
        }
        records.push(frame.slice(start..end));
        at = end;
    }
    (at == frame.len()).then_some(records)
}

fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..CRC_OFFSET]);
    hasher.update(&frame[CRC_OFFSET + 4..]);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: LogId = LogId(*b"log id 1");

    fn header() -> Header {
        Header {
            batch: 7,
            round: 3,
            position: 1,
            frames: 2,
            group: 9,
        }
    }

    proptest! {
        #[test]
        fn a_frame_round_trips(contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..8)) {
            let batch: Vec<Bytes> = contents.into_iter().map(Bytes::from).collect();
            let mut out = Vec::new();
            encode(&mut out, ID, header(), &batch);
            prop_assert_eq!(out.len(), frame_bytes(&batch));
            prop_assert_eq!(decode(&out, ID), Some((header(), out.len())));
            prop_assert_eq!(records(&Bytes::from(out)), Some(batch));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(&bytes, ID), None);
            records(&Bytes::from(bytes));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut out = Vec::new();
        encode(&mut out, ID, header(), &[Bytes::from_static(b"record")]);
        for bit in 0..out.len() * 8 {
            let mut flipped = out.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped, ID), None, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_of_another_log_is_not_ours() {
        let mut out = Vec::new();
        encode(&mut out, LogId(*b"log id 2"), header(), &[]);
        assert_eq!(decode(&out, ID), None);
    }
}
