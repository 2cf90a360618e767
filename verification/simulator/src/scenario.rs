//! The short way to a [`Subject`]: nodes, commands of clients, what must hold.

use crate::subject::{Happened, Subject, View, Violation, Wake};
use crate::{Random, Time};
use quorate_machine::{Machine, NodeId};

type Condition<M> = Box<dyn Fn(View<'_, M>, &[(usize, <M as Machine>::Output)]) -> bool>;
type Chooser<M> = Box<dyn Fn(&mut Random) -> <M as Machine>::Command>;

/// Nodes that run a machine, clients that ask random ones of them, and conditions over what is there and
/// what was told.
///
/// There is nothing that clients wait for; progress is what [`Scenario::eventually`] says it is.
pub struct Scenario<M: Machine> {
    ids: Vec<NodeId>,
    configs: Vec<M::Config>,
    clients: Vec<Chooser<M>>,
    think: Time,
    patience: Time,
    always: Vec<(&'static str, Condition<M>)>,
    eventually: Vec<(&'static str, Condition<M>)>,
    told: Vec<(usize, M::Output)>,
    asked: u64,
    calm: bool,
}

impl<M: Machine> Scenario<M> {
    /// Nodes 1 to `nodes`, each with what `config` makes of its id and all ids.
    pub fn new(nodes: u32, config: impl Fn(NodeId, &[NodeId]) -> M::Config) -> Self {
        let ids: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
        Scenario {
            configs: ids.iter().map(|me| config(*me, &ids)).collect(),
            ids,
            clients: Vec::new(),
            think: Time::millis(100),
            patience: Time::seconds(60),
            always: Vec::new(),
            eventually: Vec::new(),
            told: Vec::new(),
            asked: 0,
            calm: false,
        }
    }

    /// One more client, which asks for what `choose` draws.
    pub fn client(mut self, choose: impl Fn(&mut Random) -> M::Command + 'static) -> Self {
        self.clients.push(Box::new(choose));
        self
    }

    /// One more client, which asks for any of these.
    pub fn commands(self, commands: impl IntoIterator<Item = M::Command>) -> Self {
        let commands: Vec<M::Command> = commands.into_iter().collect();
        assert!(!commands.is_empty(), "a client needs something to ask for");
        self.client(move |random| {
            let at = random.below(commands.len() as u64) as usize;
            commands[at].clone()
        })
    }

    /// How long a client thinks between two commands, on average.
    pub fn think(mut self, time: Time) -> Self {
        self.think = time;
        self
    }

    /// Within which time after the last fault everything of [`Scenario::eventually`] must hold.
    pub fn patience(mut self, time: Time) -> Self {
        self.patience = time;
        self
    }

    /// `condition` must hold after every step, of the nodes and of what was told so far by which.
    pub fn always(
        mut self,
        name: &'static str,
        condition: impl Fn(View<'_, M>, &[(usize, M::Output)]) -> bool + 'static,
    ) -> Self {
        self.always.push((name, Box::new(condition)));
        self
    }

    /// `condition` must hold once faults and requests are over.
    pub fn eventually(
        mut self,
        name: &'static str,
        condition: impl Fn(View<'_, M>, &[(usize, M::Output)]) -> bool + 'static,
    ) -> Self {
        self.eventually.push((name, Box::new(condition)));
        self
    }
}

impl<M: Machine> Subject for Scenario<M> {
    type Machine = M;

    fn nodes(&self) -> &[NodeId] {
        &self.ids
    }

    fn config(&self, node: usize) -> &M::Config {
        &self.configs[node]
    }

    fn clients(&self) -> usize {
        self.clients.len()
    }

    fn wake(&mut self, client: usize, _: Time, random: &mut Random) -> Wake<M> {
        if self.calm {
            return Wake {
                ask: None,
                again: None,
            };
        }
        let node = random.below(self.ids.len() as u64) as usize;
        self.asked += 1;
        Wake {
            ask: Some((node, (self.clients[client])(random))),
            again: Some(Time(1 + random.below(2 * self.think.0))),
        }
    }

    fn told(&mut self, node: usize, _: Time, output: &M::Output) -> Result<(), Violation> {
        self.told.push((node, output.clone()));
        Ok(())
    }

    fn check(&mut self, view: View<'_, M>, node: usize, _: Happened) -> Result<(), Violation> {
        let broken = self
            .always
            .iter()
            .find(|(_, holds)| !holds(view, &self.told));
        match broken {
            Some((name, _)) => Err(Violation::new(
                *name,
                format!("after a step of {}", self.ids[node]),
            )),
            None => Ok(()),
        }
    }

    fn calm(&mut self, _: Time) {
        self.calm = true;
    }

    fn patience(&self) -> Time {
        self.patience
    }

    fn settled(&self, view: View<'_, M>) -> Result<(), String> {
        let missing = self
            .eventually
            .iter()
            .find(|(_, holds)| !holds(view, &self.told));
        missing.map_or(Ok(()), |(name, _)| Err((*name).to_owned()))
    }

    fn coverage(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("commands asked", self.asked),
            ("outputs told", self.told.len() as u64),
        ]
    }
}
