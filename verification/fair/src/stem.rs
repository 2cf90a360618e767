//! Short stems to fair cycles.

use crate::bad::Bad;
use crate::cycle::Cycles;
use crate::graph::Edge;

/// So many components, the nearest ones, are tried for a short lasso.
const MOST_TRIED: usize = 4;

/// In [`Stems::parents`]: not reached.
const UNSEEN: u32 = u32::MAX;
/// In [`Stems::parents`]: the violation begins here.
const ENTRY: u32 = u32::MAX - 1;

/// A lasso in numbers.
pub(crate) struct Outline {
    /// The states from an initial one to where the cycle begins, both included.
    pub(crate) stem: Vec<u32>,
    /// The edges of the cycle; none if nothing happens any more.
    pub(crate) cycle: Vec<Edge>,
}

/// The lasso of fewest steps among those that the nearest components allow; nothing if no component does.
pub(crate) fn shortest(cycles: &Cycles<'_>) -> Option<Outline> {
    let stems = Stems::search(cycles);
    let lassos = stems.heads.iter().filter_map(|&(head, depth)| {
        let cycle = cycles.through(head)?;
        Some((depth as usize + cycle.len(), head, cycle))
    });
    let (_, head, cycle) = lassos.min_by_key(|(steps, ..)| *steps)?;
    Some(Outline {
        stem: stems.stem(cycles.bad, head),
        cycle,
    })
}

/// A breadth-first search from the entries of the bad region, each begun at its own distance from the
/// initial states, so that the sum is what is least.
struct Stems {
    parents: Vec<u32>,
    /// Where a stem may end, and how long it is then.
    heads: Vec<(u32, u32)>,
}

impl Stems {
    fn search(cycles: &Cycles<'_>) -> Self {
        let bad = cycles.bad;
        let depths = bad.graph.depths();
        let mut stems = Stems {
            parents: vec![UNSEEN; depths.len()],
            heads: Vec::new(),
        };
        let mut components = Vec::new();
        let mut stays = false;
        // A smaller number never lies deeper, so the entries come in the order of their depths.
        let entries = (0..bad.graph.states()).filter(|state| bad.entry(*state));
        let mut entries = entries.peekable();
        let (mut level, mut depth) = (Vec::new(), 0);
        loop {
            while let Some(entry) = entries.next_if(|entry| depths[*entry as usize] <= depth) {
                stems.reach(entry, ENTRY, &mut level);
            }
            if level.is_empty() && entries.peek().is_none() {
                return stems;
            }
            for state in std::mem::take(&mut level) {
                if let Some(component) = cycles.components.fair(state) {
                    let stay = !stays && cycles.may_stay(state);
                    stays |= stay;
                    if stay || !components.contains(&component) {
                        components.push(component);
                        stems.heads.push((state, depth));
                    }
                    if components.len() >= MOST_TRIED {
                        return stems;
                    }
                }
                for edge in bad.graph.inner_edges(state) {
                    if bad.allowed(edge.target) {
                        stems.reach(edge.target, state, &mut level);
                    }
                }
            }
            depth += 1;
        }
    }

    fn reach(&mut self, state: u32, parent: u32, level: &mut Vec<u32>) {
        let slot = &mut self.parents[state as usize];
        if *slot == UNSEEN {
            *slot = parent;
            level.push(state);
        }
    }

    /// The states to `head`: a shortest path to the entry, and on from there.
    fn stem(&self, bad: &Bad<'_>, head: u32) -> Vec<u32> {
        let mut after = Vec::new();
        let mut at = head;
        while self.parents[at as usize] != ENTRY {
            after.push(at);
            at = self.parents[at as usize];
        }
        let mut stem = bad.graph.path_to(at);
        stem.extend(after.into_iter().rev());
        stem
    }
}
