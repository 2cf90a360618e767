//! Makes rules of their configuration, and says what is wrong with it.

use std::collections::HashSet;

use regex::RegexSet;

use crate::limit::{PerSecond, TokenBucket};
use crate::rule::{Attribute, Matcher, Rule};
use crate::{ConfigError, PolicyConfig, PolicyKind, RateAllocation};

/// Policies within policies: more than anybody reads, less than the stack takes.
const NESTING_MAX: usize = 8;

/// The salt of the OpenTelemetry collector, if none is given.
const DEFAULT_SALT: &str = "default-hash-seed";

/// Neighbours need names to be told apart by.
pub(crate) fn check_names(configs: &[PolicyConfig]) -> Result<(), ConfigError> {
    let mut names = HashSet::new();
    for config in configs {
        if config.name.is_empty() {
            return Err(ConfigError::NoName {
                kind: config.kind.name(),
            });
        }
        if !names.insert(&config.name) {
            return Err(ConfigError::DuplicateName {
                name: config.name.clone(),
            });
        }
    }
    Ok(())
}

/// The sub-policies of `policy`, at least one. `depth` is how many policies are around them.
pub(crate) fn several(
    policy: &str,
    option: &str,
    configs: &[PolicyConfig],
    depth: usize,
) -> Result<Vec<Rule>, ConfigError> {
    not_empty(policy, option, configs)?;
    check_names(configs)?;
    configs.iter().map(|config| rule(config, depth)).collect()
}

/// The rule of one policy. `depth` is how many policies are around it.
pub(crate) fn rule(config: &PolicyConfig, depth: usize) -> Result<Rule, ConfigError> {
    let name = config.name.as_str();
    if depth >= NESTING_MAX {
        return Err(ConfigError::TooDeep {
            policy: name.to_owned(),
            limit: NESTING_MAX,
        });
    }
    Ok(match &config.kind {
        PolicyKind::AlwaysSample {} => Rule::Always,
        PolicyKind::Latency {
            threshold_ms,
            upper_threshold_ms,
        } => latency(name, *threshold_ms, *upper_threshold_ms)?,
        PolicyKind::StatusCode { status_codes } => {
            not_empty(name, "status_codes", status_codes)?;
            Rule::Status(status_codes.iter().map(|&code| code.into()).collect())
        }
        PolicyKind::StringAttribute {
            key,
            values,
            enabled_regex_matching,
            invert_match,
        } => {
            let matcher = match enabled_regex_matching {
                true => Matcher::Patterns(patterns(name, values)?),
                false => Matcher::Texts(texts(name, values)?),
            };
            attribute(name, key, matcher, *invert_match)?
        }
        PolicyKind::NumericAttribute {
            key,
            min_value,
            max_value,
            invert_match,
        } => {
            let matcher = numbers(name, *min_value, *max_value)?;
            attribute(name, key, matcher, *invert_match)?
        }
        PolicyKind::BooleanAttribute {
            key,
            value,
            invert_match,
        } => attribute(name, key, Matcher::Bool(*value), *invert_match)?,
        PolicyKind::Probabilistic {
            sampling_percentage,
            hash_salt,
        } => Rule::Probabilistic {
            salt: match hash_salt.as_str() {
                "" => DEFAULT_SALT.to_owned(),
                salt => salt.to_owned(),
            },
            threshold: threshold(name, *sampling_percentage)?,
        },
        PolicyKind::RateLimiting {
            spans_per_second,
            burst_capacity,
        } => Rule::SpansPerSecond(TokenBucket::new(*spans_per_second, *burst_capacity)),
        PolicyKind::BytesLimiting {
            bytes_per_second,
            burst_capacity,
        } => Rule::BytesPerSecond(TokenBucket::new(*bytes_per_second, *burst_capacity)),
        PolicyKind::SpanCount {
            min_spans,
            max_spans,
        } => span_count(name, *min_spans, *max_spans)?,
        PolicyKind::TraceState { key, values } => Rule::TraceState {
            key: checked_key(name, key)?,
            values: texts(name, values)?,
        },
        PolicyKind::TraceFlags {} => Rule::TraceFlags,
        PolicyKind::And { and_sub_policy } => {
            Rule::And(several(name, "and_sub_policy", and_sub_policy, depth + 1)?)
        }
        PolicyKind::Not { not_sub_policy } => {
            check_names(std::slice::from_ref(not_sub_policy))?;
            Rule::Not(Box::new(rule(not_sub_policy, depth + 1)?))
        }
        PolicyKind::Drop { .. } => {
            let problem = "a drop policy cannot be within another policy; negate with type not";
            return Err(ConfigError::invalid(name, problem));
        }
        PolicyKind::Composite {
            max_total_spans_per_second,
            policy_order,
            composite_sub_policy,
            rate_allocation,
        } => {
            let rules = several(
                name,
                "composite_sub_policy",
                composite_sub_policy,
                depth + 1,
            )?;
            let subs = composite_sub_policy.iter().map(|sub| sub.name.as_str());
            let subs: Vec<_> = subs.collect();
            let total = max_total_spans_per_second.get();
            let shares = shares(name, &subs, total, rate_allocation)?;
            let limited = rules
                .into_iter()
                .zip(shares.into_iter().map(PerSecond::new));
            Rule::Composite(in_order(name, &subs, policy_order, limited.collect())?)
        }
    })
}

