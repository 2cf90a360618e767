//! Values of TLA+: what a specification's variables hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A value of TLA+ in canonical form: equal values of TLA+ are equal here.
///
/// In TLA+ a sequence is a function on `1..n`, and a record one on strings. So functions are made with
/// [`Value::function`], which finds out what they are; [`Value::Function`] itself is for the rest.
///
/// ```
/// # use quorate_refinement::Value;
/// let pair = Value::function([(Value::Int(2), Value::string("b")), (Value::Int(1), Value::string("a"))]);
/// assert_eq!(pair, Value::sequence([Value::string("a"), Value::string("b")]));
/// assert_eq!(pair.to_string(), r#"<<"a", "b">>"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// `TRUE` or `FALSE`.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A string.
    String(String),
    /// A model value: equal to itself and to nothing else.
    Model(String),
    /// A set.
    Set(BTreeSet<Value>),
    /// A sequence, or the function with an empty domain.
    Sequence(Vec<Value>),
    /// A record with one field at least.
    Record(BTreeMap<String, Value>),
    /// A function that is neither a sequence nor a record.
    Function(BTreeMap<Value, Value>),
}

impl Value {
    /// A string.
    pub fn string(text: impl Into<String>) -> Self {
        Value::String(text.into())
    }

    /// A model value.
    pub fn model(name: impl Into<String>) -> Self {
        Value::Model(name.into())
    }

    /// A natural number; what does not fit becomes the greatest that does.
    pub fn number(number: u64) -> Self {
        Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// A set.
    pub fn set(elements: impl IntoIterator<Item = Value>) -> Self {
        Value::Set(elements.into_iter().collect())
    }

    /// A sequence.
    pub fn sequence(elements: impl IntoIterator<Item = Value>) -> Self {
        Value::Sequence(elements.into_iter().collect())
    }

    /// A record; of two fields with one name, the later counts.
    pub fn record<N: Into<String>>(fields: impl IntoIterator<Item = (N, Value)>) -> Self {
        let fields = fields.into_iter();
        let fields: BTreeMap<_, _> = fields.map(|(name, value)| (name.into(), value)).collect();
        if fields.is_empty() {
            Value::Sequence(Vec::new())
        } else {
            Value::Record(fields)
        }
    }

    /// A function; of two values at one argument, the later counts.
    pub fn function(pairs: impl IntoIterator<Item = (Value, Value)>) -> Self {
        let pairs: BTreeMap<Value, Value> = pairs.into_iter().collect();
        let mut indices = pairs.keys().zip(1..);
        if indices.all(|(argument, index)| *argument == Value::Int(index)) {
            return Value::Sequence(pairs.into_values().collect());
        }
        if pairs.keys().all(|key| matches!(key, Value::String(_))) {
            let name = |key| match key {
                Value::String(name) => name,
                other => other.to_string(),
            };
            return Value::Record(pairs.into_iter().map(|(k, v)| (name(k), v)).collect());
        }
        Value::Function(pairs)
    }

    /// The field of a record.
    pub fn field(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Record(fields) => fields.get(name),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

/// The syntax of TLA+, on one line; `:>` and `@@` are operators of the module `TLC`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(true) => f.write_str("TRUE"),
            Value::Bool(false) => f.write_str("FALSE"),
            Value::Int(number) => write!(f, "{number}"),
            Value::String(text) => quote(text, f),
            Value::Model(name) => f.write_str(name),
            Value::Set(elements) => list(f, "{", elements, "}"),
            Value::Sequence(elements) => list(f, "<<", elements, ">>"),
            Value::Record(fields) if fields.keys().all(|name| is_identifier(name)) => {
                f.write_str("[")?;
                for (position, (name, value)) in fields.iter().enumerate() {
                    let comma = if position == 0 { "" } else { ", " };
                    write!(f, "{comma}{name} |-> {value}")?;
                }
                f.write_str("]")
            }
            Value::Record(fields) => {
                let fields = fields.iter();
                pairs(
                    f,
                    fields.map(|(name, value)| (Value::string(name.clone()), value)),
                )
            }
            Value::Function(function) => pairs(f, function.iter()),
        }
    }
}

fn list<'a>(
    f: &mut fmt::Formatter<'_>,
    open: &str,
    elements: impl IntoIterator<Item = &'a Value>,
    close: &str,
) -> fmt::Result {
    f.write_str(open)?;
    for (position, element) in elements.into_iter().enumerate() {
        let comma = if position == 0 { "" } else { ", " };
        write!(f, "{comma}{element}")?;
    }
    f.write_str(close)
}

fn pairs<'a, K: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    pairs: impl Iterator<Item = (K, &'a Value)>,
) -> fmt::Result {
    f.write_str("(")?;
    for (position, (argument, value)) in pairs.enumerate() {
        let and = if position == 0 { "" } else { " @@ " };
        write!(f, "{and}{argument} :> {value}")?;
    }
    f.write_str(")")
}

fn quote(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\u{c}' => f.write_str("\\f")?,
            other => write!(f, "{other}")?,
        }
    }
    f.write_str("\"")
}

/// Whether `name` is an identifier of TLA+: letters, digits and underscores, one letter at least.
pub(crate) fn is_identifier(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.chars().any(|c| c.is_ascii_alphabetic())
}
