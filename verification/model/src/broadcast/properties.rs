//! What must hold of causal broadcast in every state, and what must be reachable.

use super::applications::Wrong;
use super::{BroadcastModel, Limits, disks};
use crate::{Node, Property, Protocol, State};
use quorate_broadcast::{Broadcast, Clock, Ledger, invariants};
use quorate_machine::NodeId;

type Found = State<BroadcastModel>;

/// The properties of Cachin, Guerraoui and Rodrigues (2011), modules 3.9 and 3.3, as applications see
/// them; and what garbage collection and acknowledgements promise, of the disks.
pub(super) fn safety() -> Vec<Property<BroadcastModel>> {
    let never =
        |name, wrong| Property::always(name, move |state: &Found, _| state.clients().never(wrong));
    vec![
        never("causes are delivered first", Wrong::CauseMissing),
        never(
            "messages of a sender are delivered in order",
            Wrong::OutOfOrder,
        ),
        never("no message is delivered twice", Wrong::Twice),
        never("only what was broadcast is delivered", Wrong::Created),
        never("a number is given once", Wrong::NumberReused),
        never("delivered again in the same order", Wrong::OrderChanged),
        Property::always(
            "what is known is on its sender's disk",
            |state: &Found, _| {
                let applications = state.clients();
                disks(state).enumerate().all(|(slot, (sender, disk))| {
                    disk.holds().get(sender) >= applications.numbered(slot)
                })
            },
        ),
        Property::always("told stable means held by all", |state: &Found, _| {
            let applications = state.clients();
            disks(state).enumerate().all(|(slot, (sender, _))| {
                let told = applications.told_stable(slot);
                disks(state).all(|(_, disk)| disk.holds().get(sender) >= told)
            })
        }),
        Property::always("collected means held by all", |state: &Found, model| {
            let running = model.nodes().iter().zip(state.nodes());
            let running = running.filter_map(|(id, node)| Some((*id, node.machine()?.ledger())));
            let ledgers = running.chain(disks(state));
            ledgers
                .into_iter()
                .all(|(id, ledger)| invariants::floor_is_held(id, ledger.floor(), disks(state)))
        }),
        Property::always(
            "whoever has a message keeps it until all have it",
            |state: &Found, _| disks(state).all(|(_, disk)| keeps(state, disk)),
        ),
        Property::always("members hold the same messages", |state: &Found, model| {
            model.nodes().iter().all(|sender| {
                let pairs =
                    disks(state).flat_map(|one| disks(state).map(move |other| (one, other)));
                pairs
                    .into_iter()
                    .all(|((_, one), (_, other))| invariants::same_messages(*sender, one, other))
            })
        }),
        Property::always("memory and disk agree once synced", |state: &Found, _| {
            let mut running = state.nodes().filter_map(Node::up);
            running.all(|up| !up.unsynced.is_empty() || remembers(up.machine.ledger(), &up.durable))
        }),
        Property::always(
            "who holds the same has delivered the same",
            |state: &Found, _| agreement(state),
        ),
    ]
}

/// Whether a disk that holds a message which another lacks can still supply it.
fn keeps(state: &Found, disk: &Ledger<u8>) -> bool {
    let mut held = disk.holds().iter();
    held.all(|(sender, number)| {
        disks(state).all(|(_, other)| {
            let lacking = other.holds().get(sender);
            let mut kept = disk.kept_after(sender, lacking);
            lacking >= number || kept.next().is_some_and(|batch| batch.first == lacking + 1)
        })
    })
}

/// Whether a restart would find what is believed; the disk may be behind in what is let go.
fn remembers(memory: &Ledger<u8>, disk: &Ledger<u8>) -> bool {
    let positions = (memory.position(), memory.holds(), memory.delivered());
    let let_go = disk.floor().iter().all(|(m, n)| memory.floor().get(m) >= n);
    positions == (disk.position(), disk.holds(), disk.delivered())
        && let_go
        && disk.consumed() <= memory.consumed()
}

