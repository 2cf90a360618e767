//! A client that publishes once, reads each message once, and goes on at another member when one is gone.
//!
//! **What it publishes follows what it has seen.** A client remembers what its readers were told and what it
//! published, at whichever members, and says so with every request; a member that has not got so far yet lets the
//! request wait. So an answer follows its question for everybody, even when the question was read at one member and
//! the answer is published at another.
//!
//! **A request is carried out once.** If its outcome is unknown, because the member was killed or the connection
//! broke, the client asks the same member again, which remembers; at another member the messages would be published
//! a second time. If the member does not come back in time, [`ClientError::Unknown`] says so.
//!
//! **A reader goes on where it was**, by the clock of what it has seen, at any member.

use crate::follow::{From, Message, Missed};
use crate::proto::feed_client::FeedClient;
use crate::wire::{clock_of, proto_of};
use crate::{MESSAGE_BYTES_MAX, proto};
use bytes::Bytes;
use parking_lot::Mutex;
use quorate::NodeId;
use quorate_broadcast::Clock;
use quorate_client::{Failed, Members};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Streaming};

pub use crate::feed::Published;
pub use quorate_client::{ClientError, ClientOptions, Tried};

type Stub = FeedClient<Channel>;

fn stub(channel: Channel) -> Stub {
    FeedClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

/// A client of a group. Cheap to clone; the clones share connections, and what one has seen the messages of the
/// others follow as well.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    options: ClientOptions,
    /// Where to read: whoever answers.
    readers: Members<Stub>,
    /// Where to publish: one after the other, since a request stays with its member.
    homes: Vec<Home>,
    /// Which of them is asked first.
    home: AtomicUsize,
    /// What was read and published.
    seen: Mutex<Clock>,
    client: u64,
    next: AtomicU64,
}

/// One member.
struct Home {
    member: Members<Stub>,
    /// How many messages it had published when it was last heard of.
    published: Mutex<Option<u64>>,
}

impl Client {
    /// A client of the group to which `endpoints`, each `host:port`, belong; the first is asked first. Makes no
    /// connection yet; must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If an endpoint is no address, or there is none.
    pub fn new<E: Into<String>>(
        endpoints: impl IntoIterator<Item = E>,
        options: ClientOptions,
    ) -> Result<Self, ClientError> {
        let endpoints: Vec<String> = endpoints.into_iter().map(Into::into).collect();
        let homes = endpoints.iter().map(|endpoint| {
            Ok(Home {
                member: Members::new([endpoint], stub)?,
                published: Mutex::default(),
            })
        });
        Ok(Client(Arc::new(Inner {
            options,
            homes: homes.collect::<Result<_, ClientError>>()?,
            readers: Members::new(endpoints, stub)?,
            home: AtomicUsize::new(0),
            seen: Mutex::default(),
            client: rand::random(),
            next: AtomicU64::new(0),
        })))
    }

    /// Publishes messages, one after the other and all or none. They follow everything that this client has seen.
    ///
    /// # Errors
    ///
    /// If they cannot be published, nobody takes them in time, or it cannot be learnt whether somebody has.
    pub async fn publish(
        &self,
        author: &str,
        bodies: impl IntoIterator<Item = impl Into<Bytes>>,
    ) -> Result<Published, ClientError> {
        let deadline = Instant::now() + self.0.options.timeout;
        let mut request = proto::PublishRequest {
            client: self.0.client,
            number: self.0.next.fetch_add(1, Ordering::Relaxed),
            since: 0,
            after: Some(proto_of(&self.seen())),
            author: author.to_owned(),
            bodies: bodies.into_iter().map(Into::into).collect(),
        };
        let mut tried: Vec<Tried> = Vec::new();
        loop {
            let at = self.0.home.load(Ordering::Relaxed) % self.0.homes.len();
            let home = &self.0.homes[at];
            let failed = match self.publish_at(home, &mut request, deadline).await {
                Ok(published) => return self.published(&request, &published),
                Err(failed) => failed,
            };
            let too_old = failed.code == Some(Code::FailedPrecondition);
            if failed.unknown || (failed.code.is_some() && !too_old) {
                return Err(failed.of_write());
            }
            tried.retain(|old| failed.tried.iter().all(|new| new.endpoint != old.endpoint));
            tried.extend(failed.tried);
            if Instant::now() >= deadline {
                return Err(ClientError::Unavailable { tried });
            }
            // Nothing has happened. It was too long ago that this member was heard of, or it is somebody else's
            // turn.
            *home.published.lock() = None;
            if !too_old {
                self.0.home.store(at + 1, Ordering::Relaxed);
            }
        }
    }

    /// Publishes at one member. It is given up soon if nothing can have happened, and not before the deadline if
    /// something may have.
    async fn publish_at(
        &self,
        home: &Home,
        request: &mut proto::PublishRequest,
        deadline: Instant,
    ) -> Result<proto::PublishResponse, Failed> {
        let patience = self.0.options.attempt_timeout;
        let soon = deadline.min(Instant::now() + patience);
        let known = *home.published.lock();
        request.since = match known {
            Some(published) => published,
            None => {
                let asked = home.member.call(soon, patience, |mut stub| async move {
                    stub.status(proto::StatusRequest {}).await
                });
                // What was asked changes nothing.
                let nothing = |failed| Failed {
                    unknown: false,
                    ..failed
                };
                asked.await.map_err(nothing)?.published
            }
        };
        let request = &*request;
        let attempt = |mut stub: Stub| {
            let request = request.clone();
            async move { stub.publish(request).await }
        };
        let published = match home.member.call(soon, patience, attempt).await {
            Err(failed) if failed.unknown && failed.code.is_none() => {
                let again = home.member.call(deadline, patience, attempt).await;
                again.map_err(|failed| Failed {
                    unknown: true,
                    ..failed
                })
            }
            first => first,
        }?;
        *home.published.lock() = Some(published.published);
        Ok(published)
    }

