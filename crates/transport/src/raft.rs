//! Raft's types and their bytes.
//!
//! What a peer or a disk says is parsed here, once; a field that is missing makes the whole message
//! malformed. Commands are nested as opaque bytes in the application's own encoding, which are slices
//! of the message that was received.

use crate::protobuf::{encode, missing, read, write};
use crate::{Malformed, Wire};
use bytes::{Bytes, BytesMut};
use quorate_machine::NodeId;
use quorate_raft::{
    Entry, Index, Message, Payload, Position, Record, SessionId, StateMachine, Term, Timer,
};

/// The generated types.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod proto {
    tonic::include_proto!("quorate.raft.v1");
}

use proto::message::Kind;
use proto::record::Kind as RecordKind;

impl From<Position> for proto::Position {
    fn from(position: Position) -> Self {
        proto::Position {
            term: position.term.0,
            index: position.index.0,
        }
    }
}

fn position(position: Option<proto::Position>) -> Result<Position, Malformed> {
    let proto::Position { term, index } = position.ok_or_else(|| missing("a position"))?;
    Ok(Position {
        term: Term(term),
        index: Index(index),
    })
}

fn encode_entry<C: Wire>(entry: &Entry<C>) -> proto::Entry {
    use proto::entry::Payload as Wired;
    let payload = match &entry.payload {
        Payload::Noop => Wired::Noop(proto::Noop {}),
        Payload::Open { nonce, limit } => Wired::Open(proto::Open {
            nonce: *nonce,
            limit: *limit,
        }),
        Payload::Write {
            session,
            sequence,
            command,
        } => Wired::Write(proto::Write {
            session: session.0,
            sequence: *sequence,
            command: encode(command),
        }),
    };
    proto::Entry {
        term: entry.term.0,
        payload: Some(payload),
    }
}

fn decode_entry<C: Wire>(entry: proto::Entry) -> Result<Entry<C>, Malformed> {
    use proto::entry::Payload as Wired;
    let payload = match entry.payload.ok_or_else(|| missing("an entry's payload"))? {
        Wired::Noop(proto::Noop {}) => Payload::Noop,
        Wired::Open(proto::Open { nonce, limit }) => Payload::Open { nonce, limit },
        Wired::Write(write) => Payload::Write {
            session: SessionId(write.session),
            sequence: write.sequence,
            command: C::decode(write.command)?,
        },
    };
    Ok(Entry {
        term: Term(entry.term),
        payload,
    })
}

fn encode_entries<C: Wire>(entries: &[Entry<C>]) -> Vec<proto::Entry> {
    entries.iter().map(encode_entry).collect()
}

fn decode_entries<C: Wire>(entries: Vec<proto::Entry>) -> Result<Vec<Entry<C>>, Malformed> {
    entries.into_iter().map(decode_entry).collect()
}

