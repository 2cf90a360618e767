//! Who can be reached from whom, in a forest with additional edges, in less than linear time.
//!
//! The nodes of the forest are numbered in depth-first order, so that everything below a node is one
//! interval of numbers: within the forest a question is two comparisons. Of every additional edge (a
//! link) the index knows what its target reaches, as sorted disjoint intervals, and a segment tree over the links,
//! ordered by the numbers of their sources, has the unions of these. What a node reaches is then its own
//! interval, and what the links from that interval reach: O(log² links) for a question. (The intervals
//! are those of Agrawal, Borgida and Jagadish, "Efficient Management of Transitive Relationships in Large
//! Data and Knowledge Bases", SIGMOD 1989, kept at the links only.)
//!
//! Links that cross each other in large numbers could make the intervals quadratic. Beyond
//! [`INTERVALS_MAX`] they are given up, and a question walks the links, at worst all of them once.

use crate::graph::NONE;

/// Intervals that an index may have: 32 MiB of them.
const INTERVALS_MAX: usize = 1 << 22;

type Interval = (u32, u32);

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// Per node: its number in depth-first order, and the last number below it.
    intervals: Vec<Interval>,
    /// Number of the source and target node of each link, by the former.
    links: Vec<(u32, u32)>,
    /// A segment tree over `links`, its leaves in the upper half; none if it became too large.
    labels: Option<Vec<Box<[Interval]>>>,
    /// Links that contradict the others: their target reaches their source.
    contradictions: Vec<(u32, u32)>,
}

impl Reach {
    /// Of a forest in which parents come before their children in `order`, and of links from cause to
    /// effect.
    pub(crate) fn new(parents: &[u32], order: &[u32], links: &[(u32, u32)]) -> Self {
        Self::limited(parents, order, links, INTERVALS_MAX)
    }

    fn limited(parents: &[u32], order: &[u32], links: &[(u32, u32)], limit: usize) -> Self {
        let mut reach = Reach {
            intervals: number(parents, order),
            links: Vec::new(),
            labels: None,
            contradictions: Vec::new(),
        };
        let (targets, kept) = reach.without_cycles(links);
        let numbered = kept
            .iter()
            .map(|(from, to)| (reach.intervals[*from as usize].0, *to));
        reach.links = numbered.collect();
        reach.links.sort_unstable();
        reach.links.dedup();
        reach.labels = reach.label(&targets, limit);
        reach
    }

    /// Links that were left out, because others (or the forest) say the opposite.
    pub(crate) fn contradictions(&self) -> &[(u32, u32)] {
        &self.contradictions
    }

    /// Whether a way leads from one to the other. A node reaches itself.
    pub(crate) fn reaches(&self, from: u32, to: u32) -> bool {
        let (first, last) = self.intervals[from as usize];
        let wanted = self.intervals[to as usize].0;
        if (first..=last).contains(&wanted) {
            return true;
        }
        match &self.labels {
            Some(labels) => self.any_label(labels, (first, last), wanted),
            None => self.walk(from, wanted),
        }
    }

    /// The links whose source is in an interval of numbers.
    fn links_in(&self, (first, last): Interval) -> std::ops::Range<usize> {
        let from = self.links.partition_point(|(source, _)| *source < first);
        let to = self.links.partition_point(|(source, _)| *source <= last);
        from..to
    }

    fn any_label(&self, labels: &[Box<[Interval]>], within: Interval, wanted: u32) -> bool {
        let links = self.links_in(within);
        let (mut from, mut to) = (links.start + self.links.len(), links.end + self.links.len());
        while from < to {
            if from % 2 == 1 {
                if contains(&labels[from], wanted) {
                    return true;
                }
                from += 1;
            }
            if to % 2 == 1 {
                to -= 1;
                if contains(&labels[to], wanted) {
                    return true;
                }
            }
            from /= 2;
            to /= 2;
        }
        false
    }

    fn walk(&self, from: u32, wanted: u32) -> bool {
        let mut seen = vec![false; self.links.len()];
        let mut left = vec![from];
        while let Some(node) = left.pop() {
            let within = self.intervals[node as usize];
            if (within.0..=within.1).contains(&wanted) {
                return true;
            }
            for at in self.links_in(within) {
                if !std::mem::replace(&mut seen[at], true) {
                    left.push(self.links[at].1);
                }
            }
        }
        false
    }

