//! Sealed traces for others.
//!
//! [`forward`] sends them to another OTLP backend, from a queue on disk that outlives crashes, restarts
//! and the backend's absences.

pub mod forward;
