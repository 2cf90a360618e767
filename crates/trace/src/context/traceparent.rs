//! `traceparent`: which trace a request belongs to, and which span made it.

use std::fmt;
use std::str::FromStr;

use crate::{InvalidId, SpanId, TraceId};

/// Recommendations of the caller, one bit each (3.2.2.5).
///
/// Only the bits that Level 2 defines exist here; what a later version sends beside them is dropped when
/// it is read, because a sender sets the bits it does not know to zero (3.2.2.5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceFlags(u8);

impl TraceFlags {
    /// The caller may have recorded the trace (3.2.2.5.1).
    pub const SAMPLED: TraceFlags = TraceFlags(1);
    /// At least the last 7 bytes of the trace id are random, so that a sampler may use them as its dice
    /// (3.2.2.5.2).
    pub const RANDOM: TraceFlags = TraceFlags(2);

    /// The bits of a byte that are known; the rest is dropped.
    pub const fn from_byte(byte: u8) -> Self {
        TraceFlags(byte & (Self::SAMPLED.0 | Self::RANDOM.0))
    }

    /// As the byte of the header.
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// See [`TraceFlags::SAMPLED`].
    pub const fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED.0 != 0
    }

    /// See [`TraceFlags::RANDOM`].
    pub const fn is_random(self) -> bool {
        self.0 & Self::RANDOM.0 != 0
    }
}

impl std::ops::BitOr for TraceFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        TraceFlags(self.0 | other.0)
    }
}

/// The value of a `traceparent` header, of version `00`.
///
/// ```
/// use quorate_trace::context::TraceParent;
///
/// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent: TraceParent = header.parse()?;
/// assert!(parent.flags.is_sampled());
/// assert_eq!(parent.to_string(), header);
///
/// // A later version is read as far as it is known, and sent on as what is known.
/// let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-and-more";
/// let parent: TraceParent = later.parse()?;
/// assert_eq!(parent.to_string(), header.replace("-01", "-03"));
/// # Ok::<(), quorate_trace::context::InvalidTraceParent>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace.
    pub trace_id: TraceId,
    /// The span that made the request; `parent-id` in the specification, as seen by who receives it.
    pub span_id: SpanId,
    /// What the caller recommends.
    pub flags: TraceFlags,
}

/// Why a request's `traceparent` cannot be used. The receiver starts a new trace (3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTraceParent {
    /// There are several, and nobody can say which one counts.
    #[error("several traceparent headers")]
    Several,
    /// Neither version 00 with its 55 characters, nor a later one with at least as many and a dash after
    /// them.
    #[error("a traceparent of the wrong length")]
    Length,
    /// A dash is not where it should be.
    #[error("a traceparent without a dash between its fields")]
    Delimiter,
    /// Two lowercase hexadecimal digits, and not `ff`, were expected.
    #[error("a traceparent of no valid version")]
    Version,
    /// What is wrong with the trace id.
    #[error("trace id: {0}")]
    TraceId(InvalidId),
    /// What is wrong with the parent's id.
    #[error("parent id: {0}")]
    ParentId(InvalidId),
    /// Two lowercase hexadecimal digits were expected.
    #[error("trace flags that are not two lowercase hexadecimal digits")]
    Flags,
}

/// Where the fields begin in `vv-tttttttttttttttttttttttttttttttt-pppppppppppppppp-ff`.
const TRACE_ID: usize = 3;
const PARENT_ID: usize = 36;
const FLAGS: usize = 53;

impl TraceParent {
    /// Characters of version `00`.
    pub const LENGTH: usize = 55;

    /// Reads the value of a header, without white space around it.
    ///
    /// A version above `00` is read by its first 55 characters, which must be followed by a dash if there
    /// are more; what comes then is not looked at (3.2.4).
    ///
    /// # Errors
    ///
    /// If anything of it is invalid, the whole is.
    pub fn parse(value: &[u8]) -> Result<Self, InvalidTraceParent> {
        // The version says how long the header may be, so it comes first.
        let version = match value {
            [high, low, b'-', ..] => lowercase_byte(*high, *low),
            _ => None,
        };
        match (version, value.get(Self::LENGTH)) {
            (None | Some(0xff), _) => return Err(InvalidTraceParent::Version),
            (Some(0), Some(_)) => return Err(InvalidTraceParent::Length),
            (Some(_), None | Some(b'-')) => {}
            (Some(_), Some(_)) => return Err(InvalidTraceParent::Delimiter),
        }
        let fields: &[u8; Self::LENGTH] = value.first_chunk().ok_or(InvalidTraceParent::Length)?;
        if fields[PARENT_ID - 1] != b'-' || fields[FLAGS - 1] != b'-' {
            return Err(InvalidTraceParent::Delimiter);
        }
        let trace_id = text(&fields[TRACE_ID..PARENT_ID - 1]).and_then(TraceId::from_lowercase_hex);
        let span_id = text(&fields[PARENT_ID..FLAGS - 1]).and_then(SpanId::from_lowercase_hex);
        let flags = lowercase_byte(fields[FLAGS], fields[FLAGS + 1]);
        Ok(TraceParent {
            trace_id: trace_id.map_err(InvalidTraceParent::TraceId)?,
            span_id: span_id.map_err(InvalidTraceParent::ParentId)?,
            flags: TraceFlags::from_byte(flags.ok_or(InvalidTraceParent::Flags)?),
        })
    }
}

fn text(bytes: &[u8]) -> Result<&str, InvalidId> {
    std::str::from_utf8(bytes).map_err(|_| InvalidId::Digit)
}

fn lowercase_byte(high: u8, low: u8) -> Option<u8> {
    Some(lowercase_digit(high)? << 4 | lowercase_digit(low)?)
}

fn lowercase_digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(value: &str) -> Result<Self, InvalidTraceParent> {
        Self::parse(value.as_bytes())
    }
}

/// As version `00`, the highest that is known here (3.2.4).
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = self.flags.byte();
        write!(f, "00-{}-{}-{flags:02x}", self.trace_id, self.span_id)
    }
}
