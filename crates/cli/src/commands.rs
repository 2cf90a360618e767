//! The commands, one file each.

pub(crate) mod bench;
pub(crate) mod broadcast;
pub(crate) mod check;
mod client;
pub(crate) mod clock;
pub(crate) mod collector;
pub(crate) mod conform;
pub(crate) mod demo;
pub(crate) mod explore;
pub(crate) mod kv;
pub(crate) mod node;
pub(crate) mod paxos;
pub(crate) mod replay;
pub(crate) mod simulate;
pub(crate) mod trace;
pub(crate) mod txn;

use clap::Subcommand;

use crate::outcome::{Failure, Outcome};

/// What `quorate` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check protocols: every state within bounds, every property.
    Check(check::CheckArgs),
    /// Run protocols in virtual time, under faults that seeds draw.
    Simulate(simulate::SimulateArgs),
    /// Walk through the states of a protocol in a browser.
    Explore(explore::ExploreArgs),
    /// Run one member of a cluster, with all its services.
    Node(node::NodeArgs),
    /// Take spans from OpenTelemetry SDKs, assemble traces, and say what is wrong with them.
    Collector(collector::CollectorArgs),
    /// Talk to a replicated key-value store.
    Kv(kv::KvArgs),
    /// Talk to write-once registers, each decided by Paxos.
    Paxos(paxos::PaxosArgs),
    /// Run transactions over the stores of several members.
    Txn(txn::TxnArgs),
    /// Talk in a feed in which every answer follows its question, by causal broadcast.
    Broadcast(broadcast::BroadcastArgs),
    /// Start three members, kill one in the middle of its work, and see that every promise is kept.
    Demo(demo::DemoArgs),
    /// Run the recorded life of a member through its machine again.
    Replay(replay::ReplayArgs),
    /// Hold the recorded lives of all members against the machine and its specification.
    Conform(conform::ConformArgs),
    /// Look into traces, in files and in a collector.
    #[command(subcommand)]
    Trace(trace::Trace),
    /// Hold this machine's clock against time servers.
    #[command(subcommand)]
    Clock(clock::Clock),
    /// Measure a running cluster.
    #[command(subcommand)]
    Bench(bench::Bench),
}

impl Command {
    /// Runs the command to its end; a command that needs an async runtime builds its own.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        match self {
            Command::Check(check) => check.run(),
            Command::Simulate(simulate) => simulate.run(),
            Command::Explore(explore) => explore.run(),
            Command::Node(node) => node.run(),
            Command::Collector(collector) => collector.run(),
            Command::Kv(kv) => kv.run(),
            Command::Paxos(paxos) => paxos.run(),
            Command::Txn(txn) => txn.run(),
            Command::Broadcast(broadcast) => broadcast.run(),
            Command::Demo(demo) => demo.run(),
            Command::Replay(replay) => replay.run(),
            Command::Conform(conform) => conform.run(),
            Command::Trace(trace) => trace.run(),
            Command::Clock(clock) => clock.run(),
            Command::Bench(bench) => bench.run(),
        }
    }
}
