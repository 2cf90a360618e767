//! Paxos's types and their bytes.
//!
//! What a peer or a disk says is parsed here, once; a field that is missing makes the whole message
//! malformed. Keys and values are nested as opaque bytes in the application's own encoding, which are slices of
//! the message that was received.

use crate::protobuf::{encode, missing, read, write};
use crate::{Malformed, Wire};
use bytes::{Bytes, BytesMut};
use quorate_machine::NodeId;
use quorate_paxos::{Ballot, Command, Message, Proposal, Record, Slot, Timer};

/// The generated types.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod proto {
    tonic::include_proto!("quorate.paxos.v1");
}

use proto::command::Kind as CommandKind;
use proto::message::Kind;
use proto::record::Kind as RecordKind;

impl From<Ballot> for proto::Ballot {
    fn from(ballot: Ballot) -> Self {
        proto::Ballot {
            round: ballot.round,
            node: ballot.node.0,
        }
    }
}

impl From<proto::Ballot> for Ballot {
    fn from(ballot: proto::Ballot) -> Self {
        Ballot {
            round: ballot.round,
            node: NodeId(ballot.node),
        }
    }
}

fn ballot(ballot: Option<proto::Ballot>) -> Result<Ballot, Malformed> {
    ballot.map(Ballot::from).ok_or_else(|| missing("a ballot"))
}

fn encode_proposal<V: Wire>(ballot: Ballot, value: &V) -> proto::Proposal {
    proto::Proposal {
        ballot: Some(ballot.into()),
        value: encode(value),
    }
}

fn decode_proposal<V: Wire>(proposal: proto::Proposal) -> Result<Proposal<V>, Malformed> {
    Ok(Proposal {
        ballot: ballot(proposal.ballot)?,
        value: V::decode(proposal.value)?,
    })
}

impl<K: Wire, V: Wire> Wire for Message<K, V> {
    fn encode(&self, out: &mut BytesMut) {
        let kind = match self {
            Message::Prepare { ballot, .. } => Kind::Prepare((*ballot).into()),
            Message::Promised {
                ballot, accepted, ..
            } => Kind::Promised(proto::Promised {
                ballot: Some((*ballot).into()),
                accepted: accepted
                    .as_ref()
                    .map(|proposal| encode_proposal(proposal.ballot, &proposal.value)),
            }),
            Message::Accept { ballot, value, .. } => Kind::Accept(encode_proposal(*ballot, value)),
            Message::Accepted { ballot, .. } => Kind::Accepted((*ballot).into()),
            Message::Refused {
                ballot, promised, ..
            } => Kind::Refused(proto::Refused {
                ballot: Some((*ballot).into()),
                promised: Some((*promised).into()),
            }),
            Message::Decided { value, .. } => Kind::Decided(encode(value)),
            Message::Released { .. } => Kind::Released(proto::Released {}),
        };
        let message = proto::Message {
            key: encode(self.key()),
            kind: Some(kind),
        };
        write(&message, out);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let message: proto::Message = read(bytes)?;
        let key = K::decode(message.key)?;
        let kind = message.kind.ok_or_else(|| missing("a message's kind"))?;
        Ok(match kind {
            Kind::Prepare(ballot) => Message::Prepare {
                key,
                ballot: ballot.into(),
            },
            Kind::Promised(promised) => Message::Promised {
                key,
                ballot: ballot(promised.ballot)?,
                accepted: promised.accepted.map(decode_proposal).transpose()?,
            },
            Kind::Accept(proposal) => {
                let Proposal { ballot, value } = decode_proposal(proposal)?;
                Message::Accept { key, ballot, value }
            }
            Kind::Accepted(ballot) => Message::Accepted {
                key,
                ballot: ballot.into(),
            },
            Kind::Refused(refused) => Message::Refused {
                key,
                ballot: ballot(refused.ballot)?,
                promised: ballot(refused.promised)?,
            },
            Kind::Decided(value) => Message::Decided {
                key,
                value: V::decode(value)?,
            },
            Kind::Released(proto::Released {}) => Message::Released { key },
        })
    }
}

impl<K: Wire, V: Wire> Wire for Record<K, V> {
    fn encode(&self, out: &mut BytesMut) {
        let (key, kind) = match self {
            Record::Promised { key, ballot } => (key, RecordKind::Promised((*ballot).into())),
            Record::Accepted { key, proposal } => {
                let proposal = encode_proposal(proposal.ballot, &proposal.value);
                (key, RecordKind::Accepted(proposal))
            }
            Record::Decided { key, value } => (key, RecordKind::Decided(encode(value))),
            Record::Released { below } => (below, RecordKind::Released(proto::Released {})),
        };
        let record = proto::Record {
            key: encode(key),
            kind: Some(kind),
        };
        write(&record, out);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let record: proto::Record = read(bytes)?;
        let key = K::decode(record.key)?;
        let kind = record.kind.ok_or_else(|| missing("a record's kind"))?;
        Ok(match kind {
            RecordKind::Promised(ballot) => Record::Promised {
                key,
                ballot: ballot.into(),
            },
            RecordKind::Accepted(proposal) => Record::Accepted {
                key,
                proposal: decode_proposal(proposal)?,
            },
            RecordKind::Decided(value) => Record::Decided {
                key,
                value: V::decode(value)?,
            },
            RecordKind::Released(proto::Released {}) => Record::Released { below: key },
        })
    }
}

