//! What a machine wants done, collected by the caller.

use crate::{Machine, NodeId, Ticks};
use std::collections::VecDeque;

/// Something that leaves the node: a promise once the records before it are durable, anything else at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Promise<M: Machine> {
    /// A message; to the node itself if `to` is its own id.
    Send {
        /// The receiver.
        to: NodeId,
        /// What it is told.
        message: M::Message,
    },
    /// A word to the application.
    Output(M::Output),
}

/// A change to the armed timers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TimerEffect<T> {
    /// Arm the timer, or arm it anew with a fresh draw.
    Arm(T, Ticks),
    /// Disarm the timer if it is armed.
    Disarm(T),
}

/// The effects of one step. Owned and reused by the caller, so that a step allocates nothing for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Effects<M: Machine> {
    pub(crate) records: Vec<M::Record>,
    /// Each promise with the number of this step's records that precede it.
    pub(crate) promises: VecDeque<(usize, Promise<M>)>,
    pub(crate) immediate: Vec<Promise<M>>,
    pub(crate) timers: Vec<TimerEffect<M::Timer>>,
}

impl<M: Machine> Default for Effects<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Machine> Effects<M> {
    /// No effects.
    pub fn new() -> Self {
        Effects {
            records: Vec::new(),
            promises: VecDeque::new(),
            immediate: Vec::new(),
            timers: Vec::new(),
        }
    }

    /// Makes `record` durable before anything promised after it.
    pub fn persist(&mut self, record: M::Record) {
        self.records.push(record);
    }

    /// Promises `message` to `to`: it leaves after every record persisted so far is durable.
    pub fn send(&mut self, to: NodeId, message: M::Message) {
        self.promises
            .push_back((self.records.len(), Promise::Send { to, message }));
    }

    /// Sends `message` at once, ahead of records and promises that still wait.
    ///
    /// Right only for a message that claims nothing about this node's disk that is not durable yet.
    pub fn send_before_sync(&mut self, to: NodeId, message: M::Message) {
        self.immediate.push(Promise::Send { to, message });
    }

    /// Promises `output` to the application, under the same condition as [`Effects::send`].
    pub fn output(&mut self, output: M::Output) {
        self.promises
            .push_back((self.records.len(), Promise::Output(output)));
    }

    /// Tells the application `output` at once, ahead of records and promises that still wait.
    ///
    /// Right only for a word that claims nothing about this node's disk that is not durable yet, and that may be heard
    /// before every output that is promised.
    pub fn output_before_sync(&mut self, output: M::Output) {
        self.immediate.push(Promise::Output(output));
    }

    /// Arms `timer` to fire once after a number of ticks drawn from `ticks`; replaces an armed one.
    pub fn arm(&mut self, timer: M::Timer, ticks: Ticks) {
        self.timers.push(TimerEffect::Arm(timer, ticks));
    }

    /// Disarms `timer`.
    pub fn disarm(&mut self, timer: M::Timer) {
        self.timers.push(TimerEffect::Disarm(timer));
    }

    /// The records of this step, in order.
    pub fn records(&self) -> &[M::Record] {
        &self.records
    }

    /// The promises of this step, in order.
    pub fn promises(&self) -> impl Iterator<Item = &Promise<M>> {
        self.promises.iter().map(|(_, promise)| promise)
    }

    /// What does not wait for the disk, in order.
    pub fn immediate(&self) -> &[Promise<M>] {
        &self.immediate
    }

    /// The timer changes, in order: the last one of a timer wins.
    pub fn timers(&self) -> &[TimerEffect<M::Timer>] {
        &self.timers
    }

