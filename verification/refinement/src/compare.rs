//! The comparison: every step of the Rust model against the specification's graph.

use crate::difference::differences;
use crate::report::{ActionCount, Choice, Disagreement, Report, Wrong};
use crate::subject::{Move, Subject};
use crate::{Graph, Pool, Step, ValueId};
use ahash::{AHasher, RandomState};
use quorate_model::{Action, Node, State};
use stateright::Model;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::time::Instant;

/// The numbers of the specification's other choices that a disagreement tells, at most.
const CHOICES_MAX: usize = 12;

/// Why a comparison cannot be finished.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// More Rust states than were allowed.
    #[error("more than {0} Rust states")]
    TooManyStates(usize),
    /// A path is so long that the model's own bounds would cut it.
    #[error("a path of more than 250 deliveries")]
    TooDeep,
}

/// Explores the whole Rust model breadth first, and holds every step of it against `graph`. Ends at the first
/// disagreement, which is one of fewest steps.
///
/// # Errors
///
/// If the model is larger than `states_max`.
pub fn compare<S: Subject>(
    subject: &S,
    graph: &Graph,
    pool: &mut Pool,
    states_max: usize,
) -> Result<Report, CompareError> {
    let start = Instant::now();
    let mut walk = Walk::new(subject, graph, pool);
    let disagreement = walk.run(states_max)?;
    let report = walk.report(disagreement);
    Ok(Report {
        seconds: start.elapsed().as_secs_f64(),
        ..report
    })
}

type StateOf<S> = State<<S as Subject>::Protocol>;

/// A state that waits to be expanded.
struct Waiting<S: Subject> {
    state: StateOf<S>,
    history: S::History,
}

/// Where a move leads.
enum After<S: Subject> {
    /// Nowhere.
    Unchanged,
    /// To a state that is most likely another one.
    Other(Waiting<S>),
}

/// Two hashes in one go.
struct Twin([AHasher; 2]);

impl Hasher for Twin {
    fn write(&mut self, bytes: &[u8]) {
        self.0.iter_mut().for_each(|half| half.write(bytes));
    }

    fn finish(&self) -> u64 {
        self.0[0].finish()
    }
}

/// How a state was reached first.
#[derive(Clone, Copy)]
struct Reached {
    from: u32,
    /// Which of the moves in that state.
    choice: u32,
    /// What it is in the specification.
    spec: u32,
}

struct Walk<'a, S: Subject> {
    subject: &'a S,
    graph: &'a Graph,
    pool: &'a mut Pool,
    seeds: [RandomState; 2],
    numbers: HashMap<u128, u32, RandomState>,
    reached: Vec<Reached>,
    frontier: VecDeque<Waiting<S>>,
    seen_states: Vec<bool>,
    seen_steps: Vec<bool>,
    taken: HashMap<&'static str, Taken>,
    moves: u64,
    depth: usize,
}

#[derive(Clone, Copy, Default)]
struct Taken {
    steps: u64,
    stutters: u64,
}

/// A step that is not one of the specification, and how.
struct Bad {
    number: u32,
    choice: u32,
    name: &'static str,
    /// What the state after it should be.
    after: Option<ValueId>,
    wrong: Wrong,
}

impl<'a, S: Subject> Walk<'a, S> {
    fn new(subject: &'a S, graph: &'a Graph, pool: &'a mut Pool) -> Self {
        let seeds = [1, 2].map(|seed| RandomState::with_seeds(seed, 12, 13, 14));
        Walk {
            subject,
            graph,
            pool,
            numbers: HashMap::with_hasher(seeds[0].clone()),
            seeds,
            reached: Vec::new(),
            frontier: VecDeque::new(),
            seen_states: vec![false; graph.states() as usize],
            seen_steps: vec![false; graph.steps().len()],
            taken: HashMap::new(),
            moves: 0,
            depth: 0,
        }
    }

    fn run(&mut self, states_max: usize) -> Result<Option<Disagreement>, CompareError> {
        let initial = self.subject.system().init_states();
        for state in initial {
            let history = self.subject.history();
            match self.specified(&state, &history) {
                Ok((Some(spec), _)) if self.graph.initial().contains(&spec) => {
                    self.enter(state, history, 0, 0, spec);
                }
                Ok((_, value)) => return Ok(Some(self.at_the_beginning(value, Wrong::Initial))),
                Err(reason) => {
                    let wrong = Wrong::NoCounterpart(reason);
                    return Ok(Some(self.at_the_beginning(None, wrong)));
                }
            }
        }
        let (mut number, mut level_ends) = (0, self.reached.len());
        while let Some(waiting) = self.frontier.pop_front() {
            if let Some(bad) = self.expand(number, &waiting)? {
                return Ok(Some(self.tell(bad, &waiting)));
            }
            number += 1;
            if number as usize == level_ends && !self.frontier.is_empty() {
                level_ends = self.reached.len();
                self.depth += 1;
            }
            if self.reached.len() > states_max {
                return Err(CompareError::TooManyStates(states_max));
            }
        }
        Ok(None)
    }

