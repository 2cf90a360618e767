//! The walk over a model's whole graph, breadth first.

use crate::bits::Bits;
use crate::fairness::Fairness;
use crate::graph::{Edge, Graph, NO_STATE, OUTSIDE, UNLABELLED};
use crate::property::Property;
use crate::report::{Size, Stop};
use ahash::RandomState;
use hashbrown::{HashMap, HashTable};
use stateright::Model;
use std::collections::VecDeque;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// More states than this are not explored, whatever is asked for: marks of components, at most three
/// per state, must fit into 31 bits.
const MOST_STATES: usize = 1 << 29;
/// Edges are counted in 32 bits.
const MOST_EDGES: usize = u32::MAX as usize - 1;
/// Progress is told after so many states.
const STATES_PER_PROGRESS: u32 = 1 << 14;

/// To which class an action belongs in a state.
pub(crate) type Classify<'m, M, C> =
    Box<dyn Fn(&<M as Model>::State, &<M as Model>::Action) -> Option<C> + 'm>;

type OnProgress<'m> = Box<dyn FnMut(Progress) -> ControlFlow<()> + 'm>;

/// What is to be explored: a model, the classes of its actions, and properties.
pub struct Explorer<'m, M: Model, C> {
    model: &'m M,
    class: Classify<'m, M, C>,
    properties: Vec<Property<M>>,
    max_states: usize,
    progress: OnProgress<'m>,
}

/// How far the exploration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// States found so far.
    pub states: usize,
    /// Of these, states whose successors are known.
    pub expanded: usize,
    /// Edges so far.
    pub edges: usize,
}

/// Why a graph cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExploreError {
    /// An edge carries the number of its class in 16 bits.
    #[error("the actions are of more than 65535 classes")]
    TooManyClasses,
}

/// The graph of a model, with its properties evaluated in every state: ready to be judged under any
/// fairness.
pub struct Explored<'m, M: Model, C> {
    pub(crate) model: &'m M,
    pub(crate) properties: Vec<Property<M>>,
    /// The bits of each property's predicates.
    pub(crate) truths: Vec<Vec<Bits>>,
    pub(crate) graph: Graph,
    pub(crate) class: Classify<'m, M, C>,
    /// The class of each label, from label 1.
    pub(crate) classes: Vec<C>,
    pub(crate) bounded: bool,
    pub(crate) stop: Option<Stop>,
    pub(crate) size: Size,
    pub(crate) time: Duration,
}

impl<'m, M: Model, C: Clone + Eq + Hash> Explorer<'m, M, C>
where
    M::State: Hash,
{
    /// An exploration of `model`, whose actions belong to classes as `class` says; to an action without
    /// one nobody need be fair.
    pub fn new(
        model: &'m M,
        class: impl Fn(&M::State, &M::Action) -> Option<C> + 'm,
    ) -> Explorer<'m, M, C> {
        Explorer {
            model,
            class: Box::new(class),
            properties: Vec::new(),
            max_states: MOST_STATES,
            progress: Box::new(|_| ControlFlow::Continue(())),
        }
    }

    /// Adds a property.
    pub fn property(mut self, property: Property<M>) -> Self {
        self.properties.push(property);
        self
    }

    /// Adds properties.
    pub fn properties(mut self, properties: impl IntoIterator<Item = Property<M>>) -> Self {
        self.properties.extend(properties);
        self
    }

    /// Explores no more than so many states, and never more than 2^29.
    pub fn max_states(mut self, states: usize) -> Self {
        self.max_states = states.min(MOST_STATES);
        self
    }

    /// Calls `progress` now and then; the exploration ends early when it breaks.
    pub fn progress(mut self, progress: impl FnMut(Progress) -> ControlFlow<()> + 'm) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Explores.
    pub fn explore(mut self) -> Result<Explored<'m, M, C>, ExploreError> {
        let start = Instant::now();
        let mut walk = Walk::new(self.model, self.max_states);
        let none = |property: &Property<M>| vec![Bits::default(); property.predicates().len()];
        let mut truths: Vec<Vec<Bits>> = self.properties.iter().map(none).collect();
        let mut expanded: u32 = 0;
        let mut levels = Levels::new(walk.graph.states());
        while let Some(state) = walk.frontier.pop_front() {
            for (property, bits) in self.properties.iter().zip(&mut truths) {
                for (predicate, bits) in property.predicates().iter().zip(bits) {
                    bits.push(predicate(&state));
                }
            }
            walk.expand(expanded, &state, &self.class)?;
            expanded += 1;
            levels.expanded(expanded, walk.graph.states());
            if walk.graph.targets.len() > MOST_EDGES {
                // The state's own edges may not all be counted: it is forgotten too.
                expanded -= 1;
                walk.graph.offsets.pop();
                walk.stop = Some(Stop::MaxEdges);
                break;
            }
            if expanded.is_multiple_of(STATES_PER_PROGRESS)
                && (self.progress)(walk.progress(expanded)).is_break()
            {
                walk.stop = Some(Stop::Interrupted);
                break;
            }
        }
        walk.finish(expanded);
        let mut explored = Explored {
            model: self.model,
            properties: self.properties,
            size: Size::default(),
            truths,
            graph: walk.graph,
            class: self.class,
            classes: walk.classes,
            bounded: walk.bounded,
            stop: walk.stop,
            time: start.elapsed(),
        };
        explored.size = explored.measure(levels.depth, walk.widest);
        Ok(explored)
    }
}

