//! What must hold of two-phase commit in every state, and what must be reachable.

use super::{CommitModel, Limits, Node};
use crate::{Property, State, Up};
use quorate_commit::{Decision, Message, Mode, Phase, Record, Stage, TxnId, Vote, invariants};
use quorate_machine::NodeId;
use std::collections::{BTreeMap, BTreeSet};

type Found = State<CommitModel>;

/// All who decide decide the same, callers included.
const AC1: &str = "AC1: all who decide decide the same";
/// No resource is told the contrary of what it was told before.
const AC2: &str = "AC2: no decision is changed";
/// Nothing commits without every vote.
const AC3: &str = "AC3: commit only if all have voted yes";
/// Without a failure and a vote against, nothing aborts.
const AC4: &str = "AC4: all vote yes and nothing fails, then nothing aborts";
/// What plain two-phase commit cannot get out of by itself.
const BLOCKED: &str =
    "blocked: the coordinator is down, and all the others that are up are uncertain";

pub(super) fn safety(limits: &Limits) -> Vec<Property<CommitModel>> {
    let mut all = vec![
        Property::always(AC1, |state: &Found, _| {
            let mut decided = BTreeMap::new();
            let mut told = state.clients().told();
            told.all(|(txn, decision)| *decided.entry(txn).or_insert(decision) == decision)
        }),
        Property::always(AC2, |state: &Found, _| {
            let mut resources = state.clients().resources();
            resources.all(|(_, _, resource)| !resource.contradicted)
        }),
        Property::always(AC3, |state: &Found, model| {
            every_committed(state, model, |node, txn| {
                state.clients().resource(node, txn).voted == Some(Vote::Yes)
            })
        }),
        Property::always(
            "a yes vote is durable until all is done",
            |state: &Found, model| {
                let disks = || model.nodes.iter().zip(state.nodes());
                every_committed(state, model, |node, txn| {
                    let mut own = disks().filter(|(id, _)| **id == node);
                    let resource = state.clients().resource(node, txn);
                    let done = resource.done && resource.told == Some(Decision::Commit);
                    done || own.any(|(_, node)| node.durable().votes.contains_key(&txn))
                })
            },
        ),
        Property::always(
            "no disk decides otherwise than another",
            |state: &Found, _| invariants::agreement(state.nodes().map(crate::Node::durable)),
        ),
        Property::always("memory and disk agree once synced", |state: &Found, _| {
            running(state).all(|(up, _)| {
                !up.unsynced.is_empty() || invariants::memory_is_disk(&up.machine, &up.durable)
            })
        }),
        Property::always(
            "what has committed is not prepared again",
            |state: &Found, _| {
                let mut resources = state.clients().resources();
                resources.all(|(_, _, resource)| !resource.asked_again)
            },
        ),
        Property::always("who waits has a timer", |state: &Found, _| {
            running(state).all(|(up, _)| is_watched(up))
        }),
    ];
    if limits.refusals == 0 && limits.crashes == 0 && !limits.impatience {
        all.push(Property::always(AC4, |state: &Found, _| {
            let mut told = state.clients().told();
            told.all(|(_, decision)| decision == Decision::Commit)
        }));
    }
    all
}

/// The nodes that are up.
fn running(state: &Found) -> impl Iterator<Item = (&Up<Node>, usize)> {
    let nodes = state.nodes().zip(0..);
    nodes.filter_map(|(node, at)| Some((node.up()?, at)))
}

/// Whether something holds of every participant of every transaction that somebody takes for committed.
fn every_committed(
    state: &Found,
    model: &CommitModel,
    holds: impl Fn(NodeId, TxnId) -> bool,
) -> bool {
    let told = state.clients().told();
    let told = told.filter(|(_, decision)| *decision == Decision::Commit);
    let disks = state.nodes().flat_map(|node| &node.durable().committed);
    let disks = disks.filter(|(_, committed)| committed.mode == Mode::Blocking);
    let mut all = told.map(|(txn, _)| txn).chain(disks.map(|(txn, _)| *txn));
    all.all(|txn| {
        let participants = model.participants(state.clients(), txn);
        participants.iter().all(|node| holds(*node, txn))
    })
}

