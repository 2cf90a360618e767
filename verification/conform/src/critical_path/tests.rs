//! Members by hand, whose logs are read again.

use super::*;
use bytes::Bytes;
use quorate_commit::{Config, Vote};
use quorate_driver::{Fingerprint, Recorder, event_logs};
use quorate_machine::{GroupId, Machine};
use std::path::Path as File;

type Member = Commit<Bytes>;

const GROUP: GroupId = GroupId(4);

/// A member that records what it does. Its disk syncs when it is told to.
struct Node {
    id: NodeId,
    config: Config,
    machine: Member,
    recorder: Recorder,
    gate: Gate<Member>,
    durable: u64,
    written: u64,
}

/// What has left: messages with their senders, and outputs.
#[derive(Default)]
struct Left {
    messages: Vec<(NodeId, NodeId, Message<Bytes>)>,
    outputs: Vec<(NodeId, Output<Bytes>)>,
}

impl Node {
    fn new(folder: &File, id: u32, left: &mut Left) -> Self {
        let id = NodeId(id);
        let config = Config::new(id, (1..=3).map(NodeId));
        let mut fx = Effects::new();
        let machine = Member::start(&config, &Default::default(), &mut fx);
        let recorder = Recorder::create(folder, id, GROUP, Fingerprint::default());
        let mut node = Node {
            id,
            config,
            machine,
            recorder: recorder.expect("a folder"),
            gate: Gate::new(),
            durable: 0,
            written: 0,
        };
        node.absorb(fx, left);
        node
    }

    fn step(&mut self, event: Event<Member>, left: &mut Left) {
        self.recorder.event(&event);
        let mut fx = Effects::new();
        self.machine.step(&self.config, event, &mut fx);
        self.absorb(fx, left);
    }

    fn absorb(&mut self, mut fx: Effects<Member>, left: &mut Left) {
        self.recorder.effects(&fx);
        fx.drain_timers().for_each(drop);
        fx.drain_immediate()
            .for_each(|immediate| self.let_go(immediate, left));
        self.written += self.gate.absorb(&mut fx).len() as u64;
        self.release(left);
    }

    fn sync(&mut self, left: &mut Left) {
        if self.written > self.durable {
            self.gate.synced(self.written - self.durable);
            self.durable = self.written;
            self.recorder.durable(self.durable);
            self.release(left);
        }
    }

    fn release(&mut self, left: &mut Left) {
        while let Some(promise) = self.gate.release() {
            self.let_go(promise, left);
        }
        self.recorder.flush();
    }

    fn let_go(&self, promise: Promise<Member>, left: &mut Left) {
        match promise {
            Promise::Send { to, message } => left.messages.push((self.id, to, message)),
            Promise::Output(output) => left.outputs.push((self.id, output)),
        }
    }
}

/// Three members.
struct Group {
    folder: tempfile::TempDir,
    nodes: Vec<Node>,
    left: Left,
}

impl Group {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut left = Left::default();
        let nodes = (1..=3).map(|id| Node::new(folder.path(), id, &mut left));
        Group {
            nodes: nodes.collect(),
            folder,
            left,
        }
    }

    fn step(&mut self, id: u32, event: Event<Member>) {
        self.nodes[id as usize - 1].step(event, &mut self.left);
    }

    fn sync(&mut self, id: u32) {
        self.nodes[id as usize - 1].sync(&mut self.left);
    }

    /// Member 1 coordinates what 2 and 3 are to do.
    fn begin(&mut self, request: u64) {
        let work = [2, 3].map(|id| (NodeId(id), Bytes::from_static(b"work")));
        let begin = Command::Begin {
            request: RequestId(request),
            mode: Mode::Blocking,
            work: work.into(),
        };
        self.step(1, Event::Command(begin));
    }

    /// Delivers all that is under way to a member.
    fn deliver(&mut self, id: u32) {
        let all = std::mem::take(&mut self.left.messages);
        let (here, elsewhere) = all.into_iter().partition(|(_, to, _)| to.0 == id);
        self.left.messages = elsewhere;
        let here: Vec<(NodeId, NodeId, Message<Bytes>)> = here;
        for (from, _, message) in here {
            self.step(id, Event::Receive { from, message });
        }
    }

    /// The resource of a member prepares what it was asked to.
    fn prepare(&mut self, id: u32) {
        for (at, output) in std::mem::take(&mut self.left.outputs) {
            match output {
                Output::Prepare { txn, .. } if at.0 == id => {
                    let vote = Vote::Yes;
                    self.step(id, Event::Command(Command::Prepared { txn, vote }));
                }
                other => self.left.outputs.push((at, other)),
            }
        }
    }

    /// One transaction to its end; the vote of member 3 comes last.
    fn run(&mut self, request: u64) {
        self.begin(request);
        self.sync(1);
        for id in [2, 3] {
            self.deliver(id);
            self.prepare(id);
            self.sync(id);
            self.deliver(1);
        }
        self.sync(1);
        for id in [2, 3] {
            self.deliver(id);
            self.sync(id);
        }
    }

    fn paths(&self) -> Vec<TransactionPath> {
        transactions(&self.lives()).expect("logs of a machine")
    }

    fn lives(&self) -> Vec<Life<Member>> {
        let lives = self.nodes.iter().map(|node| Life {
            config: node.config.clone(),
            logs: event_logs(self.folder.path(), node.id, GROUP).expect("logs"),
        });
        lives.collect()
    }
}

