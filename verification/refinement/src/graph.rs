//! The graph of the specification, as TLC writes it with `-dump dot,actionlabels`.
//!
//! Each state is a line with its values, each step of it a line with the name of the action:
//!
//! ```text
//! -8011252720939936157 [label="/\\ node = …\n/\\ net = {}",style = filled]
//! -8011252720939936157 -> 937803087282325476 [label="Stands",color="black",fontcolor="black"];
//! ```
//!
//! The numbers are TLC's fingerprints. A state of Raft takes some five kilobytes of text, so the file is read
//! line by line, and of each state only its number in a [`Pool`] is kept.

use crate::parse::{self, ParseError};
use crate::{Pool, Value, ValueId};
use std::collections::HashMap;
use std::io::{self, BufRead};

/// States and steps of a specification.
pub struct Graph {
    /// The value of each state: a record of its variables.
    states: Vec<ValueId>,
    numbers: HashMap<ValueId, u32>,
    initial: Vec<u32>,
    /// The names of the actions.
    actions: Vec<String>,
    /// Where the steps of each state begin in `steps`.
    offsets: Vec<u32>,
    steps: Vec<Step>,
}

/// A step of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Step {
    /// The state before.
    pub from: u32,
    /// The state after.
    pub to: u32,
    /// The number of the action.
    pub action: u16,
}

/// Why a graph cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// The file cannot be read.
    #[error("the graph cannot be read")]
    Io(#[from] io::Error),
    /// A state's values have another form than expected.
    #[error("line {line}: {source}: {text}")]
    Value {
        /// Where.
        line: usize,
        /// What of it.
        source: ParseError,
        /// What was found there.
        text: String,
    },
    /// A line is neither a state nor a step nor what TLC writes around them.
    #[error("line {line} is not understood: {text}")]
    Line {
        /// Where.
        line: usize,
        /// How it begins.
        text: String,
    },
    /// A step leads to a state that is not there.
    #[error("state {0} is missing")]
    Missing(i64),
    /// No state is drawn as an initial one.
    #[error("no initial state")]
    NoInitial,
    /// Two of TLC's states have the same values.
    #[error("TLC has a state twice")]
    Twice,
    /// Numbers of states, steps and actions have 32, 32 and 16 bits.
    #[error("the graph is too large")]
    TooLarge,
}

impl Graph {
    /// Reads a graph; its values are put into `pool`.
    ///
    /// # Errors
    ///
    /// If the text is not TLC's.
    pub fn read(text: impl BufRead, pool: &mut Pool) -> Result<Self, GraphError> {
        let mut reader = Reader::new(pool);
        for (line, text) in (1..).zip(text.lines()) {
            reader.line(line, &text?)?;
        }
        reader.finish()
    }

    /// How many states there are.
    pub fn states(&self) -> u32 {
        self.states.len() as u32
    }

    /// The value of a state.
    pub fn value(&self, state: u32) -> ValueId {
        self.states[state as usize]
    }

    /// The state of this value.
    pub fn find(&self, value: ValueId) -> Option<u32> {
        self.numbers.get(&value).copied()
    }

    /// The initial states.
    pub fn initial(&self) -> &[u32] {
        &self.initial
    }

    /// The names of the actions, by number.
    pub fn actions(&self) -> &[String] {
        &self.actions
    }

    /// All steps, sorted.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The steps from a state, with the position of the first among all steps.
    pub fn steps_from(&self, state: u32) -> (usize, &[Step]) {
        let [begin, end] = [state, state + 1].map(|at| self.offsets[at as usize] as usize);
        (begin, &self.steps[begin..end])
    }

    /// The position of a step.
    pub fn position(&self, from: u32, action: &str, to: u32) -> Option<usize> {
        let (begin, steps) = self.steps_from(from);
        let same = |step: &Step| step.to == to && self.actions[usize::from(step.action)] == action;
        Some(begin + steps.iter().position(same)?)
    }
}

struct Reader<'p> {
    pool: &'p mut Pool,
    /// TLC's fingerprint of each state, and its number.
    fingerprints: HashMap<i64, u32>,
    states: Vec<Option<ValueId>>,
    initial: Vec<u32>,
    actions: Vec<String>,
    steps: Vec<Step>,
}

impl<'p> Reader<'p> {
    fn new(pool: &'p mut Pool) -> Self {
        Reader {
            pool,
            fingerprints: HashMap::new(),
            states: Vec::new(),
            initial: Vec::new(),
            actions: Vec::new(),
            steps: Vec::new(),
        }
    }

