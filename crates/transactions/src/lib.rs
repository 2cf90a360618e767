//! Atomic transactions.
//!
//! An embedded store keeps its records in the node's own log ([`quorate::Node::log`]). The log makes a batch durable
//! only with all that were appended before it, so a store may vote as soon as it has *appended* what it prepared:
//! the record of the vote comes after it, one sync covers both, and the vote leaves when that is done.
