//! A member's part: requests become broadcasts, deliveries are kept and told.

use crate::follow::{From, News};
use crate::kept::{Fate, Kept, Requests};
use crate::post::{Invalid, Origin, Post};
use bytes::Bytes;
use parking_lot::Mutex;
use quorate::driver::{Handle, TrySubmitError};
use quorate::{GroupError, GroupId, Node, NodeId, Pending, Rejected};
use quorate_broadcast::{
    Broadcast, Clock, Command, Config, ConfigError, Delivery, Output, Refusal,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// The machine that broadcasts.
pub type Machine = Broadcast<Post>;

/// What a member keeps, and lets wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Delivered messages that are kept for those who come late or are slow, at most. They count in the
    /// machine's window, which has to be twice as large at least.
    pub kept_messages: usize,
    /// Bytes of them, at most.
    pub kept_bytes: usize,
    /// Requests to publish that may wait for the disk.
    pub max_waiting: usize,
    /// Bytes of them.
    pub max_waiting_bytes: usize,
    /// Requests of which a member remembers that it has carried them out.
    pub remembered: usize,
    /// How long a request may wait for the member to catch up with what its client has seen elsewhere.
    pub catch_up: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            kept_messages: 16 << 10,
            kept_bytes: 4 << 20,
            max_waiting: 4 << 10,
            max_waiting_bytes: 8 << 20,
            remembered: 64 << 10,
            catch_up: Duration::from_secs(1),
        }
    }
}

/// The machine's configuration on member `id` of `members`: what a [replay](quorate::driver::replay()) of this
/// member's event log needs.
pub fn config(id: NodeId, members: impl IntoIterator<Item = NodeId>) -> Config {
    Config::new(id, members)
}

/// Why a member's part did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The machine cannot run so.
    #[error("invalid configuration: {0}")]
    Config(#[from] ConfigError),
    /// What is kept would fill the window.
    #[error("invalid configuration: what is kept must be at most half of the window")]
    Kept,
    /// The node does not take part in the group.
    #[error(transparent)]
    Group(#[from] GroupError),
}

/// Why messages were not published, or may not have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// They cannot be. Nothing happened.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The clock counts messages of somebody who is not in the group. Nothing happened.
    #[error("{0} is not in the group")]
    Stranger(NodeId),
    /// Too much is waiting here. Nothing happened.
    #[error("too much is waiting")]
    Busy,
    /// Too many of this member's messages are not everywhere yet. Nothing happened.
    #[error("{} is behind: it has to take earlier messages first", .waiting_for)]
    Full {
        /// Who holds them up: a member that is down or slow, or this one.
        waiting_for: NodeId,
    },
    /// This member has not delivered yet what the caller has seen elsewhere. Nothing happened.
    #[error("this member has not caught up with what was seen elsewhere")]
    Behind,
    /// It is too long ago that this request was first made: whether it was carried out cannot be told any more.
    #[error("the request is too old to tell whether it was carried out")]
    Forgotten,
    /// The group has stopped meanwhile: the messages may or may not be published.
    #[error("the member has stopped meanwhile; the messages may or may not be published")]
    Unknown,
    /// The group has stopped. Nothing happened.
    #[error("the group has stopped")]
    Stopped,
}

impl std::convert::From<Rejected> for PublishError {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Busy => PublishError::Busy,
            Rejected::Stopped => PublishError::Stopped,
        }
    }
}

/// Messages that are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The member.
    pub member: NodeId,
    /// The sequence number of the first of the messages, among all that this member has published.
    pub first: u64,
}

/// What a request to publish says, besides what is published.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which request it is.
    pub origin: Origin,
    /// [`Feed::published`] when, or before, the request was first made.
    pub since: u64,
    /// What the caller has seen, at whichever member: the messages will follow it.
    pub after: Clock,
}

/// What a member knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// This member.
    pub id: NodeId,
    /// How many messages of each member are delivered here.
    pub delivered: Clock,
    /// How many were received: those beyond the delivered ones are held back until their causes have come.
    pub received: Clock,
    /// The position of the last delivered message.
    pub position: u64,
    /// The position of the first message that is kept.
    pub kept_from: u64,
    /// How many of this member's messages may be not yet everywhere, or still kept here.
    pub window: u64,
    /// How many are.
    pub window_used: u64,
    /// How many of the messages that this member has, each other member lacks, as far as is known.
    pub lacks: Vec<(NodeId, u64)>,
}

impl Status {
    /// How many messages are held back.
    pub fn held_back(&self) -> u64 {
        ahead(&self.received, &self.delivered)
    }
}

/// How many messages `more` counts that `less` does not.
fn ahead(more: &Clock, less: &Clock) -> u64 {
    let ahead = more
        .iter()
        .map(|(member, count)| count.saturating_sub(less.get(member)));
    ahead.fold(0, u64::saturating_add)
}

