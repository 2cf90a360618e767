//! What went wrong in a trace.
//!
//! Most traces are healthy, so that is what must be cheap to find out: one pass over the spans, without a
//! graph and without memory, looks for anything suspicious. Only if there is something, the graph is asked
//! which errors were merely passed on, which reached the top, and which calls were repeated.

use quorate_trace::SpanId;
use quorate_trace::wire::{Span, SpanKind, StatusCode, Value};
use serde::{Serialize, Serializer};

use crate::graph_report::named;
use crate::report::{Nanos, Severity, quoted};
use crate::{Graph, History, Patterns};

/// Faults of one trace that are reported: the worst.
pub const FAULTS_MAX: usize = 256;

/// What kind of fault it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// A span's status is an error.
    Error,
    /// A span took longer than the configuration allows.
    Latency,
    /// A span took much longer than its operation usually does.
    UnusualLatency,
    /// A call was repeated again and again as it failed.
    RetryStorm,
    /// A pattern of the configuration, by its name.
    Custom(String),
}

impl FaultKind {
    /// As in JSON.
    pub fn name(&self) -> &str {
        match self {
            FaultKind::Error => "error",
            FaultKind::Latency => "latency",
            FaultKind::UnusualLatency => "unusual-latency",
            FaultKind::RetryStorm => "retry-storm",
            FaultKind::Custom(name) => name,
        }
    }
}

impl Serialize for FaultKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The figures that a fault rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Evidence {
    /// Of an error.
    Error {
        /// Whether a span below it failed too.
        passed_on: bool,
        /// Whether all spans above it failed too.
        reached_top: bool,
    },
    /// Of too long a duration.
    Latency {
        /// In nanoseconds.
        duration_ns: u64,
        /// What the configuration allows.
        max_ns: u64,
    },
    /// Of an unusually long duration.
    UnusualLatency {
        /// In nanoseconds.
        duration_ns: u64,
        /// The 99th percentile of the operation.
        p99_ns: u64,
    },
    /// Of a retry storm.
    RetryStorm {
        /// Position of the first call.
        #[serde(skip)]
        first: u32,
        /// How many there were.
        calls: u32,
        /// How many failed.
        failed: u32,
        /// From the begin of the first to that of the last.
        within_ns: u64,
    },
    /// Of a pattern of the configuration.
    Custom {
        /// Position of the pattern.
        #[serde(skip)]
        pattern: u32,
        /// Spans of the trace that match, this one included if they are one fault.
        spans: u32,
    },
}

/// Something that went wrong in a trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// How bad it is.
    pub severity: Severity,
    /// Position of the span.
    #[serde(skip)]
    pub span: u32,
    /// The span.
    pub span_id: SpanId,
    /// Its service.
    pub service: String,
    /// Its name.
    pub operation: String,
    /// One sentence for a person.
    pub message: String,
    /// The figures that it rests on.
    pub evidence: Evidence,
}

/// The faults of a trace, the worst first; [`FAULTS_MAX`] at most.
pub fn detect(graph: &Graph<'_, '_>, patterns: &Patterns, history: &History) -> Vec<Fault> {
    Suspicions::scan(graph.spans(), patterns, history).examine(graph, patterns)
}

/// What one pass over the spans finds, without knowing of their structure.
#[derive(Default)]
pub(crate) struct Suspicions {
    found: Vec<Suspicion>,
    errors: usize,
    is_storm_possible: bool,
}

#[derive(Clone, Copy)]
struct Suspicion {
    severity: Severity,
    span: u32,
    evidence: Evidence,
}

