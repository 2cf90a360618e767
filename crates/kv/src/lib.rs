//! A replicated key-value store.
//!
//! A few hundred lines on top of [`quorate::Replica`], and an example of how to build a service on it:
//!
//! - [`Map`] (`state.rs`) is the replicated state: what a command does to it and what a query answers.
//! - `wire.rs` gives commands and queries their bytes, and checks them at both edges.
//! - [`KvService`] (`service.rs`) is the gRPC service: it hands requests to the replica and puts its
//!   answers in gRPC's words.
//! - [`Client`] (`client.rs`) finds the leader by itself and retries safely.
//!
//! Reads and writes are linearizable, and a write of a [`Client`] is applied once, however often it had
//! to be sent.

pub mod client;
mod service;
mod state;
mod wire;

pub use client::{Client, ClientError, ClientOptions};
pub use service::KvService;
pub use state::{
    Command, Expected, Item, KEY_BYTES_MAX, Map, Query, RANGE_BYTES_MAX, RANGE_ITEMS_MAX, Response,
    VALUE_BYTES_MAX,
};
pub use wire::Invalid;

/// The generated service, client and messages of `kv.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod proto {
    tonic::include_proto!("quorate.kv.v1");
}

/// The longest message of the service in either direction: a range at its limit, the last item of which
/// may be as long as an item can be.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 << 20;