impl<M: Model, C> Explored<'_, M, C> {
    /// How large the graph is.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Whether states outside of the boundary were left out.
    pub fn bounded(&self) -> bool {
        self.bounded
    }

    /// Why the exploration ended early, if it did.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// The classes that occur, in the order in which they were found.
    pub fn classes(&self) -> &[C] {
        &self.classes
    }

    /// The fairness of each label.
    pub(crate) fn labels(&self, fairness: impl Fn(&C) -> Fairness) -> Vec<Fairness> {
        let labelled = self.classes.iter().map(fairness);
        std::iter::once(Fairness::None).chain(labelled).collect()
    }

    fn measure(&self, depth: usize, widest: usize) -> Size {
        let bits = self.truths.iter().flatten().map(Bits::bytes);
        Size {
            states: self.graph.fingerprints.len(),
            edges: self.graph.targets.len(),
            depth,
            widest_frontier: widest,
            state_bytes: self.graph.state_bytes() + bits.sum::<usize>(),
            edge_bytes: self.graph.edge_bytes(),
        }
    }
}

/// Counts the levels of the search, as TLC counts the depth of a graph.
struct Levels {
    depth: usize,
    /// Where the current level ends.
    end: u32,
}

impl Levels {
    fn new(initial: u32) -> Self {
        Levels {
            depth: usize::from(initial > 0),
            end: initial,
        }
    }

    fn expanded(&mut self, expanded: u32, states: u32) {
        if expanded == self.end && states > self.end {
            self.depth += 1;
            self.end = states;
        }
    }
}

/// The search as it goes.
struct Walk<'m, M: Model, C> {
    model: &'m M,
    graph: Graph,
    hasher: RandomState,
    /// The states' numbers, by hash.
    numbers: HashTable<u32>,
    /// The states that are not expanded yet, in the order of their numbers.
    frontier: VecDeque<M::State>,
    widest: usize,
    labels: HashMap<C, u16, RandomState>,
    classes: Vec<C>,
    max_states: usize,
    bounded: bool,
    stop: Option<Stop>,
    actions: Vec<M::Action>,
    edges: Vec<Edge>,
}