    /// The state of the specification, if there is one, and its value.
    fn specified(
        &mut self,
        state: &StateOf<S>,
        history: &S::History,
    ) -> Result<(Option<u32>, Option<ValueId>), String> {
        let failed = state.nodes().find_map(|node| match node {
            Node::Failed { reason, .. } => Some(reason.to_string()),
            _ => None,
        });
        if let Some(reason) = failed {
            return Err(reason);
        }
        let value = self.subject.abstraction(state, history);
        let value = value.map_err(|error| error.to_string())?;
        let value = self.pool.intern(&value);
        Ok((self.graph.find(value), Some(value)))
    }

    /// 128 bits of hash: two states that differ share one with a probability of about 10^-26 in a million.
    fn key(&self, state: &StateOf<S>, history: &S::History) -> u128 {
        let mut hasher = Twin(self.seeds.each_ref().map(RandomState::build_hasher));
        self.subject.identify(state, history, &mut hasher);
        let [high, low] = hasher.0.map(|half| u128::from(half.finish()));
        high << 64 | low
    }

    fn enter(&mut self, state: StateOf<S>, history: S::History, from: u32, choice: u32, spec: u32) {
        let key = self.key(&state, &history);
        self.numbers.insert(key, self.reached.len() as u32);
        self.reached.push(Reached { from, choice, spec });
        self.seen_states[spec as usize] = true;
        self.frontier.push_back(Waiting { state, history });
    }

    fn moves(&self, waiting: &Waiting<S>) -> Vec<Move<S::Protocol>> {
        let mut moves = Vec::new();
        let Waiting { state, history } = waiting;
        self.subject.actions(state, history, &mut moves);
        moves
    }

    /// Where a move leads; `None` if out of bounds.
    fn after(&self, waiting: &Waiting<S>, step: &Move<S::Protocol>) -> Option<After<S>> {
        let Waiting { state, history } = waiting;
        let system = self.subject.system();
        let next = system.next_state(state, step.action.clone());
        let is_same = next.is_none();
        let next = next.unwrap_or_else(|| state.clone());
        let follows = self.subject.follow(state, history, step, &next);
        if is_same && follows == *history {
            return Some(After::Unchanged);
        }
        system
            .within_boundary(&next)
            .then_some(After::Other(Waiting {
                state: next,
                history: follows,
            }))
    }

    fn expand(&mut self, number: u32, waiting: &Waiting<S>) -> Result<Option<Bad>, CompareError> {
        if waiting.state.spent().duplications > 250 {
            return Err(CompareError::TooDeep);
        }
        let from = self.reached[number as usize].spec;
        for (choice, step) in (0..).zip(self.moves(waiting)) {
            let Some(after) = self.after(waiting, &step) else {
                continue;
            };
            self.moves += 1;
            let After::Other(after) = after else {
                // The specification may stutter anywhere.
                self.stutter(from, step.name);
                continue;
            };
            let key = self.key(&after.state, &after.history);
            let (spec, value) = match self.numbers.get(&key) {
                Some(known) => (Some(self.reached[*known as usize].spec), None),
                None => match self.specified(&after.state, &after.history) {
                    Ok(specified) => specified,
                    Err(reason) => {
                        return Ok(Some(Bad {
                            number,
                            choice,
                            name: step.name,
                            after: None,
                            wrong: Wrong::NoCounterpart(reason),
                        }));
                    }
                },
            };
            let wrong = match spec {
                None => Some(Wrong::NoSuchState),
                Some(to) => self.take(from, step.name, to),
            };
            if let Some(wrong) = wrong {
                let known = spec.map(|spec| self.graph.value(spec));
                return Ok(Some(Bad {
                    number,
                    choice,
                    name: step.name,
                    after: value.or(known),
                    wrong,
                }));
            }
            if let (Some(spec), false) = (spec, self.numbers.contains_key(&key)) {
                self.enter(after.state, after.history, number, choice, spec);
            }
        }
        Ok(None)
    }

    /// Notes a step of the specification, or a stutter; or says what is wrong with it.
    fn take(&mut self, from: u32, name: &'static str, to: u32) -> Option<Wrong> {
        if from == to {
            self.stutter(from, name);
            return None;
        }
        if let Some(position) = self.graph.position(from, name, to) {
            self.seen_steps[position] = true;
            self.taken.entry(name).or_default().steps += 1;
            return None;
        }
        let (_, steps) = self.graph.steps_from(from);
        let other = steps.iter().find(|step| step.to == to);
        Some(match other {
            Some(other) => Wrong::OtherAction(self.action(other).to_owned()),
            None => Wrong::NoSuchStep,
        })
    }

    fn action(&self, step: &Step) -> &str {
        &self.graph.actions()[usize::from(step.action)]
    }

    fn stutter(&mut self, from: u32, name: &'static str) {
        self.taken.entry(name).or_default().stutters += 1;
        if let Some(position) = self.graph.position(from, name, from) {
            self.seen_steps[position] = true;
        }
    }

