//! The graph of a model: numbers for states, and edges between them.
//!
//! States are numbered in the order in which a breadth-first search finds them, so that a smaller number
//! never lies deeper. The states themselves are not here: their hashes are, and a state on a path is found
//! again by taking the model's actions along it.

/// The target of an edge to a state that was not explored.
pub(crate) const OUTSIDE: u32 = u32::MAX;
/// The label of edges that no class has.
pub(crate) const UNLABELLED: u16 = 0;
/// The predecessor of an initial state.
pub(crate) const NO_STATE: u32 = u32::MAX;

/// States and edges. Per state a hash, a predecessor and an offset, 16 bytes; per edge 6.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// The hash of each state.
    pub(crate) fingerprints: Vec<u64>,
    /// The state from which each state was found first.
    pub(crate) predecessors: Vec<u32>,
    /// Where each state's edges begin; one more at the end.
    pub(crate) offsets: Vec<u32>,
    pub(crate) targets: Vec<u32>,
    pub(crate) labels: Vec<u16>,
    /// How many states are initial: the first ones.
    pub(crate) initial: u32,
}

/// An edge, as its source has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) target: u32,
    pub(crate) label: u16,
}

impl Graph {
    pub(crate) fn states(&self) -> u32 {
        // The number of states is limited far below 2^32 when they are found.
        self.fingerprints.len() as u32
    }

    /// Where the edges of a state are.
    pub(crate) fn range(&self, state: u32) -> (u32, u32) {
        let state = state as usize;
        (self.offsets[state], self.offsets[state + 1])
    }

    /// All edges of a state, those to the outside too: what is enabled there.
    pub(crate) fn edges(&self, state: u32) -> impl Iterator<Item = Edge> {
        let (from, to) = self.range(state);
        let range = from as usize..to as usize;
        let labels = self.labels[range.clone()].iter();
        let edges = self.targets[range].iter().zip(labels);
        edges.map(|(&target, &label)| Edge { target, label })
    }

    /// The edges of a state to explored states.
    pub(crate) fn inner_edges(&self, state: u32) -> impl Iterator<Item = Edge> {
        self.edges(state).filter(|edge| edge.target != OUTSIDE)
    }

    /// Whether an action with the label is enabled in the state.
    pub(crate) fn enables(&self, state: u32, label: u16) -> bool {
        self.edges(state).any(|edge| edge.label == label)
    }

    /// The states from an initial one to this one, a shortest such path.
    pub(crate) fn path_to(&self, state: u32) -> Vec<u32> {
        let mut path = vec![state];
        let mut at = self.predecessors[state as usize];
        while at != NO_STATE {
            path.push(at);
            at = self.predecessors[at as usize];
        }
        path.reverse();
        path
    }

    /// How far each state is from the initial ones.
    pub(crate) fn depths(&self) -> Vec<u32> {
        let mut depths = Vec::with_capacity(self.predecessors.len());
        for &predecessor in &self.predecessors {
            let depth = match predecessor {
                NO_STATE => 0,
                predecessor => depths[predecessor as usize] + 1,
            };
            depths.push(depth);
        }
        depths
    }

    /// Forgets the states from this one on; edges to them lead outside.
    pub(crate) fn truncate(&mut self, states: u32) {
        self.fingerprints.truncate(states as usize);
        self.predecessors.truncate(states as usize);
        self.initial = self.initial.min(states);
        for target in &mut self.targets {
            if *target >= states {
                *target = OUTSIDE;
            }
        }
    }

    pub(crate) fn shrink(&mut self) {
        self.fingerprints.shrink_to_fit();
        self.predecessors.shrink_to_fit();
        self.offsets.shrink_to_fit();
        self.targets.shrink_to_fit();
        self.labels.shrink_to_fit();
    }

    pub(crate) fn state_bytes(&self) -> usize {
        self.fingerprints.capacity() * size_of::<u64>()
            + self.predecessors.capacity() * size_of::<u32>()
            + self.offsets.capacity() * size_of::<u32>()
    }

    pub(crate) fn edge_bytes(&self) -> usize {
        self.targets.capacity() * size_of::<u32>() + self.labels.capacity() * size_of::<u16>()
    }
}
