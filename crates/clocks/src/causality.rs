//! The four answers to "which came first?".

use std::cmp::Ordering;

/// How two events, or two clocks, are ordered by happens-before, which is a partial order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Causality {
    /// The first happens before the second.
    Before,
    /// The second happens before the first.
    After,
    /// They are the same.
    Equal,
    /// Neither happens before the other.
    Concurrent,
}

impl Causality {
    /// From whether the first has something that the second lacks, and the second something that the
    /// first lacks.
    pub(crate) fn of(first_ahead: bool, second_ahead: bool) -> Self {
        match (first_ahead, second_ahead) {
            (false, false) => Causality::Equal,
            (false, true) => Causality::Before,
            (true, false) => Causality::After,
            (true, true) => Causality::Concurrent,
        }
    }

    /// The same relation seen from the second to the first.
    #[must_use]
    pub fn reverse(self) -> Self {
        match self {
            Causality::Before => Causality::After,
            Causality::After => Causality::Before,
            same => same,
        }
    }
}

/// As [`PartialOrd`] has it: nothing for concurrent.
impl From<Causality> for Option<Ordering> {
    fn from(causality: Causality) -> Self {
        match causality {
            Causality::Before => Some(Ordering::Less),
            Causality::After => Some(Ordering::Greater),
            Causality::Equal => Some(Ordering::Equal),
            Causality::Concurrent => None,
        }
    }
}
