//! A client that runs transactions, retries safely and never guesses.
//!
//! A transaction is named before it is sent ([`Client::new_id`]), so that it can be sent again: to the member that
//! coordinates it, with the same id, until that member tells its outcome. If it does not in time, the outcome is
//! [unknown](ClientError::Unknown), and the id is the way to ask later ([`Client::standing`]).

use crate::callers::{Outcome, Standing};
use crate::proto::transactions_client::TransactionsClient;
use crate::work;
use crate::{MESSAGE_BYTES_MAX, Share, TransactionId, proto};
use bytes::Bytes;
use parking_lot::Mutex;
use quorate::NodeId;
use quorate_client::{Members, Tried};
use quorate_commit::Mode;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

pub use quorate_client::{ClientError, ClientOptions};

type Stub = TransactionsClient<Channel>;

fn stub(channel: Channel) -> Stub {
    TransactionsClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

/// A client of a cluster. Cheap to clone; the clones share connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    options: ClientOptions,
    endpoints: Vec<Endpoint>,
    /// Who answers where, as far as it is known.
    members: Mutex<BTreeMap<NodeId, usize>>,
}

struct Endpoint {
    address: String,
    stub: Members<Stub>,
}

impl Client {
    /// A client of the cluster whose members are at `endpoints`, each `host:port`. Makes no connection yet; must be
    /// called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If an endpoint is no address, or there is none.
    pub fn new<E: Into<String>>(
        endpoints: impl IntoIterator<Item = E>,
        options: ClientOptions,
    ) -> Result<Self, ClientError> {
        let mut all = Vec::new();
        for address in endpoints {
            let address = address.into();
            let stub = Members::new([address.clone()], stub)?;
            all.push(Endpoint { address, stub });
        }
        if all.is_empty() {
            return Err(ClientError::Endpoint {
                endpoint: String::new(),
                reason: "at least one is needed".to_owned(),
            });
        }
        Ok(Client(Arc::new(Inner {
            options,
            endpoints: all,
            members: Mutex::default(),
        })))
    }

    /// A name for a transaction that `coordinator` is to coordinate; any member that answers if it is `None`.
    ///
    /// # Errors
    ///
    /// If the member does not answer in time.
    pub async fn new_id(&self, coordinator: Option<NodeId>) -> Result<TransactionId, ClientError> {
        let deadline = self.deadline();
        let ask = |mut stub: Stub| async move { stub.new_id(proto::NewIdRequest {}).await };
        let answer = match coordinator {
            Some(member) => self.call(member, deadline, ask).await?,
            None => self.call_any(deadline, ask).await?,
        };
        let id = answer.id;
        id.map(Into::into)
            .ok_or_else(|| ClientError::Unexpected("an id is missing".to_owned()))
    }

    /// Runs a transaction to its outcome, on the member that `id` names. It takes effect once at most, however often it
    /// is run.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unknown`] if it may or may not take effect: run it again with the same id, or ask for its
    /// [standing](Client::standing). After any other error it has no effect.
    pub async fn run(
        &self,
        id: TransactionId,
        shares: &[Share],
        mode: Mode,
    ) -> Result<Outcome, ClientError> {
        let deadline = self.deadline();
        let shares: Vec<proto::Share> = shares.iter().cloned().map(Into::into).collect();
        work::shares(shares.clone()).map_err(|why| ClientError::Invalid(why.to_string()))?;
        let mode = match mode {
            Mode::Blocking => proto::Mode::Blocking,
            Mode::NonBlocking => proto::Mode::NonBlocking,
        };
        let request = proto::RunRequest {
            id: Some(id.into()),
            shares,
            mode: mode.into(),
        };
        let endpoint = self.endpoint(id.coordinator(), deadline).await?;
        let patience = self.0.options.timeout;
        let answer = endpoint.stub.call(deadline, patience, |mut stub| {
            let request = request.clone();
            async move { stub.run(request).await }
        });
        let answer = match answer.await {
            Ok(answer) => answer,
            // Too old to be told: this attempt did not happen, but an earlier one may have.
            Err(failed) if failed.code == Some(Code::FailedPrecondition) => {
                let tried = failed.tried;
                return Err(ClientError::Unknown { tried });
            }
            Err(failed) => return Err(failed.of_write()),
        };
        match standing(answer.outcome(), answer.reason) {
            Standing::Ended(outcome) => Ok(outcome),
            other => Err(ClientError::Unexpected(format!("{other:?}"))),
        }
    }

