//! Spans as rows.

use std::borrow::Cow;
use std::io::Write;

use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use quorate_trace::wire::{Attributes, Span, StatusCode, Value};
use quorate_trace::{SpanId, Verdict};
use serde_json::Number;

use super::columns::{Column, Levels, Maps, Numbers, Texts};

/// A list or a map of a row that is not repeated yet.
const TOP: Levels = Levels {
    repetition: 0,
    definition: 0,
};

/// What is said of a trace as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealing {
    pub(crate) verdict: Verdict,
    pub(crate) revision: u64,
    pub(crate) sealed_at_ms: u64,
}

/// Rows of a row group that is not written yet: the columns of the [schema](super::SCHEMA), in its order.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    count: usize,
    trace_id: Texts,
    span_id: Texts,
    parent_span_id: Texts,
    trace_state: Texts,
    flags: Numbers<i32>,
    service: Texts,
    name: Texts,
    kind: Texts,
    start: Numbers<i64>,
    end: Numbers<i64>,
    duration_ns: Numbers<i64>,
    status: Texts,
    status_message: Texts,
    attributes: Maps,
    resource_attributes: Maps,
    scope_name: Texts,
    scope_version: Texts,
    events: Events,
    links: Links,
    verdict: Texts,
    revision: Numbers<i64>,
    sealed_at: Numbers<i64>,
}

#[derive(Debug, Default)]
struct Events {
    time: Numbers<i64>,
    name: Texts,
    attributes: Maps,
}

#[derive(Debug, Default)]
struct Links {
    trace_id: Texts,
    span_id: Texts,
    trace_state: Texts,
    attributes: Maps,
}

/// Applies a macro to each column, in the order of the schema.
macro_rules! each_column {
    ($rows:expr, $column:ident => $do:expr) => {{
        let rows = $rows;
        each_column!(@ rows $column $do; trace_id span_id parent_span_id trace_state flags service name
            kind start end duration_ns status status_message attributes resource_attributes scope_name
            scope_version events.time events.name events.attributes links.trace_id links.span_id
            links.trace_state links.attributes verdict revision sealed_at)
    }};
    (@ $rows:ident $column:ident $do:expr; $($($field:ident).+)*) => {
        { $({ let $column = &mut $rows.$($field).+; $do; })* }
    };
}

impl Rows {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// About how many bytes they take.
    pub(crate) fn bytes(&mut self) -> usize {
        let mut bytes = 0;
        each_column!(self, column => bytes += column.bytes());
        bytes
    }

    /// Adds a span.
    pub(crate) fn push(&mut self, span: &Span<'_>, sealing: Sealing) {
        self.count += 1;
        self.trace_id.push(&span.trace_id.to_string());
        self.span_id.push(&span.span_id.to_string());
        self.parent(span.parent);
        self.trace_state.push(span.trace_state());
        self.flags.push(span.flags as i32);
        self.service.push(span.service);
        self.name.push(span.name);
        self.kind.push(span.kind.name());
        self.start.push(time(span.start));
        self.end.push(time(span.end));
        self.duration_ns.push(time(span.duration()));
        self.status.push(status(span.status));
        self.status_message.push(span.status_message());
        self.attributes.push(&mut texts(span.attributes()), TOP);
        let resource = &mut texts(span.resource_attributes());
        self.resource_attributes.push(resource, TOP);
        let (name, version) = span.scope();
        self.scope_name.push(name);
        self.scope_version.push(version);
        self.events.push(span);
        self.links.push(span);
        self.verdict.push(verdict(sealing.verdict));
        self.revision.push(time(sealing.revision));
        self.sealed_at
            .push(time(sealing.sealed_at_ms.saturating_mul(1_000_000)));
    }

    fn parent(&mut self, parent: Option<SpanId>) {
        let levels = |definition| Levels {
            repetition: 0,
            definition,
        };
        match parent {
            Some(parent) => self.parent_span_id.push_at(&parent.to_string(), levels(1)),
            None => self.parent_span_id.none_at(levels(0)),
        }
    }

