//! Dotted version vectors against causal histories: of every value the set of all writes that it has seen,
//! kept in full, on random histories of reads, writes and exchanges between replicas.

use std::collections::BTreeSet;

use proptest::prelude::*;
use quorate_clocks::{Causality, Dot, DottedVersion, Siblings, VectorClock};

const REPLICAS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// A client reads, and keeps the context.
    Get { replica: usize },
    /// A client writes with a context that was read some time, anywhere; or with none.
    Put {
        replica: usize,
        context: Option<prop::sample::Index>,
    },
    /// A replica is sent what another has.
    Send { from: usize, to: usize },
}

fn histories() -> impl Strategy<Value = Vec<Step>> {
    let context = proptest::option::weighted(0.8, any::<prop::sample::Index>());
    let step = prop_oneof![
        (0..REPLICAS).prop_map(|replica| Step::Get { replica }),
        (0..REPLICAS, context).prop_map(|(replica, context)| Step::Put { replica, context }),
        (0..REPLICAS, 0..REPLICAS).prop_map(|(from, to)| Step::Send { from, to }),
    ];
    prop::collection::vec(step, 1..60)
}

type Writes = BTreeSet<usize>;

/// The definition: values with all that they have seen, themselves included.
#[derive(Clone, Debug, Default)]
struct Replica {
    siblings: Vec<(usize, Writes)>,
}

impl Replica {
    fn known(&self) -> Writes {
        let histories = self.siblings.iter().flat_map(|(_, history)| history);
        histories.copied().collect()
    }

    fn put(&mut self, write: usize, context: &Writes) {
        self.siblings.retain(|(value, _)| !context.contains(value));
        let mut history = context.clone();
        history.insert(write);
        self.siblings.push((write, history));
    }

    fn merge(&mut self, other: &Replica) {
        let mut all = self.siblings.clone();
        all.extend(other.siblings.iter().cloned());
        all.sort_unstable();
        all.dedup();
        let seen_by_another = |value: &usize| {
            all.iter()
                .any(|(other, history)| other != value && history.contains(value))
        };
        self.siblings = all
            .iter()
            .filter(|(value, _)| !seen_by_another(value))
            .cloned()
            .collect();
    }

    fn values(&self) -> Writes {
        self.siblings.iter().map(|(value, _)| *value).collect()
    }
}

proptest! {
    #[test]
    fn siblings_and_versions_are_those_of_causal_histories(steps in histories()) {
        let mut siblings: [Siblings<usize, usize>; REPLICAS] = Default::default();
        let mut replicas: [Replica; REPLICAS] = Default::default();
        let mut contexts: Vec<(VectorClock<usize>, Writes)> = Vec::new();
        let mut writes: Vec<(DottedVersion<usize>, Writes)> = Vec::new();
        for step in steps {
            match step {
                Step::Get { replica } => {
                    contexts.push((siblings[replica].context(), replicas[replica].known()));
                }
                Step::Put { replica, context } => {
                    let context = context.filter(|_| !contexts.is_empty());
                    let (context, seen) = match context {
                        Some(index) => index.get(&contexts).clone(),
                        None => Default::default(),
                    };
                    let write = writes.len();
                    let dot = siblings[replica].put(replica, &context, write);
                    replicas[replica].put(write, &seen);
                    let mut history = seen;
                    history.insert(write);
                    writes.push((DottedVersion { dot, context }, history));
                }
                Step::Send { from, to } => {
                    let sent = siblings[from].clone();
                    siblings[to].merge(sent);
                    let sent = replicas[from].clone();
                    replicas[to].merge(&sent);
                }
            }
            for (kept, defined) in siblings.iter().zip(&replicas) {
                let values: Writes = kept.values().copied().collect();
                prop_assert_eq!(values, defined.values());
                let context = kept.context();
                let is_known = |(_, (version, _)): &(usize, &(DottedVersion<usize>, Writes))| {
                    context.contains(version.dot)
                };
                let known: Writes =
                    writes.iter().enumerate().filter(is_known).map(|(write, _)| write).collect();
                prop_assert_eq!(known, defined.known());
            }
        }
        assert_versions(&writes)?;
    }

    /// Whatever the order in which replicas hear of each other, once all have heard of all they agree.
    #[test]
    fn merging_is_idempotent_and_in_any_order(steps in histories()) {
        let replicas = run(&steps);
        let merged = |order: [usize; 4]| {
            let mut all = Siblings::new();
            order.into_iter().for_each(|replica| all.merge(replicas[replica].clone()));
            all
        };
        prop_assert_eq!(merged([0, 1, 2, 0]), merged([2, 1, 0, 1]));
        prop_assert_eq!(merged([1, 1, 0, 2]), merged([1, 2, 0, 0]));
    }
}

/// Of every pair of writes: one has seen the other exactly if its history has.
fn assert_versions(writes: &[(DottedVersion<usize>, Writes)]) -> Result<(), TestCaseError> {
    for (one, (version, history)) in writes.iter().enumerate() {
        for (other, (other_version, other_history)) in writes.iter().enumerate() {
            let expected = match (other_history.contains(&one), history.contains(&other)) {
                (true, true) => Causality::Equal,
                (true, false) => Causality::Before,
                (false, true) => Causality::After,
                (false, false) => Causality::Concurrent,
            };
            prop_assert_eq!(version.compare(other_version), expected);
        }
    }
    let mut dots: Vec<Dot<usize>> = writes.iter().map(|(version, _)| version.dot).collect();
    dots.sort_unstable();
    dots.dedup();
    prop_assert_eq!(dots.len(), writes.len());
    Ok(())
}

fn run(steps: &[Step]) -> [Siblings<usize, usize>; REPLICAS] {
    let mut replicas: [Siblings<usize, usize>; REPLICAS] = Default::default();
    let mut contexts = vec![VectorClock::new()];
    for (write, step) in steps.iter().enumerate() {
        match step {
            Step::Get { replica } => contexts.push(replicas[*replica].context()),
            Step::Put { replica, context } => {
                let context = context.map(|index| index.get(&contexts).clone());
                replicas[*replica].put(*replica, &context.unwrap_or_default(), write);
            }
            Step::Send { from, to } => {
                let sent = replicas[*from].clone();
                replicas[*to].merge(sent);
            }
        }
    }
    replicas
}
