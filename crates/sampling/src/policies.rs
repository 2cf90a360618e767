//! All policies together, and their decision.

use quorate_trace::wire::Span;

use crate::prepare::{check_names, rule, several};
use crate::rule::{Outcome, Rule, Trace};
use crate::{ConfigError, PolicyConfig, PolicyKind};

/// Whether a trace is kept, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is kept.
    pub keep: bool,
    /// The policy that decided: the first, in the order of the configuration, with the outcome that
    /// counted. Empty if there are no policies, or none that matched.
    pub policy: String,
}

/// The policies of a configuration, with the state of their rate limits.
///
/// Rate limits are of these policies alone: where several decide for parts of the traces, each has its
/// own.
#[derive(Debug)]
pub struct Policies {
    drops: Vec<(String, Vec<Rule>)>,
    rules: Vec<(String, Rule)>,
}

impl Policies {
    /// Prepares the policies.
    ///
    /// # Errors
    ///
    /// If an option's value makes no sense.
    pub fn new(configs: &[PolicyConfig]) -> Result<Self, ConfigError> {
        check_names(configs)?;
        let mut policies = Policies {
            drops: Vec::new(),
            rules: Vec::new(),
        };
        for config in configs {
            let name = config.name.clone();
            match &config.kind {
                PolicyKind::Drop { drop_sub_policy } => {
                    let rules = several(&name, "drop_sub_policy", drop_sub_policy, 1)?;
                    policies.drops.push((name, rules));
                }
                _ => policies.rules.push((name, rule(config, 0)?)),
            }
        }
        Ok(policies)
    }

    /// Whether there are none, so that all traces are kept.
    pub fn is_empty(&self) -> bool {
        self.drops.is_empty() && self.rules.is_empty()
    }

    /// Decides on a whole trace: `spans` are all of it, in any order. `now_ms` is a clock in milliseconds
    /// that rate limits are measured by.
    pub fn decide(&mut self, now_ms: u64, spans: &[Span<'_>]) -> Decision {
        if self.is_empty() {
            return Decision {
                keep: true,
                policy: String::new(),
            };
        }
        let trace = Trace { now_ms, spans };
        let matches = |rules: &mut Vec<Rule>| {
            let mut rules = rules.iter_mut();
            !spans.is_empty() && rules.all(|rule| rule.outcome(&trace).samples())
        };
        for (name, rules) in &mut self.drops {
            if matches(rules) {
                return Decision {
                    keep: false,
                    policy: name.clone(),
                };
            }
        }
        let mut firsts = [None; 4];
        for (name, rule) in &mut self.rules {
            let outcome = rule.outcome(&trace);
            firsts[outcome as usize].get_or_insert(name.as_str());
        }
        let first = |outcome: Outcome| firsts[outcome as usize];
        let (keep, policy) = if let Some(name) = first(Outcome::InvertedNotSampled) {
            (false, name)
        } else if let Some(name) = first(Outcome::Sampled) {
            (true, name)
        } else {
            match (first(Outcome::InvertedSampled), first(Outcome::NotSampled)) {
                (Some(name), None) => (true, name),
                _ => (false, ""),
            }
        };
        Decision {
            keep,
            policy: policy.to_owned(),
        }
    }
}