/// Whether whatever waits for somebody else will do something about it.
fn is_watched(up: &Up<Node>) -> bool {
    use quorate_commit::Timer;
    let armed = |timer| up.timers.contains(&timer);
    let mut joined = up.machine.participant().joined();
    let mut open = up.machine.coordinator().open();
    joined.all(|(txn, part)| part.phase == Phase::Preparing || armed(Timer::Waiting(txn)))
        && open.all(|(txn, open)| {
            matches!(open.stage, Stage::Committed(_)) || armed(Timer::Votes(txn))
        })
}

/// Whether a message about a transaction is on its way.
fn in_flight(state: &Found, is: impl Fn(&Message<()>) -> bool) -> bool {
    state.network().any(|envelope| is(&envelope.message))
}

/// Whether the coordinator of a transaction is down, and all others who are up and take part are uncertain, with
/// nothing on its way that would help them.
pub(super) fn is_blocked(state: &Found, model: &CommitModel) -> bool {
    let is_up = |id: NodeId| {
        let mut nodes = model.nodes.iter().zip(state.nodes());
        nodes.any(|(node, one)| *node == id && one.up().is_some())
    };
    let uncertain = running(state).flat_map(|(up, _)| up.machine.participant().joined());
    let mut uncertain = uncertain.filter(|(_, part)| part.phase == Phase::Uncertain);
    uncertain.any(|(txn, part)| {
        let others = running(state).filter(|(_, at)| part.participants.contains(&model.nodes[*at]));
        let mut phases = others.map(|(up, _)| up.machine.participant().phase(txn));
        !is_up(txn.coordinator)
            && phases.all(|phase| phase == Some(Phase::Uncertain))
            && !in_flight(state, |message| {
                message.txn() == txn
                    && !matches!(message, Message::Voted { .. } | Message::Inquire { .. })
            })
    })
}

/// Evidence that the model reaches what it is there to explore.
pub(super) fn reachable(limits: &Limits) -> Vec<Property<CommitModel>> {
    let mut all = vec![
        Property::sometimes("a transaction commits", |s: &Found, _| {
            s.clients()
                .callers()
                .iter()
                .any(|caller| caller.answers.committed)
        }),
        Property::sometimes(
            "a committed transaction ends, and is forgotten",
            |s: &Found, _| {
                let committed = s
                    .clients()
                    .callers()
                    .iter()
                    .any(|caller| caller.answers.committed);
                committed
                    && s.nodes().all(|node| {
                        let disk = node.durable();
                        disk.committed.is_empty() && disk.votes.is_empty()
                    })
            },
        ),
    ];
    if limits.impatience {
        all.push(Property::sometimes(
            "a coordinator loses patience",
            |s: &Found, _| {
                s.clients()
                    .callers()
                    .iter()
                    .any(|caller| caller.answers.aborted)
            },
        ));
        all.push(Property::sometimes(
            "a vote arrives that comes too late",
            |s: &Found, _| {
                s.network().any(|envelope| {
                    let late = |txn: TxnId| {
                        let mut callers = s.clients().callers().iter();
                        callers.any(|one| one.txn == Some(txn) && one.answers.aborted)
                    };
                    matches!(envelope.message, Message::Voted { txn, vote: Vote::Yes } if late(txn))
                })
            },
        ));
    }
    if limits.refusals > 0 {
        all.push(Property::sometimes(
            "a vote against aborts what others have voted for",
            |s: &Found, _| {
                let mut resources = s.clients().resources();
                let refused = |txn| {
                    let mut others = s.clients().resources();
                    others.any(|(_, of, one)| of == txn && one.voted == Some(Vote::No))
                };
                resources.any(|(_, txn, one)| {
                    one.voted == Some(Vote::Yes) && one.told.is_some() && refused(txn)
                })
            },
        ));
    }
    if limits.transactions.len() > 1 {
        all.push(Property::sometimes(
            "one transaction commits while another aborts",
            |s: &Found, _| {
                let callers = s.clients().callers();
                callers.iter().any(|caller| caller.answers.committed)
                    && callers.iter().any(|caller| caller.answers.aborted)
            },
        ));
    }
    let coordinators = limits
        .transactions
        .iter()
        .map(|(coordinator, _)| coordinator);
    let distinct: BTreeSet<_> = coordinators.clone().collect();
    if distinct.len() < coordinators.count() {
        all.push(Property::sometimes(
            "a question leaves although records wait for the disk",
            |s: &Found, _| {
                // What its caller is told of it waits for them.
                let told = |txn| {
                    let mut callers = s.clients().callers().iter();
                    callers.any(|one| one.txn == Some(txn))
                };
                in_flight(
                    s,
                    |message| matches!(message, Message::Prepare { txn, .. } if !told(*txn)),
                )
            },
        ));
    }
    if limits.crashes > 0 {
        all.extend(after_crashes(limits));
    }
    all
}

