//! What goes wrong, and when: drawn from the seed before the run begins.
//!
//! Every fault is an item of a list, with a beginning and an end. The list is part of what a seed means;
//! a run that leaves out some of its items is as deterministic as the whole, which is what makes a failure
//! small ([`minimise`](crate::minimise)).
//!
//! Each run has only some of the kinds, at rates of its own ("swarm testing", Groce et al., ISSTA 2012): a
//! fault that is everywhere hides what needs its absence, as when constant loss keeps any leader from ever
//! having a log that a crash could hurt.

use crate::{Random, Time};
use serde::Serialize;
use std::fmt;

/// A kind of fault, for counting and choosing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Messages are lost.
    Loss,
    /// Messages arrive twice.
    Duplication,
    /// Messages are late, a few of them very, and overtake each other.
    Delay,
    /// Old messages arrive again.
    Replay,
    /// Two halves do not hear each other.
    Partition,
    /// A node is not heard, or does not hear.
    OneWay,
    /// Every node hears only its neighbours in a ring: majorities overlap in single nodes.
    Ring,
    /// A link holds everything back until the end.
    Clog,
    /// A link is slow.
    SlowLink,
    /// A node loses its memory and part of what it had not synced.
    Crash,
    /// A sync fails, and the process with it.
    SyncError,
    /// Syncs take long.
    SlowDisk,
    /// Syncs do not end.
    StalledDisk,
    /// A process stands still, and goes on as if nothing had happened.
    Pause,
    /// A clock runs fast or slow.
    Drift,
    /// A clock jumps.
    Jump,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 16] = [
        Kind::Loss,
        Kind::Duplication,
        Kind::Delay,
        Kind::Replay,
        Kind::Partition,
        Kind::OneWay,
        Kind::Ring,
        Kind::Clog,
        Kind::SlowLink,
        Kind::Crash,
        Kind::SyncError,
        Kind::SlowDisk,
        Kind::StalledDisk,
        Kind::Pause,
        Kind::Drift,
        Kind::Jump,
    ];

    /// Whether it takes two nodes.
    fn needs_network(self) -> bool {
        self <= Kind::SlowLink
    }

    /// The name, as it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Loss => "loss",
            Kind::Duplication => "duplication",
            Kind::Delay => "delay",
            Kind::Replay => "replay",
            Kind::Partition => "partition",
            Kind::OneWay => "one-way",
            Kind::Ring => "ring",
            Kind::Clog => "clog",
            Kind::SlowLink => "slow-link",
            Kind::Crash => "crash",
            Kind::SyncError => "sync-error",
            Kind::SlowDisk => "slow-disk",
            Kind::StalledDisk => "stalled-disk",
            Kind::Pause => "pause",
            Kind::Drift => "drift",
            Kind::Jump => "jump",
        }
    }
}

/// A fault, with what it hits; nodes by their position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Of every link, so many messages in a hundred.
    Loss(u64),
    /// Of every link, so many messages in a hundred.
    Duplication(u64),
    /// Of every link: how long half of the delays are at most.
    Delay(Time),
    /// One message in a hundred is kept, and arrives again when the fault ends.
    Replay,
    /// True for the nodes of one side.
    Partition(Vec<bool>),
    /// The node, and whether it is deaf (or else mute).
    OneWay(usize, bool),
    /// The order of the ring.
    Ring(Vec<usize>),
    /// From, to.
    Clog(usize, usize),
    /// From, to, how long a message takes at least.
    SlowLink(usize, usize, Time),
    /// The node; of a hundred parts of what is unsynced, how many the disk has all the same.
    Crash(usize, u64),
    /// The node.
    SyncError(usize),
    /// The node, and how long a sync takes at least.
    SlowDisk(usize, Time),
    /// The node.
    StalledDisk(usize),
    /// The node.
    Pause(usize),
    /// The node, and how long a thousandth of a tick takes: above 1000 the clock is slow.
    Drift(usize, u64),
    /// The node, and how far forwards; backwards if it is negative.
    Jump(usize, i64),
}

