//! The times of a trace, as told by one clock.
//!
//! The spans keep the times that their hosts told; a [`Timeline`] has the corrected ones beside them, and
//! what the correction was. What still does not fit is a problem: a span that ends before it begins, a
//! child that begins before its parent, a child that is waited for and ends after its parent.

use quorate_trace::wire::{Span, SpanKind};
use serde::Serialize;

use crate::Graph;
use crate::clock::Clocks;
use crate::graph_report::named;
use crate::report::{Listed, Nanos, Problem, ProblemKind, Severity, counted, quoted};

/// Clocks that are listed; of a trace with more of them the rest are corrected all the same.
pub const SKEW_MAX: usize = 200;

/// Many clocks of programs tell microseconds.
pub(crate) const TOLERANCE_NS: u64 = 1_000;

/// How a service's clock differs from that of the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSkew {
    /// The service.
    pub service: String,
    /// Its host or instance, if its resource names one.
    pub instance: Option<String>,
    /// Nanoseconds to add to its times; negative if its clock is ahead.
    pub offset_ns: i64,
    /// By how many nanoseconds the offset may be wrong.
    pub uncertainty_ns: u64,
    /// Calls that agree on it.
    pub samples: u32,
}

/// The times of a trace's spans by the clock of its root, and what is wrong with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// Clocks that must be wrong, largest correction first; those that may be right are not listed.
    pub skew: Vec<ServiceSkew>,
    /// Corrected begin and end of every span, in the order of the trace.
    pub adjusted: Vec<(u64, u64)>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl Timeline {
    /// Of this trace.
    pub fn new(graph: &Graph<'_, '_>) -> Self {
        let clocks = Clocks::new(graph);
        let adjusted = graph.spans().iter().zip(&clocks.of_span);
        let adjusted = adjusted.map(|(span, clock)| {
            let offset = clocks.corrections[*clock as usize].offset;
            (shifted(span.start, offset), shifted(span.end, offset))
        });
        let mut timeline = Timeline {
            adjusted: adjusted.collect(),
            ..Timeline::default()
        };
        timeline.list_skew(&clocks);
        timeline.check(graph);
        timeline
    }

    /// Corrected nanoseconds from the first begin to the last end.
    pub fn extent(&self) -> u64 {
        let timed = || self.adjusted.iter().filter(|(start, _)| *start > 0);
        let first = timed().map(|(start, _)| *start).min().unwrap_or(0);
        let last = timed().map(|(start, end)| *end.max(start)).max();
        last.unwrap_or(0).saturating_sub(first)
    }

    fn list_skew(&mut self, clocks: &Clocks<'_>) {
        let mut wrong: Vec<usize> = (0..clocks.clocks.len())
            .filter(|at| clocks.corrections[*at].offset != 0)
            .collect();
        if wrong.is_empty() {
            return;
        }
        wrong.sort_by_key(|at| std::cmp::Reverse(clocks.corrections[*at].offset.unsigned_abs()));
        wrong.truncate(SKEW_MAX);
        let reference = clocks.clocks[clocks.reference as usize].service;
        for at in wrong {
            let (clock, correction) = (clocks.clocks[at], clocks.corrections[at]);
            self.skew.push(ServiceSkew {
                service: clock.service.to_owned(),
                instance: clock.instance.map(str::to_owned),
                offset_ns: correction.offset,
                uncertainty_ns: correction.uncertainty,
                samples: correction.samples,
            });
            let direction = if correction.offset < 0 {
                "ahead of"
            } else {
                "behind"
            };
            self.problems.push(Problem {
                kind: ProblemKind::ClockSkew,
                severity: Severity::Warning,
                span_id: None,
                message: format!(
                    "The clock of {} is {} {direction} that of {} (± {}, from {}).",
                    quoted(clock.service),
                    Nanos(correction.offset.unsigned_abs()),
                    quoted(reference),
                    Nanos(correction.uncertainty),
                    counted(correction.samples as usize, "call"),
                ),
            });
        }
    }

    fn check(&mut self, graph: &Graph<'_, '_>) {
        let mut problems = std::mem::take(&mut self.problems);
        self.check_each(graph, &mut problems);
        let mut early = Vec::new();
        let mut late = Vec::new();
        for at in graph.topological_order() {
            if let Some(parent) = graph.parent(*at) {
                let (own, of_parent) =
                    (self.adjusted[*at as usize], self.adjusted[parent as usize]);
                if own.0 == 0 || of_parent.0 == 0 {
                    continue;
                }
                if own.0.saturating_add(TOLERANCE_NS) < of_parent.0 {
                    early.push((*at, parent, of_parent.0 - own.0));
                }
                if own.1 > of_parent.1.saturating_add(TOLERANCE_NS)
                    && is_waited_for(graph.span(parent), graph.span(*at))
                {
                    late.push((*at, parent, own.1 - of_parent.1));
                }
            }
        }
        let mut listed = Listed::new(&mut problems, ProblemKind::StartsBeforeParent);
        for (at, parent, by) in early {
            let (span, parent) = (graph.span(at), graph.span(parent));
            listed.add(Severity::Warning, span.span_id, || {
                let (span, parent) = (named(span), named(parent));
                format!("{span} begins {} before its parent {parent}.", Nanos(by))
            });
        }
        drop(listed);
        let mut listed = Listed::new(&mut problems, ProblemKind::OutlivesParent);
        for (at, parent, by) in late {
            let (span, parent) = (graph.span(at), graph.span(parent));
            listed.add(Severity::Info, span.span_id, || {
                let (span, parent) = (named(span), named(parent));
                let by = Nanos(by);
                format!("{span} ends {by} after {parent}, which did not wait for it.")
            });
        }
        drop(listed);
        self.problems = problems;
    }

    fn check_each(&self, graph: &Graph<'_, '_>, problems: &mut Vec<Problem>) {
        let spans = graph.spans();
        let mut listed = Listed::new(problems, ProblemKind::NoTime);
        for span in spans.iter().filter(|span| span.start == 0) {
            listed.add(Severity::Warning, span.span_id, || {
                format!("{} does not say when it began.", named(span))
            });
        }
        drop(listed);
        let mut listed = Listed::new(problems, ProblemKind::EndBeforeStart);
        for span in spans.iter().filter(|span| span.end < span.start) {
            listed.add(Severity::Warning, span.span_id, || match span.end {
                0 => format!("{} does not say when it ended.", named(span)),
                end => {
                    let by = Nanos(span.start - end);
                    format!("{} ends {by} before it begins.", named(span))
                }
            });
        }
    }
}

/// Times that a clock lacks stay unknown.
fn shifted(time: u64, offset: i64) -> u64 {
    if time == 0 {
        return 0;
    }
    time.saturating_add_signed(offset)
}

/// Whether the parent must have waited for the child: messages and work within a process may go on.
fn is_waited_for(parent: &Span<'_>, child: &Span<'_>) -> bool {
    matches!(child.kind, SpanKind::Server | SpanKind::Client) && parent.kind != SpanKind::Producer
}
