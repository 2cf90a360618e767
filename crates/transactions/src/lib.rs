//! Atomic transactions.