    /// Takes the timer changes.
    pub fn drain_timers(&mut self) -> impl Iterator<Item = TimerEffect<M::Timer>> + '_ {
        self.timers.drain(..)
    }

    /// Takes what does not wait for the disk.
    pub fn drain_immediate(&mut self) -> impl Iterator<Item = Promise<M>> + '_ {
        self.immediate.drain(..)
    }

    /// Takes over the effects of a machine that is a part of this one, each translated, in their order.
    ///
    /// What the part tells *its* application is told to the caller by `output`, at once: what this machine promises
    /// because of it leaves after the part's records are durable. What it lets go at once does not wait for them, and
    /// must not need to.
    pub fn embed<N: Machine>(
        &mut self,
        part: &mut Effects<N>,
        record: impl Fn(N::Record) -> M::Record,
        message: impl Fn(N::Message) -> M::Message,
        timer: impl Fn(N::Timer) -> M::Timer,
        mut output: impl FnMut(N::Output),
    ) {
        let before = self.records.len();
        for (records_before, promise) in part.promises.drain(..) {
            match promise {
                Promise::Send { to, message: inner } => {
                    let message = message(inner);
                    let promise = Promise::Send { to, message };
                    self.promises.push_back((before + records_before, promise));
                }
                Promise::Output(told) => output(told),
            }
        }
        self.records.extend(part.records.drain(..).map(record));
        for immediate in part.immediate.drain(..) {
            match immediate {
                Promise::Send { to, message: inner } => self.send_before_sync(to, message(inner)),
                Promise::Output(told) => output(told),
            }
        }
        self.timers
            .extend(part.timers.drain(..).map(|effect| match effect {
                TimerEffect::Arm(inner, ticks) => TimerEffect::Arm(timer(inner), ticks),
                TimerEffect::Disarm(inner) => TimerEffect::Disarm(timer(inner)),
            }));
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.promises.is_empty()
            && self.immediate.is_empty()
            && self.timers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inert::Inert;

    const PEER: NodeId = NodeId(2);

    /// Each thing that a machine can ask for.
    const KINDS: [fn(&mut Effects<Inert>); 7] = [
        |fx| fx.persist(1),
        |fx| fx.send(PEER, 2),
        |fx| fx.output(3),
        |fx| fx.send_before_sync(PEER, 4),
        |fx| fx.output_before_sync(9),
        |fx| fx.arm(5, 6..=7),
        |fx| fx.disarm(5),
    ];

    #[test]
    fn a_driver_finds_everything_that_was_asked_for_in_its_order() {
        let mut fx = Effects::<Inert>::new();
        KINDS.iter().for_each(|ask| ask(&mut fx));
        fx.persist(8);
        assert_eq!(fx.records(), [1, 8]);
        let send = |message| Promise::Send { to: PEER, message };
        assert!(fx.promises().eq([&send(2), &Promise::Output(3)]));
        let at_once = [send(4), Promise::Output(9)];
        assert_eq!(fx.immediate(), at_once);
        let timers = [TimerEffect::Arm(5, 6..=7), TimerEffect::Disarm(5)];
        assert_eq!(fx.timers(), timers);

        assert!(fx.drain_timers().eq(timers));
        assert!(fx.drain_immediate().eq(at_once));
        assert!(fx.timers().is_empty() && fx.immediate().is_empty());
        assert!(!fx.is_empty(), "the gate's part is left");
    }

    /// Who takes empty effects for nothing to do must not lose what is there alone.
    #[test]
    fn effects_are_empty_when_nothing_was_asked_for() {
        assert!(Effects::<Inert>::new().is_empty());
        for ask in KINDS {
            let mut fx = Effects::new();
            ask(&mut fx);
            assert!(!fx.is_empty(), "{fx:?}");
        }
    }

    /// A part's promises wait for what the whole has persisted before them, and for the part's own records.
    #[test]
    fn a_parts_effects_keep_their_place_among_those_of_the_whole() {
        let mut part = Effects::<Inert>::new();
        part.send(PEER, 1);
        part.persist(2);
        part.send(PEER, 3);
        part.output(4);
        part.send_before_sync(PEER, 5);
        part.output_before_sync(8);
        part.arm(6, 1..=1);
        part.disarm(7);

        let mut whole = Effects::<Inert>::new();
        whole.persist(100);
        let mut told = Vec::new();
        whole.embed(
            &mut part,
            |r| r + 10,
            |m| m + 20,
            |t| t + 30,
            |o| told.push(o),
        );
        assert!(part.is_empty());
        assert_eq!(told, [4, 8]);
        assert_eq!(whole.records(), [100, 12]);
        let (to, message) = (PEER, 21);
        let first = (1, Promise::Send { to, message });
        let second = (2, Promise::Send { to, message: 23 });
        assert_eq!(whole.promises, [first, second]);
        let at_once = Promise::Send {
            to: PEER,
            message: 25,
        };
        assert_eq!(whole.immediate(), [at_once]);
        let timers = [TimerEffect::Arm(36, 1..=1), TimerEffect::Disarm(37)];
        assert_eq!(whole.timers(), timers);
    }
}
