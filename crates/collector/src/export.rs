//! Where kept traces go besides the store.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;
#[cfg(feature = "parquet")]
use quorate_export::archive::{Archive, Sealed};
use quorate_export::forward::{self, Forwarder, OfferError};
use quorate_trace::TraceId;
use quorate_trace_store::Fragment;

/// A trace and its revision.
type Revision = (TraceId, u32);

/// The exports that are configured.
#[derive(Debug, Default)]
pub(crate) struct Exports {
    forwarder: Option<Forwarder>,
    /// What the forwarder has, while the archive or the store did not take it yet: with how many spans, since
    /// more may come between two attempts to seal a revision. No more than there are open traces.
    forwarded: Mutex<HashMap<Revision, usize>>,
    #[cfg(feature = "parquet")]
    archive: Option<Archive>,
}

impl Exports {
    /// Sends what is kept to another backend, too.
    pub(crate) fn forward_to(&mut self, forwarder: Forwarder) {
        self.forwarder = Some(forwarder);
    }

    /// Writes what is kept to Parquet files, too.
    #[cfg(feature = "parquet")]
    pub(crate) fn archive_in(&mut self, archive: Archive) {
        self.archive = Some(archive);
    }

    /// Takes what is kept of these revisions; returns when it is safe.
    ///
    /// # Errors
    ///
    /// If an export is full. Nothing is lost: the traces stay in assembly and are offered again.
    pub(crate) fn offer(&self, fragments: &[Fragment]) -> Result<(), OfferError> {
        let kept: Vec<&Fragment> = fragments
            .iter()
            .filter(|fragment| !fragment.spans.is_empty())
            .collect();
        if kept.is_empty() {
            return Ok(());
        }
        self.forward(&kept)?;
        #[cfg(feature = "parquet")]
        self.archive(&kept)?;
        Ok(())
    }

    fn forward(&self, kept: &[&Fragment]) -> Result<(), OfferError> {
        let Some(forwarder) = &self.forwarder else {
            return Ok(());
        };
        let mut forwarded = self.forwarded.lock();
        let new = kept
            .iter()
            .filter(|fragment| forwarded.get(&revision(fragment)) != Some(&fragment.ids.len()));
        let traces: Vec<Bytes> = new.map(|fragment| fragment.spans.clone()).collect();
        if !traces.is_empty() {
            settled(forwarder.offer(&traces).and_then(forward::Durable::wait))?;
        }
        forwarded.extend(
            kept.iter()
                .map(|fragment| (revision(fragment), fragment.ids.len())),
        );
        Ok(())
    }

    #[cfg(feature = "parquet")]
    fn archive(&self, kept: &[&Fragment]) -> Result<(), OfferError> {
        let Some(archive) = &self.archive else {
            return Ok(());
        };
        let sealed_at = std::time::SystemTime::now();
        let sealed = kept.iter().map(|fragment| Sealed {
            spans: fragment.spans.clone(),
            verdict: fragment.completeness.verdict,
            revision: fragment.revision.into(),
            sealed_at,
        });
        let sealed: Vec<Sealed> = sealed.collect();
        settled(archive.offer(&sealed).and_then(forward::Durable::wait))
    }

    /// These revisions are in the store: they will not be offered again.
    pub(crate) fn stored(&self, fragments: &[Fragment]) {
        if self.forwarder.is_some() {
            let mut forwarded = self.forwarded.lock();
            for fragment in fragments {
                forwarded.remove(&revision(fragment));
            }
        }
    }

    /// What the forwarder does.
    pub(crate) fn forward_figures(&self) -> Option<forward::Figures> {
        self.forwarder.as_ref().map(Forwarder::figures)
    }

    /// Bytes of traces that are in no finished file.
    pub(crate) fn archive_waiting_bytes(&self) -> u64 {
        #[cfg(feature = "parquet")]
        if let Some(archive) = &self.archive {
            return archive.figures().queued_bytes;
        }
        0
    }
}

fn revision(fragment: &Fragment) -> Revision {
    (fragment.trace_id, fragment.revision)
}

/// What would never fit must not keep the others.
fn settled(offered: Result<(), OfferError>) -> Result<(), OfferError> {
    match offered {
        Err(OfferError::TooLarge { bytes }) => {
            tracing::warn!(
                bytes,
                "a span is too long to be exported; it is in the store"
            );
            Ok(())
        }
        other => other,
    }
}
