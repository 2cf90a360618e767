//! Reliable causal broadcast as one deterministic [`Machine`].
//!
//! Every member of a group may broadcast, and every member delivers every message to its application: an
//! answer never before the question, whoever asked and whoever answered. It is the causal broadcast of
//! Birman, Schiper and Stephenson ("Lightweight Causal and Atomic Group Multicast", 1991), in the terms of
//! Cachin, Guerraoui and Rodrigues (2011, section 3.9) for processes that crash and come back with their
//! disks. How it goes, from top to bottom:
//!
//! **Broadcasting** (`spread.rs`). Messages gather until [`Timer::Flush`], a timer of zero ticks, fires at
//! the end of the driver's turn; then they become one [`Batch`], one record and one [`Message::Update`] to
//! each peer. A batch names its causes: how many messages of each member its sender had delivered before.
//! It is durable before it leaves, which [`Effects::send`] sees to, so a member that comes back never gives
//! a number to two messages.
//!
//! **Delivery** (`ledger.rs`). A member takes the batches of each sender in the order of their numbers, and
//! delivers each when all of its causes are delivered. Both follow from the records alone; so a member that
//! comes back finds the same order, and the same position for each message. The application says what it
//! has [consumed](Command::Consumed); what it has not is delivered again. That is: **at least once, always
//! in the same order, and exactly once for an application that remembers the last position it has seen.**
//!
//! **Repair** (`repair.rs`). Whoever delivers a message holds it on its disk until every member does, and
//! supplies it to whoever lacks it. So a message that one member delivered reaches all that are up or come
//! back, even if its sender never does. Every message between members tells what its sender holds (Wuu and
//! Bernstein's two-dimensional time table, 1984, of which each member keeps the rows that it has heard
//! directly); who, by that, lacks something is sent an offer now and then.
//!
//! **Limits.** A member keeps, per sender, what is pending, what somebody lacks and what its application has
//! not consumed, up to a limit; beyond it nothing is taken, nothing acknowledged, and so nothing lost. A
//! sender counts what of its own is not held by all, and refuses broadcasts beyond a window. So **a member
//! that stays down stops the group** once every window is full: [`Refusal::Full`] names it. Membership is
//! fixed for now; a member whose disk is lost cannot come back under its old id.
//!
//! Properties that must hold are in [`invariants`]; the model checker, the simulator and the tests share
//! them.

mod batch;
mod config;
pub mod invariants;
mod ledger;
mod message;
mod repair;
mod spread;

pub use batch::{Batch, Clock, Delivered, Delivery, Payload};
pub use config::{Config, ConfigError};
pub use ledger::Ledger;
pub use message::{Command, Message, Output, Record, Refusal, Timer};

use quorate_machine::{Effects, Event, Machine, NodeId};

/// One member of a broadcast group. See the [crate's introduction](crate).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broadcast<P> {
    /// What this member has, durable or not yet.
    ledger: Ledger<P>,
    /// What each member is known to have on its disk, in the order of [`Config::members`]; the own row is
    /// not used.
    rows: Vec<Clock>,
    /// What will be broadcast at the end of the turn.
    outbox: spread::Outbox<P>,
    /// Whether something was taken since all peers were told.
    untold: bool,
    /// Whether something was asked for, and neither came nor was given up.
    asking: bool,
    /// Whether [`Ledger::floor`] or [`Ledger::consumed`] has grown since the last record.
    unrecorded: bool,
}

impl<P: Payload> Broadcast<P> {
    /// What this member has, including what is not durable yet.
    pub fn ledger(&self) -> &Ledger<P> {
        &self.ledger
    }

    /// What each member is known to have on its disk, in the order of [`Config::members`].
    pub fn rows(&self) -> &[Clock] {
        &self.rows
    }

    /// How many messages gather for the next batch.
    pub fn gathered(&self) -> usize {
        self.outbox.messages
    }

    /// What gathers for the next batch.
    pub fn outbox(&self) -> impl Iterator<Item = &P> {
        self.outbox.payloads()
    }

    /// Whether something was taken since all peers were told.
    pub fn is_untold(&self) -> bool {
        self.untold
    }

    /// Whether something was asked for, and neither came nor was given up.
    pub fn is_asking(&self) -> bool {
        self.asking
    }

    /// Whether something was let go, or can be, since the last record.
    pub fn is_unrecorded(&self) -> bool {
        self.unrecorded
    }

    /// Writes down what was taken, and how far everybody else is by now.
    fn record(&mut self, batches: Vec<std::sync::Arc<Batch<P>>>, fx: &mut Effects<Self>) {
        self.unrecorded = false;
        fx.persist(Record {
            batches,
            floor: self.ledger.floor().clone(),
            consumed: self.ledger.consumed(),
        });
    }

    /// Tells the application what was delivered after this position.
    fn tell_deliveries(&self, position: u64, fx: &mut Effects<Self>) {
        for delivery in self.ledger.delivered_after(position) {
            fx.output(Output::Delivered(delivery.clone()));
        }
    }

    fn receive(
        &mut self,
        config: &Config,
        from: NodeId,
        message: Message<P>,
        fx: &mut Effects<Self>,
    ) {
        if from == config.id || !self.is_credible(config, from, message.holds()) {
            return;
        }
        self.learn(config, from, message.holds(), fx);
        match message {
            Message::Update { holds, news } => self.on_update(config, from, &holds, news, fx),
            Message::Offer { holds } => self.on_offer(config, from, &holds, fx),
            Message::Ask { holds } => self.on_ask(config, from, &holds, fx),
            Message::Supply { holds, batches } => {
                self.on_supply(config, from, &holds, batches, fx);
            }
        }
    }
}

impl<P: Payload> Machine for Broadcast<P> {
    type Config = Config;
    type Command = Command<P>;
    type Message = Message<P>;
    type Timer = Timer;
    type Record = Record<P>;
    type Durable = Ledger<P>;
    type Output = Output<P>;

    fn apply(durable: &mut Ledger<P>, record: &Record<P>) {
        for batch in &record.batches {
            durable.take(batch.clone());
        }
        durable.collect(&record.floor);
        durable.consume(record.consumed);
    }

    fn start(config: &Config, durable: &Ledger<P>, fx: &mut Effects<Self>) -> Self {
        fx.arm(Timer::Repair, config.repair_ticks..=config.repair_ticks);
        let machine = Broadcast {
            ledger: durable.clone(),
            rows: vec![Clock::new(); config.members.len()],
            outbox: spread::Outbox::default(),
            untold: false,
            asking: false,
            unrecorded: false,
        };
        machine.tell_deliveries(0, fx);
        machine
    }

    fn step(&mut self, config: &Config, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Command(Command::Broadcast { id, payloads }) => {
                self.on_broadcast(config, id, payloads, fx);
            }
            Event::Command(Command::Consumed { position }) => self.on_consumed(position),
            Event::Receive { from, message } => self.receive(config, from, message, fx),
            Event::Timeout(Timer::Flush) => self.on_flush(config, fx),
            Event::Timeout(Timer::Repair) => self.on_repair(config, fx),
        }
        debug_assert_eq!(invariants::node(config, self), Ok(()));
    }

    fn backed(_: NodeId, message: &Message<P>, sender: &Ledger<P>) -> bool {
        let holds = |member: NodeId, number: u64| sender.holds().get(member) >= number;
        let mut claims = message.holds().iter();
        let mut batches = message.batches().iter();
        claims.all(|(member, number)| holds(member, number))
            && batches.all(|batch| batch.last().is_some_and(|last| holds(batch.sender, last)))
    }
}
