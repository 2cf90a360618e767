//! Event logs of a real cluster against the machine, and against its specification.
