//! The gRPC service over a [`Replica`].

use crate::proto::kv_server::{Kv, KvServer};
use crate::state::{Command, Map, Query, Response as Answer};
use crate::wire::{Invalid, detach, key};
use crate::{MESSAGE_BYTES_MAX, proto};
use bytes::Bytes;
use quorate::{Change, Lagged, NodeId, Outcome, Replica, RoleName, SessionId, SubmitError};
use quorate_client::elsewhere;
use std::pin::Pin;
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status};

/// One member's service. Cheap to clone.
#[derive(Clone)]
pub struct KvService {
    replica: Replica<Map>,
}

impl KvService {
    /// A service over `replica`.
    pub fn new(replica: Replica<Map>) -> Self {
        KvService { replica }
    }

    /// The service with its limits, to be added to a server of one's own.
    pub fn into_server(self) -> KvServer<Self> {
        KvServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    async fn read(&self, query: Query) -> Result<Answer, Status> {
        let answer = self.replica.read(query).await;
        answer.map_err(|error| self.refusal(error))
    }

    /// The client address of a member.
    fn address(&self, member: Option<NodeId>) -> &str {
        let members = &self.replica.node().options().members;
        member
            .and_then(|id| members.get(&id))
            .map_or("", |member| member.client.as_str())
    }

    fn refusal(&self, error: SubmitError) -> Status {
        let leader = match error {
            SubmitError::NotLeader { leader } => self.address(leader),
            SubmitError::Stopped => "",
            SubmitError::Busy => return Status::resource_exhausted(error.to_string()),
            SubmitError::Unknown => return Status::aborted(error.to_string()),
        };
        elsewhere(error.to_string(), leader)
    }
}

fn invalid(invalid: Invalid) -> Status {
    Status::invalid_argument(invalid.to_string())
}

/// A query was answered with what belongs to another one: a fault in this file.
fn mismatch() -> Status {
    Status::internal("the answer does not fit the question")
}

#[tonic::async_trait]
impl Kv for KvService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<proto::WatchResponse, Status>> + Send>>;

    async fn open_session(
        &self,
        _request: Request<proto::OpenSessionRequest>,
    ) -> Result<Response<proto::OpenSessionResponse>, Status> {
        let opened = self.replica.open_session().await;
        let SessionId(session) = opened.map_err(|error| self.refusal(error))?;
        Ok(Response::new(proto::OpenSessionResponse { session }))
    }

    async fn write(
        &self,
        request: Request<proto::WriteRequest>,
    ) -> Result<Response<proto::WriteResponse>, Status> {
        let proto::WriteRequest {
            session,
            sequence,
            command,
        } = request.into_inner();
        let command = command.ok_or(Invalid::Missing("a command"));
        let command = command.and_then(Command::try_from).map_err(invalid)?;
        let outcome = self
            .replica
            .write(SessionId(session), sequence, detach(command))
            .await
            .map_err(|error| self.refusal(error))?;
        match outcome {
            Outcome::Applied(answer) | Outcome::Repeated(answer) => {
                written(answer).map(Response::new)
            }
            Outcome::Expired => Err(Status::not_found(format!(
                "session {session} does not exist or has expired"
            ))),
            Outcome::Superseded => Err(Status::failed_precondition(format!(
                "session {session} has gone on to a later sequence than {sequence}"
            ))),
        }
    }

    async fn get(
        &self,
        request: Request<proto::GetRequest>,
    ) -> Result<Response<proto::GetResponse>, Status> {
        let query = Query::try_from(request.into_inner()).map_err(invalid)?;
        let Answer::Got(item) = self.read(query).await? else {
            return Err(mismatch());
        };
        let item = item.map(Into::into);
        Ok(Response::new(proto::GetResponse { item }))
    }

    async fn range(
        &self,
        request: Request<proto::RangeRequest>,
    ) -> Result<Response<proto::RangeResponse>, Status> {
        let query = Query::try_from(request.into_inner()).map_err(invalid)?;
        let Answer::Items { items, more } = self.read(query).await? else {
            return Err(mismatch());
        };
        let items = items.into_iter().map(Into::into).collect();
        Ok(Response::new(proto::RangeResponse { items, more }))
    }

