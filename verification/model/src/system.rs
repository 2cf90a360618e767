//! The whole system as a stateright model.

use crate::pool::Parts;
use crate::properties::{self, Slot};
use crate::state::{Node, State};
use crate::step::{self, Action, node_index};
use crate::{Expectation, Protocol, Trace};
use quorate_machine::NodeId;
use stateright::{Model, Path};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The nodes of a [`Protocol`], the network between them and their clients: a stateright model.
pub struct System<P: Protocol> {
    pub(crate) protocol: Arc<P>,
    pub(crate) slots: Vec<Slot<P>>,
    parts: Parts<P>,
    /// Set to end a search: no state has successors any more, so the search drains what it holds.
    stopped: AtomicBool,
    /// Whether a violation ends the search at once.
    stops_at_violation: bool,
}

impl<P: Protocol> System<P> {
    /// The system of `protocol`, with its properties and the built-in ones.
    ///
    /// # Panics
    ///
    /// If the protocol has more properties than there are slots for, which is a few dozen, or two of
    /// the same name.
    pub fn new(protocol: Arc<P>) -> Self {
        let slots = properties::slots(&*protocol);
        System {
            protocol,
            slots,
            parts: Parts::default(),
            stopped: AtomicBool::new(false),
            stops_at_violation: false,
        }
    }

    /// The same, for a search that a violation ends. stateright alone goes on for up to 1500 states,
    /// and each of them may panic with a message of its own.
    pub(crate) fn stopping_at_violation(self) -> Self {
        System {
            stops_at_violation: true,
            ..self
        }
    }

    /// The protocol.
    pub fn protocol(&self) -> &P {
        &self.protocol
    }

    /// The names of all properties, in order.
    pub(crate) fn listed(&self) -> Vec<(&'static str, Expectation)> {
        let properties = self.slots.iter().map(|slot| &slot.property);
        properties.map(|p| (p.name, p.expectation)).collect()
    }

    /// A property that must always hold is violated.
    pub(crate) fn violated(&self) {
        if self.stops_at_violation {
            self.stop();
        }
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn resume(&self) {
        self.stopped.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn node_actions(&self, index: usize, state: &State<P>, actions: &mut Vec<Action<P::Machine>>) {
        match &*state.nodes[index] {
            Node::Up(up) => {
                let id = self.protocol.nodes()[index];
                let due = up.timers.iter().copied();
                let due = due.filter(|timer| self.protocol.fires(state, id, *timer));
                actions.extend(due.map(|timer| Action::Timeout(index, timer)));
                if !up.unsynced.is_empty() {
                    actions.push(Action::Sync(index));
                }
                if state.spent.crashes < self.protocol.bounds().crashes {
                    actions.push(Action::Crash(index));
                }
            }
            Node::Down { .. } => actions.push(Action::Recover(index)),
            Node::Failed { .. } => {}
        }
    }

    fn network_actions(&self, state: &State<P>, actions: &mut Vec<Action<P::Machine>>) {
        let duplicate = state.spent.duplications < self.protocol.bounds().duplications;
        for envelope in &state.network {
            let receiver = node_index(&*self.protocol, envelope.to);
            // A message to a node that is down waits: the node may recover, or never get it.
            if receiver.is_some_and(|node| state.nodes[node].up().is_some()) {
                if duplicate {
                    actions.push(Action::Duplicate(envelope.clone()));
                }
                actions.push(Action::Deliver(envelope.clone()));
            }
        }
    }
}

impl<P: Protocol> Model for System<P> {
    type State = State<P>;
    type Action = Action<P::Machine>;

    fn init_states(&self) -> Vec<State<P>> {
        vec![step::initial(&*self.protocol, &self.parts)]
    }

    fn actions(&self, state: &State<P>, actions: &mut Vec<Self::Action>) {
        let failed = |node: &Node<P::Machine>| matches!(node, Node::Failed { .. });
        if self.is_stopped() || state.nodes().any(failed) {
            return;
        }
        if state.network.len() > self.protocol.bounds().in_flight {
            actions.extend(state.network.iter().cloned().map(Action::Lose));
            return;
        }
        let mut requests = Vec::new();
        self.protocol.requests(state, &mut requests);
        let up = |id: NodeId| {
            node_index(&*self.protocol, id).is_some_and(|node| state.nodes[node].up().is_some())
        };
        requests.retain(|request| up(request.node));
        actions.extend(requests.into_iter().map(Action::Request));
        for index in 0..state.nodes.len() {
            self.node_actions(index, state, actions);
        }
        self.network_actions(state, actions);
    }

    fn next_state(&self, last_state: &State<P>, action: Self::Action) -> Option<State<P>> {
        step::successor(&*self.protocol, &self.parts, last_state, &action, &mut ())
    }

    fn within_boundary(&self, state: &State<P>) -> bool {
        let unsynced = self.protocol.bounds().unsynced;
        let fits =
            |node: &Node<P::Machine>| node.up().is_none_or(|up| up.unsynced.len() <= unsynced);
        state.nodes().all(fits) && self.protocol.within(state)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        properties::of(&self.slots)
    }

    fn format_action(&self, action: &Self::Action) -> String {
        crate::trace::describe(&*self.protocol, action)
    }

    fn format_step(&self, last_state: &State<P>, action: Self::Action) -> Option<String> {
        let next = self.next_state(last_state, action.clone())?;
        let step = Trace::step(&*self.protocol, last_state, &action);
        Some(format!("{}\n\n{next:#?}", step.effects_text()))
    }

    fn as_svg(&self, path: Path<State<P>, Self::Action>) -> Option<String> {
        Some(Trace::new(&*self.protocol, &path.into_vec()).to_svg())
    }
}
