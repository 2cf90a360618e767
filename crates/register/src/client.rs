//! A client that asks whichever member answers, and asks again safely.
//!
//! A register never changes, so to ask again does no harm: a read is simply asked again, and a value that is
//! proposed twice is held once. [`ClientError::Unknown`] is returned when nobody could tell in time what became
//! of a proposal; it may come to be held even later. To propose the same value again tells.

use crate::proto::registers_client::RegistersClient;
use crate::{Held, Invalid, Key, MESSAGE_BYTES_MAX, Value, proto};
use bytes::Bytes;
use quorate_client::{Failed, Members};
use std::sync::Arc;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Response, Status};

pub use quorate_client::{ClientError, ClientOptions, Tried};

type Stub = RegistersClient<Channel>;

fn stub(channel: Channel) -> Stub {
    RegistersClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

impl From<Invalid> for ClientError {
    fn from(invalid: Invalid) -> Self {
        ClientError::Invalid(invalid.to_string())
    }
}

/// A client of a cluster. Cheap to clone; the clones share connections and what they know of the members. There is
/// one connection to each member, made when it is first needed.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    options: ClientOptions,
    members: Members<Stub>,
}

impl Client {
    /// A client of the cluster to which `endpoints`, each `host:port`, belong; the first is asked as long as it
    /// answers. Makes no connection yet; must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If an endpoint is no address, or there is none.
    pub fn new<E: Into<String>>(
        endpoints: impl IntoIterator<Item = E>,
        options: ClientOptions,
    ) -> Result<Self, ClientError> {
        let members = Members::new(endpoints, stub)?;
        Ok(Client(Arc::new(Inner { options, members })))
    }

    /// Proposes `value` for the register `key`; returns what it holds for ever.
    ///
    /// # Errors
    ///
    /// If either is too long, nobody could be asked, or the fate of the proposal cannot be learnt.
    pub async fn propose(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Held, ClientError> {
        let (key, value) = (Key::new(key.as_ref())?, Value::new(value.as_ref())?);
        let (key, value) = (key.into(), value.into());
        let request = proto::ProposeRequest { key, value };
        let proposed = self
            .call(|mut stub| {
                let request = request.clone();
                async move { stub.propose(request).await }
            })
            .await
            .map_err(Failed::of_write)?;
        Ok(proposed.other.map_or(Held::Proposed, Held::Other))
    }

    /// What the register `key` holds; nothing if nothing had been decided when this was asked. Linearizable.
    ///
    /// # Errors
    ///
    /// If the key is too long, or nobody with a majority could be asked.
    pub async fn read(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>, ClientError> {
        let key = Key::new(key.as_ref())?.into();
        let request = proto::ReadRequest { key };
        let read = self
            .call(|mut stub| {
                let request = request.clone();
                async move { stub.read(request).await }
            })
            .await?;
        Ok(read.value)
    }

    /// What every member that is known says of itself.
    pub async fn status(&self) -> Vec<(String, Result<proto::StatusResponse, String>)> {
        let patience = self.0.options.attempt_timeout;
        let ask = |mut stub: Stub| async move { stub.status(proto::StatusRequest {}).await };
        self.0.members.each(patience, ask).await
    }

    async fn call<T, F>(&self, attempt: impl FnMut(Stub) -> F) -> Result<T, Failed>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let options = &self.0.options;
        let deadline = Instant::now() + options.timeout;
        let members = &self.0.members;
        members
            .call(deadline, options.attempt_timeout, attempt)
            .await
    }
}
