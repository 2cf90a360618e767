//! Keys and values: bytes within limits, in buffers of their own.
//!
//! A member keeps both for ever. They are therefore copied out of whatever they were received in: a key of ten
//! bytes that is a slice of a peer's frame would keep the whole frame, a megabyte of other keys' news.

use bytes::{Bytes, BytesMut};
use quorate::{Malformed, Wire};
use std::fmt;

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1 << 10;

/// The longest value, in bytes. Something larger is best stored elsewhere, and its digest decided here.
pub const VALUE_BYTES_MAX: usize = 64 << 10;

/// A request that cannot be carried out, whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A key is longer than [`KEY_BYTES_MAX`].
    #[error("a key of {0} bytes; at most {KEY_BYTES_MAX} are allowed")]
    KeyTooLong(usize),
    /// A value is longer than [`VALUE_BYTES_MAX`].
    #[error("a value of {0} bytes; at most {VALUE_BYTES_MAX} are allowed")]
    ValueTooLong(usize),
}

impl From<Invalid> for Malformed {
    fn from(invalid: Invalid) -> Self {
        Malformed::new(invalid.to_string())
    }
}

/// The name of a register.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Bytes);

/// What a register may hold.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Value(Bytes);

impl Key {
    /// The key of these bytes.
    ///
    /// # Errors
    ///
    /// If they are too long.
    pub fn new(bytes: &[u8]) -> Result<Self, Invalid> {
        match bytes.len() {
            0..=KEY_BYTES_MAX => Ok(Key(Bytes::copy_from_slice(bytes))),
            long => Err(Invalid::KeyTooLong(long)),
        }
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Value {
    /// The value of these bytes.
    ///
    /// # Errors
    ///
    /// If they are too long.
    pub fn new(bytes: &[u8]) -> Result<Self, Invalid> {
        match bytes.len() {
            0..=VALUE_BYTES_MAX => Ok(Value(Bytes::copy_from_slice(bytes))),
            long => Err(Invalid::ValueTooLong(long)),
        }
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Key> for Bytes {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl From<Value> for Bytes {
    fn from(value: Value) -> Self {
        value.0
    }
}

/// As text where they are text: event logs and what differs in a replay are read by people.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The bytes as they are. What a peer or a disk says is within the limits, or does not parse.
impl Wire for Key {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.0);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        Ok(Key::new(&bytes)?)
    }
}

impl Wire for Value {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.0);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        Ok(Value::new(&bytes)?)
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

    proptest! {
        #[test]
        fn keys_and_values_come_back(bytes: Vec<u8>) {
            let (key, value) = (Key::new(&bytes).unwrap(), Value::new(&bytes).unwrap());
            prop_assert_eq!(Key::decode(encoded(&key)), Ok(key));
            prop_assert_eq!(Value::decode(encoded(&value)), Ok(value.clone()));
            prop_assert_eq!(Bytes::from(value), bytes);
        }
    }

    #[test]
    fn what_is_too_long_is_refused_from_a_client_and_from_a_peer() {
        let long = vec![0; VALUE_BYTES_MAX + 1];
        assert!(Value::new(&long[1..]).is_ok());
        assert_eq!(Value::new(&long), Err(Invalid::ValueTooLong(long.len())));
        assert!(Value::decode(long.into()).is_err());
        let long = vec![0; KEY_BYTES_MAX + 1];
        assert!(Key::new(&long[1..]).is_ok());
        assert_eq!(Key::new(&long), Err(Invalid::KeyTooLong(long.len())));
        assert!(Key::decode(long.into()).is_err());
    }

    #[test]
    fn what_is_kept_does_not_keep_what_it_was_received_in() {
        let frame = Bytes::from(vec![7; 1 << 20]);
        let key = Key::decode(frame.slice(10..20)).unwrap();
        let value = Value::decode(frame.slice(20..30)).unwrap();
        assert!(frame.is_unique(), "{key:?} and {value:?} are copies");
    }
}
