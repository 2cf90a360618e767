//! OTLP in JSON, to and from the bytes that everything else works on.
//!
//! [`otlp_from_json`] reads what the [specification] calls the JSON Protobuf Encoding: lowerCamelCase
//! keys, identifiers in hexadecimal, enumerations as numbers, 64-bit integers as strings. It is generous
//! where SDKs and other tools are known to differ: numbers may be strings and the reverse, enumerations may
//! be names, `null` stands for what is not there, unknown keys are ignored, and `batches`, as Tempo calls
//! them, are `resourceSpans`. Whether the spans are valid is for [`wire::Batch::scan`](crate::wire::Batch)
//! to say, as for those that come in protobuf.
//!
//! The messages are declared once (`message.rs`), with protobuf's tags and JSON's keys side by side, so
//! that both directions go through the same structures. This costs an owned structure per span, which
//! is why protobuf clients never pass here.
//!
//! [specification]: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding

mod lenient;
mod message;
mod value;

use bytes::Bytes;
use prost::Message;

use crate::wire::{Batch, Span, encode};
use message::TracesData;

/// The text is no OTLP message in JSON, with line and column.
#[derive(Debug, thiserror::Error)]
#[error("not an OTLP trace message in JSON: {0}")]
pub struct JsonError(#[from] serde_json::Error);

/// The protobuf message that this JSON stands for.
///
/// # Errors
///
/// If it is no JSON, is nested more than 128 deep, or a known key has a value of the wrong type.
pub fn otlp_from_json(text: &[u8]) -> Result<Bytes, JsonError> {
    // serde would take a list of the fields' values for a message.
    if text.trim_ascii_start().first() == Some(&b'[') {
        return Err(JsonError(serde::de::Error::custom("it is a list")));
    }
    let message: TracesData = serde_json::from_slice(text)?;
    Ok(message.encode_to_vec().into())
}

/// The protobuf message of several in JSON one after another, as the OpenTelemetry collector's file
/// exporter writes them, one a line.
///
/// # Errors
///
/// As [`otlp_from_json`], if one of them is wrong.
pub fn otlp_from_json_lines(text: &[u8]) -> Result<Bytes, JsonError> {
    let mut joined = Vec::new();
    for message in serde_json::Deserializer::from_slice(text).into_iter::<TracesData>() {
        joined.extend(message?.encode_to_vec());
    }
    Ok(joined.into())
}

/// A message as JSON; see [`spans_to_json`].
///
/// # Errors
///
/// Never for what a scan has accepted.
pub fn otlp_to_json(batch: &Batch) -> Result<String, JsonError> {
    spans_to_json(&batch.spans().collect::<Vec<_>>())
}

/// Spans as JSON of a `TracesData` message. Resources and scopes that are the same stand there once;
/// fields that have their default are left out.
///
/// # Errors
///
/// Never for spans that a scan has accepted.
pub fn spans_to_json(spans: &[Span<'_>]) -> Result<String, JsonError> {
    let message = TracesData::decode(encode(spans)).map_err(serde::ser::Error::custom);
    Ok(serde_json::to_string(&message.map_err(JsonError)?)?)
}

#[cfg(test)]
mod tests;
