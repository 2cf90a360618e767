//! `AnyValue`, whose kind is told by its key in JSON.

use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::lenient::{Double, Integer, from_base64, to_base64};
use super::message::{ArrayValue, KeyValueList};

/// The value of an attribute.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5, 6, 7")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Value {
    #[prost(string, tag = "1")]
    String(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
    #[prost(message, tag = "6")]
    Map(KeyValueList),
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}

impl Serialize for AnyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(usize::from(self.value.is_some())))?;
        match &self.value {
            None => {}
            Some(Value::String(text)) => map.serialize_entry("stringValue", text)?,
            Some(Value::Bool(value)) => map.serialize_entry("boolValue", value)?,
            Some(Value::Int(value)) => map.serialize_entry("intValue", &value.to_string())?,
            Some(Value::Double(value)) => match special(*value) {
                Some(name) => map.serialize_entry("doubleValue", name)?,
                None => map.serialize_entry("doubleValue", value)?,
            },
            Some(Value::Array(array)) => map.serialize_entry("arrayValue", array)?,
            Some(Value::Map(list)) => map.serialize_entry("kvlistValue", list)?,
            Some(Value::Bytes(bytes)) => map.serialize_entry("bytesValue", &to_base64(bytes))?,
        }
        map.end()
    }
}

/// The name of what JSON has no number for.
fn special(value: f64) -> Option<&'static str> {
    match value {
        _ if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => None,
    }
}

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnyValueVisitor)
    }
}

struct AnyValueVisitor;

impl<'de> Visitor<'de> for AnyValueVisitor {
    type Value = AnyValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object such as {\"stringValue\": \"…\"}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyValue, A::Error> {
        let mut value = None;
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let found = match &*key {
                "stringValue" => map.next_value::<Option<_>>()?.map(Value::String),
                "boolValue" => map.next_value::<Option<_>>()?.map(Value::Bool),
                "intValue" => match map.next_value()? {
                    Some(Integer(value)) => Some(Value::Int(
                        value
                            .try_into()
                            .map_err(|_| A::Error::custom("an integer out of range"))?,
                    )),
                    None => None,
                },
                "doubleValue" => {
                    let value: Option<Double> = map.next_value()?;
                    value.map(|Double(value)| Value::Double(value))
                }
                "arrayValue" => map.next_value::<Option<_>>()?.map(Value::Array),
                "kvlistValue" => map.next_value::<Option<_>>()?.map(Value::Map),
                "bytesValue" => match map.next_value::<Option<String>>()? {
                    Some(text) => Some(Value::Bytes(from_base64(&text).map_err(A::Error::custom)?)),
                    None => None,
                },
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    None
                }
            };
            value = found.or(value);
        }
        Ok(AnyValue { value })
    }
}
