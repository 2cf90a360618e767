//! What counts as a fault: the part of the configuration that says so.
//!
//! ```toml
//! [errors]
//! severity = "critical"          # nobody recovered from it; "warning" by default if somebody did
//!
//! [[latency]]
//! service = "checkout"
//! operation = "POST /orders*"
//! max = "500ms"
//! severity = "critical"
//!
//! [history]
//! factor = 3.0                   # slower than three times the operation's own p99
//!
//! [retry_storm]
//! calls = 5
//! within = "10s"
//!
//! [[custom]]
//! name = "payment declined"
//! severity = "info"
//! when = { service = "payment", attribute = { key = "payment.result", equals = "declined" } }
//! ```

use quorate_trace::wire::{Span, Value};
use serde::{Deserialize, Serialize};

use crate::matching::{Duration, Expression, Glob, Kind, Status};
use crate::report::Severity;

/// What counts as a fault. By default errors, spans that are slow for their operation, and retry storms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Patterns {
    /// Spans whose status is an error.
    pub errors: Errors,
    /// Limits for the duration of spans; of several that match a span the first counts.
    pub latency: Vec<LatencyLimit>,
    /// Spans that are slow for their operation.
    pub history: Unusual,
    /// Calls that are repeated because they fail.
    pub retry_storm: RetryStorm,
    /// What the user of this collector wants to be told.
    pub custom: Vec<Custom>,
}

/// Spans whose status is an error. Spans that only pass on the error of a child are information.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Errors {
    /// Whether they are faults.
    pub enabled: bool,
    /// Of an error that reached the top of its trace.
    pub severity: Severity,
    /// Of an error from which a span above recovered.
    pub handled: Severity,
}

impl Default for Errors {
    fn default() -> Self {
        Errors {
            enabled: true,
            severity: Severity::Critical,
            handled: Severity::Warning,
        }
    }
}

/// A limit for the duration of spans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyLimit {
    /// Services it is for.
    #[serde(default)]
    pub service: Glob,
    /// Names of spans it is for.
    #[serde(default)]
    pub operation: Glob,
    /// Kind of spans it is for; any if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Longer is a fault.
    pub max: Duration,
    /// Of what is longer.
    #[serde(default)]
    pub severity: Severity,
}

impl LatencyLimit {
    /// Whether it is for this span.
    pub fn is_for(&self, span: &Span<'_>) -> bool {
        self.kind.is_none_or(|kind| kind.0 == span.kind)
            && self.service.matches(span.service)
            && self.operation.matches(span.name)
    }
}

/// Spans that are slow for their operation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Unusual {
    /// Whether they are faults.
    pub enabled: bool,
    /// Longer than this many times the operation's 99th percentile is a fault.
    pub factor: f64,
    /// Spans that must have been seen of an operation before it is judged.
    pub min_observations: u32,
    /// What is shorter is never a fault.
    pub min_duration: Duration,
    /// Of what is longer.
    pub severity: Severity,
}

impl Default for Unusual {
    fn default() -> Self {
        Unusual {
            enabled: true,
            factor: 3.0,
            min_observations: 100,
            min_duration: Duration::from_millis(10),
            severity: Severity::Warning,
        }
    }
}

/// Calls of one span to the same operation, at least half of which failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryStorm {
    /// Whether it is a fault.
    pub enabled: bool,
    /// Calls that make a storm.
    pub calls: u32,
    /// The time within which they begin.
    pub within: Duration,
    /// Of a storm.
    pub severity: Severity,
}

impl Default for RetryStorm {
    fn default() -> Self {
        RetryStorm {
            enabled: true,
            calls: 5,
            within: Duration::from_millis(10_000),
            severity: Severity::Warning,
        }
    }
}

/// What the user of this collector wants to be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custom {
    /// What it is called; the kind of the faults it finds.
    pub name: String,
    /// Of what it finds.
    #[serde(default)]
    pub severity: Severity,
    /// Which spans it is about.
    pub when: When,
}

