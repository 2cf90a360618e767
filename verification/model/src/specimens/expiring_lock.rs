//! Two finalisers of traces, and a lock that expires so that a dead one does not block the other.
//!
//! A finaliser that was granted the lock may be slow instead of dead. Its lock expires, another is
//! granted it, and both write: the trace is persisted twice. No expiry is long enough, since nothing
//! bounds a pause. What helps is a token: every grant has a higher number, the store is told it with the
//! write and takes only the last. (Kleppmann, "How to do distributed locking", 2016.)

use super::Specimen;
use crate::{Bounds, Scenario};
use quorate_machine::{Effects, Event, Machine, NodeId};

/// The property that it breaks.
pub const PERSISTED_ONCE: &str = "a trace is persisted once";

const KEEPER: NodeId = NodeId(1);

/// Who a node is.
#[derive(Clone, Copy, Debug)]
pub struct Role {
    keeper: bool,
    fenced: bool,
}

/// The keeper of lock and store, or a finaliser.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// The keeper's: who has the lock.
    holder: Option<NodeId>,
    /// The keeper's: the number of the last grant.
    token: u8,
    /// The keeper's: how often the trace was written.
    written: u8,
}

/// What nodes say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// A finaliser wants the lock.
    Acquire,
    /// It has it.
    Granted {
        /// The number of the grant.
        token: u8,
    },
    /// Write the trace.
    Persist {
        /// The grant that allows it.
        token: u8,
    },
}

impl Machine for Node {
    type Config = Role;
    /// Finalise the trace.
    type Command = ();
    type Message = Message;
    /// The lock expires.
    type Timer = ();
    /// The trace is written.
    type Record = ();
    type Durable = u8;
    type Output = ();

    fn apply(written: &mut u8, (): &()) {
        *written = written.saturating_add(1);
    }

    fn start(_: &Role, written: &u8, _: &mut Effects<Self>) -> Self {
        Node {
            holder: None,
            token: 0,
            written: *written,
        }
    }

    fn step(&mut self, role: &Role, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Command(()) if !role.keeper => fx.send(KEEPER, Message::Acquire),
            Event::Receive { from, message } => self.receive(role, from, &message, fx),
            Event::Timeout(()) => self.holder = None,
            Event::Command(()) => {}
        }
    }

    fn backed(_: NodeId, _: &Message, _: &u8) -> bool {
        true // the lock is in memory, and nobody crashes here
    }
}

impl Node {
    fn receive(&mut self, role: &Role, from: NodeId, message: &Message, fx: &mut Effects<Self>) {
        match *message {
            // Nobody is granted the lock for a trace that is written already.
            Message::Acquire if role.keeper && self.holder.is_none() && self.written == 0 => {
                self.holder = Some(from);
                self.token = self.token.saturating_add(1);
                fx.arm((), 1..=1);
                fx.send(from, Message::Granted { token: self.token });
            }
            Message::Granted { token } if !role.keeper => {
                fx.send(KEEPER, Message::Persist { token });
            }
            Message::Persist { token } if role.keeper => {
                if role.fenced && (token < self.token || self.written > 0) {
                    return;
                }
                self.written = self.written.saturating_add(1);
                fx.persist(());
            }
            _ => {}
        }
    }
}

/// Two finalisers; with `fenced`, the store looks at the token.
pub fn scenario(fenced: bool) -> Scenario<Node> {
    let name = match fenced {
        true => "an expiring lock with a token",
        false => "an expiring lock without a token",
    };
    let role = move |id, _: &[NodeId]| Role {
        keeper: id == KEEPER,
        fenced,
    };
    Scenario::new(name, 3, role)
        .bounds(Bounds {
            crashes: 0,
            ..Bounds::default()
        })
        .client([()])
        .client([()])
        .always(PERSISTED_ONCE, |state| {
            state.machines().all(|node: &Node| node.written <= 1)
        })
        .sometimes("a trace is persisted", |state| {
            state.machines().any(|node: &Node| node.written > 0)
        })
        .sometimes("the lock expires before the write", |state| {
            state.machines().any(|node: &Node| node.token > 1)
        })
}

/// Without the token.
pub fn specimen() -> Specimen<Scenario<Node>> {
    Specimen {
        protocol: scenario(false),
        breaks: PERSISTED_ONCE,
    }
}
