//! `quorate trace get`: a trace as a tree.

use std::collections::HashSet;
use std::fmt::Write;

use clap::Args;
use quorate_trace::SpanId;
use quorate_trace::json::spans_to_json;
use quorate_trace::wire::Span;
use serde::Serialize;
use serde_json::value::RawValue;

use super::check::describe_problems;
use super::print::{At, Format, Took, plain, print, push_json};
use super::report::Report;
use super::root_cause::describe_root_causes;
use super::source::{PatternArgs, Selection};
use super::tree::{self, Style};
use crate::outcome::{Failure, Outcome};

/// Options of `quorate trace get`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    patterns: PatternArgs,

    /// Also show attributes, events and links of every span.
    #[arg(short, long)]
    details: bool,

    /// Spans to show at most; 0 shows all.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    spans: usize,

    /// For whom the result is.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const HELP: &str = "\
A star marks spans that the trace's duration consists of, an exclamation mark those that failed. Times are
corrected for clocks that must be wrong; `quorate trace check` says which.

Examples:
  quorate trace get 4bf92f3577b34da6a3ce929d0e0e4736
  quorate trace get 4bf92f3577b34da6a3ce929d0e0e4736 --details
  quorate trace get --file traces.json --format json";

/// A trace for programs: what is known about it, and its spans as OTLP.
#[derive(Serialize)]
struct Whole<'r> {
    #[serde(flatten)]
    report: &'r Report,
    otlp: Box<RawValue>,
}

impl GetArgs {
    /// Prints the traces.
    pub(super) async fn run(self) -> Result<Outcome, Failure> {
        let style = Style {
            lines: (self.spans > 0).then_some(self.spans),
            details: self.details,
        };
        let format = self.format;
        let each = |spans: &[Span<'_>], report: &Report| {
            let mut out = String::new();
            match format {
                Format::Text => describe(&mut out, spans, report, style),
                Format::Json => {
                    let fault = |error: &dyn std::fmt::Display| {
                        Failure::Fault(format!("writing JSON: {error}"))
                    };
                    let otlp = spans_to_json(spans).map_err(|error| fault(&error))?;
                    let otlp = RawValue::from_string(otlp).map_err(|error| fault(&error))?;
                    push_json(&mut out, &Whole { report, otlp })?;
                }
            }
            print(out)
        };
        self.selection.examine(&self.patterns, each).await
    }
}

pub(super) fn describe(out: &mut String, spans: &[Span<'_>], report: &Report, style: Style) {
    headline(out, report);
    let critical: HashSet<SpanId> = report
        .critical_path
        .iter()
        .map(|segment| segment.span_id)
        .collect();
    out.push('\n');
    tree::draw(out, spans, &critical, style);
    describe_problems(out, report);
    describe_root_causes(out, report);
    out.push('\n');
}

/// The trace in two lines.
pub(super) fn headline(out: &mut String, report: &Report) {
    let summary = &report.summary;
    let verdict = match report.phase.as_deref() {
        None | Some("sealed") => summary.verdict().to_owned(),
        Some(phase) => format!("still open ({})", plain(phase)),
    };
    let _ = writeln!(out, "trace {}  {verdict}", summary.trace_id);
    let (size, took, at) = (
        summary.size(),
        Took(summary.duration_ns),
        At(summary.start()),
    );
    let _ = writeln!(out, "{size}, {took}, from {at}");
}
