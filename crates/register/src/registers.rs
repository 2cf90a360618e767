//! A member's registers: from requests to commands, and from outputs to answers.
//!
//! ```text
//! propose, read ──► waiting requests ──► driver: Paxos ──► record log
//!       ▲                  │               │   ▲
//!       └──── answer ──────┘◄── outputs ───┘   └──► peers
//! ```
//!
//! Thousands of registers are decided at once: what arrives together is one turn of the driver, one write and
//! one sync, whatever registers it is for.

use bytes::Bytes;
use quorate::driver::{Handle, TrySubmitError};
use quorate::{GroupError, GroupId, Node, NodeId, Pending, Rejected};
use quorate_paxos::{Command, Config, ConfigError, Instance, Output, Refusal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Invalid, Key, Machine, Value};

/// Requests that may wait at a member.
const WAITING_MAX: usize = 16 << 10;

/// Bytes of keys and values that may wait at a member.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// What a register holds, for whoever proposed a value for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Held {
    /// The value that was proposed, be it by this proposal or by another of the same value.
    Proposed,
    /// Another one.
    Other(Bytes),
}

/// Why a request was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The request makes no sense. It had no effect and will have none.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Too much is waiting. The request had no effect and will have none.
    #[error("too much is waiting")]
    Busy,
    /// The member knows as many registers as it may, and not this one. The request had no effect and will have
    /// none.
    #[error("this member knows as many registers as it may")]
    Full,
    /// The member stopped while the request waited, or gave up: a value that was proposed may or may not come to
    /// be held. Propose it again, at any member, to learn which.
    #[error("the member gave up; a value that was proposed may or may not come to be held")]
    Unknown,
    /// The member has stopped. The request had no effect and will have none.
    #[error("the member has stopped")]
    Stopped,
}

impl From<Rejected> for RegisterError {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Busy => RegisterError::Busy,
            Rejected::Stopped => RegisterError::Stopped,
        }
    }
}

/// Why a member's part did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The options cannot work.
    #[error("invalid configuration: {0}")]
    Config(#[from] ConfigError),
    /// The node does not take part in the group.
    #[error(transparent)]
    Group(#[from] GroupError),
}

/// What a member knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// This member.
    pub id: NodeId,
    /// The registers of which it knows what they hold.
    pub known: u64,
    /// Requests that wait for a majority.
    pub waiting: usize,
}

/// The machine's configuration on member `id` of `members`: what a replay of this member's event log needs.
pub fn config(id: NodeId, members: impl IntoIterator<Item = NodeId>) -> Config {
    Config {
        // The same as may wait at all: one register that everybody wants is no reason to refuse anybody.
        waiting_max: WAITING_MAX,
        ..Config::new(id, members)
    }
}

/// One member's part in all registers of a group. Cheap to clone; the clones are one.
///
/// It runs until its [`Node`] is shut down; dropping it does not stop it.
#[derive(Clone)]
pub struct Registers(Arc<Inner>);

struct Inner {
    id: NodeId,
    handle: Handle<Machine>,
    shared: Arc<Shared>,
    /// The number of the next request. The machine forgets requests in a crash, so any beginning will do.
    next: AtomicU64,
}

/// What the requests and the driver's task share.
struct Shared {
    waiting: Pending<u64, Verdict>,
    /// Registers of which it is known what they hold.
    known: AtomicU64,
}

/// What becomes of a request: what the register holds, if anything.
type Verdict = Result<Option<Value>, RegisterError>;

