//! Trace assembly, checked.
//!
//! One node runs [`quorate_assembly::machine::Assembler`], around the same lifecycle and judgement as
//! production. Senders offer spans in any order, some of them twice, at any moment of a trace's life;
//! quiet windows and deadlines end whenever they like, traces are evicted, and the node crashes with
//! part of its writes not yet on disk.
//!
//! What must hold is said of the disk, by definitions that know nothing of lifecycles
//! ([`quorate_assembly::invariants`]), and of what senders were told.

mod properties;
mod scopes;

pub use scopes::scope;

use crate::{Bounds, Fairness, Liveness, Node, Pattern, Property, Protocol, Request, State, Up};
use quorate_assembly::invariants;
use quorate_assembly::machine::{Assembler, Command, NodeConfig, Offered, Output};
use quorate_machine::NodeId;
use quorate_trace::{SpanId, SpanKey, TraceId};

const NODE: NodeId = NodeId(1);

/// A model of assembly: the spans that exist, and bounds.
pub struct AssemblyModel {
    name: String,
    config: NodeConfig,
    limits: Limits,
    bounds: Bounds,
}

/// What is particular to a configuration of the model.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The spans, each as trace, number, and number of the parent (0: it is a root). Numbers with the same
    /// last digit are spans with the same identifier that say different things.
    pub spans: Vec<(u8, u8, u8)>,
    /// Spans that are offered again, at any time after the first.
    pub duplicates: u8,
    /// Traces that are evicted.
    pub evictions: u8,
    /// Crashes.
    pub crashes: u8,
    /// Steps whose records are not durable yet.
    pub unsynced: usize,
}

/// The senders: what they offered, and what they were told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Senders {
    /// How often each span was offered.
    offered: Vec<u8>,
    /// How often each was acknowledged.
    accepted: Vec<u8>,
    /// Evictions asked for.
    evictions: u8,
}

impl AssemblyModel {
    /// A model with these limits.
    pub fn new(name: impl Into<String>, limits: Limits) -> Self {
        let ticks = 1..=1;
        AssemblyModel {
            name: name.into(),
            config: NodeConfig {
                id: NODE,
                quiet: ticks.clone(),
                deadline: ticks,
            },
            bounds: Bounds {
                crashes: limits.crashes,
                duplications: 0,
                in_flight: 0,
                unsynced: limits.unsynced,
                own: vec![
                    ("spans", limits.spans.len() as u64),
                    ("spans offered again", limits.duplicates.into()),
                    ("evictions", limits.evictions.into()),
                ],
            },
            limits,
        }
    }

    /// The spans, in the order in which [`Senders`] counts them.
    fn spans(&self) -> impl Iterator<Item = Offered> {
        let spans = self.limits.spans.iter();
        spans.filter_map(|&(trace, span, parent)| {
            Some(Offered {
                trace: TraceId::new([trace; 16])?,
                span: SpanKey {
                    id: span_id(span % 10)?,
                    content: u64::from(span / 10),
                },
                parent: span_id(parent),
            })
        })
    }

    /// The spans whose senders were told that they are accepted.
    fn accepted(&self, senders: &Senders) -> impl Iterator<Item = Offered> {
        let told = self.spans().zip(senders.accepted.clone());
        told.filter(|(_, times)| *times > 0).map(|(span, _)| span)
    }

    fn position(&self, offered: &Offered) -> Option<usize> {
        self.spans().position(|span| span == *offered)
    }
}

fn span_id(number: u8) -> Option<SpanId> {
    SpanId::new([0, 0, 0, 0, 0, 0, 0, number])
}

/// No trace stays open for ever.
pub const SEALED: &str = "an open trace is sealed";

/// The node, if it is up.
fn running(state: &State<AssemblyModel>) -> Option<&Up<Assembler>> {
    state.nodes().find_map(Node::up)
}

impl Protocol for AssemblyModel {
    type Machine = Assembler;
    type Clients = Senders;

    fn name(&self) -> &str {
        &self.name
    }

    fn nodes(&self) -> &[NodeId] {
        &[NODE]
    }

    fn config(&self, _: NodeId) -> &NodeConfig {
        &self.config
    }

    fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    fn clients(&self) -> Senders {
        Senders {
            offered: vec![0; self.limits.spans.len()],
            accepted: vec![0; self.limits.spans.len()],
            evictions: 0,
        }
    }

    fn requests(&self, state: &State<Self>, out: &mut Vec<Request<Assembler>>) {
        let Some(up) = running(state) else {
            return;
        };
        let senders = state.clients();
        let request = |command| Request {
            client: 0,
            node: NODE,
            command,
        };
        let again: u8 = senders
            .offered
            .iter()
            .map(|times| times.saturating_sub(1))
            .sum();
        let may_repeat = again < self.limits.duplicates;
        let offers = self.spans().zip(&senders.offered);
        let offers = offers.filter(|(_, times)| **times == 0 || may_repeat);
        out.extend(offers.map(|(span, _)| request(Command::Offer(span))));
        if senders.evictions < self.limits.evictions {
            let open = up.machine.traces();
            out.extend(open.map(|trace| request(Command::Evict(trace))));
        }
    }

    fn requested(&self, senders: &mut Senders, request: &Request<Assembler>) {
        match &request.command {
            Command::Offer(span) => {
                if let Some(at) = self.position(span) {
                    senders.offered[at] += 1;
                }
            }
            Command::Evict(_) => senders.evictions += 1,
        }
    }

    fn output(&self, senders: &mut Senders, _: NodeId, output: &Output) {
        let Output::Accepted(span) = output;
        if let Some(at) = self.position(span) {
            senders.accepted[at] += 1;
        }
    }

    fn stepped(
        &self,
        _: &Senders,
        _: NodeId,
        before: &Assembler,
        after: &Assembler,
    ) -> Result<Option<Senders>, &'static str> {
        invariants::step(before, after).map(|()| None)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = properties::safety();
        all.extend(properties::reachable(&self.limits));
        all
    }

    /// An open trace waits for nothing but its timers and the disk; the senders have nothing more to say in
    /// the end.
    fn liveness(&self) -> Liveness<Self> {
        let open = |state: &State<Self>| {
            let up = running(state);
            up.map(|up| up.machine.traces().next().is_some())
        };
        Liveness::default()
            .leads_to(
                SEALED,
                move |state, _| open(state) == Some(true),
                move |state, _| open(state) == Some(false),
            )
            .without(
                "timers that fire",
                SEALED,
                Pattern::timers(),
                Fairness::None,
            )
    }

    fn label(&self, request: &Request<Assembler>) -> String {
        match &request.command {
            Command::Offer(Offered {
                trace,
                span,
                parent,
            }) => {
                let child = match parent {
                    Some(parent) => format!("child of {}", last(parent.bytes())),
                    None => "a root".to_owned(),
                };
                let (trace, content) = (last(trace.bytes()), span.content);
                let span = last(span.id.bytes());
                match content {
                    0 => format!("offers span {span} of trace {trace}, {child}"),
                    _ => format!("offers another span {span} of trace {trace}, {child}"),
                }
            }
            Command::Evict(trace) => format!("evicts trace {}", last(trace.bytes())),
        }
    }
}

fn last(bytes: &[u8]) -> u8 {
    bytes.last().copied().unwrap_or_default()
}
