//! Two-phase commit's types and their bytes.
//!
//! What a peer or a disk says is parsed here, once; a field that is missing makes the whole message malformed. A
//! participant's share of the work is nested as opaque bytes in the resource's own encoding.

use crate::protobuf::{encode, missing, read, write};
use crate::{Malformed, Wire};
use bytes::{Bytes, BytesMut};
use quorate_commit::{
    Command, Decision, Message, Mode, Record, RequestId, Timer, TxnId, Vote, Work,
};
use quorate_machine::NodeId;

/// The generated types.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod proto {
    tonic::include_proto!("quorate.commit.v1");
}

impl From<TxnId> for proto::Txn {
    fn from(txn: TxnId) -> Self {
        proto::Txn {
            coordinator: txn.coordinator.0,
            epoch: txn.epoch,
            number: txn.number,
        }
    }
}

impl From<proto::Txn> for TxnId {
    fn from(txn: proto::Txn) -> Self {
        TxnId {
            coordinator: NodeId(txn.coordinator),
            epoch: txn.epoch,
            number: txn.number,
        }
    }
}

fn transaction(txn: Option<proto::Txn>) -> Result<TxnId, Malformed> {
    txn.map(TxnId::from)
        .ok_or_else(|| missing("a transaction's identity"))
}

fn vote(yes: bool) -> Vote {
    match yes {
        true => Vote::Yes,
        false => Vote::No,
    }
}

fn decision(commit: bool) -> Decision {
    match commit {
        true => Decision::Commit,
        false => Decision::Abort,
    }
}

fn mode(non_blocking: bool) -> Mode {
    match non_blocking {
        true => Mode::NonBlocking,
        false => Mode::Blocking,
    }
}

/// As a key of the consensus.
impl Wire for TxnId {
    fn encode(&self, out: &mut BytesMut) {
        write(&proto::Txn::from(*self), out);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        Ok(read::<proto::Txn>(bytes)?.into())
    }
}

/// As a value of the consensus.
impl Wire for Decision {
    fn encode(&self, out: &mut BytesMut) {
        (*self == Decision::Commit).encode(out);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        bool::decode(bytes).map(decision)
    }
}

fn numbers(nodes: &[NodeId]) -> Vec<u32> {
    nodes.iter().map(|node| node.0).collect()
}

fn nodes(numbers: Vec<u32>) -> Vec<NodeId> {
    numbers.into_iter().map(NodeId).collect()
}

impl<W: Wire + Work> Wire for Message<W> {
    fn encode(&self, out: &mut BytesMut) {
        use proto::message::Kind;
        let kind = match self {
            Message::Prepare {
                mode,
                participants,
                work,
                ..
            } => Kind::Prepare(proto::Prepare {
                non_blocking: *mode == Mode::NonBlocking,
                participants: numbers(participants),
                work: encode(work),
            }),
            Message::Voted { vote, .. } => Kind::Voted(*vote == Vote::Yes),
            Message::Decided { decision, .. } => Kind::Decided(*decision == Decision::Commit),
            Message::Acknowledged { .. } => Kind::Acknowledged(proto::Nothing {}),
            Message::Forget { .. } => Kind::Forget(proto::Nothing {}),
            Message::Inquire { .. } => Kind::Inquire(proto::Nothing {}),
            Message::Answered { decision, .. } => Kind::Answered(*decision == Decision::Commit),
            Message::Release { .. } => Kind::Release(proto::Nothing {}),
            Message::Consensus(message) => Kind::Consensus(encode(message)),
        };
        let message = proto::Message {
            txn: Some(self.txn().into()),
            kind: Some(kind),
        };
        write(&message, out);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        use proto::message::Kind;
        let message: proto::Message = read(bytes)?;
        let txn = transaction(message.txn)?;
        Ok(
            match message.kind.ok_or_else(|| missing("a message's kind"))? {
                Kind::Prepare(prepare) => Message::Prepare {
                    txn,
                    mode: mode(prepare.non_blocking),
                    participants: nodes(prepare.participants),
                    work: W::decode(prepare.work)?,
                },
                Kind::Voted(yes) => Message::Voted {
                    txn,
                    vote: vote(yes),
                },
                Kind::Decided(commit) => Message::Decided {
                    txn,
                    decision: decision(commit),
                },
                Kind::Acknowledged(_) => Message::Acknowledged { txn },
                Kind::Forget(_) => Message::Forget { txn },
                Kind::Inquire(_) => Message::Inquire { txn },
                Kind::Answered(commit) => Message::Answered {
                    txn,
                    decision: decision(commit),
                },
                Kind::Release(_) => Message::Release { below: txn },
                Kind::Consensus(bytes) => {
                    let message = quorate_paxos::Message::decode(bytes)?;
                    if *message.key() != txn {
                        return Err(Malformed::new("consensus on another transaction"));
                    }
                    Message::Consensus(message)
                }
            },
        )
    }
}

