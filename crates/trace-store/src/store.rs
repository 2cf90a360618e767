//! What the collector and the queries need of a store.

use std::time::Duration;

use quorate_trace::TraceId;
use quorate_trace::wire::SpanKind;
use serde::Serialize;

use crate::{Base, Found, Fragment, Query, StoreError, Stored, TagKeys};

/// Keeps sealed traces.
///
/// All methods may be called from any number of threads at once, and block: from asynchronous code they
/// belong on a thread for blocking work.
pub trait TraceStore: Send + Sync + 'static {
    /// Stores revisions of traces: all of them are durable when it returns, and none if it fails.
    ///
    /// A revision that is there already is ignored, so a put can be repeated. A trace stays with its
    /// first revision: what amends it expires together with it.
    ///
    /// # Errors
    ///
    /// If the disk fails or is full.
    fn put(&self, fragments: &[Fragment]) -> Result<(), StoreError>;

    /// What there is of a trace, for the one who amends it. Cheap if there is nothing.
    ///
    /// # Errors
    ///
    /// If the disk fails, or what it returns is damaged.
    fn base(&self, trace: TraceId) -> Result<Option<Base>, StoreError>;

    /// A trace with all its spans, or the record of its having been dropped.
    ///
    /// # Errors
    ///
    /// If the disk fails, or what it returns is damaged.
    fn get(&self, trace: TraceId) -> Result<Option<Stored>, StoreError>;

    /// The newest traces that fit. Traces that sampling dropped are not found.
    ///
    /// # Errors
    ///
    /// If the disk fails, or what it returns is damaged.
    fn search(&self, query: &Query) -> Result<Found, StoreError>;

    /// The services of the stored traces, sorted.
    fn services(&self) -> Vec<String>;

    /// The operations of a service, of one kind or of all, sorted.
    fn operations(&self, service: &str, kind: Option<SpanKind>) -> Vec<(String, SpanKind)>;

    /// Keys of attributes in recent traces.
    ///
    /// # Errors
    ///
    /// If the disk fails, or what it returns is damaged.
    fn tag_keys(&self) -> Result<TagKeys, StoreError>;

    /// Values that an attribute has in recent traces, as text, sorted; a thousand at most.
    ///
    /// # Errors
    ///
    /// If the disk fails, or what it returns is damaged.
    fn tag_values(&self, key: &str) -> Result<Vec<String>, StoreError>;

    /// How much there is.
    fn figures(&self) -> Figures;

    /// Removes what is too old or too much. To be called now and then; it neither blocks nor slows the
    /// other methods.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    fn expire(&self, retention: &Retention) -> Result<Expired, StoreError>;
}

/// How long traces stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Since they were stored. They may stay an eighth longer.
    pub max_age: Duration,
    /// Of all that is stored, compressed. There may be an eighth more, and what was put since the last
    /// time that expiry ran.
    pub max_bytes: u64,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Traces, kept and dropped ones.
    pub traces: u64,
    /// Bytes as stored.
    pub bytes: u64,
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Traces, those included of which only the decision is kept.
    pub traces: u64,
    /// Of these, revisions beyond the first.
    pub amendments: u64,
    /// Of these, revisions that sampling dropped.
    pub dropped: u64,
    /// Stored spans.
    pub spans: u64,
    /// Bytes of spans as they were put.
    pub raw_bytes: u64,
    /// Bytes of spans and summaries as they are stored.
    pub stored_bytes: u64,
    /// Bytes of all files, journals included.
    pub disk_bytes: u64,
    /// Where the earliest trace begins, in nanoseconds since 1970.
    pub oldest_ns: Option<u64>,
    /// Where the latest trace begins, in nanoseconds since 1970.
    pub newest_ns: Option<u64>,
    /// Parts that expire as a whole.
    pub partitions: u64,
    /// Memory of what is in the journal and in no other file yet.
    pub buffered_bytes: u64,
    /// Memory of what was read from files.
    pub cached_bytes: u64,
    /// Names of operations in memory.
    pub names: u64,
}
