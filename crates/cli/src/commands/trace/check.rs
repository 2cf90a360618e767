//! `quorate trace check`: whether traces are whole and consistent.

use std::fmt::Write;

use clap::Args;
use quorate_trace::Verdict;
use serde::Serialize;

use super::get::headline;
use super::print::{Format, counted, plain, print, push_json};
use super::report::{Completeness, Missing, Problem, Report, Skew};
use super::source::{PatternArgs, Selection};
use crate::outcome::{Failure, Outcome};

/// Options of `quorate trace check`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    selection: Selection,

    /// For whom the result is.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const HELP: &str = "\
Checked are the structure (one root, no missing parent, no cycle, no id used twice) and the times (a child
begins after its parent; clocks of hosts agree). The exit status is 1 if a trace is not complete or has a
problem that is more than information.

Examples:
  quorate trace check 4bf92f3577b34da6a3ce929d0e0e4736
  quorate trace check --file traces.json --file more.pb
  quorate trace check --file traces.json --format json";

/// The verdict for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verified<'r> {
    trace_id: quorate_trace::TraceId,
    holds: bool,
    completeness: &'r Completeness,
    problems: &'r [Problem],
    missing: &'r [Missing],
    skew: &'r [Skew],
}

impl CheckArgs {
    /// Checks the traces.
    pub(super) async fn run(self) -> Result<Outcome, Failure> {
        let (mut checked, mut wrong) = (0_u64, 0_u64);
        let patterns = PatternArgs::default();
        let found = self.selection.examine(&patterns, |_, report| {
            let holds = holds(report);
            checked += 1;
            wrong += u64::from(!holds);
            let mut out = String::new();
            match self.format {
                Format::Text => {
                    headline(&mut out, report);
                    describe_problems(&mut out, report);
                    out.push('\n');
                }
                Format::Json => push_json(&mut out, &verified(report, holds))?,
            }
            print(out)
        });
        let found = found.await?;
        if self.format == Format::Text {
            print(match wrong {
                0 => format!("{}: all hold\n", counted(checked, "trace")),
                wrong => format!("{}: {wrong} with problems\n", counted(checked, "trace")),
            })?;
        }
        Ok(if wrong > 0 { Outcome::Refuted } else { found })
    }
}

/// Whether the trace is complete and nothing of it is wrong.
fn holds(report: &Report) -> bool {
    let is_complete = report.summary.completeness.verdict == Some(Verdict::Complete);
    is_complete
        && report
            .problems
            .iter()
            .all(|problem| problem.severity == "info")
}

fn verified(report: &Report, holds: bool) -> Verified<'_> {
    Verified {
        trace_id: report.summary.trace_id,
        holds,
        completeness: &report.summary.completeness,
        problems: &report.problems,
        missing: &report.missing,
        skew: &report.skew,
    }
}

/// What is wrong with structure and times, a line each.
pub(super) fn describe_problems(out: &mut String, report: &Report) {
    if !report.problems.is_empty() {
        let _ = writeln!(out, "\nProblems");
    }
    for problem in &report.problems {
        let (severity, message) = (plain(&problem.severity), plain(&problem.message));
        let _ = match problem.span_id {
            Some(span) => writeln!(out, "  {severity:<8}  {span}  {message}"),
            None => writeln!(out, "  {severity:<8}  {:16}  {message}", ""),
        };
    }
}
