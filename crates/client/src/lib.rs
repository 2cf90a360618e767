//! What the clients of all services have in common: the way to the member that can answer, one attempt
//! after another, and errors that say who was asked and what they said.
//!
//! A service that only one member can answer, such as a leader, refuses with [`elsewhere`], and
//! [`Members::call`] goes to the member that it names. Whether a failed attempt may have had an effect is
//! kept apart from everything else: [`Failed::unknown`].

mod error;
mod members;

pub use error::{ClientError, Failed, Tried};
pub use members::{Members, silence, words};

use std::time::Duration;
use tonic::Status;
use tonic::metadata::AsciiMetadataValue;

/// How patient a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// When an operation is given up, all attempts together.
    pub timeout: Duration,
    /// When one attempt is given up, and another member is tried: one that is down without saying so costs as
    /// much. What takes as long as it takes, such as a transaction that is to be decided, gets the whole time.
    pub attempt_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            timeout: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(2),
        }
    }
}

/// The metadata that tells who can answer.
const LEADER: &str = "quorate-leader";

/// The refusal of a member that cannot answer: nothing has happened, and the member at the address `leader`
/// may be of help; empty if nobody is known who would.
pub fn elsewhere(reason: impl Into<String>, leader: &str) -> Status {
    let mut status = Status::unavailable(reason);
    // An address that is not ASCII cannot be told; the client then asks the others.
    let hint = AsciiMetadataValue::try_from(leader)
        .unwrap_or_else(|_| AsciiMetadataValue::from_static(""));
    status.metadata_mut().insert(LEADER, hint);
    status
}
