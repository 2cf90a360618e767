//! Who calls whom: edges between services, from the spans of whole traces.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

use ahash::AHashMap;
use parking_lot::Mutex;
use quorate_trace::SpanId;
use quorate_trace::wire::{Span, SpanKind, StatusCode};
use serde::Serialize;

use super::histogram::Histogram;
use super::{Label, OTHER, bounded};

/// Hours for which calls are told apart, so that a window can be asked for.
const HOURS: usize = 48;
const HOUR_NS: u64 = 3_600_000_000_000;

/// Attributes of a client span that name what it calls when that makes no spans of its own, with the
/// kind of thing that it is. The first that is there counts; the order is Tempo's, older names after newer.
const PEERS: [(&str, &str); 8] = [
    ("peer.service", "service"),
    ("db.namespace", "database"),
    ("db.name", "database"),
    ("db.system.name", "database"),
    ("db.system", "database"),
    ("messaging.destination.name", "queue"),
    ("messaging.system", "queue"),
    ("server.address", "host"),
];

/// Calls between services, with errors and durations.
///
/// A call is a span whose parent is a span of another service, or a client or producer span without
/// children whose attributes name what it calls (a database, say). Of an amended trace only the new spans
/// are seen, so a call is missed whose two sides came in different revisions.
pub struct ServiceGraph {
    state: Mutex<State>,
    edges_max: usize,
}

#[derive(Default)]
struct State {
    /// By caller and callee; a look-up needs no owned key.
    callers: AHashMap<Box<str>, AHashMap<Box<str>, usize>>,
    edges: Vec<Edge>,
    /// Kinds of what makes no spans of its own.
    peers: Peers,
}

type Peers = AHashMap<Box<str>, &'static str>;

#[derive(Clone, Default)]
struct Edge {
    calls: u64,
    errors: u64,
    durations: Histogram,
    /// Hour since 1970 and calls in it, ascending.
    hours: VecDeque<(u64, u64)>,
}

/// One call that was seen.
struct Call<'a> {
    caller: &'a str,
    callee: &'a str,
    peer: Option<&'static str>,
    is_error: bool,
    duration: u64,
}

/// Services and the calls between them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceGraphReport {
    /// Everything that calls or is called.
    pub nodes: Vec<GraphNode>,
    /// Who calls whom.
    pub edges: Vec<GraphEdge>,
}

/// A service, or what a service calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GraphNode {
    /// Its name.
    pub service: String,
    /// `service`; or, of what makes no spans of its own, `database`, `queue` or `host`.
    pub kind: &'static str,
    /// Calls of it.
    pub calls: u64,
    /// Of these, those that failed.
    pub errors: u64,
}

/// Calls of one service by another.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphEdge {
    /// Who calls.
    pub caller: String,
    /// Who is called.
    pub callee: String,
    /// Calls since the start of the process.
    pub calls: u64,
    /// Of these, those where a side has an error status.
    pub errors: u64,
    /// Milliseconds that half of the calls do not exceed, as the caller sees it.
    pub p50_ms: f64,
    /// Milliseconds that 95 of 100 calls do not exceed.
    pub p95_ms: f64,
    /// Milliseconds that 99 of 100 calls do not exceed.
    pub p99_ms: f64,
}

/// Calls within a window, as Jaeger has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// Who calls.
    pub parent: String,
    /// Who is called.
    pub child: String,
    /// How often.
    pub call_count: u64,
}

impl Default for ServiceGraph {
    /// Of 5 000 edges: some 6 MB when all are there.
    fn default() -> Self {
        ServiceGraph::new(5_000)
    }
}

impl ServiceGraph {
    /// Of at most so many edges; calls beyond are counted as of [`OTHER`] by [`OTHER`].
    pub fn new(edges_max: usize) -> Self {
        ServiceGraph {
            state: Mutex::default(),
            edges_max,
        }
    }

    /// How many pairs of services are told apart.
    pub fn edges_count(&self) -> usize {
        self.state.lock().edges.len()
    }

