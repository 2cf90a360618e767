//! States per second and bytes per state of the checker itself, on a machine that does little.
//!
//! ```text
//! cargo run --release -p quorate-model --example throughput -- [dfs|bfs] [threads]
//! ```

#![expect(
    clippy::print_stdout,
    reason = "a program that prints its measurements"
)]

use quorate_machine::{Effects, Event, Machine, NodeId};
use quorate_model::{Bounds, Options, Property, Protocol, Request, Search, State, check};

/// Keeps the largest value that it was told, durably, and tells the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Largest {
    value: u8,
}

impl Machine for Largest {
    type Config = Vec<NodeId>;
    type Command = u8;
    type Message = u8;
    type Timer = ();
    type Record = u8;
    type Durable = u8;
    type Output = u8;

    fn apply(durable: &mut u8, record: &u8) {
        *durable = *record;
    }

    fn start(_: &Vec<NodeId>, durable: &u8, fx: &mut Effects<Self>) -> Self {
        fx.arm((), 5..=10);
        Largest { value: *durable }
    }

    fn step(&mut self, others: &Vec<NodeId>, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Command(value) | Event::Receive { message: value, .. } => {
                if value > self.value {
                    self.value = value;
                    fx.persist(value);
                    fx.output(value);
                }
            }
            Event::Timeout(()) => {
                for other in others {
                    fx.send(*other, self.value);
                }
            }
        }
    }

    fn backed(_: NodeId, message: &u8, sender: &u8) -> bool {
        sender >= message
    }
}

struct Gossip {
    nodes: Vec<NodeId>,
    others: Vec<Vec<NodeId>>,
    bounds: Bounds,
}

impl Gossip {
    fn new() -> Self {
        let nodes: Vec<_> = (1..=3).map(NodeId).collect();
        let all_but = |me: &NodeId| nodes.iter().copied().filter(|id| id != me).collect();
        Gossip {
            others: nodes.iter().map(all_but).collect(),
            nodes,
            bounds: Bounds {
                crashes: 2,
                duplications: 0,
                in_flight: 3,
                unsynced: 2,
                own: vec![("values", 2)],
            },
        }
    }
}

impl Protocol for Gossip {
    type Machine = Largest;
    /// Values asked for, and the largest answered.
    type Clients = (u8, u8);

    fn name(&self) -> &str {
        "gossip"
    }
    fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }
    fn config(&self, node: NodeId) -> &Vec<NodeId> {
        &self.others[node.0 as usize - 1]
    }
    fn bounds(&self) -> &Bounds {
        &self.bounds
    }
    fn clients(&self) -> (u8, u8) {
        (0, 0)
    }
    fn requests(&self, state: &State<Self>, out: &mut Vec<Request<Largest>>) {
        let (asked, _) = state.clients();
        if *asked < 2 {
            out.extend(self.nodes.iter().map(|node| Request {
                client: 1,
                node: *node,
                command: asked + 1,
            }));
        }
    }
    fn requested(&self, (asked, _): &mut (u8, u8), _: &Request<Largest>) {
        *asked += 1;
    }
    fn output(&self, (_, told): &mut (u8, u8), _: NodeId, output: &u8) {
        *told = (*told).max(*output);
    }
    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what was answered is durable", |s: &State<Self>, _| {
                s.nodes().any(|node| *node.durable() >= s.clients().1)
            }),
            Property::sometimes("all nodes agree", |s: &State<Self>, _| {
                s.nodes().all(|node| *node.durable() == 2)
            }),
        ]
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let search = match arguments.next().as_deref() {
        Some("bfs") => Search::Bfs,
        _ => Search::Dfs,
    };
    let threads = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let options = Options {
        threads,
        search,
        ..Options::default()
    };
    let report = check(Gossip::new(), options)?;
    println!(
        "{search:?}, {threads} threads: {} states, {} unique, depth {}, {:.1} s, {:.0} states/s, {:.0} bytes/unique",
        report.states,
        report.unique,
        report.depth,
        report.seconds,
        report.rate(),
        report.bytes_per_unique_state().unwrap_or(f64::NAN),
    );
    for property in &report.properties {
        println!("{}: {}", property.name, property.verdict.text());
    }
    Ok(())
}