impl Wire for Record {
    fn encode(&self, out: &mut BytesMut) {
        use proto::record::Kind;
        let kind = match self {
            Record::Epoch(epoch) => Kind::Epoch(*epoch),
            Record::Committed {
                txn,
                mode,
                request,
                participants,
            } => Kind::Committed(proto::Committed {
                non_blocking: *mode == Mode::NonBlocking,
                txn: Some((*txn).into()),
                request: request.0,
                participants: numbers(participants),
            }),
            Record::Ended { txn, forgets } => Kind::Ended(proto::Ended {
                txn: Some((*txn).into()),
                forgets: forgets.map(Into::into),
            }),
            Record::Voted {
                txn,
                mode,
                participants,
            } => Kind::Voted(proto::Voted {
                non_blocking: *mode == Mode::NonBlocking,
                txn: Some((*txn).into()),
                participants: numbers(participants),
            }),
            Record::Refused(txn) => Kind::Refused((*txn).into()),
            Record::Decided { txn, decision } => Kind::Decided(proto::Decided {
                txn: Some((*txn).into()),
                commit: *decision == Decision::Commit,
            }),
            Record::Forgotten(txn) => Kind::Forgotten((*txn).into()),
            Record::Abandoned(txn) => Kind::Abandoned((*txn).into()),
            Record::Consensus(record) => Kind::Consensus(encode(record)),
        };
        write(&proto::Record { kind: Some(kind) }, out);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        use proto::record::Kind;
        let record: proto::Record = read(bytes)?;
        Ok(
            match record.kind.ok_or_else(|| missing("a record's kind"))? {
                Kind::Epoch(epoch) => Record::Epoch(epoch),
                Kind::Committed(committed) => Record::Committed {
                    txn: transaction(committed.txn)?,
                    mode: mode(committed.non_blocking),
                    request: RequestId(committed.request),
                    participants: nodes(committed.participants),
                },
                Kind::Ended(ended) => Record::Ended {
                    txn: transaction(ended.txn)?,
                    forgets: ended.forgets.map(TxnId::from),
                },
                Kind::Voted(voted) => Record::Voted {
                    txn: transaction(voted.txn)?,
                    mode: mode(voted.non_blocking),
                    participants: nodes(voted.participants),
                },
                Kind::Refused(txn) => Record::Refused(txn.into()),
                Kind::Decided(decided) => Record::Decided {
                    txn: transaction(decided.txn)?,
                    decision: decision(decided.commit),
                },
                Kind::Forgotten(txn) => Record::Forgotten(txn.into()),
                Kind::Abandoned(txn) => Record::Abandoned(txn.into()),
                Kind::Consensus(bytes) => Record::Consensus(quorate_paxos::Record::decode(bytes)?),
            },
        )
    }
}

