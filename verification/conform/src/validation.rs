//! Asking the specification: modules of windows for TLC, and what its words mean.

use crate::ConformError;
use crate::member::{Member, Step};
use crate::raft::{RaftLike, Specified, TraceNames};
use crate::report::{Finding, Report, Specification};
use crate::tlc::{Said, Tlc, Tools};
use crate::windows::{Base, Module, Parameters, State, Window, state};
use quorate_driver::shortened;
use quorate_raft::StateMachine;
use quorate_refinement::Value;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

/// Steps in one module, at most, but for those of its last window: TLC's parser takes a module as a whole.
const MODULE_STEPS: usize = 8_000;

/// Characters of a value that are shown.
const SHOWN: usize = 600;

/// A run on its way through TLC.
pub(crate) struct Validation<'a> {
    tlc: Tlc<'a>,
    parameters: Parameters,
    module: Option<Module>,
    /// What to say of each step of the module, should it be wrong.
    about: Vec<Finding>,
    modules: usize,
    steps: u64,
    validated: u64,
    windows: u64,
    failed: bool,
}

impl<'a> Validation<'a> {
    pub(crate) fn new(tools: &'a Tools, parameters: Parameters) -> Result<Self, ConformError> {
        Ok(Validation {
            tlc: Tlc::new(tools)?,
            parameters,
            module: None,
            about: Vec::new(),
            modules: 0,
            steps: 0,
            validated: 0,
            windows: 0,
            failed: false,
        })
    }

    /// Steps since the last window ended.
    pub(crate) fn since_cut(&self) -> usize {
        self.module.as_ref().map_or(0, Module::since_cut)
    }

    /// Adds a step; `about` is what to say of it.
    pub(crate) fn step<S: StateMachine, M: RaftLike<State = S>>(
        &mut self,
        names: &TraceNames,
        member: &Member<'_, M>,
        specified: &Specified<'_, S::Command>,
        step: &Step<M>,
        about: Finding,
    ) {
        self.steps += 1;
        if self.failed {
            return;
        }
        if let Some(module) = &mut self.module {
            module.step(names, member, specified, &step.sent);
            self.about.push(about);
        }
    }

    /// Ends a window in the state of the members; `net` is what is received later.
    pub(crate) fn cut<M: RaftLike>(
        &mut self,
        base: &Base,
        members: &[Member<'_, M>],
        names: &[TraceNames],
        net: Vec<Value>,
        report: &mut Report,
    ) -> Result<(), ConformError> {
        if self.failed {
            return Ok(());
        }
        let state = match state(base, members, names, net) {
            Ok(state) => state,
            Err(error) => {
                self.failed = true;
                if let Some(mut finding) = self.about.pop() {
                    finding.what = error.to_string();
                    report.findings.push(finding);
                }
                return Ok(());
            }
        };
        match &mut self.module {
            None => self.module = Some(Module::new(state)),
            Some(module) => {
                module.cut(state.clone());
                if module.steps() >= MODULE_STEPS {
                    self.check(base, report, Some(state))?;
                }
            }
        }
        Ok(())
    }

    /// Asks about what has gathered, and says how far the specification agrees.
    pub(crate) fn finish(mut self, base: &Base, report: &mut Report) -> Result<(), ConformError> {
        self.check(base, report, None)?;
        report.specification = Specification::Checked {
            steps: self.steps,
            validated: self.validated,
            windows: self.windows,
        };
        Ok(())
    }

    /// Asks about the module, and begins another one in the state `next`.
    fn check(
        &mut self,
        base: &Base,
        report: &mut Report,
        next: Option<State>,
    ) -> Result<(), ConformError> {
        let next = next.map(Module::new);
        let module = std::mem::replace(&mut self.module, next);
        let about = std::mem::take(&mut self.about);
        let Some(mut module) = module.filter(|_| !self.failed && !about.is_empty()) else {
            return Ok(());
        };
        self.modules += 1;
        let name = format!("Trace{}", self.modules);
        let (text, config) = module.text(&name, base, &self.parameters);
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let mut said = Words::of(&self.tlc.check(&name, &text, &config, cores)?);
        if !said.errors.is_empty() {
            // An error ends TLC in all windows; with one thread the last step it began is the one.
            said = Words::of(&self.tlc.check(&name, &text, &config, 1)?);
        }
        let mut first = 0;
        for (number, window) in (1..).zip(&module.windows) {
            let steps = window.seen.len();
            let stopped_here = said.errors.is_empty() || said.last_window == Some(number);
            if !said.arrived(number, steps) && stopped_here {
                let at = said.reached(number);
                self.failed = true;
                // In a window that has ended it is the state then which differs.
                let step = at.clamp(1, steps);
                self.validated += if at > steps { steps - 1 } else { at.max(1) - 1 } as u64;
                let mut finding = about[first + step - 1].clone();
                finding.what = said.explain(number, at, window);
                report.findings.push(finding);
                break;
            }
            if said.arrived(number, steps) {
                self.validated += steps as u64;
                self.windows += 1;
            }
            first += steps;
        }
        Ok(())
    }
}

/// What TLC printed, by window.
#[derive(Debug, Default)]
struct Words {
    /// The step that was begun last.
    reached: BTreeMap<usize, usize>,
    arrived: Vec<usize>,
    /// By window: the step, what differs, and how it is in the specification.
    differs: BTreeMap<usize, (usize, String, Value)>,
    violated: BTreeMap<usize, (usize, String)>,
    errors: Vec<String>,
    last_window: Option<usize>,
}

impl Words {
    fn of(said: &Said) -> Self {
        let mut words = Words {
            errors: said.errors.clone(),
            ..Words::default()
        };
        for word in &said.words {
            if let Ok(Value::Sequence(word)) = word.0.parse() {
                words.take(&word);
            }
        }
        words
    }

