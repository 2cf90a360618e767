//! What happens, in few words.

use super::{Member, Op, Register};
use quorate_machine::{NodeId, Promise};
use quorate_raft::{Entry, Outcome, Output, Record, Refusal, Request, RoleName, Term};

pub(crate) fn record(record: &Record<Op>) -> String {
    match record {
        Record::Vote { term, vote: None } => format!("{term} without a vote"),
        Record::Vote {
            term,
            vote: Some(vote),
        } => format!("{term} and a vote for {vote}"),
        Record::Append { after, entries } => format!("{entries:?} after {after}"),
    }
}

pub(crate) fn promise(own: NodeId, promise: &Promise<Member>) -> String {
    match promise {
        Promise::Send { to, message } if *to == own => format!("-> itself {message:?}"),
        Promise::Send { to, message } => format!("-> {to} {message:?}"),
        Promise::Output(said) => format!("says {}", output(said)),
    }
}

pub(crate) fn output(output: &Output<Register>) -> String {
    match output {
        Output::Opened { nonce, session } => format!("opened {nonce} as {session}"),
        Output::Applied {
            index,
            session,
            sequence,
            command,
            outcome,
        } => {
            let outcome = match outcome {
                Outcome::Applied(value) => format!("applied, {value}"),
                Outcome::Repeated(value) => format!("repeated, {value}"),
                Outcome::Superseded => "superseded".into(),
                Outcome::Expired => "expired".into(),
            };
            format!("{index} {session}#{sequence} {command:?}: {outcome}")
        }
        Output::Answered { id, response } => format!("read {id}: {response}"),
        Output::Refused { request, refusal } => {
            let request = match request {
                Request::Open { nonce } => format!("open {nonce}"),
                Request::Write { session, sequence } => format!("{session}#{sequence}"),
                Request::Read { id } => format!("read {id}"),
            };
            match refusal {
                Refusal::NotLeader { leader: None } => {
                    format!("{request}: refused, no leader known")
                }
                Refusal::NotLeader {
                    leader: Some(leader),
                } => format!("{request}: refused, ask {leader}"),
                Refusal::Busy => format!("{request}: refused, busy"),
            }
        }
        Output::Became { term, role, leader } => became(*term, *role, *leader),
    }
}

fn became(term: Term, role: RoleName, leader: Option<NodeId>) -> String {
    match (role, leader) {
        (RoleName::Leader, _) => format!("leads {term}"),
        (RoleName::Candidate, _) => format!("stands for {term}"),
        (RoleName::PreCandidate, _) => format!("asks whether to stand, in {term}"),
        (RoleName::Follower, Some(leader)) => format!("follows {leader} in {term}"),
        (RoleName::Follower, None) => format!("knows no leader in {term}"),
    }
}

/// The terms of a log, as the paper draws them.
pub(crate) fn terms<'a>(entries: impl Iterator<Item = &'a Entry<Op>>) -> String {
    let terms: Vec<String> = entries.map(|e| e.term.0.to_string()).collect();
    format!("[{}]", terms.join(" "))
}
