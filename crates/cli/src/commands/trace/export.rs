//! `quorate trace export`: traces in the forms that other programs read.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use quorate_query::jaeger_to_json;
use quorate_trace::json::spans_to_json;
use quorate_trace::wire::{Span, encode};

use super::collector::Collector;
use super::print::print;
use super::source::{Files, Selection, missing};
use crate::outcome::{Failure, Outcome};

/// The form of what is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// OTLP in JSON, one message.
    #[default]
    OtlpJson,
    /// OTLP in protobuf, one message (`TracesData`).
    Otlp,
    /// The JSON that Jaeger's user interface opens.
    JaegerJson,
}

/// Options of `quorate trace export`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(super) selection: Selection,

    /// The form of what is written.
    #[arg(long, value_enum, default_value_t)]
    format: Form,

    /// Where to write; standard output by default.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

const HELP: &str = "\
Examples:
  quorate trace export 4bf92f3577b34da6a3ce929d0e0e4736 --format jaeger-json --output trace.json
  quorate trace export --file jaeger.json --format otlp > spans.pb";

impl ExportArgs {
    /// Writes the traces. One that is not there makes the outcome [`Outcome::Refuted`].
    pub(super) async fn run(self) -> Result<Outcome, Failure> {
        let to_terminal = self.output.is_none() && io::stdout().is_terminal();
        if self.format == Form::Otlp && to_terminal {
            return Err(Failure::Usage(
                "protobuf is nothing for a terminal: name a file with --output".into(),
            ));
        }
        if self.selection.place.files.is_empty() {
            self.collected().await
        } else {
            let files = Files::read(&self.selection.place)?;
            let traces = files.traces();
            let spans = self.selection.pick(&traces).concat();
            let ids = self.selection.ids.iter();
            let lost = ids
                .filter(|id| !traces.contains_key(id))
                .inspect(|id| missing(**id));
            let lost = lost.count();
            self.write(&spans, lost)
        }
    }

    async fn collected(&self) -> Result<Outcome, Failure> {
        if self.selection.ids.is_empty() {
            return Err(Failure::Usage(
                "name a trace by its id, or a file with --file".into(),
            ));
        }
        let collector = Collector::new(&self.selection.place.from)?;
        let mut batches = Vec::new();
        for id in &self.selection.ids {
            match collector.spans(*id).await? {
                Some(batch) => batches.push(batch),
                None => missing(*id),
            }
        }
        let spans: Vec<Span<'_>> = batches.iter().flat_map(|batch| batch.spans()).collect();
        self.write(&spans, self.selection.ids.len() - batches.len())
    }

    fn write(&self, spans: &[Span<'_>], lost: usize) -> Result<Outcome, Failure> {
        let outcome = match lost {
            0 => Outcome::Holds,
            _ => Outcome::Refuted,
        };
        if spans.is_empty() {
            return Ok(outcome);
        }
        let content = self.content(spans)?;
        match &self.output {
            None => print(content)?,
            Some(path) => fs::write(path, content)
                .map_err(Failure::local(format!("writing {}", path.display())))?,
        }
        Ok(outcome)
    }

    fn content(&self, spans: &[Span<'_>]) -> Result<Bytes, Failure> {
        let fault = |why: String| Failure::Fault(format!("writing JSON: {why}"));
        let mut text = match self.format {
            Form::Otlp => return Ok(encode(spans)),
            Form::OtlpJson => spans_to_json(spans).map_err(|error| fault(error.to_string()))?,
            Form::JaegerJson => jaeger_to_json(spans).map_err(|error| fault(error.to_string()))?,
        };
        text.push('\n');
        Ok(text.into())
    }
}