impl Suspicions {
    pub(crate) fn scan(spans: &[Span<'_>], patterns: &Patterns, history: &History) -> Self {
        let mut suspicions = Suspicions::default();
        for (at, span) in spans.iter().enumerate() {
            suspicions.look_at(at as u32, span, patterns, history);
        }
        let storm = &patterns.retry_storm;
        // Half of the calls of a storm failed.
        let failed = storm.calls.max(2).div_ceil(2) as usize;
        suspicions.is_storm_possible = storm.enabled && suspicions.errors >= failed;
        suspicions
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty() && !self.is_storm_possible
    }

    fn look_at(&mut self, at: u32, span: &Span<'_>, patterns: &Patterns, history: &History) {
        let duration_ns = span.duration();
        let mut add = |severity, evidence| {
            self.found.push(Suspicion {
                severity,
                span: at,
                evidence,
            });
        };
        if let Some(limit) = patterns.latency.iter().find(|limit| limit.is_for(span))
            && duration_ns > limit.max.nanos
        {
            let max_ns = limit.max.nanos;
            add(
                limit.severity,
                Evidence::Latency {
                    duration_ns,
                    max_ns,
                },
            );
        }
        if patterns.history.enabled
            && let Some(unusual) = history.judge(span, &patterns.history)
        {
            let p99_ns = unusual.p99;
            add(
                patterns.history.severity,
                Evidence::UnusualLatency {
                    duration_ns,
                    p99_ns,
                },
            );
        }
        for (pattern, custom) in (0..).zip(&patterns.custom) {
            if custom.when.matches(span) {
                add(custom.severity, Evidence::Custom { pattern, spans: 1 });
            }
        }
        if span.status == StatusCode::Error {
            if patterns.errors.enabled {
                add(
                    patterns.errors.severity,
                    Evidence::Error {
                        passed_on: false,
                        reached_top: false,
                    },
                );
            }
            self.errors += 1;
        }
    }

    /// With the structure of the trace at hand.
    pub(crate) fn examine(mut self, graph: &Graph<'_, '_>, patterns: &Patterns) -> Vec<Fault> {
        if self.is_empty() {
            return Vec::new();
        }
        self.found.retain(|found| graph.contains(found.span));
        self.examine_errors(graph, patterns);
        self.count_custom(patterns);
        if self.is_storm_possible {
            self.find_storms(graph, patterns);
        }
        self.found.sort_by_key(|found| {
            let longest = std::cmp::Reverse(graph.span(found.span).duration());
            let severity = std::cmp::Reverse(found.severity);
            (severity, rank(&found.evidence), longest, found.span)
        });
        let worst = self.found.iter().take(FAULTS_MAX);
        worst
            .map(|found| describe(graph, patterns, found))
            .collect()
    }

    fn examine_errors(&mut self, graph: &Graph<'_, '_>, patterns: &Patterns) {
        if self.errors == 0 {
            return;
        }
        let mut reaches_top = vec![false; graph.spans().len()];
        for at in graph.topological_order() {
            let above = graph.parent(*at);
            reaches_top[*at as usize] =
                is_error(graph, *at) && above.is_none_or(|parent| reaches_top[parent as usize]);
        }
        for found in &mut self.found {
            if let Evidence::Error {
                passed_on,
                reached_top,
            } = &mut found.evidence
            {
                *passed_on = failed_child(graph, found.span).is_some();
                *reached_top = reaches_top[found.span as usize];
                found.severity = match (*passed_on, *reached_top) {
                    (true, _) => Severity::Info,
                    (_, true) => patterns.errors.severity,
                    _ => patterns.errors.handled,
                };
            }
        }
    }

    /// A pattern that needs several spans makes one fault of them, at the first.
    fn count_custom(&mut self, patterns: &Patterns) {
        let mut counts = vec![(0, false); patterns.custom.len()];
        for found in &self.found {
            if let Evidence::Custom { pattern, .. } = found.evidence {
                counts[pattern as usize].0 += 1;
            }
        }
        self.found.retain_mut(|found| {
            let Evidence::Custom { pattern, spans } = &mut found.evidence else {
                return true;
            };
            let wanted = patterns.custom[*pattern as usize].when.min_count;
            let (count, is_told) = &mut counts[*pattern as usize];
            match wanted {
                None | Some(0 | 1) => true,
                Some(wanted) => {
                    *spans = *count;
                    *count >= wanted && !std::mem::replace(is_told, true)
                }
            }
        });
    }

    fn find_storms(&mut self, graph: &Graph<'_, '_>, patterns: &Patterns) {
        let rule = &patterns.retry_storm;
        let wanted = rule.calls.max(2) as usize;
        let mut calls: Vec<u32> = Vec::new();
        for parent in graph.topological_order() {
            let children = graph.children(*parent);
            if children.len() < wanted {
                continue;
            }
            calls.clear();
            let is_call = |child: &&u32| graph.span(**child).kind == SpanKind::Client;
            calls.extend(children.iter().filter(is_call));
            let key = |call: &u32| {
                let span = graph.span(*call);
                (span.name, span.service)
            };
            // Stable: those of a group stay in the order of their begin.
            calls.sort_by_key(key);
            for group in calls.chunk_by(|one, other| key(one) == key(other)) {
                if group.len() >= wanted
                    && let Some(evidence) = storm(graph, group, wanted, rule.within.nanos)
                {
                    self.found.push(Suspicion {
                        severity: rule.severity,
                        span: *parent,
                        evidence,
                    });
                }
            }
        }
    }
}

/// The largest window of a group of calls in which at least half of them failed.
fn storm(graph: &Graph<'_, '_>, group: &[u32], wanted: usize, within: u64) -> Option<Evidence> {
    let start = |at: usize| graph.span(group[at]).start;
    let failed = |at: usize| {
        let call = group[at];
        is_error(graph, call) || failed_child(graph, call).is_some()
    };
    let failures: Vec<bool> = (0..group.len()).map(failed).collect();
    let (mut from, mut failed) = (0, 0);
    let mut largest: Option<(usize, usize, usize, u64)> = None;
    for to in 0..group.len() {
        failed += usize::from(failures[to]);
        while start(to).saturating_sub(start(from)) > within {
            failed -= usize::from(failures[from]);
            from += 1;
        }
        let calls = to + 1 - from;
        if calls >= wanted && 2 * failed >= calls && largest.is_none_or(|(most, ..)| calls > most) {
            largest = Some((calls, failed, from, start(to) - start(from)));
        }
    }
    largest.map(|(calls, failed, first, within_ns)| Evidence::RetryStorm {
        first: group[first],
        calls: calls as u32,
        failed: failed as u32,
        within_ns,
    })
}

pub(crate) fn is_error(graph: &Graph<'_, '_>, at: u32) -> bool {
    graph.span(at).status == StatusCode::Error
}

/// The child whose error a span may have passed on: the last that failed of those it did not merely send
/// a message to.
pub(crate) fn failed_child(graph: &Graph<'_, '_>, at: u32) -> Option<u32> {
    if graph.span(at).kind == SpanKind::Producer {
        return None;
    }
    let children = graph.children(at).iter().copied();
    children
        .filter(|child| is_error(graph, *child) && graph.span(*child).kind != SpanKind::Consumer)
        .max_by_key(|child| (graph.span(*child).end, *child))
}

/// Of faults that are equally bad, what explains more comes first.
fn rank(evidence: &Evidence) -> u8 {
    match evidence {
        Evidence::Error {
            passed_on: false, ..
        } => 0,
        Evidence::RetryStorm { .. } => 1,
        Evidence::UnusualLatency { .. } => 2,
        Evidence::Latency { .. } => 3,
        Evidence::Custom { .. } => 4,
        Evidence::Error { .. } => 5,
    }
}

fn describe(graph: &Graph<'_, '_>, patterns: &Patterns, found: &Suspicion) -> Fault {
    let span = graph.span(found.span);
    let (kind, message) = match found.evidence {
        Evidence::Error { passed_on, .. } => (FaultKind::Error, error_message(span, passed_on)),
        Evidence::Latency {
            duration_ns,
            max_ns,
        } => (
            FaultKind::Latency,
            format!(
                "{} took {}; the limit is {}.",
                named(span),
                Nanos(duration_ns),
                Nanos(max_ns)
            ),
        ),
        Evidence::UnusualLatency {
            duration_ns,
            p99_ns,
        } => (
            FaultKind::UnusualLatency,
            format!(
                "{} took {}, {:.1} times the {} that it usually stays below.",
                named(span),
                Nanos(duration_ns),
                duration_ns as f64 / p99_ns as f64,
                Nanos(p99_ns)
            ),
        ),
        Evidence::RetryStorm {
            first,
            calls,
            failed,
            within_ns,
        } => (
            FaultKind::RetryStorm,
            format!(
                "{} made the call `{}` {calls} times within {}; {failed} of them failed.",
                named(span),
                quoted(graph.span(first).name),
                Nanos(within_ns)
            ),
        ),
        Evidence::Custom { pattern, spans } => {
            let name = &patterns.custom[pattern as usize].name;
            let others = match spans {
                0 | 1 => String::new(),
                spans => format!(" and {} more spans", spans - 1),
            };
            let message = format!("{}{others}: {}.", named(span), quoted(name));
            (FaultKind::Custom(name.clone()), message)
        }
    };
    Fault {
        kind,
        severity: found.severity,
        span: found.span,
        span_id: span.span_id,
        service: quoted(span.service).into_owned(),
        operation: quoted(span.name).into_owned(),
        message,
        evidence: found.evidence,
    }
}

fn error_message(span: &Span<'_>, passed_on: bool) -> String {
    let name = named(span);
    match (what_failed(span), passed_on) {
        (Some(what), _) => format!("{name} failed: {}.", what.trim_end_matches('.')),
        (None, true) => format!("{name} failed, as did what it called."),
        (None, false) => format!("{name} failed and does not say why."),
    }
}

/// What a failed span says of the reason: its status, an exception, or a code.
fn what_failed(span: &Span<'_>) -> Option<String> {
    let status = span.status_message();
    if !status.is_empty() {
        return Some(quoted(status).into_owned());
    }
    if let Some(event) = span.events().find(|event| event.name == "exception") {
        let text = |wanted: &str| {
            let mut attributes = event.attributes.clone();
            let found = attributes.find(|(key, _)| *key == wanted);
            found.and_then(|(_, value)| value.as_str())
        };
        match (text("exception.type"), text("exception.message")) {
            (Some(kind), Some(message)) => {
                return Some(format!("{}: {}", quoted(kind), quoted(message)));
            }
            (Some(one), None) | (None, Some(one)) => return Some(quoted(one).into_owned()),
            (None, None) => {}
        }
    }
    const CODES: [(&str, &str); 5] = [
        ("error.type", ""),
        ("http.response.status_code", "HTTP status "),
        ("http.status_code", "HTTP status "),
        ("rpc.grpc.status_code", "gRPC status "),
        ("db.response.status_code", "database status "),
    ];
    CODES.iter().find_map(|(key, prefix)| {
        let value: Value<'_> = span.attribute(key)?;
        let text = value.to_text().filter(|text| !text.is_empty())?;
        Some(format!("{prefix}{}", quoted(&text)))
    })
}
