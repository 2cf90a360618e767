//! Texts of a configuration that select spans: globs, regular expressions, durations, kinds.
//!
//! Each is checked when the configuration is read, so that a mistake is told with its place.

use std::fmt;

use quorate_trace::wire::{SpanKind, StatusCode};
use serde::{Deserialize, Serialize};

/// Why a text of the configuration is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// Not a number with a unit.
    #[error("`{0}` is not a duration such as \"250ms\", \"1.5s\" or \"2m\"")]
    Duration(String),
    /// Not a span kind.
    #[error(
        "`{0}` is not a span kind: unspecified, internal, server, client, producer or consumer"
    )]
    Kind(String),
    /// Not a status.
    #[error("`{0}` is not a status: unset, ok or error")]
    Status(String),
    /// Not a regular expression, or one that needs too much memory.
    #[error("not a regular expression: {0}")]
    Expression(String),
}

/// A text with `*` for any characters and `?` for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Glob(String);

impl Default for Glob {
    /// Matches everything.
    fn default() -> Self {
        Glob("*".to_owned())
    }
}

impl From<String> for Glob {
    fn from(text: String) -> Self {
        Glob(text)
    }
}

impl From<&str> for Glob {
    fn from(text: &str) -> Self {
        Glob(text.to_owned())
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.0
    }
}

impl Glob {
    /// Whether all of the text matches.
    pub fn matches(&self, text: &str) -> bool {
        self.0 == "*" || matches(self.0.as_bytes(), text.as_bytes())
    }
}

/// Only the last star needs to be tried again: what an earlier one could give up, the later one has.
fn matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut at, mut in_text) = (0, 0);
    let mut star = None;
    while in_text < text.len() {
        match glob.get(at) {
            Some(b'*') => {
                star = Some((at, in_text));
                at += 1;
            }
            Some(b'?') => {
                at += 1;
                in_text += character(text[in_text]);
            }
            Some(byte) if *byte == text[in_text] => {
                at += 1;
                in_text += 1;
            }
            _ => {
                let Some((star_at, from)) = star else {
                    return false;
                };
                star = Some((star_at, from + 1));
                (at, in_text) = (star_at + 1, from + 1);
            }
        }
    }
    glob[at..].iter().all(|byte| *byte == b'*')
}

/// Bytes of the UTF-8 character that begins so.
fn character(first: u8) -> usize {
    match first.leading_ones() {
        0 | 1 => 1,
        ones => ones as usize,
    }
}

/// A regular expression; it matches anywhere in a text unless anchored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expression(regex::Regex);

impl TryFrom<String> for Expression {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        let compiled = regex::Regex::new(&text);
        compiled
            .map(Expression)
            .map_err(|error| InvalidPattern::Expression(error.to_string()))
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> Self {
        expression.0.as_str().to_owned()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Expression {
    /// Whether the text contains a match.
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// A duration: a number with `ns`, `us`, `ms`, `s`, `m` or `h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration {
    /// In nanoseconds.
    pub nanos: u64,
}

impl Duration {
    /// Of milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Duration {
            nanos: millis * 1_000_000,
        }
    }
}

const UNITS: [(&str, u64); 7] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

impl TryFrom<String> for Duration {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        let invalid = || InvalidPattern::Duration(text.clone());
        let unit = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(invalid)?;
        let (number, unit) = text.split_at(unit);
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let found = UNITS.iter().find(|(name, _)| *name == unit.trim());
        let (_, size) = found.ok_or_else(invalid)?;
        let nanos = (number * *size as f64).round();
        if nanos >= u64::MAX as f64 {
            return Err(invalid());
        }
        Ok(Duration {
            nanos: nanos as u64,
        })
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> Self {
        duration.to_string()
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, size): &&(&str, u64)| self.nanos.is_multiple_of(*size);
        match UNITS.iter().find(fits) {
            Some((unit, size)) if self.nanos > 0 => write!(f, "{}{unit}", self.nanos / size),
            _ => write!(f, "{}ns", self.nanos),
        }
    }
}

/// A span kind by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Kind(pub SpanKind);

impl TryFrom<String> for Kind {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        let kinds = (0..=5).map(SpanKind::from_number);
        let found = kinds.into_iter().find(|kind| kind.name() == text);
        found.map(Kind).ok_or(InvalidPattern::Kind(text))
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.0.name().to_owned()
    }
}

/// A span status by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Status(pub StatusCode);

impl TryFrom<String> for Status {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        Ok(Status(match text.as_str() {
            "unset" => StatusCode::Unset,
            "ok" => StatusCode::Ok,
            "error" => StatusCode::Error,
            _ => return Err(InvalidPattern::Status(text)),
        }))
    }
}

impl From<Status> for String {
    fn from(status: Status) -> Self {
        match status.0 {
            StatusCode::Unset => "unset",
            StatusCode::Ok => "ok",
            StatusCode::Error => "error",
        }
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        let table = [
            ("*", "", true),
            ("GET /*", "GET /cart/7", true),
            ("GET /*", "POST /cart/7", false),
            ("*cart*", "GET /cart/7", true),
            ("GET /?", "GET /ä", true),
            ("GET /?", "GET /ab", false),
            ("*a*b*c", "xaxxbabc", true),
            ("*a*b*c", "xaxxbabcd", false),
            ("", "", true),
            ("", "a", false),
        ];
        for (glob, text, expected) in table {
            assert_eq!(Glob::from(glob).matches(text), expected, "{glob} {text}");
        }
    }

    #[test]
    fn a_hostile_name_does_not_make_a_glob_slow() {
        let glob = Glob::from("*a*a*a*a*a*a*a*a*a*a*b");
        assert!(!glob.matches(&"a".repeat(20_000)));
    }

    #[test]
    fn durations() {
        let parse = |text: &str| Duration::try_from(text.to_owned());
        assert_eq!(parse("250ms").unwrap().nanos, 250_000_000);
        assert_eq!(parse("1.5s").unwrap().to_string(), "1500ms");
        assert_eq!(parse("2 m").unwrap().to_string(), "2m");
        for wrong in ["", "5", "ms", "-1s", "1.2.3s", "9999999999h", "5 parsecs"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