    /// The targets of links in an order in which each comes after all that it reaches, and the links
    /// without those that close a circle. The edges of the forest are never left out, as a forest has no
    /// circle.
    fn without_cycles(&mut self, links: &[(u32, u32)]) -> (Vec<u32>, Vec<(u32, u32)>) {
        if links.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let order = &self.intervals;
        let mut ends: Vec<u32> = links.iter().flat_map(|(from, to)| [*from, *to]).collect();
        ends.sort_unstable_by_key(|node| order[*node as usize].0);
        ends.dedup();
        let components = Components::new(&self.intervals, &ends, links);
        let component = |node: u32| {
            let number = order[node as usize].0;
            let at = ends.partition_point(|end| order[*end as usize].0 < number);
            components.of[at]
        };
        let is_circular = |link: &&(u32, u32)| component(link.0) == component(link.1);
        let contradictions = links.iter().filter(is_circular).copied().collect();
        let kept: Vec<_> = links
            .iter()
            .filter(|link| !is_circular(link))
            .copied()
            .collect();
        let mut targets: Vec<u32> = kept.iter().map(|(_, to)| *to).collect();
        // Within one component only the forest's edges are left: what is further down goes first.
        targets.sort_unstable_by_key(|node| {
            (component(*node), std::cmp::Reverse(order[*node as usize].0))
        });
        targets.dedup();
        self.contradictions = contradictions;
        (targets, kept)
    }

    fn label(&self, targets: &[u32], limit: usize) -> Option<Vec<Box<[Interval]>>> {
        let mut of_target: Vec<Box<[Interval]>> = Vec::with_capacity(targets.len());
        let mut at_target = vec![NONE; self.intervals.len()];
        let mut left = limit;
        for target in targets {
            let own = self.intervals[*target as usize];
            let mut label = vec![own];
            for link in self.links_in(own) {
                let reached = &of_target[at_target[self.links[link].1 as usize] as usize];
                left = left.checked_sub(reached.len())?;
                label.extend_from_slice(reached);
            }
            at_target[*target as usize] = of_target.len() as u32;
            of_target.push(united(label));
        }
        let mut tree = vec![Box::from([]); 2 * self.links.len()];
        for (at, (_, target)) in self.links.iter().enumerate() {
            let label = &of_target[at_target[*target as usize] as usize];
            left = left.checked_sub(label.len())?;
            tree[self.links.len() + at] = label.clone();
        }
        for at in (1..self.links.len()).rev() {
            let both = [&tree[2 * at][..], &tree[2 * at + 1][..]].concat();
            left = left.checked_sub(both.len())?;
            tree[at] = united(both);
        }
        Some(tree)
    }
}

fn contains(label: &[Interval], wanted: u32) -> bool {
    let after = label.partition_point(|(first, _)| *first <= wanted);
    after > 0 && wanted <= label[after - 1].1
}

fn united(mut label: Vec<Interval>) -> Box<[Interval]> {
    label.sort_unstable();
    label.dedup_by(|next, before| {
        let touches = u64::from(next.0) <= u64::from(before.1) + 1;
        if touches {
            before.1 = before.1.max(next.1);
        }
        touches
    });
    label.into_boxed_slice()
}

/// Depth-first numbers without walking: sizes of subtrees from below, then places from above.
fn number(parents: &[u32], order: &[u32]) -> Vec<Interval> {
    let mut size = vec![1_u32; parents.len()];
    for node in order.iter().rev() {
        let parent = parents[*node as usize];
        if parent != NONE {
            size[parent as usize] += size[*node as usize];
        }
    }
    let mut intervals = vec![(0, 0); parents.len()];
    // Where the next child of each node, or the next top, is to be put.
    let mut next = vec![0_u32; parents.len()];
    let mut next_top = 0;
    for node in order {
        let node = *node as usize;
        let place = match parents[node] {
            NONE => &mut next_top,
            parent => &mut next[parent as usize],
        };
        let first = *place;
        *place += size[node];
        intervals[node] = (first, first + size[node] - 1);
        next[node] = first + 1;
    }
    intervals
}

/// Strongly connected components of the ends of links, by Tarjan's algorithm without recursion.
/// (Tarjan, "Depth-First Search and Linear Graph Algorithms", SIAM Journal on Computing, 1972.)
///
/// The graph is contracted to these nodes, in depth-first order. A node leads to its nearest ends of
/// links below it, and to the targets of its own links.
struct Components {
    /// Per node; a component comes after all that it reaches.
    of: Vec<u32>,
}

