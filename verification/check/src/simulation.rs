//! Seeded runs in virtual time, by `quorate-simulator`.

use crate::{CheckError, Count, Engine, Evidence, Finding, Progress, Run, Settings, Task};
use quorate_model::{Bound, Stop, Verdict};
use quorate_simulator::{
    Campaign, Limits, Plan, Random, Registered, RunReport, Subject, campaign, minimise, run,
};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long faults are injected in each run, in virtual seconds.
const SECONDS: u64 = 20;
/// Runs that may be spent on making a failure small.
const MINIMISE_RUNS: usize = 200;
/// How many lines of the log of a failure are told.
const LOG_LINES: usize = 40;
/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

type Runner = Box<dyn Fn(&Plan) -> RunReport + Send + Sync>;

/// A protocol in virtual time.
pub(crate) struct SimulationTask {
    part: String,
    /// Whether it is broken on purpose, and must be found out.
    is_canary: bool,
    runner: Runner,
}

impl SimulationTask {
    pub(crate) fn new<S: Subject>(
        part: impl Into<String>,
        make: impl Fn(&mut Random) -> S + Send + Sync + 'static,
    ) -> Self {
        SimulationTask {
            part: part.into(),
            is_canary: false,
            runner: Box::new(move |plan| run(plan, &make)),
        }
    }

    pub(crate) fn registered(protocol: &'static Registered) -> Self {
        SimulationTask {
            part: protocol.about.to_owned(),
            is_canary: protocol.canary,
            runner: Box::new(protocol.run),
        }
    }

    fn finding(&self, campaign: &Campaign) -> Finding {
        let failed = campaign.failures.first();
        let (property, verdict) = match (failed, self.is_canary) {
            (Some(_), true) => ("what is broken is found", Verdict::Refuted),
            (None, true) => ("what is broken is found", Verdict::Survived),
            (Some(report), false) => {
                let failure = report.failure.as_ref();
                let name = failure.map(|failure| failure.violation.property.as_str());
                (name.unwrap_or_default(), Verdict::Violated)
            }
            (None, false) => (
                "every invariant after every step; progress once healed",
                Verdict::Holds,
            ),
        };
        Finding {
            property: property.to_owned(),
            verdict,
            length: None,
            evidence: failed
                .filter(|_| verdict == Verdict::Violated)
                .map(|report| Evidence::Text(self.told(report))),
        }
    }

    /// A failure, made small.
    fn told(&self, report: &RunReport) -> String {
        let plan = Plan::new(report.seed, SECONDS);
        let small = minimise(&*self.runner, &plan, MINIMISE_RUNS, LOG_LINES);
        let report = small.as_ref().map_or(report, |small| &small.report);
        let mut text = format!("{}\n", report.outcome());
        for fault in &report.faults {
            text += &format!("  fault {fault}\n");
        }
        for line in &report.log {
            text += &format!("  {line}\n");
        }
        text
    }
}

impl Task for SimulationTask {
    fn engine(&self) -> Engine {
        Engine::Simulation
    }

    fn part(&self) -> &str {
        &self.part
    }

    fn within(&self) -> Vec<Bound> {
        vec![Bound {
            name: "virtual seconds of faults a run".to_owned(),
            limit: SECONDS,
        }]
    }

    fn run(self: Box<Self>, settings: &Settings) -> Result<Run, CheckError> {
        if settings.threads == 0 {
            return Err(CheckError::NoThreads);
        }
        let limits = Limits {
            seed: settings.seed,
            runs: settings.runs,
            seconds: SECONDS,
            wall: settings.timeout,
            threads: settings.threads,
            go_on: false,
            stop: &settings.interrupt,
        };
        let begun = Instant::now();
        let told = std::sync::atomic::AtomicU64::new(0);
        let tell = |runs: u64| {
            let Some(listener) = &settings.progress else {
                return;
            };
            let elapsed = begun.elapsed();
            let period = (elapsed.as_millis() / PROGRESS_INTERVAL.as_millis()) as u64;
            if told.fetch_max(period, Ordering::Relaxed) < period {
                listener(&Progress {
                    text: format!("{runs} of {} runs", settings.runs),
                    elapsed,
                });
            }
        };
        let campaign = campaign(&*self.runner, limits, &tell);
        let mut finding = self.finding(&campaign);
        let decided = finding.verdict != Verdict::Holds || campaign.runs > 0;
        let interrupted = settings.is_interrupted();
        if !decided || (interrupted && finding.verdict == Verdict::Survived) {
            finding.verdict = Verdict::Undecided;
        }
        let mut within = self.within();
        within.push(Bound {
            name: "first seed".to_owned(),
            limit: settings.seed,
        });
        let counts = &campaign.counts;
        Ok(Run {
            protocol: String::new(),
            engine: Engine::Simulation,
            part: self.part.clone(),
            within,
            assumed: Vec::new(),
            counts: vec![
                Count::new("runs", campaign.runs),
                Count::new("virtual seconds", campaign.lasted.as_seconds() as u64),
                Count::new("steps", campaign.steps),
                Count::new("faults", counts.total_faults()),
                Count::new("crashes", counts.crashes),
            ],
            seconds: campaign.wall.as_secs_f64(),
            peak_rss_bytes: None,
            initial_rss_bytes: None,
            stopped: match finding.verdict {
                Verdict::Violated => Some(Stop::Violation),
                _ if interrupted => Some(Stop::Interrupted),
                _ => None,
            },
            findings: vec![finding],
        })
    }
}