    fn published(
        &self,
        request: &proto::PublishRequest,
        published: &proto::PublishResponse,
    ) -> Result<Published, ClientError> {
        let (member, first) = (NodeId(published.member), published.first);
        let last = (request.bodies.len() as u64).checked_sub(1);
        let last = last.and_then(|more| first.checked_add(more));
        // As a clock that came from outside: a count that nobody gets to by counting would stay for ever.
        let own = last.and_then(|last| Clock::from_entries([(member, last)]).ok());
        let own = own.ok_or_else(|| unexpected("a number that no message has"))?;
        self.0.seen.lock().merge(&own);
        Ok(Published { member, first })
    }

    /// What this client has seen, and published: how many messages of each member.
    pub fn seen(&self) -> Clock {
        self.0.seen.lock().clone()
    }

    /// Reads the feed, at whichever member answers. A reader that loses its member goes on at another one.
    ///
    /// # Errors
    ///
    /// If no member can be reached.
    pub async fn follow(&self, from: From) -> Result<Follow, ClientError> {
        let mut follow = Follow {
            client: self.clone(),
            responses: None,
            from,
            ahead: VecDeque::new(),
        };
        follow.connect().await?;
        Ok(follow)
    }

    /// What every member that is known says of itself.
    pub async fn status(&self) -> Vec<(String, Result<proto::StatusResponse, String>)> {
        let patience = self.0.options.attempt_timeout;
        let asked = self.0.readers.each(patience, |mut stub| async move {
            stub.status(proto::StatusRequest {}).await
        });
        asked.await
    }
}

/// Why a reader has no next message for now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// Messages were let go before they were read. Reading goes on after them.
    #[error(transparent)]
    Missed(#[from] Missed),
    /// No member can be reached. Reading may be tried again.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A reader: messages in an order in which causes come first, each once.
pub struct Follow {
    client: Client,
    responses: Option<Streaming<proto::FollowResponse>>,
    /// Where to go on: by a clock, as soon as a member has said where it began.
    from: From,
    ahead: VecDeque<Result<Message, Missed>>,
}

impl Follow {
    /// The next message.
    ///
    /// # Errors
    ///
    /// See [`FollowError`]; reading may go on after any of them.
    pub async fn next(&mut self) -> Result<Message, FollowError> {
        loop {
            if let Some(next) = self.ahead.pop_front() {
                if let Ok(message) = &next {
                    // What counts is what was handed out: the reader does not know the rest.
                    let mut seen = self.client.0.seen.lock();
                    let count = seen.get(message.sender).max(message.sequence);
                    seen.set(message.sender, count);
                }
                return Ok(next?);
            }
            let Some(responses) = &mut self.responses else {
                self.connect().await?;
                continue;
            };
            match responses.message().await {
                Ok(Some(response)) => self.take(response)?,
                // The member has stopped, or the connection to it has: on to another one.
                Ok(None) | Err(_) => self.responses = None,
            }
        }
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        use proto::follow_request::From as Asked;
        let from = match &self.from {
            From::Now => Asked::Now(proto::Now {}),
            From::Kept => Asked::Kept(proto::Kept {}),
            From::After(clock) => Asked::After(proto_of(clock)),
        };
        let request = proto::FollowRequest { from: Some(from) };
        let ClientOptions {
            timeout,
            attempt_timeout: patience,
        } = self.client.0.options;
        let readers = &self.client.0.readers;
        let responses = readers.call(Instant::now() + timeout, patience, |mut stub| {
            let request = request.clone();
            async move { stub.follow(request).await }
        });
        self.responses = Some(responses.await?);
        Ok(())
    }

    fn take(&mut self, response: proto::FollowResponse) -> Result<(), ClientError> {
        let proto::FollowResponse { from, told, missed } = response;
        if let Some(from) = from {
            self.from = From::After(clock(from)?);
        }
        let From::After(seen) = &mut self.from else {
            return Err(unexpected("a stream without its beginning"));
        };
        if let Some(missed) = missed {
            seen.merge(&clock(missed.seen.unwrap_or_default())?);
            let missed = missed.messages;
            self.ahead.push_back(Err(Missed { missed }));
        }
        for told in told {
            let (sender, vector_time) =
                (NodeId(told.sender), clock(told.clock.unwrap_or_default())?);
            for (at, said) in (0_u64..).zip(told.said) {
                let sequence = told.first.saturating_add(at);
                let mut clock = vector_time.clone();
                clock.set(sender, sequence);
                seen.set(sender, sequence);
                self.ahead.push_back(Ok(Message {
                    sender,
                    sequence,
                    position: told.position.saturating_add(at),
                    clock,
                    author: said.author,
                    body: said.body,
                }));
            }
        }
        Ok(())
    }
}

fn clock(clock: proto::Clock) -> Result<Clock, ClientError> {
    clock_of(clock).map_err(unexpected)
}

fn unexpected(why: impl Into<String>) -> ClientError {
    ClientError::Unexpected(why.into())
}
