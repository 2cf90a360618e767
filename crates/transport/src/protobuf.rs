//! What the protocols' conversions to and from their generated types have in common.

use crate::{Malformed, Wire};
use bytes::{Bytes, BytesMut};

/// A field that every message of its kind has.
pub(crate) fn missing(field: &'static str) -> Malformed {
    Malformed::new(format!("{field} is missing"))
}

/// The bytes of a value, for a field that is opaque.
pub(crate) fn encode(value: &impl Wire) -> Bytes {
    let mut bytes = BytesMut::new();
    value.encode(&mut bytes);
    bytes.freeze()
}

/// Appends a generated message.
pub(crate) fn write(message: &impl prost::Message, out: &mut BytesMut) {
    out.reserve(message.encoded_len());
    message.encode_raw(out);
}

/// Parses a generated message.
pub(crate) fn read<T: prost::Message + Default>(bytes: Bytes) -> Result<T, Malformed> {
    T::decode(bytes).map_err(|error| Malformed::new(error.to_string()))
}
