//! The words of a script.

use crate::cluster::{Link, Op, Result};
use quorate_machine::NodeId;
use quorate_raft::{Entry, Index, Message, Payload, Position, SessionId, Term, Timer};
use std::collections::BTreeMap;

/// `7`, or `max`.
pub(crate) fn number(word: &str) -> Result<u64> {
    if word == "max" {
        return Ok(u64::MAX);
    }
    word.parse().map_err(|_| format!("{word} is no number"))
}

/// `n1`.
pub(crate) fn node(word: &str) -> Result<NodeId> {
    let id = word.strip_prefix('n').and_then(|id| id.parse().ok());
    id.map(NodeId).ok_or_else(|| format!("{word} is no node"))
}

/// `n1->n2`.
pub(crate) fn link(word: &str) -> Result<Link> {
    let ends = word.split_once("->");
    let (from, to) = ends.ok_or_else(|| format!("{word} is no link"))?;
    Ok((node(from)?, node(to)?))
}

/// `election`, `heartbeat`, `quorum` or `replicate`.
pub(crate) fn timer(word: &str) -> Result<Timer> {
    match word {
        "election" => Ok(Timer::Election),
        "heartbeat" => Ok(Timer::Heartbeat),
        "quorum" => Ok(Timer::Quorum),
        "replicate" => Ok(Timer::Replicate),
        _ => Err(format!("{word} is no timer")),
    }
}

/// `s5#1`.
pub(crate) fn request(word: &str) -> Result<(SessionId, u64)> {
    let parts = word.strip_prefix('s').and_then(|rest| rest.split_once('#'));
    let (session, sequence) = parts.ok_or_else(|| format!("{word} is no request"))?;
    Ok((SessionId(number(session)?), number(sequence)?))
}

/// `put=7` or `add=7`.
pub(crate) fn op(word: &str) -> Result<Op> {
    match word.split_once('=') {
        Some(("put", value)) => Ok(Op::Put(number(value)?)),
        Some(("add", value)) => Ok(Op::Add(number(value)?)),
        _ => Err(format!("{word} is no command")),
    }
}

/// `3@2`: index 3 of term 2.
pub(crate) fn position(word: &str) -> Result<Position> {
    let parts = word.split_once('@');
    let (index, term) = parts.ok_or_else(|| format!("{word} is no position"))?;
    Ok(Position {
        term: Term(number(term)?),
        index: Index(number(index)?),
    })
}

/// `1,1,2`: entries of these terms, without effect.
pub(crate) fn entries(word: &str) -> Result<Vec<Entry<Op>>> {
    let terms = word.split(',').filter(|term| !term.is_empty());
    terms
        .map(|term| {
            Ok(Entry {
                term: Term(number(term)?),
                payload: Payload::Noop,
            })
        })
        .collect()
}

/// `key=value` words.
pub(crate) fn fields<'a>(words: &[&'a str]) -> Result<BTreeMap<&'a str, &'a str>> {
    let pairs = words.iter().map(|word| {
        let pair = word.split_once('=');
        pair.ok_or_else(|| format!("{word} is not of the form key=value"))
    });
    pairs.collect()
}

/// A message as anybody could make it up: `append term=5 prev=1@1 entries=3,2 commit=0 round=0`.
pub(crate) fn message(words: &[&str]) -> Result<Message<Op>> {
    let Some((kind, rest)) = words.split_first() else {
        return Err("which message?".into());
    };
    let fields = fields(rest)?;
    let text = |key: &str| fields.get(key).copied().unwrap_or_default();
    let value = |key: &str| fields.get(key).map_or(Ok(0), |word| number(word));
    let at = |key: &str| {
        let given = fields.get(key);
        given.map_or(Ok(Position::default()), |word| position(word))
    };
    let term = Term(value("term")?);
    let round = value("round")?;
    let granted = text("granted") == "yes";
    let last = at("last")?;
    Ok(match *kind {
        "request-pre-vote" => Message::RequestPreVote { term, last },
        "pre-voted" => Message::PreVoted { term, granted },
        "request-vote" => Message::RequestVote { term, last },
        "voted" => Message::Voted { term, granted },
        "append" => Message::Append {
            term,
            prev: at("prev")?,
            entries: entries(text("entries"))?,
            commit: Index(value("commit")?),
            round,
        },
        "appended" => Message::Appended {
            term,
            matched: Index(value("matched")?),
            round,
        },
        "conflicted" => Message::Conflicted {
            term,
            refused: Index(value("refused")?),
            hint: at("hint")?,
            round,
        },
        other => return Err(format!("{other} is no message")),
    })
}