    /// Counts the calls among the spans of one trace; `now_ns`, since 1970, says in which hour.
    pub fn observe(&self, spans: &[Span<'_>], now_ns: u64) {
        let mut by_id: Vec<(SpanId, u32)> =
            (0..).zip(spans).map(|(at, s)| (s.span_id, at)).collect();
        by_id.sort_unstable();
        let find = |id: SpanId| {
            let at = by_id.partition_point(|(other, _)| *other < id);
            by_id
                .get(at)
                .filter(|(other, _)| *other == id)
                .map(|(_, at)| *at as usize)
        };
        let mut has_children = vec![false; spans.len()];
        let mut calls = Vec::new();
        for span in spans {
            let Some(at) = span.parent.and_then(find) else {
                continue;
            };
            has_children[at] = true;
            if spans[at].service != span.service {
                calls.push(call(&spans[at], span));
            }
        }
        let leaves = spans
            .iter()
            .zip(has_children)
            .filter(|(_, has_children)| !has_children);
        calls.extend(leaves.filter_map(|(span, _)| call_of_peer(span)));
        if !calls.is_empty() {
            let mut state = self.state.lock();
            calls
                .iter()
                .for_each(|call| state.count(call, now_ns / HOUR_NS, self.edges_max));
        }
    }

    /// Everything since the start of the process, in order of the names.
    pub fn report(&self) -> ServiceGraphReport {
        let (edges, peers) = self.edges();
        let mut nodes: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (caller, callee, edge) in &edges {
            nodes.entry(caller).or_default();
            let (calls, errors) = nodes.entry(callee).or_default();
            *calls += edge.calls;
            *errors += edge.errors;
        }
        let node = |(service, (calls, errors)): (&str, (u64, u64))| GraphNode {
            service: service.to_owned(),
            kind: peers.get(service).copied().unwrap_or("service"),
            calls,
            errors,
        };
        let nodes = nodes.into_iter().map(node).collect();
        let edge = |(caller, callee, edge): (String, String, Edge)| GraphEdge {
            caller,
            callee,
            calls: edge.calls,
            errors: edge.errors,
            p50_ms: edge.durations.quantile_ms(0.5),
            p95_ms: edge.durations.quantile_ms(0.95),
            p99_ms: edge.durations.quantile_ms(0.99),
        };
        ServiceGraphReport {
            nodes,
            edges: edges.into_iter().map(edge).collect(),
        }
    }

    /// Calls that were counted from one time to another, in nanoseconds since 1970, whole hours at both
    /// ends; of the last two days, and since the start of the process.
    pub fn links(&self, from_ns: u64, to_ns: u64) -> Vec<Link> {
        let hours = from_ns / HOUR_NS..=to_ns / HOUR_NS;
        let link = |(parent, child, edge): (String, String, Edge)| Link {
            parent,
            child,
            call_count: edge
                .hours
                .iter()
                .filter(|(hour, _)| hours.contains(hour))
                .map(|(_, calls)| calls)
                .sum(),
        };
        let links = self.edges().0.into_iter().map(link);
        links.filter(|link| link.call_count > 0).collect()
    }

    /// All figures in Prometheus's text format: `traces_service_graph_request_total`,
    /// `…_request_failed_total` and the histogram `…_request_client_seconds`.
    pub fn prometheus(&self) -> String {
        let labelled: Vec<_> = self
            .edges()
            .0
            .into_iter()
            .map(|(caller, callee, edge)| {
                let labels = format!(
                    "client=\"{}\",server=\"{}\"",
                    Label(&caller),
                    Label(&callee)
                );
                (labels, edge)
            })
            .collect();
        let name = "traces_service_graph_request";
        let mut out = format!(
            "# HELP {name}_total Calls between services since the start of the process\n\
             # TYPE {name}_total counter\n"
        );
        for (labels, edge) in &labelled {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name}_total{{{labels}}} {}", edge.calls);
        }
        let _ = writeln!(out, "# TYPE {name}_failed_total counter");
        for (labels, edge) in &labelled {
            let _ = writeln!(out, "{name}_failed_total{{{labels}}} {}", edge.errors);
        }
        let _ = writeln!(out, "# TYPE {name}_client_seconds histogram");
        for (labels, edge) in &labelled {
            let _ = edge
                .durations
                .render(&mut out, &format!("{name}_client_seconds"), labels);
        }
        out
    }

