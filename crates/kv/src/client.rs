//! A client that finds the leader by itself and retries safely.
//!
//! Reads are simply asked again. A write is sent again with the session and the sequence of the first
//! time, so it is applied once however often it had to be sent; [`ClientError::Unknown`] is returned
//! when even so nobody could tell in time, or any more, whether it was applied. It is never applied again
//! in silence.
//!
//! `quorate-client` is the way to the members, one attempt after another; `sessions.rs` the pool of sessions.

mod sessions;

use crate::proto::kv_client::KvClient;
use crate::state::{Command, Expected, Item};
use crate::wire::{self, Invalid};
use crate::{MESSAGE_BYTES_MAX, proto};
use bytes::Bytes;
use quorate_client::{Failed, Members, words};
use sessions::Sessions;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tonic::transport::Channel;
use tonic::{Code, Response, Status, Streaming};

pub use quorate_client::{ClientError, Tried};

type Stub = KvClient<Channel>;

fn stub(channel: Channel) -> Stub {
    KvClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

/// How patient a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// When an operation is given up, all attempts together.
    pub timeout: Duration,
    /// When one attempt is given up: a member that is down without saying so costs as much.
    pub attempt_timeout: Duration,
    /// Writes under way at the same time, each with a session of its own; more wait for their turn.
    pub concurrent_writes: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            timeout: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(2),
            concurrent_writes: 1024,
        }
    }
}

impl From<Invalid> for ClientError {
    fn from(invalid: Invalid) -> Self {
        ClientError::Invalid(invalid.to_string())
    }
}

/// A put or a delete that was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its revision; 0 if it changed nothing.
    pub revision: u64,
    /// Whether the key existed before.
    pub existed: bool,
}

/// A compare-and-swap that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swapped {
    /// Its revision if the key held what was expected.
    pub revision: Option<u64>,
    /// If not: what it holds.
    pub current: Option<Item>,
}

/// The items of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    /// In order of their keys.
    pub items: Vec<Item>,
    /// Whether there are more in the range.
    pub more: bool,
}

/// A change that a watch tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key.
    pub key: Bytes,
    /// Its new value; nothing if it was deleted.
    pub value: Option<Bytes>,
    /// The revision of the change.
    pub revision: u64,
}

/// A client of a cluster. Cheap to clone; the clones share sessions, connections and what they know of
/// the leader. There is one connection to each member, made when it is first needed.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    options: ClientOptions,
    members: Members<Stub>,
    sessions: Sessions,
}

impl Client {
    /// A client of the cluster to which `endpoints`, each `host:port`, belong; not all members need be
    /// among them. Makes no connection yet; must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If an endpoint is no address, or there is none.
    pub fn new<E: Into<String>>(
        endpoints: impl IntoIterator<Item = E>,
        options: ClientOptions,
    ) -> Result<Self, ClientError> {
        let members = Members::new(endpoints, stub)?;
        let sessions = Sessions::new(options.concurrent_writes);
        Ok(Client(Arc::new(Inner {
            options,
            members,
            sessions,
        })))
    }

    /// A client that has found the leader.
    ///
    /// # Errors
    ///
    /// As [`Client::new`], and if no leader can be reached in time.
    pub async fn connect<E: Into<String>>(
        endpoints: impl IntoIterator<Item = E>,
    ) -> Result<Self, ClientError> {
        let client = Client::new(endpoints, ClientOptions::default())?;
        // Only a leader answers a read.
        client.get(Bytes::new()).await?;
        Ok(client)
    }

    /// The item of `key`, if it exists. Linearizable.
    ///
    /// # Errors
    ///
    /// If the key is too long, or no leader can be reached.
    pub async fn get(&self, key: impl Into<Bytes>) -> Result<Option<Item>, ClientError> {
        let key = wire::key(key.into())?;
        let request = proto::GetRequest { key };
        let got = self
            .read(|mut stub| {
                let request = request.clone();
                async move { stub.get(request).await }
            })
            .await?;
        Ok(got.item.map(Into::into))
    }

    /// The items from `start` to before `end`, an empty `end` meaning to the last key; at most `limit`,
    /// 0 meaning as many as a member gives at once. Linearizable.
    ///
    /// # Errors
    ///
    /// If a key is too long, or no leader can be reached.
    pub async fn range(
        &self,
        start: impl Into<Bytes>,
        end: impl Into<Bytes>,
        limit: u32,
    ) -> Result<Items, ClientError> {
        let (start, end) = (wire::key(start.into())?, wire::key(end.into())?);
        let request = proto::RangeRequest { start, end, limit };
        let found = self
            .read(|mut stub| {
                let request = request.clone();
                async move { stub.range(request).await }
            })
            .await?;
        Ok(Items {
            items: found.items.into_iter().map(Into::into).collect(),
            more: found.more,
        })
    }