impl Fault {
    /// Of which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Fault::Loss(_) => Kind::Loss,
            Fault::Duplication(_) => Kind::Duplication,
            Fault::Delay(_) => Kind::Delay,
            Fault::Replay => Kind::Replay,
            Fault::Partition(_) => Kind::Partition,
            Fault::OneWay(..) => Kind::OneWay,
            Fault::Ring(_) => Kind::Ring,
            Fault::Clog(..) => Kind::Clog,
            Fault::SlowLink(..) => Kind::SlowLink,
            Fault::Crash(..) => Kind::Crash,
            Fault::SyncError(_) => Kind::SyncError,
            Fault::SlowDisk(..) => Kind::SlowDisk,
            Fault::StalledDisk(_) => Kind::StalledDisk,
            Fault::Pause(_) => Kind::Pause,
            Fault::Drift(..) => Kind::Drift,
            Fault::Jump(..) => Kind::Jump,
        }
    }

    /// Whether messages from one node to another are cut off.
    pub(crate) fn cuts(&self, from: usize, to: usize) -> bool {
        match self {
            Fault::Partition(side) => side.get(from) != side.get(to),
            Fault::OneWay(node, deaf) => *node == if *deaf { to } else { from },
            Fault::Ring(order) => {
                let place = |node| order.iter().position(|other| *other == node);
                let (Some(a), Some(b)) = (place(from), place(to)) else {
                    return false;
                };
                let apart = a.abs_diff(b);
                apart > 1 && apart + 1 != order.len()
            }
            _ => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As nodes are named: the first is 1.
        let node = |at: &usize| at + 1;
        match self {
            Fault::Loss(percent) => write!(f, "{percent} % of all messages are lost"),
            Fault::Duplication(percent) => write!(f, "{percent} % of all messages come twice"),
            Fault::Delay(by) => write!(f, "messages are delayed by {by:?} and more"),
            Fault::Replay => f.write_str("old messages come again at the end"),
            Fault::Partition(side) => {
                let of = |wanted| {
                    let nodes = (1..).zip(side).filter(move |(_, on)| **on == wanted);
                    let names = nodes.map(|(id, _)| format!("n{id}"));
                    names.collect::<Vec<_>>().join(" ")
                };
                write!(f, "partition: {} | {}", of(true), of(false))
            }
            Fault::OneWay(at, true) => write!(f, "n{} hears nobody", node(at)),
            Fault::OneWay(at, false) => write!(f, "nobody hears n{}", node(at)),
            Fault::Ring(order) => {
                let names = order.iter().map(|at| format!("n{}", node(at)));
                write!(
                    f,
                    "only neighbours hear: {}",
                    names.collect::<Vec<_>>().join(" ")
                )
            }
            Fault::Clog(a, b) => write!(f, "n{} to n{} is clogged", node(a), node(b)),
            Fault::SlowLink(a, b, by) => write!(f, "n{} to n{} takes {by:?}", node(a), node(b)),
            Fault::Crash(at, kept) => {
                write!(
                    f,
                    "n{} crashes, {kept} % of its unsynced writes survive",
                    node(at)
                )
            }
            Fault::SyncError(at) => write!(f, "the next sync of n{} fails", node(at)),
            Fault::SlowDisk(at, by) => write!(f, "syncs of n{} take {by:?}", node(at)),
            Fault::StalledDisk(at) => write!(f, "syncs of n{} do not end", node(at)),
            Fault::Pause(at) => write!(f, "n{} stands still", node(at)),
            Fault::Drift(at, rate) => write!(f, "the ticks of n{} take {rate} ‰", node(at)),
            Fault::Jump(at, by) => write!(f, "the clock of n{} jumps by {by} µs", node(at)),
        }
    }
}

/// A fault and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injected {
    /// Its place in what the seed draws: its name when a run leaves out others.
    pub number: usize,
    /// When it begins.
    pub from: Time,
    /// When it ends.
    pub until: Time,
    /// What it is.
    pub fault: Fault,
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Injected {
            number,
            from,
            until,
            fault,
        } = self;
        write!(f, "#{number} from {from} to {until}: {fault}")
    }
}

