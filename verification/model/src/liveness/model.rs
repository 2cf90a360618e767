//! The system with what liveness needs beside: losses as steps, timers that keep time, states that count
//! as the same.

use super::class::{Class, Classes};
use super::{Liveness, Moment};
use crate::protocol::Protocol;
use crate::state::{Node, State};
use crate::step::{Action, node_index};
use crate::{Cached, Envelope, System};
use quorate_machine::NodeId;
use stateright::Model;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A [`System`] whose behaviours are judged as wholes, and not state by state.
pub(super) struct Live<P: Protocol> {
    pub(super) system: System<P>,
    pub(super) liveness: Liveness<P>,
    classes: Classes<P::Machine>,
}

/// A state, with what the run has spent of its assumptions.
pub(super) struct LiveState<P: Protocol> {
    pub(super) whole: State<P>,
    spent: Spent,
    /// By this alone states are told apart: a digest of what counts in `whole`, and of `spent`.
    key: u128,
}

/// What a run has spent of what [`Liveness`] allows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Spent {
    losses: u8,
    untimely: u8,
}

impl<P: Protocol> Live<P> {
    pub(super) fn new(protocol: Arc<P>, liveness: Liveness<P>) -> Self {
        Live {
            classes: Classes::new(protocol.nodes()),
            system: System::new(protocol),
            liveness,
        }
    }

    pub(super) fn protocol(&self) -> &P {
        self.system.protocol()
    }

    /// The class of an action. A timer never has to fire out of time, so that belongs to none.
    pub(super) fn class(&self, state: &LiveState<P>, action: &Action<P::Machine>) -> Option<Class> {
        match action {
            Action::Timeout(node, timer) if !self.is_due(state, *node, *timer) => None,
            _ => self.classes.of(&state.whole, action),
        }
    }

    fn state(&self, whole: State<P>, spent: Spent) -> LiveState<P> {
        let essence = self.liveness.digest(self.protocol(), &whole);
        LiveState {
            key: super::digest(&(essence, spent)),
            whole,
            spent,
        }
    }

    /// Whether the timer, if it fires, is in time.
    fn is_due(&self, state: &LiveState<P>, node: usize, timer: Timer<P>) -> bool {
        self.liveness.timing.as_ref().is_none_or(|timing| {
            (timing.due)(&Moment {
                protocol: self.protocol(),
                state: &state.whole,
                node: self.protocol().nodes()[node],
                timer,
            })
        })
    }

    /// What is spent when the timer has fired; `None` if it is out of time too often.
    fn fired(&self, state: &LiveState<P>, node: usize, timer: Timer<P>) -> Option<Spent> {
        if self.is_due(state, node, timer) {
            return Some(state.spent);
        }
        let limit = self.liveness.timing.as_ref()?.untimely;
        (state.spent.untimely < limit).then(|| Spent {
            untimely: state.spent.untimely + 1,
            ..state.spent
        })
    }

    fn node_actions(
        &self,
        index: usize,
        state: &LiveState<P>,
        actions: &mut Vec<Action<P::Machine>>,
    ) {
        let protocol = self.protocol();
        match &*state.whole.nodes[index] {
            Node::Up(up) => {
                let id = protocol.nodes()[index];
                let armed = up.timers.iter().copied();
                let due = armed.filter(|timer| {
                    protocol.fires(&state.whole, id, *timer)
                        && self.fired(state, index, *timer).is_some()
                });
                actions.extend(due.map(|timer| Action::Timeout(index, timer)));
                if !up.unsynced.is_empty() {
                    actions.push(Action::Sync(index));
                }
                if state.whole.spent.crashes < protocol.bounds().crashes {
                    actions.push(Action::Crash(index));
                }
            }
            Node::Down { .. } => actions.push(Action::Recover(index)),
            Node::Failed { .. } => {}
        }
    }

    fn network_actions(&self, state: &LiveState<P>, actions: &mut Vec<Action<P::Machine>>) {
        let duplicates = self.protocol().bounds().duplications;
        for envelope in &state.whole.network {
            if self.is_up(&state.whole, envelope.to) {
                if state.whole.spent.duplications < duplicates {
                    actions.push(Action::Duplicate(envelope.clone()));
                }
                actions.push(Action::Deliver(envelope.clone()));
            }
            if state.spent.losses < self.liveness.losses || self.is_lossy(envelope) {
                actions.push(Action::Lose(envelope.clone()));
            }
        }
    }