fn after_crashes(limits: &Limits) -> Vec<Property<CommitModel>> {
    let mut all = Vec::new();
    let may_crash = |(_, participants): &(u32, Vec<u32>)| {
        participants.iter().any(|id| !limits.steady.contains(id))
    };
    if limits.transactions.iter().any(may_crash) {
        all.extend([
            Property::sometimes(
                "a crash hits a vote that is not durable",
                |s: &Found, m: &CommitModel| {
                    s.spent().crashes < m.limits.crashes
                        && running(s).any(|(up, _)| {
                            let mut records = up.unsynced.iter().flatten();
                            records.any(|record| matches!(record, Record::Voted { .. }))
                        })
                },
            ),
            Property::sometimes(
                "a crash takes a decision that a resource has heard",
                |s: &Found, m: &CommitModel| {
                    let mut nodes = m.nodes.iter().zip(s.nodes());
                    nodes.any(|(id, node)| {
                        let mut votes = node.durable().votes.iter();
                        let heard = |txn| s.clients().resource(*id, txn).told.is_some();
                        node.up().is_none()
                            && votes.any(|(txn, joined)| joined.decision.is_none() && heard(*txn))
                    })
                },
            ),
            Property::sometimes("a participant crashes uncertain", |s: &Found, _| {
                let mut down = s.nodes().filter(|node| node.up().is_none());
                down.any(|node| {
                    let mut votes = node.durable().votes.values();
                    votes.any(|joined| joined.decision.is_none())
                })
            }),
        ]);
    }
    let alone = |(coordinator, participants): &(u32, Vec<u32>)| !participants.contains(coordinator);
    let helped = limits
        .transactions
        .iter()
        .any(|one| alone(one) && one.1.len() > 1);
    if limits.mode == Mode::Blocking && limits.transactions.iter().any(alone) {
        all.push(Property::sometimes(BLOCKED, is_blocked));
    }
    if limits.mode == Mode::Blocking && helped {
        all.push(Property::sometimes(
            "one who has committed tells another",
            |s: &Found, _| {
                in_flight(s, |message| {
                    let decision = Decision::Commit;
                    matches!(message, Message::Answered { decision: told, .. } if *told == decision)
                })
            },
        ));
        all.push(Property::sometimes(
            "one who has not voted gives up its vote to help another",
            |s: &Found, _| {
                in_flight(s, |message| {
                    let decision = Decision::Abort;
                    matches!(message, Message::Answered { decision: told, .. } if *told == decision)
                })
            },
        ));
    }
    if limits.mode == Mode::NonBlocking {
        all.push(Property::sometimes(
            "participants abort what their coordinator wanted to commit",
            |s: &Found, _| {
                let proposed = s.nodes().flat_map(|node| &node.durable().committed);
                let mut proposed = proposed.map(|(txn, _)| *txn);
                proposed.any(|txn| s.clients().told().any(|one| one == (txn, Decision::Abort)))
            },
        ));
        all.push(Property::sometimes(
            "participants learn that it is committed from each other",
            |s: &Found, m: &CommitModel| {
                let down = m.nodes.iter().zip(s.nodes());
                let mut down = down.filter(|(_, node)| node.up().is_none());
                let told = |id: NodeId| {
                    let mut told = s.clients().told();
                    told.any(|(txn, what)| txn.coordinator == id && what == Decision::Commit)
                };
                let silent = s
                    .clients()
                    .callers()
                    .iter()
                    .all(|one| !one.answers.committed);
                silent && down.any(|(id, _)| told(*id))
            },
        ));
    }
    if limits.questions > 0 {
        all.push(Property::sometimes(
            "a caller learns that a crash has aborted its transaction",
            |s: &Found, _| {
                s.clients()
                    .callers()
                    .iter()
                    .any(|caller| caller.answers.aborted)
                    && s.spent().crashes > 0
            },
        ));
        all.push(Property::sometimes(
            "a caller is told that nobody knows",
            |s: &Found, _| {
                s.clients()
                    .callers()
                    .iter()
                    .any(|caller| caller.answers.unknown)
            },
        ));
    }
    all
}