/// For event logs only: a client's request does not travel between nodes.
impl<K: Wire, V: Wire> Wire for Command<K, V> {
    fn encode(&self, out: &mut BytesMut) {
        let (request, key, kind) = match self {
            Command::Propose {
                request,
                key,
                value,
            } => (*request, key, CommandKind::Propose(encode(value))),
            Command::Read { request, key } => (*request, key, CommandKind::Read(proto::Read {})),
            Command::Release { below } => (0, below, CommandKind::Release(proto::Released {})),
        };
        let command = proto::Command {
            request,
            key: encode(key),
            kind: Some(kind),
        };
        write(&command, out);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let command: proto::Command = read(bytes)?;
        let (request, key) = (command.request, K::decode(command.key)?);
        let kind = command.kind.ok_or_else(|| missing("a command's kind"))?;
        Ok(match kind {
            CommandKind::Propose(value) => Command::Propose {
                request,
                key,
                value: V::decode(value)?,
            },
            CommandKind::Read(proto::Read {}) => Command::Read { request, key },
            CommandKind::Release(proto::Released {}) => Command::Release { below: key },
        })
    }
}

/// A byte for the kind, and the slot.
impl Wire for Timer {
    fn encode(&self, out: &mut BytesMut) {
        let Timer::Retry(Slot(slot)) = self;
        out.extend_from_slice(&[0]);
        out.extend_from_slice(&slot.to_le_bytes());
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        match *bytes {
            [0, a, b, c, d] => Ok(Timer::Retry(Slot(u32::from_le_bytes([a, b, c, d])))),
            _ => Err(Malformed::new("no timer of Paxos")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Said = Message<String, Bytes>;
    type Written = Record<String, Bytes>;
    type Asked = Command<String, Bytes>;

    fn ballots() -> impl Strategy<Value = Ballot> {
        (any::<u64>(), any::<u32>()).prop_map(|(round, node)| Ballot {
            round,
            node: NodeId(node),
        })
    }

    fn values() -> impl Strategy<Value = Bytes> {
        any::<Vec<u8>>().prop_map(Bytes::from)
    }

    fn proposals() -> impl Strategy<Value = Proposal<Bytes>> {
        (ballots(), values()).prop_map(|(ballot, value)| Proposal { ballot, value })
    }

    fn messages() -> impl Strategy<Value = Said> {
        let keyed = any::<String>;
        prop_oneof![
            (keyed(), ballots()).prop_map(|(key, ballot)| Message::Prepare { key, ballot }),
            (keyed(), ballots(), proptest::option::of(proposals())).prop_map(
                |(key, ballot, accepted)| Message::Promised {
                    key,
                    ballot,
                    accepted
                }
            ),
            (keyed(), ballots(), values()).prop_map(|(key, ballot, value)| Message::Accept {
                key,
                ballot,
                value
            }),
            (keyed(), ballots()).prop_map(|(key, ballot)| Message::Accepted { key, ballot }),
            (keyed(), ballots(), ballots()).prop_map(|(key, ballot, promised)| Message::Refused {
                key,
                ballot,
                promised
            }),
            (keyed(), values()).prop_map(|(key, value)| Message::Decided { key, value }),
            keyed().prop_map(|key| Message::Released { key }),
        ]
    }

    fn records() -> impl Strategy<Value = Written> {
        let keyed = any::<String>;
        prop_oneof![
            (keyed(), ballots()).prop_map(|(key, ballot)| Record::Promised { key, ballot }),
            (keyed(), proposals()).prop_map(|(key, proposal)| Record::Accepted { key, proposal }),
            (keyed(), values()).prop_map(|(key, value)| Record::Decided { key, value }),
            keyed().prop_map(|below| Record::Released { below }),
        ]
    }

    fn commands() -> impl Strategy<Value = Asked> {
        prop_oneof![
            (any::<u64>(), any::<String>(), values()).prop_map(|(request, key, value)| {
                Command::Propose {
                    request,
                    key,
                    value,
                }
            }),
            (any::<u64>(), any::<String>())
                .prop_map(|(request, key)| Command::Read { request, key }),
            any::<String>().prop_map(|below| Command::Release { below }),
        ]
    }

    proptest! {
        #[test]
        fn messages_come_back(message in messages()) {
            prop_assert_eq!(Message::decode(encode(&message)), Ok(message));
        }

        #[test]
        fn records_come_back(record in records()) {
            prop_assert_eq!(Record::decode(encode(&record)), Ok(record));
        }

        #[test]
        fn commands_come_back(command in commands()) {
            prop_assert_eq!(Command::decode(encode(&command)), Ok(command));
        }

        #[test]
        fn timers_come_back(slot: u32) {
            let timer = Timer::Retry(Slot(slot));
            prop_assert_eq!(Timer::decode(encode(&timer)), Ok(timer));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            let _ = Said::decode(bytes.clone());
            let _ = Written::decode(bytes.clone());
            let _ = Asked::decode(bytes.clone());
            let _ = Timer::decode(bytes);
        }

        /// Bytes that are almost a message: one changed, or the end cut off.
        #[test]
        fn no_damaged_message_panics(message in messages(), at: prop::sample::Index, byte: u8) {
            let mut bytes = encode(&message).to_vec();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                let _ = Said::decode(Bytes::copy_from_slice(&bytes[..at]));
                bytes[at] = byte;
                let _ = Said::decode(bytes.into());
            }
        }
    }

    #[test]
    fn a_promise_without_its_ballot_is_malformed() {
        let promised = proto::Promised {
            ballot: None,
            accepted: None,
        };
        let message = proto::Message {
            key: Bytes::new(),
            kind: Some(Kind::Promised(promised)),
        };
        let mut bytes = BytesMut::new();
        write(&message, &mut bytes);
        let refused = Message::<Bytes, Bytes>::decode(bytes.freeze()).unwrap_err();
        assert_eq!(refused.to_string(), "does not parse: a ballot is missing");
    }
}
