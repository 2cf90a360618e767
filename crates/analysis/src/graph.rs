//! The spans of one trace as a forest.
//!
//! Whatever arrives becomes a forest in which every walk ends. Of several spans with one id the first is
//! part of it and the others are set aside. A parent that is not there makes its child an orphan, which is
//! the top of a tree as a root is. Of spans that are each other's parents, the one that begins first is
//! cut off from its parent and becomes a top too. What was cut or set aside is in the
//! [report](crate::GraphReport).
//!
//! Ids come from outside, so they are matched by sorting rather than by hashing: n log n at worst,
//! whatever the ids. All else is linear, and nothing recurses.

use quorate_trace::SpanId;
use quorate_trace::wire::Span;

/// No span.
pub(crate) const NONE: u32 = u32::MAX;

/// An index over the spans of one trace. Spans are named by their position in the slice.
#[derive(Clone, Debug)]
pub struct Graph<'t, 's> {
    spans: &'t [Span<'s>],
    /// Ids with the position of the first span that has it, sorted.
    ids: Vec<(u64, u32)>,
    parent: Vec<u32>,
    /// `children[first_child[i]..first_child[i + 1]]` are the children of i.
    first_child: Vec<u32>,
    children: Vec<u32>,
    /// Parents before their children.
    order: Vec<u32>,
    roots: Vec<u32>,
    orphans: Vec<u32>,
    cycles: Vec<Vec<u32>>,
    /// A set-aside span and the one that has its id.
    duplicates: Vec<(u32, u32)>,
}