    /// What has become of a transaction. Its coordinator is asked, and if that does not answer, all others: one that
    /// has taken part may know.
    ///
    /// # Errors
    ///
    /// If nobody answers.
    pub async fn standing(&self, id: TransactionId) -> Result<Standing, ClientError> {
        let request = proto::OutcomeRequest {
            id: Some(id.into()),
        };
        let mut best = None;
        let mut tried = Vec::new();
        for endpoint in &self.0.endpoints {
            let answer = self
                .attempt(
                    endpoint,
                    |mut stub| async move { stub.outcome(request).await },
                )
                .await;
            match answer {
                Ok(answer) => {
                    let is_coordinator = self.is(endpoint, id.coordinator());
                    let standing = standing(answer.outcome(), answer.reason);
                    best = better(best, (standing, is_coordinator));
                }
                Err(answer) => tried.push(Tried {
                    endpoint: endpoint.address.clone(),
                    answer,
                }),
            }
        }
        match best {
            Some((standing, true)) => Ok(standing),
            // Only the coordinator can say that there is none.
            Some((standing, false)) if standing != Standing::NotKnown => Ok(standing),
            Some(_) | None => Err(ClientError::Unavailable { tried }),
        }
    }

    /// What `key` of `member` holds: what was committed last.
    ///
    /// # Errors
    ///
    /// If the member does not answer in time, or the key cannot be one.
    pub async fn get(
        &self,
        member: NodeId,
        key: impl Into<Bytes>,
    ) -> Result<crate::Read, ClientError> {
        let request = proto::GetRequest { key: key.into() };
        let answer = self
            .call(member, self.deadline(), |mut stub: Stub| {
                let request = request.clone();
                async move { stub.get(request).await }
            })
            .await?;
        Ok(crate::Read {
            value: answer.value,
            locked_by: answer.locked_by.map(Into::into),
        })
    }

    /// All keys of `member` and what they hold, page by page.
    ///
    /// # Errors
    ///
    /// If the member does not answer in time.
    pub async fn list(&self, member: NodeId) -> Result<Vec<(Bytes, Bytes)>, ClientError> {
        let mut all = Vec::<(Bytes, Bytes)>::new();
        loop {
            // The first key after the last one.
            let start = all
                .last()
                .map_or_else(Bytes::new, |(key, _)| [&key[..], &[0]].concat().into());
            let request = proto::ListRequest {
                start,
                ..proto::ListRequest::default()
            };
            let page = self
                .call(member, self.deadline(), |mut stub: Stub| {
                    let request = request.clone();
                    async move { stub.list(request).await }
                })
                .await?;
            let is_empty = page.items.is_empty();
            all.extend(page.items.into_iter().map(|item| (item.key, item.value)));
            if !page.more || is_empty {
                return Ok(all);
            }
        }
    }

    /// What every member says of itself.
    pub async fn status(&self) -> Vec<(String, Result<proto::StatusResponse, String>)> {
        let mut statuses = Vec::new();
        for endpoint in &self.0.endpoints {
            let answer = self
                .attempt(endpoint, |mut stub| async move {
                    stub.status(proto::StatusRequest {}).await
                })
                .await;
            statuses.push((endpoint.address.clone(), answer));
        }
        statuses
    }

    /// The members that answer, and who they are.
    pub async fn members(&self) -> Vec<NodeId> {
        self.look_around().await;
        self.0.members.lock().keys().copied().collect()
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.0.options.timeout
    }