    fn at_the_beginning(&self, value: Option<ValueId>, wrong: Wrong) -> Disagreement {
        let expected = self.graph.initial().first();
        let expected = expected.map(|state| self.pool.value(self.graph.value(*state)));
        let value = value.map(|value| self.pool.value(value));
        Disagreement {
            path: Vec::new(),
            name: "Init",
            wrong,
            changes: match (&expected, &value) {
                (Some(expected), Some(value)) => differences(expected, value),
                _ => Vec::new(),
            },
            before: expected,
            after: value,
            choices: Vec::new(),
            enabled: Vec::new(),
        }
    }

    /// Everything that is known about a step that should not be.
    fn tell(&self, bad: Bad, waiting: &Waiting<S>) -> Disagreement {
        let from = self.reached[bad.number as usize].spec;
        let before = self.pool.value(self.graph.value(from));
        let after = bad.after.map(|value| self.pool.value(value));
        let name = bad.name;
        let (_, steps) = self.graph.steps_from(from);
        let mut enabled: Vec<String> = steps
            .iter()
            .map(|step| self.action(step).to_owned())
            .collect();
        enabled.sort_unstable();
        enabled.dedup();
        let choice = |to: u32| {
            let other = self.pool.value(self.graph.value(to));
            Choice {
                changes: differences(&before, &other),
                from_rust: after
                    .as_ref()
                    .map_or_else(Vec::new, |a| differences(&other, a)),
            }
        };
        let named = steps.iter().filter(|step| self.action(step) == name);
        let mut choices: Vec<Choice> = named.map(|step| choice(step.to)).collect();
        // What comes nearest to what Rust does is most likely what was meant.
        choices.sort_by_key(|choice| choice.from_rust.len());
        choices.truncate(CHOICES_MAX);
        Disagreement {
            path: self.path(bad.number, bad.choice, waiting),
            name,
            wrong: bad.wrong,
            changes: after
                .as_ref()
                .map_or_else(Vec::new, |after| differences(&before, after)),
            before: Some(before),
            after,
            choices,
            enabled,
        }
    }

    /// The steps to a state, played again, and one step more.
    fn path(&self, number: u32, choice: u32, last: &Waiting<S>) -> Vec<String> {
        let mut choices = Vec::new();
        let mut at = number;
        while at != 0 {
            let reached = self.reached[at as usize];
            choices.push(reached.choice);
            at = reached.from;
        }
        let Some(mut state) = self.subject.system().init_states().pop() else {
            return Vec::new();
        };
        let mut history = self.subject.history();
        let mut told = Vec::new();
        for choice in choices.into_iter().rev() {
            let waiting = Waiting::<S> { state, history };
            let mut moves = self.moves(&waiting);
            let step = moves.swap_remove(choice as usize);
            told.push(self.step_told(&waiting.state, &step));
            let Some(After::Other(after)) = self.after(&waiting, &step) else {
                return told; // no way to a state begins with a step that changes nothing
            };
            (state, history) = (after.state, after.history);
        }
        let mut moves = self.moves(last);
        told.push(self.step_told(&last.state, &moves.swap_remove(choice as usize)));
        told
    }

    /// What happens in a step, and what the node does about it.
    fn step_told(&self, state: &StateOf<S>, step: &Move<S::Protocol>) -> String {
        let system = self.subject.system();
        let headline = system.format_action(&step.action);
        // Its delivery is always one that the network keeps.
        let headline = headline.replace(" (a copy stays in flight)", "");
        let told = system.format_step(state, step.action.clone());
        let effects = told.as_deref().and_then(|told| told.split("\n\n").next());
        let lines = effects.unwrap_or_default().lines();
        let lines = lines.filter(|_| !matches!(step.action, Action::Crash(_)));
        let effects: String = lines.map(|line| format!("\n        {line}")).collect();
        format!("{headline}  [{}]{effects}", step.name)
    }

    fn report(&self, disagreement: Option<Disagreement>) -> Report {
        let graph = self.graph;
        let names = graph.actions().iter();
        let mut counts: Vec<ActionCount> = names.map(|name| ActionCount::new(name)).collect();
        for (step, seen) in graph.steps().iter().zip(&self.seen_steps) {
            // A step that changes nothing is a stutter, which everybody may take and nobody needs to.
            if step.from == step.to {
                continue;
            }
            let count = &mut counts[usize::from(step.action)];
            count.spec_steps += 1;
            if !*seen {
                let reached = self.seen_states[step.from as usize];
                *(if reached {
                    &mut count.not_taken
                } else {
                    &mut count.not_reached
                }) += 1;
            }
        }
        for count in &mut counts {
            let taken = self.taken.get(count.name.as_str());
            let taken = taken.copied().unwrap_or_default();
            (count.rust_steps, count.rust_stutters) = (taken.steps, taken.stutters);
        }
        counts.sort_by(|one, other| one.name.cmp(&other.name));
        Report {
            spec_states: graph.states() as usize,
            spec_steps: counts.iter().map(|count| count.spec_steps).sum(),
            rust_states: self.reached.len(),
            rust_steps: self.moves,
            rust_depth: self.depth,
            states_not_reached: self.seen_states.iter().filter(|seen| !**seen).count(),
            values: self.pool.len(),
            actions: counts,
            disagreement,
            seconds: 0.0,
        }
    }
}
