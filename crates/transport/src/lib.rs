//! Messages between nodes.
//!
//! Between any two nodes there is one gRPC stream, opened by the node with the lower id; it carries
//! the messages of all protocol groups in both directions. It shares a port with whatever other
//! services a node has.
//!
//! ```text
//! group 1 ─┐                                                     ┌─► group 1
//! group 2 ─┼─► send ─► queue of n2 ─► frames of packets ═══► n2 ─┼─► group 2
//! group 3 ─┘           (bounded)       one HTTP/2 stream         └─► group 3
//! ```
//!
//! # The promise
//!
//! Little, and that is what protocols are checked for: a message arrives at most once, unaltered, at
//! the node that it was sent to, from the node that it claims to be from; messages to one node arrive
//! in the order in which they were sent, as far as they arrive at all, also when a connection replaces
//! another. Messages are lost when the peer is not connected, when its queue is full and when a
//! connection breaks. [`Transport::send`] never waits, so that a slow peer cannot slow down a group, and
//! every loss on this side is counted.
//!
//! # The handshake
//!
//! The first frame of either side is its hello: the cluster's id, its own id, the id of the node that
//! it means to talk to, and the protocol versions it speaks. An address that was given to another
//! node, a node of another cluster and a version too old are refused with a status that names both
//! values. Until TLS authenticates nodes, a hello is believed: the network between nodes must be
//! trusted.
//!
//! # Speed
//!
//! Everything that is queued for a peer when its connection has room leaves as one frame, so the cost
//! of a message falls as the load rises. Payloads are never copied between the buffer that was
//! received and the callback: they are slices of it.

mod broadcast;
mod commit;
mod config;
mod dial;
mod frame;
mod link;
mod net;
mod paxos;
mod protobuf;
mod raft;
mod serve;
mod transport;
mod wire;

#[cfg(test)]
mod tests;

pub use bytes::{Bytes, BytesMut};
pub use config::{Backoff, Limits, PeerConfig};
pub use frame::PROTOCOL_VERSIONS;
pub use link::PeerStats;
pub use net::{incoming, server};
pub use transport::{Inbound, Transport};
pub use wire::{Malformed, Wire, decode_serde, encode_serde};

/// The generated wire format. Parsed into domain types by [`frame`].
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod proto {
    tonic::include_proto!("quorate.peer.v1");
}
