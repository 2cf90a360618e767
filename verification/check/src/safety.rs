//! Every state within bounds, by `quorate-model`.

use crate::{CheckError, Count, Engine, Evidence, Finding, Progress, Run, Settings, Task};
use quorate_model::{Bound, Configuration, Options, PropertyReport, Report};
use std::sync::Arc;

/// A configuration whose states are all visited.
pub(crate) struct SafetyTask(pub(crate) Box<dyn Configuration>);

impl Task for SafetyTask {
    fn engine(&self) -> Engine {
        Engine::Safety
    }

    fn part(&self) -> &str {
        self.0.title()
    }

    fn within(&self) -> Vec<Bound> {
        self.0.limits()
    }

    fn run(self: Box<Self>, settings: &Settings) -> Result<Run, CheckError> {
        self.0.check(options(settings, told)).map(Run::from)
    }
}

/// The settings as the model's options, with progress in the words of `told`.
pub(crate) fn options(
    settings: &Settings,
    told: fn(&quorate_model::Progress) -> String,
) -> Options {
    let listener = settings.progress.clone();
    let tell = move |progress: &quorate_model::Progress| {
        if let Some(listener) = &listener {
            listener(&Progress {
                text: told(progress),
                elapsed: progress.elapsed,
            });
        }
    };
    Options {
        threads: settings.threads,
        search: settings.search,
        timeout: settings.timeout,
        rss_max_bytes: settings.rss_max_bytes,
        interrupt: Some(Arc::clone(&settings.interrupt)),
        progress: Some(Box::new(tell)),
        ..Options::default()
    }
}

fn told(progress: &quorate_model::Progress) -> String {
    let task = if progress.shortening {
        "looking for a shorter counterexample: "
    } else {
        ""
    };
    format!(
        "{task}{} states, {} unique, {:.0}/s, depth {}{}",
        progress.states,
        progress.unique,
        progress.rate,
        progress.depth,
        memory(progress),
    )
}

/// Memory, as the end of a line.
pub(crate) fn memory(progress: &quorate_model::Progress) -> String {
    let bytes = progress.rss_bytes;
    bytes.map_or(String::new(), |bytes| format!(", {} MiB", bytes >> 20))
}

impl From<Report> for Run {
    fn from(report: Report) -> Self {
        Run {
            protocol: String::new(),
            engine: Engine::Safety,
            part: report.protocol,
            within: report.bounds,
            assumed: Vec::new(),
            counts: vec![
                Count::new("states", report.states as u64),
                Count::new("unique", report.unique as u64),
                Count::new("depth", report.depth as u64),
            ],
            seconds: report.seconds,
            peak_rss_bytes: report.peak_rss_bytes,
            initial_rss_bytes: report.initial_rss_bytes,
            stopped: report.stopped,
            findings: report.properties.into_iter().map(Finding::from).collect(),
        }
    }
}

impl From<PropertyReport> for Finding {
    fn from(report: PropertyReport) -> Self {
        Finding {
            property: report.name,
            verdict: report.verdict,
            length: report.length,
            evidence: report.trace.map(Evidence::Trace),
        }
    }
}