impl Registers {
    /// Takes part in `group` on `node`, with all of its members.
    ///
    /// Reads what the member has promised, accepted and learned from its disk, so it may block for a while; must
    /// be called within a tokio runtime, and before [`Node::connect`].
    ///
    /// # Errors
    ///
    /// If the members of the node cannot work, or the log cannot be read.
    pub fn start(node: &Node, group: GroupId) -> Result<Self, StartError> {
        let config = config(node.id(), node.options().members.keys().copied());
        config.validate()?;
        let shared = Arc::new(Shared {
            waiting: Pending::new(WAITING_MAX, WAITING_BYTES_MAX),
            known: AtomicU64::new(0),
        });
        let outputs = Outputs(shared.clone());
        let handle = node.spawn_recovered::<Machine, _>(group, config, |durable| {
            let decided = durable.instances.values().filter_map(Instance::decided);
            outputs
                .0
                .known
                .store(decided.count() as u64, Ordering::Relaxed);
            move |output| outputs.take(output)
        })?;
        Ok(Registers(Arc::new(Inner {
            id: node.id(),
            handle,
            shared,
            next: AtomicU64::new(1),
        })))
    }

    /// Proposes `value` for the register `key`; returns what it holds for ever.
    ///
    /// Waits as long as no majority can be reached. To propose again what was proposed before is safe.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub async fn propose(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Held, RegisterError> {
        let (key, value) = (Key::new(key.as_ref())?, Value::new(value.as_ref())?);
        let bytes = key.len() + value.len();
        let proposed = value.clone();
        let command = |request| Command::Propose {
            request,
            key,
            value,
        };
        match self.submit(command, bytes).await? {
            Some(held) if held == proposed => Ok(Held::Proposed),
            Some(held) => Ok(Held::Other(held.into())),
            // Only a read is answered so.
            None => Err(RegisterError::Unknown),
        }
    }

    /// What the register `key` holds; nothing if nothing had been decided when this was asked. Linearizable: once
    /// anybody was told a value, nobody is told that there is none.
    ///
    /// Waits as long as no majority can be reached, unless this member knows the value.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`].
    pub async fn read(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>, RegisterError> {
        let key = Key::new(key.as_ref())?;
        let bytes = key.len();
        let command = |request| Command::Read { request, key };
        let held = self.submit(command, bytes).await?;
        Ok(held.map(Bytes::from))
    }

    async fn submit(
        &self,
        command: impl FnOnce(u64) -> Command<Key, Value>,
        bytes: usize,
    ) -> Verdict {
        let waiting = &self.0.shared.waiting;
        let request = self.0.next.fetch_add(1, Ordering::Relaxed);
        let entered = waiting.enter(request, bytes)?;
        self.0
            .handle
            .try_submit(command(request))
            .map_err(|error| {
                waiting.forget(&request);
                match error {
                    TrySubmitError::Full => RegisterError::Busy,
                    TrySubmitError::Closed(_) => RegisterError::Stopped,
                }
            })?;
        // An error means that the member has stopped.
        let answer = entered.answer.await;
        answer.unwrap_or(Err(RegisterError::Unknown))
    }

    /// What this member knows.
    pub fn status(&self) -> Status {
        Status {
            id: self.0.id,
            known: self.0.shared.known.load(Ordering::Relaxed),
            waiting: self.0.shared.waiting.len(),
        }
    }

    /// This member.
    pub fn id(&self) -> NodeId {
        self.0.id
    }

    /// Returns once the member's part has stopped: with its node, or because of a fault.
    pub async fn stopped(&self) {
        self.0.handle.stopped().await;
    }
}

/// The driver's callback. It is dropped when the driver stops, for whatever reason.
struct Outputs(Arc<Shared>);

impl Outputs {
    fn take(&self, output: Output<Key, Value>) {
        let waiting = &self.0.waiting;
        match output {
            Output::Decided { request, value } => waiting.answer(&request, Ok(Some(value))),
            Output::Undecided { request } => waiting.answer(&request, Ok(None)),
            Output::Refused { request, refusal } => {
                let error = match refusal {
                    Refusal::Busy => RegisterError::Busy,
                    Refusal::Full => RegisterError::Full,
                    // Registers are never released. Both may end an attempt that has proposed already.
                    Refusal::Released | Refusal::Exhausted => RegisterError::Unknown,
                };
                waiting.answer(&request, Err(error));
            }
            Output::Learned { .. } => {
                self.0.known.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        self.0.waiting.stop();
    }
}
