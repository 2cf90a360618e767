//! What was found, and the decision of each property.

use crate::bad::Bad;
use crate::components::Components;
use crate::cycle::Cycles;
use crate::explore::Explored;
use crate::fairness::Fairness;
use crate::lasso::Lasso;
use crate::property::Form;
use crate::replay::CheckError;
use crate::stem;
use stateright::Model;
use std::fmt;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// What was found under one assignment of fairness.
#[derive(Clone, Debug)]
pub struct Report<S, A, C> {
    /// How large the graph is.
    pub size: Size,
    /// Whether states outside of the boundary were left out: what holds then holds of the behaviours
    /// that stay inside.
    pub bounded: bool,
    /// Why the exploration ended early, if it did.
    pub stop: Option<Stop>,
    /// How long it took.
    pub exploration: Duration,
    /// The classes that occur, in order.
    pub classes: Vec<ClassReport<C>>,
    /// The properties, in the order in which they were added.
    pub properties: Vec<PropertyReport<S, A, C>>,
}

/// How large a graph is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Distinct states.
    pub states: usize,
    /// Edges: distinct in source, class and target, and without those that change nothing.
    pub edges: usize,
    /// States on the longest of all shortest paths from an initial state.
    pub depth: usize,
    /// The most states that waited to be expanded: only these are held whole.
    pub widest_frontier: usize,
    /// Bytes that are kept for the states.
    pub state_bytes: usize,
    /// Bytes that are kept for the edges.
    pub edge_bytes: usize,
}

/// Why an exploration ended before it had seen all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// There are more states than were allowed for.
    MaxStates,
    /// There are more than 2^32 edges.
    MaxEdges,
    /// The one who was told of the progress asked for it.
    Interrupted,
}

/// A class of actions that occurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassReport<C> {
    /// The class.
    pub class: C,
    /// What was assumed of it.
    pub fairness: Fairness,
    /// Its edges.
    pub edges: usize,
}

/// The decision of a property.
#[derive(Clone, Debug)]
pub struct PropertyReport<S, A, C> {
    /// Its name.
    pub name: String,
    /// Its form.
    pub form: Form,
    /// The decision.
    pub verdict: Verdict<S, A, C>,
    /// States of the part of the graph where a violation could be.
    pub region: usize,
    /// Strongly connected components that were judged there, what was left of others included.
    pub components: usize,
    /// Of these, those that allow a fair cycle.
    pub fair_components: usize,
    /// Bytes that the decision needed at most, beside the graph.
    pub bytes: usize,
    /// How long it took.
    pub time: Duration,
}

/// Whether a property holds.
#[derive(Clone, Debug)]
pub enum Verdict<S, A, C> {
    /// Of all fair behaviours, within the boundary.
    Holds,
    /// Not of this one.
    Violated(Box<Lasso<S, A, C>>),
    /// Of all that were seen, but not all were ([`Report::stop`]).
    Undecided,
}

/// The decision of a property of a model.
type Judged<M, C> = PropertyReport<<M as Model>::State, <M as Model>::Action, C>;

