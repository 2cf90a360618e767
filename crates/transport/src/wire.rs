//! Between a machine's types and bytes.
//!
//! A machine works on domain types. They become bytes in two places, on the wire and on disk, and
//! come back as values that are parsed once, at the edge: whatever [`Wire::decode`] returns is valid.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// A type with one byte encoding, used for messages to peers and for durable records alike.
///
/// [`wire_by_serde!`](crate::wire_by_serde) implements it for types with serde's derives.
pub trait Wire: Sized {
    /// Appends the encoding of `self` to `out`.
    fn encode(&self, out: &mut BytesMut);

    /// The value whose whole encoding is `bytes`. What it keeps of them may be slices, not copies.
    fn decode(bytes: Bytes) -> Result<Self, Malformed>;
}

/// Bytes that are not the encoding of a value: the fault of whoever sent or stored them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("does not parse: {0}")]
pub struct Malformed(Cow<'static, str>);

impl Malformed {
    /// Says in which way the bytes are wrong.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Malformed(reason.into())
    }
}

/// Nothing: no bytes.
impl Wire for () {
    fn encode(&self, _out: &mut BytesMut) {}

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        match bytes.len() {
            0 => Ok(()),
            _ => Err(Malformed::new("bytes where none belong")),
        }
    }
}

/// Opaque bytes stand for themselves and are not copied when decoded.
impl Wire for Bytes {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(self);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        Ok(bytes)
    }
}

crate::wire_by_serde!(bool, u8, u16, u32, u64, i64, String);

/// Implements [`Wire`] for types that implement serde's `Serialize` and `DeserializeOwned`, in
/// postcard's compact format.
///
/// postcard writes neither names nor types: a record that is to be readable by a later version of a
/// program must keep its fields in order and add new enum variants at the end.
///
/// ```
/// use quorate_transport::{Wire, wire_by_serde};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// enum Message {
///     Ping(u32),
///     Pong,
/// }
/// wire_by_serde!(Message);
///
/// let mut bytes = bytes::BytesMut::new();
/// Message::Ping(7).encode(&mut bytes);
/// assert_eq!(Message::decode(bytes.freeze()), Ok(Message::Ping(7)));
/// ```
#[macro_export]
macro_rules! wire_by_serde {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::Wire for $type {
            fn encode(&self, out: &mut $crate::BytesMut) {
                $crate::encode_serde(self, out);
            }

            fn decode(bytes: $crate::Bytes) -> ::core::result::Result<Self, $crate::Malformed> {
                $crate::decode_serde(&bytes)
            }
        }
    )+};
}

/// Appends the postcard encoding of `value`; what [`wire_by_serde!`](crate::wire_by_serde) expands to.
///
/// # Panics
///
/// If the type's `Serialize` cannot be encoded at all, for example a sequence of unknown length.
/// That depends on the type's definition, never on what a peer sent.
pub fn encode_serde<T: Serialize>(value: &T, out: &mut BytesMut) {
    postcard::to_io(value, out.writer()).expect("a type that postcard can encode");
}

/// The value of a postcard encoding; what [`wire_by_serde!`](crate::wire_by_serde) expands to.
pub fn decode_serde<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(Malformed::new(format!("{} bytes too many", rest.len()))),
        Err(error) => Err(Malformed::new(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(value: &impl Wire) -> Bytes {
        let mut out = BytesMut::new();
        value.encode(&mut out);
        out.freeze()
    }

    #[test]
    fn unit_has_no_bytes_and_accepts_none() {
        assert_eq!(encoded(&()), Bytes::new());
        assert!(<()>::decode(Bytes::from_static(b"x")).is_err());
    }

    #[test]
    fn too_few_and_too_many_bytes_are_refused() {
        let bytes = encoded(&"text".to_string());
        assert!(String::decode(bytes.slice(..3)).is_err());
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert!(String::decode(longer.into()).is_err());
    }

    proptest! {
        #[test]
        fn values_come_back(number: u64, text: String, opaque: Vec<u8>) {
            let opaque = Bytes::from(opaque);
            prop_assert_eq!(u64::decode(encoded(&number)), Ok(number));
            prop_assert_eq!(String::decode(encoded(&text)), Ok(text));
            prop_assert_eq!(Bytes::decode(encoded(&opaque)), Ok(opaque));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = String::decode(bytes.into());
        }
    }
}
