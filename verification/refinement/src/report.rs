//! What came of a comparison.

use crate::{Difference, Value};
use std::fmt;

/// The outcome of a comparison.
#[derive(Clone, Debug)]
pub struct Report {
    /// States of the specification.
    pub spec_states: usize,
    /// Steps of the specification that change something.
    pub spec_steps: u64,
    /// States of the Rust model.
    pub rust_states: usize,
    /// Steps of the Rust model, those that change nothing included.
    pub rust_steps: u64,
    /// Steps to the Rust state that is farthest from the beginning.
    pub rust_depth: usize,
    /// States of the specification that are the abstraction of no Rust state.
    pub states_not_reached: usize,
    /// Distinct values in all states.
    pub values: usize,
    /// Each action of the specification.
    pub actions: Vec<ActionCount>,
    /// The first Rust step that is none of the specification.
    pub disagreement: Option<Disagreement>,
    /// How long the comparison took.
    pub seconds: f64,
}

/// What was seen of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionCount {
    /// Its name.
    pub name: String,
    /// Its steps in the specification that change something.
    pub spec_steps: u64,
    /// Steps of Rust that are one of them.
    pub rust_steps: u64,
    /// Steps of Rust that change nothing.
    pub rust_stutters: u64,
    /// Of the specification's steps, those from a state that Rust reaches, and which it never takes.
    pub not_taken: u64,
    /// Those from a state that Rust never reaches.
    pub not_reached: u64,
}

impl ActionCount {
    pub(crate) fn new(name: &str) -> Self {
        ActionCount {
            name: name.to_owned(),
            spec_steps: 0,
            rust_steps: 0,
            rust_stutters: 0,
            not_taken: 0,
            not_reached: 0,
        }
    }
}

/// A step of Rust that is none of the specification.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// How Rust comes there, each step with what the node does about it; this step last.
    pub path: Vec<String>,
    /// The action of the specification that the step should be.
    pub name: &'static str,
    /// What is wrong.
    pub wrong: Wrong,
    /// The specification's state before.
    pub before: Option<Value>,
    /// What Rust's state after the step should be in the specification.
    pub after: Option<Value>,
    /// What Rust changes.
    pub changes: Vec<Difference>,
    /// Where the specification's action of that name leads instead; the most similar first.
    pub choices: Vec<Choice>,
    /// The actions that the specification may take there.
    pub enabled: Vec<String>,
}

/// What is wrong with a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Rust begins in another state.
    Initial,
    /// The machine has no counterpart at all, or has failed.
    NoCounterpart(String),
    /// It leads to a state that the specification never reaches.
    NoSuchState,
    /// It leads to a state that the specification reaches, but not from there in one step.
    NoSuchStep,
    /// It is a step of another action.
    OtherAction(String),
}

/// Another step of the specification.
#[derive(Clone, Debug)]
pub struct Choice {
    /// What it changes.
    pub changes: Vec<Difference>,
    /// How Rust's state differs from where it leads.
    pub from_rust: Vec<Difference>,
}

impl Report {
    /// Whether every step of Rust is one of the specification.
    pub fn refines(&self) -> bool {
        self.disagreement.is_none()
    }

    /// Whether also every state and step of the specification is one of Rust: then the graphs are the same,
    /// but for what the abstraction forgets.
    pub fn covers(&self) -> bool {
        let all = |count: &ActionCount| count.not_taken + count.not_reached == 0;
        self.refines() && self.states_not_reached == 0 && self.actions.iter().all(all)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Initial => f.write_str("Rust begins in another state"),
            Wrong::NoCounterpart(reason) => write!(f, "the machine has no counterpart: {reason}"),
            Wrong::NoSuchState => f.write_str("the specification never reaches such a state"),
            Wrong::NoSuchStep => f.write_str("the specification has no such step there"),
            Wrong::OtherAction(name) => write!(f, "that is a step of {name}"),
        }
    }
}

/// The counts, a row an action; or the disagreement, before which they mean nothing.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            spec_states,
            spec_steps,
            rust_states,
            rust_steps,
            ..
        } = self;
        writeln!(f, "specification: {spec_states} states, {spec_steps} steps")?;
        writeln!(
            f,
            "Rust:          {rust_states} states, {rust_steps} steps, {:.1} s",
            self.seconds
        )?;
        if let Some(disagreement) = &self.disagreement {
            return write!(f, "\n{disagreement}");
        }
        writeln!(
            f,
            "{:<24} {:>12} {:>12} {:>12} {:>10} {:>12}",
            "action", "steps", "Rust's", "stutters", "not taken", "not reached"
        )?;
        for count in &self.actions {
            writeln!(
                f,
                "{:<24} {:>12} {:>12} {:>12} {:>10} {:>12}",
                count.name,
                count.spec_steps,
                count.rust_steps,
                count.rust_stutters,
                count.not_taken,
                count.not_reached
            )?;
        }
        writeln!(
            f,
            "states that Rust never reaches: {}",
            self.states_not_reached
        )?;
        Ok(())
    }
}

/// The path, what Rust does, and what the specification would.
impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "NOT A STEP OF THE SPECIFICATION: {}", self.wrong)?;
        for (number, step) in (1..).zip(&self.path) {
            writeln!(f, "{number:>4}. {step}")?;
        }
        writeln!(f, "\nRust's {}:", self.name)?;
        list(f, &self.changes)?;
        for choice in &self.choices {
            writeln!(f, "\nthe specification's {}:", self.name)?;
            list(f, &choice.changes)?;
            writeln!(f, "  from which Rust's differs by")?;
            list(f, &choice.from_rust)?;
        }
        if self.choices.is_empty() {
            writeln!(f, "\nthe specification has no {} there", self.name)?;
        }
        writeln!(f, "\nenabled there: {}", self.enabled.join(", "))?;
        for (when, value) in [("before", &self.before), ("after", &self.after)] {
            if let Some(Value::Record(variables)) = value {
                writeln!(f, "\nthe state {when}:")?;
                for (variable, value) in variables {
                    writeln!(f, "/\\ {variable} = {value}")?;
                }
            }
        }
        Ok(())
    }
}

fn list(f: &mut fmt::Formatter<'_>, differences: &[Difference]) -> fmt::Result {
    for difference in differences {
        writeln!(f, "    {difference}")?;
    }
    if differences.is_empty() {
        writeln!(f, "    nothing")?;
    }
    Ok(())
}
