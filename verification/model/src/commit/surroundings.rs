//! Callers and resources: what they said, and what they were told.

use quorate_commit::{Command, Decision, Outcome, Output, TxnId, Vote};
use quorate_machine::NodeId;
use std::collections::BTreeMap;

/// Everything around the nodes. Crashes do not touch it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Surroundings {
    callers: Vec<Caller>,
    resources: BTreeMap<(NodeId, TxnId), Resource>,
    questions: u8,
    refusals: u8,
}

/// Whoever began a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Caller {
    /// It has begun its transaction.
    pub asked: bool,
    /// The transaction's identity, if it was told.
    pub txn: Option<TxnId>,
    /// What it was told of it.
    pub answers: Answers,
}

/// What a caller was told, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Answers {
    /// Committed.
    pub committed: bool,
    /// Aborted.
    pub aborted: bool,
    /// Unknown.
    pub unknown: bool,
}

/// A node's resource, as far as one transaction is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resource {
    /// It was asked to prepare.
    pub asked: bool,
    /// What it voted since it was last asked anew: after it had refused, or undone what it had prepared.
    pub voted: Option<Vote>,
    /// What it was told first.
    pub told: Option<Decision>,
    /// It has said that it has done what it was told.
    pub done: bool,
    /// It was told to undo what it had been told to do, or the other way round.
    pub contradicted: bool,
    /// It was asked to prepare what it had committed.
    pub asked_again: bool,
}

impl Surroundings {
    /// So many callers that have not begun.
    pub fn new(callers: usize) -> Self {
        Surroundings {
            callers: vec![Caller::default(); callers],
            resources: BTreeMap::new(),
            questions: 0,
            refusals: 0,
        }
    }

    /// The callers, one for each transaction.
    pub fn callers(&self) -> &[Caller] {
        &self.callers
    }

    /// The resources that were ever told anything, by node and transaction.
    pub fn resources(&self) -> impl Iterator<Item = (NodeId, TxnId, &Resource)> {
        let resources = self.resources.iter();
        resources.map(|((node, txn), resource)| (*node, *txn, resource))
    }

    /// The resource of a node.
    pub fn resource(&self, node: NodeId, txn: TxnId) -> Resource {
        self.resources
            .get(&(node, txn))
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn questions(&self) -> u8 {
        self.questions
    }

    /// How many votes were no.
    pub(super) fn refusals(&self) -> u8 {
        self.refusals
    }

    /// What was decided, as far as anybody outside was told: of each transaction, by a resource or a caller.
    pub fn told(&self) -> impl Iterator<Item = (TxnId, Decision)> {
        let resources = self.resources();
        let resources = resources.filter_map(|(_, txn, resource)| Some((txn, resource.told?)));
        let callers = self.callers.iter().filter_map(|caller| {
            let txn = caller.txn?;
            let said = [
                (caller.answers.committed, Decision::Commit),
                (caller.answers.aborted, Decision::Abort),
            ];
            Some(
                said.into_iter()
                    .filter_map(move |(said, decision)| said.then_some((txn, decision))),
            )
        });
        resources.chain(callers.flatten())
    }

    /// A caller or a resource says something to its node.
    pub fn says(&mut self, node: NodeId, command: &Command<()>) {
        match command {
            Command::Begin { request, .. } => {
                if let Some(caller) = self.callers.get_mut(request.0 as usize) {
                    caller.asked = true;
                }
            }
            Command::Ask { .. } => self.questions += 1,
            Command::Prepared { txn, vote } => {
                let resource = self.resources.entry((node, *txn)).or_default();
                resource.voted.get_or_insert(*vote);
                self.refusals += u8::from(*vote == Vote::No);
            }
            Command::Done { txn } => {
                self.resources.entry((node, *txn)).or_default().done = true;
            }
        }
    }

    /// A node tells a caller or its resource something.
    pub fn hears(&mut self, node: NodeId, output: &Output<()>) {
        match output {
            Output::Begun { request, txn } => {
                if let Some(caller) = self.callers.get_mut(request.0 as usize) {
                    caller.txn = Some(*txn);
                }
            }
            Output::Finished {
                request, outcome, ..
            } => {
                if let Some(caller) = self.callers.get_mut(request.0 as usize) {
                    caller.answers.note(*outcome);
                }
            }
            Output::Rejected { .. } => {}
            Output::Prepare { txn, work: () } => {
                let resource = self.resources.entry((node, *txn)).or_default();
                resource.asked_again |= resource.told == Some(Decision::Commit);
                resource.asked = true;
                if resource.told == Some(Decision::Abort) || resource.voted == Some(Vote::No) {
                    resource.voted = None;
                }
            }
            Output::Commit { txn } => self.instructed(node, *txn, Decision::Commit),
            Output::Abort { txn } => self.instructed(node, *txn, Decision::Abort),
        }
    }

    fn instructed(&mut self, node: NodeId, txn: TxnId, decision: Decision) {
        let resource = self.resources.entry((node, txn)).or_default();
        let first = *resource.told.get_or_insert(decision);
        resource.contradicted |= first != decision;
    }
}

impl Answers {
    fn note(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Committed => self.committed = true,
            Outcome::Aborted(_) => self.aborted = true,
            Outcome::Unknown => self.unknown = true,
        }
    }
}

impl Resource {
    /// What it may say now.
    pub(super) fn commands(
        self,
        txn: TxnId,
        crashed: bool,
        refuses: bool,
        awaited: bool,
    ) -> impl Iterator<Item = Command<()>> {
        let vote = |vote| Command::Prepared { txn, vote };
        let open = self.asked && self.voted.is_none() && self.told != Some(Decision::Commit);
        // What it is in doubt about it says again after a restart, though it was told: it may not have come to it.
        let doubts = crashed && self.voted == Some(Vote::Yes) && !self.done;
        // If it is told again, it says again that it is done.
        let done = self.told.is_some() && (awaited || !self.done);
        [
            (open || doubts).then(|| vote(Vote::Yes)),
            (open && refuses).then(|| vote(Vote::No)),
            done.then_some(Command::Done { txn }),
        ]
        .into_iter()
        .flatten()
    }
}