    fn is_lossy(&self, envelope: &Cached<Envelope<P::Machine>>) -> bool {
        let mut lossy = self.liveness.lossy.iter();
        lossy.any(|pattern| {
            pattern.matches(&Class::Deliver {
                kind: self.classes.kind(envelope),
                from: envelope.from,
                to: envelope.to,
            })
        })
    }

    fn is_up(&self, state: &State<P>, id: NodeId) -> bool {
        node_index(self.protocol(), id).is_some_and(|node| state.nodes[node].up().is_some())
    }

    /// The queue of messages to a node that is down has room for one of each kind, the latest: who goes
    /// on sending to it would have no end of states.
    fn limit_queues(&self, before: &State<P>, after: &mut State<P>) {
        if after.nodes.iter().all(|node| node.up().is_some()) {
            return;
        }
        let new: Vec<_> = (after.network.iter())
            .filter(|envelope| {
                !before.network.contains(envelope) && !self.is_up(after, envelope.to)
            })
            .cloned()
            .collect();
        after.network.retain(|envelope| {
            let newer = |new: &Cached<Envelope<P::Machine>>| {
                (new.from, new.to) == (envelope.from, envelope.to)
                    && self.classes.kind(new) == self.classes.kind(envelope)
            };
            new.contains(envelope) || !new.iter().any(newer)
        });
    }
}

type Timer<P> = <<P as Protocol>::Machine as quorate_machine::Machine>::Timer;

impl<P: Protocol> Model for Live<P> {
    type State = LiveState<P>;
    type Action = Action<P::Machine>;

    fn init_states(&self) -> Vec<LiveState<P>> {
        let initial = self.system.init_states().into_iter();
        initial
            .map(|whole| self.state(whole, Spent::default()))
            .collect()
    }

    fn actions(&self, state: &LiveState<P>, actions: &mut Vec<Self::Action>) {
        let failed = |node: &Node<P::Machine>| matches!(node, Node::Failed { .. });
        if state.whole.nodes().any(failed) {
            return;
        }
        let mut requests = Vec::new();
        self.protocol().requests(&state.whole, &mut requests);
        requests.retain(|request| self.is_up(&state.whole, request.node));
        actions.extend(requests.into_iter().map(Action::Request));
        for index in 0..state.whole.nodes.len() {
            self.node_actions(index, state, actions);
        }
        self.network_actions(state, actions);
    }

    fn next_state(&self, last: &LiveState<P>, action: Self::Action) -> Option<LiveState<P>> {
        let mut spent = last.spent;
        match &action {
            Action::Timeout(node, timer) => spent = self.fired(last, *node, *timer)?,
            Action::Lose(envelope) if !self.is_lossy(envelope) => spent.losses += 1,
            _ => {}
        }
        // A message whose arrival changes nothing has arrived all the same. In a search for bad states
        // it may stay, but here it would be something that is for ever about to happen.
        let gone = match &action {
            Action::Deliver(envelope) => Some(Action::Lose(envelope.clone())),
            _ => None,
        };
        let next = self.system.next_state(&last.whole, action);
        let mut next = next.or_else(|| self.system.next_state(&last.whole, gone?))?;
        self.limit_queues(&last.whole, &mut next);
        Some(self.state(next, spent))
    }

    fn within_boundary(&self, state: &LiveState<P>) -> bool {
        state.whole.network.len() <= self.protocol().bounds().in_flight
            && self.system.within_boundary(&state.whole)
    }

    fn format_action(&self, action: &Self::Action) -> String {
        self.system.format_action(action)
    }
}

impl<P: Protocol> Clone for LiveState<P> {
    fn clone(&self) -> Self {
        LiveState {
            whole: self.whole.clone(),
            ..*self
        }
    }
}

impl<P: Protocol> std::fmt::Debug for LiveState<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, {:?}", self.whole, self.spent)
    }
}

impl<P: Protocol> PartialEq for LiveState<P> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<P: Protocol> Eq for LiveState<P> {}

impl<P: Protocol> Hash for LiveState<P> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.key);
    }
}