fn step(member: u32, what: &str) -> Hop {
    let what = what.to_owned();
    Hop::Step { member, what }
}

fn message(from: u32, to: u32, what: &str) -> Hop {
    let what = what.to_owned();
    Hop::Message { from, to, what }
}

fn sync(member: u32) -> Hop {
    Hop::Sync { member, own: true }
}

#[test]
fn a_transaction_alone_takes_two_messages_and_two_syncs_and_the_last_vote_counts() {
    let mut group = Group::new();
    group.run(1);
    group.run(2);
    let [first, second] = &group.paths()[..] else {
        panic!("two transactions");
    };
    let told = second.told.as_ref().expect("it has ended");
    let hops = [
        step(1, "a caller begins it"),
        message(1, 3, "Prepare"),
        step(3, "the resource has prepared: Yes"),
        sync(3),
        message(3, 1, "Voted Yes"),
        sync(1),
        step(1, "the caller is told: committed"),
    ];
    assert_eq!(told.hops, hops);
    assert_eq!((told.messages(), told.syncs(), told.waits()), (2, 2, 0));
    let last = second.carried_out.as_ref().expect("it has committed");
    assert_eq!((last.messages(), last.syncs(), last.waits()), (3, 2, 0));
    // Prepare, Voted and Decided, to and from two participants each.
    assert_eq!((second.request, second.messages), (2, 6));
    assert_eq!(second.committed, Some(true));

    // The first of a coordinator's life makes its epoch durable.
    let told = first.told.as_ref().expect("it has ended");
    assert_eq!((told.messages(), told.syncs(), told.waits()), (2, 3, 0));
    assert!(!told.has_timers());
}

#[test]
fn what_waits_for_records_of_another_transaction_is_told_apart() {
    let mut group = Group::new();
    group.begin(1);
    group.begin(2);
    assert!(group.left.messages.is_empty(), "both wait for the epoch");
    group.sync(1);
    for id in [2, 3] {
        group.deliver(id);
        group.prepare(id);
        group.sync(id);
    }
    group.deliver(1);
    group.sync(1);
    let paths = group.paths();
    let told = paths[1].told.as_ref().expect("it has ended");
    assert_eq!((told.messages(), told.syncs(), told.waits()), (2, 2, 1));
    // The first's step wrote the epoch.
    let others = Hop::Sync {
        member: 1,
        own: false,
    };
    assert_eq!(told.hops[1], others);
}

/// Concurrent transactions share syncs, and none waits for a sync more because of the others.
#[test]
fn a_question_waits_for_no_records_of_another_transaction() {
    let mut group = Group::new();
    group.run(1);
    group.begin(2);
    for id in [2, 3] {
        group.deliver(id);
        group.prepare(id);
        group.sync(id);
        group.deliver(1);
    }
    // The second has its votes and is being committed while the third begins, and is prepared.
    group.begin(3);
    assert!(!group.left.messages.is_empty(), "it has left");
    for id in [2, 3] {
        group.deliver(id);
        group.prepare(id);
    }
    for id in [1, 2, 3] {
        group.sync(id);
    }
    group.deliver(1);
    group.sync(1);
    let paths = group.paths();
    let told = paths[2].told.as_ref().expect("it has ended");
    assert_eq!((told.messages(), told.syncs(), told.waits()), (2, 2, 0));
}

#[test]
fn an_outcome_by_a_timer_says_so() {
    let mut group = Group::new();
    group.begin(1);
    group.sync(1);
    let txn = group.nodes[0].machine.coordinator().open().next();
    let txn = txn.expect("it is open").0;
    group.step(1, Event::Timeout(Timer::Votes(txn)));
    let paths = group.paths();
    assert_eq!(paths[0].committed, Some(false));
    let told = paths[0].told.as_ref().expect("it has ended");
    assert!(told.has_timers());
    assert_eq!(told.messages(), 0);
    assert_eq!(paths[0].carried_out, None);
}

#[test]
fn a_log_that_is_not_the_machines_is_refused() {
    let mut group = Group::new();
    group.run(1);
    let log = group.lives()[1].logs[0].clone();
    let text = std::fs::read_to_string(&log).expect("a log");
    std::fs::write(
        &log,
        text.replace("Uncertain", "Certain")
            .replace("Voted", "Noted"),
    )
    .expect("a file");
    let refused = transactions(&group.lives());
    assert!(matches!(refused, Err(ConformError::Replay(_))));
}
