//! Which components of the bad region allow a fair cycle.
//!
//! Every state carries a mark: that of the region in which components are being searched, and then that
//! of its component, which no other has. An edge is within a component when both ends have one mark, and
//! what is left of a component without some of its states is a region with a mark of its own.

use crate::bad::Bad;
use crate::fairness::Fairness;
use crate::graph::{Graph, OUTSIDE};

/// In the mark of a component: it allows a fair cycle.
const FAIR: u32 = 1 << 31;
/// The mark of states that are in no region.
const NOWHERE: u32 = 0;
/// The mark of the whole bad region.
const REGION: u32 = 1;

/// The judged components of a bad region.
pub(crate) struct Components {
    marks: Vec<u32>,
    /// States of the bad region.
    pub(crate) states: usize,
    /// Components judged, those of what was left of others included.
    pub(crate) judged: usize,
    /// Components that allow a fair cycle.
    pub(crate) fair: usize,
    /// Bytes that the search needed at most.
    pub(crate) bytes: usize,
}

impl Components {
    /// The mark of the state's component, if that allows a fair cycle.
    pub(crate) fn fair(&self, state: u32) -> Option<u32> {
        let mark = self.marks[state as usize];
        (mark & FAIR != 0).then_some(mark)
    }

    /// Searches the bad region; `fairness` is that of each label.
    pub(crate) fn search(bad: &Bad<'_>, fairness: &[Fairness]) -> Self {
        let states = bad.graph.states() as usize;
        let mut marks = vec![NOWHERE; states];
        let region = bad.region(&mut marks, REGION);
        let mut search = Search {
            graph: bad.graph,
            judge: Judge::new(bad, fairness),
            marks,
            low: vec![0; states],
            stack: Vec::new(),
            calls: Vec::new(),
            next_mark: REGION + 1,
            rest: Vec::new(),
        };
        let region_states = region.len();
        let (mut judged, mut fair) = (0, 0);
        search.rest.push((REGION, region));
        while let Some((mark, members)) = search.rest.pop() {
            for state in members {
                if search.marks[state as usize] == mark && search.low[state as usize] == 0 {
                    search.from(state, mark, &mut |is_fair| {
                        judged += 1;
                        fair += usize::from(is_fair);
                    });
                }
            }
        }
        let bytes = (search.marks.capacity() + search.low.capacity() + search.stack.capacity())
            * size_of::<u32>()
            + search.calls.capacity() * size_of::<Call>()
            + region_states * size_of::<u32>();
        Components {
            marks: search.marks,
            states: region_states,
            judged,
            fair,
            bytes,
        }
    }
}

/// A state on the path of the depth-first search.
struct Call {
    state: u32,
    /// Its next edge, counted over all edges.
    edge: u32,
    /// When it was found, from 1.
    index: u32,
}

/// Tarjan's algorithm (*Depth-first search and linear graph algorithms*, 1972) without recursion.
struct Search<'a> {
    graph: &'a Graph,
    judge: Judge<'a>,
    marks: Vec<u32>,
    /// The oldest state on the stack that each one is known to reach; 0 if it was not found yet.
    low: Vec<u32>,
    stack: Vec<u32>,
    calls: Vec<Call>,
    next_mark: u32,
    /// Regions to be searched.
    rest: Vec<(u32, Vec<u32>)>,
}

