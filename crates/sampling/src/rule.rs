//! One policy, ready to be asked. `prepare.rs` makes it from its configuration.

use std::collections::HashSet;

use quorate_trace::TraceId;
use quorate_trace::wire::{Span, StatusCode, Value, encoded_size};
use regex::RegexSet;

use crate::limit::{PerSecond, TokenBucket};

/// What is asked about.
pub(crate) struct Trace<'s, 'a> {
    pub(crate) now_ms: u64,
    pub(crate) spans: &'s [Span<'a>],
}

/// What a policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sampled,
    NotSampled,
    /// By `invert_match`: nothing matched.
    InvertedSampled,
    /// By `invert_match`: something matched.
    InvertedNotSampled,
}

impl Outcome {
    /// Within other policies inverted outcomes are as good as others.
    pub(crate) fn samples(self) -> bool {
        matches!(self, Outcome::Sampled | Outcome::InvertedSampled)
    }

    fn of(samples: bool) -> Self {
        match samples {
            true => Outcome::Sampled,
            false => Outcome::NotSampled,
        }
    }
}

/// A policy, checked and prepared.
#[derive(Debug)]
pub(crate) enum Rule {
    Always,
    /// In milliseconds, both included.
    Latency {
        min: u64,
        max: u64,
    },
    Status(Vec<StatusCode>),
    Attribute(Attribute),
    /// Without a threshold no trace is sampled.
    Probabilistic {
        salt: String,
        threshold: Option<u64>,
    },
    SpansPerSecond(TokenBucket),
    BytesPerSecond(TokenBucket),
    SpanCount {
        min: u64,
        max: u64,
    },
    TraceState {
        key: String,
        values: HashSet<String>,
    },
    TraceFlags,
    And(Vec<Rule>),
    Not(Box<Rule>),
    /// In the order in which they are asked.
    Composite(Vec<(Rule, PerSecond)>),
}

/// Whether an attribute of any span or resource matches.
#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) key: String,
    pub(crate) matcher: Matcher,
    pub(crate) invert: bool,
}

#[derive(Debug)]
pub(crate) enum Matcher {
    Texts(HashSet<String>),
    Patterns(RegexSet),
    Numbers { min: i64, max: i64 },
    Bool(bool),
}

impl Rule {
    /// What this policy says about the trace.
    pub(crate) fn outcome(&mut self, trace: &Trace<'_, '_>) -> Outcome {
        let Trace { now_ms, spans } = *trace;
        let Some(span) = spans.first() else {
            return Outcome::NotSampled;
        };
        Outcome::of(match self {
            Rule::Always => true,
            Rule::Latency { min, max } => (*min..=*max).contains(&duration_ms(spans)),
            Rule::Status(codes) => spans.iter().any(|span| codes.contains(&span.status)),
            Rule::Attribute(attribute) => return attribute.outcome(spans),
            Rule::Probabilistic { salt, threshold } => {
                threshold.is_some_and(|threshold| hash(salt, span.trace_id) <= threshold)
            }
            Rule::SpansPerSecond(bucket) => bucket.take(now_ms, spans.len() as u64),
            Rule::BytesPerSecond(bucket) => bucket.take(now_ms, encoded_size(spans) as u64),
            Rule::SpanCount { min, max } => (*min..=*max).contains(&(spans.len() as u64)),
            Rule::TraceState { key, values } => spans.iter().any(|span| {
                let value = member(span.trace_state(), key);
                value.is_some_and(|value| values.contains(value))
            }),
            Rule::TraceFlags => spans.iter().any(|span| span.flags & 1 == 1),
            Rule::And(rules) => rules.iter_mut().all(|rule| rule.outcome(trace).samples()),
            Rule::Not(rule) => !rule.outcome(trace).samples(),
            // One that samples and is over its share is not passed on to the next: so each policy keeps
            // to its share, and a smaller trace may still fit.
            Rule::Composite(rules) => rules
                .iter_mut()
                .find_map(|(rule, limit)| rule.outcome(trace).samples().then_some(limit))
                .is_some_and(|limit| limit.take(now_ms, spans.len() as u64)),
        })
    }
}

impl Attribute {
    fn outcome(&self, spans: &[Span<'_>]) -> Outcome {
        let found = spans.iter().any(|span| self.matches(span));
        match (self.invert, found) {
            (false, found) => Outcome::of(found),
            (true, false) => Outcome::InvertedSampled,
            (true, true) => Outcome::InvertedNotSampled,
        }
    }

    fn matches(&self, span: &Span<'_>) -> bool {
        let own = span.attributes().chain(span.resource_attributes());
        let mut values = own.filter(|(key, _)| *key == self.key);
        values.any(|(_, value)| self.matcher.matches(&value))
    }
}

impl Matcher {
    fn matches(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Matcher::Texts(texts), Value::String(text)) => texts.contains(*text),
            (Matcher::Patterns(patterns), Value::String(text)) => {
                !text.is_empty() && patterns.is_match(text)
            }
            (Matcher::Numbers { min, max }, Value::Int(number)) => (min..=max).contains(&number),
            (Matcher::Numbers { min, max }, Value::Double(number)) => {
                *min as f64 <= *number && *number <= *max as f64
            }
            (Matcher::Bool(wanted), Value::Bool(value)) => wanted == value,
            _ => false,
        }
    }
}

/// From the first begin to the last end, without times that are not set.
fn duration_ms(spans: &[Span<'_>]) -> u64 {
    let starts = spans.iter().map(|span| span.start).filter(|time| *time > 0);
    let ends = spans.iter().map(|span| span.end).max();
    match (starts.min(), ends) {
        (Some(start), Some(end)) => end.saturating_sub(start) / 1_000_000,
        _ => 0,
    }
}

/// 64-bit FNV-1a of the salt and the trace id, as the OpenTelemetry collector has it.
fn hash(salt: &str, trace_id: TraceId) -> u64 {
    let bytes = salt.as_bytes().iter().chain(trace_id.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The value of a member of a `tracestate`: `key=value` between commas, with spaces around it.
fn member<'a>(trace_state: &'a str, wanted: &str) -> Option<&'a str> {
    let members = trace_state.split(',').filter_map(|member| {
        let (key, value) = member.split_once('=')?;
        Some((
            key.trim_matches([' ', '\t']),
            value.trim_end_matches([' ', '\t']),
        ))
    });
    let mut values = members.filter(|(key, _)| *key == wanted);
    values.next().map(|(_, value)| value)
}
