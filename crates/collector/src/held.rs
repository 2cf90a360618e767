//! Spans in memory, between the log and the store.

use std::sync::Arc;

use quorate_assembly::Arrival;
use quorate_trace::wire::{Batch, Limits, Span, encode};

use crate::positions::Ticket;

/// What an open span takes besides its bytes: its entry in the batch, in assembly, and its share of the
/// headers. Rounded up.
const SPAN_OVERHEAD: usize = 192;

/// The spans of a request, or copies of some of them, and the parts of the log that they came from.
#[derive(Debug)]
pub(crate) struct Held {
    batch: Batch,
    tickets: Vec<Arc<Ticket>>,
    /// Of one trace only.
    copied_out: bool,
}

/// What assembly will count for the spans of a request, or a little more.
pub(crate) fn memory_of(batch: &Batch) -> u64 {
    (batch.body().len() + batch.len() * SPAN_OVERHEAD) as u64
}

impl Held {
    /// All spans of a request.
    pub(crate) fn new(batch: Batch, ticket: Ticket) -> Arc<Self> {
        Arc::new(Held {
            batch,
            tickets: vec![Arc::new(ticket)],
            copied_out: false,
        })
    }

    /// Its spans, as assembly takes them.
    pub(crate) fn arrivals(self: &Arc<Self>) -> Vec<Arrival<Part>> {
        let arrival = |index| {
            let (trace, span, parent) = self.batch.identity(index);
            Arrival {
                trace,
                span,
                parent,
                bytes: (self.batch.span_bytes(index) + SPAN_OVERHEAD) as u32,
                payload: Part {
                    held: Arc::clone(self),
                    index: index as u32,
                },
            }
        };
        (0..self.batch.len()).map(arrival).collect()
    }
}

/// One span of a [`Held`].
#[derive(Clone, Debug)]
pub(crate) struct Part {
    held: Arc<Held>,
    index: u32,
}

impl Part {
    pub(crate) fn span(&self) -> Span<'_> {
        self.held.batch.span(self.index as usize)
    }

    /// Whether it may keep bytes of other traces in memory.
    pub(crate) fn is_shared(&self) -> bool {
        !self.held.copied_out
    }
}

/// Copies the spans of one trace out of the requests that they came in, so that a trace that waits for
/// long does not keep those requests in memory. The log keeps them all the same.
pub(crate) fn copied_out(parts: &[Part]) -> Option<Arc<Held>> {
    let spans: Vec<Span<'_>> = parts.iter().map(|part| part.span()).collect();
    let batch = Batch::scan(encode(&spans), &Limits::NONE).ok()?;
    let mut tickets: Vec<Arc<Ticket>> = Vec::new();
    for ticket in parts.iter().flat_map(|part| &part.held.tickets) {
        if !tickets.iter().any(|known| Arc::ptr_eq(known, ticket)) {
            tickets.push(Arc::clone(ticket));
        }
    }
    Some(Arc::new(Held {
        batch,
        tickets,
        copied_out: true,
    }))
}