    async fn watch(
        &self,
        request: Request<proto::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let proto::WatchRequest { start, end } = request.into_inner();
        let start = key(start).map_err(invalid)?;
        let end = key(end).map_err(invalid)?;
        let changes = self.replica.subscribe();
        let changes = changes.filter_map(move |change| match change {
            Ok(change) => event(&change, &start, &end).map(Ok),
            Err(lagged) => Some(Err(lost(lagged))),
        });
        Ok(Response::new(Box::pin(changes)))
    }

    async fn status(
        &self,
        _request: Request<proto::StatusRequest>,
    ) -> Result<Response<proto::StatusResponse>, Status> {
        let status = self.replica.status();
        let role = match status.role {
            RoleName::Follower => "follower",
            RoleName::PreCandidate => "pre-candidate",
            RoleName::Candidate => "candidate",
            RoleName::Leader => "leader",
        };
        Ok(Response::new(proto::StatusResponse {
            id: status.id.0,
            term: status.term.0,
            role: role.to_owned(),
            leader: status.leader.map_or(0, |leader| leader.0),
            leader_address: self.address(status.leader).to_owned(),
            applied: status.applied.0,
        }))
    }
}

fn written(answer: Answer) -> Result<proto::WriteResponse, Status> {
    match answer {
        Answer::Written { revision, existed } => Ok(proto::WriteResponse {
            revision,
            matched: existed,
            current: None,
        }),
        Answer::Swapped { revision, current } => Ok(proto::WriteResponse {
            revision: revision.unwrap_or(0),
            matched: revision.is_some(),
            current: current.map(Into::into),
        }),
        Answer::Got(_) | Answer::Items { .. } => Err(mismatch()),
    }
}

/// What a watcher of the range is told of a change; nothing if it changed nothing there.
fn event(change: &Change<Map>, start: &Bytes, end: &Bytes) -> Option<proto::WatchResponse> {
    let revision = match &change.response {
        Answer::Written { revision, .. } => *revision,
        Answer::Swapped { revision, .. } => revision.unwrap_or(0),
        Answer::Got(_) | Answer::Items { .. } => 0,
    };
    let (key, value) = match &change.command {
        Command::Put { key, value } => (key, Some(value)),
        Command::Delete { key } => (key, None),
        Command::CompareAndSwap { key, new, .. } => (key, Some(new)),
    };
    let watched = key >= start && (end.is_empty() || key < end);
    (watched && revision > 0).then(|| proto::WatchResponse {
        key: key.clone(),
        value: value.cloned(),
        revision,
    })
}

fn lost(lagged: Lagged) -> Status {
    let message = format!("{lagged}; read the range and watch again");
    Status::new(Code::DataLoss, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate::{Index, StateMachine};

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn change(map: &mut Map, index: u64, command: Command) -> Change<Map> {
        let index = Index(index);
        let response = map.apply(index, &command);
        Change {
            index,
            command,
            response,
        }
    }

    #[test]
    fn watchers_are_told_of_what_changed_in_their_range() {
        let mut map = Map::new();
        let (key, value) = (bytes("b"), bytes("v"));
        let put = change(&mut map, 7, Command::Put { key, value });
        let told = event(&put, &bytes("a"), &bytes("c")).unwrap();
        assert_eq!((told.revision, told.value), (7, Some(bytes("v"))));
        assert!(event(&put, &bytes("b"), &bytes("")).is_some());
        assert_eq!(event(&put, &bytes("a"), &bytes("b")), None);
        assert_eq!(event(&put, &bytes("c"), &bytes("")), None);

        let delete = change(&mut map, 8, Command::Delete { key: bytes("b") });
        let told = event(&delete, &bytes("a"), &bytes("")).unwrap();
        assert_eq!((told.revision, told.value), (8, None));
        let again = change(&mut map, 9, Command::Delete { key: bytes("b") });
        assert_eq!(event(&again, &bytes("a"), &bytes("")), None);
    }

    #[test]
    fn a_swap_that_did_not_match_is_no_event() {
        let mut map = Map::new();
        let swap = Command::CompareAndSwap {
            key: bytes("b"),
            expected: crate::Expected::Revision(3),
            new: bytes("w"),
        };
        let refused = change(&mut map, 7, swap);
        assert_eq!(event(&refused, &bytes(""), &bytes("")), None);
    }
}