impl Search<'_> {
    /// Searches what can be reached from `root` in the region of this mark.
    fn from(&mut self, root: u32, mark: u32, judged: &mut impl FnMut(bool)) {
        let mut index = 0;
        self.enter(root, &mut index);
        while let Some(call) = self.calls.last_mut() {
            let state = call.state;
            if call.edge < self.graph.range(state).1 {
                let target = self.graph.targets[call.edge as usize];
                call.edge += 1;
                if target == OUTSIDE || self.marks[target as usize] != mark {
                    continue;
                }
                match self.low[target as usize] {
                    0 => self.enter(target, &mut index),
                    low => self.lower(state, low),
                }
                continue;
            }
            let (low, index) = (self.low[state as usize], call.index);
            self.calls.pop();
            if low == index {
                let is_fair = self.component(state);
                judged(is_fair);
            } else if let Some(parent) = self.calls.last() {
                let parent = parent.state;
                self.lower(parent, low);
            }
        }
    }

    fn enter(&mut self, state: u32, index: &mut u32) {
        *index += 1;
        self.low[state as usize] = *index;
        self.stack.push(state);
        self.calls.push(Call {
            state,
            edge: self.graph.range(state).0,
            index: *index,
        });
    }

    fn lower(&mut self, state: u32, low: u32) {
        let own = &mut self.low[state as usize];
        *own = low.min(*own);
    }

    /// Judges the component that ends with `root` on the stack. True if it allows a fair cycle.
    fn component(&mut self, root: u32) -> bool {
        let position = self.stack.iter().rposition(|state| *state == root);
        let begin = position.unwrap_or(0);
        let members = &self.stack[begin..];
        let mark = self.next_mark;
        self.next_mark += 1;
        for state in members {
            self.marks[*state as usize] = mark;
        }
        let ruling = self.judge.rule(members, mark, &self.marks);
        if let Ruling::Fair = ruling {
            for state in members {
                self.marks[*state as usize] = mark | FAIR;
            }
        }
        if let Ruling::OnlyWithout(labels) = &ruling {
            self.set_apart(begin, labels);
        }
        self.stack.truncate(begin);
        matches!(ruling, Ruling::Fair)
    }

    /// Makes a region of those states of the component that enable none of the labels.
    fn set_apart(&mut self, begin: usize, labels: &[u16]) {
        let mark = self.next_mark;
        self.next_mark += 1;
        let enables = |state: u32| labels.iter().any(|label| self.graph.enables(state, *label));
        let members = self.stack[begin..].iter().copied();
        let left: Vec<u32> = members.filter(|state| !enables(*state)).collect();
        for state in &left {
            self.marks[*state as usize] = mark;
            self.low[*state as usize] = 0;
        }
        if !left.is_empty() {
            self.rest.push((mark, left));
        }
    }
}

/// What is said of a component.
enum Ruling {
    /// A cycle through all of it is fair.
    Fair,
    /// No cycle in it is.
    Unfair,
    /// Only a cycle in which these strongly fair classes are never enabled can be.
    OnlyWithout(Vec<u16>),
}

/// Judges components.
struct Judge<'a> {
    bad: &'a Bad<'a>,
    fairness: &'a [Fairness],
    /// For each label, what was seen of it in the component at hand.
    seen: Vec<Seen>,
    /// The labels of which something was seen.
    touched: Vec<u16>,
}

#[derive(Clone, Default)]
struct Seen {
    /// In how many states it is enabled.
    enabled: usize,
    /// The last of them, plus one.
    last: u64,
    /// Whether it is taken within the component.
    taken: bool,
}

impl<'a> Judge<'a> {
    fn new(bad: &'a Bad<'a>, fairness: &'a [Fairness]) -> Self {
        Judge {
            bad,
            fairness,
            seen: vec![Seen::default(); fairness.len()],
            touched: Vec::new(),
        }
    }

    fn rule(&mut self, members: &[u32], mark: u32, marks: &[u32]) -> Ruling {
        if self.bad.seeks() && !members.iter().any(|state| self.bad.sought(*state)) {
            return Ruling::Unfair;
        }
        for &state in members {
            self.look(state, mark, marks);
        }
        let mut unfair = false;
        let mut without = Vec::new();
        for label in self.touched.drain(..) {
            let seen = std::mem::take(&mut self.seen[usize::from(label)]);
            if seen.taken {
                continue;
            }
            match self.fairness[usize::from(label)] {
                Fairness::None => {}
                Fairness::Weak => unfair |= seen.enabled == members.len(),
                Fairness::Strong => without.push(label),
            }
        }
        match (unfair, without.is_empty()) {
            (true, _) => Ruling::Unfair,
            (false, true) => Ruling::Fair,
            (false, false) => Ruling::OnlyWithout(without),
        }
    }

    fn look(&mut self, state: u32, mark: u32, marks: &[u32]) {
        for edge in self.bad.graph.edges(state) {
            let label = usize::from(edge.label);
            if self.fairness[label] == Fairness::None {
                continue;
            }
            let seen = &mut self.seen[label];
            if seen.enabled == 0 {
                self.touched.push(edge.label);
            }
            let stamp = u64::from(state) + 1;
            if seen.last != stamp {
                seen.last = stamp;
                seen.enabled += 1;
            }
            seen.taken |= edge.target != OUTSIDE && marks[edge.target as usize] == mark;
        }
    }
}