impl<'t, 's> Graph<'t, 's> {
    /// Of the spans of one trace, fewer than `u32::MAX` of them.
    pub fn new(spans: &'t [Span<'s>]) -> Self {
        debug_assert!(spans.len() < NONE as usize);
        let (ids, duplicates) = index(spans);
        let mut graph = Graph {
            spans,
            ids,
            parent: vec![NONE; spans.len()],
            first_child: Vec::new(),
            children: Vec::new(),
            order: Vec::with_capacity(spans.len()),
            roots: Vec::new(),
            orphans: Vec::new(),
            cycles: Vec::new(),
            duplicates,
        };
        graph.find_parents();
        graph.cut_cycles();
        graph.find_children();
        graph.put_in_order();
        graph
    }

    /// The spans.
    pub fn spans(&self) -> &'t [Span<'s>] {
        self.spans
    }

    /// The span at this position.
    pub fn span(&self, at: u32) -> &'t Span<'s> {
        &self.spans[at as usize]
    }

    /// The first span of this id.
    pub fn find(&self, id: SpanId) -> Option<u32> {
        let id = number(id);
        let found = self.ids.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.ids[found].1)
    }

    /// The parent; none for roots, orphans, duplicates, and where a cycle was cut.
    pub fn parent(&self, at: u32) -> Option<u32> {
        let parent = self.parent[at as usize];
        (parent != NONE).then_some(parent)
    }

    /// The children, ordered by their begin.
    pub fn children(&self, at: u32) -> &[u32] {
        let (from, to) = (
            self.first_child[at as usize],
            self.first_child[at as usize + 1],
        );
        &self.children[from as usize..to as usize]
    }

    /// The span and those above it, itself first.
    pub fn and_above(&self, at: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(Some(at), |at| self.parent(*at))
    }

    /// Spans that name no parent.
    pub fn roots(&self) -> &[u32] {
        &self.roots
    }

    /// Spans whose parent is not there.
    pub fn orphans(&self) -> &[u32] {
        &self.orphans
    }

    /// Spans that are each other's parents, each cycle from the span at which it was cut, upwards.
    pub fn cycles(&self) -> &[Vec<u32>] {
        &self.cycles
    }

    /// Set-aside spans, each with the one that has its id.
    pub fn duplicates(&self) -> &[(u32, u32)] {
        &self.duplicates
    }

    /// Whether the span is part of the forest, not a duplicate of another.
    pub fn contains(&self, at: u32) -> bool {
        // Duplicates are rare and few, and sorted.
        self.duplicates
            .binary_search_by_key(&at, |(duplicate, _)| *duplicate)
            .is_err()
    }

    /// The tops of all trees: roots, orphans, and where cycles were cut.
    pub fn tops(&self) -> &[u32] {
        let tops = self.roots.len() + self.orphans.len() + self.cycles.len();
        &self.order[..tops]
    }

    /// All spans of the forest, parents before their children, nearer to the top first.
    pub fn topological_order(&self) -> &[u32] {
        &self.order
    }

    fn find_parents(&mut self) {
        let mut is_duplicate = self.duplicates.iter().map(|(at, _)| *at).peekable();
        for (at, span) in self.spans.iter().enumerate() {
            let at = at as u32;
            if is_duplicate.next_if_eq(&at).is_some() {
                continue;
            }
            match span.parent.map(|parent| self.find(parent)) {
                None => self.roots.push(at),
                Some(None) => self.orphans.push(at),
                Some(Some(parent)) => self.parent[at as usize] = parent,
            }
        }
    }

    /// Walks up from every span until it meets an earlier walk, or its own.
    fn cut_cycles(&mut self) {
        let mut walk_of = vec![0_u32; self.spans.len()];
        for from in 0..self.spans.len() as u32 {
            let mut at = from;
            while at != NONE && walk_of[at as usize] == 0 {
                walk_of[at as usize] = from + 1;
                at = self.parent[at as usize];
            }
            if at != NONE && walk_of[at as usize] == from + 1 {
                self.cut_cycle(at);
            }
        }
    }

    fn cut_cycle(&mut self, member: u32) {
        let up = |at: &u32| Some(self.parent[*at as usize]).filter(|parent| *parent != member);
        let mut cycle: Vec<u32> = std::iter::successors(Some(member), up).collect();
        let first = (0..cycle.len()).min_by_key(|i| (self.span(cycle[*i]).start, cycle[*i]));
        cycle.rotate_left(first.unwrap_or(0));
        self.parent[cycle[0] as usize] = NONE;
        self.cycles.push(cycle);
    }

    fn find_children(&mut self) {
        let spans = self.spans;
        let mut next = vec![0_u32; spans.len() + 1];
        for parent in self.parent.iter().filter(|parent| **parent != NONE) {
            next[*parent as usize + 1] += 1;
        }
        for at in 0..spans.len() {
            next[at + 1] += next[at];
        }
        self.first_child = next.clone();
        self.children = vec![0; next[spans.len()] as usize];
        for (at, parent) in self.parent.iter().enumerate() {
            if *parent != NONE {
                let place = &mut next[*parent as usize];
                self.children[*place as usize] = at as u32;
                *place += 1;
            }
        }
        for pair in self.first_child.windows(2) {
            let children = &mut self.children[pair[0] as usize..pair[1] as usize];
            if children.len() > 1 {
                children.sort_unstable_by_key(|at| (spans[*at as usize].start, *at));
            }
        }
    }

    fn put_in_order(&mut self) {
        let cut = self.cycles.iter().map(|cycle| cycle[0]);
        self.order.extend_from_slice(&self.roots);
        self.order.extend_from_slice(&self.orphans);
        self.order.extend(cut);
        let mut done = 0;
        while done < self.order.len() {
            let at = self.order[done] as usize;
            let (from, to) = (self.first_child[at], self.first_child[at + 1]);
            self.order
                .extend_from_slice(&self.children[from as usize..to as usize]);
            done += 1;
        }
        debug_assert_eq!(self.order.len() + self.duplicates.len(), self.spans.len());
    }
}

type Duplicates = Vec<(u32, u32)>;

/// The first span of every id, by id; and the others, by position.
fn index(spans: &[Span<'_>]) -> (Vec<(u64, u32)>, Duplicates) {
    let numbered = spans.iter().enumerate();
    let mut ids: Vec<(u64, u32)> = numbered
        .map(|(at, span)| (number(span.span_id), at as u32))
        .collect();
    ids.sort_unstable();
    let mut duplicates = Duplicates::new();
    ids.dedup_by(|other, first| {
        let same = other.0 == first.0;
        if same {
            duplicates.push((other.1, first.1));
        }
        same
    });
    duplicates.sort_unstable();
    (ids, duplicates)
}

fn number(id: SpanId) -> u64 {
    u64::from_be_bytes(*id.bytes())
}