/// Members that are up, whose disks are not busy, and that hold the same messages, have told their
/// applications the same; and if that is all members, there is nothing left that waits.
fn agreement(state: &Found) -> bool {
    let told = state.clients().sets();
    let settled = state.nodes().zip(told).filter_map(|(node, told)| {
        let up = node.up()?;
        let ledger = up.machine.ledger();
        let idle = up.unsynced.is_empty() && up.gate.waiting().len() == 0;
        idle.then_some((ledger.holds(), ledger.delivered(), told))
    });
    let settled: Vec<(&Clock, &Clock, u16)> = settled.collect();
    let same = settled.windows(2).all(|pair| pair[0].0 == pair[1].0);
    let all = same && settled.len() == state.nodes().len();
    let mut pairs = settled
        .iter()
        .flat_map(|one| settled.iter().map(move |other| (one, other)));
    pairs.all(|(one, other)| one.0 != other.0 || (one.1 == other.1 && one.2 == other.2))
        && (!all
            || settled
                .iter()
                .all(|(holds, delivered, _)| holds == delivered))
}

fn machines(state: &Found) -> impl Iterator<Item = &Broadcast<u8>> {
    state.machines()
}

/// Evidence that the model reaches what it is there to explore.
pub(super) fn reachable(limits: &Limits) -> Vec<Property<BroadcastModel>> {
    let senders = limits.broadcasts.iter().filter(|count| **count > 0).count();
    let mut all = vec![Property::sometimes(
        "every application is told everything",
        |s: &Found, model: &BroadcastModel| {
            let total: u8 = model.limits.broadcasts.iter().sum();
            let mut sets = s.clients().sets();
            sets.all(|set| set.count_ones() == u32::from(total))
        },
    )];
    if senders > 1 {
        all.push(Property::sometimes(
            "a message answers another",
            |s: &Found, _| s.clients().has_answer(),
        ));
        if limits.broadcasts.len() > 2 {
            all.push(Property::sometimes(
                "a message waits for its cause",
                |s: &Found, model: &BroadcastModel| {
                    let waits = |m: &Broadcast<u8>| {
                        model
                            .nodes
                            .iter()
                            .any(|sender| m.ledger().pending(*sender) > 0)
                    };
                    machines(s).any(waits)
                },
            ));
        }
        if !limits.replies {
            all.push(Property::sometimes(
                "concurrent messages are delivered in different orders",
                |s: &Found, _| s.clients().orders_differ(),
            ));
        }
    }
    if limits.batch > 1 {
        all.push(Property::sometimes(
            "a batch has two messages",
            |s: &Found, model| {
                let any = |(_, disk): (NodeId, &Ledger<u8>)| {
                    let mut senders = model.nodes.iter();
                    senders.any(|sender| {
                        let mut kept = disk.kept_after(*sender, 0);
                        kept.any(|batch| batch.payloads.len() > 1)
                    })
                };
                disks(s).any(any)
            },
        ));
    }
    if limits.consumers.len() == limits.broadcasts.len() {
        all.push(Property::sometimes(
            "a disk forgets what everybody has",
            |s: &Found, _| {
                disks(s).any(|(_, disk)| {
                    let mut held = disk.holds().iter();
                    held.any(|(sender, number)| (disk.kept(sender).0 as u64) < number)
                })
            },
        ));
    }
    if limits.crashes > 0 {
        all.push(Property::sometimes(
            "something is delivered again",
            |s: &Found, _| s.clients().redelivered(),
        ));
        if !limits.repairers.is_empty() && limits.broadcasts.len() > 2 {
            all.push(Property::sometimes(
                "a message comes from another than its sender, which is down",
                |s: &Found, model: &BroadcastModel| relayed(s, model),
            ));
        }
    }
    if usize::from(limits.broadcasts.iter().copied().max().unwrap_or_default()) > limits.window {
        all.push(Property::sometimes(
            "a window is full",
            |s: &Found, model| {
                let members = model.nodes().iter().zip(s.nodes());
                members.into_iter().any(|(id, node)| {
                    let kept = node
                        .machine()
                        .map(|m| m.ledger().kept(*id).0 + m.gathered());
                    kept.is_some_and(|kept| kept >= model.config(*id).window_messages)
                })
            },
        ));
    }
    all
}

/// Whether a supply of a message is on its way to somebody who lacks it, while its sender is down.
fn relayed(state: &Found, model: &BroadcastModel) -> bool {
    let up = |id: NodeId| state.nodes().nth(id.0 as usize - 1).and_then(Node::machine);
    state.network().any(|envelope| {
        let lacks = |sender: NodeId, first: u64| {
            up(envelope.to).is_some_and(|to| to.ledger().holds().get(sender) < first)
        };
        let mut batches = envelope.message.batches().iter();
        batches.any(|batch| {
            model.nodes.contains(&batch.sender)
                && batch.sender != envelope.from
                && up(batch.sender).is_none()
                && lacks(batch.sender, batch.first)
        })
    })
}
