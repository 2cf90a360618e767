//! What can be wrong with policies whose configuration could be read.

use thiserror::Error;

/// Why policies were refused. The configuration's fault, always.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A policy without a name could not be found again in figures.
    #[error("a sampling policy of type {kind} has an empty name")]
    NoName {
        /// The type of the policy.
        kind: &'static str,
    },
    /// Two policies side by side have the same name.
    #[error("two sampling policies are named {name:?}")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// An option has a value that makes no sense.
    #[error("sampling policy {policy:?}: {problem}")]
    Invalid {
        /// The policy's name.
        policy: String,
        /// What is wrong with which option.
        problem: String,
    },
    /// A pattern is no regular expression.
    #[error("sampling policy {policy:?}: invalid pattern in values: {source}")]
    Pattern {
        /// The policy's name.
        policy: String,
        /// What is wrong with it.
        source: regex::Error,
    },
    /// Policies within policies go too deep.
    #[error("sampling policy {policy:?} is nested deeper than {limit} policies")]
    TooDeep {
        /// The policy's name.
        policy: String,
        /// How deep they may go.
        limit: usize,
    },
}

impl ConfigError {
    pub(crate) fn invalid(policy: &str, problem: impl Into<String>) -> Self {
        ConfigError::Invalid {
            policy: policy.to_owned(),
            problem: problem.into(),
        }
    }
}