impl Components {
    fn new(intervals: &[Interval], ends: &[u32], links: &[(u32, u32)]) -> Self {
        let place = |node: u32| {
            let number = intervals[node as usize].0;
            ends.partition_point(|end| intervals[*end as usize].0 < number) as u32
        };
        let mut edges: Vec<(u32, u32)> = links
            .iter()
            .map(|(from, to)| (place(*from), place(*to)))
            .collect();
        let mut above: Vec<u32> = Vec::new();
        for (at, node) in ends.iter().enumerate() {
            let number = intervals[*node as usize].0;
            while let Some(top) = above.last() {
                if intervals[ends[*top as usize] as usize].1 >= number {
                    edges.push((*top, at as u32));
                    break;
                }
                above.pop();
            }
            above.push(at as u32);
        }
        edges.sort_unstable();
        edges.dedup();
        Components {
            of: tarjan(ends.len(), &edges),
        }
    }
}

fn tarjan(nodes: usize, edges: &[(u32, u32)]) -> Vec<u32> {
    let first_edge: Vec<usize> = (0..=nodes)
        .map(|node| edges.partition_point(|(from, _)| (*from as usize) < node))
        .collect();
    let mut component = vec![NONE; nodes];
    let mut index = vec![NONE; nodes];
    let mut low = vec![NONE; nodes];
    let (mut next_index, mut next_component) = (0, 0);
    let mut open: Vec<u32> = Vec::new();
    let mut calls: Vec<(u32, usize)> = Vec::new();
    for start in 0..nodes {
        if index[start] != NONE {
            continue;
        }
        calls.push((start as u32, first_edge[start]));
        while let Some((node, edge)) = calls.last_mut() {
            let at = *node as usize;
            if index[at] == NONE {
                (index[at], low[at]) = (next_index, next_index);
                next_index += 1;
                open.push(*node);
            }
            if *edge < first_edge[at + 1] {
                let to = edges[*edge].1 as usize;
                *edge += 1;
                if index[to] == NONE {
                    calls.push((to as u32, first_edge[to]));
                } else if component[to] == NONE {
                    low[at] = low[at].min(index[to]);
                }
                continue;
            }
            calls.pop();
            if let Some((caller, _)) = calls.last() {
                low[*caller as usize] = low[*caller as usize].min(low[at]);
            }
            if low[at] == index[at] {
                while let Some(member) = open.pop() {
                    component[member as usize] = next_component;
                    if member as usize == at {
                        break;
                    }
                }
                next_component += 1;
            }
        }
    }
    component
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is reached, by walking all edges.
    fn oracle(parents: &[u32], links: &[(u32, u32)], from: u32) -> Vec<bool> {
        let mut reached = vec![false; parents.len()];
        let mut left = vec![from];
        while let Some(node) = left.pop() {
            if std::mem::replace(&mut reached[node as usize], true) {
                continue;
            }
            let children = (0..parents.len() as u32).filter(|c| parents[*c as usize] == node);
            left.extend(children);
            left.extend(links.iter().filter(|(from, _)| *from == node).map(|l| l.1));
        }
        reached
    }

    proptest! {
        #[test]
        fn the_index_and_the_walk_agree_with_an_oracle(
            choices in prop::collection::vec(any::<u32>(), 1..40),
            pairs in prop::collection::vec((any::<u32>(), any::<u32>()), 0..30),
        ) {
            let count = choices.len() as u32;
            let parents: Vec<u32> = (0..count)
                .map(|node| match choices[node as usize] % (node + 1) {
                    0 => NONE,
                    parent => parent - 1,
                })
                .collect();
            let order: Vec<u32> = (0..count).collect();
            let links: Vec<_> = pairs.iter().map(|(a, b)| (a % count, b % count)).collect();
            let reach = Reach::new(&parents, &order, &links);
            prop_assert!(reach.labels.is_some());
            let walking = Reach::limited(&parents, &order, &links, 0);
            prop_assert!(reach.links.is_empty() || walking.labels.is_none());
            let kept: Vec<_> = links
                .iter()
                .filter(|link| !reach.contradictions().contains(link))
                .copied()
                .collect();
            for from in 0..count {
                let expected = oracle(&parents, &kept, from);
                for to in 0..count {
                    prop_assert_eq!(reach.reaches(from, to), expected[to as usize]);
                    prop_assert_eq!(walking.reaches(from, to), expected[to as usize]);
                    // Without contradictions nothing is before itself.
                    if from != to && expected[to as usize] {
                        prop_assert!(!reach.reaches(to, from));
                    }
                }
            }
            // Only links that close a circle are left out.
            for (from, to) in reach.contradictions() {
                prop_assert!(oracle(&parents, &links, *to)[*from as usize]);
            }
        }
    }
}