    /// Asks one member once.
    async fn attempt<T, F>(
        &self,
        endpoint: &Endpoint,
        ask: impl FnMut(Stub) -> F,
    ) -> Result<T, String>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let patience = self.0.options.attempt_timeout;
        let mut answers = endpoint.stub.each(patience, ask).await;
        let answer = answers.pop().map(|(_, answer)| answer);
        answer.unwrap_or_else(|| Err("unknown".to_owned()))
    }

    /// Asks `member` until it answers.
    async fn call<T, F>(
        &self,
        member: NodeId,
        deadline: Instant,
        ask: impl FnMut(Stub) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let endpoint = self.endpoint(member, deadline).await?;
        let patience = self.0.options.attempt_timeout;
        Ok(endpoint.stub.call(deadline, patience, ask).await?)
    }

    /// Asks all members in turn until one answers.
    async fn call_any<T, F>(
        &self,
        deadline: Instant,
        mut ask: impl FnMut(Stub) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut tried;
        loop {
            tried = Vec::new();
            for endpoint in &self.0.endpoints {
                match self.attempt(endpoint, &mut ask).await {
                    Ok(answer) => return Ok(answer),
                    Err(answer) => tried.push(Tried {
                        endpoint: endpoint.address.clone(),
                        answer,
                    }),
                }
            }
            if !self.rest(deadline).await {
                return Err(ClientError::Unavailable { tried });
            }
        }
    }

    /// Where `member` is.
    async fn endpoint(&self, member: NodeId, deadline: Instant) -> Result<&Endpoint, ClientError> {
        loop {
            let known = self.0.members.lock().get(&member).copied();
            if let Some(index) = known {
                return Ok(&self.0.endpoints[index]);
            }
            let silent = self.look_around().await;
            if self.0.members.lock().contains_key(&member) {
                continue;
            }
            if silent.is_empty() {
                let text = format!("member {} is not among the endpoints", member.0);
                return Err(ClientError::Invalid(text));
            }
            if !self.rest(deadline).await {
                return Err(ClientError::Unavailable { tried: silent });
            }
        }
    }

    /// Learns who answers where; returns who did not.
    async fn look_around(&self) -> Vec<Tried> {
        let mut silent = Vec::new();
        for (index, (endpoint, answer)) in self.status().await.into_iter().enumerate() {
            match answer {
                Ok(status) => {
                    self.0.members.lock().insert(NodeId(status.id), index);
                }
                Err(answer) => silent.push(Tried { endpoint, answer }),
            }
        }
        silent
    }

    fn is(&self, endpoint: &Endpoint, member: NodeId) -> bool {
        let known = self.0.members.lock().get(&member).copied();
        known.is_some_and(|index| self.0.endpoints[index].address == endpoint.address)
    }

    /// A pause before the next attempt; false if there is no time for one.
    async fn rest(&self, deadline: Instant) -> bool {
        let until = Instant::now() + Duration::from_millis(100);
        if until >= deadline {
            return false;
        }
        tokio::time::sleep_until(until).await;
        true
    }
}

fn standing(outcome: proto::Outcome, reason: String) -> Standing {
    match outcome {
        proto::Outcome::Committed => Standing::Ended(Outcome::Committed),
        proto::Outcome::Aborted => Standing::Ended(Outcome::Aborted { reason }),
        proto::Outcome::Open => Standing::Open,
        proto::Outcome::NotKnown => Standing::NotKnown,
        proto::Outcome::Forgotten => Standing::Forgotten,
    }
}

/// What is worth more of two answers, each with whether the coordinator gave it: a commit whoever tells it, then what
/// the coordinator says, then what anybody knows.
fn better(one: Option<(Standing, bool)>, other: (Standing, bool)) -> Option<(Standing, bool)> {
    let worth = |(standing, is_coordinator): &(Standing, bool)| match standing {
        Standing::Ended(Outcome::Committed) => (3, *is_coordinator),
        _ if *is_coordinator => (2, true),
        Standing::NotKnown | Standing::Forgotten => (0, false),
        Standing::Open | Standing::Ended(_) => (1, matches!(standing, Standing::Ended(_))),
    };
    match one {
        Some(one) if worth(&one) >= worth(&other) => Some(one),
        _ => Some(other),
    }
}

#[cfg(test)]
mod tests;
