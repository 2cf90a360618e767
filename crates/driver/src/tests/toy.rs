//! A machine that does what it is told, so that a test can tell it.

use quorate_machine::{Effects, Event, Machine, NodeId};
use quorate_transport::wire_by_serde;
use serde::{Deserialize, Serialize};

/// Adds durable numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Toy {
    pub(super) sum: u64,
    gathered: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Command {
    /// Adds durably, then tells the sum.
    Add(u64),
    /// Adds durably, then pings the node.
    AddAndPing(u64, u32),
    /// Pings the node without waiting for the disk.
    PingNow(u32),
    /// Tells the sum without waiting for the disk.
    TellNow,
    /// Adds durably together with everything gathered in the same turn.
    Gather(u64),
    /// Arms the alarm.
    Arm(u32),
    Disarm,
    /// Arms a timer of zero ticks whenever it fires.
    Spin,
    Panic,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Message {
    Ping(u64),
    Pong(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Timer {
    Gather,
    Alarm,
    Spin,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Record(pub(super) u64);

wire_by_serde!(Command, Message, Timer, Record);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Output {
    Started(u64),
    Sum(u64),
    Gathered(usize),
    Alarm,
    Pinged(NodeId, u64),
    Ponged(NodeId, u64),
}

impl Machine for Toy {
    type Config = NodeId;
    type Command = Command;
    type Message = Message;
    type Timer = Timer;
    type Record = Record;
    type Durable = u64;
    type Output = Output;

    fn apply(sum: &mut u64, record: &Record) {
        *sum = sum.wrapping_add(record.0);
    }

    fn start(_me: &NodeId, sum: &u64, fx: &mut Effects<Self>) -> Self {
        fx.output(Output::Started(*sum));
        Toy {
            sum: *sum,
            gathered: Vec::new(),
        }
    }

    fn step(&mut self, _me: &NodeId, event: Event<Self>, fx: &mut Effects<Self>) {
        match event {
            Event::Command(command) => self.command(command, fx),
            Event::Receive { from, message } => match message {
                Message::Ping(number) => {
                    fx.output(Output::Pinged(from, number));
                    fx.send(from, Message::Pong(number));
                }
                Message::Pong(number) => fx.output(Output::Ponged(from, number)),
            },
            Event::Timeout(Timer::Gather) => {
                fx.output(Output::Gathered(self.gathered.len()));
                let sum = self.gathered.drain(..).sum();
                self.add(sum, fx);
            }
            Event::Timeout(Timer::Alarm) => fx.output(Output::Alarm),
            Event::Timeout(Timer::Spin) => fx.arm(Timer::Spin, 0..=0),
        }
    }

    fn backed(_to: NodeId, _message: &Message, _sender: &u64) -> bool {
        true
    }
}

impl Toy {
    fn command(&mut self, command: Command, fx: &mut Effects<Self>) {
        match command {
            Command::Add(number) => {
                self.add(number, fx);
                fx.output(Output::Sum(self.sum));
            }
            Command::AddAndPing(number, to) => {
                self.add(number, fx);
                fx.send(NodeId(to), Message::Ping(number));
            }
            Command::PingNow(to) => fx.send_before_sync(NodeId(to), Message::Ping(0)),
            Command::TellNow => fx.output_before_sync(Output::Sum(self.sum)),
            Command::Gather(number) => {
                self.gathered.push(number);
                fx.arm(Timer::Gather, 0..=0);
            }
            Command::Arm(ticks) => fx.arm(Timer::Alarm, ticks..=ticks),
            Command::Disarm => fx.disarm(Timer::Alarm),
            Command::Spin => fx.arm(Timer::Spin, 0..=0),
            Command::Panic => panic!("as told"),
        }
    }

    fn add(&mut self, number: u64, fx: &mut Effects<Self>) {
        self.sum = self.sum.wrapping_add(number);
        fx.persist(Record(number));
    }
}
