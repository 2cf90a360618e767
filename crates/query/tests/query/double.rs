//! A collector that holds a few traces in memory, and how to ask it.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use quorate_analysis::{History, Patterns};
use quorate_query::{Limits, Live, OpenTrace, ServiceGraph, Source, SpanMetrics, router};
use quorate_trace::json::otlp_from_json;
use quorate_trace::wire::{Batch, Span, SpanKind, StatusCode as SpanStatus, Value};
use quorate_trace::{Completeness, SpanId, TraceId, Verdict};
use quorate_trace_store::{
    Base, Decision, Expired, FaultSummary, Figures, Found, Fragment, Query, Retention,
    ServiceSummary, Severity, StoreError, Stored, Summary, TagKeys, TraceStore,
};
use serde_json::{Value as Json, json};
use tower::ServiceExt;

/// When the traces begin, in nanoseconds since 1970.
pub(crate) const START: u64 = 1_700_000_000_000_000_000;

/// A span of a trace: service, name, kind, own id, parent's id (0 is none), begin and end in milliseconds
/// after [`START`], and fields of OTLP's JSON to add.
pub(crate) type Sketch<'a> = (&'a str, &'a str, u8, u64, u64, u64, u64, Json);

/// The OTLP message of a trace.
pub(crate) fn otlp(trace: u128, spans: &[Sketch<'_>]) -> Bytes {
    let spans = spans
        .iter()
        .map(|(service, name, kind, id, parent, start, end, more)| {
            let mut span = json!({
                "traceId": format!("{trace:032x}"), "spanId": format!("{id:016x}"),
                "name": name, "kind": kind,
                "startTimeUnixNano": (START + start * 1_000_000).to_string(),
                "endTimeUnixNano": (START + end * 1_000_000).to_string(),
            });
            let fields = span.as_object_mut().unwrap();
            if *parent > 0 {
                fields.insert("parentSpanId".into(), format!("{parent:016x}").into());
            }
            fields.extend(more.as_object().cloned().unwrap_or_default());
            json!({
                "resource": {"attributes": [
                    {"key": "service.name", "value": {"stringValue": service}},
                    {"key": "host.name", "value": {"stringValue": format!("{service}-1")}},
                ]},
                "scopeSpans": [{"scope": {"name": "lib", "version": "1.2"}, "spans": [span]}],
            })
        });
    let message = json!({ "resourceSpans": spans.collect::<Vec<_>>() });
    otlp_from_json(message.to_string().as_bytes()).unwrap()
}

/// The checkout whose payment failed, because the database was slow.
pub(crate) const CHECKOUT: u128 = 0xc0ffee;
/// A trace whose middle never arrived.
pub(crate) const GAP: u128 = 0x9a9;
/// A trace that is still open.
pub(crate) const OPEN: u128 = 0x0be;

fn checkout() -> Bytes {
    let text = |key: &str, text: &str| json!({"key": key, "value": {"stringValue": text}});
    let failed = json!({"code": 2, "message": "timed out"});
    otlp(
        CHECKOUT,
        &[
            (
                "shop",
                "POST /checkout",
                2,
                1,
                0,
                0,
                900,
                json!({
                    "status": {"code": 2}, "traceState": "a=b",
                    "attributes": [text("http.method", "POST"), {"key": "http.status_code", "value": {"intValue": "500"}},
                        {"key": "big", "value": {"intValue": "9007199254740993"}}, {"key": "vc.shop", "value": {"intValue": "1"}}],
                }),
            ),
            ("shop", "pay", 3, 2, 1, 10, 890, json!({"status": failed})),
            (
                "payment",
                "POST /pay",
                2,
                3,
                2,
                20,
                880,
                json!({
                    "status": failed,
                    "events": [{"name": "exception", "timeUnixNano": (START + 879_000_000).to_string(),
                        "attributes": [text("exception.type", "Timeout")]}],
                    "links": [{"traceId": format!("{GAP:032x}"), "spanId": format!("{:016x}", 1),
                        "attributes": [text("why", "order")]}],
                }),
            ),
            (
                "payment",
                "SELECT accounts",
                3,
                4,
                3,
                30,
                870,
                json!({
                    "status": failed,
                    "attributes": [text("db.system", "postgresql"), {"key": "sharded", "value": {"boolValue": true}},
                        {"key": "ratio", "value": {"doubleValue": 0.5}}, {"key": "raw", "value": {"bytesValue": "+/8="}},
                        {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "x"}]}}}],
                }),
            ),
        ],
    )
}

fn gap() -> Bytes {
    otlp(
        GAP,
        &[
            ("shop", "GET /", 2, 1, 0, 5_000, 5_100, json!({})),
            ("search", "query", 1, 9, 8, 5_020, 5_050, json!({})),
        ],
    )
}

fn open() -> Bytes {
    otlp(
        OPEN,
        &[("shop", "GET /slow", 2, 1, 0, 9_000, 9_100, json!({}))],
    )
}

