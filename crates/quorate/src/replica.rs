//! A replicated state machine: you bring what a command does, Quorate brings the rest.
//!
//! ```text
//! write ──► waiting requests ──► driver: Raft ──► record log
//!   ▲              │               │   ▲
//!   └── answer ────┘◄── outputs ───┘   └──► peers
//!                          │
//!                          └──► changes, for those who subscribed
//! ```
//!
//! Every member starts a [`Replica`] on its [`Node`], with the same group and the same first state. One of them leads;
//! the others refuse requests with [`SubmitError::NotLeader`] and name it. What is written is on the
//! disks of a majority before [`Replica::write`] returns, and [`Replica::read`] reflects every write
//! that returned before it began, on whichever member.
//!
//! ```
//! use quorate::{Bytes, GroupId, Index, Node, NodeId, NodeOptions, Outcome, Replica, StateMachine, Tuning};
//!
//! /// The longest text that anybody has written.
//! #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
//! struct Longest(Bytes);
//!
//! impl StateMachine for Longest {
//!     type Command = Bytes;
//!     type Query = ();
//!     type Response = Bytes;
//!
//!     fn apply(&mut self, _index: Index, text: &Bytes) -> Bytes {
//!         if text.len() > self.0.len() {
//!             self.0 = text.clone();
//!         }
//!         self.0.clone()
//!     }
//!     fn query(&self, (): &()) -> Bytes {
//!         self.0.clone()
//!     }
//!     fn size_bytes(text: &Bytes) -> usize {
//!         text.len()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let data = tempfile::tempdir()?;
//! // A cluster of one; list three members, on three machines, to survive the loss of one.
//! let alone = [(NodeId(1), "127.0.0.1:0")];
//! let node = Node::open(NodeOptions::new("example", NodeId(1), alone, data.path())).await?;
//! let tuning = Tuning { election_ticks: 11..=12, ..Tuning::default() };
//! let replica = Replica::start(&node, GroupId(1), tuning, Longest::default())?;
//! node.connect();
//! replica.knows_leader().await;
//!
//! let session = replica.open_session().await?;
//! let first = replica.write(session, 1, "a long text".into()).await?;
//! let again = replica.write(session, 1, "a long text".into()).await?;
//! assert_eq!(first, Outcome::Applied("a long text".into()));
//! assert_eq!(again, Outcome::Repeated("a long text".into()));
//! replica.write(session, 2, "short".into()).await?;
//! assert_eq!(replica.read(()).await?, "a long text");
//! node.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Exactly once
//!
//! A write whose answer is lost ([`SubmitError::Unknown`]: the leader changed, the node stopped) may or
//! may not happen. To learn which, write it again with the *same* session and sequence, to any member,
//! until it is answered: a command is applied once per session and sequence, and the retry is given the
//! answer of the first time. A session has one write outstanding at a time; open as many as there are
//! concurrent writers. The sessions are part of the replicated state, and the least recently used one
//! expires when there are too many: a retry then ends as [`Outcome::Expired`].
//!
//! # What is bounded
//!
//! The requests that wait, in number and in bytes of their commands (beyond it: [`SubmitError::Busy`]);
//! the changes that a subscriber may be behind (beyond it: [`Lagged`]); and what the driver, the
//! transport and the record log bound themselves. Bytes are as [`StateMachine::size_bytes`] tells them:
//! write that function for commands that own memory.
//!
//! Not yet there: the state is rebuilt from the whole log at every start, and the log only grows.

mod error;
mod options;
mod outputs;

pub use error::{Lagged, StartError, SubmitError};
pub use options::Tuning;
pub use outputs::{Change, Changes, Status};

use crate::{GroupId, Node, NodeId, Outcome, SessionId, StateMachine, Wire};
use outputs::{Answer, Outputs, Shared};
use quorate_driver::{Handle, TrySubmitError};
use quorate_raft::{Command, Raft, Request};
use std::sync::Arc;

/// One member's replica of a state machine. Cheap to clone; the clones are one replica.
///
/// It runs until its [`Node`] is shut down; dropping it does not stop it.
pub struct Replica<S: StateMachine>(Arc<Inner<S>>);

impl<S: StateMachine> Clone for Replica<S> {
    fn clone(&self) -> Self {
        Replica(self.0.clone())
    }
}

struct Inner<S: StateMachine> {
    node: Node,
    shared: Arc<Shared<S>>,
    handle: Handle<Raft<S>>,
}

