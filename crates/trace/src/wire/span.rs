//! A span as a view of its bytes.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

use super::reader::{Reader, Tag};
use crate::{SpanId, SpanKey, TraceId};

/// The role of a span in a call. Numbers as in OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SpanKind {
    /// Not said; to be taken as internal.
    #[default]
    Unspecified = 0,
    /// Within a process.
    Internal = 1,
    /// Handles a remote call.
    Server = 2,
    /// Makes a remote call.
    Client = 3,
    /// Puts a message on its way; may end before the consumer begins.
    Producer = 4,
    /// Handles a message.
    Consumer = 5,
}

impl SpanKind {
    /// Of OTLP's number; what is unknown is unspecified.
    pub const fn from_number(number: i32) -> Self {
        match number {
            1 => SpanKind::Internal,
            2 => SpanKind::Server,
            3 => SpanKind::Client,
            4 => SpanKind::Producer,
            5 => SpanKind::Consumer,
            _ => SpanKind::Unspecified,
        }
    }

    /// Lowercase, as in Jaeger's `span.kind` tag.
    pub const fn name(self) -> &'static str {
        match self {
            SpanKind::Unspecified => "unspecified",
            SpanKind::Internal => "internal",
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
        }
    }
}

/// How an operation ended. Numbers as in OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StatusCode {
    /// Not said.
    #[default]
    Unset = 0,
    /// Declared a success by the application.
    Ok = 1,
    /// Failed.
    Error = 2,
}

impl StatusCode {
    /// Of OTLP's number; what is unknown is unset.
    pub const fn from_number(number: i32) -> Self {
        match number {
            1 => StatusCode::Ok,
            2 => StatusCode::Error,
            _ => StatusCode::Unset,
        }
    }
}

/// A span, borrowed from the message that it came in.
#[derive(Clone, Copy)]
pub struct Span<'a> {
    /// Its trace.
    pub trace_id: TraceId,
    /// Itself.
    pub span_id: SpanId,
    /// The span that caused it; none for a root.
    pub parent: Option<SpanId>,
    /// Its role.
    pub kind: SpanKind,
    /// How it ended.
    pub status: StatusCode,
    /// Begin, in nanoseconds since 1970 by the clock of its host.
    pub start: u64,
    /// End, in nanoseconds since 1970 by the clock of its host; may be before the begin.
    pub end: u64,
    /// The operation.
    pub name: &'a str,
    /// `service.name` of its resource; `unknown_service` if there is none.
    pub service: &'a str,
    /// W3C trace flags and OTLP's own bits above them.
    pub flags: u32,
    pub(super) bytes: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) resource: &'a [(u32, u32)],
    pub(super) scope: &'a [(u32, u32)],
}

pub(super) fn key(id: SpanId, message: &[u8]) -> SpanKey {
    SpanKey {
        id,
        content: xxh3_64(message),
    }
}

impl<'a> Span<'a> {
    /// Nanoseconds from begin to end; zero if it ends before it begins.
    pub fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Which span of its trace it is.
    pub fn key(&self) -> SpanKey {
        key(self.span_id, self.bytes)
    }

