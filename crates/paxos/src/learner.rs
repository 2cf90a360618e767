//! Learners: what is decided is known, and never changes.

use crate::{Config, Instance, Output, Paxos, Record, Refusal, Waiting};
use quorate_machine::{Effects, Value};

impl<K: Value + Ord, V: Value> Paxos<K, V> {
    pub(crate) fn on_decided(&mut self, config: &Config, key: K, value: V, fx: &mut Effects<Self>) {
        if !self.state.is_released(&key) && self.has_room(config, &key) {
            self.learn(key, value, fx);
        }
    }

    /// Answers whoever waits, and remembers. A majority of disks has the decision already, so neither the
    /// answers nor the news wait for this one.
    pub(crate) fn learn(&mut self, key: K, value: V, fx: &mut Effects<Self>) {
        if self.decided(&key).is_some() {
            return; // once is enough
        }
        for Waiting { request, .. } in self.close(&key, fx) {
            let value = value.clone();
            fx.output(Output::Decided { request, value });
        }
        let learned = Output::Learned {
            key: key.clone(),
            value: value.clone(),
        };
        fx.output(learned);
        let record = Record::Decided {
            key: key.clone(),
            value: value.clone(),
        };
        fx.persist(record);
        self.state.instances.insert(key, Instance::Decided(value));
    }

    /// Drops what is below `below`, for good.
    pub(crate) fn on_release(&mut self, below: K, fx: &mut Effects<Self>) {
        if self
            .state
            .released
            .as_ref()
            .is_some_and(|released| *released >= below)
        {
            return;
        }
        self.state.release(&below);
        let record = Record::Released {
            below: below.clone(),
        };
        fx.persist(record);
        let attempts = self.attempts.range(..below);
        let abandoned: Vec<K> = attempts.map(|(key, _)| key.clone()).collect();
        for key in abandoned {
            self.give_up(&key, Refusal::Released, fx);
        }
    }
}
