//! A member that does not keep to the protocol.

use proptest::prelude::*;
use quorate_broadcast::{Batch, Broadcast, Clock, Command, Config, Ledger, Message};
use quorate_machine::{Effects, Event, Machine, NodeId};
use std::sync::Arc;

const FLOODS: NodeId = NodeId(1);
const ME: NodeId = NodeId(2);
/// A third member, that has nothing: so nothing can be let go.
const ABSENT: NodeId = NodeId(3);

const WINDOW: usize = 6;

/// A sender may have two windows of messages under way. One that sends more is not taken at its word.
fn flooded(batches: &[usize], consumes: bool) -> usize {
    let config = Config {
        batch_messages: 3,
        window_messages: WINDOW,
        ..Config::new(ME, [FLOODS, ME, ABSENT])
    };
    let mut fx = Effects::new();
    let mut member = Broadcast::<u64>::start(&config, &Ledger::default(), &mut fx);
    let mut first = 1;
    for messages in batches {
        let payloads = vec![7; *messages];
        let batch = Batch {
            sender: FLOODS,
            first,
            after: Clock::new(),
            payloads: payloads.into(),
        };
        let mut holds = Clock::new();
        holds.set(FLOODS, first + *messages as u64 - 1);
        let message = Message::Update {
            holds,
            news: Some(Arc::new(batch)),
        };
        let from = FLOODS;
        member.step(&config, Event::Receive { from, message }, &mut fx);
        let held = member.ledger().holds().get(FLOODS);
        if held >= first {
            first = held + 1;
        }
        if consumes {
            let position = member.ledger().position();
            member.step(
                &config,
                Event::Command(Command::Consumed { position }),
                &mut fx,
            );
        }
        assert!(member.ledger().kept(FLOODS).0 <= 2 * WINDOW);
    }
    member.ledger().kept(FLOODS).0
}

proptest! {
    #[test]
    fn a_flood_fills_two_windows_and_no_more(
        batches in proptest::collection::vec(1_usize..=3, 12..64),
        consumes: bool,
    ) {
        // Whatever fits is taken: what is left is less than a batch.
        prop_assert!(flooded(&batches, consumes) > 2 * WINDOW - 3);
    }
}