impl<'m, M: Model, C: Clone + Eq + Hash> Walk<'m, M, C>
where
    M::State: Hash,
{
    fn new(model: &'m M, max_states: usize) -> Self {
        let mut walk = Walk {
            model,
            graph: Graph::default(),
            hasher: hasher(),
            numbers: HashTable::new(),
            frontier: VecDeque::new(),
            widest: 0,
            labels: HashMap::with_hasher(hasher()),
            classes: Vec::new(),
            max_states,
            bounded: false,
            stop: None,
            actions: Vec::new(),
            edges: Vec::new(),
        };
        for state in model.init_states() {
            let fingerprint = walk.hasher.hash_one(&state);
            walk.number(fingerprint, state, NO_STATE);
        }
        walk.graph.initial = walk.graph.states();
        walk.graph.offsets.push(0);
        walk
    }

    /// Finds the edges of a state, and the states to which they lead.
    fn expand(
        &mut self,
        number: u32,
        state: &M::State,
        class: &Classify<'m, M, C>,
    ) -> Result<(), ExploreError> {
        let own = self.graph.fingerprints[number as usize];
        let mut actions = std::mem::take(&mut self.actions);
        self.model.actions(state, &mut actions);
        for action in actions.drain(..) {
            let class = class(state, &action);
            let Some(next) = self.model.next_state(state, action) else {
                continue;
            };
            let fingerprint = self.hasher.hash_one(&next);
            if fingerprint == own {
                // A stuttering step, which every state has anyhow.
                continue;
            }
            let label = class.map_or(Ok(UNLABELLED), |class| self.label(class))?;
            let target = self.number(fingerprint, next, number);
            if target != OUTSIDE || label != UNLABELLED {
                self.edges.push(Edge { target, label });
            }
        }
        self.actions = actions;
        self.edges.sort_unstable();
        self.edges.dedup();
        for edge in self.edges.drain(..) {
            self.graph.targets.push(edge.target);
            self.graph.labels.push(edge.label);
        }
        // Truncated only when the search is about to end because of it.
        self.graph.offsets.push(self.graph.targets.len() as u32);
        self.widest = self.widest.max(self.frontier.len());
        Ok(())
    }

    /// The number of a state, which is new if it was not seen yet.
    fn number(&mut self, fingerprint: u64, state: M::State, predecessor: u32) -> u32 {
        let fingerprints = &self.graph.fingerprints;
        let same = |number: &u32| fingerprints[*number as usize] == fingerprint;
        if let Some(number) = self.numbers.find(fingerprint, same) {
            return *number;
        }
        if !self.model.within_boundary(&state) {
            self.bounded = true;
            return OUTSIDE;
        }
        if fingerprints.len() >= self.max_states {
            self.stop = Some(Stop::MaxStates);
            return OUTSIDE;
        }
        let number = self.graph.states();
        let hash = |number: &u32| fingerprints[*number as usize];
        self.numbers.insert_unique(fingerprint, number, hash);
        self.graph.fingerprints.push(fingerprint);
        self.graph.predecessors.push(predecessor);
        self.frontier.push_back(state);
        number
    }

    fn label(&mut self, class: C) -> Result<u16, ExploreError> {
        if let Some(label) = self.labels.get(&class) {
            return Ok(*label);
        }
        let label =
            u16::try_from(self.classes.len() + 1).map_err(|_| ExploreError::TooManyClasses)?;
        self.classes.push(class.clone());
        self.labels.insert(class, label);
        Ok(label)
    }

    fn progress(&self, expanded: u32) -> Progress {
        Progress {
            states: self.graph.fingerprints.len(),
            expanded: expanded as usize,
            edges: self.graph.targets.len(),
        }
    }

    /// Leaves what is expanded, and forgets what only served the search.
    fn finish(&mut self, expanded: u32) {
        self.numbers = HashTable::new();
        if expanded < self.graph.states() {
            let edges = self.graph.offsets.last().copied().unwrap_or(0) as usize;
            self.graph.targets.truncate(edges);
            self.graph.labels.truncate(edges);
            self.graph.truncate(expanded);
        }
        self.graph.shrink();
    }
}

/// The seeds are fixed, so that a state has the same hash when a path to it is walked again.
pub(crate) fn hasher() -> RandomState {
    RandomState::with_seeds(1, 2, 3, 4)
}
