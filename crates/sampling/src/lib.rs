//! Tail sampling: which traces are kept, decided when all of a trace is known.
//!
//! The policies are those of the OpenTelemetry collector's `tail_sampling` processor, with its names,
//! options and meanings (its README in `opentelemetry-collector-contrib/processor/tailsamplingprocessor`),
//! written flat in TOML:
//!
//! ```
//! use quorate_sampling::{Policies, PolicyConfig};
//!
//! #[derive(serde::Deserialize)]
//! struct Sampling {
//!     policy: Vec<PolicyConfig>,
//! }
//!
//! let Sampling { policy } = toml::from_str(
//!     r#"
//!     [[policy]]
//!     name = "errors"
//!     type = "status_code"
//!     status_codes = ["ERROR"]
//!
//!     [[policy]]
//!     name = "a tenth of the rest"
//!     type = "probabilistic"
//!     sampling_percentage = 10
//!
//!     [[policy]]
//!     name = "no probes"
//!     type = "drop"
//!     drop_sub_policy = [
//!         { name = "route", type = "string_attribute", key = "http.route", values = ["/health"] },
//!     ]
//!     "#,
//! )?;
//! let mut policies = Policies::new(&policy)?;
//! # let (now_ms, spans) = (0, []);
//! let decision = policies.decide(now_ms, &spans);
//! assert!(!decision.keep);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # From policies to a decision
//!
//! Each policy says *sample* or *not sample*; one with `invert_match` says *inverted sample* or *inverted
//! not sample* instead, except within another policy. As in the processor's README, in this order:
//!
//! 1. a `drop` policy that matches: not kept;
//! 2. any "inverted not sample": not kept;
//! 3. any "sample": kept;
//! 4. an "inverted sample" and no "not sample": kept;
//! 5. otherwise: not kept.
//!
//! Without any policy all traces are kept.
//!
//! # Policies
//!
//! | type | options | samples |
//! |---|---|---|
//! | `always_sample` | | every trace |
//! | `latency` | `threshold_ms`, `upper_threshold_ms` | first begin to last end, in whole milliseconds, is at least the threshold; with an upper one: above the lower, at most the upper |
//! | `status_code` | `status_codes` | a span has one of `OK`, `ERROR`, `UNSET` |
//! | `string_attribute` | `key`, `values`, `enabled_regex_matching`, `invert_match` | a span or its resource has one of the values; patterns match anywhere in the value unless anchored |
//! | `numeric_attribute` | `key`, `min_value`, `max_value`, `invert_match` | a span or its resource has a number between, both included |
//! | `boolean_attribute` | `key`, `value`, `invert_match` | a span or its resource has this truth value |
//! | `probabilistic` | `sampling_percentage`, `hash_salt` | that share of trace ids |
//! | `rate_limiting` | `spans_per_second`, `burst_capacity` | while the token bucket has a token for each span |
//! | `bytes_limiting` | `bytes_per_second`, `burst_capacity` | while the token bucket has a token for each byte of OTLP |
//! | `span_count` | `min_spans`, `max_spans` | that many spans, both included |
//! | `trace_state` | `key`, `values` | a span's `tracestate` has one of the values |
//! | `trace_flags` | | a span has the W3C flag "sampled" |
//! | `and` | `and_sub_policy` | all of them sample; none after the first that does not is asked |
//! | `not` | `not_sub_policy` | it does not sample |
//! | `drop` | `drop_sub_policy` | nothing: if all of them sample, the trace is not kept |
//! | `composite` | `max_total_spans_per_second`, `policy_order`, `composite_sub_policy`, `rate_allocation` | the first that samples decides, within its share of the spans per second |
//!
//! `probabilistic` hashes with 64-bit FNV-1a: first the salt (`default-hash-seed` unless given), then the
//! 16 bytes of the trace id, and keeps the trace if the hash is at most the percentage of 2⁶⁴ − 1. The
//! OpenTelemetry collector does the same, so every node and every collector with the same salt decides
//! alike, and a collector in a second tier needs another salt.
//!
//! # Where it differs from the OpenTelemetry collector, on purpose
//!
//! - No decision depends on the order of spans. The processor's `latency` asks after each span whether
//!   the part seen so far lies within the bounds; here only the whole trace counts. Times of zero, which
//!   mean "not set", do not count.
//! - `drop` policies are asked first, so that what is dropped anyway takes nothing from a rate limit.
//! - `numeric_attribute` reads floating-point attributes too; there they count as zero.
//! - `composite` follows `policy_order`, and sub-policies that have no allocation share what the others
//!   leave; there the order is that of the list and such a policy gets nothing.
//! - `not` negates inverted sub-policies as well.
//! - `cache_max_size` is not an option: patterns match in linear time. There is no `ottl_condition`.

mod config;
mod error;
mod limit;
mod policies;
mod prepare;
mod rule;

pub use config::{PolicyConfig, PolicyKind, RateAllocation, Status};
pub use error::ConfigError;
pub use policies::{Decision, Policies};
