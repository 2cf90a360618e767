//! Why an operation came to no result.

use std::fmt;
use tonic::Code;

/// A member that was asked, and what it said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Its address.
    pub endpoint: String,
    /// What it said, or why nothing was heard of it.
    pub answer: String,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.endpoint, self.answer)
    }
}

/// Why an operation came to no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// An endpoint that is no `host:port`, or none at all.
    #[error("{endpoint:?} is not an address like host:port: {reason}")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The request cannot be carried out by anybody. Nothing happened.
    #[error("invalid request: {0}")]
    Invalid(String),
    /// Nobody who could answer was reached in time, such as a leader. Nothing happened.
    #[error("nobody who could answer was reached ({})", list(.tried))]
    Unavailable {
        /// Who was asked, and what they said.
        tried: Vec<Tried>,
    },
    /// A write was sent, and it could not be learnt whether it is applied: it was, it will be, or it
    /// never will.
    #[error("the write may or may not take effect ({})", list(.tried))]
    Unknown {
        /// Who was asked, and what they said.
        tried: Vec<Tried>,
    },
    /// A stream has missed something because its receiver was too slow.
    #[error("{0}")]
    Lagged(String),
    /// A stream has ended with its member.
    #[error("the stream has ended: {0}")]
    Ended(String),
    /// A member says what no member should.
    #[error("unexpected answer: {0}")]
    Unexpected(String),
}

fn list(tried: &[Tried]) -> String {
    match tried {
        [] => "nobody was asked".to_owned(),
        tried => {
            let tried: Vec<_> = tried.iter().map(Tried::to_string).collect();
            tried.join("; ")
        }
    }
}

/// An operation that came to no result.
#[derive(Debug)]
pub struct Failed {
    /// With what a member ended it, unless it was given up.
    pub code: Option<Code>,
    /// Whether an attempt may have had an effect, now or later.
    pub unknown: bool,
    /// Who was asked, and what they said last.
    pub tried: Vec<Tried>,
}

impl Failed {
    /// What to tell of a write.
    #[must_use]
    pub fn of_write(self) -> ClientError {
        match self.unknown {
            true => ClientError::Unknown { tried: self.tried },
            false => self.into(),
        }
    }
}

/// What to tell of an operation that may be done again.
impl From<Failed> for ClientError {
    fn from(failed: Failed) -> Self {
        let last = || {
            let last = failed.tried.last();
            last.map_or_else(String::new, |tried| tried.answer.clone())
        };
        match failed.code {
            None => ClientError::Unavailable {
                tried: failed.tried,
            },
            Some(Code::InvalidArgument | Code::OutOfRange) => ClientError::Invalid(last()),
            Some(_) => ClientError::Unexpected(last()),
        }
    }
}
