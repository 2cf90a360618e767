//! The part of TraceQL that selects spans: one pair of braces with conditions joined by `&&`.
//!
//! ```text
//! query     = "{" [ condition { "&&" condition } ] "}"
//! condition = field operator value
//! field     = "resource." key | "span." key | "." key        key may be in double quotes
//!           | name | status | statusMessage | kind | duration                   of the span
//!           | rootName | rootServiceName | traceDuration                        of the trace
//!             with Tempo's newer spellings span:name, trace:rootService and so on
//! operator  = "=" | "!=" | ">" | ">=" | "<" | "<=" | "=~" | "!~"
//! value     = string | number | duration | true | false | nil
//!           | ok | error | unset | server | client | producer | consumer | internal | unspecified
//! ```
//!
//! All conditions must hold for one span. Regular expressions match the whole value, as in Tempo. What is
//! beyond this (`||`, parentheses, structural operators, pipelines) is refused with a message that says
//! so, and never read as something else.

use quorate_trace::wire::{Span, StatusCode, Value};
use regex::Regex;

use crate::parameters::duration_ns;

/// Conditions of a query.
const CONDITIONS_MAX: usize = 64;
/// A compiled regular expression takes at most this.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// A query: what must hold for one span of a trace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) field: Field,
    pub(crate) operator: Operator,
    pub(crate) operand: Operand,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Of the resource.
    Resource(String),
    /// Of the span.
    Span(String),
    /// Of the span, or else of its resource.
    Either(String),
    Name,
    Status,
    StatusMessage,
    Kind,
    Duration,
    RootName,
    RootService,
    TraceDuration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Greater,
    AtLeast,
    Less,
    AtMost,
    Match,
    NoMatch,
}

#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Text(String),
    Number(f64),
    Duration(u64),
    Bool(bool),
    Nil,
    Pattern(Regex),
    /// Equal to whatever is written like this.
    AnyText(String),
}

/// What conditions on the trace are checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfTrace<'a> {
    pub(crate) root_service: &'a str,
    pub(crate) root_name: &'a str,
    pub(crate) duration_ns: u64,
}

