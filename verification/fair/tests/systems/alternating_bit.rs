//! `AlternatingBit.tla`.

use super::{Outcome, decide};
use quorate_fair::{Fairness, Property};
use stateright::Model;

pub(crate) struct AlternatingBit {
    pub(crate) capacity: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    sending: bool,
    expected: bool,
    data: Vec<bool>,
    acks: Vec<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Action {
    Send,
    Receive,
    ReceiveAck,
    LoseData,
    LoseAck,
}

impl AlternatingBit {
    fn put(&self, channel: &mut Vec<bool>, bit: bool) {
        if channel.len() < self.capacity {
            channel.push(bit);
        }
    }
}

impl Model for AlternatingBit {
    type State = Link;
    type Action = Action;

    fn init_states(&self) -> Vec<Link> {
        vec![Link {
            sending: false,
            expected: false,
            data: Vec::new(),
            acks: Vec::new(),
        }]
    }

    fn actions(&self, link: &Link, actions: &mut Vec<Action>) {
        // Into a full channel too, where it changes nothing.
        actions.push(Action::Send);
        if !link.data.is_empty() {
            actions.extend([Action::Receive, Action::LoseData]);
        }
        if !link.acks.is_empty() {
            actions.extend([Action::ReceiveAck, Action::LoseAck]);
        }
    }

    fn next_state(&self, link: &Link, action: Action) -> Option<Link> {
        let mut next = link.clone();
        match action {
            Action::Send => self.put(&mut next.data, link.sending),
            Action::Receive => {
                let bit = next.data.remove(0);
                self.put(&mut next.acks, bit);
                next.expected ^= bit == link.expected;
            }
            Action::ReceiveAck => {
                let bit = next.acks.remove(0);
                next.sending ^= bit == link.sending;
            }
            Action::LoseData => drop(next.data.remove(0)),
            Action::LoseAck => drop(next.acks.remove(0)),
        }
        Some(next)
    }
}

/// What is assumed of the two channels; the sender is weakly fair.
#[derive(Clone, Copy)]
pub(crate) struct Channels {
    pub(crate) data: Fairness,
    pub(crate) acks: Fairness,
}

fn decided(channels: Channels, properties: fn() -> Vec<Property<AlternatingBit>>) -> Outcome {
    let fairness = |class: &Action| match class {
        Action::Send => Fairness::Weak,
        Action::Receive => channels.data,
        Action::ReceiveAck => channels.acks,
        Action::LoseData | Action::LoseAck => Fairness::None,
    };
    let model = AlternatingBit { capacity: 2 };
    decide(&model, |_, action| Some(*action), fairness, properties)
}

/// `Delivers`.
pub(crate) fn delivers(channels: Channels) -> Outcome {
    decided(channels, || {
        vec![Property::eventually("Delivers", |link: &Link| {
            link.expected
        })]
    })
}

/// `Alternates`.
pub(crate) fn alternates(channels: Channels) -> Outcome {
    decided(channels, || {
        let alternates = |bit: bool| {
            let before = move |link: &Link| link.sending == bit;
            let after = move |link: &Link| link.sending != bit;
            Property::leads_to(format!("Alternates({bit})"), before, after)
        };
        [false, true].map(alternates).into()
    })
}
