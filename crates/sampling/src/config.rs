//! Policies as they are written in a configuration.
//!
//! A policy is one table: its name, its type, and the options of that type beside them. Anything else in
//! the table is an error that says what is allowed.

use std::fmt;
use std::num::NonZeroU64;

use quorate_trace::wire::StatusCode;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

/// One policy: a name for figures and decisions, and what it does.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyConfig {
    /// Its name, unique among its neighbours.
    pub name: String,
    /// Its type with the options.
    pub kind: PolicyKind,
}

/// The types of policies with their options; see the [crate's](crate) table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum PolicyKind {
    /// Samples every trace.
    AlwaysSample {},
    /// Samples by the duration of the whole trace.
    Latency {
        /// Lower bound in milliseconds: included, unless there is an upper one.
        threshold_ms: u64,
        /// Upper bound in milliseconds, included; none if it is missing or zero.
        #[serde(default)]
        upper_threshold_ms: u64,
    },
    /// Samples if any span has one of these statuses.
    StatusCode {
        /// At least one.
        status_codes: Vec<Status>,
    },
    /// Samples by a text among the attributes of a span or its resource.
    StringAttribute {
        /// The attribute.
        key: String,
        /// Texts, or patterns.
        values: Vec<String>,
        /// Whether `values` are regular expressions.
        #[serde(default)]
        enabled_regex_matching: bool,
        /// Whether a match means not to sample.
        #[serde(default)]
        invert_match: bool,
    },
    /// Samples by a number among the attributes of a span or its resource.
    NumericAttribute {
        /// The attribute.
        key: String,
        /// The least that matches.
        min_value: Option<i64>,
        /// The most that matches.
        max_value: Option<i64>,
        /// Whether a match means not to sample.
        #[serde(default)]
        invert_match: bool,
    },
    /// Samples by a truth value among the attributes of a span or its resource.
    BooleanAttribute {
        /// The attribute.
        key: String,
        /// What matches.
        value: bool,
        /// Whether a match means not to sample.
        #[serde(default)]
        invert_match: bool,
    },
    /// Samples a share of the trace ids.
    Probabilistic {
        /// The share in percent; 100 and more is every trace.
        sampling_percentage: f64,
        /// To be different in every tier of collectors.
        #[serde(default)]
        hash_salt: String,
    },
    /// Samples as many spans per second.
    RateLimiting {
        /// The rate.
        spans_per_second: NonZeroU64,
        /// The most spans at once; twice the rate if it is missing.
        burst_capacity: Option<NonZeroU64>,
    },
    /// Samples as many bytes per second, as OTLP has them.
    BytesLimiting {
        /// The rate.
        bytes_per_second: NonZeroU64,
        /// The most bytes at once; twice the rate if it is missing.
        burst_capacity: Option<NonZeroU64>,
    },
    /// Samples by the number of spans.
    SpanCount {
        /// The least, included.
        #[serde(default)]
        min_spans: u64,
        /// The most, included; any number if it is missing or zero.
        #[serde(default)]
        max_spans: u64,
    },
    /// Samples by a member of `tracestate`.
    TraceState {
        /// Key of the member.
        key: String,
        /// Its values.
        values: Vec<String>,
    },
    /// Samples if any span was sampled at its head, as its W3C trace flags say.
    TraceFlags {},
    /// Samples if all of these do.
    And {
        /// At least one.
        and_sub_policy: Vec<PolicyConfig>,
    },
    /// Samples if this one does not.
    Not {
        /// The policy to negate.
        not_sub_policy: Box<PolicyConfig>,
    },
    /// Keeps traces from being sampled by any policy, if all of these sample.
    Drop {
        /// At least one.
        drop_sub_policy: Vec<PolicyConfig>,
    },
    /// Shares a rate among policies: the first that samples decides.
    Composite {
        /// Spans per second of all together.
        max_total_spans_per_second: NonZeroU64,
        /// Names of all sub-policies, the first to be asked first; as they are listed if it is missing.
        #[serde(default)]
        policy_order: Vec<String>,
        /// At least one.
        composite_sub_policy: Vec<PolicyConfig>,
        /// Shares of the total.
        #[serde(default)]
        rate_allocation: Vec<RateAllocation>,
    },
}

/// A sub-policy's share of a composite policy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateAllocation {
    /// Its name.
    pub policy: String,
    /// Percent of the total.
    pub percent: u64,
}

/// A status as the OpenTelemetry collector writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Not said.
    Unset,
    /// Declared a success.
    Ok,
    /// Failed.
    Error,
}

impl From<Status> for StatusCode {
    fn from(status: Status) -> Self {
        match status {
            Status::Unset => StatusCode::Unset,
            Status::Ok => StatusCode::Ok,
            Status::Error => StatusCode::Error,
        }
    }
}

impl PolicyKind {
    /// The type as it is written.
    pub fn name(&self) -> &'static str {
        match self {
            PolicyKind::AlwaysSample {} => "always_sample",
            PolicyKind::Latency { .. } => "latency",
            PolicyKind::StatusCode { .. } => "status_code",
            PolicyKind::StringAttribute { .. } => "string_attribute",
            PolicyKind::NumericAttribute { .. } => "numeric_attribute",
            PolicyKind::BooleanAttribute { .. } => "boolean_attribute",
            PolicyKind::Probabilistic { .. } => "probabilistic",
            PolicyKind::RateLimiting { .. } => "rate_limiting",
            PolicyKind::BytesLimiting { .. } => "bytes_limiting",
            PolicyKind::SpanCount { .. } => "span_count",
            PolicyKind::TraceState { .. } => "trace_state",
            PolicyKind::TraceFlags {} => "trace_flags",
            PolicyKind::And { .. } => "and",
            PolicyKind::Not { .. } => "not",
            PolicyKind::Drop { .. } => "drop",
            PolicyKind::Composite { .. } => "composite",
        }
    }
}

/// serde can flatten a structure or deny unknown fields, not both. So the name is taken out of the
/// table on the way, and all the rest of it must be options of the type.
impl<'de> Deserialize<'de> for PolicyConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Table)
    }
}

struct Table;

impl<'de> Visitor<'de> for Table {
    type Value = PolicyConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sampling policy: a table with name, type and the options of the type")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PolicyConfig, A::Error> {
        let mut name = None;
        let options = WithoutName {
            map,
            name: &mut name,
        };
        let kind = PolicyKind::deserialize(MapAccessDeserializer::new(options));
        match (name, kind) {
            (Some(name), Ok(kind)) => Ok(PolicyConfig { name, kind }),
            (Some(name), Err(error)) => {
                let problem = format_args!("sampling policy {name:?}: {error}");
                Err(A::Error::custom(problem))
            }
            (None, Err(error)) => Err(error),
            (None, Ok(_)) => Err(A::Error::missing_field("name")),
        }
    }
}

struct WithoutName<'n, A> {
    map: A,
    name: &'n mut Option<String>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for WithoutName<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            if key != "name" {
                return seed.deserialize(StringDeserializer::new(key)).map(Some);
            }
            if self.name.replace(self.map.next_value()?).is_some() {
                return Err(A::Error::duplicate_field("name"));
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}
