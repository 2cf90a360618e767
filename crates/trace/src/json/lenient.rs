//! Values of fields as SDKs really write them.

use std::fmt;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serializer};

/// Whether a field may be left out.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Any value, `null` being the default.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// An integer, as a number or as a text.
pub(super) fn integer<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i128> + Default,
{
    let Some(Integer(value)) = Option::deserialize(deserializer)? else {
        return Ok(T::default());
    };
    T::try_from(value).map_err(|_| D::Error::custom(format_args!("{value} is out of range")))
}

/// An integer of any size that a field may have.
pub(super) struct Integer(pub(super) i128);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IntegerVisitor)
    }
}

struct IntegerVisitor;

impl Visitor<'_> for IntegerVisitor {
    type Value = Integer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer, as a number or as a string")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Integer, E> {
        Ok(Integer(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Integer, E> {
        Ok(Integer(value.into()))
    }

    /// JavaScript writes large numbers with an exponent.
    fn visit_f64<E: Error>(self, value: f64) -> Result<Integer, E> {
        if value.fract() == 0.0 && value.abs() < 2f64.powi(100) {
            Ok(Integer(value as i128))
        } else {
            Err(E::invalid_value(Unexpected::Float(value), &self))
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Integer, E> {
        let invalid = |_| E::invalid_value(Unexpected::Str(text), &self);
        text.parse().map(Integer).map_err(invalid)
    }
}

/// A floating-point number, as a number or as a text: `NaN`, `Infinity`, `-Infinity` are texts only.
pub(super) struct Double(pub(super) f64);

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DoubleVisitor)
    }
}

struct DoubleVisitor;

impl Visitor<'_> for DoubleVisitor {
    type Value = Double;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, as a number or as a string")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Double, E> {
        Ok(Double(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Double, E> {
        Ok(Double(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Double, E> {
        Ok(Double(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Double, E> {
        // Rust reads these names too, and every number.
        let invalid = |_| E::invalid_value(Unexpected::Str(text), &self);
        text.parse().map(Double).map_err(invalid)
    }
}

/// A member of an enumeration by number, or by the last part of its name.
fn enumeration<'de, D>(deserializer: D, names: &[&str]) -> Result<i32, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i32),
        Name(String),
    }
    Ok(match Option::deserialize(deserializer)? {
        None => 0,
        Some(Either::Number(number)) => number,
        Some(Either::Name(name)) => {
            let found = names.iter().position(|known| name.ends_with(known));
            found.map_or_else(|| name.parse().unwrap_or(0), |at| at as i32)
        }
    })
}

/// `SpanKind`, as a number or a name; what is unknown is unspecified.
pub(super) fn span_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    let names = [
        "KIND_UNSPECIFIED",
        "KIND_INTERNAL",
        "KIND_SERVER",
        "KIND_CLIENT",
        "KIND_PRODUCER",
        "KIND_CONSUMER",
    ];
    enumeration(deserializer, &names)
}

/// `StatusCode`, as a number or a name; what is unknown is unset.
pub(super) fn status_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    enumeration(deserializer, &["CODE_UNSET", "CODE_OK", "CODE_ERROR"])
}

/// Unsigned 64-bit integers, which JavaScript could not hold as numbers.
pub(super) fn as_text<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Identifiers: bytes in hexadecimal.
pub(super) mod hex {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let digits = bytes
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 0xf])
            .filter_map(|digit| char::from_digit(digit.into(), 16));
        serializer.serialize_str(&digits.collect::<String>())
    }

    pub(crate) fn deserialize<'de, D>(deserializer: D) -> Result<Vec<u8>, D::Error>
    where
        D: Deserializer<'de>,
    {
        let text: std::borrow::Cow<'de, str> = or_default(deserializer)?;
        let invalid = || D::Error::invalid_value(Unexpected::Str(&text), &"hexadecimal digits");
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        });
        pairs.collect::<Option<_>>().ok_or_else(invalid)
    }
}

/// Bytes of base64 in either alphabet, with or without padding, as protobuf's JSON has it.
pub(super) fn from_base64(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) {
        &URL_SAFE
    } else {
        &STANDARD
    };
    GeneralPurpose::new(alphabet, config).decode(text)
}

/// Bytes as base64, the standard alphabet padded.
pub(super) fn to_base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
