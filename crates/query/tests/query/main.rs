//! Every endpoint, asked over HTTP, against a collector that holds a few traces in memory.

#![allow(clippy::unwrap_used)]

mod double;
mod grpc;
mod hostile;
mod jaeger;
mod own;
mod page;
mod tempo;
