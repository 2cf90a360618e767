//! What is checked of a protocol, and how.

use crate::liveness::LivenessTask;
use crate::safety::SafetyTask;
use crate::simulation::SimulationTask;
use crate::{CheckError, Engine, Run};
use quorate_model::{Bound, Configuration, Search};
use quorate_simulator::{Random, Subject};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// One configuration of a protocol, to be seen by one engine.
pub trait Task {
    /// The engine.
    fn engine(&self) -> Engine;
    /// The configuration's name.
    fn part(&self) -> &str;
    /// Within which bounds it looks.
    fn within(&self) -> Vec<Bound>;
    /// Looks. The run's protocol is filled in by the caller.
    ///
    /// # Errors
    ///
    /// If there is no result, not even an undecided one.
    fn run(self: Box<Self>, settings: &Settings) -> Result<Run, CheckError>;
}

/// How to check.
#[derive(Clone)]
pub struct Settings {
    /// Worker threads.
    pub threads: usize,
    /// The order in which a search for safety visits states.
    pub search: Search,
    /// Give up a task after so long; its properties are then undecided. For simulations: begin no run
    /// after so long.
    pub timeout: Option<Duration>,
    /// Give up a search when the process has so much resident memory.
    pub rss_max_bytes: Option<u64>,
    /// The first seed of simulations.
    pub seed: u64,
    /// Runs of each simulation.
    pub runs: u64,
    /// Set to stop, by a signal handler for example.
    pub interrupt: Arc<AtomicBool>,
    /// Told that a task begins: protocol, engine and configuration.
    pub begins: Option<Beginning>,
    /// Told how a task goes, some five times a second.
    pub progress: Option<Listener>,
}

/// A listener to the beginnings of tasks.
pub type Beginning = Arc<dyn Fn(&str) + Send + Sync>;

/// A listener to [`Progress`].
pub type Listener = Arc<dyn Fn(&Progress) + Send + Sync>;

/// How a task goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What was done so far, in a line.
    pub text: String,
    /// Since when.
    pub elapsed: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            threads: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            search: Search::default(),
            timeout: None,
            rss_max_bytes: None,
            seed: 0,
            runs: 500,
            interrupt: Arc::default(),
            begins: None,
            progress: None,
        }
    }
}

impl Settings {
    /// Whether to stop.
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }
}

/// Everything that is checked of one protocol.
pub struct Checks {
    protocol: String,
    tasks: Vec<Box<dyn Task>>,
}

impl Checks {
    /// Nothing yet.
    pub fn new(protocol: impl Into<String>) -> Self {
        Checks {
            protocol: protocol.into(),
            tasks: Vec::new(),
        }
    }

    /// Every state of a configuration.
    pub fn safety(self, configuration: impl Configuration + 'static) -> Self {
        self.task(SafetyTask(Box::new(configuration)))
    }

    /// Every fair behaviour of a configuration.
    pub fn liveness(self, configuration: impl Configuration + 'static) -> Self {
        self.task(LivenessTask(Box::new(configuration)))
    }

    /// Seeded runs of what `make` draws.
    pub fn simulation<S: Subject>(
        self,
        part: impl Into<String>,
        make: impl Fn(&mut Random) -> S + Send + Sync + 'static,
    ) -> Self {
        self.task(SimulationTask::new(part, make))
    }

    /// A task of any kind.
    pub fn task(mut self, task: impl Task + 'static) -> Self {
        self.tasks.push(Box::new(task));
        self
    }

    /// A task, unless it is not wanted.
    pub(crate) fn if_wanted(
        self,
        task: impl Task + 'static,
        wanted: impl Fn(&dyn Task) -> bool,
    ) -> Self {
        if wanted(&task) { self.task(task) } else { self }
    }

    fn title(protocol: &str, task: &dyn Task) -> String {
        format!("{}, {}: {}", protocol, task.engine().text(), task.part())
    }

    /// The tasks.
    pub fn tasks(&self) -> &[Box<dyn Task>] {
        &self.tasks
    }

    /// Runs one task after another, each with all threads, until one is interrupted.
    ///
    /// # Errors
    ///
    /// See [`CheckError`]. A violated property is no error.
    pub fn run(self, settings: &Settings) -> Result<Vec<Run>, CheckError> {
        let mut runs = Vec::new();
        for task in self.tasks {
            if let Some(begins) = &settings.begins {
                begins(&Self::title(&self.protocol, &*task));
            }
            let mut run = task.run(settings)?;
            run.protocol.clone_from(&self.protocol);
            runs.push(run);
            if settings.is_interrupted() {
                break;
            }
        }
        Ok(runs)
    }
}