impl<M: Model, C: Clone + Eq + Hash + Ord> Explored<'_, M, C>
where
    M::State: Hash,
    M::Action: fmt::Debug,
{
    /// Decides every property, assuming of each class what `fairness` says.
    pub fn check(
        &self,
        fairness: impl Fn(&C) -> Fairness,
    ) -> Result<Report<M::State, M::Action, C>, CheckError> {
        let labels = self.labels(fairness);
        let properties = (0..self.properties.len()).map(|property| self.judge(property, &labels));
        Ok(Report {
            size: self.size,
            bounded: self.bounded,
            stop: self.stop,
            exploration: self.time,
            classes: self.class_reports(&labels),
            properties: properties.collect::<Result<_, _>>()?,
        })
    }

    /// Decides the property of that name, assuming of each class what `fairness` says; none if there is
    /// no such property.
    pub fn decide(
        &self,
        property: &str,
        fairness: impl Fn(&C) -> Fairness,
    ) -> Result<Option<Judged<M, C>>, CheckError> {
        let mut names = self.properties.iter();
        let property = names.position(|known| known.name() == property);
        let labels = self.labels(fairness);
        property
            .map(|property| self.judge(property, &labels))
            .transpose()
    }

    fn judge(
        &self,
        property: usize,
        fairness: &[Fairness],
    ) -> Result<PropertyReport<M::State, M::Action, C>, CheckError> {
        let start = Instant::now();
        let (form, truths) = (self.properties[property].form(), &self.truths[property]);
        let mut report = PropertyReport {
            name: self.properties[property].name().to_owned(),
            form,
            verdict: match self.stop {
                None => Verdict::Holds,
                Some(_) => Verdict::Undecided,
            },
            region: 0,
            components: 0,
            fair_components: 0,
            bytes: 0,
            time: Duration::ZERO,
        };
        if let Some(bad) = Bad::new(&self.graph, form, truths) {
            let components = Components::search(&bad, fairness);
            report.region = components.states;
            report.components = components.judged;
            report.fair_components = components.fair;
            report.bytes = components.bytes;
            let cycles = Cycles {
                bad: &bad,
                components: &components,
                fairness,
            };
            if components.fair > 0
                && let Some(outline) = stem::shortest(&cycles)
            {
                let lasso = self.replay(&outline, fairness)?;
                report.verdict = Verdict::Violated(Box::new(lasso));
            }
        }
        report.time = start.elapsed();
        Ok(report)
    }

    fn class_reports(&self, fairness: &[Fairness]) -> Vec<ClassReport<C>> {
        let mut edges = vec![0; fairness.len()];
        for label in &self.graph.labels {
            edges[usize::from(*label)] += 1;
        }
        let of_labels = fairness.iter().zip(edges).skip(1);
        let mut classes: Vec<ClassReport<C>> = of_labels
            .zip(&self.classes)
            .map(|((fairness, edges), class)| ClassReport {
                class: class.clone(),
                fairness: *fairness,
                edges,
            })
            .collect();
        classes.sort_by(|one, other| one.class.cmp(&other.class));
        classes
    }
}

impl<S, A, C> Report<S, A, C> {
    /// Whether every property holds.
    pub fn holds(&self) -> bool {
        let mut properties = self.properties.iter();
        properties.all(|property| matches!(property.verdict, Verdict::Holds))
    }
}

impl<S, A, C> Verdict<S, A, C> {
    /// The violation, if it is one.
    pub fn lasso(&self) -> Option<&Lasso<S, A, C>> {
        match self {
            Verdict::Violated(lasso) => Some(lasso),
            Verdict::Holds | Verdict::Undecided => None,
        }
    }
}

impl Size {
    /// Bytes that are kept per state.
    pub fn bytes_per_state(&self) -> f64 {
        self.state_bytes as f64 / self.states.max(1) as f64
    }

    /// Bytes that are kept per edge.
    pub fn bytes_per_edge(&self) -> f64 {
        self.edge_bytes as f64 / self.edges.max(1) as f64
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} states ({:.1} bytes each), {} edges ({:.1} bytes each), depth {}",
            self.states,
            self.bytes_per_state(),
            self.edges,
            self.bytes_per_edge(),
            self.depth,
        )
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stop::MaxStates => "there are more states than allowed for",
            Stop::MaxEdges => "there are more edges than can be kept",
            Stop::Interrupted => "interrupted",
        })
    }
}

impl<S, A, C> fmt::Display for Verdict<S, A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Holds => "holds",
            Verdict::Violated(_) => "violated",
            Verdict::Undecided => "undecided",
        })
    }
}

impl<S: fmt::Debug, A, C: fmt::Debug> fmt::Display for Report<S, A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {:.1?}", self.size, self.exploration)?;
        if self.bounded {
            writeln!(f, "States outside of the boundary were left out.")?;
        }
        if let Some(stop) = self.stop {
            writeln!(f, "Not all was explored: {stop}.")?;
        }
        for class in &self.classes {
            let ClassReport {
                class,
                fairness,
                edges,
            } = class;
            writeln!(f, "  {fairness:<6}  {class:?} ({edges} edges)")?;
        }
        for property in &self.properties {
            writeln!(
                f,
                "{} ({}): {}; {} components of {} states, {} fair, {:.1?}",
                property.name,
                property.form,
                property.verdict,
                property.components,
                property.region,
                property.fair_components,
                property.time,
            )?;
            if let Some(lasso) = property.verdict.lasso() {
                write!(f, "{lasso}")?;
            }
        }
        Ok(())
    }
}
