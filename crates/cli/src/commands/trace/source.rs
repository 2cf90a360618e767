//! Where traces are: in files, or in a collector that runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use clap::Args;
use http::Uri;
use quorate_analysis::{History, Patterns, linked_traces};
use quorate_trace::TraceId;
use quorate_trace::wire::{Batch, Span};

use super::collector::Collector;
use super::file;
use super::report::Report;
use crate::outcome::{Failure, Outcome};

/// Traces that a search for root causes follows links to.
const LINKED_MAX: usize = 8;

/// Which traces, and where they are.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Ids of traces; of a file all its traces by default.
    #[arg(value_name = "TRACE", value_parser = parse_trace_id)]
    pub(super) ids: Vec<TraceId>,

    #[command(flatten)]
    pub(super) place: Place,
}

/// Where traces are.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Read a file of OTLP (protobuf or JSON) or Jaeger's JSON; - is standard input. May repeat.
    #[arg(short, long = "file", value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,

    /// Ask a collector, if no file is given.
    #[arg(
        long,
        value_name = "URL",
        env = "QUORATE_COLLECTOR",
        default_value = "http://127.0.0.1:16686"
    )]
    pub(super) from: Uri,
}

/// What counts as a fault.
#[derive(Debug, Default, Args)]
pub(super) struct PatternArgs {
    /// What counts as a fault in a file, in TOML as under `analysis` of the collector's configuration.
    #[arg(long, value_name = "FILE", requires = "files")]
    patterns: Option<PathBuf>,
}

/// Identifiers of 64 bits, as some of Jaeger's clients make them, have zeros before them in OTLP.
fn parse_trace_id(text: &str) -> Result<TraceId, String> {
    let id = format!("{text:0>32}").parse();
    id.map_err(|error: quorate_trace::InvalidId| error.to_string())
}

impl PatternArgs {
    fn read(&self) -> Result<Patterns, Failure> {
        let Some(path) = &self.patterns else {
            return Ok(Patterns::default());
        };
        let name = path.display();
        let text = fs::read_to_string(path).map_err(Failure::local(format!("reading {name}")))?;
        toml::from_str(&text).map_err(|error| Failure::Usage(format!("{name}: {error}")))
    }
}

/// The files of a [`Place`], read.
pub(super) struct Files(Vec<Batch>);

impl Files {
    pub(super) fn read(place: &Place) -> Result<Self, Failure> {
        let batches = place.files.iter().map(|path| file::read(path));
        batches.collect::<Result<_, _>>().map(Files)
    }

    /// The spans of each trace, in the order of the files.
    pub(super) fn traces(&self) -> BTreeMap<TraceId, Vec<Span<'_>>> {
        let mut traces: BTreeMap<TraceId, Vec<Span<'_>>> = BTreeMap::new();
        for span in self.0.iter().flat_map(Batch::spans) {
            traces.entry(span.trace_id).or_default().push(span);
        }
        traces
    }
}

impl Selection {
    /// Those of the selected traces that are in the files, by their begin if all are.
    pub(super) fn pick<'t, 'a>(
        &self,
        traces: &'t BTreeMap<TraceId, Vec<Span<'a>>>,
    ) -> Vec<&'t [Span<'a>]> {
        if self.ids.is_empty() {
            let mut all: Vec<&[Span<'a>]> = traces.values().map(Vec::as_slice).collect();
            all.sort_by_key(|spans| spans.iter().map(|span| span.start).min());
            return all;
        }
        let found = self.ids.iter().filter_map(|id| traces.get(id));
        found.map(Vec::as_slice).collect()
    }

    /// Shows every selected trace with what is known about it to `each`. What is not there is told of, and
    /// makes the outcome [`Outcome::Refuted`].
    pub(super) async fn examine(
        &self,
        patterns: &PatternArgs,
        mut each: impl FnMut(&[Span<'_>], &Report) -> Result<(), Failure>,
    ) -> Result<Outcome, Failure> {
        if !self.place.files.is_empty() {
            return self.examine_files(patterns, each);
        }
        if self.ids.is_empty() {
            return Err(Failure::Usage(
                "name a trace by its id, or a file with --file".into(),
            ));
        }
        let collector = Collector::new(&self.place.from)?;
        let mut outcome = Outcome::Holds;
        for id in &self.ids {
            let Some((batch, report)) = collector.trace(*id).await? else {
                missing(*id);
                outcome = Outcome::Refuted;
                continue;
            };
            each(&batch.spans().collect::<Vec<_>>(), &report)?;
        }
        Ok(outcome)
    }

    fn examine_files(
        &self,
        patterns: &PatternArgs,
        mut each: impl FnMut(&[Span<'_>], &Report) -> Result<(), Failure>,
    ) -> Result<Outcome, Failure> {
        let patterns = patterns.read()?;
        let files = Files::read(&self.place)?;
        let traces = files.traces();
        // What is usual is what is usual in these files.
        let mut history = History::default();
        for span in traces.values().flatten() {
            history.observe(span);
        }
        for spans in self.pick(&traces) {
            let linked = linked_traces(spans, LINKED_MAX);
            let linked = linked.iter().filter_map(|id| traces.get(id));
            let linked: Vec<&[Span<'_>]> = linked.map(Vec::as_slice).collect();
            let report = Report::analysed(spans, &linked, &patterns, &history)
                .map_err(|error| Failure::Fault(format!("reading the analysis: {error}")))?;
            each(spans, &report)?;
        }
        let mut outcome = Outcome::Holds;
        for id in self.ids.iter().filter(|id| !traces.contains_key(id)) {
            missing(*id);
            outcome = Outcome::Refuted;
        }
        Ok(outcome)
    }
}

/// Tells of a trace that is not there.
pub(super) fn missing(id: TraceId) {
    eprintln!("quorate: there is no trace {id}");
}
