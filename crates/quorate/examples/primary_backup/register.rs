//! The protocol: a register with a primary, which copies every write to its backups.
//!
//! Every node knows the number of the current view, and view *v* belongs to node *v* mod *n*: its
//! primary. When a primary has died, an operator promotes another node, which begins the next view
//! that is its own. Whoever has heard of a view ignores the primaries of earlier ones.

use quorate::{Effects, Event, Machine, NodeId, wire_by_serde};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a node holds, the same in memory, on disk and on the wire; later ones compare greater.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Held {
    pub view: u32,
    pub write: u32,
    pub value: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Command {
    Write(u32),
    Read,
    /// The operator says: the primary is dead, you are the next.
    Promote,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    Copy(Held),
    Copied(Held),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resend;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// The write is safe.
    Written(Held),
    Value(Held),
    NotPrimary,
}

wire_by_serde!(Held, Command, Message, Resend);

pub struct Config {
    pub me: NodeId,
    pub nodes: Vec<NodeId>,
    /// How many nodes must hold a write before it is acknowledged.
    pub copies: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Register {
    pub held: Held,
    /// The backups that hold the same, as far as the primary knows.
    backups: BTreeSet<NodeId>,
}

impl Machine for Register {
    type Config = Config;
    type Command = Command;
    type Message = Message;
    type Timer = Resend;
    type Record = Held;
    type Durable = Held;
    type Output = Output;

    fn apply(durable: &mut Held, record: &Held) {
        *durable = *record;
    }

    fn start(config: &Config, durable: &Held, fx: &mut Effects<Self>) -> Self {
        let (held, backups) = (*durable, BTreeSet::new());
        let register = Register { held, backups };
        if held != Held::default() && register.leads(config) {
            register.copy(config, fx); // it may have died before the backups had it
        }
        register
    }

    fn step(&mut self, config: &Config, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Command(Command::Promote) => {
                let mut held = self.held;
                held.view += 1;
                while !leads(config, held.view) {
                    held.view += 1;
                }
                self.hold(held, fx);
                self.copy(config, fx);
            }
            Event::Command(_) if !self.leads(config) => fx.output(Output::NotPrimary),
            Event::Command(Command::Read) => fx.output(Output::Value(self.held)),
            Event::Command(Command::Write(value)) => {
                let (view, write) = (self.held.view, self.held.write + 1);
                self.hold(Held { view, write, value }, fx);
                self.copy(config, fx);
            }
            Event::Receive {
                from,
                message: Message::Copy(held),
            } if held >= self.held => {
                if held > self.held {
                    self.hold(held, fx);
                }
                fx.send(from, Message::Copied(held)); // leaves once `held` is on disk
            }
            Event::Receive {
                from,
                message: Message::Copied(held),
            } if held == self.held => {
                let news = self.backups.insert(from);
                if news && 1 + self.backups.len() == config.copies {
                    fx.output(Output::Written(held));
                }
            }
            Event::Timeout(Resend) if self.leads(config) => self.copy(config, fx),
            _ => {} // from an earlier view
        }
    }

    fn backed(_to: NodeId, message: &Message, sender: &Held) -> bool {
        let (Message::Copy(held) | Message::Copied(held)) = message;
        sender >= held
    }
}

impl Register {
    fn leads(&self, config: &Config) -> bool {
        leads(config, self.held.view)
    }

    fn hold(&mut self, held: Held, fx: &mut Effects<Self>) {
        self.held = held;
        self.backups.clear();
        fx.persist(held);
    }

    fn copy(&self, config: &Config, fx: &mut Effects<Self>) {
        let backups = config.nodes.iter().filter(|node| **node != config.me);
        let missing: Vec<_> = backups.filter(|b| !self.backups.contains(b)).collect();
        for backup in &missing {
            fx.send(**backup, Message::Copy(self.held));
        }
        if !missing.is_empty() {
            fx.arm(Resend, 20..=30);
        }
    }
}

fn leads(config: &Config, view: u32) -> bool {
    config.nodes[view as usize % config.nodes.len()] == config.me
}
