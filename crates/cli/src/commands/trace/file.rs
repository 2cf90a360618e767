//! Files of traces: what their form is can be seen from them.
//!
//! OTLP in protobuf, one message, or several with their lengths before them; OTLP in JSON, one object, or
//! several one after another, as the OpenTelemetry collector's file exporter writes both; Jaeger's JSON, as
//! its user interface saves it.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use quorate_query::jaeger_from_json;
use quorate_trace::json::otlp_from_json_lines;
use quorate_trace::wire::{Batch, Limits};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::outcome::Failure;

/// Reads a file; `-` is standard input. Spans that break the rules of OTLP are told of and left out.
pub(super) fn read(path: &Path) -> Result<Batch, Failure> {
    let name = match path.to_str() {
        Some("-") => "standard input".to_owned(),
        _ => path.display().to_string(),
    };
    let content = match path.to_str() {
        Some("-") => {
            let mut content = Vec::new();
            io::stdin().read_to_end(&mut content).map(|_| content)
        }
        _ => fs::read(path),
    };
    let content = content.map_err(Failure::local(format!("reading {name}")))?;
    let batch = parse(content).map_err(|why| Failure::Usage(format!("{name}: {why}")))?;
    if batch.refused().total() > 0 {
        eprintln!("quorate: {name}: spans were left out: {}", batch.refused());
    }
    Ok(batch)
}

pub(super) fn parse(content: Vec<u8>) -> Result<Batch, String> {
    let body = match content.trim_ascii_start().first() {
        Some(b'{' | b'[') => from_json(&content)?,
        _ => content.into(),
    };
    scan(body.clone()).or_else(|error| match without_lengths(&body) {
        Some(joined) => scan(joined),
        None => Err(error),
    })
}

fn scan(body: Bytes) -> Result<Batch, String> {
    // A file is no client that could do harm: only what no decoder could read is refused.
    let limits = Limits {
        attributes: u32::MAX,
        nesting: 100,
    };
    Batch::scan(body, &limits).map_err(|error| error.to_string())
}

/// What tells Jaeger's JSON from OTLP's.
#[derive(Deserialize)]
struct Keys {
    data: Option<IgnoredAny>,
    spans: Option<IgnoredAny>,
}

fn from_json(content: &[u8]) -> Result<Bytes, String> {
    let is_jaeger = content.trim_ascii_start().first() == Some(&b'[') || {
        let mut values = serde_json::Deserializer::from_slice(content).into_iter::<Keys>();
        let first = values.next().and_then(Result::ok);
        first.is_some_and(|keys| keys.data.is_some() || keys.spans.is_some())
    };
    if is_jaeger {
        jaeger_from_json(content).map_err(|error| error.to_string())
    } else {
        otlp_from_json_lines(content).map_err(|error| error.to_string())
    }
}

/// The messages of a file that has a length of four bytes before each. Joined they are one.
fn without_lengths(content: &[u8]) -> Option<Bytes> {
    let mut joined = Vec::with_capacity(content.len());
    let mut rest = content;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk()?;
        let (message, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        joined.extend_from_slice(message);
        rest = after;
    }
    Some(joined.into())
}