fn latency(name: &str, threshold_ms: u64, upper_ms: u64) -> Result<Rule, ConfigError> {
    if upper_ms == 0 {
        return Ok(Rule::Latency {
            min: threshold_ms,
            max: u64::MAX,
        });
    }
    if upper_ms <= threshold_ms {
        let problem = "upper_threshold_ms must be above threshold_ms";
        return Err(ConfigError::invalid(name, problem));
    }
    // The lower bound belongs to the duration only if there is no upper one.
    Ok(Rule::Latency {
        min: threshold_ms + 1,
        max: upper_ms,
    })
}

fn span_count(name: &str, min: u64, max_spans: u64) -> Result<Rule, ConfigError> {
    let max = if max_spans == 0 { u64::MAX } else { max_spans };
    if max < min {
        let problem = "max_spans must not be below min_spans";
        return Err(ConfigError::invalid(name, problem));
    }
    Ok(Rule::SpanCount { min, max })
}

fn attribute(name: &str, key: &str, matcher: Matcher, invert: bool) -> Result<Rule, ConfigError> {
    Ok(Rule::Attribute(Attribute {
        key: checked_key(name, key)?,
        matcher,
        invert,
    }))
}

fn numbers(name: &str, min: Option<i64>, max: Option<i64>) -> Result<Matcher, ConfigError> {
    if min.is_none() && max.is_none() {
        let problem = "min_value or max_value is needed";
        return Err(ConfigError::invalid(name, problem));
    }
    let (min, max) = (min.unwrap_or(i64::MIN), max.unwrap_or(i64::MAX));
    if max < min {
        let problem = "max_value must not be below min_value";
        return Err(ConfigError::invalid(name, problem));
    }
    Ok(Matcher::Numbers { min, max })
}

/// Empty texts match nothing there, so they are likely a mistake.
fn texts(name: &str, values: &[String]) -> Result<HashSet<String>, ConfigError> {
    not_empty(name, "values", values)?;
    if values.iter().any(String::is_empty) {
        let problem = "values must not have an empty text, which matches nothing";
        return Err(ConfigError::invalid(name, problem));
    }
    Ok(values.iter().cloned().collect())
}

fn patterns(name: &str, values: &[String]) -> Result<RegexSet, ConfigError> {
    not_empty(name, "values", values)?;
    RegexSet::new(values).map_err(|source| ConfigError::Pattern {
        policy: name.to_owned(),
        source,
    })
}

