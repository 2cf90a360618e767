//! Every fair behaviour within bounds, by `quorate-fair` through `quorate-model`.

use crate::safety::{memory, options};
use crate::{CheckError, Count, Engine, Evidence, Finding, Run, Settings, Task};
use quorate_model::{Bound, Configuration, LivenessFinding, LivenessReport, Progress, Verdict};

/// A configuration whose fair behaviours are all judged.
pub(crate) struct LivenessTask(pub(crate) Box<dyn Configuration>);

impl Task for LivenessTask {
    fn engine(&self) -> Engine {
        Engine::Liveness
    }

    fn part(&self) -> &str {
        self.0.title()
    }

    fn within(&self) -> Vec<Bound> {
        self.0.limits()
    }

    fn run(self: Box<Self>, settings: &Settings) -> Result<Run, CheckError> {
        let options = options(settings, told);
        self.0.check_liveness(options).map(Run::from)
    }
}

fn told(progress: &Progress) -> String {
    format!(
        "{} states, {} edges, {:.0}/s{}",
        progress.unique,
        progress.states,
        progress.rate,
        memory(progress),
    )
}

/// The property; with the configuration, if that one is without something that is needed.
fn title(finding: &LivenessFinding, part: &str) -> String {
    match finding.verdict {
        Verdict::Refuted | Verdict::Survived if finding.without.is_none() => {
            format!("{} ({part})", finding.name)
        }
        _ => finding.title(),
    }
}

impl From<LivenessReport> for Run {
    fn from(report: LivenessReport) -> Self {
        let findings = report.properties.into_iter().map(|one| Finding {
            property: title(&one, &report.protocol),
            verdict: one.verdict,
            length: one.length,
            evidence: one.trace.map(Evidence::Trace),
        });
        let findings = findings.collect();
        let mut assumed = report.assumptions;
        if report.cut {
            assumed.push("behaviours that leave the bounds are cut off".to_owned());
        }
        Run {
            protocol: String::new(),
            engine: Engine::Liveness,
            part: report.protocol,
            within: report.bounds,
            assumed,
            counts: vec![
                Count::new("states", report.states as u64),
                Count::new("edges", report.edges as u64),
                Count::new("depth", report.depth as u64),
            ],
            seconds: report.seconds,
            peak_rss_bytes: report.peak_rss_bytes,
            initial_rss_bytes: report.initial_rss_bytes,
            stopped: report.stopped,
            findings,
        }
    }
}
