//! Parquet files: what is in them, when they end, and that each span is in one of them, once.
#![cfg(feature = "parquet")]
#![allow(clippy::unwrap_used)]

mod duckdb;
mod files;
mod once;
mod rows;
mod support;
