//! Atomic transactions over the stores of several members: all of a transaction takes effect, or none of it.
//!
//! ```text
//!  client ── run(id, shares) ──► coordinator: Commit ◄── votes, decisions ──► participants: Commit
//!              ▲                     │                                            │      ▲
//!              └── outcome ──────────┘                               prepare, commit, abort, done
//!                                                                                 ▼      │
//!                                                                             a store of any kind
//! ```
//!
//! The protocol is [`quorate_commit`]: two-phase commit with presumed abort, and a mode in which a majority of the
//! members decides so that nobody waits for anybody in particular. This crate puts it to work:
//!
//! - [`Transactions`] (`transactions.rs`) is a member: it coordinates what its callers ask, and takes part.
//! - [`Participant`] (`participant.rs`) is what a store has to do to take part, and what must be durable when.
//! - [`Store`] (`store.rs`) is an embedded store of keys and values: numbers that do not go below zero, conditions.
//! - `callers.rs` is how a repeated request never takes effect twice, and what is known of the past.
//! - [`TransactionsService`] and [`Client`] are the way in over gRPC.
//!
//! # What it costs
//!
//! A caller waits for one round of messages between coordinator and participants and for two syncs, one after the
//! other: the participants' votes, all at the same time, and the coordinator's decision. The embedded store needs no
//! sync of its own. Transactions that run at the same time share all of them. The second round, which tells the
//! participants, comes after the caller's answer; locks are held until it has arrived.
//!
//! # What is promised
//!
//! - Whoever is told an outcome is told the true one. If it cannot be learnt, the caller is told that.
//! - A request that is sent again with the same [`TransactionId`] never takes effect twice, whatever crashes.
//! - A transaction waits for the locks of another one only for a moment: then it is aborted, with the reason.
//! - Isolation: a transaction's changes are seen together with its locks given up, store by store. Someone who reads
//!   two stores one after the other may see the one after and the other before; a transaction that expects values of
//!   both sees them at one moment.
//! - A read is of what its member knows. If that member crashes within milliseconds of hearing of a commit, it answers
//!   with the value before it, and with the transaction that has locked the key, until it has asked again.
//!
//! ```
//! use quorate::{GroupId, Member, Node, NodeId, NodeOptions, serve_clients};
//! use quorate_transactions::{
//!     Client, ClientOptions, Groups, Mode, Operation, Outcome, Share, Store, Transactions, TransactionsService,
//! };
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let data = tempfile::tempdir()?;
//! // A cluster of one, which is its own coordinator and participant.
//! let me = NodeId(1);
//! let node = Node::open(NodeOptions::new("bank", me, [(me, "127.0.0.1:0")], data.path())).await?;
//! let (store, participant) = Store::open(&node, GroupId(2))?;
//! let groups = Groups { commit: GroupId(1), reasons: GroupId(3) };
//! let transactions = Transactions::start(&node, groups, participant)?;
//! node.connect();
//! let service = TransactionsService::new(transactions, store).into_server();
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?.to_string();
//! tokio::spawn(serve_clients(tonic::service::Routes::new(service), listener, std::future::pending()));
//!
//! let client = Client::new([address], ClientOptions::default())?;
//! let deposit = [Share { member: me, operations: vec![Operation::add("alice", 100)] }];
//! let id = client.new_id(Some(me)).await?;
//! assert_eq!(client.run(id, &deposit, Mode::Blocking).await?, Outcome::Committed);
//! // An answer that was lost: the same id is the same transaction.
//! assert_eq!(client.run(id, &deposit, Mode::Blocking).await?, Outcome::Committed);
//! assert_eq!(client.get(me, "alice").await?.value.unwrap(), "100");
//! # node.shutdown().await?;
//! # Ok(())
//! # }
//! ```

mod callers;
pub mod client;
mod id;
mod participant;
mod reasons;
mod service;
mod store;
mod transactions;
mod work;

pub use callers::{Outcome, RunError, Standing};
pub use client::{Client, ClientError, ClientOptions};
pub use id::{InvalidId, TransactionId};
pub use participant::{Done, Machine, Participant, ParticipantError, Voter};
pub use quorate_commit::{Config, Mode, TxnId};
pub use service::TransactionsService;
pub use store::{EmbeddedStore, InDoubt, Read, Store, StoreError};
pub use transactions::{Groups, StartError, Transactions, config};
pub use work::{
    Action, Invalid, KEY_BYTES_MAX, OPERATIONS_MAX, Operation, Share, VALUE_BYTES_MAX,
    WORK_BYTES_MAX, Work,
};

/// The generated service, client and messages of `transactions.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod proto {
    tonic::include_proto!("quorate.transactions.v1");
}

/// The longest message of the service in either direction: a page of keys at its limit.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 << 20;
