//! Rate, errors and duration of every operation.

use std::fmt::Write;

use ahash::AHashMap;
use parking_lot::Mutex;
use quorate_trace::wire::{Span, SpanKind, StatusCode};
use serde::Serialize;

use super::histogram::Histogram;
use super::{Label, OTHER, bounded};

/// Calls, errors and durations by service, operation and kind.
///
/// A histogram takes 560 bytes. Names beyond the limit are counted together as [`OTHER`], of their
/// service while it is known itself: an application that puts identifiers into its span names costs
/// itself its figures, and nobody memory.
pub struct SpanMetrics {
    state: Mutex<State>,
    operations_max: usize,
}

#[derive(Default)]
struct State {
    services: AHashMap<Box<str>, Service>,
    cells: Vec<Cell>,
}

/// By kind and operation, where its figures are among the cells; a look-up needs no owned key.
type Service = [AHashMap<Box<str>, usize>; 6];

#[derive(Clone, Default)]
struct Cell {
    by_status: [u64; 3],
    durations: Histogram,
}

/// The figures of one operation since the start of the process.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationMetrics {
    /// The service.
    pub service: String,
    /// The operation.
    pub operation: String,
    /// `server`, `client` and so on.
    pub kind: &'static str,
    /// Spans.
    pub calls: u64,
    /// Spans with an error status.
    pub errors: u64,
    /// Milliseconds that half of the spans do not exceed.
    pub p50_ms: f64,
    /// Milliseconds that 95 of 100 spans do not exceed.
    pub p95_ms: f64,
    /// Milliseconds that 99 of 100 spans do not exceed.
    pub p99_ms: f64,
}

impl Default for SpanMetrics {
    /// Of 10 000 operations: some 7 MB when all are there.
    fn default() -> Self {
        SpanMetrics::new(10_000)
    }
}

impl SpanMetrics {
    /// Of at most so many operations, each counted once per service and kind.
    pub fn new(operations_max: usize) -> Self {
        SpanMetrics {
            state: Mutex::default(),
            operations_max,
        }
    }

    /// How many operations are told apart.
    pub fn operations(&self) -> usize {
        self.state.lock().cells.len()
    }

    /// Counts these spans.
    pub fn observe(&self, spans: &[Span<'_>]) {
        let mut state = self.state.lock();
        for span in spans {
            let cell = state.cell(span, self.operations_max);
            cell.by_status[span.status as usize] += 1;
            cell.durations.record(span.duration());
        }
    }

    /// All figures, the busiest operations first.
    pub fn report(&self) -> Vec<OperationMetrics> {
        let mut report: Vec<_> = self
            .cells()
            .into_iter()
            .map(|(service, operation, kind, cell)| OperationMetrics {
                service,
                operation,
                kind: kind.name(),
                calls: cell.by_status.iter().sum(),
                errors: cell.by_status[StatusCode::Error as usize],
                p50_ms: cell.durations.quantile_ms(0.5),
                p95_ms: cell.durations.quantile_ms(0.95),
                p99_ms: cell.durations.quantile_ms(0.99),
            })
            .collect();
        // Stable: what is equally busy stays in order of its names.
        report.sort_by_key(|metrics| std::cmp::Reverse(metrics.calls));
        report
    }

    /// All figures in Prometheus's text format: `traces_spanmetrics_calls_total` and the histogram
    /// `traces_spanmetrics_latency` in seconds.
    pub fn prometheus(&self) -> String {
        let cells = self.cells();
        let labelled: Vec<_> = cells
            .iter()
            .map(|(service, operation, kind, cell)| {
                let labels = format!(
                    "service=\"{}\",span_name=\"{}\",span_kind=\"SPAN_KIND_{}\"",
                    Label(service),
                    Label(operation),
                    kind.name().to_uppercase(),
                );
                (labels, cell)
            })
            .collect();
        let mut out = String::from(
            "# HELP traces_spanmetrics_calls_total Spans of sealed traces since the start of the process\n\
             # TYPE traces_spanmetrics_calls_total counter\n",
        );
        for (labels, cell) in &labelled {
            for (status, count) in ["UNSET", "OK", "ERROR"].iter().zip(cell.by_status) {
                if count > 0 {
                    // Writing to a String cannot fail.
                    let _ = writeln!(
                        out,
                        "traces_spanmetrics_calls_total{{{labels},status_code=\"STATUS_CODE_{status}\"}} {count}"
                    );
                }
            }
        }
        out.push_str("# TYPE traces_spanmetrics_latency histogram\n");
        for (labels, cell) in &labelled {
            let _ = cell
                .durations
                .render(&mut out, "traces_spanmetrics_latency", labels);
        }
        out
    }

    /// A copy in order of the names, so that nothing is sorted or rendered under the lock.
    fn cells(&self) -> Vec<(String, String, SpanKind, Cell)> {
        let state = self.state.lock();
        let mut cells = Vec::with_capacity(state.cells.len());
        for (service, kinds) in &state.services {
            for (kind, operations) in kinds.iter().enumerate() {
                let kind = SpanKind::from_number(kind as i32);
                for (operation, at) in operations {
                    let cell = state.cells[*at].clone();
                    cells.push((service.to_string(), operation.to_string(), kind, cell));
                }
            }
        }
        drop(state);
        cells.sort_by(|a, b| (&a.0, &a.1, a.2).cmp(&(&b.0, &b.1, b.2)));
        cells
    }
}

impl State {
    fn cell(&mut self, span: &Span<'_>, operations_max: usize) -> &mut Cell {
        let (service, kind) = (bounded(span.service), span.kind as usize);
        let name = bounded(span.name);
        let at = match self.find(service, kind, name) {
            Some(at) => at,
            None if self.cells.len() < operations_max => self.add(service, kind, name),
            // Those of known services are at most six for each of them, one a kind.
            None => {
                let known = self.services.contains_key(service);
                let service = if known { service } else { OTHER };
                let found = self.find(service, kind, OTHER);
                found.unwrap_or_else(|| self.add(service, kind, OTHER))
            }
        };
        &mut self.cells[at]
    }

    fn find(&self, service: &str, kind: usize, operation: &str) -> Option<usize> {
        self.services.get(service)?[kind].get(operation).copied()
    }

    fn add(&mut self, service: &str, kind: usize, operation: &str) -> usize {
        let kinds = self.services.entry(service.into()).or_default();
        kinds[kind].insert(operation.into(), self.cells.len());
        self.cells.push(Cell::default());
        self.cells.len() - 1
    }
}
