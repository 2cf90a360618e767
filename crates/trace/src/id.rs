//! Trace and span identifiers: 16 and 8 bytes, never all zero, lowercase hexadecimal in text.

use std::fmt;
use std::str::FromStr;

/// Why a text or some bytes are no identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The wrong number of bytes, or of hexadecimal digits.
    #[error("an id of {expected} bytes was expected, {found} were found")]
    Length {
        /// Bytes (two digits each) that the identifier has.
        expected: usize,
        /// Bytes, or characters of text, that were there.
        found: usize,
    },
    /// A character that is no hexadecimal digit.
    #[error("an id consists of hexadecimal digits")]
    Digit,
    /// All bytes are zero, which the specification keeps for "none".
    #[error("an id of zeros only is not valid")]
    Zero,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Its length in bytes.
            pub const BYTES: usize = $bytes;

            /// The identifier of these bytes, unless they are all zero.
            pub const fn new(bytes: [u8; $bytes]) -> Option<Self> {
                let mut at = 0;
                while at < $bytes {
                    if bytes[at] != 0 {
                        return Some(Self(bytes));
                    }
                    at += 1;
                }
                None
            }

            /// Its bytes, most significant first.
            pub const fn bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            /// Parses lowercase hexadecimal digits only, as the headers demand; [`FromStr`] takes both
            /// cases.
            ///
            /// # Errors
            ///
            /// If the length is wrong, a character is no lowercase digit, or all digits are zero.
            pub fn from_lowercase_hex(text: &str) -> Result<Self, InvalidId> {
                if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    return Err(InvalidId::Digit);
                }
                text.parse()
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = InvalidId;

            fn try_from(bytes: &[u8]) -> Result<Self, InvalidId> {
                let found = bytes.len();
                let bytes = bytes.try_into().map_err(|_| InvalidId::Length {
                    expected: $bytes,
                    found,
                })?;
                Self::new(bytes).ok_or(InvalidId::Zero)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let digits = text.as_bytes();
                if digits.len() != 2 * $bytes {
                    return Err(InvalidId::Length {
                        expected: $bytes,
                        found: digits.len() / 2,
                    });
                }
                let mut bytes = [0; $bytes];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    *byte = digit(pair[0])? << 4 | digit(pair[1])?;
                }
                Self::new(bytes).ok_or(InvalidId::Zero)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        /// As hexadecimal digits.
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

identifier! {
    /// Identifies a trace.
    TraceId, 16
}
identifier! {
    /// Identifies a span within its trace.
    SpanId, 8
}

/// Which span it is, within its trace: its identifier and what it says.
///
/// An identifier alone does not do. Zipkin's clients and servers share one for the two sides of a call, and
/// some applications report a span when it begins and again when it ends; each says something that the
/// others do not. What a client repeats, because it saw no answer, says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanKey {
    /// Its identifier.
    pub id: SpanId,
    /// XXH3, 64 bits, of its `Span` message as received.
    pub content: u64,
}

/// For spans that are told apart by their identifiers.
impl From<SpanId> for SpanKey {
    fn from(id: SpanId) -> Self {
        SpanKey { id, content: 0 }
    }
}

fn digit(character: u8) -> Result<u8, InvalidId> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        b'A'..=b'F' => Ok(character - b'A' + 10),
        _ => Err(InvalidId::Digit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_agree() {
        let text = "4bf92f3577b34da6a3ce929d0e0e4736";
        let id: TraceId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(TraceId::try_from(&id.bytes()[..]), Ok(id));
        assert_eq!(text.to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn what_is_no_identifier_is_refused() {
        assert_eq!("0000000000000000".parse::<SpanId>(), Err(InvalidId::Zero));
        assert_eq!("00f067aa0ba902bx".parse::<SpanId>(), Err(InvalidId::Digit));
        assert_eq!(
            SpanId::from_lowercase_hex("00F067AA0BA902B7"),
            Err(InvalidId::Digit)
        );
        assert!("00f067aa".parse::<SpanId>().is_err());
        assert!(TraceId::try_from(&[1; 8][..]).is_err());
    }
}