impl<C: Wire> Wire for Message<C> {
    fn encode(&self, out: &mut BytesMut) {
        let vote = |term: &Term, last: &Position| proto::RequestVote {
            term: term.0,
            last: Some((*last).into()),
        };
        let voted = |term: &Term, granted: &bool| proto::Voted {
            term: term.0,
            granted: *granted,
        };
        let kind = match self {
            Message::RequestPreVote { term, last } => Kind::RequestPreVote(vote(term, last)),
            Message::PreVoted { term, granted } => Kind::PreVoted(voted(term, granted)),
            Message::RequestVote { term, last } => Kind::RequestVote(vote(term, last)),
            Message::Voted { term, granted } => Kind::Voted(voted(term, granted)),
            Message::Append {
                term,
                prev,
                entries,
                commit,
                round,
            } => Kind::Append(proto::Append {
                term: term.0,
                prev: Some((*prev).into()),
                entries: encode_entries(entries),
                commit: commit.0,
                round: *round,
            }),
            Message::Appended {
                term,
                matched,
                round,
            } => Kind::Appended(proto::Appended {
                term: term.0,
                matched: matched.0,
                round: *round,
            }),
            Message::Conflicted {
                term,
                refused,
                hint,
                round,
            } => Kind::Conflicted(proto::Conflicted {
                term: term.0,
                refused: refused.0,
                hint: Some((*hint).into()),
                round: *round,
            }),
        };
        write(&proto::Message { kind: Some(kind) }, out);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let message: proto::Message = read(bytes)?;
        Ok(
            match message.kind.ok_or_else(|| missing("a message's kind"))? {
                Kind::RequestPreVote(proto::RequestVote { term, last }) => {
                    Message::RequestPreVote {
                        term: Term(term),
                        last: position(last)?,
                    }
                }
                Kind::PreVoted(proto::Voted { term, granted }) => Message::PreVoted {
                    term: Term(term),
                    granted,
                },
                Kind::RequestVote(proto::RequestVote { term, last }) => Message::RequestVote {
                    term: Term(term),
                    last: position(last)?,
                },
                Kind::Voted(proto::Voted { term, granted }) => Message::Voted {
                    term: Term(term),
                    granted,
                },
                Kind::Append(append) => Message::Append {
                    term: Term(append.term),
                    prev: position(append.prev)?,
                    entries: decode_entries(append.entries)?,
                    commit: Index(append.commit),
                    round: append.round,
                },
                Kind::Appended(appended) => Message::Appended {
                    term: Term(appended.term),
                    matched: Index(appended.matched),
                    round: appended.round,
                },
                Kind::Conflicted(conflicted) => Message::Conflicted {
                    term: Term(conflicted.term),
                    refused: Index(conflicted.refused),
                    hint: position(conflicted.hint)?,
                    round: conflicted.round,
                },
            },
        )
    }
}

impl<C: Wire> Wire for Record<C> {
    fn encode(&self, out: &mut BytesMut) {
        let kind = match self {
            Record::Vote { term, vote } => RecordKind::Vote(proto::Vote {
                term: term.0,
                vote: vote.map(|node| node.0),
            }),
            Record::Append { after, entries } => RecordKind::Append(proto::Splice {
                after: after.0,
                entries: encode_entries(entries),
            }),
        };
        write(&proto::Record { kind: Some(kind) }, out);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let record: proto::Record = read(bytes)?;
        Ok(
            match record.kind.ok_or_else(|| missing("a record's kind"))? {
                RecordKind::Vote(proto::Vote { term, vote }) => Record::Vote {
                    term: Term(term),
                    vote: vote.map(NodeId),
                },
                RecordKind::Append(proto::Splice { after, entries }) => Record::Append {
                    after: Index(after),
                    entries: decode_entries(entries)?,
                },
            },
        )
    }
}

/// One byte.
impl Wire for Timer {
    fn encode(&self, out: &mut BytesMut) {
        let byte = match self {
            Timer::Election => 0,
            Timer::Heartbeat => 1,
            Timer::Quorum => 2,
            Timer::Replicate => 3,
        };
        out.extend_from_slice(&[byte]);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        Ok(match &bytes[..] {
            [0] => Timer::Election,
            [1] => Timer::Heartbeat,
            [2] => Timer::Quorum,
            [3] => Timer::Replicate,
            _ => return Err(Malformed::new("no timer of Raft")),
        })
    }
}

