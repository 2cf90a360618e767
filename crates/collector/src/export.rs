//! Where kept traces go besides the store.

use bytes::Bytes;
use quorate_export::forward::{self, Forwarder, OfferError};
use quorate_trace_store::Fragment;

/// The exports that are configured.
#[derive(Debug, Default)]
pub(crate) struct Exports {
    pub(crate) forwarder: Option<Forwarder>,
}

impl Exports {
    /// Takes what is kept of these revisions; returns when it is safe.
    ///
    /// # Errors
    ///
    /// If an export is full. Nothing is lost: the traces stay in assembly and are offered again.
    pub(crate) fn offer(&self, fragments: &[Fragment]) -> Result<(), OfferError> {
        let Some(forwarder) = &self.forwarder else {
            return Ok(());
        };
        let kept = fragments
            .iter()
            .filter(|fragment| !fragment.spans.is_empty());
        let traces: Vec<Bytes> = kept.map(|fragment| fragment.spans.clone()).collect();
        if traces.is_empty() {
            return Ok(());
        }
        match forwarder.offer(&traces) {
            Ok(durable) => durable.wait(),
            // It would never fit, and must not keep the others.
            Err(OfferError::TooLarge { bytes }) => {
                tracing::warn!(
                    bytes,
                    "a span is too long to be forwarded; it is in the store"
                );
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// What the forwarder does.
    pub(crate) fn forward_figures(&self) -> Option<forward::Figures> {
        self.forwarder.as_ref().map(Forwarder::figures)
    }
}
