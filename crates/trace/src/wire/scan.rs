//! One pass over a message.

use std::fmt;

use bytes::Bytes;

use super::reader::{self, Checker, Malformed, PROST_DEPTH, Reader, WireType};
use super::span::{Attributes, Span, SpanKind, StatusCode};
use crate::{SpanId, SpanKey, TraceId};

/// What a span may have at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attributes of a span together with those of its events and links, and of nested maps; likewise
    /// of a resource and of a scope.
    pub attributes: u32,
    /// Messages within messages, counted from the whole. An attribute of a span is at 4, its value at
    /// 5, and each array or map in it adds two or three. At most 100, where every protobuf decoder ends.
    pub nesting: u32,
}

impl Limits {
    /// As much as any protobuf decoder takes: for what was accepted before.
    pub const NONE: Limits = Limits {
        attributes: u32::MAX,
        nesting: PROST_DEPTH,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            attributes: 4096,
            nesting: 64,
        }
    }
}

/// Why a span is refused while others of its message are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Problem {
    /// A trace id that is not 16 bytes, a span id or parent id that is not 8, or one of zeros.
    InvalidId,
    /// A text that is not UTF-8.
    Utf8,
    /// More attributes than [`Limits::attributes`].
    TooManyAttributes,
    /// Values nested deeper than [`Limits::nesting`].
    TooDeep,
    /// An attribute with several values. Protobuf merges them where others would take the last; no
    /// encoder writes them.
    Repeated,
}

/// How many spans were refused, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// See [`Problem::InvalidId`].
    pub invalid_id: u32,
    /// See [`Problem::Utf8`].
    pub utf8: u32,
    /// See [`Problem::TooManyAttributes`].
    pub too_many_attributes: u32,
    /// See [`Problem::TooDeep`].
    pub too_deep: u32,
    /// See [`Problem::Repeated`].
    pub repeated: u32,
}

impl Refused {
    /// All of them.
    pub fn total(&self) -> u32 {
        self.by_reason().iter().map(|(_, count)| count).sum()
    }

    /// Each reason, as the value of a metric's label, with its number.
    pub fn by_reason(&self) -> [(&'static str, u32); 5] {
        [
            ("invalid_id", self.invalid_id),
            ("utf8", self.utf8),
            ("too_many_attributes", self.too_many_attributes),
            ("too_deep", self.too_deep),
            ("repeated", self.repeated),
        ]
    }

    fn count(&mut self, problem: Problem) {
        *match problem {
            Problem::InvalidId => &mut self.invalid_id,
            Problem::Utf8 => &mut self.utf8,
            Problem::TooManyAttributes => &mut self.too_many_attributes,
            Problem::TooDeep => &mut self.too_deep,
            Problem::Repeated => &mut self.repeated,
        } += 1;
    }
}

/// As told to the client in a partial success.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons = [
            (self.invalid_id, "with an invalid trace, span or parent id"),
            (self.utf8, "with text that is not UTF-8"),
            (self.too_many_attributes, "with too many attributes"),
            (self.too_deep, "with values nested too deeply"),
            (self.repeated, "with an attribute of several values"),
        ];
        let mut separator = "";
        for (count, reason) in reasons.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count} {reason}")?;
            separator = ", ";
        }
        Ok(())
    }
}

/// Most spans are longer, so that the list of them seldom has to grow.
const SPAN_BYTES_USUAL: usize = 384;

/// A range of the body.
pub(super) type Range = (u32, u32);

/// What the scan keeps of a span.
#[derive(Clone, Copy)]
struct Entry {
    trace_id: TraceId,
    span_id: SpanId,
    parent: Option<SpanId>,
    start: u64,
    end: u64,
    bytes: Range,
    name: Range,
    flags: u32,
    section: u32,
    kind: SpanKind,
    status: StatusCode,
}

/// One `ScopeSpans`: what its spans have in common.
#[derive(Clone, Copy, Default)]
struct Section {
    /// Fields of the `ResourceSpans` other than its `ScopeSpans`, as a range of `headers`.
    resource: Range,
    /// Fields of the `ScopeSpans` other than its spans, as a range of `headers`.
    scope: Range,
    /// Where the service's name is, in the body.
    service: Range,
}