/// The collector.
pub(crate) struct Double {
    store: Memory,
    metrics: SpanMetrics,
    graph: ServiceGraph,
    waits: Option<Mutex<Waits>>,
}

/// Says that it begins, and waits until it may end.
type Waits = (Sender<()>, Receiver<()>);

impl Double {
    pub(crate) fn new() -> Self {
        let double = Double {
            store: Memory::default(),
            metrics: SpanMetrics::default(),
            graph: ServiceGraph::default(),
            waits: None,
        };
        double.with(checkout()).with(gap())
    }

    /// With one more sealed trace.
    pub(crate) fn with(mut self, otlp: Bytes) -> Self {
        let batch = Batch::scan(otlp.clone(), &Default::default()).unwrap();
        let spans: Vec<_> = batch.spans().collect();
        self.metrics.observe(&spans);
        self.graph.observe(&spans, START);
        self.store
            .0
            .insert(spans[0].trace_id, (summary(&spans), otlp));
        self
    }

    /// With only the decision left of the checkout, as sampling leaves it.
    pub(crate) fn that_dropped_the_checkout(mut self) -> Self {
        for (summary, spans) in self.store.0.values_mut() {
            if *summary.trace_id.bytes() == CHECKOUT.to_be_bytes() {
                summary.decision = Decision::Dropped {
                    policy: "few".to_owned(),
                };
                *spans = Bytes::new();
            }
        }
        self
    }

    /// That says when it is asked for its figures, and answers when it may.
    pub(crate) fn that_waits(self, began: Sender<()>, end: Receiver<()>) -> Self {
        let waits = Some(Mutex::new((began, end)));
        Double { waits, ..self }
    }

    /// Its router.
    pub(crate) fn router(self) -> axum::Router {
        router(Arc::new(self), Limits::default())
    }
}

impl Source for Double {
    fn store(&self) -> &dyn TraceStore {
        &self.store
    }

    fn open(&self, trace: TraceId) -> Option<OpenTrace> {
        let is_open = *trace.bytes() == OPEN.to_be_bytes();
        is_open.then(|| OpenTrace {
            spans: open(),
            phase: "active",
            age_ms: 1_200,
        })
    }

    fn live(&self) -> Live {
        if let Some(waits) = &self.waits {
            let (began, end) = &*waits.lock().unwrap();
            began.send(()).unwrap();
            end.recv().unwrap();
        }
        Live {
            version: "0.0.0".to_owned(),
            open_traces: 1,
            phases: BTreeMap::from([("active", 1)]),
            ..Live::default()
        }
    }

    fn patterns(&self) -> Arc<Patterns> {
        Arc::default()
    }

    fn history(&self) -> Arc<History> {
        Arc::default()
    }

    fn span_metrics(&self) -> &SpanMetrics {
        &self.metrics
    }

    fn service_graph(&self) -> &ServiceGraph {
        &self.graph
    }
}

