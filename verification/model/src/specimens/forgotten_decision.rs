//! Two-phase commit as it is often sketched: the coordinator keeps its decision in memory, and takes a commit round
//! that not everybody answers for a failure of the transaction.
//!
//! The first mistake is found in a crash. A restarted coordinator knows of nothing, tells the participant that asks
//! to abort, and the other has long committed. The second needs no crash at all: a lost acknowledgement, and the
//! caller is told that nothing has happened. What helps is one durable record before anybody is told to commit, and
//! to repeat the commit round, since it cannot fail any more. (Bernstein, Hadzilacos and Goodman, 1987, chapter 7.)

use super::Specimen;
use crate::{Bounds, Scenario, State};
use quorate_machine::{Effects, Event, Machine, NodeId};
use std::collections::BTreeSet;

/// The property that a decision in memory breaks.
pub const AGREE: &str = "no participant commits what another aborts";
/// The property that a commit round taken for a failure breaks.
pub const TRUTH: &str = "a caller that is told of a failure finds nothing committed";

const COORDINATOR: NodeId = NodeId(1);
const PARTICIPANTS: [NodeId; 2] = [NodeId(2), NodeId(3)];

/// How the coordinator goes about it.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    id: NodeId,
    /// It writes its decision down before it tells anybody.
    durable: bool,
    /// It does not take silence in the commit round for a failure.
    patient: bool,
}

/// Where a node is in the only transaction: the coordinator, or a participant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node {
    stage: Stage,
    /// The coordinator's: whose answer is there.
    heard: BTreeSet<NodeId>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Nothing has begun, or, at a restarted coordinator, nothing is known.
    #[default]
    Idle,
    /// Votes are awaited, or a participant has voted yes.
    Voting,
    /// It is committed.
    Committed,
    /// It is aborted.
    Aborted,
}

/// What nodes say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// The coordinator asks for votes.
    Prepare,
    /// A participant votes yes, or, if it does so again, asks for the decision.
    Yes,
    /// The decision.
    Decided {
        /// What it is.
        commit: bool,
    },
    /// A participant has committed.
    Done,
}

impl Machine for Node {
    type Config = Manner;
    /// Move the money.
    type Command = ();
    type Message = Message;
    /// Patience is over.
    type Timer = ();
    type Record = Stage;
    type Durable = Stage;
    /// To the caller: whether it has committed.
    type Output = bool;

    fn apply(durable: &mut Stage, record: &Stage) {
        *durable = *record;
    }

    fn start(manner: &Manner, durable: &Stage, fx: &mut Effects<Self>) -> Self {
        if *durable == Stage::Voting && manner.id != COORDINATOR {
            fx.arm((), 1..=1);
        }
        Node {
            stage: *durable,
            heard: BTreeSet::new(),
        }
    }

    fn step(&mut self, manner: &Manner, event: Event<Self>, fx: &mut Effects<Self>) {
        let coordinates = manner.id == COORDINATOR;
        match event {
            Event::Command(()) if coordinates && self.stage == Stage::Idle => {
                self.stage = Stage::Voting;
                fx.arm((), 1..=1);
                for node in PARTICIPANTS {
                    fx.send(node, Message::Prepare);
                }
            }
            Event::Command(()) => {}
            Event::Receive { from, message } if coordinates => {
                self.coordinate(manner, from, &message, fx);
            }
            Event::Receive { message, .. } => self.take_part(&message, fx),
            Event::Timeout(()) if coordinates => self.lose_patience(manner, fx),
            Event::Timeout(()) => {
                if self.stage == Stage::Voting {
                    fx.send(COORDINATOR, Message::Yes);
                    fx.arm((), 1..=1);
                }
            }
        }
    }

    fn backed(_: NodeId, message: &Message, sender: &Stage) -> bool {
        match message {
            Message::Yes | Message::Done => *sender != Stage::Idle,
            // Whether anything stands behind a decision is the question here.
            Message::Prepare | Message::Decided { .. } => true,
        }
    }
}