    /// Its `Span` message as received.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its own attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.bytes, 9)
    }

    /// The last attribute of this key.
    pub fn attribute(&self, key: &str) -> Option<Value<'a>> {
        let found = self.attributes().unread();
        let found = found.filter(|(name, _)| *name == key.as_bytes());
        found.last().map(|(_, value)| value.read())
    }

    /// The attributes of its resource: service, host, process.
    pub fn resource_attributes(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + 'a {
        self.headers(self.resource, 1)
            .flat_map(|resource| Attributes::new(resource, 1))
    }

    /// Name and version of the instrumentation that made it.
    pub fn scope(&self) -> (&'a str, &'a str) {
        let mut found = ("", "");
        for scope in self.headers(self.scope, 1) {
            for (field, text) in Fields::new(scope) {
                match field {
                    1 => found.0 = str_of(text),
                    2 => found.1 = str_of(text),
                    _ => {}
                }
            }
        }
        found
    }

    /// Attributes of the instrumentation scope.
    pub fn scope_attributes(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + 'a {
        self.headers(self.scope, 1)
            .flat_map(|scope| Attributes::new(scope, 3))
    }

    fn headers(
        &self,
        ranges: &'a [(u32, u32)],
        wanted: u32,
    ) -> impl Iterator<Item = &'a [u8]> + 'a {
        let body = self.body;
        ranges
            .iter()
            .flat_map(move |(from, to)| Fields::new(&body[*from as usize..*to as usize]))
            .filter(move |(field, _)| *field == wanted)
            .map(|(_, bytes)| bytes)
    }

    /// Things that happened during the span.
    pub fn events(&self) -> Events<'a> {
        Events(Fields::new(self.bytes))
    }

    /// Spans, of this or other traces, that it has to do with.
    pub fn links(&self) -> Links<'a> {
        Links(Fields::new(self.bytes))
    }

    /// `tracestate` of the span.
    pub fn trace_state(&self) -> &'a str {
        str_of(last(Fields::new(self.bytes), 3))
    }

    /// What the application said about its status.
    pub fn status_message(&self) -> &'a str {
        let statuses = Fields::new(self.bytes).filter(|(field, _)| *field == 15);
        let messages = statuses.flat_map(|(_, status)| Fields::new(status));
        str_of(last(messages, 2))
    }
}

impl std::fmt::Debug for Span<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Span")
            .field("trace_id", &self.trace_id)
            .field("span_id", &self.span_id)
            .field("parent", &self.parent)
            .field("service", &self.service)
            .field("name", &self.name)
            .field("start", &self.start)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// The length-delimited fields of a message that was checked before: number and content.
#[derive(Clone)]
pub(super) struct Fields<'a>(Reader<'a>);

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Fields(Reader::new(message))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_at_end() {
            let tag = self.0.tag().ok()?;
            if tag.wire == super::reader::WireType::Length {
                return Some((tag.field, self.0.slice().ok()?));
            }
            self.0.skip(tag, super::reader::PROST_DEPTH).ok()?;
        }
        None
    }
}

fn last<'a>(fields: impl Iterator<Item = (u32, &'a [u8])>, wanted: u32) -> &'a [u8] {
    let found = fields.filter(|(field, _)| *field == wanted).last();
    found.map_or(&[], |(_, bytes)| bytes)
}

/// All texts were checked by the scan.
fn str_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Attributes in the order of the message; keys may repeat.
#[derive(Clone)]
pub struct Attributes<'a> {
    fields: Fields<'a>,
    number: u32,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(message: &'a [u8], number: u32) -> Self {
        Attributes {
            fields: Fields::new(message),
            number,
        }
    }
}

impl<'a> Attributes<'a> {
    /// The keys' bytes, with values that are read when they are asked for: for whoever looks for few keys.
    pub fn unread(self) -> impl Iterator<Item = (&'a [u8], Unread<'a>)> {
        let Attributes { fields, number } = self;
        let attributes = fields.filter(move |(field, _)| *field == number);
        attributes.map(|(_, attribute)| (last(Fields::new(attribute), 1), Unread(attribute)))
    }
}

/// An attribute whose value was not looked at.
#[derive(Clone, Copy)]
pub struct Unread<'a>(&'a [u8]);

impl<'a> Unread<'a> {
    /// Its value.
    pub fn read(self) -> Value<'a> {
        let values = Fields::new(self.0).filter(|(field, _)| *field == 2);
        values.fold(Value::Empty, |before, (_, bytes)| {
            Value::read(bytes, before)
        })
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.number;
        let (_, attribute) = self.fields.find(|(field, _)| *field == number)?;
        let (mut key, mut value) = ("", Value::Empty);
        for (field, bytes) in Fields::new(attribute) {
            match field {
                1 => key = str_of(bytes),
                2 => value = Value::read(bytes, value),
                _ => {}
            }
        }
        Some((key, value))
    }
}

impl std::fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.clone()).finish()
    }
}

/// Values of an array.
#[derive(Clone)]
pub struct Values<'a>(Fields<'a>);

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (_, bytes) = self.0.find(|(field, _)| *field == 1)?;
        Some(Value::read(bytes, Value::Empty))
    }
}

