//! Raft with a mistake, around the real one.

use crate::cluster::Sum;
use quorate_conform::RaftLike;
use quorate_machine::{Effects, Event, Gate, Machine, NodeId, Promise, TimerEffect};
use quorate_raft::{Command, Config, Durable, Message, Output, Raft, Record, Timer};

/// A voter that grants every vote that it is asked for in its term, though it has voted for another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct VotesTwice(Raft<Sum>);

impl Machine for VotesTwice {
    type Config = Config<Sum>;
    type Command = Command<Sum>;
    type Message = Message<u64>;
    type Timer = Timer;
    type Record = Record<u64>;
    type Durable = Durable<u64>;
    type Output = Output<Sum>;

    fn apply(durable: &mut Durable<u64>, record: &Record<u64>) {
        Raft::<Sum>::apply(durable, record);
    }

    fn start(config: &Config<Sum>, durable: &Durable<u64>, fx: &mut Effects<Self>) -> Self {
        let mut inner = Effects::new();
        let raft = Raft::start(config, durable, &mut inner);
        hand_on(inner, fx, |message| message);
        VotesTwice(raft)
    }

    fn step(&mut self, config: &Config<Sum>, event: Event<Self>, fx: &mut Effects<Self>) {
        let asked = matches!(
            &event,
            Event::Receive { message: Message::RequestVote { term, .. }, .. } if *term == self.0.term()
        );
        let event = match event {
            Event::Command(command) => Event::Command(command),
            Event::Receive { from, message } => Event::Receive { from, message },
            Event::Timeout(timer) => Event::Timeout(timer),
        };
        let mut inner = Effects::new();
        self.0.step(config, event, &mut inner);
        hand_on(inner, fx, |message| match message {
            Message::Voted { term, .. } if asked => Message::Voted {
                term,
                granted: true,
            },
            other => other,
        });
    }

    fn backed(to: NodeId, message: &Message<u64>, sender: &Durable<u64>) -> bool {
        Raft::<Sum>::backed(to, message, sender)
    }
}

impl RaftLike for VotesTwice {
    type State = Sum;

    fn raft(&self) -> &Raft<Sum> {
        &self.0
    }
}

/// The same effects of another machine, with its promises changed.
fn hand_on(
    mut inner: Effects<Raft<Sum>>,
    fx: &mut Effects<VotesTwice>,
    change: impl Fn(Message<u64>) -> Message<u64>,
) {
    for timer in inner.drain_timers() {
        match timer {
            TimerEffect::Arm(timer, ticks) => fx.arm(timer, ticks),
            TimerEffect::Disarm(timer) => fx.disarm(timer),
        }
    }
    for immediate in inner.drain_immediate() {
        match immediate {
            Promise::Send { to, message } => fx.send_before_sync(to, message),
            Promise::Output(output) => fx.output_before_sync(retold(output)),
        }
    }
    // A gate tells which promises come before the records.
    let mut gate = Gate::<Raft<Sum>>::new();
    let records: Vec<_> = gate.absorb(&mut inner).collect();
    let promise = |gate: &mut Gate<Raft<Sum>>, fx: &mut Effects<VotesTwice>| {
        while let Some(promise) = gate.release() {
            match promise {
                Promise::Send { to, message } => fx.send(to, change(message)),
                Promise::Output(output) => fx.output(retold(output)),
            }
        }
    };
    promise(&mut gate, fx);
    let count = records.len() as u64;
    for record in records {
        fx.persist(record);
    }
    gate.synced(count);
    promise(&mut gate, fx);
}

fn retold(output: Output<Sum>) -> Output<Sum> {
    output
}
