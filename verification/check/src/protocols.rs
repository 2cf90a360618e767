//! The protocols that are checked here, with every engine that knows them.

use crate::liveness::LivenessTask;
use crate::safety::SafetyTask;
use crate::simulation::SimulationTask;
use crate::{Checks, Task};
use quorate_model::{Configuration, Scope};

/// A protocol that is checked here.
#[derive(Clone, Copy)]
pub struct Registered {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it promises, in a line.
    pub promise: &'static str,
    model: &'static quorate_model::Registered,
}

/// Every protocol of the model.
pub fn protocols() -> Vec<Registered> {
    let models = quorate_model::PROTOCOLS.iter();
    let registered = models.map(|model| Registered {
        name: model.name,
        promise: model.promise,
        model,
    });
    registered.collect()
}

impl Registered {
    /// The configurations of its model.
    pub fn configurations(&self, scope: Scope) -> Vec<Box<dyn Configuration>> {
        (self.model.configurations)(scope)
    }

    /// Everything that is checked of it in a scope, as far as `wanted` says.
    pub fn checks(&self, scope: Scope, wanted: impl Fn(&dyn Task) -> bool) -> Checks {
        let mut checks = Checks::new(self.name);
        for configuration in self.configurations(scope) {
            checks = checks.if_wanted(SafetyTask(configuration), &wanted);
        }
        for configuration in (self.model.liveness)(scope) {
            checks = checks.if_wanted(LivenessTask(configuration), &wanted);
        }
        for simulated in quorate_simulator::PROTOCOLS {
            // A canary of Raft is called "raft-" and what is wrong with it.
            let base = simulated.name.split('-').next();
            if base == Some(self.name) {
                checks = checks.if_wanted(SimulationTask::registered(simulated), &wanted);
            }
        }
        checks
    }
}