/// One member's part in a feed. Cheap to clone; the clones are one part.
///
/// It runs until its [`Node`] is shut down; dropping it does not stop it.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    node: Node,
    handle: Handle<Machine>,
    shared: Arc<Shared>,
    catch_up: Duration,
    window: u64,
    /// Requests of this process get numbers of their own.
    client: u64,
    next: AtomicU64,
}

/// What requests, readers and the driver's task share.
pub(crate) struct Shared {
    me: NodeId,
    pub(crate) state: Mutex<State>,
    pending: Pending<Origin, Result<u64, PublishError>>,
    /// The position of the last delivery; closed when the group stops.
    pub(crate) position: watch::Receiver<u64>,
}

pub(crate) struct State {
    pub(crate) kept: Kept,
    requests: Requests,
    /// What the machine was asked, by the id that it answers with.
    asked: HashMap<u64, Origin>,
    next_id: u64,
}

impl Feed {
    /// Takes part in `group` on `node`, with all of its members. Who they are is fixed for the life of the group.
    ///
    /// Reads the group's whole log, so it may block for a while; must be called within a tokio runtime, and
    /// before [`Node::connect`].
    ///
    /// # Errors
    ///
    /// If the options cannot work, or the log cannot be read.
    pub fn start(node: &Node, group: GroupId, options: &Options) -> Result<Self, StartError> {
        let config = config(node.id(), node.options().members.keys().copied());
        config.validate()?;
        if options.kept_messages > config.window_messages / 2
            || options.kept_bytes > config.window_bytes / 2
        {
            return Err(StartError::Kept);
        }
        let (me, window) = (node.id(), config.window_messages as u64);
        let (consume, consumable) = watch::channel(0);
        let mut shared = None;
        let handle = node.spawn_recovered::<Machine, _>(group, config, |ledger| {
            let kept = Kept::recovered(ledger, options.kept_messages, options.kept_bytes);
            let requests = Requests::recovered(me, ledger, options.remembered);
            let (told, position) = watch::channel(kept.position());
            let state = State {
                kept,
                requests,
                asked: HashMap::new(),
                next_id: 0,
            };
            let all = Arc::new(Shared {
                me,
                state: Mutex::new(state),
                pending: Pending::new(options.max_waiting, options.max_waiting_bytes),
                position,
            });
            shared = Some(all.clone());
            let mut outputs = Outputs {
                shared: all,
                told,
                consume,
            };
            move |output| outputs.take(output)
        })?;
        // Called once by whatever spawns.
        let shared = shared.ok_or(GroupError::Stopped)?;
        tokio::spawn(consume_as_told(handle.clone(), consumable));
        Ok(Feed(Arc::new(Inner {
            node: node.clone(),
            handle,
            shared,
            catch_up: options.catch_up,
            window,
            client: rand::random(),
            next: AtomicU64::new(0),
        })))
    }

    /// Publishes messages, one after the other and all or none: durable here once this returns, and sure to reach
    /// every member. They follow everything that this member has told anybody before.
    ///
    /// # Errors
    ///
    /// See [`PublishError`].
    pub async fn publish(&self, author: &str, bodies: &[Bytes]) -> Result<Published, PublishError> {
        let request = Request {
            origin: Origin {
                client: self.0.client,
                number: self.0.next.fetch_add(1, Ordering::Relaxed),
            },
            since: self.published(),
            after: Clock::new(),
        };
        self.publish_once(request, author, bodies).await
    }

    /// The same for a client that may have to ask again, and may have seen more than this member.
    ///
    /// # Errors
    ///
    /// See [`PublishError`].
    pub async fn publish_once(
        &self,
        request: Request,
        author: &str,
        bodies: &[Bytes],
    ) -> Result<Published, PublishError> {
        let posts = Post::of_request(request.origin, author, bodies)?;
        self.catch_up(&request.after).await?;
        let bytes = bodies.iter().map(Bytes::len).sum();
        let shared = &self.0.shared;
        let member = shared.me;
        let answer = {
            // One lock for all of it: between the look and the entry the request must not be answered.
            let mut state = shared.state.lock();
            match state.requests.fate(request.origin, request.since) {
                Fate::Published(first) => return Ok(Published { member, first }),
                Fate::Forgotten => return Err(PublishError::Forgotten),
                Fate::New => {}
            }
            let entered = shared.pending.enter(request.origin, bytes)?;
            if entered.new {
                let id = state.next_id;
                state.next_id += 1;
                let command = Command::Broadcast {
                    id,
                    payloads: posts,
                };
                self.0.handle.try_submit(command).map_err(|error| {
                    shared.pending.forget(&request.origin);
                    match error {
                        TrySubmitError::Full => PublishError::Busy,
                        TrySubmitError::Closed(_) => PublishError::Stopped,
                    }
                })?;
                state.asked.insert(id, request.origin);
            }
            entered.answer
        };
        match answer.await {
            Ok(answer) => answer.map(|first| Published { member, first }),
            // The group has stopped, or the same request was made again and waits in this one's place.
            Err(_) => Err(PublishError::Unknown),
        }
    }

