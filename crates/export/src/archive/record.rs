//! What the archive's queue holds: parts of sealed traces, and where files end.
//!
//! ```text
//! offset  bytes  all numbers little-endian
//!      0      1  0: a part of a trace
//!      1      1  the verdict
//!      2      8  the revision
//!     10      8  when it was sealed, in milliseconds since 1970
//!     18         an OTLP `TracesData`
//!
//!      0      1  1: a cut
//!      1      8  the last batch of a file that was finished
//! ```

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use quorate_trace::Verdict;

use super::rows::Sealing;

const TRACE: u8 = 0;
const CUT: u8 = 1;

/// Bytes before the message.
const HEADER_BYTES: usize = 18;

/// A record of the queue.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Trace(Sealing, Bytes),
    /// A file ends with this batch, and was or will be written so: see [`super::writer`].
    Cut(u64),
}

impl Entry {
    pub(crate) fn trace(sealing: Sealing, message: &[u8]) -> Bytes {
        let mut record = BytesMut::with_capacity(HEADER_BYTES + message.len());
        record.put_u8(TRACE);
        record.put_u8(match sealing.verdict {
            Verdict::Complete => 0,
            Verdict::Incomplete => 1,
            Verdict::Evicted => 2,
        });
        record.put_u64_le(sealing.revision);
        record.put_u64_le(sealing.sealed_at_ms);
        record.put_slice(message);
        record.freeze()
    }

    pub(crate) fn cut(batch: u64) -> Bytes {
        let mut record = BytesMut::with_capacity(9);
        record.put_u8(CUT);
        record.put_u64_le(batch);
        record.freeze()
    }

    /// None if it is none of ours.
    pub(crate) fn decode(mut record: Bytes) -> Option<Entry> {
        match record.try_get_u8().ok()? {
            TRACE => {
                let verdict = match record.try_get_u8().ok()? {
                    0 => Verdict::Complete,
                    1 => Verdict::Incomplete,
                    2 => Verdict::Evicted,
                    _ => return None,
                };
                let sealing = Sealing {
                    verdict,
                    revision: record.try_get_u64_le().ok()?,
                    sealed_at_ms: record.try_get_u64_le().ok()?,
                };
                Some(Entry::Trace(sealing, record))
            }
            CUT => record.try_get_u64_le().ok().map(Entry::Cut),
            _ => None,
        }
    }
}

pub(crate) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_their_encoding() {
        for verdict in [Verdict::Complete, Verdict::Incomplete, Verdict::Evicted] {
            let sealing = Sealing {
                verdict,
                revision: 7,
                sealed_at_ms: 1 << 40,
            };
            match Entry::decode(Entry::trace(sealing, b"message")) {
                Some(Entry::Trace(decoded, message)) => {
                    assert_eq!((decoded, &message[..]), (sealing, &b"message"[..]));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(
            Entry::decode(Entry::cut(99)),
            Some(Entry::Cut(99))
        ));
    }

    #[test]
    fn what_is_none_of_ours_is_not_read() {
        for bytes in [
            &b""[..],
            b"\0",
            b"\0\x03aaaaaaaabbbbbbbb",
            b"\x01abc",
            b"\x02",
        ] {
            assert!(
                Entry::decode(Bytes::from_static(bytes)).is_none(),
                "{bytes:?}"
            );
        }
    }
}