impl std::fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// The value of an attribute.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// None was given.
    Empty,
    /// A text.
    String(&'a str),
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number; may be infinite or not a number.
    Double(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Values, nested at most as deep as the limit of the scan.
    Array(Values<'a>),
    /// Keys and values, nested at most as deep as the limit of the scan.
    Map(Attributes<'a>),
}

impl<'a> Value<'a> {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value as plain text: strings as they are, numbers in decimal; arrays, maps and bytes not.
    pub fn to_text(&self) -> Option<Cow<'a, str>> {
        Some(match self {
            Value::String(text) => Cow::Borrowed(*text),
            Value::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Value::Int(value) => Cow::Owned(value.to_string()),
            Value::Double(value) => Cow::Owned(value.to_string()),
            Value::Empty | Value::Bytes(_) | Value::Array(_) | Value::Map(_) => return None,
        })
    }

    /// Reads an `AnyValue`; without any field in it the value stays `before`, as merging has it.
    fn read(message: &'a [u8], before: Value<'a>) -> Value<'a> {
        let mut reader = Reader::new(message);
        let mut value = before;
        while !reader.is_at_end() {
            match Value::field(&mut reader) {
                Some(Some(read)) => value = read,
                Some(None) => {}
                None => break,
            }
        }
        value
    }

    fn field(reader: &mut Reader<'a>) -> Option<Option<Value<'a>>> {
        let tag @ Tag { field, .. } = reader.tag().ok()?;
        Some(Some(match field {
            1 => Value::String(str_of(reader.slice().ok()?)),
            2 => Value::Bool(reader.varint().ok()? != 0),
            3 => Value::Int(reader.varint().ok()? as i64),
            4 => Value::Double(f64::from_bits(reader.fixed64().ok()?)),
            5 => Value::Array(Values(Fields::new(reader.slice().ok()?))),
            6 => Value::Map(Attributes::new(reader.slice().ok()?, 1)),
            7 => Value::Bytes(reader.slice().ok()?),
            // An index into a table of strings that only profiles have: no value of a trace.
            8 => {
                reader.varint().ok()?;
                Value::Empty
            }
            _ => {
                reader.skip(tag, super::reader::PROST_DEPTH).ok()?;
                return Some(None);
            }
        }))
    }
}

/// The events of a span.
#[derive(Clone)]
pub struct Events<'a>(Fields<'a>);

/// Something that happened during a span.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// What.
    pub name: &'a str,
    /// More about it.
    pub attributes: Attributes<'a>,
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        let (_, message) = self.0.find(|(field, _)| *field == 11)?;
        Some(Event {
            time: fixed64(message, 1),
            name: str_of(last(Fields::new(message), 2)),
            attributes: Attributes::new(message, 3),
        })
    }
}

/// The links of a span; those with invalid identifiers are left out.
#[derive(Clone)]
pub struct Links<'a>(Fields<'a>);

/// Another span that a span has to do with, often of another trace.
#[derive(Clone, Debug)]
pub struct Link<'a> {
    /// Its trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// Its `tracestate`.
    pub trace_state: &'a str,
    /// More about it.
    pub attributes: Attributes<'a>,
}

impl<'a> Iterator for Links<'a> {
    type Item = Link<'a>;

    fn next(&mut self) -> Option<Link<'a>> {
        loop {
            let (_, message) = self.0.find(|(field, _)| *field == 13)?;
            let ids = (
                TraceId::try_from(last(Fields::new(message), 1)),
                SpanId::try_from(last(Fields::new(message), 2)),
            );
            if let (Ok(trace_id), Ok(span_id)) = ids {
                return Some(Link {
                    trace_id,
                    span_id,
                    trace_state: str_of(last(Fields::new(message), 3)),
                    attributes: Attributes::new(message, 4),
                });
            }
        }
    }
}

fn fixed64(message: &[u8], wanted: u32) -> u64 {
    let mut reader = Reader::new(message);
    let mut found = 0;
    while !reader.is_at_end() {
        let Ok(tag) = reader.tag() else { break };
        if tag.field == wanted {
            let Ok(value) = reader.fixed64() else { break };
            found = value;
        } else if reader.skip(tag, super::reader::PROST_DEPTH).is_err() {
            break;
        }
    }
    found
}