/// Conditions on a span, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Its service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Glob>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Glob>,
    /// Its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Its status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The least duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_duration: Option<Duration>,
    /// One of its attributes, or of its resource's if it has none of this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<AttributeTest>,
    /// Spans of a trace that must match for it to be a fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_count: Option<u32>,
}

impl When {
    /// Whether the conditions hold of this span; the cheap ones are asked first.
    pub fn matches(&self, span: &Span<'_>) -> bool {
        self.kind.is_none_or(|kind| kind.0 == span.kind)
            && self.status.is_none_or(|status| status.0 == span.status)
            && self
                .min_duration
                .is_none_or(|least| span.duration() >= least.nanos)
            && self
                .service
                .as_ref()
                .is_none_or(|glob| glob.matches(span.service))
            && self
                .operation
                .as_ref()
                .is_none_or(|glob| glob.matches(span.name))
            && self
                .attribute
                .as_ref()
                .is_none_or(|test| test.matches_span(span))
    }
}

/// A condition on an attribute. Without any of the comparisons it must only be there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeTest {
    /// The attribute.
    pub key: String,
    /// Its value is this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Scalar>,
    /// Its value, as text, contains a match of this regular expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<Expression>,
    /// It is a number, or the text of one, and greater than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greater: Option<f64>,
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// A text.
    Text(String),
}

impl AttributeTest {
    fn matches_span(&self, span: &Span<'_>) -> bool {
        let value = span.attribute(&self.key).or_else(|| {
            let mut attributes = span.resource_attributes();
            attributes
                .find(|(key, _)| *key == self.key)
                .map(|(_, value)| value)
        });
        value.is_some_and(|value| self.matches_value(&value))
    }

    fn matches_value(&self, value: &Value<'_>) -> bool {
        self.equals
            .as_ref()
            .is_none_or(|expected| expected.is(value))
            && self.matches.as_ref().is_none_or(|expression| {
                value
                    .to_text()
                    .is_some_and(|text| expression.matches(&text))
            })
            && self
                .greater
                .is_none_or(|least| number(value).is_some_and(|number| number > least))
    }
}

impl Scalar {
    fn is(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Scalar::Bool(expected), Value::Bool(value)) => expected == value,
            (Scalar::Int(expected), Value::Int(value)) => expected == value,
            (Scalar::Int(expected), Value::Double(value)) => *expected as f64 == *value,
            (Scalar::Double(expected), _) => number(value) == Some(*expected),
            (Scalar::Text(expected), Value::String(value)) => expected == value,
            _ => false,
        }
    }
}

fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Double(value) => Some(*value),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_documentation_is_read() {
        let text: String = include_str!("patterns.rs")
            .lines()
            .skip_while(|line| !line.starts_with("//! ```toml"))
            .skip(1)
            .take_while(|line| !line.starts_with("//! ```"))
            .map(|line| format!("{}\n", line.trim_start_matches("//!").trim()))
            .collect();
        let patterns: Patterns = toml::from_str(&text).unwrap();
        assert_eq!(patterns.latency[0].max, Duration::from_millis(500));
        assert_eq!(patterns.custom[0].severity, Severity::Info);
        let written = toml::to_string(&patterns).unwrap();
        assert_eq!(toml::from_str::<Patterns>(&written).unwrap(), patterns);
    }

    #[test]
    fn mistakes_are_told() {
        let error = |text: &str| toml::from_str::<Patterns>(text).unwrap_err().to_string();
        assert!(error("[[latency]]\nmax = \"5 parsecs\"").contains("5 parsecs"));
        assert!(error("[retry_storm]\ncall = 3").contains("call"));
        let expression = r#"
            [[custom]]
            name = "x"
            when = { attribute = { key = "k", matches = "(" } }"#;
        assert!(error(expression).contains("regular expression"));
        let kind = "[[custom]]\nname = \"x\"\nwhen = { kind = \"servant\" }";
        assert!(error(kind).contains("servant"));
    }
}
