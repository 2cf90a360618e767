//! Causal broadcast as it is often written down, with three mistakes, one at a time.
//!
//! The delivery of Birman, Schiper and Stephenson compares a message's vector clock with the receiver's: the entry
//! of the sender must be the next, and no other may be ahead. What is easily got wrong is around it:
//!
//! - **The own entry counts broadcasts, and nothing else.** "Increment the own entry at every event" is the rule of
//!   vector clocks in general. Who follows it here at a delivery leaves a gap in its numbers, and nobody ever
//!   delivers its next message: they all wait for one that does not exist.
//! - **A message that comes twice must be recognised.** "No entry is ahead of mine" is true of a message that was
//!   delivered before as well.
//! - **What is delivered must leave the buffer**, or it grows for ever, and is searched ever longer.

use super::Specimen;
use crate::{Bounds, Scenario, Seen, State};
use quorate_clocks::VectorClock;
use quorate_machine::{Effects, Event, Machine, NodeId};

/// The property that counting deliveries breaks.
pub const DELIVERED: &str = "what has arrived with its causes is delivered";
/// The property that taking messages again breaks.
pub const ONCE: &str = "no message is delivered twice";
/// The property that keeping messages breaks.
pub const PRUNED: &str = "what is delivered is not kept";

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// A delivery is counted in the own entry of the clock.
    CountsDeliveries,
    /// A message that was delivered before is taken for one that is due.
    TakesAgain,
    /// Messages stay in the buffer.
    Keeps,
}

/// Who a node is, and what is wrong with it.
#[derive(Clone, Debug)]
pub struct Role {
    me: NodeId,
    members: Vec<NodeId>,
    flaw: Flaw,
}

/// A message and its vector time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stamped {
    word: u8,
    clock: VectorClock<NodeId>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    clock: VectorClock<NodeId>,
    buffer: Vec<(NodeId, Stamped)>,
    /// Messages that have arrived.
    arrived: u8,
    /// Words of others that were delivered, in order.
    delivered: Vec<u8>,
}

impl Machine for Member {
    type Config = Role;
    /// Broadcast a word.
    type Command = u8;
    type Message = Stamped;
    type Timer = ();
    type Record = ();
    type Durable = ();
    type Output = ();

    fn apply((): &mut (), (): &()) {}

    fn start(_: &Role, (): &(), _: &mut Effects<Self>) -> Self {
        Member {
            clock: VectorClock::new(),
            buffer: Vec::new(),
            arrived: 0,
            delivered: Vec::new(),
        }
    }

    fn step(&mut self, role: &Role, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Command(word) => {
                self.clock.increment(role.me);
                let others = role.members.iter().filter(|member| **member != role.me);
                for member in others {
                    let clock = self.clock.clone();
                    fx.send(*member, Stamped { word, clock });
                }
            }
            Event::Receive { from, message } => {
                self.arrived = self.arrived.saturating_add(1);
                let known = message.clock.get(from) <= self.clock.get(from);
                let waits = self.buffer.contains(&(from, message.clone()));
                if role.flaw == Flaw::TakesAgain || !(known || waits) {
                    self.buffer.push((from, message));
                }
                self.deliver(role);
            }
            Event::Timeout(()) => {}
        }
    }

    fn backed(_: NodeId, _: &Stamped, (): &()) -> bool {
        true // nobody crashes here
    }
}

impl Member {
    /// Delivers what is due, until nothing is.
    fn deliver(&mut self, role: &Role) {
        while let Some(at) = self
            .buffer
            .iter()
            .position(|(from, m)| self.is_due(role, *from, m))
        {
            let (from, message) = match role.flaw {
                Flaw::Keeps => self.buffer[at].clone(),
                _ => self.buffer.remove(at),
            };
            let number = message.clock.get(from);
            self.clock.set(from, number.max(self.clock.get(from)));
            self.delivered.push(message.word);
            if role.flaw == Flaw::CountsDeliveries {
                self.clock.increment(role.me);
            }
        }
    }

    fn is_due(&self, role: &Role, from: NodeId, message: &Stamped) -> bool {
        let (number, known) = (message.clock.get(from), self.clock.get(from));
        let next = match role.flaw {
            Flaw::TakesAgain => number <= known + 1,
            _ => number == known + 1,
        };
        let mut others = message.clock.iter().filter(|(member, _)| *member != from);
        next && others.all(|(member, number)| number <= self.clock.get(member))
    }

    fn repeats(&self) -> bool {
        let mut words = self.delivered.iter().enumerate();
        words.any(|(at, word)| self.delivered[..at].contains(word))
    }
}

/// Whether every member has delivered all, if all has arrived.
fn nothing_waits(state: &State<Scenario<Member>>) -> bool {
    let seen = state.clients().seen();
    let mut members = (1..).map(NodeId).zip(state.machines());
    members.all(|(id, member)| {
        let of_others = seen.iter().filter(|seen| match seen {
            Seen::Asked { node, .. } => *node != id,
            Seen::Told { .. } => false,
        });
        usize::from(member.arrived) < of_others.count() || member.buffer.is_empty()
    })
}

/// Two members, each with something to say.
pub fn scenario(name: &str, flaw: Flaw) -> Scenario<Member> {
    let role = move |me, members: &[NodeId]| Role {
        me,
        members: members.to_vec(),
        flaw,
    };
    let scenario = Scenario::new(name, 2, role)
        .bounds(Bounds {
            crashes: 0,
            // A message that arrives twice would be counted twice by what is asked of `arrived`.
            duplications: u8::from(flaw == Flaw::TakesAgain),
            ..Bounds::default()
        })
        .client([1])
        .client([2])
        .sometimes(
            "a message answers another",
            |state: &State<Scenario<Member>>| {
                let mut sent = state.network();
                sent.any(|envelope| envelope.message.clock.len() > 1)
            },
        );
    match flaw {
        Flaw::None => scenario
            .always(DELIVERED, nothing_waits)
            .always(ONCE, |state| !state.machines().any(Member::repeats))
            .always(PRUNED, is_pruned),
        Flaw::CountsDeliveries => scenario.always(DELIVERED, nothing_waits),
        Flaw::TakesAgain => scenario.always(ONCE, |state| !state.machines().any(Member::repeats)),
        Flaw::Keeps => scenario.always(PRUNED, is_pruned),
    }
}

fn is_pruned(state: &State<Scenario<Member>>) -> bool {
    state.machines().all(|member| {
        let mut kept = member.buffer.iter();
        kept.all(|(_, message)| !member.delivered.contains(&message.word))
    })
}

/// Deliveries are counted in the own entry.
pub fn counting() -> Specimen<Scenario<Member>> {
    Specimen {
        protocol: scenario(
            "a causal broadcast that counts deliveries",
            Flaw::CountsDeliveries,
        ),
        breaks: DELIVERED,
    }
}

/// No message is recognised.
pub fn repeating() -> Specimen<Scenario<Member>> {
    Specimen {
        protocol: scenario("a causal broadcast without deduplication", Flaw::TakesAgain),
        breaks: ONCE,
    }
}

/// Nothing leaves the buffer.
pub fn keeping() -> Specimen<Scenario<Member>> {
    Specimen {
        protocol: scenario(
            "a causal broadcast whose buffer is never pruned",
            Flaw::Keeps,
        ),
        breaks: PRUNED,
    }
}