fn summary(spans: &[Span<'_>]) -> Summary {
    let is_here = |id: &SpanId| spans.iter().any(|span| span.span_id == *id);
    let missing: Vec<_> = spans
        .iter()
        .filter_map(|s| s.parent)
        .filter(|p| !is_here(p))
        .collect();
    let root = spans.iter().find(|span| span.parent.is_none()).unwrap();
    let start = spans.iter().map(|span| span.start).min().unwrap();
    let end = spans.iter().map(|span| span.end).max().unwrap();
    let mut services: BTreeMap<&str, ServiceSummary> = BTreeMap::new();
    for span in spans {
        let service = services
            .entry(span.service)
            .or_insert_with(|| ServiceSummary {
                service: span.service.to_owned(),
                spans: 0,
                errors: 0,
                operations: Vec::new(),
            });
        service.spans += 1;
        service.errors += u32::from(span.status == SpanStatus::Error);
        service.operations.push((span.name.to_owned(), span.kind));
    }
    let errors = services.values().map(|service| service.errors).sum();
    let fault = FaultSummary {
        kind: "error".to_owned(),
        severity: Severity::Critical,
        service: root.service.to_owned(),
        operation: root.name.to_owned(),
        message: "It failed.".to_owned(),
    };
    Summary {
        trace_id: root.trace_id,
        revision: 1,
        root_service: root.service.to_owned(),
        root_name: root.name.to_owned(),
        start_ns: start,
        duration_ns: end - start,
        spans: spans.len() as u32,
        errors,
        services: services.into_values().collect(),
        completeness: Completeness {
            verdict: if missing.is_empty() {
                Verdict::Complete
            } else {
                Verdict::Incomplete
            },
            spans: spans.len() as u32,
            roots: 1,
            missing_count: missing.len() as u32,
            missing,
        },
        faults: (errors > 0).then_some(fault).into_iter().collect(),
        root_cause: (errors > 0).then(|| "The database.".to_owned()),
        decision: Decision::Kept {
            policy: "all".to_owned(),
        },
    }
}

#[derive(Default)]
struct Memory(BTreeMap<TraceId, (Summary, Bytes)>);

impl Memory {
    fn spans<T>(&self, of_each: impl Fn(&Span<'_>) -> Vec<T>) -> Vec<T> {
        let scanned = |bytes: &Bytes| Batch::scan(bytes.clone(), &Default::default()).unwrap();
        let batches = self.0.values().map(|(_, bytes)| scanned(bytes));
        batches
            .flat_map(|batch| batch.spans().flat_map(|s| of_each(&s)).collect::<Vec<_>>())
            .collect()
    }
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items.dedup();
    items
}

impl TraceStore for Memory {
    fn put(&self, _: &[Fragment]) -> Result<(), StoreError> {
        unreachable!("queries only read")
    }

    fn base(&self, _: TraceId) -> Result<Option<Base>, StoreError> {
        unreachable!("queries do not seal")
    }

    fn get(&self, trace: TraceId) -> Result<Option<Stored>, StoreError> {
        let found = self.0.get(&trace).cloned();
        Ok(found.map(|(summary, spans)| Stored { summary, spans }))
    }

    fn search(&self, query: &Query) -> Result<Found, StoreError> {
        if query.service.as_deref() == Some("broken") {
            return Err(std::io::Error::other("the disk is gone").into());
        }
        let mut summaries: Vec<_> = self
            .0
            .values()
            .map(|(summary, _)| summary.clone())
            .collect();
        summaries.sort_by_key(|summary| std::cmp::Reverse(summary.start_ns));
        let examined = summaries.len() as u64;
        summaries.retain(|summary| self.fits(query, summary));
        summaries.truncate(query.limit);
        Ok(Found {
            summaries,
            examined,
            complete: true,
        })
    }

    fn services(&self) -> Vec<String> {
        sorted(self.spans(|span| vec![span.service.to_owned()]))
    }

    fn operations(&self, service: &str, kind: Option<SpanKind>) -> Vec<(String, SpanKind)> {
        let fits = |span: &Span<'_>| span.service == service && kind.is_none_or(|k| k == span.kind);
        sorted(self.spans(|s| {
            if fits(s) {
                vec![(s.name.to_owned(), s.kind)]
            } else {
                vec![]
            }
        }))
    }

    fn tag_keys(&self) -> Result<TagKeys, StoreError> {
        Ok(TagKeys {
            resource: sorted(
                self.spans(|s| s.resource_attributes().map(|(k, _)| k.to_owned()).collect()),
            ),
            span: sorted(self.spans(|s| s.attributes().map(|(k, _)| k.to_owned()).collect())),
        })
    }

    fn tag_values(&self, key: &str) -> Result<Vec<String>, StoreError> {
        let text = |value: Value<'_>| value.to_text().map(|text| text.into_owned());
        Ok(sorted(self.spans(|s| {
            s.attribute(key).and_then(text).into_iter().collect()
        })))
    }

    fn figures(&self) -> Figures {
        Figures {
            traces: self.0.len() as u64,
            ..Figures::default()
        }
    }

    fn expire(&self, _: &Retention) -> Result<Expired, StoreError> {
        unreachable!("queries do not expire")
    }
}

impl Memory {
    fn fits(&self, query: &Query, summary: &Summary) -> bool {
        let in_service = |wanted: &String| summary.services.iter().any(|s| s.service == *wanted);
        let has_tags = || {
            let (_, bytes) = &self.0[&summary.trace_id];
            let batch = Batch::scan(bytes.clone(), &Default::default()).unwrap();
            batch.spans().any(|span| {
                query.tags.iter().all(|(key, value)| {
                    let found = span
                        .attribute(key)
                        .and_then(|found| found.to_text().map(|t| t == **value));
                    found == Some(true)
                })
            })
        };
        query.service.as_ref().is_none_or(in_service)
            && query.operation.as_ref().is_none_or(|name| {
                summary
                    .services
                    .iter()
                    .flat_map(|s| &s.operations)
                    .any(|(found, _)| found == name)
            })
            && query
                .min_duration_ns
                .is_none_or(|least| summary.duration_ns >= least)
            && query
                .max_duration_ns
                .is_none_or(|most| summary.duration_ns <= most)
            && query.start_ns.is_none_or(|start| summary.start_ns >= start)
            && query.end_ns.is_none_or(|end| summary.start_ns <= end)
            && query
                .verdict
                .is_none_or(|verdict| summary.completeness.verdict == verdict)
            && query
                .min_severity
                .is_none_or(|least| summary.severity() >= Some(least))
            && query
                .has_error
                .is_none_or(|wanted| (summary.errors > 0) == wanted)
            && (query.tags.is_empty() || has_tags())
    }
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{:?}", self.body))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Asks a collector with the usual traces.
pub(crate) async fn get(uri: &str) -> Answer {
    ask(
        Double::new(),
        Request::get(uri).body(Body::empty()).unwrap(),
    )
    .await
}

/// Asks this collector.
pub(crate) async fn ask(double: Double, request: Request<Body>) -> Answer {
    let response = double.router().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: axum::body::to_bytes(body, usize::MAX).await.unwrap(),
    }
}
