//! Whatever peers and clients say, a node does not panic, stays within its limits, and what it has promised,
//! accepted and learned stands. The model checker's peers are of good faith; these are not.

use proptest::prelude::*;
use quorate_machine::{Effects, Event, Machine, NodeId, Promise};
use quorate_paxos::{
    Ballot, Command, Config, Durable, Message, Paxos, Proposal, Slot, Timer, invariants,
};

type Member = Paxos<u8, u8>;

fn ballots() -> impl Strategy<Value = Ballot> {
    let rounds = prop_oneof![0..4_u64, Just(u64::MAX - 1), Just(u64::MAX)];
    (rounds, 0..5_u32).prop_map(|(round, node)| Ballot {
        round,
        node: NodeId(node),
    })
}

fn messages() -> impl Strategy<Value = Message<u8, u8>> {
    let key = || 0..3_u8;
    let proposal = (ballots(), 0..3_u8).prop_map(|(ballot, value)| Proposal { ballot, value });
    prop_oneof![
        (key(), ballots()).prop_map(|(key, ballot)| Message::Prepare { key, ballot }),
        (key(), ballots(), proptest::option::of(proposal)).prop_map(|(key, ballot, accepted)| {
            Message::Promised {
                key,
                ballot,
                accepted,
            }
        }),
        (key(), ballots(), 0..3_u8).prop_map(|(key, ballot, value)| Message::Accept {
            key,
            ballot,
            value
        }),
        (key(), ballots()).prop_map(|(key, ballot)| Message::Accepted { key, ballot }),
        (key(), ballots(), ballots()).prop_map(|(key, ballot, promised)| Message::Refused {
            key,
            ballot,
            promised
        }),
        (key(), 0..3_u8).prop_map(|(key, value)| Message::Decided { key, value }),
        key().prop_map(|key| Message::Released { key }),
    ]
}

fn events() -> impl Strategy<Value = Event<Member>> {
    let request = 0..4_u64;
    prop_oneof![
        4 => (0..5_u32, messages()).prop_map(|(from, message)| Event::Receive {
            from: NodeId(from),
            message
        }),
        2 => (request, 0..3_u8, proptest::option::of(0..3_u8)).prop_map(|(request, key, value)| {
            Event::Command(match value {
                Some(value) => Command::Propose { request, key, value },
                None => Command::Read { request, key },
            })
        }),
        1 => (0..3_u8).prop_map(|below| Event::Command(Command::Release { below })),
        1 => (0..4_u32).prop_map(|slot| Event::Timeout(Timer::Retry(Slot(slot)))),
    ]
}

proptest! {
    #[test]
    fn a_node_stands_by_its_word_whatever_it_is_told(events in prop::collection::vec(events(), 0..60)) {
        let config = Config {
            open_max: 2,
            waiting_max: 2,
            keys_max: 2,
            ..Config::new(NodeId(1), (1..=3).map(NodeId))
        };
        let mut disk = Durable::default();
        let mut fx = Effects::new();
        let mut node = Member::start(&config, &disk, &mut fx);
        // What it told itself is its next event: a single node hears itself at once.
        for event in events {
            let mut next = Some(event);
            while let Some(event) = next.take() {
                let before = node.clone();
                node.step(&config, event, &mut fx);
                prop_assert_eq!(invariants::step(&before, &node), Ok(()));
                prop_assert_eq!(invariants::node(&config, &node), Ok(()));
                prop_assert!(node.state().instances.len() <= config.keys_max);
                for record in fx.records() {
                    Member::apply(&mut disk, record);
                }
                prop_assert_eq!(node.state(), &disk);
                for promise in fx.promises() {
                    if let Promise::Send { to, message } = promise {
                        prop_assert!(Member::backed(*to, message, &disk), "{:?}", message);
                        if *to == config.id {
                            let (from, message) = (config.id, message.clone());
                            next = Some(Event::Receive { from, message });
                        }
                    }
                }
                fx = Effects::new();
            }
        }
        // A restart finds what the node believed.
        let restarted = Member::start(&config, &disk, &mut fx);
        prop_assert_eq!(restarted.state(), node.state());
    }
}

#[test]
fn what_cannot_be_run_is_refused() {
    let good = Config::new(NodeId(1), (1..=3).map(NodeId));
    assert_eq!(good.validate(), Ok(()));
    let refused = |config: Config| config.validate().unwrap_err().to_string();
    let stranger = Config::new(NodeId(4), (1..=3).map(NodeId));
    assert_eq!(refused(stranger), "node n4 is not among the members");
    let backwards = Config {
        members: vec![NodeId(2), NodeId(1)],
        ..good.clone()
    };
    assert_eq!(
        refused(backwards),
        "members must be listed once each, in ascending order"
    );
    let hasty = Config {
        backoff_ticks: 0..=3,
        ..good.clone()
    };
    assert_eq!(
        refused(hasty),
        "backoff_ticks must be a range that begins at 1 or later"
    );
    let closed = Config {
        waiting_max: 0,
        ..good
    };
    assert_eq!(refused(closed), "waiting_max must be at least 1");
}