    /// Sets `key` to `value`.
    ///
    /// # Errors
    ///
    /// If either is too long, no leader can be reached, or the fate of the write cannot be learnt.
    pub async fn put(
        &self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Result<Written, ClientError> {
        let (key, value) = (key.into(), value.into());
        let written = self.write(Command::Put { key, value }).await?;
        Ok(Written {
            revision: written.revision,
            existed: written.matched,
        })
    }

    /// Removes `key`.
    ///
    /// # Errors
    ///
    /// As [`Client::put`].
    pub async fn delete(&self, key: impl Into<Bytes>) -> Result<Written, ClientError> {
        let written = self.write(Command::Delete { key: key.into() }).await?;
        Ok(Written {
            revision: written.revision,
            existed: written.matched,
        })
    }

    /// Sets `key` to `new` if it holds what is `expected`.
    ///
    /// # Errors
    ///
    /// As [`Client::put`]; that it did not match is no error.
    pub async fn compare_and_swap(
        &self,
        key: impl Into<Bytes>,
        expected: Expected,
        new: impl Into<Bytes>,
    ) -> Result<Swapped, ClientError> {
        let (key, new) = (key.into(), new.into());
        let command = Command::CompareAndSwap { key, expected, new };
        let written = self.write(command).await?;
        Ok(Swapped {
            revision: written.matched.then_some(written.revision),
            current: written.current.map(Into::into),
        })
    }

    /// The changes from `start` to before `end`, an empty `end` meaning to the last key, from the moment
    /// that this returns, in the order of the log. Any member that answers serves it.
    ///
    /// # Errors
    ///
    /// If a key is too long, or no member can be reached.
    pub async fn watch(
        &self,
        start: impl Into<Bytes>,
        end: impl Into<Bytes>,
    ) -> Result<Watch, ClientError> {
        let (start, end) = (wire::key(start.into())?, wire::key(end.into())?);
        let request = proto::WatchRequest { start, end };
        let events = self
            .read(|mut stub| {
                let request = request.clone();
                async move { stub.watch(request).await }
            })
            .await?;
        Ok(Watch(events))
    }

    /// What every member that is known says of itself.
    pub async fn status(&self) -> Vec<(String, Result<proto::StatusResponse, String>)> {
        let patience = self.0.options.attempt_timeout;
        let ask = |mut stub: Stub| async move { stub.status(proto::StatusRequest {}).await };
        self.0.members.each(patience, ask).await
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.0.options.timeout
    }

    /// Asks until a member answers: what changes nothing may be asked as often as need be.
    async fn read<T, F>(&self, attempt: impl FnMut(Stub) -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let patience = self.0.options.attempt_timeout;
        let answer = self.0.members.call(self.deadline(), patience, attempt);
        Ok(answer.await?)
    }

    /// Writes through a session of the pool, with one sequence for all attempts.
    async fn write(&self, command: Command) -> Result<proto::WriteResponse, ClientError> {
        let deadline = self.deadline();
        let command = proto::Command::from(command.checked()?);
        let patience = self.0.options.attempt_timeout;
        let turn = timeout_at(deadline, self.0.sessions.turn()).await;
        let Ok(_turn) = turn else {
            return Err(ClientError::Unavailable { tried: Vec::new() });
        };
        loop {
            let mut session = match self.0.sessions.idle() {
                Some(session) => session,
                None => self.0.sessions.adopt(self.open_session(deadline).await?),
            };
            let request = proto::WriteRequest {
                session: session.id(),
                sequence: session.next(),
                command: Some(command.clone()),
            };
            let sent = self.0.members.call(deadline, patience, |mut stub| {
                let request = request.clone();
                async move { stub.write(request).await }
            });
            match sent.await {
                Ok(written) => return Ok(written),
                // No attempt can have been applied: a fresh session may try.
                Err(failed) if failed.code == Some(Code::NotFound) && !failed.unknown => {
                    session.expired();
                }
                Err(failed) => {
                    if failed.code == Some(Code::NotFound) {
                        session.expired();
                    }
                    return Err(failed.of_write());
                }
            }
        }
    }

    async fn open_session(&self, deadline: Instant) -> Result<u64, Failed> {
        let patience = self.0.options.attempt_timeout;
        let opened = self
            .0
            .members
            .call(deadline, patience, |mut stub| async move {
                stub.open_session(proto::OpenSessionRequest {}).await
            });
        Ok(opened.await?.session)
    }
}

/// A stream of changes.
pub struct Watch(Streaming<proto::WatchResponse>);

impl Watch {
    /// The next change. Nothing more comes after an error.
    ///
    /// # Errors
    ///
    /// If changes were missed, or the member or the connection to it has ended. Read the range then, and
    /// watch again.
    pub async fn next(&mut self) -> Result<Event, ClientError> {
        match self.0.message().await {
            Ok(Some(event)) => Ok(Event {
                key: event.key,
                value: event.value,
                revision: event.revision,
            }),
            Ok(None) => Err(ClientError::Ended("the member stopped".to_owned())),
            Err(status) if status.code() == Code::DataLoss => {
                Err(ClientError::Lagged(status.message().to_owned()))
            }
            Err(status) => Err(ClientError::Ended(words(&status))),
        }
    }
}
