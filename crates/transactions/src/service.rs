//! The gRPC service over a member's [`Transactions`] and its embedded [`Store`].

use crate::callers::{Outcome, RunError, Standing};
use crate::proto::transactions_server::{Transactions as Rpc, TransactionsServer};
use crate::store::{LIST_ITEMS_MAX, LOCK_PATIENCE};
use crate::work::{self, Invalid};
use crate::{InDoubt, MESSAGE_BYTES_MAX, Store, StoreError, TransactionId, Transactions, proto};
use quorate_commit::{Decision, Mode};
use std::time::Duration;
use tokio::time::timeout;
use tonic::{Request, Response, Status};

/// How long a caller is kept waiting for an outcome. A transaction that can be decided has been by then.
const PATIENCE: Duration = Duration::from_secs(15);

/// Transactions in doubt that a status names.
const IN_DOUBT_SHOWN: usize = 100;

/// One member's service. Cheap to clone.
#[derive(Clone)]
pub struct TransactionsService {
    transactions: Transactions,
    store: Store,
}

impl TransactionsService {
    /// A service over `transactions`, and over the embedded store that takes part in them.
    pub fn new(transactions: Transactions, store: Store) -> Self {
        TransactionsService {
            transactions,
            store,
        }
    }

    /// The service with its limits, to be added to a server of one's own.
    pub fn into_server(self) -> TransactionsServer<Self> {
        TransactionsServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// What this member knows of a transaction, as its coordinator or because it takes part.
    fn standing(&self, id: TransactionId) -> Standing {
        let standing = self.transactions.standing(id);
        if standing != Standing::NotKnown {
            return standing;
        }
        match self.store.standing(id) {
            Some(Some(Decision::Commit)) => Standing::Ended(Outcome::Committed),
            Some(Some(Decision::Abort)) => Standing::Ended(Outcome::Aborted {
                reason: "it was aborted here".to_owned(),
            }),
            Some(None) => Standing::Open,
            None => Standing::NotKnown,
        }
    }
}

fn id(id: Option<proto::Id>) -> Result<TransactionId, Status> {
    let id = id.ok_or(Invalid::Missing("a transaction's id"));
    id.map(Into::into).map_err(invalid)
}

fn invalid(invalid: Invalid) -> Status {
    Status::invalid_argument(invalid.to_string())
}

fn refusal(error: RunError) -> Status {
    let text = error.to_string();
    match error {
        RunError::Busy => Status::resource_exhausted(text),
        RunError::Invalid | RunError::NotMine => Status::invalid_argument(text),
        RunError::Forgotten => Status::failed_precondition(text),
        RunError::Unknown => Status::aborted(text),
    }
}

fn fault(error: StoreError) -> Status {
    Status::internal(error.to_string())
}

impl From<InDoubt> for proto::InDoubt {
    fn from(InDoubt { id, keys }: InDoubt) -> Self {
        proto::InDoubt {
            id: Some(id.into()),
            keys,
        }
    }
}

#[tonic::async_trait]
impl Rpc for TransactionsService {
    async fn new_id(
        &self,
        _request: Request<proto::NewIdRequest>,
    ) -> Result<Response<proto::NewIdResponse>, Status> {
        let id = Some(self.transactions.new_id().into());
        Ok(Response::new(proto::NewIdResponse { id }))
    }

    async fn run(
        &self,
        request: Request<proto::RunRequest>,
    ) -> Result<Response<proto::RunResponse>, Status> {
        let request = request.into_inner();
        let mode = match request.mode() {
            proto::Mode::Blocking => Mode::Blocking,
            proto::Mode::NonBlocking => Mode::NonBlocking,
        };
        let id = id(request.id)?;
        let shares = work::shares(request.shares).map_err(invalid)?;
        let members = &self.transactions.node().options().members;
        let stranger = shares
            .iter()
            .find(|share| !members.contains_key(&share.member));
        if let Some(stranger) = stranger {
            return Err(invalid(Invalid::NotAMember(stranger.member)));
        }
        let run = timeout(PATIENCE, self.transactions.run(id, shares, mode)).await;
        let outcome = run.unwrap_or(Err(RunError::Unknown)).map_err(refusal)?;
        let (outcome, reason) = words(outcome);
        Ok(Response::new(proto::RunResponse {
            outcome: outcome.into(),
            reason,
        }))
    }

    async fn outcome(
        &self,
        request: Request<proto::OutcomeRequest>,
    ) -> Result<Response<proto::OutcomeResponse>, Status> {
        let id = id(request.into_inner().id)?;
        let (outcome, reason) = match self.standing(id) {
            Standing::Ended(outcome) => words(outcome),
            Standing::Open => (proto::Outcome::Open, String::new()),
            Standing::NotKnown => (proto::Outcome::NotKnown, String::new()),
            Standing::Forgotten => (proto::Outcome::Forgotten, String::new()),
        };
        Ok(Response::new(proto::OutcomeResponse {
            outcome: outcome.into(),
            reason,
        }))
    }

    async fn get(
        &self,
        request: Request<proto::GetRequest>,
    ) -> Result<Response<proto::GetResponse>, Status> {
        let key = work::key(request.into_inner().key).map_err(invalid)?;
        let read = self.store.read(&key, LOCK_PATIENCE).await.map_err(fault)?;
        Ok(Response::new(proto::GetResponse {
            value: read.value,
            locked_by: read.locked_by.map(Into::into),
        }))
    }

    async fn list(
        &self,
        request: Request<proto::ListRequest>,
    ) -> Result<Response<proto::ListResponse>, Status> {
        let proto::ListRequest { start, end, limit } = request.into_inner();
        let limit = match limit as usize {
            0 => LIST_ITEMS_MAX,
            limit => limit.min(LIST_ITEMS_MAX),
        };
        let (items, more) = self.store.list(&start, &end, limit).map_err(fault)?;
        let items = items.into_iter();
        let items = items
            .map(|(key, value)| proto::Item { key, value })
            .collect();
        Ok(Response::new(proto::ListResponse { items, more }))
    }

    async fn status(
        &self,
        _request: Request<proto::StatusRequest>,
    ) -> Result<Response<proto::StatusResponse>, Status> {
        let (in_doubt, total) = self.store.in_doubt(IN_DOUBT_SHOWN);
        let node = self.transactions.node();
        Ok(Response::new(proto::StatusResponse {
            id: node.id().0,
            open: self.transactions.open() as u64,
            in_doubt: in_doubt.into_iter().map(Into::into).collect(),
            in_doubt_total: total as u64,
            syncs: node.log().rounds(),
            messages_sent: self.transactions.messages_sent(),
        }))
    }
}

fn words(outcome: Outcome) -> (proto::Outcome, String) {
    match outcome {
        Outcome::Committed => (proto::Outcome::Committed, String::new()),
        Outcome::Aborted { reason } => (proto::Outcome::Aborted, reason),
    }
}
