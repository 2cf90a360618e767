//! How much of a protocol's state space a check explores.

/// How much of the state space a check explores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Some twenty seconds.
    #[default]
    Quick,
    /// A few minutes.
    Ci,
    /// An hour.
    Deep,
}
