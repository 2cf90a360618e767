//! Identities of nodes and groups.

use std::fmt;

/// A node's identity within its cluster. Unique for ever: a node whose disk is lost comes back under
/// a new id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// The same as `Display`, so that counterexamples read well.
impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One instance of a protocol among the many that nodes may run over one transport and one record log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u64);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}", self.0)
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logs, counterexamples and the names of event logs are read with these.
    #[test]
    fn identities_are_told_apart_by_a_letter() {
        assert_eq!(format!("{0} {0:?}", NodeId(3)), "n3 n3");
        assert_eq!(format!("{0} {0:?}", GroupId(12)), "g12 g12");
    }
}