/// The spans of one message, and the message itself. See the [module](super).
pub struct Batch {
    body: Bytes,
    spans: Vec<Entry>,
    sections: Vec<Section>,
    headers: Vec<Range>,
    refused: Refused,
}

impl Batch {
    /// Passes over `body`, an `ExportTraceServiceRequest` or `TracesData`.
    ///
    /// # Errors
    ///
    /// If it is not such a message, or is longer than 4 GiB. What is wrong with single spans is in
    /// [`Batch::refused`].
    pub fn scan(body: Bytes, limits: &Limits) -> Result<Batch, Malformed> {
        if u32::try_from(body.len()).is_err() {
            return Err(Malformed("it is longer than 4 GiB"));
        }
        let mut scan = Scan {
            body: &body,
            limits: Limits {
                nesting: limits.nesting.min(PROST_DEPTH),
                ..*limits
            },
            spans: Vec::with_capacity(body.len() / SPAN_BYTES_USUAL + 1),
            sections: Vec::new(),
            headers: Vec::new(),
            refused: Refused::default(),
        };
        scan.message()?;
        let Scan {
            mut spans,
            sections,
            headers,
            refused,
            ..
        } = scan;
        // It may be kept for as long as a trace is open.
        if spans.capacity() > spans.len() + spans.len() / 4 {
            spans.shrink_to_fit();
        }
        Ok(Batch {
            body,
            spans,
            sections,
            headers,
            refused,
        })
    }

    /// The bytes that were scanned, those of refused spans included.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// How many spans were accepted.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether no span was accepted.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Those that were not.
    pub fn refused(&self) -> Refused {
        self.refused
    }

    /// Bytes in memory: the body and what the scan keeps of it.
    pub fn bytes_in_memory(&self) -> usize {
        self.body.len()
            + self.spans.capacity() * size_of::<Entry>()
            + self.sections.capacity() * size_of::<Section>()
            + self.headers.capacity() * size_of::<Range>()
            + size_of::<Batch>()
    }

    /// Bytes of the span at `index`, which is below [`Batch::len`].
    pub fn span_bytes(&self, index: usize) -> usize {
        let (from, to) = self.spans[index].bytes;
        (to - from) as usize
    }

    /// Trace, span and parent of the span at `index`, which is below [`Batch::len`].
    pub fn identity(&self, index: usize) -> (TraceId, SpanKey, Option<SpanId>) {
        let entry = &self.spans[index];
        let key = super::span::key(entry.span_id, self.slice(entry.bytes));
        (entry.trace_id, key, entry.parent)
    }

    /// The span at `index`, which is below [`Batch::len`].
    pub fn span(&self, index: usize) -> Span<'_> {
        let entry = &self.spans[index];
        let section = &self.sections[entry.section as usize];
        let service = self.text(section.service);
        Span {
            trace_id: entry.trace_id,
            span_id: entry.span_id,
            parent: entry.parent,
            kind: entry.kind,
            status: entry.status,
            start: entry.start,
            end: entry.end,
            name: self.text(entry.name),
            service: if service.is_empty() {
                "unknown_service"
            } else {
                service
            },
            flags: entry.flags,
            bytes: self.slice(entry.bytes),
            body: &self.body,
            resource: slice_of(&self.headers, section.resource),
            scope: slice_of(&self.headers, section.scope),
        }
    }

    /// All spans, in the order of the message.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = Span<'_>> {
        (0..self.spans.len()).map(|index| self.span(index))
    }

    fn slice(&self, (from, to): Range) -> &[u8] {
        &self.body[from as usize..to as usize]
    }

    fn text(&self, range: Range) -> &str {
        std::str::from_utf8(self.slice(range)).unwrap_or_default()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.spans()).finish()
    }
}

fn slice_of(headers: &[Range], (from, to): Range) -> &[Range] {
    &headers[from as usize..to as usize]
}

