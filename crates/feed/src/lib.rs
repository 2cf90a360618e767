//! A causally ordered feed: every member of a group publishes, everybody reads everything, and an answer never
//! before what it answers.
//!
//! Unlike a replicated log it has no leader and no order of all messages, so it needs no majority either: a member
//! that is cut off goes on publishing and reading, and catches up later. What is ordered is what can have depended
//! on each other. It is [`quorate_broadcast`] as a service:
//!
//! - [`Post`] (`post.rs`) is a message: who says what.
//! - [`Feed`] (`feed.rs`) is a member's part: requests become broadcasts, deliveries are kept (`kept.rs`) and
//!   told ([`News`], `follow.rs`).
//! - [`FeedService`] (`service.rs`) is the gRPC service over it.
//! - [`Client`] (`client.rs`) publishes once, reads each message once, and changes members without losing its
//!   place in the order.
//!
//! ```
//! use quorate::{GroupId, Node, NodeId, NodeOptions};
//! use quorate_feed::{Feed, From, Options};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let data = tempfile::tempdir()?;
//! // A group of one; list three members, on three machines, and each of them publishes and reads.
//! let alone = [(NodeId(1), "127.0.0.1:0")];
//! let node = Node::open(NodeOptions::new("example", NodeId(1), alone, data.path())).await?;
//! let feed = Feed::start(&node, GroupId(1), &Options::default())?;
//! node.connect();
//!
//! let mut news = feed.follow(From::Now);
//! feed.publish("anna", &["who is there?".into()]).await?;
//! let told = news.next().await.ok_or("the feed has ended")??;
//! let message = told[0].messages().next().ok_or("nothing was said")?;
//! assert_eq!((message.author.as_str(), &message.body[..]), ("anna", &b"who is there?"[..]));
//! assert_eq!((message.sender, message.sequence), (NodeId(1), 1));
//! node.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is kept
//!
//! A member keeps the latest messages, up to [`Options::kept_messages`] and [`Options::kept_bytes`], and has them
//! again after a restart. Readers have no buffers of their own: each reads what is kept, at its own pace, and who
//! was too slow or away for too long is told how much it [missed](Missed). A reader's place is the clock of what it
//! has [seen](News::seen), and means the same at every member.
//!
//! # What is bounded
//!
//! Messages, in length and in number at once; the requests that wait, in number and in bytes
//! ([`PublishError::Busy`]); what is kept; and a member's messages that are not everywhere yet
//! ([`PublishError::Full`], which names who holds them up). **A member that stays down stops all others from
//! publishing**, once that window is full: who the members are is fixed for the life of a group.
//!
//! Not yet there: the log on disk only grows, and is read whole at every start.

pub mod client;
mod feed;
mod follow;
mod kept;
mod post;
mod service;
mod wire;

pub use client::{Client, ClientError, ClientOptions, Follow, FollowError};
pub use feed::{
    Feed, Machine, Options, PublishError, Published, Request, StartError, Status, config,
};
pub use follow::{From, Message, Missed, News, Told};
pub use post::{
    AUTHOR_BYTES_MAX, BODIES_MAX, BODY_BYTES_MAX, Invalid, Origin, Post, REQUEST_BYTES_MAX,
};
pub use service::FeedService;

/// How many messages of each member; and the machine's configuration.
pub use quorate_broadcast::{Clock, Config};

/// The generated service, client and messages of `feed.proto`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod proto {
    tonic::include_proto!("quorate.feed.v1");
}

/// The longest message of the service in either direction: what a reader takes at a time, the last batch of which
/// may be as long as a batch can be, with what protobuf adds to each message.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 << 20;
