//! `quorate trace root-cause`: what went wrong in a trace, and where that came from.

use std::fmt::Write;

use clap::Args;
use serde::Serialize;

use super::get::headline;
use super::print::{Format, plain, print, push_json};
use super::report::{Fault, Report, RootCause};
use super::source::{PatternArgs, Selection};
use crate::outcome::{Failure, Outcome};

/// Options of `quorate trace root-cause`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct RootCauseArgs {
    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    patterns: PatternArgs,

    /// For whom the result is.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const HELP: &str = "\
Faults are errors, retry storms, spans that are slow for their operation (in a file: slower than the same
operation elsewhere in the file), and what --patterns says. Links are followed to other traces.

Examples:
  quorate trace root-cause 4bf92f3577b34da6a3ce929d0e0e4736
  quorate trace root-cause --file traces.json --patterns patterns.toml";

/// The answer for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained<'r> {
    trace_id: quorate_trace::TraceId,
    faults: &'r [Fault],
    root_causes: &'r [RootCause],
}

impl RootCauseArgs {
    /// Prints faults and root causes.
    pub(super) async fn run(self) -> Result<Outcome, Failure> {
        let format = self.format;
        let each = |_: &[quorate_trace::wire::Span<'_>], report: &Report| {
            let mut out = String::new();
            match format {
                Format::Text => {
                    headline(&mut out, report);
                    if report.faults.is_empty() {
                        out += "nothing went wrong\n";
                    }
                    describe_root_causes(&mut out, report);
                    out.push('\n');
                }
                Format::Json => {
                    let explained = Explained {
                        trace_id: report.summary.trace_id,
                        faults: &report.faults,
                        root_causes: &report.root_causes,
                    };
                    push_json(&mut out, &explained)?;
                }
            }
            print(out)
        };
        self.selection.examine(&self.patterns, each).await
    }
}

/// Faults and what explains them, the best explanation first.
pub(super) fn describe_root_causes(out: &mut String, report: &Report) {
    if !report.faults.is_empty() {
        let _ = writeln!(out, "\nFaults");
    }
    for fault in &report.faults {
        let (severity, message) = (plain(&fault.severity), plain(&fault.message));
        let _ = writeln!(out, "  {severity:<8}  {}  {message}", fault.span_id);
    }
    if !report.root_causes.is_empty() {
        let _ = writeln!(out, "\nRoot causes");
    }
    for (rank, cause) in (1..).zip(&report.root_causes) {
        let (service, operation) = (plain(&cause.service), plain(&cause.operation));
        let percent = (cause.score * 100.0).round();
        let span = cause.span_id;
        let _ = write!(out, "  {rank}. {operation} of {service}, span {span}");
        if cause.trace_id != report.summary.trace_id {
            let _ = write!(out, " of trace {}", cause.trace_id);
        }
        let _ = writeln!(out, " ({percent}%)");
        for reason in &cause.reasons {
            let _ = writeln!(out, "     {}", plain(reason));
        }
    }
}
