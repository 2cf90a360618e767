//! Reads protobuf's wire format from a slice, and checks messages against a table of their fields.
//!
//! It accepts exactly what prost accepts, so that what a client was told is accepted can be decoded by
//! everybody later.

use super::Problem;

/// The bytes are not the message that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an OTLP trace message: {0}")]
pub struct Malformed(pub(super) &'static str);

/// Nested messages that prost follows from the root before it gives up.
pub(super) const PROST_DEPTH: u32 = 100;

#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WireType {
    Varint,
    Fixed64,
    Length,
    StartGroup,
    EndGroup,
    Fixed32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) field: u32,
    pub(super) wire: WireType,
}

impl Tag {
    pub(super) fn expect(self, wire: WireType) -> Result<(), Malformed> {
        if self.wire == wire {
            Ok(())
        } else {
            Err(Malformed("a field has the wrong wire type"))
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    /// Of a part of a message; positions count from the start of `bytes`.
    pub(super) fn within(bytes: &'a [u8], from: usize, to: usize) -> Self {
        Reader {
            bytes: &bytes[..to],
            at: from,
        }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for count in 0..10 {
            let byte = *self
                .bytes
                .get(self.at)
                .ok_or(Malformed("it ends in the middle of a number"))?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << (7 * count);
            if byte < 0x80 {
                // The tenth byte has room for one bit.
                return if count == 9 && byte > 1 {
                    Err(Malformed("a number has more than 64 bits"))
                } else {
                    Ok(value)
                };
            }
        }
        Err(Malformed("a number has more than 64 bits"))
    }

    /// The next field's tag.
    #[inline]
    pub(super) fn tag(&mut self) -> Result<Tag, Malformed> {
        let key = self.varint()?;
        let field =
            u32::try_from(key >> 3).map_err(|_| Malformed("a field number is too large"))?;
        if key > u64::from(u32::MAX) {
            return Err(Malformed("a field number is too large"));
        }
        if field == 0 {
            return Err(Malformed("a field has the number zero"));
        }
        let wire = match key & 7 {
            0 => WireType::Varint,
            1 => WireType::Fixed64,
            2 => WireType::Length,
            3 => WireType::StartGroup,
            4 => WireType::EndGroup,
            5 => WireType::Fixed32,
            _ => return Err(Malformed("a wire type is unknown")),
        };
        Ok(Tag { field, wire })
    }

    /// Reads a length and skips that many bytes; says where they are.
    #[inline]
    pub(super) fn length(&mut self) -> Result<(usize, usize), Malformed> {
        let length = self.varint()?;
        let from = self.at;
        let left = (self.bytes.len() - from) as u64;
        if length > left {
            return Err(Malformed("a field is longer than the message"));
        }
        self.at = from + length as usize;
        Ok((from, self.at))
    }

    #[inline]
    pub(super) fn slice(&mut self) -> Result<&'a [u8], Malformed> {
        let (from, to) = self.length()?;
        Ok(&self.bytes[from..to])
    }

    #[inline]
    pub(super) fn fixed64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    #[inline]
    pub(super) fn fixed32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self
            .bytes
            .get(self.at..)
            .and_then(<[u8]>::first_chunk)
            .ok_or(Malformed("it ends in the middle of a number"))?;
        self.at += N;
        Ok(*bytes)
    }

    /// Skips a field that nobody asked for. `depth` is how many messages deeper may go.
    pub(super) fn skip(&mut self, tag: Tag, depth: u32) -> Result<(), Malformed> {
        if depth == 0 {
            return Err(Malformed("unknown fields are nested too deeply"));
        }
        match tag.wire {
            WireType::Varint => drop(self.varint()?),
            WireType::Fixed64 => drop(self.fixed64()?),
            WireType::Fixed32 => drop(self.fixed32()?),
            WireType::Length => drop(self.length()?),
            WireType::EndGroup => return Err(Malformed("a group ends that did not begin")),
            WireType::StartGroup => self.skip_group(tag.field, depth)?,
        }
        Ok(())
    }

    fn skip_group(&mut self, field: u32, depth: u32) -> Result<(), Malformed> {
        loop {
            let tag = self.tag()?;
            if tag.wire == WireType::EndGroup {
                return if tag.field == field {
                    Ok(())
                } else {
                    Err(Malformed("a group ends that did not begin"))
                };
            }
            self.skip(tag, depth - 1)?;
        }
    }
}

