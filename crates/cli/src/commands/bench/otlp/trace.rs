//! A trace of a shop: requests from service to service, queries, and work in between.

use std::ops::RangeInclusive;

use rand::Rng;
use rand::rngs::SmallRng;

use super::wire::{fixed64, length_delimited, varint};

/// Spans of a trace.
const TRACE_SPANS: RangeInclusive<usize> = 8..=20;

/// The services; the first takes the requests of customers.
pub(super) const SERVICES: [&str; 8] = [
    "frontend",
    "cart",
    "catalog",
    "checkout",
    "currency",
    "payment",
    "recommendation",
    "shipping",
];

/// An attribute's value.
enum Value {
    Text(String),
    Int(u64),
    Bool(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Int(number)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Handles a request; OTLP's kind 2.
    Server,
    /// Makes a request; kind 3.
    Client,
    /// Asks a database; kind 3.
    Query,
    /// Works; kind 1.
    Internal,
}

struct Node {
    parent: Option<usize>,
    service: usize,
    role: Role,
    /// The service that a client asks.
    peer: usize,
    start: u64,
    end: u64,
    failed: bool,
}

/// The spans of a trace, parents before their children.
pub(super) struct TraceShape(Vec<Node>);

/// An encoded span, and where in it the things are that differ from cycle to cycle.
#[derive(Clone, Debug)]
pub(super) struct SpanBytes {
    pub(super) bytes: Vec<u8>,
    pub(super) start_at: u32,
    pub(super) end_at: u32,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) service: usize,
}

impl SpanBytes {
    /// The trace id is the first field.
    pub(super) const TRACE_AT: u32 = 2;
}

impl TraceShape {
    /// A trace that begins at `begin`, in nanoseconds since the beginning of the cycle.
    pub(super) fn random(random: &mut SmallRng, begin: u64) -> Self {
        let spans = random.random_range(TRACE_SPANS);
        let root = Node {
            parent: None,
            service: 0,
            role: Role::Server,
            peer: 0,
            start: begin,
            end: begin + random.random_range(5_000_000..400_000_000),
            failed: random.random_bool(0.01),
        };
        let mut nodes = vec![root];
        while nodes.len() < spans {
            let parent = random.random_range(0..nodes.len());
            if matches!(nodes[parent].role, Role::Client | Role::Query) {
                continue;
            }
            // A request to another service is two spans.
            let role = match random.random_range(0..10) {
                0..=3 if nodes.len() + 1 < spans => Role::Client,
                0..=6 => Role::Query,
                _ => Role::Internal,
            };
            nodes.push(child(&nodes, parent, role, random));
            if role == Role::Client {
                nodes.push(child(&nodes, nodes.len() - 1, Role::Server, random));
            }
        }
        TraceShape(nodes)
    }

    /// All spans, each with whether it has a parent and children.
    pub(super) fn encode(&self, random: &mut SmallRng) -> Vec<(SpanBytes, bool)> {
        // The first half of the trace id is the cycle's.
        let trace_id = [0_u64.to_be_bytes(), id(random)].concat();
        let ids: Vec<_> = self.0.iter().map(|_| id(random)).collect();
        let mut has_children = vec![false; self.0.len()];
        for parent in self.0.iter().filter_map(|node| node.parent) {
            has_children[parent] = true;
        }
        let encode = |(at, node): (usize, &Node)| {
            let parent = node.parent.map(|parent| ids[parent]);
            let span = node.encode(&trace_id, ids[at], parent, random);
            (span, node.parent.is_some() && has_children[at])
        };
        self.0.iter().enumerate().map(encode).collect()
    }
}

fn child(nodes: &[Node], parent: usize, role: Role, random: &mut SmallRng) -> Node {
    let Node {
        service,
        peer,
        start,
        end,
        ..
    } = nodes[parent];
    let length = end - start;
    let start = start + random.random_range(0..=length / 3);
    let length = random.random_range(length / 4..=length / 2 + 1);
    Node {
        parent: Some(parent),
        service: if role == Role::Server { peer } else { service },
        role,
        peer: random.random_range(1..SERVICES.len()),
        start,
        end: (start + length).min(end),
        failed: random.random_bool(0.005),
    }
}

fn id(random: &mut SmallRng) -> [u8; 8] {
    random.random_range(1..u64::MAX).to_be_bytes()
}

impl Node {
    fn encode(
        &self,
        trace_id: &[u8],
        span_id: [u8; 8],
        parent: Option<[u8; 8]>,
        random: &mut SmallRng,
    ) -> SpanBytes {
        let kind = match self.role {
            Role::Internal => 1,
            Role::Server => 2,
            Role::Client | Role::Query => 3,
        };
        let mut bytes = length_delimited(1, trace_id);
        bytes.extend(length_delimited(2, &span_id));
        bytes.extend(parent.map_or(Vec::new(), |parent| length_delimited(4, &parent)));
        bytes.extend(length_delimited(5, self.name().as_bytes()));
        bytes.extend(varint(6, kind));
        let start_at = bytes.len() as u32 + 1;
        bytes.extend(fixed64(7, 0));
        let end_at = bytes.len() as u32 + 1;
        bytes.extend(fixed64(8, 0));
        for (key, value) in self.attributes(random) {
            bytes.extend(length_delimited(9, &attribute(key, &value)));
        }
        if self.failed {
            let message = length_delimited(2, b"upstream did not answer in time");
            let status = [message, varint(3, 2)].concat();
            bytes.extend(length_delimited(15, &status));
        }
        SpanBytes {
            bytes,
            start_at,
            end_at,
            start: self.start,
            end: self.end,
            service: self.service,
        }
    }

