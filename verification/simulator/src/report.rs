//! What a run, and many runs, came to.

use crate::fault::{Injected, Kind};
use crate::{Time, Violation};
use std::collections::BTreeMap;

/// What happened in a run, or in many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Faults that began, by kind.
    pub faults: BTreeMap<Kind, u64>,
    /// Nodes that lost their memory.
    pub crashes: u64,
    /// Steps whose records a crash took.
    pub lost_writes: u64,
    /// Messages sent.
    pub messages: u64,
    /// Messages lost by chance.
    pub lost: u64,
    /// Messages lost because there was no way.
    pub cut: u64,
    /// Messages that came twice.
    pub duplicated: u64,
    /// Messages that came again much later.
    pub replayed: u64,
    /// Messages and requests for a node that was down or full.
    pub undelivered: u64,
    /// How long it took, once faults were over, until everything was done; of many runs, the longest.
    pub settled: Time,
}

impl Counts {
    /// All faults together.
    pub fn total_faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Counts) {
        for (kind, count) in &other.faults {
            *self.faults.entry(*kind).or_default() += count;
        }
        self.crashes += other.crashes;
        self.lost_writes += other.lost_writes;
        self.messages += other.messages;
        self.lost += other.lost;
        self.cut += other.cut;
        self.duplicated += other.duplicated;
        self.replayed += other.replayed;
        self.undelivered += other.undelivered;
        self.settled = self.settled.max(other.settled);
    }
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReport {
    /// Its seed.
    pub seed: u64,
    /// How many nodes there were.
    pub nodes: usize,
    /// How long it lasted, in virtual time.
    pub lasted: Time,
    /// How many steps machines made.
    pub steps: u64,
    /// What happened.
    pub counts: Counts,
    /// What of interest happened, as the protocol counts it.
    pub coverage: Vec<(&'static str, u64)>,
    /// The faults that were to be injected.
    pub faults: Vec<Injected>,
    /// The log, as far as it was kept.
    pub log: Vec<String>,
    /// The digest of the whole log, if there was one.
    pub digest: Option<u64>,
    /// What did not hold.
    pub failure: Option<Failure>,
}

impl RunReport {
    /// How it ended, in a line.
    pub fn outcome(&self) -> String {
        let RunReport { seed, steps, .. } = self;
        match &self.failure {
            Some(Failure {
                violation,
                step,
                at,
            }) => format!(
                "seed {seed}, step {step}, at {at:?}: {} ({})",
                violation.property, violation.reason
            ),
            None => format!("seed {seed}: everything held, {steps} steps"),
        }
    }
}

/// What did not hold, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which property, and how it was violated.
    pub violation: Violation,
    /// After how many steps.
    pub step: u64,
    /// When.
    pub at: Time,
}