/// What a field of a message holds.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Varint,
    Fixed32,
    Fixed64,
    Bytes,
    Text,
    /// A message, with its own table.
    Message(&'static Table),
    /// A message that merges with others of the same field; see [`Problem::Repeated`].
    Once(&'static Table),
    /// An attribute: counted, otherwise as a message.
    Attribute,
}

/// The fields of a message by their numbers.
pub(super) struct Table(pub(super) &'static [(u32, Field)]);

impl Table {
    fn field(&self, number: u32) -> Option<Field> {
        let found = self.0.iter().find(|(candidate, _)| *candidate == number);
        found.map(|(_, field)| *field)
    }
}

static KEY_VALUE: Table = Table(&[
    (1, Field::Text),
    (2, Field::Once(&ANY_VALUE)),
    (3, Field::Varint),
]);
static ANY_VALUE: Table = Table(&[
    (1, Field::Text),
    (2, Field::Varint),
    (3, Field::Varint),
    (4, Field::Fixed64),
    (5, Field::Once(&ARRAY)),
    (6, Field::Once(&KEY_VALUES)),
    (7, Field::Bytes),
    (8, Field::Varint),
]);
static ARRAY: Table = Table(&[(1, Field::Message(&ANY_VALUE))]);
static KEY_VALUES: Table = Table(&[(1, Field::Attribute)]);
static ENTITY: Table = Table(&[
    (1, Field::Text),
    (2, Field::Text),
    (3, Field::Text),
    (4, Field::Text),
]);
pub(super) static RESOURCE: Table = Table(&[
    (1, Field::Attribute),
    (2, Field::Varint),
    (3, Field::Message(&ENTITY)),
]);
pub(super) static SCOPE: Table = Table(&[
    (1, Field::Text),
    (2, Field::Text),
    (3, Field::Attribute),
    (4, Field::Varint),
]);
pub(super) static EVENT: Table = Table(&[
    (1, Field::Fixed64),
    (2, Field::Text),
    (3, Field::Attribute),
    (4, Field::Varint),
]);
pub(super) static LINK: Table = Table(&[
    (1, Field::Bytes),
    (2, Field::Bytes),
    (3, Field::Text),
    (4, Field::Attribute),
    (5, Field::Varint),
    (6, Field::Fixed32),
]);
pub(super) static STATUS: Table = Table(&[(2, Field::Text), (3, Field::Varint)]);

/// Whether an attribute is of the form that nearly all have: a short key, then a short text, a whole number
/// or a truth value, all texts ASCII. Nothing more needs to be checked then, and it takes a third of the
/// time.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    let [0x0a, key_length, rest @ ..] = bytes else {
        return false;
    };
    let Some((key, rest)) = rest.split_at_checked(usize::from(*key_length)) else {
        return false;
    };
    let [0x12, value_length, value @ ..] = rest else {
        return false;
    };
    // Lengths of one byte only.
    if (*key_length | *value_length) >= 0x80 || usize::from(*value_length) != value.len() {
        return false;
    }
    match value {
        // Tags and lengths below 0x80 are ASCII themselves, so one look at all of it is enough.
        [0x0a, length, text @ ..] => usize::from(*length) == text.len() && bytes.is_ascii(),
        [0x10, 0 | 1] => key.is_ascii(),
        [0x18, digits @ .., last] => {
            digits.len() < 9
                && *last < 0x80
                && digits.iter().all(|digit| *digit >= 0x80)
                && key.is_ascii()
        }
        _ => false,
    }
}

/// Checks parts of one span, resource or scope; remembers the first problem that is not one of the
/// wire format.
pub(super) struct Checker {
    pub(super) attributes_left: u32,
    pub(super) nesting: u32,
    pub(super) problem: Option<Problem>,
}

impl Checker {
    pub(super) fn text(&mut self, bytes: &[u8]) {
        if std::str::from_utf8(bytes).is_err() {
            self.problem.get_or_insert(Problem::Utf8);
        }
    }

    /// Checks an attribute; `depth` counts the messages that enclose it, it included.
    #[inline]
    pub(super) fn attribute(&mut self, bytes: &[u8], depth: u32) -> Result<(), Malformed> {
        match self.attributes_left.checked_sub(1) {
            Some(left) => self.attributes_left = left,
            None => {
                self.problem.get_or_insert(Problem::TooManyAttributes);
            }
        }
        if depth < self.nesting && is_plain(bytes) {
            return Ok(());
        }
        self.message(bytes, &KEY_VALUE, depth)
    }

    pub(super) fn message(
        &mut self,
        bytes: &[u8],
        table: &Table,
        depth: u32,
    ) -> Result<(), Malformed> {
        if depth > self.nesting {
            self.problem.get_or_insert(Problem::TooDeep);
            return Ok(());
        }
        let mut reader = Reader::new(bytes);
        let mut has_value = false;
        while !reader.is_at_end() {
            let tag = reader.tag()?;
            let Some(field) = table.field(tag.field) else {
                reader.skip(tag, PROST_DEPTH.saturating_sub(depth))?;
                continue;
            };
            match field {
                Field::Varint => {
                    tag.expect(WireType::Varint)?;
                    reader.varint()?;
                }
                Field::Fixed32 => {
                    tag.expect(WireType::Fixed32)?;
                    reader.fixed32()?;
                }
                Field::Fixed64 => {
                    tag.expect(WireType::Fixed64)?;
                    reader.fixed64()?;
                }
                Field::Bytes => {
                    tag.expect(WireType::Length)?;
                    reader.length()?;
                }
                Field::Text => {
                    tag.expect(WireType::Length)?;
                    self.text(reader.slice()?);
                }
                Field::Message(inner) => {
                    tag.expect(WireType::Length)?;
                    self.message(reader.slice()?, inner, depth + 1)?;
                }
                Field::Once(inner) => {
                    tag.expect(WireType::Length)?;
                    self.message(reader.slice()?, inner, depth + 1)?;
                    if std::mem::replace(&mut has_value, true) {
                        self.problem.get_or_insert(Problem::Repeated);
                    }
                }
                Field::Attribute => {
                    tag.expect(WireType::Length)?;
                    self.attribute(reader.slice()?, depth + 1)?;
                }
            }
        }
        Ok(())
    }
}
