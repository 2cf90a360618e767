//! A summary as it is stored, and as it is compared with a query: borrowed from its block.

use quorate_analysis::Severity;
use quorate_trace::wire::SpanKind;
use quorate_trace::{Completeness, SpanId, SpanKey, TraceId, Verdict};
use serde::{Deserialize, Serialize};

use crate::{Decision, FaultSummary, Fragment, Query, ServiceSummary, StoreError, Summary};

/// A fragment without its spans.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row<'a> {
    pub(crate) trace: [u8; 16],
    pub(crate) revision: u32,
    root_service: &'a str,
    root_name: &'a str,
    pub(crate) start_ns: u64,
    duration_ns: u64,
    spans: u32,
    errors: u32,
    #[serde(borrow)]
    services: Vec<Service<'a>>,
    verdict: u8,
    counted: u32,
    roots: u32,
    missing: Vec<[u8; 8]>,
    missing_count: u32,
    #[serde(borrow)]
    faults: Vec<Fault<'a>>,
    root_cause: Option<&'a str>,
    pub(crate) kept: bool,
    policy: &'a str,
    /// Of those that were dropped. Those that are kept tell themselves.
    ids: Vec<Ids>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Service<'a> {
    service: &'a str,
    spans: u32,
    errors: u32,
    #[serde(borrow)]
    operations: Vec<(&'a str, u8)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Fault<'a> {
    kind: &'a str,
    severity: u8,
    service: &'a str,
    operation: &'a str,
    message: &'a str,
}

/// A span, the digest of what it said, and its parent; zeros for none.
type Ids = ([u8; 8], u64, [u8; 8]);

impl<'a> Row<'a> {
    pub(crate) fn new(fragment: &'a Fragment) -> Row<'a> {
        let summary = &fragment.summary;
        let completeness = &fragment.completeness;
        let kept = fragment.decision.is_kept();
        // Of a dropped trace nobody asks for more than the verdict.
        let wanted = |max: usize| if kept { max } else { 0 };
        let services = summary.services.iter();
        let faults = summary.faults.iter();
        Row {
            trace: *fragment.trace_id.bytes(),
            revision: fragment.revision,
            root_service: &summary.root_service,
            root_name: &summary.root_name,
            start_ns: summary.start_ns,
            duration_ns: summary.duration_ns,
            spans: summary.spans,
            errors: summary.errors,
            services: services
                .take(wanted(Summary::SERVICES_MAX))
                .map(Service::new)
                .collect(),
            verdict: verdict_number(completeness.verdict),
            counted: completeness.spans,
            roots: completeness.roots,
            missing: completeness.missing.iter().map(|id| *id.bytes()).collect(),
            missing_count: completeness.missing_count,
            faults: faults
                .take(wanted(Summary::FAULTS_MAX))
                .map(Fault::new)
                .collect(),
            root_cause: summary.root_cause.as_deref().filter(|_| kept),
            kept,
            policy: fragment.decision.policy(),
            ids: if kept {
                Vec::new()
            } else {
                fragment.ids.iter().map(raw_ids).collect()
            },
        }
    }

    /// Spans and parents of a fragment that was dropped.
    pub(crate) fn dropped_ids(&self) -> impl Iterator<Item = (SpanKey, Option<SpanId>)> + '_ {
        let ids = self.ids.iter();
        ids.filter_map(|(span, content, parent)| {
            let id = SpanId::new(*span)?;
            let content = *content;
            Some((SpanKey { id, content }, SpanId::new(*parent)))
        })
    }

    pub(crate) fn decision(&self) -> Decision {
        let policy = self.policy.to_owned();
        if self.kept {
            Decision::Kept { policy }
        } else {
            Decision::Dropped { policy }
        }
    }

    pub(crate) fn verdict(&self) -> u8 {
        self.verdict
    }

    pub(crate) fn duration_ns(&self) -> u64 {
        self.duration_ns
    }

    pub(crate) fn errors(&self) -> u32 {
        self.errors
    }

    pub(crate) fn services(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.services.iter().map(|service| service.service)
    }

    /// The number of its worst fault's severity, from 1; 0 without faults.
    pub(crate) fn severity(&self) -> u8 {
        let severities = self.faults.iter().map(|fault| fault.severity);
        severities.max().unwrap_or(0)
    }

    /// Whether it fits, but for the tags.
    pub(crate) fn fits(&self, query: &Query) -> bool {
        self.kept
            && query.start_ns.is_none_or(|start| self.start_ns >= start)
            && query.end_ns.is_none_or(|end| self.start_ns <= end)
            && query
                .min_duration_ns
                .is_none_or(|min| self.duration_ns >= min)
            && query
                .max_duration_ns
                .is_none_or(|max| self.duration_ns <= max)
            && query
                .has_error
                .is_none_or(|wanted| wanted == (self.errors > 0))
            && query
                .verdict
                .is_none_or(|wanted| verdict_number(wanted) == self.verdict)
            && query
                .min_severity
                .is_none_or(|min| severity_number(min) <= self.severity())
            && self.fits_operation(query)
    }

    fn fits_operation(&self, query: &Query) -> bool {
        if query.service.is_none() && query.operation.is_none() {
            return true;
        }
        self.services.iter().any(|service| {
            let mut names = service.operations.iter().map(|(name, _)| *name);
            query
                .service
                .as_ref()
                .is_none_or(|wanted| wanted == service.service)
                && query
                    .operation
                    .as_ref()
                    .is_none_or(|wanted| names.any(|name| name == wanted))
        })
    }

    pub(crate) fn summary(&self) -> Result<Summary, StoreError> {
        let trace_id = TraceId::new(self.trace).ok_or_else(damaged)?;
        Ok(Summary {
            trace_id,
            revision: self.revision,
            root_service: self.root_service.to_owned(),
            root_name: self.root_name.to_owned(),
            start_ns: self.start_ns,
            duration_ns: self.duration_ns,
            spans: self.spans,
            errors: self.errors,
            services: self.services.iter().map(Service::summary).collect(),
            completeness: Completeness {
                verdict: verdict_of(self.verdict).ok_or_else(damaged)?,
                spans: self.counted,
                roots: self.roots,
                missing: self
                    .missing
                    .iter()
                    .filter_map(|id| SpanId::new(*id))
                    .collect(),
                missing_count: self.missing_count,
            },
            faults: self.faults.iter().map(Fault::summary).collect(),
            root_cause: self.root_cause.map(str::to_owned),
            decision: self.decision(),
        })
    }
}

impl<'a> Service<'a> {
    fn new(summary: &'a ServiceSummary) -> Service<'a> {
        let operations = summary.operations.iter().take(Summary::OPERATIONS_MAX);
        Service {
            service: &summary.service,
            spans: summary.spans,
            errors: summary.errors,
            operations: operations
                .map(|(name, kind)| (name.as_str(), *kind as u8))
                .collect(),
        }
    }

    fn summary(&self) -> ServiceSummary {
        let operation =
            |(name, kind): &(&str, u8)| ((*name).to_owned(), SpanKind::from_number((*kind).into()));
        ServiceSummary {
            service: self.service.to_owned(),
            spans: self.spans,
            errors: self.errors,
            operations: self.operations.iter().map(operation).collect(),
        }
    }
}

impl<'a> Fault<'a> {
    fn new(summary: &'a FaultSummary) -> Fault<'a> {
        Fault {
            kind: &summary.kind,
            severity: severity_number(summary.severity),
            service: &summary.service,
            operation: &summary.operation,
            message: &summary.message,
        }
    }

    fn summary(&self) -> FaultSummary {
        FaultSummary {
            kind: self.kind.to_owned(),
            severity: match self.severity {
                1 => Severity::Info,
                2 => Severity::Warning,
                _ => Severity::Critical,
            },
            service: self.service.to_owned(),
            operation: self.operation.to_owned(),
            message: self.message.to_owned(),
        }
    }
}

fn raw_ids((span, parent): &(SpanKey, Option<SpanId>)) -> Ids {
    (
        *span.id.bytes(),
        span.content,
        parent.map_or([0; 8], |parent| *parent.bytes()),
    )
}

/// From 1, in the order of their badness.
pub(crate) fn severity_number(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 1,
        Severity::Warning => 2,
        Severity::Critical => 3,
    }
}

pub(crate) fn verdict_number(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Complete => 0,
        Verdict::Incomplete => 1,
        Verdict::Evicted => 2,
    }
}

fn verdict_of(number: u8) -> Option<Verdict> {
    match number {
        0 => Some(Verdict::Complete),
        1 => Some(Verdict::Incomplete),
        2 => Some(Verdict::Evicted),
        _ => None,
    }
}

fn damaged() -> StoreError {
    StoreError::damaged("a summary cannot be read")
}