/// For event logs only: commands travel inside entries.
impl<S> Wire for quorate_raft::Command<S>
where
    S: StateMachine<Command: Wire, Query: Wire>,
{
    fn encode(&self, out: &mut BytesMut) {
        use quorate_raft::Command;
        let (kind, head, tail) = match self {
            Command::Open { nonce } => (0, [*nonce, 0], Bytes::new()),
            Command::Write {
                session,
                sequence,
                command,
            } => (1, [session.0, *sequence], encode(command)),
            Command::Read { id, query } => (2, [*id, 0], encode(query)),
        };
        out.extend_from_slice(&[kind]);
        for number in head {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&tail);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        use quorate_raft::Command;
        let number = |at: usize| -> Result<u64, Malformed> {
            let bytes = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
            bytes
                .map(u64::from_le_bytes)
                .ok_or_else(|| Malformed::new("a command is cut short"))
        };
        let (first, second) = (number(1)?, number(9)?);
        let tail = bytes.slice(17..);
        Ok(match bytes[0] {
            0 => Command::Open { nonce: first },
            1 => Command::Write {
                session: SessionId(first),
                sequence: second,
                command: S::Command::decode(tail)?,
            },
            2 => Command::Read {
                id: first,
                query: S::Query::decode(tail)?,
            },
            _ => return Err(Malformed::new("no command of Raft")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn positions() -> impl Strategy<Value = Position> {
        (any::<u64>(), any::<u64>()).prop_map(|(term, index)| Position {
            term: Term(term),
            index: Index(index),
        })
    }

    fn entries() -> impl Strategy<Value = Vec<Entry<Bytes>>> {
        let payload = prop_oneof![
            Just(Payload::Noop),
            (any::<u64>(), any::<u32>()).prop_map(|(nonce, limit)| Payload::Open { nonce, limit }),
            (any::<u64>(), any::<u64>(), any::<Vec<u8>>()).prop_map(
                |(session, sequence, command)| Payload::Write {
                    session: SessionId(session),
                    sequence,
                    command: command.into(),
                }
            ),
        ];
        let entry = (any::<u64>(), payload).prop_map(|(term, payload)| Entry {
            term: Term(term),
            payload,
        });
        proptest::collection::vec(entry, 0..8)
    }

    fn messages() -> impl Strategy<Value = Message<Bytes>> {
        let term = || any::<u64>().prop_map(Term);
        let index = || any::<u64>().prop_map(Index);
        prop_oneof![
            (term(), positions()).prop_map(|(term, last)| Message::RequestPreVote { term, last }),
            (term(), any::<bool>()).prop_map(|(term, granted)| Message::PreVoted { term, granted }),
            (term(), positions()).prop_map(|(term, last)| Message::RequestVote { term, last }),
            (term(), any::<bool>()).prop_map(|(term, granted)| Message::Voted { term, granted }),
            (term(), positions(), entries(), index(), any::<u64>()).prop_map(
                |(term, prev, entries, commit, round)| Message::Append {
                    term,
                    prev,
                    entries,
                    commit,
                    round
                }
            ),
            (term(), index(), any::<u64>()).prop_map(|(term, matched, round)| {
                Message::Appended {
                    term,
                    matched,
                    round,
                }
            }),
            (term(), index(), positions(), any::<u64>()).prop_map(
                |(term, refused, hint, round)| Message::Conflicted {
                    term,
                    refused,
                    hint,
                    round
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn messages_come_back(message in messages()) {
            prop_assert_eq!(Message::decode(encode(&message)), Ok(message));
        }

        #[test]
        fn records_come_back(after: u64, entries in entries(), term: u64, vote: Option<u32>) {
            let append = Record::Append { after: Index(after), entries };
            prop_assert_eq!(Record::decode(encode(&append)), Ok(append));
            let vote = Record::<Bytes>::Vote { term: Term(term), vote: vote.map(NodeId) };
            prop_assert_eq!(Record::decode(encode(&vote)), Ok(vote));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            let _ = Message::<Bytes>::decode(bytes.clone());
            let _ = Record::<Bytes>::decode(bytes.clone());
            let _ = Timer::decode(bytes);
        }

        /// Bytes that are almost a message: one changed, or the end cut off.
        #[test]
        fn no_damaged_message_panics(message in messages(), at: prop::sample::Index, byte: u8) {
            let mut bytes = encode(&message).to_vec();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                let _ = Message::<Bytes>::decode(Bytes::copy_from_slice(&bytes[..at]));
                bytes[at] = byte;
                let _ = Message::<Bytes>::decode(bytes.into());
            }
        }
    }

    #[test]
    fn a_message_without_its_position_is_malformed() {
        let kind = Kind::RequestVote(proto::RequestVote {
            term: 1,
            last: None,
        });
        let mut bytes = BytesMut::new();
        write(&proto::Message { kind: Some(kind) }, &mut bytes);
        let refused = Message::<Bytes>::decode(bytes.freeze()).unwrap_err();
        assert_eq!(refused.to_string(), "does not parse: a position is missing");
    }
}