    fn name(&self) -> String {
        let (service, peer) = (SERVICES[self.service], SERVICES[self.peer]);
        match self.role {
            Role::Server => format!("POST /api/{service}/{{id}}"),
            Role::Client => format!("POST {peer}"),
            Role::Query => format!("SELECT {service}.items"),
            Role::Internal => format!("{service}.prepare"),
        }
    }

    fn attributes(&self, random: &mut SmallRng) -> Vec<(&'static str, Value)> {
        let (service, peer) = (SERVICES[self.service], SERVICES[self.peer]);
        let number: u64 = random.random_range(0..100_000);
        let thread: u64 = random.random_range(1..64);
        let status: u64 = if self.failed { 504 } else { 200 };
        let address = format!("10.4.{}.{}", number % 250, thread);
        let mut attributes = match self.role {
            Role::Server => vec![
                ("http.request.method", "POST".into()),
                ("http.route", format!("/api/{service}/{{id}}").into()),
                ("url.path", format!("/api/{service}/{number}").into()),
                ("url.scheme", "https".into()),
                ("http.response.status_code", status.into()),
                ("server.address", format!("{service}.shop.svc").into()),
                ("server.port", 8080.into()),
                ("client.address", address.into()),
                ("network.protocol.version", "1.1".into()),
                (
                    "user_agent.original",
                    "shop-client/2.11 (linux; x86_64)".into(),
                ),
            ],
            Role::Client => vec![
                ("http.request.method", "POST".into()),
                (
                    "url.full",
                    format!("http://{peer}.shop.svc:8080/api/{peer}/{number}").into(),
                ),
                ("http.response.status_code", status.into()),
                ("server.address", format!("{peer}.shop.svc").into()),
                ("server.port", 8080.into()),
                ("peer.service", peer.into()),
                ("network.peer.address", address.into()),
                ("network.protocol.name", "http".into()),
                ("network.protocol.version", "1.1".into()),
                ("http.request.resend_count", 0.into()),
                ("thread.id", thread.into()),
            ],
            Role::Query => vec![
                ("db.system.name", "postgresql".into()),
                ("db.namespace", service.into()),
                ("db.operation.name", "SELECT".into()),
                ("db.collection.name", "items".into()),
                (
                    "db.query.text",
                    "SELECT id, name, price FROM items WHERE owner = $1 AND state = $2 LIMIT 50"
                        .into(),
                ),
                ("db.response.returned_rows", (number % 50).into()),
                ("server.address", "db-primary.shop.svc".into()),
                ("server.port", 5432.into()),
                ("network.peer.address", address.into()),
                ("thread.id", thread.into()),
            ],
            Role::Internal => vec![
                (
                    "code.function.name",
                    format!("shop::{service}::prepare").into(),
                ),
                (
                    "code.file.path",
                    format!("/build/{service}/src/handlers/prepare.rs").into(),
                ),
                ("code.line.number", (number % 900).into()),
                ("app.customer.id", format!("customer-{number:08}").into()),
                ("app.session.id", format!("{number:016x}").into()),
                ("app.feature.flag", "new-checkout".into()),
                ("app.cache.hit", number.is_multiple_of(3).into()),
                ("app.items.count", (number % 17).into()),
                ("thread.id", thread.into()),
                ("thread.name", format!("worker-{thread}").into()),
            ],
        };
        attributes.push(("tenant.id", format!("tenant-{:04}", number % 500).into()));
        attributes
    }
}

fn attribute(key: &str, value: &Value) -> Vec<u8> {
    let value = match value {
        Value::Text(text) => length_delimited(1, text.as_bytes()),
        Value::Bool(value) => varint(2, (*value).into()),
        Value::Int(number) => varint(3, *number),
    };
    let key = length_delimited(1, key.as_bytes());
    [key, length_delimited(2, &value)].concat()
}

/// `Resource` of a service.
pub(super) fn resource(service: usize) -> Vec<u8> {
    let name = SERVICES[service];
    let attributes: [(&str, Value); 8] = [
        ("service.name", name.into()),
        ("service.version", "2.11.4".into()),
        (
            "service.instance.id",
            format!("{name}-7c9d8b6f5-x2x4z").into(),
        ),
        ("host.name", "node-17.shop.example".into()),
        ("k8s.namespace.name", "shop".into()),
        ("telemetry.sdk.name", "opentelemetry".into()),
        ("telemetry.sdk.language", "rust".into()),
        ("telemetry.sdk.version", "0.33.1".into()),
    ];
    let encode = |(key, value): &(&str, Value)| length_delimited(1, &attribute(key, value));
    attributes.iter().flat_map(encode).collect()
}

/// `InstrumentationScope` of all.
pub(super) fn scope() -> Vec<u8> {
    let name = length_delimited(1, b"shop.instrumentation.http");
    [name, length_delimited(2, b"0.9.2")].concat()
}
