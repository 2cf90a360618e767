//! Makes a failure small: the fewest faults that still show it.
//!
//! First whole kinds of faults are taken out, then ever smaller parts of the list ("delta debugging",
//! Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002), then the time at
//! which faults end is brought forward. A run without some of its faults may take another course and show
//! the same property violated at another moment; that is as good, as it is smaller.

use crate::Time;
use crate::fault::Kind;
use crate::journal::Keep;
use crate::report::RunReport;
use crate::run::{Plan, Runner};

/// A failure with as few faults as were found to be needed.
#[derive(Clone, Debug)]
pub struct Minimal {
    /// What shows it.
    pub plan: Plan,
    /// The run of that plan, with the end of its log.
    pub report: RunReport,
    /// How many runs it took to find.
    pub runs: usize,
}

/// Runs `found` again and again with fewer faults, at most `budget` times; the log of what is left has
/// `lines` lines. `None` if the plan does not fail.
pub fn minimise(runner: &Runner, found: &Plan, budget: usize, lines: usize) -> Option<Minimal> {
    let plan = Plan {
        keep: Keep::Nothing,
        ..found.clone()
    };
    let first = runner(&plan);
    let property = first.failure.as_ref()?.violation.property.clone();
    let mut search = Search {
        runner,
        property,
        budget,
        runs: 0,
        plan,
        best: first,
    };
    search.without_kinds();
    search.without_parts();
    search.earlier();
    let mut plan = search.plan;
    plan.keep = Keep::Last(lines);
    let report = runner(&plan);
    Some(Minimal {
        plan,
        report,
        runs: search.runs,
    })
}

struct Search<'a> {
    runner: &'a Runner,
    property: String,
    budget: usize,
    runs: usize,
    plan: Plan,
    best: RunReport,
}

impl Search<'_> {
    /// Takes `plan` if it fails in the same way.
    fn accepts(&mut self, plan: Plan) -> bool {
        if self.runs >= self.budget {
            return false;
        }
        self.runs += 1;
        let report = (self.runner)(&plan);
        let failure = report.failure.as_ref();
        let same = failure.is_some_and(|f| f.violation.property == self.property);
        if same {
            self.plan = plan;
            self.best = report;
        }
        same
    }

    /// The faults that are left, by their numbers.
    fn numbers(&self) -> Vec<usize> {
        self.best.faults.iter().map(|fault| fault.number).collect()
    }

    fn with(&self, only: Vec<usize>) -> Plan {
        Plan {
            only: Some(only),
            ..self.plan.clone()
        }
    }

    fn without_kinds(&mut self) {
        for kind in Kind::ALL {
            let faults = &self.best.faults;
            let others = faults.iter().filter(|fault| fault.fault.kind() != kind);
            let others: Vec<usize> = others.map(|fault| fault.number).collect();
            if others.len() < faults.len() {
                let plan = self.with(others);
                self.accepts(plan);
            }
        }
    }

    fn without_parts(&mut self) {
        let mut size = self.numbers().len().div_ceil(2);
        while size > 0 {
            let mut start = 0;
            loop {
                let numbers = self.numbers();
                if start >= numbers.len() {
                    break;
                }
                let end = (start + size).min(numbers.len());
                let mut others = numbers;
                others.drain(start..end);
                let plan = self.with(others);
                // What was taken out is replaced by what followed it.
                if !self.accepts(plan) {
                    start += size;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    /// Halves the time during which there are faults, then by less and less.
    fn earlier(&mut self) {
        let mut step = Time(self.plan.end().0 / 2);
        while step > Time::millis(100) {
            let until = self.plan.end() - step;
            let plan = Plan {
                until: Some(until),
                ..self.plan.clone()
            };
            if until == Time(0) || !self.accepts(plan) {
                step = Time(step.0 / 2);
            }
        }
    }
}