impl Filter {
    /// Reads a query; blank text selects every span.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text.trim() };
        if parser.rest.is_empty() {
            return Ok(Filter::default());
        }
        if !parser.eat("{") {
            return Err("a query begins with '{'".to_owned());
        }
        let mut conditions = Vec::new();
        if !parser.eat("}") {
            loop {
                conditions.extend(parser.condition()?);
                if conditions.len() > CONDITIONS_MAX {
                    return Err(format!("there are more than {CONDITIONS_MAX} conditions"));
                }
                if parser.eat("}") {
                    break;
                }
                if !parser.eat("&&") {
                    return Err(parser.unexpected("'&&' or '}'"));
                }
            }
        }
        match parser.rest.trim() {
            "" => Ok(Filter { conditions }),
            _ => Err(parser.unexpected("the end; one pair of braces is supported")),
        }
    }

    /// Whether all conditions hold for this span of this trace.
    pub(crate) fn holds(&self, span: &Span<'_>, of_trace: OfTrace<'_>) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.holds(span, of_trace))
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn eat(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        let after = self.rest.strip_prefix(token);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn unexpected(&self, expected: &str) -> String {
        let found: String = self.rest.trim().chars().take(20).collect();
        let found = match found.as_str() {
            "" => "the end".to_owned(),
            found => format!("'{found}'"),
        };
        format!("{expected} was expected, {found} was found")
    }

    /// None for `true`, which holds for every span.
    fn condition(&mut self) -> Result<Option<Condition>, String> {
        self.rest = self.rest.trim_start();
        let word = self.word()?;
        if word == "true" {
            return Ok(None);
        }
        let field = field(word).map_or_else(|| Err(format!("'{word}' is not a field")), Ok)?;
        let operator = self.operator()?;
        let operand = self.operand()?;
        let pattern = matches!(operator, Operator::Match | Operator::NoMatch);
        let operand = match operand {
            Operand::Text(text) if pattern => Operand::Pattern(whole(&text)?),
            _ if pattern => return Err("a regular expression is in quotes".to_owned()),
            operand => operand,
        };
        Ok(Some(Condition {
            field,
            operator,
            operand,
        }))
    }

    /// Everything up to an operator or blank, quoted parts included.
    fn word(&mut self) -> Result<&'a str, String> {
        let mut quoted = false;
        let end = self.rest.find(|c: char| {
            quoted ^= c == '"';
            !quoted && (c.is_whitespace() || "=!<>~&|{}()".contains(c))
        });
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if word.is_empty() {
            return Err(self.unexpected("a field"));
        }
        self.rest = rest;
        Ok(word)
    }

    fn operator(&mut self) -> Result<Operator, String> {
        // Longer ones first.
        const OPERATORS: [(&str, Operator); 8] = [
            ("=~", Operator::Match),
            ("!~", Operator::NoMatch),
            ("!=", Operator::NotEqual),
            (">=", Operator::AtLeast),
            ("<=", Operator::AtMost),
            ("=", Operator::Equal),
            (">", Operator::Greater),
            ("<", Operator::Less),
        ];
        let found = OPERATORS.into_iter().find(|(token, _)| self.eat(token));
        let (_, operator) = found.ok_or_else(|| self.unexpected("an operator"))?;
        Ok(operator)
    }

    fn operand(&mut self) -> Result<Operand, String> {
        self.rest = self.rest.trim_start();
        if let Some(rest) = self.rest.strip_prefix('"') {
            return self.quoted(rest);
        }
        if let Some(rest) = self.rest.strip_prefix('`') {
            let end = rest.find('`').ok_or("a text has no end")?;
            self.rest = &rest[end + 1..];
            return Ok(Operand::Text(rest[..end].to_owned()));
        }
        let word = self.word().map_err(|_| self.unexpected("a value"))?;
        Ok(match word {
            "true" => Operand::Bool(true),
            "false" => Operand::Bool(false),
            "nil" => Operand::Nil,
            "ok" | "error" | "unset" | "server" | "client" | "producer" | "consumer"
            | "internal" | "unspecified" => Operand::Text(word.to_owned()),
            number => match (number.parse(), duration_ns(number)) {
                (Ok(number), _) => Operand::Number(number),
                (_, Ok(duration)) => Operand::Duration(duration),
                _ => return Err(format!("'{word}' is not a value; texts are in quotes")),
            },
        })
    }

    fn quoted(&mut self, rest: &'a str) -> Result<Operand, String> {
        let mut text = String::new();
        let mut characters = rest.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &rest[at + 1..];
                    return Ok(Operand::Text(text));
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    // Regular expressions have escapes of their own.
                    Some((_, other)) => text.extend(['\\', other]),
                    None => break,
                },
                other => text.push(other),
            }
        }
        Err("a text has no end".to_owned())
    }
}

pub(crate) fn field(word: &str) -> Option<Field> {
    let key = |key: &str| {
        let quoted = key.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
        let key = quoted.unwrap_or(key);
        (!key.is_empty() && !key.contains('"')).then(|| key.to_owned())
    };
    Some(match word {
        "name" | "span:name" => Field::Name,
        "status" | "span:status" => Field::Status,
        "statusMessage" | "span:statusMessage" => Field::StatusMessage,
        "kind" | "span:kind" => Field::Kind,
        "duration" | "span:duration" => Field::Duration,
        "rootName" | "trace:rootName" => Field::RootName,
        "rootServiceName" | "trace:rootService" => Field::RootService,
        "traceDuration" | "trace:duration" => Field::TraceDuration,
        _ => {
            if let Some(name) = word.strip_prefix("resource.") {
                Field::Resource(key(name)?)
            } else if let Some(name) = word.strip_prefix("span.") {
                Field::Span(key(name)?)
            } else {
                Field::Either(key(word.strip_prefix('.')?)?)
            }
        }
    })
}

/// A regular expression that matches whole values.
fn whole(pattern: &str) -> Result<Regex, String> {
    let built = regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(REGEX_BYTES_MAX)
        .build();
    built.map_err(|_| format!("'{pattern}' is not a regular expression of a sensible size"))
}

