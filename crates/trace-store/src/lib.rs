//! Where sealed traces are kept.
//!
//! The collector seals a trace and [puts](TraceStore::put) it as a [`Fragment`]: its spans as they were
//! received, with what is known about them. Spans that come later are put as further revisions of the
//! same trace. Before it seals one, the collector asks for the [base](TraceStore::base): what the store
//! has of that trace already. Queries [get](TraceStore::get) a trace, [search](TraceStore::search) for
//! traces by what their [`Summary`] says and by attributes of their spans, and list services, operations
//! and tags. Old traces are removed by [`TraceStore::expire`].
//!
//! [`EmbeddedStore`] keeps all of it in one directory, in an LSM tree. Its module tells how.
//!
//! ```
//! use quorate_trace_store::{EmbeddedStore, Query, TraceStore};
//!
//! # let temp = tempfile::tempdir()?;
//! # let directory = temp.path();
//! let store = EmbeddedStore::open(directory)?;
//! let found = store.search(&Query { service: Some("cart".to_owned()), ..Query::default() })?;
//! assert!(found.complete && found.summaries.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod embedded;
mod error;
mod fragment;
mod query;
mod store;
mod summary;

pub use embedded::EmbeddedStore;
pub use error::StoreError;
pub use fragment::{Base, Decision, Fragment, Stored};
pub use query::{Found, Query, TagKeys};
pub use quorate_analysis::Severity;
pub use store::{Expired, Figures, Retention, TraceStore};
pub use summary::{FaultSummary, ServiceSummary, Summary};