impl<S> Replica<S>
where
    S: StateMachine<Command: Wire, Query: Wire>,
{
    /// Takes part in `group` on `node`, with all of its members.
    ///
    /// `genesis` is the state before the first command, the same on every member. Reads the group's whole
    /// log, so it may block for a while; must be called within a tokio runtime, and before
    /// [`Node::connect`].
    ///
    /// # Errors
    ///
    /// If the options cannot work, or the log cannot be read.
    pub fn start(
        node: &Node,
        group: GroupId,
        tuning: Tuning,
        genesis: S,
    ) -> Result<Self, StartError> {
        let members = node.options().members.keys().copied();
        let raft = tuning.config(node.id(), members, genesis);
        raft.validate()?;
        let mut outputs = Outputs::new(node.id(), &tuning);
        let shared = outputs.shared();
        let take = move |output| outputs.take(output);
        let handle = node.spawn::<Raft<S>>(group, raft, take)?;
        let node = node.clone();
        Ok(Replica(Arc::new(Inner {
            node,
            shared,
            handle,
        })))
    }

    /// Opens a session for [`Replica::write`].
    ///
    /// # Errors
    ///
    /// See [`SubmitError`]. A session whose opening ended as unknown stays unused and expires in time.
    pub async fn open_session(&self) -> Result<SessionId, SubmitError> {
        let nonce = self.0.shared.number();
        match self.submit(Command::Open { nonce }, 0).await? {
            Answer::Opened(session) => Ok(session),
            _ => Err(SubmitError::Unknown),
        }
    }

    /// Applies `command` once, and returns when a majority has it on disk and this member has applied it.
    ///
    /// `sequence` is greater than that of the session's earlier commands, and the same when the same
    /// command is tried again.
    ///
    /// # Errors
    ///
    /// See [`SubmitError`].
    pub async fn write(
        &self,
        session: SessionId,
        sequence: u64,
        command: S::Command,
    ) -> Result<Outcome<S::Response>, SubmitError> {
        let bytes = S::size_bytes(&command);
        let command = Command::Write {
            session,
            sequence,
            command,
        };
        match self.submit(command, bytes).await? {
            Answer::Written(outcome) => Ok(outcome),
            _ => Err(SubmitError::Unknown),
        }
    }

    /// Answers `query` from a state that reflects every write that was answered before this call.
    ///
    /// # Errors
    ///
    /// See [`SubmitError`].
    pub async fn read(&self, query: S::Query) -> Result<S::Response, SubmitError> {
        let id = self.0.shared.number();
        match self.submit(Command::Read { id, query }, 0).await? {
            Answer::Read(response) => Ok(response),
            _ => Err(SubmitError::Unknown),
        }
    }

    async fn submit(&self, command: Command<S>, bytes: usize) -> Result<Answer<S>, SubmitError> {
        let request = command.request();
        let shared = &self.0.shared;
        let entered = shared.waiting.enter(request, bytes)?;
        // A request that waits already is not submitted twice: what becomes of the first answers it.
        if entered.new {
            self.hand_over(command, request)?;
        }
        match entered.answer.await {
            Ok(answer) => answer,
            // Leadership was lost, the same request came again and waits in this one's place, or the node
            // has stopped.
            Err(_) => Err(SubmitError::Unknown),
        }
    }

    fn hand_over(&self, command: Command<S>, request: Request) -> Result<(), SubmitError> {
        self.0.handle.try_submit(command).map_err(|error| {
            self.0.shared.waiting.forget(&request);
            match error {
                TrySubmitError::Full => SubmitError::Busy,
                TrySubmitError::Closed(_) => SubmitError::Stopped,
            }
        })
    }
}

impl<S: StateMachine> Replica<S> {
    /// What this member knows.
    pub fn status(&self) -> Status {
        self.0.shared.status()
    }

    /// Returns once this member knows a leader, itself or another; at once if it does already. False if
    /// the replica has stopped.
    pub async fn knows_leader(&self) -> bool {
        self.0.shared.knows_leader().await
    }

    /// The changes that this member applies from now on, in the order of the log.
    ///
    /// After a restart a member applies its log from the first entry, and says so here: whoever
    /// subscribes then sees old changes again, with their old indices.
    pub fn subscribe(&self) -> Changes<S> {
        self.0.shared.subscribe()
    }

    /// The node that it runs on.
    pub fn node(&self) -> &Node {
        &self.0.node
    }

    /// This member.
    pub fn id(&self) -> NodeId {
        self.0.node.id()
    }

    /// Returns once the replica has stopped: with its node, or because of a fault, such as a state
    /// machine that panicked. Requests that wait then end as [`SubmitError::Unknown`], and subscriptions
    /// end.
    pub async fn stopped(&self) {
        self.0.handle.stopped().await;
    }
}

/// Checks at compile time that a replica can be shared between the tasks of a service.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Nothing;
    impl StateMachine for Nothing {
        type Command = ();
        type Query = ();
        type Response = ();
        fn apply(&mut self, _: crate::Index, (): &()) {}
        fn query(&self, (): &()) {}
    }
    shared::<Replica<Nothing>>();
};