/// Draws the faults of a run over `nodes` nodes that lasts until `end`, in the order in which they begin.
pub fn schedule(random: &mut Random, nodes: usize, end: Time) -> Vec<Injected> {
    let mut drawn: Vec<(Time, Time, Fault)> = Vec::new();
    for kind in Kind::ALL {
        // All draws are made for a kind that is left out, too: kinds do not depend on each other.
        let chosen = random.percent(40);
        let every = Time::millis(random.within(500..=8_000));
        let lasts = Time::millis(random.within(20..=3_000));
        if !chosen || (kind.needs_network() && nodes < 2) {
            continue;
        }
        let mut at = Time(random.below(2 * every.0));
        while at < end {
            let length = Time(1_000 + random.below(2 * lasts.0));
            let until = (at + length).min(end);
            drawn.push((at, until, draw(random, kind, nodes)));
            at = at + Time(1 + random.below(2 * every.0));
        }
    }
    drawn.sort_by_key(|(from, ..)| *from);
    let numbered = drawn.into_iter().enumerate();
    let injected = numbered.map(|(number, (from, until, fault))| Injected {
        number,
        from,
        until,
        fault,
    });
    injected.collect()
}

fn draw(random: &mut Random, kind: Kind, nodes: usize) -> Fault {
    let node = random.below(nodes as u64) as usize;
    let mut order: Vec<usize> = (0..nodes).collect();
    match kind {
        Kind::Loss => Fault::Loss(random.within(1..=60)),
        Kind::Duplication => Fault::Duplication(random.within(1..=60)),
        Kind::Delay => Fault::Delay(Time(random.within(200..=50_000))),
        Kind::Replay => Fault::Replay,
        Kind::Partition => {
            random.shuffle(&mut order);
            let size = random.within(1..=(nodes as u64 / 2).max(1)) as usize;
            let inside = &order[..size];
            Fault::Partition((0..nodes).map(|at| inside.contains(&at)).collect())
        }
        Kind::OneWay => Fault::OneWay(node, random.percent(50)),
        Kind::Ring => {
            random.shuffle(&mut order);
            Fault::Ring(order)
        }
        Kind::Clog => Fault::Clog(node, other(random, node, nodes)),
        Kind::SlowLink => {
            let to = other(random, node, nodes);
            Fault::SlowLink(node, to, Time(random.within(1_000..=300_000)))
        }
        Kind::Crash => Fault::Crash(node, random.within(0..=100)),
        Kind::SyncError => Fault::SyncError(node),
        Kind::SlowDisk => Fault::SlowDisk(node, Time(random.within(5_000..=500_000))),
        Kind::StalledDisk => Fault::StalledDisk(node),
        Kind::Pause => Fault::Pause(node),
        Kind::Drift => Fault::Drift(node, random.within(500..=2_000)),
        Kind::Jump => {
            let by = random.within(1_000..=3_600_000_000) as i64;
            Fault::Jump(
                node,
                if random.percent(50) {
                    by
                } else {
                    -by % 3_000_000
                },
            )
        }
    }
}

/// A node other than `node`.
fn other(random: &mut Random, node: usize, nodes: usize) -> usize {
    let step = random.within(1..=(nodes as u64 - 1).max(1)) as usize;
    (node + step) % nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_kinds_are_in_a_run_and_all_kinds_in_some() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let end = Time::seconds(20);
            let faults = schedule(&mut Random::new(seed, 0), 3, end);
            let kinds: std::collections::BTreeSet<Kind> = faults
                .iter()
                .map(|injected| injected.fault.kind())
                .collect();
            assert!(kinds.len() < Kind::ALL.len(), "seed {seed}");
            assert!(faults.iter().all(|f| f.from < f.until && f.until <= end));
            seen.extend(kinds);
        }
        assert_eq!(seen.len(), Kind::ALL.len());
    }

    #[test]
    fn a_single_node_has_no_network() {
        for seed in 0..20 {
            let faults = schedule(&mut Random::new(seed, 0), 1, Time::seconds(20));
            assert!(faults.iter().all(|f| f.fault.kind() > Kind::SlowLink));
        }
    }

    #[test]
    fn a_ring_of_five_keeps_overlapping_majorities() {
        let ring = Fault::Ring(vec![0, 1, 2, 3, 4]);
        for node in 0..5 {
            let heard = (0..5).filter(|from| !ring.cuts(*from, node));
            assert_eq!(heard.count(), 3, "itself and two neighbours");
        }
    }
}