impl Wire for Timer {
    fn encode(&self, out: &mut BytesMut) {
        use proto::timer::Kind;
        let kind = match self {
            Timer::Votes(txn) => Kind::Votes((*txn).into()),
            Timer::Waiting(txn) => Kind::Waiting((*txn).into()),
            Timer::Consensus { coordinator, timer } => Kind::Consensus(proto::Consensus {
                coordinator: coordinator.0,
                timer: encode(timer),
            }),
        };
        write(&proto::Timer { kind: Some(kind) }, out);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        use proto::timer::Kind;
        let timer: proto::Timer = read(bytes)?;
        Ok(match timer.kind.ok_or_else(|| missing("a timer's kind"))? {
            Kind::Votes(txn) => Timer::Votes(txn.into()),
            Kind::Waiting(txn) => Timer::Waiting(txn.into()),
            Kind::Consensus(consensus) => Timer::Consensus {
                coordinator: NodeId(consensus.coordinator),
                timer: quorate_paxos::Timer::decode(consensus.timer)?,
            },
        })
    }
}

/// For event logs only: work travels inside messages.
impl<W: Wire + Work> Wire for Command<W> {
    fn encode(&self, out: &mut BytesMut) {
        use proto::command::Kind;
        let share = |(node, work): &(NodeId, W)| proto::Share {
            node: node.0,
            work: encode(work),
        };
        let kind = match self {
            Command::Begin {
                request,
                mode,
                work,
            } => Kind::Begin(proto::Begin {
                non_blocking: *mode == Mode::NonBlocking,
                request: request.0,
                work: work.iter().map(share).collect(),
            }),
            Command::Ask { request, txn } => Kind::Ask(proto::Ask {
                request: request.0,
                txn: Some((*txn).into()),
            }),
            Command::Prepared { txn, vote } => Kind::Prepared(proto::Prepared {
                txn: Some((*txn).into()),
                yes: *vote == Vote::Yes,
            }),
            Command::Done { txn } => Kind::Done((*txn).into()),
        };
        write(&proto::Command { kind: Some(kind) }, out);
    }

    fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        use proto::command::Kind;
        let command: proto::Command = read(bytes)?;
        Ok(
            match command.kind.ok_or_else(|| missing("a command's kind"))? {
                Kind::Begin(begin) => {
                    let shares = begin.work.into_iter();
                    let work = shares.map(|share| Ok((NodeId(share.node), W::decode(share.work)?)));
                    Command::Begin {
                        request: RequestId(begin.request),
                        mode: mode(begin.non_blocking),
                        work: work.collect::<Result<_, Malformed>>()?,
                    }
                }
                Kind::Ask(ask) => Command::Ask {
                    request: RequestId(ask.request),
                    txn: transaction(ask.txn)?,
                },
                Kind::Prepared(prepared) => Command::Prepared {
                    txn: transaction(prepared.txn)?,
                    vote: vote(prepared.yes),
                },
                Kind::Done(txn) => Command::Done { txn: txn.into() },
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn txns() -> impl Strategy<Value = TxnId> {
        (any::<u32>(), any::<u64>(), any::<u64>()).prop_map(|(coordinator, epoch, number)| TxnId {
            coordinator: NodeId(coordinator),
            epoch,
            number,
        })
    }

    fn participants() -> impl Strategy<Value = Vec<NodeId>> {
        proptest::collection::vec(any::<u32>().prop_map(NodeId), 0..5)
    }

    fn works() -> impl Strategy<Value = Bytes> {
        any::<Vec<u8>>().prop_map(Bytes::from)
    }

    fn decisions() -> impl Strategy<Value = Decision> {
        any::<bool>().prop_map(decision)
    }

    fn votes() -> impl Strategy<Value = Vote> {
        any::<bool>().prop_map(vote)
    }

    fn modes() -> impl Strategy<Value = Mode> {
        any::<bool>().prop_map(mode)
    }

    fn messages() -> impl Strategy<Value = Message<Bytes>> {
        prop_oneof![
            (txns(), modes(), participants(), works()).prop_map(
                |(txn, mode, participants, work)| {
                    Message::Prepare {
                        txn,
                        mode,
                        participants,
                        work,
                    }
                }
            ),
            (txns(), votes()).prop_map(|(txn, vote)| Message::Voted { txn, vote }),
            (txns(), decisions()).prop_map(|(txn, decision)| Message::Decided { txn, decision }),
            txns().prop_map(|txn| Message::Acknowledged { txn }),
            txns().prop_map(|txn| Message::Forget { txn }),
            txns().prop_map(|txn| Message::Inquire { txn }),
            (txns(), decisions()).prop_map(|(txn, decision)| Message::Answered { txn, decision }),
            txns().prop_map(|below| Message::Release { below }),
            (txns(), decisions()).prop_map(|(key, value)| {
                Message::Consensus(quorate_paxos::Message::Decided { key, value })
            }),
        ]
    }

    fn records() -> impl Strategy<Value = Record> {
        let request = || any::<u64>().prop_map(RequestId);
        prop_oneof![
            any::<u64>().prop_map(Record::Epoch),
            (txns(), modes(), request(), participants()).prop_map(
                |(txn, mode, request, participants)| {
                    Record::Committed {
                        txn,
                        mode,
                        request,
                        participants,
                    }
                }
            ),
            (txns(), proptest::option::of(txns()))
                .prop_map(|(txn, forgets)| Record::Ended { txn, forgets }),
            (txns(), modes(), participants()).prop_map(|(txn, mode, participants)| {
                Record::Voted {
                    txn,
                    mode,
                    participants,
                }
            }),
            txns().prop_map(Record::Abandoned),
            (txns(), decisions()).prop_map(|(key, value)| {
                Record::Consensus(quorate_paxos::Record::Decided { key, value })
            }),
            txns().prop_map(Record::Refused),
            (txns(), decisions()).prop_map(|(txn, decision)| Record::Decided { txn, decision }),
            txns().prop_map(Record::Forgotten),
        ]
    }

    fn commands() -> impl Strategy<Value = Command<Bytes>> {
        let request = || any::<u64>().prop_map(RequestId);
        let shares = (any::<u32>().prop_map(NodeId), works());
        prop_oneof![
            (request(), modes(), proptest::collection::vec(shares, 0..4)).prop_map(
                |(request, mode, work)| Command::Begin {
                    request,
                    mode,
                    work,
                }
            ),
            (request(), txns()).prop_map(|(request, txn)| Command::Ask { request, txn }),
            (txns(), votes()).prop_map(|(txn, vote)| Command::Prepared { txn, vote }),
            txns().prop_map(|txn| Command::Done { txn }),
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
        fn commands_and_timers_come_back(command in commands(), txn in txns()) {
            prop_assert_eq!(Command::decode(encode(&command)), Ok(command));
            let consensus = Timer::Consensus {
                coordinator: txn.coordinator,
                timer: quorate_paxos::Timer::Retry(quorate_paxos::Slot(7)),
            };
            for timer in [Timer::Votes(txn), Timer::Waiting(txn), consensus] {
                prop_assert_eq!(Timer::decode(encode(&timer)), Ok(timer));
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            let _ = Message::<Bytes>::decode(bytes.clone());
            let _ = Record::decode(bytes.clone());
            let _ = Command::<Bytes>::decode(bytes.clone());
            let _ = Timer::decode(bytes);
        }

        /// Bytes that are almost a message: one changed, or the end cut off.
        #[test]
        fn no_damaged_message_panics(message in messages(), at: prop::sample::Index, byte: u8) {
            let mut bytes = encode(&message).to_vec();
            let at = at.index(bytes.len());
            let _ = Message::<Bytes>::decode(Bytes::copy_from_slice(&bytes[..at]));
            bytes[at] = byte;
            let _ = Message::<Bytes>::decode(bytes.into());
        }
    }

    #[test]
    fn a_message_about_no_transaction_is_malformed() {
        let kind = Some(proto::message::Kind::Voted(true));
        let message = proto::Message { txn: None, kind };
        let mut bytes = BytesMut::new();
        write(&message, &mut bytes);
        let refused = Message::<Bytes>::decode(bytes.freeze()).unwrap_err();
        let expected = "does not parse: a transaction's identity is missing";
        assert_eq!(refused.to_string(), expected);
    }
}
