//! What a leader keeps to itself: how its term began, the commands that have gathered, and the reads that wait.
//!
//! A leader has no accessors for these. The first follows from its log, the second from what it does when it is
//! asked to replicate; the third is read from its `Debug` text, strictly, so that a change there is an error
//! here and never a wrong abstraction.

use super::AbstractionError;
use quorate_machine::{Effects, Event, Machine};
use quorate_raft::{Config, Index, Leader, Payload, Raft, Record, StateMachine, Timer};

/// A read that waits for its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) id: u64,
    pub(super) round: u64,
    pub(super) index: u64,
}

/// The first entry of the leader's term, which it appends as it begins to lead.
pub(super) fn first<S: StateMachine>(raft: &Raft<S>) -> Result<Index, AbstractionError> {
    let term = raft.term();
    let own = raft.log().entries().zip(1..);
    let mut own = own.filter(|(entry, _)| entry.term == term);
    own.next()
        .map(|(_, index)| Index(index))
        .ok_or(AbstractionError::NoOwnEntry(term))
}

/// The commands that have gathered: what a copy of the leader would append if it replicated now.
pub(super) fn proposals<S: StateMachine>(
    config: &Config<S>,
    raft: &Raft<S>,
) -> Vec<Payload<S::Command>> {
    let mut fx = Effects::new();
    raft.clone()
        .step(config, Event::Timeout(Timer::Replicate), &mut fx);
    let appended = fx.records().iter().filter_map(|record| match record {
        Record::Append { entries, .. } => Some(entries),
        Record::Vote { .. } => None,
    });
    appended
        .flatten()
        .map(|entry| entry.payload.clone())
        .collect()
}

/// The reads that wait, oldest first.
pub(super) fn reads<S: StateMachine>(leader: &Leader<S>) -> Result<Vec<Read>, AbstractionError> {
    let text = format!("{leader:?}");
    read_all(&text).ok_or(AbstractionError::Reads(text))
}

fn read_all(leader: &str) -> Option<Vec<Read>> {
    let reads = field(leader, "reads")?;
    let reads = reads.strip_prefix('[')?.strip_suffix(']')?;
    parts(reads).into_iter().map(read_one).collect()
}

fn read_one(read: &str) -> Option<Read> {
    Some(Read {
        id: field(read, "id")?.parse().ok()?,
        round: field(read, "round")?.parse().ok()?,
        index: field(read, "index")?.strip_prefix('i')?.parse().ok()?,
    })
}

/// The text of a struct's field.
fn field<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let (_, body) = value.split_once(" { ")?;
    let fields = parts(body.strip_suffix(" }")?);
    let mut named = fields.into_iter().filter_map(|part| part.split_once(": "));
    named.find_map(|(this, text)| (this == name).then_some(text))
}

/// What commas separate, other than those within brackets or quotes.
fn parts(list: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut depth, mut quoted, mut escaped) =
        (Vec::new(), 0, 0_i32, false, false);
    for (at, character) in list.char_indices() {
        if quoted {
            quoted = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            '"' => quoted = true,
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(list[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    let last = list[begin..].trim();
    parts.extend((!last.is_empty()).then_some(last));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_reads_are_told_from_what_surrounds_them() {
        let text = r#"Leader { progress: [Progress { round: 7 }], reads: [PendingRead { id: 3, query: "a, \"} round: 9", round: 2, index: i5 }, PendingRead { id: 4, query: (1, 2), round: 3, index: i6 }], round: 1, first: i2 }"#;
        let read = |id, round, index| Read { id, round, index };
        assert_eq!(read_all(text), Some(vec![read(3, 2, 5), read(4, 3, 6)]));
        assert_eq!(read_all("Leader { reads: [], round: 1 }"), Some(Vec::new()));
    }

    #[test]
    fn another_form_is_an_error() {
        assert_eq!(read_all("Leader { round: 1 }"), None);
        assert_eq!(read_all("Leader { reads: [PendingRead { id: 3 }] }"), None);
        let other = "Leader { reads: [Read { id: 3, round: 2, index: 5 }] }";
        assert_eq!(read_all(other), None);
    }
}