impl Condition {
    /// That a tag has this value when both are written as text; `name`, `status` and so on are themselves.
    pub(crate) fn of_tag(key: &str, value: &str) -> Self {
        let (key, value) = match (key, value) {
            // As Jaeger and Zipkin mark errors.
            ("error", "true") => ("status", "error"),
            other => other,
        };
        let field = match key {
            "root.name" => Field::RootName,
            "root.service.name" => Field::RootService,
            "status.code" | "status" => Field::Status,
            "name" => Field::Name,
            other => Field::Either(other.to_owned()),
        };
        Condition {
            field,
            operator: Operator::Equal,
            operand: Operand::AnyText(value.to_owned()),
        }
    }

    fn holds(&self, span: &Span<'_>, of_trace: OfTrace<'_>) -> bool {
        let text = |text: &str| self.compare(Some(Value::String(text)));
        let number = |number: u64| self.compare(Some(Value::Int(number as i64)));
        match &self.field {
            Field::Resource(key) => self.compare(of_resource(span, key)),
            Field::Span(key) => self.compare(span.attribute(key)),
            Field::Either(key) => {
                self.compare(span.attribute(key).or_else(|| of_resource(span, key)))
            }
            Field::Name => text(span.name),
            Field::Status => text(status_name(span.status)),
            Field::StatusMessage => text(span.status_message()),
            Field::Kind => text(span.kind.name()),
            Field::Duration => number(span.duration()),
            Field::RootName => text(of_trace.root_name),
            Field::RootService => text(of_trace.root_service),
            Field::TraceDuration => number(of_trace.duration_ns),
        }
    }

    /// A value that is not there equals nothing but `nil`, and differs from everything else only where
    /// it is there: `.key != "v"` asks for spans that have the key, as in Tempo.
    fn compare(&self, found: Option<Value<'_>>) -> bool {
        let Some(found) = found else {
            return matches!(
                (&self.operand, self.operator),
                (Operand::Nil, Operator::Equal)
            );
        };
        match (&self.operand, &found) {
            (Operand::Nil, _) => self.operator == Operator::NotEqual,
            (Operand::Pattern(pattern), Value::String(text)) => {
                pattern.is_match(text) == (self.operator == Operator::Match)
            }
            (Operand::Text(text), Value::String(found)) => self.ordered((*found).cmp(text)),
            (Operand::AnyText(text), found) => found.to_text().is_some_and(|found| found == *text),
            (Operand::Bool(value), Value::Bool(found)) => self.ordered(found.cmp(value)),
            (Operand::Duration(value), Value::Int(found)) => {
                self.ordered(u64::try_from(*found).unwrap_or(0).cmp(value))
            }
            (Operand::Number(value), Value::Int(found)) => self.numbers(*found as f64, *value),
            (Operand::Number(value), Value::Double(found)) => self.numbers(*found, *value),
            // Values of another type are neither equal nor greater nor less.
            _ => false,
        }
    }

    fn numbers(&self, found: f64, value: f64) -> bool {
        found
            .partial_cmp(&value)
            .is_some_and(|order| self.ordered(order))
    }

    fn ordered(&self, order: std::cmp::Ordering) -> bool {
        match self.operator {
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
            Operator::Greater => order.is_gt(),
            Operator::AtLeast => order.is_ge(),
            Operator::Less => order.is_lt(),
            Operator::AtMost => order.is_le(),
            Operator::Match | Operator::NoMatch => false,
        }
    }
}

fn of_resource<'a>(span: &Span<'a>, key: &str) -> Option<Value<'a>> {
    if key == "service.name" {
        return Some(Value::String(span.service));
    }
    let found = span.resource_attributes().filter(|(name, _)| *name == key);
    found.last().map(|(_, value)| value)
}

/// As TraceQL names it.
pub(crate) fn status_name(status: StatusCode) -> &'static str {
    match status {
        StatusCode::Unset => "unset",
        StatusCode::Ok => "ok",
        StatusCode::Error => "error",
    }
}
