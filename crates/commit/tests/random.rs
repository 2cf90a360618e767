//! Whatever members, callers and resources say, in any order and however senseless: no step panics, memory stays what
//! the disk says, and nothing that a step may not do is done.

use proptest::prelude::*;
use quorate_commit::{
    Command, Commit, Config, Decision, Durable, Message, Mode, RequestId, Timer, TxnId, Vote,
    invariants,
};
use quorate_machine::{Effects, Event, Gate, Machine, NodeId, Promise};

type Node = Commit<()>;

fn nodes() -> impl Strategy<Value = NodeId> {
    prop_oneof![8 => (1..=3_u32).prop_map(NodeId), 1 => any::<u32>().prop_map(NodeId)]
}

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..=3_u64, 1 => any::<u64>()]
}

fn txns() -> impl Strategy<Value = TxnId> {
    (nodes(), numbers(), numbers()).prop_map(|(coordinator, epoch, number)| TxnId {
        coordinator,
        epoch,
        number,
    })
}

fn votes() -> impl Strategy<Value = Vote> {
    prop_oneof![3 => Just(Vote::Yes), 1 => Just(Vote::No)]
}

fn decisions() -> impl Strategy<Value = Decision> {
    prop_oneof![Just(Decision::Commit), Just(Decision::Abort)]
}

fn modes() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Blocking), Just(Mode::NonBlocking)]
}

fn messages() -> impl Strategy<Value = Message<()>> {
    let participants = proptest::collection::vec(nodes(), 0..4);
    prop_oneof![
        4 => (txns(), modes(), participants).prop_map(|(txn, mode, participants)| {
            Message::Prepare {
                txn,
                mode,
                participants,
                work: (),
            }
        }),
        4 => (txns(), votes()).prop_map(|(txn, vote)| Message::Voted { txn, vote }),
        3 => (txns(), decisions()).prop_map(|(txn, decision)| Message::Decided { txn, decision }),
        2 => txns().prop_map(|txn| Message::Acknowledged { txn }),
        1 => txns().prop_map(|txn| Message::Forget { txn }),
        2 => txns().prop_map(|txn| Message::Inquire { txn }),
        1 => (txns(), decisions()).prop_map(|(txn, decision)| Message::Answered { txn, decision }),
        1 => txns().prop_map(|below| Message::Release { below }),
        1 => (txns(), decisions()).prop_map(|(key, value)| {
            Message::Consensus(quorate_paxos::Message::Decided { key, value })
        }),
        1 => txns().prop_map(|key| Message::Consensus(quorate_paxos::Message::Released { key })),
    ]
}

fn commands() -> impl Strategy<Value = Command<()>> {
    let work = proptest::collection::vec(nodes().prop_map(|node| (node, ())), 0..4);
    prop_oneof![
        2 => (numbers(), modes(), work).prop_map(|(request, mode, work)| Command::Begin {
            request: RequestId(request),
            mode,
            work,
        }),
        1 => (numbers(), txns()).prop_map(|(request, txn)| Command::Ask {
            request: RequestId(request),
            txn,
        }),
        3 => (txns(), votes()).prop_map(|(txn, vote)| Command::Prepared { txn, vote }),
        2 => txns().prop_map(|txn| Command::Done { txn }),
    ]
}

fn events() -> impl Strategy<Value = Event<Node>> {
    prop_oneof![
        2 => commands().prop_map(Event::Command),
        4 => (nodes(), messages()).prop_map(|(from, message)| Event::Receive { from, message }),
        1 => txns().prop_map(|txn| Event::Timeout(Timer::Votes(txn))),
        1 => txns().prop_map(|txn| Event::Timeout(Timer::Waiting(txn))),
    ]
}

/// A node whose disk is as quick as it can be.
struct Quick {
    config: Config,
    disk: Durable,
    node: Node,
}

impl Quick {
    fn start(config: Config, disk: Durable) -> Self {
        let mut fx = Effects::new();
        let node = Node::start(&config, &disk, &mut fx);
        let mut quick = Quick { config, disk, node };
        let own = quick.settle(&mut fx);
        for event in own {
            assert_eq!(quick.step(event), Ok(()));
        }
        quick
    }

    /// Steps the node, and what it tells itself.
    fn step(&mut self, event: Event<Node>) -> Result<(), &'static str> {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let mut fx = Effects::new();
            let before = self.node.clone();
            self.node.step(&self.config, event, &mut fx);
            invariants::step(&before, &self.node)?;
            events.extend(self.settle(&mut fx));
        }
        match invariants::memory_is_disk(&self.node, &self.disk) {
            true => Ok(()),
            false => Err("memory and disk differ"),
        }
    }

    /// Makes durable what is to be, and returns what the node tells itself.
    fn settle(&mut self, fx: &mut Effects<Node>) -> Vec<Event<Node>> {
        let mut gate = Gate::new();
        let records: Vec<_> = gate.absorb(fx).collect();
        gate.synced(records.len() as u64);
        let disk = &mut self.disk;
        records.iter().for_each(|record| Node::apply(disk, record));
        let released = std::iter::from_fn(|| gate.release());
        let leaves = fx.drain_immediate().chain(released);
        let own = leaves.filter_map(|promise| match promise {
            Promise::Send { to, message } if to == self.config.id => {
                Some(Event::Receive { from: to, message })
            }
            Promise::Send { .. } | Promise::Output(_) => None,
        });
        own.collect()
    }
}

proptest! {
    #[test]
    fn nothing_that_is_said_breaks_a_node(said in proptest::collection::vec(events(), 0..120)) {
        let config = Config {
            max_coordinated: 3,
            max_joined: 3,
            remembered: 1,
            ..Config::new(NodeId(1), (1..=3).map(NodeId))
        };
        let mut quick = Quick::start(config, Durable::default());
        for (at, event) in said.into_iter().enumerate() {
            prop_assert_eq!(quick.step(event), Ok(()));
            prop_assert!(quick.node.coordinator().open().len() <= 3);
            prop_assert!(quick.node.participant().joined().len() <= 3);
            if at % 40 == 39 {
                quick = Quick::start(quick.config, quick.disk);
            }
        }
    }
}
