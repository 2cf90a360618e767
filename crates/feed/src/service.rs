//! The gRPC service over a [`Feed`].

use crate::feed::{Feed, PublishError, Request as Publication};
use crate::follow::{From, News, Told};
use crate::post::Origin;
use crate::proto::feed_server::{Feed as Service, FeedServer};
use crate::wire::{clock_of, proto_of};
use crate::{MESSAGE_BYTES_MAX, proto};
use quorate::NodeId;
use quorate_broadcast::Clock;
use quorate_client::elsewhere;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// Responses on their way to a reader, beside what the connection holds.
const RESPONSES_AHEAD: usize = 2;

/// One member's service. Cheap to clone.
#[derive(Clone)]
pub struct FeedService {
    feed: Feed,
}

impl FeedService {
    /// A service over `feed`.
    pub fn new(feed: Feed) -> Self {
        FeedService { feed }
    }

    /// The service with its limits, to be added to a server of one's own.
    pub fn into_server(self) -> FeedServer<Self> {
        FeedServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }
}

fn clock(clock: Option<proto::Clock>) -> Result<Clock, Status> {
    clock_of(clock.unwrap_or_default()).map_err(Status::invalid_argument)
}

fn refusal(error: PublishError) -> Status {
    let words = error.to_string();
    match error {
        PublishError::Invalid(_) | PublishError::Stranger(_) => Status::invalid_argument(words),
        PublishError::Busy | PublishError::Full { .. } => Status::resource_exhausted(words),
        PublishError::Behind | PublishError::Stopped => elsewhere(words, ""),
        PublishError::Forgotten => Status::failed_precondition(words),
        PublishError::Unknown => Status::aborted(words),
    }
}

#[tonic::async_trait]
impl Service for FeedService {
    type FollowStream = ReceiverStream<Result<proto::FollowResponse, Status>>;

    async fn publish(
        &self,
        request: Request<proto::PublishRequest>,
    ) -> Result<Response<proto::PublishResponse>, Status> {
        let proto::PublishRequest {
            client,
            number,
            since,
            after,
            author,
            bodies,
        } = request.into_inner();
        let request = Publication {
            origin: Origin { client, number },
            since,
            after: clock(after)?,
        };
        let published = self.feed.publish_once(request, &author, &bodies).await;
        let published = published.map_err(refusal)?;
        Ok(Response::new(proto::PublishResponse {
            member: published.member.0,
            first: published.first,
            published: self.feed.published(),
        }))
    }

    async fn follow(
        &self,
        request: Request<proto::FollowRequest>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        use proto::follow_request::From as Asked;
        let from = match request.into_inner().from {
            Some(Asked::Now(_)) => From::Now,
            Some(Asked::Kept(_)) => From::Kept,
            Some(Asked::After(seen)) => From::After(clock(Some(seen))?),
            None => return Err(Status::invalid_argument("where to begin is missing")),
        };
        let (sender, responses) = mpsc::channel(RESPONSES_AHEAD);
        tokio::spawn(tell(self.feed.follow(from), sender));
        Ok(Response::new(ReceiverStream::new(responses)))
    }

    async fn status(
        &self,
        _request: Request<proto::StatusRequest>,
    ) -> Result<Response<proto::StatusResponse>, Status> {
        let status = self.feed.status().await;
        let status = status.ok_or_else(|| refusal(PublishError::Stopped))?;
        let peers = status.lacks.iter();
        Ok(Response::new(proto::StatusResponse {
            id: status.id.0,
            published: self.feed.published(),
            delivered: Some(proto_of(&status.delivered)),
            received: Some(proto_of(&status.received)),
            position: status.position,
            kept_from: status.kept_from,
            window: status.window,
            window_used: status.window_used,
            peers: peers
                .map(|(NodeId(id), lacks)| proto::Peer {
                    id: *id,
                    lacks: *lacks,
                })
                .collect(),
        }))
    }
}

/// Reads as fast as the connection takes it, until the reader has gone or the group has stopped.
async fn tell(mut news: News, responses: mpsc::Sender<Result<proto::FollowResponse, Status>>) {
    let mut response = proto::FollowResponse {
        from: Some(proto_of(news.seen())),
        ..proto::FollowResponse::default()
    };
    while responses.send(Ok(response)).await.is_ok() {
        let next = tokio::select! {
            next = news.next() => next,
            () = responses.closed() => return,
        };
        response = match next {
            Some(Ok(told)) => proto::FollowResponse {
                told: told.iter().map(proto_of_told).collect(),
                ..proto::FollowResponse::default()
            },
            Some(Err(missed)) => proto::FollowResponse {
                missed: Some(proto::Missed {
                    messages: missed.missed,
                    seen: Some(proto_of(news.seen())),
                }),
                ..proto::FollowResponse::default()
            },
            None => {
                // Whoever reads goes on elsewhere.
                let _ = responses.send(Err(refusal(PublishError::Stopped))).await;
                return;
            }
        };
    }
}

fn proto_of_told(told: &Told) -> proto::Told {
    let said = told.posts().iter().map(|post| proto::Said {
        author: post.author().to_owned(),
        body: post.body(),
    });
    proto::Told {
        sender: told.sender().0,
        first: told.first(),
        position: told.position(),
        clock: Some(proto_of(&told.clock())),
        said: said.collect(),
    }
}
