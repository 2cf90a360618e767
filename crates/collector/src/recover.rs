//! After a start: what was accepted before and may not be in the store is offered to assembly again.

use std::sync::Arc;

use bytes::Bytes;
use quorate_storage::{AppendError, ReadError};
use quorate_trace::wire::{Batch, Limits};

use crate::held::Held;
use crate::pipeline::{Pipeline, REQUESTS};

/// Reads the log back; returns how many requests there were. Sealers run at the same time: when the open
/// traces do not fit into memory, reading waits for them.
pub(crate) fn recover(pipeline: &Arc<Pipeline>) -> Result<u64, RecoverError> {
    let (requests, begun) = read_back(pipeline)?;
    if !begun {
        begin_positions(pipeline)?;
    }
    Ok(requests)
}

fn read_back(pipeline: &Arc<Pipeline>) -> Result<(u64, bool), ReadError> {
    let mut begun = false;
    let count = pipeline
        .log
        .replay_batches(REQUESTS, &mut |number, body: Bytes| {
            if !begun {
                pipeline.positions.begin(number);
                begun = true;
            }
            let ticket = pipeline.positions.ticket(number);
            // The limits of the configuration were for the client; what was accepted under earlier ones stays.
            let batch = Batch::scan(body, &Limits::NONE).map_err(|error| error.to_string())?;
            if !batch.is_empty() {
                let _room = pipeline.wait_for_room(&batch);
                pipeline.assemble(&Held::new(batch, ticket));
            }
            Ok(())
        })?;
    Ok((count, begun))
}

/// Begins to count positions with this run's first batch, an empty one, if nothing was recovered.
fn begin_positions(pipeline: &Pipeline) -> Result<(), AppendError> {
    let number = pipeline.log.append(REQUESTS, Vec::new(), Box::new(|| {}))?;
    pipeline.positions.begin(number);
    drop(pipeline.positions.ticket(number));
    Ok(())
}

/// Why what was accepted before cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoverError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log cannot be written.
    #[error(transparent)]
    Append(#[from] AppendError),
}
