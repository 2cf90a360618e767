//! `quorate trace search`: traces by what they are about.

use std::fmt::Write;

use clap::{Args, ValueEnum};
use form_urlencoded::Serializer;
use quorate_analysis::Graph;
use quorate_trace::Verdict;
use quorate_trace::wire::Span;

use super::collector::Collector;
use super::print::{At, Format, Took, parse_duration, plain, print, push_json};
use super::report::Summary;
use super::source::{Files, Place};
use crate::outcome::{Failure, Outcome};

/// Options of `quorate trace search`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    place: Place,

    /// With a span of this service.
    #[arg(long)]
    service: Option<String>,

    /// With a span of this name.
    #[arg(long)]
    operation: Option<String>,

    /// With a span that has this attribute, or whose resource has it. May repeat.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = parse_tag)]
    tags: Vec<(String, String)>,

    /// That took at least so long, such as 250ms or 1.5s.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    min_duration: Option<u64>,

    /// That took at most so long.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    max_duration: Option<u64>,

    /// That began at this time or later, in RFC 3339.
    #[arg(long, value_name = "TIME")]
    start: Option<jiff::Timestamp>,

    /// That began at this time or earlier, in RFC 3339.
    #[arg(long, value_name = "TIME")]
    end: Option<jiff::Timestamp>,

    /// Whose spans are all there, or not.
    #[arg(long, value_enum)]
    verdict: Option<VerdictName>,

    /// With a span that failed.
    #[arg(long)]
    errors: bool,

    /// At most so many, the latest first.
    #[arg(long, value_name = "COUNT", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,

    /// For whom the result is.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const HELP: &str = "\
The exit status is 1 if nothing was found.

Examples:
  quorate trace search --service checkout --errors
  quorate trace search --tag http.route=/cart --min-duration 250ms --verdict incomplete
  quorate trace search --file traces.json --operation 'GET /cart'";

/// A verdict as a word of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum VerdictName {
    Complete,
    Incomplete,
    Evicted,
}

impl VerdictName {
    fn verdict(self) -> Verdict {
        match self {
            VerdictName::Complete => Verdict::Complete,
            VerdictName::Incomplete => Verdict::Incomplete,
            VerdictName::Evicted => Verdict::Evicted,
        }
    }
}

fn parse_tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("not of the form key=value".into()),
    }
}

impl SearchArgs {
    /// Prints a line for every trace that matches.
    pub(super) async fn run(self) -> Result<Outcome, Failure> {
        let summaries = if self.place.files.is_empty() {
            let collector = Collector::new(&self.place.from)?;
            let found = collector.search(&self.query()).await?;
            if !found.complete && found.traces.len() < self.limit as usize {
                let examined = found.examined;
                eprintln!("quorate: the search ended after {examined} traces; narrow it down");
            }
            found.traces
        } else {
            self.in_files()?
        };
        let mut out = String::new();
        match self.format {
            Format::Text if summaries.is_empty() => eprintln!("quorate: no trace matches"),
            Format::Text => table(&mut out, &summaries),
            Format::Json => {
                for summary in &summaries {
                    push_json(&mut out, summary)?;
                }
            }
        }
        print(out)?;
        Ok(match summaries.is_empty() {
            true => Outcome::Refuted,
            false => Outcome::Holds,
        })
    }

    /// As parameters of the collector's search.
    pub(super) fn query(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("limit", &self.limit.to_string());
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        };
        let nanos = |nanos: u64| format!("{nanos}ns");
        add("service", self.service.clone());
        add("operation", self.operation.clone());
        for (key, value) in &self.tags {
            add("tag", Some(format!("{key}={value}")));
        }
        add("minDuration", self.min_duration.map(nanos));
        add("maxDuration", self.max_duration.map(nanos));
        add("start", self.start.map(|time| time.to_string()));
        add("end", self.end.map(|time| time.to_string()));
        let name = |name: VerdictName| name.to_possible_value();
        let verdict = self.verdict.and_then(name);
        add("verdict", verdict.map(|value| value.get_name().to_owned()));
        add("errors", self.errors.then(|| "true".to_owned()));
        query.finish()
    }

    pub(super) fn in_files(&self) -> Result<Vec<Summary>, Failure> {
        let files = Files::read(&self.place)?;
        let traces = files.traces();
        let summary = |spans: &Vec<Span<'_>>| Summary::of(spans, &Graph::new(spans));
        let mut found: Vec<Summary> = traces
            .values()
            .filter(|spans| self.matches_spans(spans))
            .map(summary)
            .filter(|summary| self.matches_summary(summary))
            .collect();
        found.sort_by_key(|summary| std::cmp::Reverse(summary.start()));
        found.truncate(self.limit as usize);
        Ok(found)
    }

    fn matches_spans(&self, spans: &[Span<'_>]) -> bool {
        let of_service = |span: &Span<'_>| {
            let service = self.service.as_deref();
            service.is_none_or(|service| service == span.service)
        };
        let of_operation = |span: &Span<'_>| {
            let operation = self.operation.as_deref();
            operation.is_none_or(|operation| operation == span.name)
        };
        let has =
            |(key, value): &(String, String)| spans.iter().any(|span| has_tag(span, key, value));
        spans
            .iter()
            .any(|span| of_service(span) && of_operation(span))
            && self.tags.iter().all(has)
    }

    fn matches_summary(&self, summary: &Summary) -> bool {
        let after = |time: jiff::Timestamp| i128::from(summary.start()) >= time.as_nanosecond();
        let before = |time: jiff::Timestamp| i128::from(summary.start()) <= time.as_nanosecond();
        let verdict = summary.completeness.verdict;
        self.min_duration
            .is_none_or(|least| summary.duration_ns >= least)
            && self
                .max_duration
                .is_none_or(|most| summary.duration_ns <= most)
            && self.start.is_none_or(after)
            && self.end.is_none_or(before)
            && self
                .verdict
                .is_none_or(|name| verdict == Some(name.verdict()))
            && (!self.errors || summary.errors > 0)
    }
}

fn has_tag(span: &Span<'_>, key: &str, value: &str) -> bool {
    let mut attributes = span.attributes().chain(span.resource_attributes());
    attributes.any(|(name, found)| name == key && found.to_text().is_some_and(|text| text == value))
}

fn table(out: &mut String, summaries: &[Summary]) {
    let _ = writeln!(
        out,
        "{:32}  {:24}  {:>8}  {:>6}  {:>6}  {:12}  ROOT",
        "TRACE", "BEGIN", "TOOK", "SPANS", "ERRORS", "VERDICT"
    );
    for summary in summaries {
        let (at, took) = (At(summary.start()), Took(summary.duration_ns));
        let Summary {
            trace_id,
            spans,
            errors,
            ..
        } = summary;
        let verdict = summary.verdict();
        let _ = write!(
            out,
            "{trace_id}  {at:24}  {took:>8}  {spans:>6}  {errors:>6}  {verdict:12}  "
        );
        let _ = match summary.root_name.as_str() {
            "" => writeln!(out, "no root"),
            name => writeln!(out, "{} ({})", plain(name), plain(&summary.root_service)),
        };
    }
}
