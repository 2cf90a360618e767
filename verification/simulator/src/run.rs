//! One run of a protocol.

use crate::fault::{self, Injected};
use crate::journal::{Journal, Keep};
use crate::report::{Failure, RunReport};
use crate::subject::{Subject, Violation};
use crate::world::{Streams, World};
use crate::{Random, Time};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// How long faults are injected, in virtual seconds.
    pub seconds: u64,
    /// Only these faults, by their numbers; all of them by default.
    pub only: Option<Vec<usize>>,
    /// Faults end here, if that is before [`Plan::seconds`].
    pub until: Option<Time>,
    /// What is kept of the log.
    pub keep: Keep,
}

impl Plan {
    /// The whole run of a seed, without a log.
    pub fn new(seed: u64, seconds: u64) -> Self {
        Plan {
            seed,
            seconds,
            only: None,
            until: None,
            keep: Keep::Nothing,
        }
    }

    /// When faults end.
    pub fn end(&self) -> Time {
        let end = Time::seconds(self.seconds);
        self.until.map_or(end, |until| until.min(end))
    }

    /// The faults, as far as the plan has them.
    fn faults(&self, nodes: usize) -> Vec<Injected> {
        let mut random = Random::new(self.seed, 2);
        let mut faults = fault::schedule(&mut random, nodes, Time::seconds(self.seconds));
        let end = self.end();
        faults.retain_mut(|injected| {
            injected.until = injected.until.min(end);
            let wanted = self.only.as_ref();
            let wanted = wanted.is_none_or(|only| only.contains(&injected.number));
            wanted && injected.from < end
        });
        faults
    }
}

/// Runs a plan, as [`run`] does for a protocol of one's own.
pub type Runner = dyn Fn(&Plan) -> RunReport + Sync;

/// Runs the protocol that `make` draws from the seed.
pub fn run<S: Subject>(plan: &Plan, make: impl FnOnce(&mut Random) -> S) -> RunReport {
    let stream = |number| Random::new(plan.seed, number);
    let subject = make(&mut stream(1));
    let nodes = subject.nodes().len();
    let faults = plan.faults(nodes);
    let streams = Streams {
        network: stream(3),
        disks: stream(4),
        timers: stream(5),
        turns: stream(6),
        clients: stream(7),
        core: stream(8),
    };
    let mut world = World::new(subject, faults.clone(), streams, Journal::new(plan.keep));
    let end = plan.end();
    // A machine that panics has a failure like any other.
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run(end)));
    let violation = match outcome {
        Ok(outcome) => outcome.err(),
        Err(payload) => Some(Violation::new("no step panics", panic_text(&*payload))),
    };
    let (log, digest) = world.journal.finish();
    RunReport {
        seed: plan.seed,
        nodes,
        lasted: world.now,
        steps: world.steps,
        counts: world.counts,
        coverage: world.subject.coverage(),
        faults,
        log,
        digest,
        failure: violation.map(|violation| Failure {
            violation,
            step: world.steps,
            at: world.now,
        }),
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a message".to_owned())
}