    fn take(&mut self, word: &[Value]) {
        let [
            Value::String(what),
            Value::Int(window),
            Value::Int(at),
            rest @ ..,
        ] = word
        else {
            return;
        };
        let (Ok(window), Ok(at)) = (usize::try_from(*window), usize::try_from(*at)) else {
            return;
        };
        match (what.as_str(), rest) {
            ("step", []) => {
                self.reached.insert(window, at);
                self.last_window = Some(window);
            }
            ("arrived", []) => self.arrived.push(window),
            ("differs", [Value::String(what), specified]) => {
                let differs = (at, what.clone(), specified.clone());
                self.differs.entry(window).or_insert(differs);
            }
            ("violated", [Value::String(property)]) => {
                self.violated.insert(window, (at, property.clone()));
            }
            _ => {}
        }
    }

    fn arrived(&self, window: usize, steps: usize) -> bool {
        self.arrived.contains(&window) || steps == 0
    }

    /// The step at which a window stopped; past the last one if its end differs.
    fn reached(&self, window: usize) -> usize {
        let differs = self.differs.get(&window).map(|(at, ..)| *at);
        differs.unwrap_or_else(|| self.reached.get(&window).copied().unwrap_or_default())
    }

    fn explain(&self, number: usize, at: usize, window: &Window) -> String {
        if let Some((_, property)) = self.violated.get(&number) {
            return format!("the specification's own {property} is violated by this step");
        }
        if !self.errors.is_empty() {
            let errors = self.errors.join("\n");
            return format!("the specification has no value for this step:\n{errors}");
        }
        match self.differs.get(&number) {
            Some((_, what, specified)) if what == "seen" => {
                let seen = window.seen.get(at.saturating_sub(1));
                differences(seen.unwrap_or(specified), specified)
            }
            Some((_, what, specified)) if what == "sent" => {
                let one = |name| specified.field(name).map_or_else(String::new, shown);
                format!(
                    "it sends something else\nspecified, not sent: {}\nsent, not specified: {}",
                    one("unsent"),
                    one("unspecified")
                )
            }
            Some((_, what, specified)) => format!(
                "after it, `{what}` differs from what the machines have; specified is\n{}",
                shown(specified)
            ),
            None => {
                let step = window.steps.get(at.saturating_sub(1));
                let step = step.map_or("", |step| step.split(", {").next().unwrap_or(step));
                format!("the specification does not allow this step here: {step}>>")
            }
        }
    }
}

/// Two records, field by field.
fn differences(seen: &Value, specified: &Value) -> String {
    let (Value::Record(ours), Value::Record(theirs)) = (seen, specified) else {
        return format!("seen {}, specified {}", shown(seen), shown(specified));
    };
    let mut text = String::from("the member is in another state after it");
    for name in ours
        .keys()
        .chain(theirs.keys().filter(|name| !ours.contains_key(*name)))
    {
        let (one, other) = (ours.get(name), theirs.get(name));
        if one != other {
            let show = |value: Option<&Value>| value.map_or_else(|| "nothing".into(), shown);
            text += &format!("\n{name}: seen {}, specified {}", show(one), show(other));
        }
    }
    text
}

fn shown(value: &Value) -> String {
    shortened(&value.to_string(), SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlc::Word;

    fn words(texts: &[&str]) -> Words {
        Words::of(&Said {
            words: texts.iter().map(|text| Word((*text).into())).collect(),
            errors: Vec::new(),
        })
    }

    #[test]
    fn a_window_stops_at_the_step_that_was_begun_last() {
        let words = words(&[
            r#"<<"step", 1, 1>>"#,
            r#"<<"step", 2, 1>>"#,
            r#"<<"step", 1, 2>>"#,
            r#"<<"arrived", 2, 2>>"#,
        ]);
        assert!(words.arrived(2, 1) && !words.arrived(1, 2));
        assert_eq!(words.reached(1), 2);
        let window = Window {
            steps: vec![
                String::new(),
                "<<\"Crash\", n1, 0, {}, [role |-> 1]>>".into(),
            ],
            seen: Vec::new(),
        };
        let explained = words.explain(1, 2, &window);
        assert!(
            explained.ends_with("here: <<\"Crash\", n1, 0>>"),
            "{explained}"
        );
    }

    #[test]
    fn differences_are_told_by_their_fields() {
        let words = words(&[r#"<<"differs", 1, 1, "seen", [role |-> "Follower", commit |-> 3]>>"#]);
        let seen = r#"[role |-> "Follower", commit |-> 4]"#.parse().expect("a value");
        let window = Window {
            steps: vec![String::new()],
            seen: vec![seen],
        };
        let explained = words.explain(1, words.reached(1), &window);
        assert!(
            explained.ends_with("commit: seen 4, specified 3"),
            "{explained}"
        );
    }
}
