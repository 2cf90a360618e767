//! Sealed traces for others.
//!
//! [`forward`] sends them to another OTLP backend, from a queue on disk that outlives crashes, restarts
//! and the backend's absences. `archive`, with the feature `parquet`, writes them to Parquet files in a
//! local directory or on an object store, from such a queue as well.

#[cfg(feature = "parquet")]
pub mod archive;
mod backoff;
pub mod forward;
mod queue;
mod split;