    fn line(&mut self, line: usize, text: &str) -> Result<(), GraphError> {
        let not_understood = || GraphError::Line {
            line,
            text: text.chars().take(80).collect(),
        };
        if !text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return Ok(()); // how it is to be drawn
        }
        let (head, label) = text.split_once(" [label=\"").ok_or_else(not_understood)?;
        if !text.ends_with([']', ';']) {
            return Err(not_understood());
        }
        if let Some((from, to)) = head.split_once(" -> ") {
            let (Ok(from), Ok(to), Some((action, _))) =
                (from.parse(), to.parse(), label.split_once('"'))
            else {
                return Err(not_understood());
            };
            return self.step(from, to, action);
        }
        let (Ok(fingerprint), Some(end)) = (head.parse(), label.rfind('"')) else {
            return Err(not_understood());
        };
        let values = unescape(&label[..end]);
        let values = parse::assignments(&values).map_err(|source| {
            let around = values.get(source.at.saturating_sub(40)..).unwrap_or("");
            let text = around.chars().take(80).collect();
            GraphError::Value { line, source, text }
        })?;
        let value = self.pool.intern(&Value::record(values));
        let number = self.number(fingerprint)?;
        self.states[number as usize] = Some(value);
        // The initial states are drawn filled.
        if label[end..].contains("style = filled") {
            self.initial.push(number);
        }
        Ok(())
    }

    fn step(&mut self, from: i64, to: i64, action: &str) -> Result<(), GraphError> {
        let known = self.actions.iter().position(|name| name == action);
        let number = known.unwrap_or(self.actions.len());
        if known.is_none() {
            self.actions.push(action.to_owned());
        }
        let step = Step {
            from: self.number(from)?,
            to: self.number(to)?,
            action: u16::try_from(number).map_err(|_| GraphError::TooLarge)?,
        };
        self.steps.push(step);
        Ok(())
    }

    fn number(&mut self, fingerprint: i64) -> Result<u32, GraphError> {
        if let Some(number) = self.fingerprints.get(&fingerprint) {
            return Ok(*number);
        }
        let number = u32::try_from(self.states.len()).map_err(|_| GraphError::TooLarge)?;
        self.fingerprints.insert(fingerprint, number);
        self.states.push(None);
        Ok(number)
    }

    fn finish(mut self) -> Result<Graph, GraphError> {
        let fingerprints = self.fingerprints.iter();
        let missing = |(_, number): &(&i64, &u32)| self.states[**number as usize].is_none();
        if let Some((fingerprint, _)) = fingerprints.into_iter().find(missing) {
            return Err(GraphError::Missing(*fingerprint));
        }
        if self.initial.is_empty() {
            return Err(GraphError::NoInitial);
        }
        let states: Vec<ValueId> = self.states.into_iter().flatten().collect();
        let numbers: HashMap<_, _> = states.iter().copied().zip(0..).collect();
        if numbers.len() < states.len() {
            return Err(GraphError::Twice);
        }
        self.steps.sort_unstable();
        self.steps.dedup();
        u32::try_from(self.steps.len()).map_err(|_| GraphError::TooLarge)?;
        let steps = &self.steps;
        let offset =
            |state: usize| steps.partition_point(|step| (step.from as usize) < state) as u32;
        Ok(Graph {
            offsets: (0..=states.len()).map(offset).collect(),
            numbers,
            initial: self.initial,
            actions: self.actions,
            steps: self.steps,
            states,
        })
    }
}

/// What a label says: a backslash stands before quotes and backslashes, and `\n` ends a line.
fn unescape(label: &str) -> String {
    let mut text = String::with_capacity(label.len());
    let mut rest = label;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let escaped = rest[at + 1..].chars().next();
        text.push(match escaped {
            Some('n') => '\n',
            Some(other) => other,
            None => '\\',
        });
        rest = &rest[at + 1 + escaped.map_or(0, char::len_utf8)..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIGHT: &str = r#"strict digraph DiskGraph {
nodesep=0.35;
-1 [label="/\\ on = FALSE\n/\\ by = \"nobody\"",style = filled]
-1 -> 2 [label="Switch",color="black",fontcolor="black"];
2 [label="/\\ on = TRUE\n/\\ by = \"me\""];
2 -> 2 [label="Touch",color="black",fontcolor="black"];
{rank = same; -1;}
}
"#;

    #[test]
    fn states_and_steps_are_read() {
        let mut pool = Pool::default();
        let graph = Graph::read(LIGHT.as_bytes(), &mut pool).unwrap();
        assert_eq!(graph.states(), 2);
        assert_eq!(graph.initial(), [0]);
        let on = Value::record([("on", true.into()), ("by", Value::string("me"))]);
        let on = graph.find(pool.intern(&on)).unwrap();
        assert_eq!(graph.position(0, "Switch", on), Some(0));
        assert_eq!(graph.position(0, "Touch", on), None);
        assert_eq!(graph.steps_from(on).1.len(), 1);
    }

    #[test]
    fn a_torn_file_is_refused() {
        let torn = LIGHT.lines().take(4).collect::<Vec<_>>().join("\n");
        let read = Graph::read(torn.as_bytes(), &mut Pool::default());
        assert!(matches!(read, Err(GraphError::Missing(2))));
        for end in 45..LIGHT.find("2 [label").unwrap() {
            let cut = &LIGHT[..end];
            let read = Graph::read(cut.as_bytes(), &mut Pool::default());
            // A graph of one state that is torn before its steps is for TLC's own count to tell.
            let is_one_state = cut.trim_end().ends_with("filled]");
            assert_eq!(read.is_err(), !is_one_state, "{cut}");
        }
    }
}
