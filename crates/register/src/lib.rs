//! Write-once registers: each holds nothing, and then one value for ever.
//!
//! A register is a decision of [`quorate_paxos`] under a name. Whoever proposes a value for it, at whichever
//! member, is told what it holds, the own value or another's; whoever reads it is told the same, or that nothing
//! had been decided when the question was asked. There is no leader to find, elect or wait for: a register needs
//! a majority of the members to be decided, and none of them but the one that is asked once that member knows.
//!
//! What it is good for: to name a winner (who runs the job of this night, which of two configurations is number
//! 7, whose lease begins here), without a log and without a lock that somebody could hold.
//!
//! - [`Key`] and [`Value`] (`words.rs`) are bytes within limits.
//! - [`Registers`] (`registers.rs`) is a member's part: requests become commands of the machine, outputs become
//!   their answers.
//! - [`RegisterService`] (`service.rs`) is the gRPC service over it.
//! - [`Client`] (`client.rs`) asks whichever member answers, and asks again safely.
//!
//! ```
//! use quorate::{GroupId, Node, NodeId, NodeOptions};
//! use quorate_register::{Held, Registers};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let data = tempfile::tempdir()?;
//! // A cluster of one; list three members, on three machines, to survive the loss of one.
//! let alone = [(NodeId(1), "127.0.0.1:0")];
//! let node = Node::open(NodeOptions::new("example", NodeId(1), alone, data.path())).await?;
//! let registers = Registers::start(&node, GroupId(1))?;
//! node.connect();
//!
//! assert_eq!(registers.read("tonight").await?, None);
//! assert_eq!(registers.propose("tonight", "anna").await?, Held::Proposed);
//! assert_eq!(registers.propose("tonight", "berta").await?, Held::Other("anna".into()));
//! assert_eq!(registers.read("tonight").await?, Some("anna".into()));
//! node.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is bounded
//!
//! Keys and values in length; the requests that wait, in number and in bytes ([`RegisterError::Busy`]); and the
//! registers that a member knows, a million ([`RegisterError::Full`]), for it keeps them all in memory: a value
//! that is decided can never be forgotten. To read a register that nobody has proposed a value for makes it
//! known as well, since a majority had to promise something.

pub mod client;
mod registers;
mod service;
mod words;

pub use client::{Client, ClientError, ClientOptions};
pub use quorate_paxos::Config;
pub use registers::{Held, RegisterError, Registers, StartError, Status, config};
pub use service::RegisterService;
pub use words::{Invalid, KEY_BYTES_MAX, Key, VALUE_BYTES_MAX, Value};

/// The machine that decides.
pub type Machine = quorate_paxos::Paxos<Key, Value>;

/// The generated service, client and messages of `register.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod proto {
    tonic::include_proto!("quorate.register.v1");
}

/// The longest message of the service in either direction: a key, a value, and what protobuf adds.
pub(crate) const MESSAGE_BYTES_MAX: usize = KEY_BYTES_MAX + VALUE_BYTES_MAX + 64;