impl Node {
    fn coordinate(
        &mut self,
        manner: &Manner,
        from: NodeId,
        message: &Message,
        fx: &mut Effects<Self>,
    ) {
        match (message, self.stage) {
            (Message::Yes, Stage::Voting) => {
                self.heard.insert(from);
                if self.heard.len() == PARTICIPANTS.len() {
                    self.heard.clear();
                    self.stage = Stage::Committed;
                    if manner.durable {
                        fx.persist(Stage::Committed);
                    }
                    for node in PARTICIPANTS {
                        fx.send(node, Message::Decided { commit: true });
                    }
                    if manner.patient {
                        fx.disarm(());
                    } else {
                        fx.arm((), 1..=1);
                    }
                }
            }
            // Asked again.
            (Message::Yes, stage) => {
                let commit = stage == Stage::Committed;
                fx.send(from, Message::Decided { commit });
            }
            // One who has done it is enough to know, and all are wanted by those who take the others for lost.
            (Message::Done, Stage::Committed) => {
                self.heard.insert(from);
                let enough = if manner.patient {
                    1
                } else {
                    PARTICIPANTS.len()
                };
                if self.heard.len() == enough {
                    fx.disarm(());
                    fx.output(true);
                }
            }
            _ => {}
        }
    }

    fn take_part(&mut self, message: &Message, fx: &mut Effects<Self>) {
        match (message, self.stage) {
            (Message::Prepare, Stage::Idle) => {
                self.stage = Stage::Voting;
                fx.persist(Stage::Voting);
                fx.send(COORDINATOR, Message::Yes);
                fx.arm((), 1..=1);
            }
            (Message::Decided { commit }, Stage::Voting) => {
                self.stage = match commit {
                    true => Stage::Committed,
                    false => Stage::Aborted,
                };
                fx.persist(self.stage);
                fx.disarm(());
                if *commit {
                    fx.send(COORDINATOR, Message::Done);
                }
            }
            _ => {}
        }
    }

    fn lose_patience(&mut self, manner: &Manner, fx: &mut Effects<Self>) {
        match self.stage {
            Stage::Voting => {
                self.stage = Stage::Aborted;
                fx.output(false);
                for node in PARTICIPANTS {
                    fx.send(node, Message::Decided { commit: false });
                }
            }
            Stage::Committed if !manner.patient => fx.output(false),
            _ => {}
        }
    }
}

/// Whether a participant's disk says that it has come so far.
fn at(state: &State<Scenario<Node>>, stage: Stage) -> bool {
    let participants = state.nodes().skip(1);
    let mut disks = participants.map(|node| *node.durable());
    disks.any(|disk| disk == stage)
}

/// A transaction of two participants. The coordinator makes its decision durable, or not; it knows that a commit
/// round cannot fail, or not.
pub fn scenario(durable: bool, patient: bool) -> Scenario<Node> {
    let name = match (durable, patient) {
        (true, true) => "a decision that is written down, and told as it is",
        (false, _) => "a decision in memory",
        (true, false) => "a commit round taken for a failure",
    };
    let manner = move |id, _: &[NodeId]| Manner {
        id,
        durable,
        patient,
    };
    Scenario::new(name, 3, manner)
        .bounds(Bounds {
            unsynced: 1,
            in_flight: 3,
            ..Bounds::default()
        })
        .client([()])
        .always(AGREE, |state| {
            !(at(state, Stage::Committed) && at(state, Stage::Aborted))
        })
        .always(TRUTH, |state| {
            let failed = state.clients().told().any(|committed| !committed);
            !(failed && at(state, Stage::Committed))
        })
        .sometimes("both commit", |state| {
            let participants = state.nodes().skip(1);
            let mut disks = participants.map(|node| *node.durable());
            disks.all(|disk| disk == Stage::Committed)
        })
}

/// The decision is in memory only.
pub fn in_memory() -> Specimen<Scenario<Node>> {
    Specimen {
        protocol: scenario(false, true),
        breaks: AGREE,
    }
}

/// Whoever does not answer to a commit is taken for a failure.
pub fn taken_for_failure() -> Specimen<Scenario<Node>> {
    Specimen {
        protocol: scenario(true, false),
        breaks: TRUTH,
    }
}
