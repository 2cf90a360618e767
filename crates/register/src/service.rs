//! The gRPC service over [`Registers`].

use crate::proto::registers_server::{Registers as Service, RegistersServer};
use crate::{Held, MESSAGE_BYTES_MAX, RegisterError, Registers, proto};
use quorate_client::elsewhere;
use tonic::{Request, Response, Status};

/// One member's service. Cheap to clone.
#[derive(Clone)]
pub struct RegisterService {
    registers: Registers,
}

impl RegisterService {
    /// A service over `registers`.
    pub fn new(registers: Registers) -> Self {
        RegisterService { registers }
    }

    /// The service with its limits, to be added to a server of one's own.
    pub fn into_server(self) -> RegistersServer<Self> {
        RegistersServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }
}

fn refusal(error: RegisterError) -> Status {
    let words = error.to_string();
    match error {
        RegisterError::Invalid(_) => Status::invalid_argument(words),
        RegisterError::Busy | RegisterError::Full => Status::resource_exhausted(words),
        RegisterError::Unknown => Status::aborted(words),
        // Any other member will do.
        RegisterError::Stopped => elsewhere(words, ""),
    }
}

#[tonic::async_trait]
impl Service for RegisterService {
    async fn propose(
        &self,
        request: Request<proto::ProposeRequest>,
    ) -> Result<Response<proto::ProposeResponse>, Status> {
        let proto::ProposeRequest { key, value } = request.into_inner();
        let held = self.registers.propose(key, value).await;
        let other = match held.map_err(refusal)? {
            Held::Proposed => None,
            Held::Other(value) => Some(value),
        };
        Ok(Response::new(proto::ProposeResponse { other }))
    }

    async fn read(
        &self,
        request: Request<proto::ReadRequest>,
    ) -> Result<Response<proto::ReadResponse>, Status> {
        let proto::ReadRequest { key } = request.into_inner();
        let value = self.registers.read(key).await.map_err(refusal)?;
        Ok(Response::new(proto::ReadResponse { value }))
    }

    async fn status(
        &self,
        _request: Request<proto::StatusRequest>,
    ) -> Result<Response<proto::StatusResponse>, Status> {
        let status = self.registers.status();
        Ok(Response::new(proto::StatusResponse {
            id: status.id.0,
            known: status.known,
            waiting: status.waiting as u64,
        }))
    }
}
