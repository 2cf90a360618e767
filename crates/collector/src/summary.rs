//! What a list of traces shows of one.

use quorate_analysis::Faults;
use quorate_assembly::Sealing;
use quorate_trace::wire::{Span, SpanKind, StatusCode};
use quorate_trace_store::{Decision, FaultSummary, ServiceSummary, Summary};

use crate::held::Part;

/// Of a whole trace.
pub(crate) fn of(
    spans: &[Span<'_>],
    sealing: &Sealing<Part>,
    found: &Faults,
    decision: &Decision,
) -> Summary {
    let start_ns = spans.iter().map(|span| span.start).min().unwrap_or(0);
    let end_ns = spans.iter().map(|span| span.end).max().unwrap_or(0);
    let roots = spans.iter().filter(|span| span.parent.is_none());
    let root = roots.min_by_key(|span| span.start);
    let faults = found.faults.iter().take(Summary::FAULTS_MAX);
    Summary {
        trace_id: sealing.trace(),
        revision: sealing.revision,
        root_service: root.map_or("", |root| root.service).to_owned(),
        root_name: root.map_or("", |root| root.name).to_owned(),
        start_ns,
        duration_ns: end_ns.saturating_sub(start_ns),
        spans: spans.len() as u32,
        errors: spans.iter().filter(|span| is_error(span)).count() as u32,
        services: services(spans),
        completeness: sealing.completeness.clone(),
        faults: faults
            .map(|fault| FaultSummary {
                kind: fault.kind.name().to_owned(),
                severity: fault.severity,
                service: fault.service.clone(),
                operation: fault.operation.clone(),
                message: fault.message.clone(),
            })
            .collect(),
        root_cause: found.root_cause.as_ref().map(|cause| cause.sentence()),
        decision: decision.clone(),
    }
}

fn is_error(span: &Span<'_>) -> bool {
    span.status == StatusCode::Error
}

/// Services in the order of their first span, each with its distinct operations.
fn services(spans: &[Span<'_>]) -> Vec<ServiceSummary> {
    /// A service, as long as its operations are borrowed.
    struct Service<'a> {
        name: &'a str,
        spans: u32,
        errors: u32,
        operations: Vec<(&'a str, SpanKind)>,
    }
    let mut services: Vec<Service<'_>> = Vec::new();
    for span in spans {
        let at = match services.iter().position(|known| known.name == span.service) {
            Some(at) => at,
            None if services.len() < Summary::SERVICES_MAX => {
                services.push(Service {
                    name: span.service,
                    spans: 0,
                    errors: 0,
                    operations: Vec::new(),
                });
                services.len() - 1
            }
            None => continue,
        };
        let service = &mut services[at];
        service.spans += 1;
        service.errors += u32::from(is_error(span));
        let operation = (span.name, span.kind);
        if service.operations.len() < Summary::OPERATIONS_MAX
            && !service.operations.contains(&operation)
        {
            service.operations.push(operation);
        }
    }
    let owned = |service: Service<'_>| ServiceSummary {
        service: service.name.to_owned(),
        spans: service.spans,
        errors: service.errors,
        operations: service
            .operations
            .into_iter()
            .map(|(name, kind)| (name.to_owned(), kind))
            .collect(),
    };
    services.into_iter().map(owned).collect()
}