    /// A copy in order of the names, so that nothing is sorted or rendered under the lock.
    fn edges(&self) -> (Vec<(String, String, Edge)>, Peers) {
        let state = self.state.lock();
        let mut edges = Vec::with_capacity(state.edges.len());
        for (caller, callees) in &state.callers {
            for (callee, at) in callees {
                edges.push((
                    caller.to_string(),
                    callee.to_string(),
                    state.edges[*at].clone(),
                ));
            }
        }
        let peers = state.peers.clone();
        drop(state);
        edges.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        (edges, peers)
    }
}

fn call<'a>(caller: &Span<'a>, callee: &Span<'a>) -> Call<'a> {
    // What the caller saw, network included, if its span is the call itself.
    let is_client = matches!(caller.kind, SpanKind::Client | SpanKind::Producer);
    Call {
        caller: caller.service,
        callee: callee.service,
        peer: None,
        is_error: callee.status == StatusCode::Error
            || is_client && caller.status == StatusCode::Error,
        duration: if caller.kind == SpanKind::Client {
            caller.duration()
        } else {
            callee.duration()
        },
    }
}

fn call_of_peer<'a>(span: &Span<'a>) -> Option<Call<'a>> {
    if !matches!(span.kind, SpanKind::Client | SpanKind::Producer) {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for (key, value) in span.attributes().unread() {
        let rank = PEERS
            .iter()
            .position(|(peer, _)| peer.as_bytes() == key)
            .filter(|rank| best.is_none_or(|(least, _)| *rank < least));
        let Some(rank) = rank else {
            continue;
        };
        if let Some(name) = value.read().as_str().filter(|name| !name.is_empty()) {
            best = Some((rank, name));
        }
    }
    let (rank, callee) = best?;
    Some(Call {
        caller: span.service,
        callee,
        peer: Some(PEERS[rank].1),
        is_error: span.status == StatusCode::Error,
        duration: span.duration(),
    })
}

impl State {
    fn count(&mut self, call: &Call<'_>, hour: u64, edges_max: usize) {
        let (caller, callee) = (bounded(call.caller), bounded(call.callee));
        let at = match self.find(caller, callee) {
            Some(at) => at,
            None if self.edges.len() < edges_max => self.add(caller, callee, call.peer),
            None => {
                let found = self.find(OTHER, OTHER);
                found.unwrap_or_else(|| self.add(OTHER, OTHER, None))
            }
        };
        let edge = &mut self.edges[at];
        edge.calls += 1;
        edge.errors += u64::from(call.is_error);
        edge.durations.record(call.duration);
        match edge.hours.back_mut() {
            Some((latest, calls)) if *latest >= hour => *calls += 1,
            _ => {
                if edge.hours.len() == HOURS {
                    edge.hours.pop_front();
                }
                edge.hours.push_back((hour, 1));
            }
        }
    }

    fn find(&self, caller: &str, callee: &str) -> Option<usize> {
        self.callers.get(caller)?.get(callee).copied()
    }

    fn add(&mut self, caller: &str, callee: &str, peer: Option<&'static str>) -> usize {
        let callees = self.callers.entry(caller.into()).or_default();
        callees.insert(callee.into(), self.edges.len());
        self.edges.push(Edge::default());
        match peer {
            Some(kind) => {
                self.peers.entry(callee.into()).or_insert(kind);
            }
            // It has spans after all.
            None => {
                self.peers.remove(callee);
            }
        }
        self.edges.len() - 1
    }
}