struct Scan<'a> {
    body: &'a [u8],
    limits: Limits,
    spans: Vec<Entry>,
    sections: Vec<Section>,
    headers: Vec<Range>,
    refused: Refused,
}

impl<'a> Scan<'a> {
    fn message(&mut self) -> Result<(), Malformed> {
        let mut reader = Reader::new(self.body);
        while !reader.is_at_end() {
            let tag = reader.tag()?;
            if tag.field == 1 {
                tag.expect(WireType::Length)?;
                let (from, to) = reader.length()?;
                self.resource_spans(from, to)?;
            } else {
                reader.skip(tag, PROST_DEPTH)?;
            }
        }
        Ok(())
    }

    fn checker(&self) -> Checker {
        Checker {
            attributes_left: self.limits.attributes,
            nesting: self.limits.nesting,
            problem: None,
        }
    }

    fn resource_spans(&mut self, from: usize, to: usize) -> Result<(), Malformed> {
        let (first_span, first_section) = (self.spans.len(), self.sections.len());
        let mut checker = self.checker();
        let mut service = (0, 0);
        let mut headers = Vec::new();
        let mut reader = Reader::within(self.body, from, to);
        while !reader.is_at_end() {
            let before = reader.position();
            let tag = reader.tag()?;
            match tag.field {
                1 => {
                    tag.expect(WireType::Length)?;
                    let resource = reader.slice()?;
                    checker.message(resource, &reader::RESOURCE, 2)?;
                    if checker.problem.is_none() && service == (0, 0) {
                        service = self.service(resource);
                    }
                }
                2 => {
                    tag.expect(WireType::Length)?;
                    let (from, to) = reader.length()?;
                    self.scope_spans(from, to)?;
                    continue;
                }
                3 => {
                    tag.expect(WireType::Length)?;
                    checker.text(reader.slice()?);
                }
                _ => reader.skip(tag, PROST_DEPTH - 1)?,
            }
            headers.push(range(before, reader.position()));
        }
        // A resource may come after its spans; so it is added to them when all is read.
        let resource = self.add_headers(&headers);
        for section in &mut self.sections[first_section..] {
            section.resource = resource;
            section.service = service;
        }
        if let Some(problem) = checker.problem {
            self.refuse_since(first_span, problem);
        }
        Ok(())
    }

    /// Where the first `service.name` that is a text is in the body.
    fn service(&self, resource: &'a [u8]) -> Range {
        let names = Attributes::new(resource, 1).filter(|(key, _)| *key == "service.name");
        let Some(name) = names.filter_map(|(_, value)| value.as_str()).next() else {
            return (0, 0);
        };
        let from = name.as_ptr().addr() - self.body.as_ptr().addr();
        range(from, from + name.len())
    }

    fn add_headers(&mut self, headers: &[Range]) -> Range {
        let from = self.headers.len();
        self.headers.extend_from_slice(headers);
        range(from, self.headers.len())
    }

    fn refuse_since(&mut self, first: usize, problem: Problem) {
        for _ in self.spans.drain(first..) {
            self.refused.count(problem);
        }
    }

    fn scope_spans(&mut self, from: usize, to: usize) -> Result<(), Malformed> {
        let first_span = self.spans.len();
        let section = self.sections.len() as u32;
        self.sections.push(Section::default());
        let mut checker = self.checker();
        let mut headers = Vec::new();
        let mut reader = Reader::within(self.body, from, to);
        while !reader.is_at_end() {
            let before = reader.position();
            let tag = reader.tag()?;
            match tag.field {
                1 => {
                    tag.expect(WireType::Length)?;
                    checker.message(reader.slice()?, &reader::SCOPE, 3)?;
                }
                2 => {
                    tag.expect(WireType::Length)?;
                    let (from, to) = reader.length()?;
                    match self.span(from, to, section)? {
                        Ok(entry) => self.spans.push(entry),
                        Err(problem) => self.refused.count(problem),
                    }
                    continue;
                }
                3 => {
                    tag.expect(WireType::Length)?;
                    checker.text(reader.slice()?);
                }
                _ => reader.skip(tag, PROST_DEPTH - 2)?,
            }
            headers.push(range(before, reader.position()));
        }
        self.sections[section as usize].scope = self.add_headers(&headers);
        if let Some(problem) = checker.problem {
            self.refuse_since(first_span, problem);
        }
        Ok(())
    }