    /// Waits until this member has delivered what a caller has seen elsewhere: what it publishes then has it as a
    /// cause.
    async fn catch_up(&self, after: &Clock) -> Result<(), PublishError> {
        let members = &self.0.node.options().members;
        let mut seen = after.iter().map(|(member, _)| member);
        if let Some(stranger) = seen.find(|member| !members.contains_key(member)) {
            return Err(PublishError::Stranger(stranger));
        }
        let shared = &self.0.shared;
        let behind = || ahead(after, shared.state.lock().kept.delivered()) > 0;
        let mut position = shared.position.clone();
        let caught_up = position.wait_for(|_| !behind());
        match timeout(self.0.catch_up, caught_up).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(PublishError::Stopped),
            Err(_) => Err(PublishError::Behind),
        }
    }

    /// The messages of all members, in this member's order.
    ///
    /// A reader has no buffer of its own: it reads what is kept, in its own time. If it is so slow that something
    /// is let go before it was read, it is told how much, and goes on after that.
    pub fn follow(&self, from: From) -> News {
        News::new(self.0.shared.clone(), from)
    }

    /// How many messages this member has published and told.
    pub fn published(&self) -> u64 {
        let shared = &self.0.shared;
        shared.state.lock().kept.delivered().get(shared.me)
    }

    /// What this member knows. Nothing if the group has stopped.
    pub async fn status(&self) -> Option<Status> {
        let (me, window) = (self.0.shared.me, self.0.window);
        let members: Vec<NodeId> = self.0.node.options().members.keys().copied().collect();
        let seen = self.0.handle.look(move |machine| {
            let ledger = machine.ledger();
            let rows = members.into_iter().zip(machine.rows());
            let others = rows.filter(|(member, _)| *member != me);
            Status {
                id: me,
                delivered: ledger.delivered().clone(),
                received: ledger.holds().clone(),
                position: ledger.position(),
                kept_from: 0,
                window,
                window_used: ledger.kept(me).0 as u64,
                lacks: others
                    .map(|(member, row)| (member, ahead(ledger.delivered(), row)))
                    .collect(),
            }
        });
        let status = seen.await.ok()?;
        let gone_to = self.0.shared.state.lock().kept.gone_to();
        Some(Status {
            kept_from: gone_to.saturating_add(1),
            ..status
        })
    }

    /// The node that it runs on.
    pub fn node(&self) -> &Node {
        &self.0.node
    }

    /// Returns once it has stopped: with its node, or because of a fault.
    pub async fn stopped(&self) {
        self.0.handle.stopped().await;
    }
}

/// Tells the machine what is not kept any more. What does not get through is told by the next, which is more.
async fn consume_as_told(handle: Handle<Machine>, mut consumable: watch::Receiver<u64>) {
    while consumable.changed().await.is_ok() {
        let position = *consumable.borrow_and_update();
        if handle.submit(Command::Consumed { position }).await.is_err() {
            return;
        }
    }
}

/// The driver's callback. It is dropped when the driver stops, for whatever reason; readers learn of it by `told`.
struct Outputs {
    shared: Arc<Shared>,
    told: watch::Sender<u64>,
    consume: watch::Sender<u64>,
}

impl Outputs {
    fn take(&mut self, output: Output<Post>) {
        match output {
            Output::Accepted { id, first } => self.answer(id, Ok(first)),
            Output::Refused { id, refusal } => {
                let error = match refusal {
                    Refusal::Full { waiting_for } => PublishError::Full { waiting_for },
                    // Neither can be: requests are smaller than batches.
                    Refusal::TooLarge | Refusal::Empty => Invalid::Empty.into(),
                };
                self.answer(id, Err(error));
            }
            Output::Delivered(delivery) => self.deliver(delivery),
            // Whoever was refused asks again without being told.
            Output::Stable { .. } => {}
        }
    }

    fn answer(&self, id: u64, answer: Result<u64, PublishError>) {
        let mut state = self.shared.state.lock();
        let Some(origin) = state.asked.remove(&id) else {
            return;
        };
        if let Ok(first) = answer {
            state.requests.carried_out(origin, first);
        }
        self.shared.pending.answer(&origin, answer);
    }

    fn deliver(&self, delivery: Arc<Delivery<Post>>) {
        let (position, gone_to) = {
            let mut state = self.shared.state.lock();
            if !state.kept.push(delivery) {
                return; // known since the start
            }
            (state.kept.position(), state.kept.gone_to())
        };
        self.told.send_replace(position);
        self.consume.send_if_modified(|told| {
            let more = gone_to > *told;
            *told = gone_to;
            more
        });
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        self.shared.pending.stop();
    }
}
