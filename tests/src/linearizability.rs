//! Is a recorded history linearizable?
//!
//! A history is [linearizable](https://doi.org/10.1145/78969.78972) if every operation can be given one
//! moment between its call and its return, so that the operations, one after the other in this order,
//! would have been answered as they were. Three ideas make the search for such an order short:
//!
//! - Keys are independent, so each has a search of its own (P-compositionality: Horn and Kroening,
//!   "Faster linearizability checking via P-compositionality", FORTE 2015).
//! - The search is Wing and Gong's ("Testing and verifying concurrent objects", 1993): take, as the next
//!   one, any operation that was called before the first of the others returned; go back when an answer
//!   does not fit.
//! - The same set of operations with the same value left behind is never tried twice (Lowe, "Testing for
//!   linearizability", 2017). The list from which operations are lifted and put back is the one of the
//!   checker porcupine.
//!
//! An operation whose outcome nobody knows has no return: it stays concurrent with everything after its
//! call, and may as well never happen.

mod search;
#[cfg(test)]
mod tests;

use search::{Found, search};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// What a key holds. Histories are easiest to judge if every write has a value of its own.
pub type Value = Option<u64>;

/// What a client asked of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// What does it hold?
    Get,
    /// Set it.
    Put(u64),
    /// Set it if it holds what is expected.
    CompareAndSwap {
        /// What it must hold.
        expected: Value,
        /// Its new value.
        new: u64,
    },
}

/// What it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It holds this.
    Got(Value),
    /// It is set.
    Written,
    /// It held what was expected, and is set.
    Swapped,
    /// It holds this instead.
    Mismatched(Value),
}

/// One operation of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Who asked.
    pub client: usize,
    /// The key.
    pub key: usize,
    /// What was asked.
    pub operation: Operation,
    /// When, by a clock that all clients share.
    pub called: Duration,
    /// When which answer came; nothing if it is not known whether the operation took effect.
    pub returned: Option<(Duration, Answer)>,
}

impl Recorded {
    /// The value left behind by this operation, if it fits the one that is `held`.
    fn step(&self, held: Value) -> Option<Value> {
        let answer = self.returned.map(|(_, answer)| answer);
        match (self.operation, answer) {
            (Operation::Get, None) => Some(held),
            (Operation::Get, Some(Answer::Got(got))) => (got == held).then_some(held),
            (Operation::Put(new), None | Some(Answer::Written)) => Some(Some(new)),
            (Operation::CompareAndSwap { expected, new }, None) => {
                Some(if expected == held { Some(new) } else { held })
            }
            (Operation::CompareAndSwap { expected, new }, Some(Answer::Swapped)) => {
                (expected == held).then_some(Some(new))
            }
            (Operation::CompareAndSwap { expected, .. }, Some(Answer::Mismatched(got))) => {
                (got == held && expected != held).then_some(held)
            }
            // An answer to another question.
            _ => None,
        }
    }

    /// The value that this operation may have written.
    fn wrote(&self) -> Option<u64> {
        match self.operation {
            Operation::Put(new) | Operation::CompareAndSwap { new, .. } => Some(new),
            Operation::Get => None,
        }
    }

    /// The value that this operation has seen, or may have.
    fn saw(&self) -> Value {
        match (self.operation, self.returned) {
            (_, Some((_, Answer::Got(got) | Answer::Mismatched(got)))) => got,
            (Operation::CompareAndSwap { expected, .. }, _) => expected,
            _ => None,
        }
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let called = self.called.as_secs_f64();
        write!(f, "client {} at {called:.6} s: ", self.client)?;
        let text = |value: Value| value.map_or("nothing".to_owned(), |value| value.to_string());
        match self.operation {
            Operation::Get => write!(f, "get")?,
            Operation::Put(new) => write!(f, "put {new}")?,
            Operation::CompareAndSwap { expected, new } => {
                write!(f, "swap {} for {new}", text(expected))?;
            }
        }
        let Some((returned, answer)) = self.returned else {
            return write!(f, " (outcome unknown)");
        };
        match answer {
            Answer::Got(value) => write!(f, " -> {}", text(value))?,
            Answer::Written | Answer::Swapped => write!(f, " -> done")?,
            Answer::Mismatched(value) => write!(f, " -> no, it holds {}", text(value))?,
        }
        write!(f, " at {:.6} s", returned.as_secs_f64())
    }
}

/// Why a history was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no order.
    NotLinearizable {
        /// The key.
        key: usize,
        /// The longest order that was found, its last operation at the end.
        longest: Vec<Recorded>,
        /// Operations that had returned by then and fit nowhere.
        stuck: Vec<Recorded>,
    },
    /// Too many orders are possible for all to be tried.
    TooHard {
        /// The key.
        key: usize,
        /// Its operations.
        operations: usize,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::TooHard { key, operations } => {
                write!(f, "key {key}: too many orders of {operations} operations")
            }
            Refused::NotLinearizable {
                key,
                longest,
                stuck,
            } => {
                writeln!(f, "key {key} is not linearizable. In the longest order")?;
                let shown = longest.len().saturating_sub(8);
                if shown > 0 {
                    writeln!(f, "  ({shown} operations)")?;
                }
                for operation in &longest[shown..] {
                    writeln!(f, "  {operation}")?;
                }
                writeln!(f, "are followed by what fits nowhere:")?;
                for operation in stuck {
                    writeln!(f, "  {operation}")?;
                }
                Ok(())
            }
        }
    }
}

/// Looks for an order of `history`, in which keys begin empty.
///
/// # Errors
///
/// The first key without one, or with too many possible ones to try.
pub fn check(history: &[Recorded]) -> Result<(), Refused> {
    let mut keys: BTreeMap<usize, Vec<Recorded>> = BTreeMap::new();
    for recorded in history {
        keys.entry(recorded.key).or_default().push(*recorded);
    }
    for (key, history) in keys {
        let history = without_unseen(history);
        match search(&history) {
            Found::Order => {}
            Found::None { longest, stuck } => {
                return Err(Refused::NotLinearizable {
                    key,
                    longest: longest.iter().map(|&index| history[index]).collect(),
                    stuck: stuck.iter().map(|&index| history[index]).collect(),
                });
            }
            Found::GivenUp => {
                let operations = history.len();
                return Err(Refused::TooHard { key, operations });
            }
        }
    }
    Ok(())
}

/// Leaves out the operations with unknown outcome whose value nobody has seen.
///
/// They change no verdict and cost the search a factor of two each. In an order that has one of them,
/// whatever comes next either overwrites its value without a look, so the order holds without it, or
/// sees the value. The reverse is plain: an operation with unknown outcome may never have happened.
fn without_unseen(mut history: Vec<Recorded>) -> Vec<Recorded> {
    loop {
        let before = history.len();
        let seen: BTreeSet<u64> = history.iter().filter_map(Recorded::saw).collect();
        history.retain(|recorded| {
            let seen = recorded.wrote().is_some_and(|value| seen.contains(&value));
            recorded.returned.is_some() || seen
        });
        // What was left out may have been all that saw another value.
        if history.len() == before {
            return history;
        }
    }
}