fn checked_key(name: &str, key: &str) -> Result<String, ConfigError> {
    not_empty(name, "key", key.as_bytes())?;
    Ok(key.to_owned())
}

fn not_empty<T>(name: &str, option: &str, values: &[T]) -> Result<(), ConfigError> {
    match values {
        [] => Err(ConfigError::invalid(
            name,
            format!("{option} must not be empty"),
        )),
        _ => Ok(()),
    }
}

/// The greatest hash that is sampled, or none if nothing is: the share of 2⁶⁴ − 1, rounded down. A
/// `f64` has not enough digits to multiply with, so its two parts are used.
fn threshold(name: &str, percentage: f64) -> Result<Option<u64>, ConfigError> {
    if percentage.is_nan() || percentage < 0.0 {
        let problem = "sampling_percentage must be a number from 0 to 100";
        return Err(ConfigError::invalid(name, problem));
    }
    let ratio = percentage / 100.0;
    if ratio >= 1.0 {
        return Ok(Some(u64::MAX));
    }
    // Below one the exponent is at most 1022, and a normal number has a 53rd bit that is not written.
    let bits = ratio.to_bits();
    let exponent = (bits >> 52) as u32;
    let mantissa = bits & ((1 << 52) - 1) | (u64::from(exponent > 0) << 52);
    let product = u128::from(u64::MAX) * u128::from(mantissa);
    let share = product.checked_shr(1075 - exponent.max(1)).unwrap_or(0);
    Ok(u64::try_from(share).ok().filter(|_| percentage > 0.0))
}

/// Spans per second of each sub-policy: as allocated, and for the others equal parts of what is left.
fn shares(
    name: &str,
    subs: &[&str],
    total: u64,
    allocation: &[RateAllocation],
) -> Result<Vec<u64>, ConfigError> {
    let mut shares = vec![None; subs.len()];
    for RateAllocation { policy, percent } in allocation {
        let at = position(name, "rate_allocation", subs, policy)?;
        let share = u128::from(total) * u128::from(*percent) / 100;
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        if shares[at].replace(share).is_some() {
            let problem = format!("rate_allocation has {policy:?} twice");
            return Err(ConfigError::invalid(name, problem));
        }
    }
    if allocation
        .iter()
        .map(|a| u128::from(a.percent))
        .sum::<u128>()
        > 100
    {
        let problem = "the percentages of rate_allocation are more than 100 together";
        return Err(ConfigError::invalid(name, problem));
    }
    let left = total - shares.iter().flatten().sum::<u64>();
    let others = shares.iter().filter(|share| share.is_none()).count() as u64;
    let equal = left.checked_div(others).unwrap_or(0);
    Ok(shares
        .into_iter()
        .map(|share| share.unwrap_or(equal))
        .collect())
}

/// `rules`, one for each of `subs`, as `order` has them. It must have all, or none to change nothing.
fn in_order<T>(
    name: &str,
    subs: &[&str],
    order: &[String],
    rules: Vec<T>,
) -> Result<Vec<T>, ConfigError> {
    if order.is_empty() {
        return Ok(rules);
    }
    let mut rules: Vec<_> = rules.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(rules.len());
    for policy in order {
        let at = position(name, "policy_order", subs, policy)?;
        let Some(rule) = rules[at].take() else {
            let problem = format!("policy_order has {policy:?} twice");
            return Err(ConfigError::invalid(name, problem));
        };
        ordered.push(rule);
    }
    match rules.iter().position(Option::is_some) {
        Some(at) => {
            let problem = format!("policy_order lacks {:?}", subs[at]);
            Err(ConfigError::invalid(name, problem))
        }
        None => Ok(ordered),
    }
}

fn position(name: &str, option: &str, subs: &[&str], policy: &str) -> Result<usize, ConfigError> {
    let at = subs.iter().position(|sub| *sub == policy);
    at.ok_or_else(|| {
        let problem = format!("{option} names {policy:?}, which is not in composite_sub_policy");
        ConfigError::invalid(name, problem)
    })
}