    /// Writes all rows as one row group; there are none left then.
    pub(crate) fn write<W: Write + Send>(
        &mut self,
        file: &mut SerializedFileWriter<W>,
    ) -> Result<(), ParquetError> {
        let mut group = file.next_row_group()?;
        each_column!(&mut *self, column => column.write(&mut group)?);
        group.close()?;
        self.count = 0;
        Ok(())
    }
}

impl Events {
    fn push(&mut self, span: &Span<'_>) {
        let mut places = places();
        let mut is_empty = true;
        for (event, place) in span.events().zip(&mut places) {
            is_empty = false;
            self.time.push_at(time(event.time), place);
            self.name.push_at(event.name, place);
            self.attributes.push(&mut texts(event.attributes), place);
        }
        if is_empty {
            self.time.none_at(TOP);
            self.name.none_at(TOP);
            self.attributes.none_at(TOP);
        }
    }
}

impl Links {
    fn push(&mut self, span: &Span<'_>) {
        let mut places = places();
        let mut is_empty = true;
        for (link, place) in span.links().zip(&mut places) {
            is_empty = false;
            self.trace_id.push_at(&link.trace_id.to_string(), place);
            self.span_id.push_at(&link.span_id.to_string(), place);
            self.trace_state.push_at(link.trace_state, place);
            self.attributes.push(&mut texts(link.attributes), place);
        }
        if is_empty {
            self.trace_id.none_at(TOP);
            self.span_id.none_at(TOP);
            self.trace_state.none_at(TOP);
            self.attributes.none_at(TOP);
        }
    }
}

/// Of the elements of a list: the first begins it, the others continue it.
fn places() -> impl Iterator<Item = Levels> {
    let element = |repetition| Levels {
        repetition,
        definition: 1,
    };
    std::iter::once(element(0)).chain(std::iter::repeat(element(1)))
}

/// A time of OTLP is unsigned and one of Parquet is not: the year 2262 is the last.
fn time(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

fn status(status: StatusCode) -> &'static str {
    match status {
        StatusCode::Unset => "unset",
        StatusCode::Ok => "ok",
        StatusCode::Error => "error",
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Complete => "complete",
        Verdict::Incomplete => "incomplete",
        Verdict::Evicted => "evicted",
    }
}

/// Attributes as texts: arrays and maps in JSON, bytes in hexadecimal digits.
fn texts<'a>(
    attributes: impl Iterator<Item = (&'a str, Value<'a>)>,
) -> Vec<(&'a str, Cow<'a, str>)> {
    let text = |value: Value<'a>| match value {
        Value::Empty => Cow::Borrowed(""),
        Value::Bytes(bytes) => Cow::Owned(hex(bytes)),
        Value::Array(_) | Value::Map(_) => Cow::Owned(json(value).to_string()),
        value => value.to_text().unwrap_or_default(),
    };
    attributes.map(|(key, value)| (key, text(value))).collect()
}

/// Nested as deep as the scan allows, which is far less than the stack does.
fn json(value: Value<'_>) -> serde_json::Value {
    match value {
        Value::Empty => serde_json::Value::Null,
        Value::String(text) => text.into(),
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        // Those that JSON has no number for are texts, as in protobuf's JSON.
        Value::Double(value) => Number::from_f64(value)
            .map_or_else(|| value.to_string().into(), serde_json::Value::Number),
        Value::Bytes(bytes) => hex(bytes).into(),
        Value::Array(values) => values.map(json).collect(),
        Value::Map(entries) => object(entries),
    }
}

fn object(entries: Attributes<'_>) -> serde_json::Value {
    let entries = entries.map(|(key, value)| (key.to_owned(), json(value)));
    serde_json::Value::Object(entries.collect())
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}