    fn span(
        &self,
        from: usize,
        to: usize,
        section: u32,
    ) -> Result<Result<Entry, Problem>, Malformed> {
        let mut checker = self.checker();
        let (mut trace_id, mut span_id, mut parent): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
        let (mut start, mut end, mut flags) = (0, 0, 0);
        let (mut kind, mut status) = (SpanKind::default(), StatusCode::default());
        let mut name = range(from, from);
        let mut reader = Reader::within(self.body, from, to);
        while !reader.is_at_end() {
            let tag = reader.tag()?;
            match tag.field {
                1 | 2 | 4 => {
                    tag.expect(WireType::Length)?;
                    let id = reader.slice()?;
                    match tag.field {
                        1 => trace_id = id,
                        2 => span_id = id,
                        _ => parent = id,
                    }
                }
                3 | 5 => {
                    tag.expect(WireType::Length)?;
                    let (from, to) = reader.length()?;
                    checker.text(&self.body[from..to]);
                    if tag.field == 5 {
                        name = range(from, to);
                    }
                }
                6 => {
                    tag.expect(WireType::Varint)?;
                    kind = SpanKind::from_number(reader.varint()? as i32);
                }
                7 | 8 => {
                    tag.expect(WireType::Fixed64)?;
                    let time = reader.fixed64()?;
                    *if tag.field == 7 { &mut start } else { &mut end } = time;
                }
                9 => {
                    tag.expect(WireType::Length)?;
                    checker.attribute(reader.slice()?, 4)?;
                }
                10 | 12 | 14 => {
                    tag.expect(WireType::Varint)?;
                    reader.varint()?;
                }
                11 => {
                    tag.expect(WireType::Length)?;
                    checker.message(reader.slice()?, &reader::EVENT, 4)?;
                }
                13 => {
                    tag.expect(WireType::Length)?;
                    checker.message(reader.slice()?, &reader::LINK, 4)?;
                }
                15 => {
                    tag.expect(WireType::Length)?;
                    let message = reader.slice()?;
                    checker.message(message, &reader::STATUS, 4)?;
                    status = status_code(message, status)?;
                }
                16 => {
                    tag.expect(WireType::Fixed32)?;
                    flags = reader.fixed32()?;
                }
                _ => reader.skip(tag, PROST_DEPTH - 3)?,
            }
        }
        let ids = (
            TraceId::try_from(trace_id),
            SpanId::try_from(span_id),
            parent_id(parent),
        );
        let (Ok(trace_id), Ok(span_id), Ok(parent)) = ids else {
            return Ok(Err(Problem::InvalidId));
        };
        Ok(match checker.problem {
            Some(problem) => Err(problem),
            None => Ok(Entry {
                trace_id,
                span_id,
                parent,
                start,
                end,
                bytes: range(from, to),
                name,
                flags,
                section,
                kind,
                status,
            }),
        })
    }
}

/// No parent is told by an empty field; some SDKs send zeros instead.
fn parent_id(bytes: &[u8]) -> Result<Option<SpanId>, crate::InvalidId> {
    match SpanId::try_from(bytes) {
        Ok(id) => Ok(Some(id)),
        Err(_) if bytes.is_empty() => Ok(None),
        Err(crate::InvalidId::Zero) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The code of a status that was checked; of several messages the last that has one counts.
fn status_code(message: &[u8], before: StatusCode) -> Result<StatusCode, Malformed> {
    let mut reader = Reader::new(message);
    let mut status = before;
    while !reader.is_at_end() {
        let tag = reader.tag()?;
        if tag.field == 3 {
            status = StatusCode::from_number(reader.varint()? as i32);
        } else {
            reader.skip(tag, PROST_DEPTH)?;
        }
    }
    Ok(status)
}

/// Positions fit: a body of more than 4 GiB is refused at the door.
fn range(from: usize, to: usize) -> Range {
    (from as u32, to as u32)
}
